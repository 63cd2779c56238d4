# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Test results as TAP, for scripts that source this.

tests=0
failures=0

# test_that NAME COMMAND...: a result, good if COMMAND succeeds
test_that() {
	name=$1
	shift
	tests=$((tests + 1))
	if "$@"; then
		echo "ok $tests $name"
	else
		echo "not ok $tests $name"
		failures=$((failures + 1))
	fi
}

# skip NAME REASON
skip() {
	tests=$((tests + 1))
	echo "ok $tests $1 # SKIP $2"
}

# ends_with STATUS COMMAND...: whether COMMAND ends with this exit status
ends_with() {
	wanted=$1 status=0
	shift
	"$@" || status=$?
	[ "$status" -eq "$wanted" ] || {
		echo "# exit status $status instead of $wanted: $*"
		return 1
	}
}

# fails COMMAND...
fails() {
	! "$@" 2>/dev/null
}

# The plan, and the script's exit status
finish() {
	echo "1..$tests"
	[ "$failures" -eq 0 ]
}
