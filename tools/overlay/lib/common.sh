# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What every script starts with: options, places, locks, steps.

set -euo pipefail

# The kernel's make must not inherit what was given to ours.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL GNUMAKEFLAGS CDPATH
export LC_ALL=C

overlay=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
repo=$(cd "$overlay/../.." && pwd)

# Says what was wrong and what to do, and stops.
die() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

: "${ARCH:=arm64}" "${BASE:=lts}" "${KERNEL:=}" "${JOBS:=$(nproc)}" "${V:=0}"
: "${TEST:=}" "${RUN:=}" "${FILES:=}" "${DTS:=}" "${APPEND:=}" "${MEM:=1G}"
: "${SMP:=2}" "${TIMEOUT:=}" "${QEMU_ARGS:=}" "${DEBUG:=0}" "${MACHINE:=virt}"
: "${STOCK:=0}" "${CLIENTS:=0}" "${WITHOUT:=}"
# A line of configs/flavours, which DEBUG and STOCK choose
: "${FLAVOUR:=plain}"

# must_match NAME VALUE REGEXP HINT
must_match() {
	[[ $2 =~ ^($3)$ ]] || die "$1=$2 is not possible: give $4"
}

must_match ARCH "$ARCH" 'arm64|x86_64|arm' 'arm64, x86_64 or arm'
must_match BASE "$BASE" 'lts|mainline|newest' 'lts, mainline or newest'
must_match MACHINE "$MACHINE" 'virt|vexpress' 'virt or vexpress'
must_match JOBS "$JOBS" '[1-9][0-9]*' 'a number from 1'
must_match SMP "$SMP" '[1-9][0-9]*' 'a number from 1'
must_match MEM "$MEM" '[1-9][0-9]*[MG]' 'a size such as 512M or 1G'
must_match TIMEOUT "$TIMEOUT" '([1-9][0-9]*)?' 'a number of seconds'
must_match DEBUG "$DEBUG" '[01]' '1 for the debug kernel, or 0'
must_match STOCK "$STOCK" '[01]' "1 for the kernel without the heaps of this project, or 0"
must_match FLAVOUR "$FLAVOUR" 'plain|debug|bench|bench-debug|clients|numa|display' 'a line of tools/overlay/configs/flavours, such as plain or debug'
must_match CLIENTS "$CLIENTS" '[01]' '1 for programs that use heaps, or 0'
[ "$CLIENTS" = 0 ] ||
	must_match ARCH "$ARCH" arm64 'arm64, since the programs of CLIENTS=1 are for that'
[ -z "$WITHOUT" ] || grep -q "^$WITHOUT |" "$overlay/patches/series" ||
	die "WITHOUT=$WITHOUT is not possible: give the name of a patch in tools/overlay/patches"
must_match V "$V" '[01]' '1 for the output of every step, or 0'

[ -n "${XDG_CACHE_HOME:-}${HOME:-}" ] ||
	die "neither XDG_CACHE_HOME nor HOME is set: there is no place for downloads"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/dma-heaps
# What belongs to this checkout alone
mine=$cache/checkouts/$(printf %s "$repo" | sha256sum | cut -c1-12)
mkdir -p "$cache/locks" "$mine/log"
printf '%s\n' "$repo" >"$mine/path"

# Put ccache's names for the compilers into PATH. Paths below $mine are hashed as
# relative ones and the kernel's stamps are fixed, so that all checkouts share objects.
# Depend mode saves the preprocessor run for each miss, a third of the time of a first
# build, but shares nothing between configurations: the two kernels of make bench do
# without it.
compiler_cache=/usr/lib/ccache
use_compiler_cache() {
	[ -d "$compiler_cache" ] || return 0
	[[ $PATH = "$compiler_cache:"* ]] || export PATH=$compiler_cache:$PATH
	export CCACHE_DIR=$cache/ccache CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-4G}
	export CCACHE_BASEDIR=$mine CCACHE_NOHASHDIR=1
	unset CCACHE_DEPEND
	[[ $FLAVOUR = bench* ]] || export CCACHE_DEPEND=1
	export KBUILD_BUILD_TIMESTAMP='1970-01-01 UTC' KBUILD_BUILD_VERSION=1
	export KBUILD_BUILD_USER=dma-heaps KBUILD_BUILD_HOST=dma-heaps
}

# locked NAME COMMAND...: runs it while nobody else runs one under that name
locked() {
	local lock=$cache/locks/$1 fd
	shift
	exec {fd}>"$lock"
	if ! flock -n "$fd"; then
		echo "waiting for another make that uses ${lock##*/}" >&2
		flock "$fd"
	fi
	"$@"
	exec {fd}>&-
}

# elapsed SINCE: seconds as 1:05
elapsed() {
	local s=$((SECONDS - $1))
	printf '%d:%02d' $((s / 60)) $((s % 60))
}

# cpu_time: set cpu to the CPU time of this shell and of the children it has waited
# for, in hundredths of a second
cpu_time() {
	local f
	read -ra f <"/proc/$BASHPID/stat"
	cpu=$((f[13] + f[14] + f[15] + f[16]))
}

# Ends a step that was interrupted, with all its children.
stop_step() {
	trap - INT TERM
	kill -- "-$step_pid" 2>/dev/null || true
	echo >&2
	exit 130
}

# Shows how long the step lasts until its process has ended.
show_progress() {
	local text=$1 next=30 pause=0.5
	[ ! -t 2 ] || pause=0.2
	while kill -0 "$step_pid" 2>/dev/null; do
		if [ -t 2 ]; then
			printf '\r%-50s %s ' "$text" "$(elapsed "$step_since")" >&2
		elif [ $((SECONDS - step_since)) -ge $next ]; then
			printf '%-50s %s ...\n' "$text" "$(elapsed "$step_since")" >&2
			next=$((next + 30))
		fi
		sleep "$pause"
	done
	[ ! -t 2 ] || printf '\r' >&2
}

# step TEXT LOG COMMAND...: one line of progress, the command's output in LOG.
# A command that fails ends the script with the lines of its log that matter.
step() {
	local text=$1 log=$2 status=0 cpu cpu_before
	shift 2
	cpu_time
	cpu_before=$cpu
	mkdir -p "$(dirname "$log")"
	: >"$log"
	step_since=$SECONDS
	# A group of its own, so that an interruption reaches all of it; and not
	# in a condition, where the shell would ignore errors inside.
	set -m
	if [ "$V" = 1 ]; then
		(set -e; "$@") </dev/null > >(tee "$log" >&2) 2>&1 &
	else
		(set -e; "$@") </dev/null >"$log" 2>&1 &
	fi
	step_pid=$!
	set +m
	trap stop_step INT TERM
	[ "$V" = 1 ] || show_progress "$text"
	wait "$step_pid" || status=$?
	trap - INT TERM
	[ "$status" = 0 ] || show_failure "$text" "$log"
	printf '%-50s %s\n' "$text" "$(elapsed "$step_since")" >&2
	cpu_time
	[ -z "${STEPS_CPU:-}" ] || echo "$((cpu - cpu_before)) $text" >>"$STEPS_CPU"
}

# Names the step that failed, the lines of its log that matter and the rest.
show_failure() {
	{
		echo
		grep -nE '(error|Error|undefined reference|\*\*\*|^E:)' "$2" |
			tail -n 15 || true
		echo '--- last lines:'
		tail -n 15 "$2"
	} >&2
	die "$1 failed; the whole log is $2"
}
