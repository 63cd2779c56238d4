#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The memory of the system heap counts in the cgroup of who allocates it if the
# kernel was booted with dma_heap.mem_accounting=1, and not otherwise.
set -eu
. tap.sh

# As dmaheap(1) has it
NO_MEMORY=5
MIB=1048576
group=/sys/fs/cgroup/heaps

# in_group COMMAND...
in_group() {
	# shellcheck disable=SC2016 # the inner shell's
	sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' $group "$@"
}

# charged RELATION BYTES, as charged -le 4096
charged() {
	test "$(cat $group/memory.current)" "$1" "$2"
}

nobody_was_killed() {
	grep -qx 'oom_kill 0' $group/memory.events
}

# with_buffer SIZE [COMMAND...]: in the group; what a program needs is small
with_buffer() {
	size=$1
	shift
	in_group dmaheap alloc system "$size" -- "$@"
}

# keeps BYTES: whether so much is kept of buffers that are no more. Pages have
# 4 KiB here.
keeps() {
	awk -v least="$1" 'NR > 1 {
			size = 4096
			for (order = $2; order; order--) size *= 2
			kept += ($3 + $4) * size
		}
		END { exit kept < least }' /sys/kernel/debug/dma_heap_pool/system/state
}

test_charged() {
	# However long what follows takes
	echo 1000000 >/sys/module/system_heap/parameters/pool_idle_ms
	dmaheap alloc system $((48 * MIB)) -- true
	test_that "more than memory.max is ENOMEM" \
		ends_with $NO_MEMORY with_buffer $((64 * MIB))
	test_that "and kills nobody" nobody_was_killed
	# Some may be in the hands of the thread that zeroes it
	test_that "and takes from nobody what was kept" keeps $((40 * MIB))
	test_that "and leaves nothing charged" charged -le $((4 * MIB))
	test_that "less is allocated and charged" with_buffer $((16 * MIB)) \
		sh -c "[ \$(cat $group/memory.current) -ge $((16 * MIB)) ]"
	test_that "and uncharged after its release" charged -le $((4 * MIB))
	test_that "the same again is charged again, if it was kept" \
		with_buffer $((16 * MIB)) \
		sh -c "[ \$(cat $group/memory.current) -ge $((16 * MIB)) ]"
	test_that "and uncharged while it is kept" charged -le $((4 * MIB))
}

test_not_charged() {
	test_that "more than memory.max is allocated and not charged" \
		with_buffer $((64 * MIB)) \
		sh -c "[ \$(cat $group/memory.current) -le $((4 * MIB)) ]"
}

if [ ! -e /sys/fs/cgroup/cgroup.subtree_control ]; then
	skip "mem_accounting" "no cgroup2 at /sys/fs/cgroup"
	finish
	exit
fi
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
mkdir $group
echo $((32 * MIB)) >$group/memory.max
case $(cat /sys/module/dma_heap/parameters/mem_accounting) in
Y) test_charged ;;
N) test_not_charged ;;
esac
rmdir $group
finish
