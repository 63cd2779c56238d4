# SPDX-License-Identifier: GPL-2.0-only
# awk -v name=NAME -f code-blocks.awk DOCUMENT.rst: writes each block of C, of
# shell and of a device tree to NAME-LINE.c, .sh or .dts, and prints these names.

function begin(language) {
	file = name "-" NR "." language
	indent = ""
	print file
}

/^\.\. code-block:: (c|sh|dts)$/ { begin($3); next }
file == "" { next }
/^[ \t]*$/ { if (indent != "") print "" >file; next }
indent == "" { match($0, /^[ \t]*/); indent = substr($0, 1, RLENGTH) }
index($0, indent) == 1 && indent != "" { print substr($0, length(indent) + 1) >file; next }
{ close(file); file = "" }
