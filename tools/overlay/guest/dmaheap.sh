#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# dmaheap, tried as by a new user, who errs: on a kernel with our heaps, or on a
# stock one.
set -eu
. tap.sh

# Its exit codes, as dmaheap(1) has them
FAILED=1
USAGE=2
NO_HEAP=3
DENIED=4
NO_MEMORY=5

heaps=/dev/dma_heap
out=/tmp/dmaheap.out

# Whether the kernel tells of its heaps; a stock one does not
tells() {
	[ -e /sys/class/dma_heap/system/size ]
}

# run STATUS ARGUMENT...: dmaheap with these ends so; all it says is in $out
run() {
	wanted=$1
	shift
	ends_with "$wanted" dmaheap "$@" >$out 2>&1 && return
	sed 's/^/# /' $out
	return 1
}

# said TEXT: in that output
said() {
	grep -qF -- "$1" $out && return
	sed 's/^/# /' $out
	return 1
}

# says STATUS TEXT ARGUMENT...: dmaheap with these ends so, and says TEXT
says() {
	status_wanted=$1 text=$2
	shift 2
	run "$status_wanted" "$@" && said "$text"
}

# is_json ARGUMENT...: what dmaheap prints with these is one JSON value
is_json() {
	run 0 "$@" || return
	value=$(tr -d ' \n' <$out |
		sed -E 's/"([^"\\]|\\.)*"/S/g; s/\b([0-9]+|true|false|null)\b/S/g
			:again
			s/\[(S(,S)*)?\]/S/; t again
			s/\{(S:S(,S:S)*)?\}/S/; t again')
	[ "$value" = S ] || { echo "# left of it is: $value"; return 1; }
}

# has_row_for_each: the output has a line for each heap, which it begins with
has_row_for_each() {
	for heap in "$heaps"/*; do
		grep -qE "^${heap##*/} " $out || { echo "# ${heap##*/} is missing"; return 1; }
	done
}

# is_like_sysfs HEAP FILE: what info shows is what the file holds
is_like_sysfs() {
	run 0 info "$1" && [ "$(awk -v f="$2" '$1 == f { print $2 }' $out)" = \
		"$(cat "/sys/class/dma_heap/$1/$2")" ]
}

# as_user COMMAND...: as one who is not root
as_user() {
	su user -c "$*"
}

try_usage() {
	test_that "without a command it shows them" says $USAGE 'info  NAME' ''
	test_that "--help is no error" says 0 'usage: dmaheap' --help
	test_that "a command that does not exist is named" says $USAGE 'no command lst' lst
	for command in list info alloc test stat; do
		test_that "$command --help says how" \
			says 0 "usage: dmaheap $command" $command --help
		test_that "$command refuses an unknown option" \
			says $USAGE "usage: dmaheap $command" $command --nonsense
	done
}

try_list() {
	test_that "list" run 0 list
	test_that "list: every heap has a row" has_row_for_each
	test_that "list takes no argument" run $USAGE list system
	test_that "list --json is JSON" is_json list --json
	test_that "list --json has every heap" \
		[ "$(grep -c '"name"' $out)" = "$(find $heaps -type c | wc -l)" ]
	for heap in "$heaps"/*; do
		test_that "info ${heap##*/}" says 0 "$heap" info "${heap##*/}"
	done
	test_that "info --json is JSON" is_json info --json system
	test_that "info of a heap by its path" says 0 'node         /dev/dma_heap/system' \
		info $heaps/system
	test_that "info of no heap names those that are there" \
		says $NO_HEAP "There are:" info nonsense
	test_that "info of a path is no heap" run $NO_HEAP info ../null
	test_that "info of nothing is no heap" run $NO_HEAP info ''
	test_that "info without a name shows how" run $USAGE info
	if tells; then
		test_that "info has the size" is_like_sysfs system size
		test_that "info has the properties" says 0 \
			"$(cat /sys/class/dma_heap/system/properties)" info system
		test_that "info has the counters" is_like_sysfs system allocations
	else
		test_that "info says that the kernel does not tell" \
			says 0 'does not tell' info system
		test_that "list says so too" says 0 'does not tell' list
	fi
}

