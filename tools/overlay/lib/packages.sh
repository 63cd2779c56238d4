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
	local installed
	installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
		sed -n 's/^installed //p' | sort -u) || true
	printf '%s\n' "$@" | sort -u | comm -23 - <(printf '%s\n' "$installed")
}

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

install_packages() {
	export DEBIAN_FRONTEND=noninteractive
	as_root apt-get -q update
	as_root apt-get -qy -o Dpkg::Options::=--force-confold --no-install-recommends install "$@"
}

# Installs what is missing of the packages given.
install_missing() {
	local missing
	mapfile -t missing < <(missing_packages "$@")
	[ ${#missing[@]} != 0 ] || return 0
	if [ "$(id -u)" != 0 ]; then
		[ -n "$(type -P sudo)" ] ||
			die "these packages are missing: ${missing[*]}. You are not root and there is no sudo: have root install them by apt-get"
		sudo -v || die "these packages are missing: ${missing[*]}. sudo let you not install them: have root do it by apt-get"
	fi
	step "installing ${#missing[@]} packages" "$mine/log/packages" install_packages "${missing[@]}"
}

# need_packages LIST...: sees to it that all of these lists are installed
need_packages() {
	local list
	mapfile -t list < <(package_list "$@")
	[ -n "$(type -P apt-get)" ] ||
		die "this system has no apt-get. Install what Debian has in these packages, and use a Debian for the rest: ${list[*]}"
	[ -z "$(missing_packages "${list[@]}")" ] ||
		locked packages install_missing "${list[@]}"
}

# want_packages LIST...: the same, but goes on without what cannot be installed
want_packages() {
	local list
	mapfile -t list < <(package_list "$@")
	[ -z "$(missing_packages "${list[@]}")" ] || (need_packages "$@") ||
		echo "going on without ${list[*]}" >&2
}
