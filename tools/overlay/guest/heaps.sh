#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The heaps that machines/virt.dts and checks/faulty.dts describe are there, are
# what they say, and those that are described wrongly are left out.
set -eu
. tap.sh

class=/sys/class/dma_heap

# shows HEAP FILE TEXT
shows() {
	[ "$(cat "$class/$1/$2")" = "$3" ] ||
		{ echo "# $1/$2 is $(cat "$class/$1/$2")"; return 1; }
}

# is_heap NAME SIZE FLAGS PROPERTIES
is_heap() {
	test_that "$1: has a node" [ -c "/dev/dma_heap/$1" ]
	test_that "$1: has $2 bytes" shows "$1" size "$2"
	test_that "$1: all of them free" shows "$1" free "$2"
	test_that "$1: accepts '$3'" shows "$1" heap_flags "$3"
	test_that "$1: is $4" shows "$1" properties "$4"
}

# is_left_out NAME TEXT: there is no such heap, and the log has a line about it
is_left_out() {
	test_that "$1: has no node" [ ! -e "/dev/dma_heap/$1" ]
	test_that "$1: the log tells why" logged "$2"
}

logged() {
	dmesg | grep -qF -- "$1"
}

# count FILE...
count() {
	echo $#
}

cached='contiguous cached cpu_mappable zeroed'
uncached='contiguous cpu_mappable zeroed'

# The region says whether errors are corrected
is_heap codec@68000000 16777216 ecc_protected "$cached ecc"
is_heap video@70000000 16777216 ecc_unprotected "$uncached"
# The memory node does that the region lies in
is_heap audio@5e000000 4194304 ecc_protected "$cached ecc"
is_heap chunk@61000000 67108864 ecc_unprotected 'cached cpu_mappable zeroed'
is_heap owned@72000000 8388608 ecc_unprotected "$uncached"
is_heap protected,drm@71000000 16777216 ecc_unprotected 'contiguous protected'
# It lies in two, which do not agree, or in none
is_heap display@5f400000 20971520 '' "$cached"
is_heap sram@0 786432 '' "$uncached"
test_that "system: all memory does not agree" shows system heap_flags ''

test_that "chunk@61000000: comes in chunks" shows chunk@61000000 granularity 65536
test_that "the region of chunks is no heap besides" \
	[ "$(count $class/*chunk*)" = 1 ]
test_that "SRAM: a partition for the kernel stays one" \
	[ ! -e "$class/pool-sram@c0000" ]
test_that "SRAM: a partition that is a file stays one" \
	[ -e /sys/devices/platform/7f000000.sram/7f0e0000.sram ]

if [ -e /proc/device-tree/reserved-memory/odd@72a00000 ]; then
	is_left_out protected,mapped@72800000 'protected memory must have'
	is_left_out odd@72a00000 'are not whole pages'
	is_left_out taken@40400000 'maps the memory at 0x0000000040400000'
	is_left_out unknown@7a000000 'does not map the memory at 0x000000007a000000'
	# Of the area that three wrong nodes want, there is no heap of another kind
	is_left_out camera@65000000 'alignment is 0x3000'
	test_that "a chunk larger than the area is refused" logged 'alignment is 0x40000000'
	test_that "a chunk of no size is refused" logged 'alignment, the size'
	test_that "chunks of what is no area are refused" \
		logged 'chunk-carveout: error'
	is_left_out both@40000 'dma-heap-export excludes'
else
	is_heap camera@65000000 33554432 ecc_unprotected "$cached"
fi
finish
