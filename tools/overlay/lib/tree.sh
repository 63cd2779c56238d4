# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Lays the repository over a kernel tree. All of it happens in a stage, a
# directory with the few files that change; a tree is touched only after the
# stage was finished without an error.

# Folders of the repository that keep their path in a kernel tree
in_tree='drivers include Documentation tools/testing tools/dma-heap'
oldest_kernel=6.12

# laid_into_stock: of the lines of the input, those that patches/stock names, or
# that lie in a folder that it names
laid_into_stock() {
	awk 'NR == FNR { if (!/^#/) names[$1]; next }
		{ for (n in names) if ($1 == n || index($1, n "/") == 1) { print; next } }' \
		"$overlay/patches/stock" -
}

# What the repository lays into a tree, one path a line
own_files() {
	if [ "$STOCK" = 1 ]; then all_files | laid_into_stock; else all_files; fi
}

# What the repository has for a tree, one path a line
all_files() {
	local d
	for d in $in_tree; do
		[ ! -d "$repo/$d" ] ||
			(cd "$repo" && find "$d" -type f ! -name '*~' ! -name '.*.swp' \
				! -name '*.o' ! -name '*.orig' ! -name '*.rej' \
				! -path tools/dma-heap/dmaheap)
	done | sort
}

# kernel_version TREE: as 6.12.117; fails if it is no kernel tree
kernel_version() {
	awk -F' *= *' '$1 ~ /^(VERSION|PATCHLEVEL|SUBLEVEL)$/ { v[$1] = $2 }
		NR > 10 { exit }
		END { if (v["PATCHLEVEL"] == "") exit 1
		      print v["VERSION"] "." v["PATCHLEVEL"] "." v["SUBLEVEL"] }' \
		"$1/Makefile" 2>/dev/null
}

# Refuses a directory that cannot be a tree for us.
check_kernel_tree() {
	local version
	[ -d "$1" ] || die "KERNEL=$1 is not a directory"
	version=$(kernel_version "$1") ||
		die "$1/Makefile: not the Makefile of a Linux kernel; KERNEL= names the top of a kernel tree"
	[ -f "$1/drivers/dma-buf/Kconfig" ] ||
		die "$1/drivers/dma-buf/Kconfig is missing: this kernel has no dma-buf"
	printf '%s\n' "$oldest_kernel" "$version" | sort -CV ||
		die "$1/Makefile: this is Linux $version; $oldest_kernel is the oldest that the heaps can be laid into"
}

# files_in DIRECTORY: their paths there
files_in() {
	(cd "$1" && find . -type f -printf '%P\n' | sort)
}

# present TREE: of the files named by the input, those that TREE has
present() {
	local f
	while read -r f; do
		[ ! -e "$1/$f" ] || printf '%s\n' "$f"
	done
}

# copy_present TREE TO: the same, copied
copy_present() {
	present "$1" | (cd "$1" && xargs -d '\n' -r cp -a --parents -t "$2")
}

# patch_files PATCH: the files it changes
patch_files() {
	sed -n 's|^+++ b/\([^[:space:]]*\).*|\1|p' "$1"
}

# there_already TREE STAGE PATTERN FILE...: whether one of the files has it
there_already() {
	local tree=$1 stage=$2 pattern=$3 f
	shift 3
	for f; do
		[ -f "$tree/$f" ] || die "$tree/$f is missing; patches/series looks into it"
		if [ -e "$stage/$f" ]; then f=$stage/$f; else f=$tree/$f; fi
		! grep -qE "$pattern" "$f" || return 0
	done
	return 1
}

# stage_patch TREE STAGE PATCH PATTERN FILE...: unless a FILE shows that it is
# not needed
stage_patch() {
	local tree=$1 stage=$2 name=$3 pattern=$4 patch=$overlay/patches/$3 f
	shift 4
	for f in $(patch_files "$patch"); do
		[ -f "$tree/$f" ] || die "$tree/$f is missing; the patch $name changes it"
		if [ ! -e "$stage/$f" ]; then
			mkdir -p "$(dirname "$stage/$f")"
			cp "$tree/$f" "$stage/$f"
		fi
	done
	! there_already "$tree" "$stage" "$pattern" "$@" || return 0
	for f in $(patch_files "$patch"); do
		patch -d "$stage" -p1 -F0 -s -f --no-backup-if-mismatch -r - \
			>"$stage.reason" 2>&1 < <(one_file_of "$patch" "$f") ||
			die "$tree/$f: the patch $name does not apply: $(tr '\n' ' ' <"$stage.reason")"
	done
	there_already "$tree" "$stage" "$pattern" "$@" ||
		die "$overlay/patches/series: $name does not leave '$pattern' in $*"
}

