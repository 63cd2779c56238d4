#!/usr/bin/awk -f
# SPDX-License-Identifier: GPL-2.0-only
#
# Counts test results in TAP or KTAP, nested by "# " or spaces. Prints for each
# result that matters
#	fail NAME		and before it, as "| ...", what led to it
#	skip NAME # REASON
# and at the end
#	count PASSED FAILED SKIPPED
#
# A test that has tests of its own is not counted, unless it failed and none of
# them did. What was planned and never reported counts as failed, as do a
# result out of order, results without a plan, and "Bail out!".

function fail(name,	i) {
	for (i = (lines > 20 ? lines - 20 : 0); i < lines; i++)
		print "| " line[i]
	lines = 0
	print "fail " name
	failed++
}

# Opens the list of results at this depth
function open_list(depth) {
	top++
	at[top] = depth
	planned[top] = -1
	seen[top] = 0
	failed_before[top] = failed
}

function close_list(	missing) {
	missing = planned[top] - seen[top]
	if (planned[top] < 0)
		fail("a list of " seen[top] " results without a plan")
	if (planned[top] >= 0 && missing > 0) {
		fail(missing " of " planned[top] " tests never reported" \
		     (last[top] == "" ? "" : ", after " last[top]))
		failed += missing - 1
	}
	last[top] = ""
	top--
}

# Comes to the list at this depth; what is deeper has ended
function come_to(depth) {
	had_tests = 0
	while (top > 0 && at[top] > depth) {
		had_tests = 1
		failed_in = failed_before[top]
		close_list()
	}
}

function result(depth, text,	good, number, name) {
	come_to(depth)
	if (top == 0 || at[top] < depth) {
		# Deeper down it may be a program that says "ok 1 ..." to its user.
		if (depth > 0)
			return 0
		open_list(depth)
	}
	good = text !~ /^not /
	sub(/^(not )?ok /, "", text)
	number = text + 0
	name = text
	sub(/^[0-9]+ *(- )?/, "", name)
	if (number != seen[top] + 1)
		fail(name ": result " number " where " seen[top] + 1 " was due")
	seen[top] = number
	last[top] = name
	if (planned[top] >= 0 && number > planned[top])
		fail(name ": result " number " of " planned[top])
	if (!good && (!had_tests || failed == failed_in))
		fail(name)
	else if (good && !had_tests && toupper(name) ~ /# *SKIP/)
		skip(name)
	else if (good && !had_tests)
		passed++
	lines = 0
	return 1
}

function skip(name) {
	print "skip " name
	skipped++
}

{
	sub(/\r$/, "")
	text = $0
	depth = 0
	while (match(text, /^(# |  )/)) {
		depth += 2
		text = substr(text, 3)
	}
}

text ~ /^(not )?ok [0-9]+/ && result(depth, text) { next }

text ~ /^K?TAP version [0-9]+$/ {
	come_to(depth)
	if (top > 0 && at[top] == depth)
		close_list()
	open_list(depth)
	next
}

text ~ /^1\.\.[0-9]+/ {
	come_to(depth)
	if (top == 0 || at[top] < depth)
		open_list(depth)
	planned[top] = substr(text, 4) + 0
	next
}

text ~ /^Bail out!/ { fail(text); next }

{ line[lines++] = $0 }

END {
	while (top > 0)
		close_list()
	printf "count %d %d %d\n", passed, failed, skipped
}
