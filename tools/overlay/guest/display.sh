#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
# Pictures in memory of contiguous heaps are scanned out by a display controller,
# on the board vexpress-a15, from that very memory.
set -eu
. tap.sh

screen=$(port screen)

# shown HEAP ADDRESS SIZE: in each format, from where the heap's memory is
shown() {
	last=$(($2 + $3 - 1))
	for format in XR24 RG16; do
		test_that "$1: a picture in $format is on the screen" \
			picture "$1" "$format" "$screen" "$2" $last
	done
}

# Where the default area of CMA is
default_area() {
	dmesg | sed -n 's/.*cma: Reserved [0-9]* MiB at \(0x[0-9a-f]*\).*/\1/p' | tail -n 1
}

# No buffer of any heap is left
all_back() {
	nothing_left=$(grep -vx 0 /sys/class/dma_heap/*/buffers) || return 0
	echo "# $nothing_left"
	return 1
}

shown default_cma_region "$(default_area)" $((64 << 20))
shown carveout@a0000000 0xa0000000 $((16 << 20))
shown chunks@a4000000 0xa4000000 $((32 << 20))
test_that "system: what is not contiguous is refused" picture --refused system
test_that "all buffers are gone" all_back
finish
