# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Debian packages: what the lists in packages/ name, and downloads by apt.

# package_list NAME...: the packages of these lists
package_list() {
	local name
	for name; do
		grep -hv '^#' "$overlay/packages/$name"
	done
}

# Which of the packages given are not installed
missing_packages() {
	printf '%s\n' "$@" | sort >"$mine/wanted"
	{ dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true; } |
		sed -n 's/^installed //p' | sort -u | comm -23 "$mine/wanted" -
}

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

install_packages() {
	export DEBIAN_FRONTEND=noninteractive
	as_root apt-get -q update
	as_root apt-get -qy -o Dpkg::Options::=--force-confold --no-install-recommends install "$@"
}

# need_packages LIST...: installs what is missing of these lists
need_packages() {
	local list missing
	mapfile -t list < <(package_list "$@")
	[ -n "$(type -P apt-get)" ] ||
		die "this system has no apt-get. Install what Debian has in these packages, and use a Debian for the rest: ${list[*]}"
	mapfile -t missing < <(missing_packages "${list[@]}")
	[ ${#missing[@]} != 0 ] || return 0
	if [ "$(id -u)" != 0 ]; then
		[ -n "$(type -P sudo)" ] ||
			die "these packages are missing: ${missing[*]}. You are not root and there is no sudo: have root install them by apt-get"
		sudo -v || die "these packages are missing: ${missing[*]}. sudo let you not install them: have root do it by apt-get"
	fi
	step "installing ${#missing[@]} packages" "$mine/log/packages" install_packages "${missing[@]}"
}
