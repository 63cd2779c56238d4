# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# For checks of the patch series: the patches, and a pristine tree to put them on.

export GIT_AUTHOR_NAME=check GIT_AUTHOR_EMAIL=check@localhost
export GIT_COMMITTER_NAME=check GIT_COMMITTER_EMAIL=check@localhost

# The patches for BASE, without the cover letter; the first call makes them
patches() {
	[ -d "$scratch/patches" ] || "$overlay/series" "$scratch/patches" >&2
	find "$scratch/patches" -name '*.patch' ! -name '0000-*' | sort
}

# pristine_tree DIRECTORY: under git, which need only know the files that are
# changed, and what checkpatch looks up identifiers in
pristine_tree() {
	rm -rf "$1"
	mkdir -p "$(dirname "$1")"
	# Links, since git replaces a file and does not write into it
	cp -al "$cache/kernels/$BASE/linux" "$1"
	cd "$1"
	git init -q .
	# A link that another tree makes or drops changes the ctime of a file here
	git config core.trustctime false
	patches | xargs sed -n 's|^--- a/||p' | sort -u | present . |
		xargs -d '\n' git add -f -- LICENSES
	git commit -q -m pristine
	git tag pristine
}
