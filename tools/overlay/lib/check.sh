# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# For checks on the host: what builds kernels and guests, results as TAP, and a place
# for temporary files.

. "$overlay/lib/packages.sh"
. "$overlay/lib/fetch.sh"
. "$overlay/lib/tree.sh"
. "$overlay/lib/build.sh"
# shellcheck source=tools/overlay/guest/tap.sh
. "$overlay/guest/tap.sh"

scratch=$(mktemp -d "${TMPDIR:-/tmp}/dma-heaps.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

# Passes if the input is empty, and shows it
nothing_said() {
	! sed 's/^/# /' | grep .
}

# nothing_in FILE ARGUMENT...: no line that grep finds with these; shows those
# that it does
nothing_in() {
	local file=$1
	shift
	nothing_said < <(grep "$@" "$file")
}

# Writes each example of the documents to a file of its own here, and its name
code_blocks() {
	local document
	own_files | sed -n '/^Documentation\/.*\.rst$/p' | while read -r document; do
		awk -v name="$(basename "$(dirname "$document")")-$(basename "$document" .rst)" \
			-f "$overlay/lib/code-blocks.awk" "$repo/$document"
	done
}

# The options of the subsystem in the tree, and of each whether it is bool or
# tristate
heap_options() {
	# shellcheck disable=SC2154 # set_build() sets it
	find "$tree/drivers/dma-buf" -name Kconfig -exec cat {} + | awk '
		/^(menu)?config / { name = $2 }
		/^\t(bool|tristate)[ \t]/ && name ~ /^DMABUF_(HEAPS|TESTDEV)/ {
			print "CONFIG_" name, $1 }'
}