# one_file_of PATCH FILE: the part of the patch about FILE
one_file_of() {
	awk -v want="--- a/$2" '/^--- a\// { on = ($0 == want) } on' "$1"
}

# Kernels before 6.13 take NAMESPACE where later ones take "NAMESPACE".
has_unquoted_namespaces() {
	grep -q 'MODULE_INFO(import_ns, __stringify' "$1/include/linux/module.h"
}

# unquote_namespaces FILE...: for such a kernel
unquote_namespaces() {
	local users left use='(EXPORT_SYMBOL_NS(_GPL)?|MODULE_IMPORT_NS)\([^()]*"'
	mapfile -t users < <(grep -lzE "$use" "$@")
	[ ${#users[@]} != 0 ] || return 0
	sed -i -E \
		-e 's/(MODULE_IMPORT_NS\()"([A-Z_]+)"\)/\1\2)/' \
		-e 's/(EXPORT_SYMBOL_NS(_GPL)?\([a-z0-9_]+, *)"([A-Z_]+)"\)/\1\3)/' \
		"${users[@]}"
	left=$(grep -lzE "$use" "${users[@]}") || return 0
	die "$left: a quoted namespace is left that kernels before 6.13 do not take; write it as EXPORT_SYMBOL_NS_GPL(name, \"NAMESPACE\") on one line"
}

# Kernels before 6.17 take a pfn_t where later ones take a number.
has_pfn_t() {
	grep -q 'vmf_insert_pfn_pmd(struct vm_fault \*vmf, pfn_t' "$1/include/linux/huge_mm.h"
}

# Makes such a thing of the number, for such a kernel
use_pfn_t() {
	local f=$1/drivers/dma-buf/heaps/heap-helpers.c
	sed -i \
		-e 's/\(vmf_insert_pfn_pmd(vmf,\) pfn,/\1 pfn_to_pfn_t(pfn),/' \
		-e '/^#include <linux\/overflow\.h>$/a #include <linux/pfn_t.h>' "$f"
	[ "$(grep -c 'pfn_to_pfn_t(\|linux/pfn_t' "$f")" = 2 ] ||
		die "$f: vmf_insert_pfn_pmd() could not be given the type that this kernel has"
}

# Takes out the option that needs DMA_ATTR_CC_SHARED, which this kernel lacks.
drop_cc_shared() {
	local kconfig=$1/drivers/dma-buf/heaps/Kconfig
	sed -i '/^config DMABUF_HEAPS_SYSTEM_CC_SHARED$/,/^config DMABUF_HEAPS_CMA$/{/_CMA$/!d}' \
		"$kconfig"
	! grep -q CC_SHARED "$kconfig" ||
		die "drivers/dma-buf/heaps/Kconfig: the option DMABUF_HEAPS_SYSTEM_CC_SHARED could not be taken out for this kernel"
}

# The section that the kernel's MAINTAINERS has about heaps, with the files that
# ours names and its people.
stage_maintainers() {
	local tree=$1 stage=$2 title
	[ -f "$tree/MAINTAINERS" ] || die "$tree/MAINTAINERS is missing; the heaps' files are entered there"
	title=$(head -n 1 "$repo/MAINTAINERS")
	grep -qxF "$title" "$tree/MAINTAINERS" ||
		die "$tree/MAINTAINERS: there is no section $title, in which the heaps' files are entered"
	awk -v title="$title" '
		NR == FNR { if (/^F:/) files = files $0 "\n"; next }
		$0 == title { inside = 1 }
		inside && /^$/ { printf "%s", files; inside = 0 }
		inside && /^F:/ { next }
		{ print }' "$repo/MAINTAINERS" "$tree/MAINTAINERS" >"$stage/MAINTAINERS"
}

# The lines of patches/series that are meant for this kernel
patch_list() {
	awk -v without="$WITHOUT" '!/^#/ && $1 != without' "$overlay/patches/series" |
		if [ "$STOCK" = 1 ]; then laid_into_stock; else cat; fi
}

# stage_overlay TREE STAGE: fills STAGE (made anew) with what is to be in TREE
stage_overlay() {
	local tree=$1 stage=$2 sources patch files pattern
	rm -rf "$stage"
	mkdir -p "$stage"
	own_files | (cd "$repo" && xargs -d '\n' -r cp --parents -t "$stage")
	if has_unquoted_namespaces "$tree"; then
		mapfile -t sources < <(own_files | grep '\.[ch]$')
		(cd "$stage" && unquote_namespaces "${sources[@]}")
	fi
	[ "$STOCK" = 1 ] || ! has_pfn_t "$tree" || use_pfn_t "$stage"
	[ "$STOCK" = 1 ] ||
		grep -q DMA_ATTR_CC_SHARED "$tree/include/linux/dma-mapping.h" ||
		drop_cc_shared "$stage"
	while IFS='|' read -r patch files pattern; do
		# shellcheck disable=SC2086 # words
		stage_patch "$tree" "$stage" "${patch% }" "${pattern# }" $files
	done < <(patch_list)
	[ "$STOCK" = 1 ] || stage_maintainers "$tree" "$stage"
}

# lay STAGE TREE: copies what differs
lay() {
	local f to
	to=$(realpath "$2")
	files_in "$1" >"$1.files"
	while read -r f; do
		cmp -s "$1/$f" "$2/$f" || printf '%s\n' "$f"
	done <"$1.files" >"$1.differ"
	(cd "$1" && xargs -d '\n' -r cp --parents --remove-destination -t "$to") <"$1.differ"
}

# Brings back FILE of TREE as PRISTINE has it.
restore() {
	if [ -e "$2/$1" ]; then
		cp --remove-destination "$2/$1" "$3/$1"
	else
		rm -f "$3/$1"
	fi
}

# sync_tree PRISTINE TREE: TREE becomes PRISTINE with the overlay, and only
# files whose content changes are written, so that make rebuilds little.
sync_tree() {
	local pristine=$1 tree=$2 stage=$2.stage laid=$2.laid f
	touch "$laid"
	stage_overlay "$pristine" "$stage"
	files_in "$stage" >"$laid.new"
	comm -23 "$laid" "$laid.new" >"$laid.gone"
	# From here on an interruption leaves files of both lists.
	sort -u "$laid" "$laid.new" >"$laid.both"
	mv "$laid.both" "$laid"
	while read -r f; do
		restore "$f" "$pristine" "$tree"
	done <"$laid.gone"
	lay "$stage" "$tree"
	mv "$laid.new" "$laid"
	rm -rf "$stage" "$stage".* "$laid.gone"
}

# The functions from here on use $work, which is set by set_build().
# shellcheck disable=SC2154

# The tree of Debian's kernel source, copied once for this checkout and base
tree_of_base() {
	local pristine=$cache/kernels/$BASE/linux version
	version=$(cat "$cache/kernels/$BASE/version")
	if [ "$(cat "$work/version" 2>/dev/null)" != "$version" ]; then
		rm -rf "${work:?}/version" "$work/tree" "$work/tree.new" "$work"/tree.laid* \
			"$work/out" "$work/programs"
		mkdir -p "$work"
		# Hard links: lay() and restore() replace files and never write into them
		cp -al "$pristine" "$work/tree.new"
		mv "$work/tree.new" "$work/tree"
		printf '%s\n' "$version" >"$work/version"
	fi
	sync_tree "$pristine" "$work/tree"
}

# Removes what a build left in our copy of a user's tree.
mrproper_tree() {
	local a
	[ -e "$1/.config" ] || [ -d "$1/include/config" ] ||
		[ -n "$(find "$1/arch" -maxdepth 3 -path '*/include/generated')" ] ||
		return 0
	for a in "$1"/arch/*/include/generated; do
		[ ! -d "$a" ] || {
			a=${a#"$1"/arch/}
			make -C "$1" ARCH="${a%%/*}" mrproper
		}
	done
	make -C "$1" ARCH="$ARCH" mrproper
}

# The user's tree, copied (what changed of it) and cleaned
tree_of_user() {
	mkdir -p "$work/tree"
	touch "$work/tree.laid"
	{
		sed 's|^|/|' "$work/tree.laid"
		printf '%s\n' .git '*.o' '*.ko' '*.cmd' '*.a' '*.mod' '*.mod.c'
	} >"$work/exclude"
	rsync -a --delete --exclude-from="$work/exclude" "$KERNEL/" "$work/tree/"
	mrproper_tree "$work/tree"
	sync_tree "$KERNEL" "$work/tree"
}