try_alloc() {
	test_that "alloc rounds up" says 0 '4 KiB (4096 bytes)' alloc system 1
	test_that "alloc knows suffixes" says 0 '(1048576 bytes)' alloc system 1MiB
	test_that "alloc --fill" run 0 alloc system 300K --fill
	for size in 0 -1 1X nonsense '' 99999999999999999999 16777216T; do
		test_that "alloc refuses the size '$size'" \
			run $USAGE alloc system -- "$size"
	done
	test_that "alloc refuses no size" run $USAGE alloc system
	if tells; then
		test_that "alloc of too much says so" \
			says $NO_MEMORY 'Ask for less' alloc system 9T
	else
		skip "alloc of too much" "this kernel takes all memory before it fails, and kills for it"
	fi
	test_that "alloc from no heap names it" says $NO_HEAP "$heaps/nonsense" \
		alloc nonsense 4K
	test_that "alloc from standard input" run 0 alloc - 4K <$heaps/system
	test_that "alloc from another file than a heap" \
		says $NO_HEAP 'is no heap' alloc - 4K </dev/null
	test_that "alloc from a heap that has no such file" \
		says $NO_HEAP 'There are:' alloc .. 4K
	# shellcheck disable=SC2016 # the inner shell's
	test_that "a command has the buffer" says 0 /dmabuf: alloc system 4K -- \
		sh -c 'readlink /proc/self/fd/$DMABUF_FD'
	test_that "and passes its status on" run 7 alloc system 4K -- sh -c 'exit 7'
	test_that "a command that does not exist" \
		says 127 '/nonsense' alloc system 4K -- /nonsense
	test_that "a command that cannot be run" says 126 '/tmp' alloc system 4K -- /tmp
	test_that "a command and --hold exclude each other" \
		run $USAGE alloc system 4K --hold -- true
}

# Leaves the process that holds and maps a buffer in $holder, once it does
hold() {
	mkfifo /tmp/hold
	dmaheap alloc system 1M --fill --hold >/tmp/hold &
	holder=$!
	# Its second line says that it waits
	{ read -r line && read -r line; } </tmp/hold
	echo "# $line"
}

# two_rounds: of --watch; its end is that nobody reads any more
two_rounds() {
	dmaheap stat --watch | awk '/^heap / && ++n == 2 { exit } END { exit n != 2 }'
}

try_stat() {
	test_that "stat" run 0 stat
	test_that "stat: every heap has a row" has_row_for_each
	tells || test_that "stat says that the kernel does not count" said 'does not count'
	hold
	test_that "stat shows who holds a buffer" run 0 stat
	test_that "by descriptor and mapping" \
		grep -qE "^system +[0-9]+ +1 MiB +$holder  dmaheap +1 +1 MiB" $out
	test_that "stat --json is JSON" is_json stat --json
	test_that "and shows it too" said "{\"process\": $holder, \"command\": \"dmaheap\", \"descriptors\": 1, \"mapped\": 1048576}"
	test_that "a signal ends who holds it" kill $holder
	test_that "and that is no error" ends_with 0 wait $holder
	test_that "stat does not show it any more" says 0 'No buffer was found' stat
	test_that "stat --watch looks again" two_rounds
	test_that "stat --watch refuses what is no number" says $USAGE soon stat --watch=soon
}

# Too few files for what a test opens
with_few_files() {
	sh -c 'ulimit -n 5; exec dmaheap test system' >$out 2>&1
}

try_test() {
	test_that "test of one heap" says 0 ' 0 failed' test system
	test_that "test has a verdict for each step" said 'passed   filling it'
	for heap in "$heaps"/*; do
		[ "$heap" != $heaps/system ] || continue
		test_that "test of two heaps, one by its path" \
			run 0 test "${heap##*/}" $heaps/system
		break
	done
	test_that "test of no heap names those that are there" \
		says $NO_HEAP 'There are:' test nonsense
	test_that "test that fails says so" ends_with $FAILED with_few_files
	test_that "and at which step" said FAILED
	test_that "test of all heaps" says 0 'All ' test
	test_that "test: every heap has a row" has_row_for_each
	sed 's/^/# /' $out
}

try_as_user() {
	echo 'user:x:1000:1000::/tmp:/bin/sh' >>/etc/passwd
	test_that "a user may not allocate" ends_with $DENIED \
		as_user dmaheap alloc system 4K '2>/tmp/denied'
	test_that "and is told of the udev rule" \
		grep -q 'KERNEL=="system", GROUP=' /tmp/denied
	as_user dmaheap list >$out
	test_that "a user may list" has_row_for_each
	if tells; then
		test_that "and sees how much there is" \
			grep -qE '^system +cached +[0-9]' $out
	else
		test_that "and is told why so little" said 'does not tell'
	fi
	as_user dmaheap stat >$out
	test_that "a user is told what stat does not show" said 'not yours to look into'
}

# What is in the directory, but is no heap; and no heap at all
try_strange_nodes() {
	mknod $heaps/strange c 1 3
	test_that "a node that is no heap is shown as unknown" run 0 list
	test_that "and gives nothing" says $NO_HEAP 'is no heap' alloc strange 4K
	rm $heaps/strange
	mount -t tmpfs tmpfs $heaps
	for command in list test stat; do
		test_that "$command says that there is no heap" \
			says $NO_HEAP CONFIG_DMABUF_HEAPS $command
	done
	umount $heaps
}

try_usage
try_list
try_alloc
try_stat
try_test
try_as_user
try_strange_nodes
finish
