#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Heaps that are modules come and go: with their nodes open, but not with a
# buffer alive.
set -eu
. tap.sh

# As dmaheap(1) has it
HEAP_GONE=6

# Everything that is done with the file of a heap that is no more
open_file_survives() {
	module=$1 heap=$2 node=/dev/dma_heap/$2
	exec 3<"$node"
	test_that "$module: unloads while its node is open" rmmod "$module"
	test_that "$module: takes its node with it" [ ! -e "$node" ]
	test_that "$module: an open file answers ENODEV" \
		ends_with $HEAP_GONE dmaheap alloc - 4096 <&3
	test_that "$module: loads again" modprobe "$module"
	test_that "$module: gives memory again" \
		dmaheap alloc "$heap" 4096
	test_that "$module: the old file still answers ENODEV" \
		ends_with $HEAP_GONE dmaheap alloc - 4096 <&3
	exec 3<&-
}

buffer_pins() {
	module=$1 heap=$2
	test_that "$module: does not unload while a buffer lives" \
		dmaheap alloc "$heap" 65536 -- sh -c "! rmmod $module 2>/dev/null"
	test_that "$module: and still gives memory" \
		dmaheap alloc "$heap" 4096
	test_that "$module: unloads after the buffer's release" \
		rmmod "$module"
	test_that "$module: and loads again" modprobe "$module"
	test_that "$module: with its node" [ -c "/dev/dma_heap/$heap" ]
}

# is_module NAME: whether it is loaded, and not part of the kernel
is_module() {
	[ -e "/sys/module/$1/initstate" ]
}

heap_module() {
	if ! is_module "$1"; then
		skip "$1" "it is no module in this kernel"
		return
	fi
	open_file_survives "$1" "$2"
	buffer_pins "$1" "$2"
}

device_module() {
	module=dma_buf_testdev
	dir=/dev/dma_buf_testdev
	if ! is_module $module; then
		skip $module "it is no module in this kernel"
		return
	fi
	before=$(ls $dir)
	exec 3<"$dir/$(echo "$before" | head -n 1)"
	test_that "$module: does not unload while a node is open" \
		fails rmmod $module
	exec 3<&-
	test_that "$module: unloads when nobody uses it" rmmod $module
	test_that "$module: takes its nodes with it" fails ls $dir/*
	test_that "$module: loads again" modprobe $module
	test_that "$module: with the same nodes" [ "$(ls $dir)" = "$before" ]
}

heap_module system_heap system
heap_module cma_heap default_cma_region
heap_module chunk_heap chunk@61000000
device_module
finish
