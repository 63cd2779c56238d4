# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Downloads into the cache. Everything gets a temporary name and its own name
# last, so what has its name is complete.

# The mirror and release name of the Debian archive that this machine uses
debian_mirror() {
	# shellcheck disable=SC2016 # apt's own variables
	apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' \
		'Created-By: Packages' |
		awk '$1 == "Debian" && $2 !~ /-/ { print $3, $2; exit }'
}

# private_apt SUITE ARCHITECTURE COMMAND...: an apt with lists of its own, so
# that the machine's stay as they are. An empty SUITE is the machine's release.
private_apt() {
	local suite=$1 arch=$2 dir mirror release
	shift 2
	read -r mirror release < <(debian_mirror) || true
	[ -n "${mirror:-}" ] ||
		die "this machine's apt knows no Debian archive; on such a system give KERNEL=, and a Debian to boot the guest"
	dir=$cache/apt/${suite:-$release}-$arch
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror ${suite:-$release} main" \
		>"$dir/sources.list"
	# sid may not have been renewed for longer than its index promises.
	"$@" -o Dir::Etc::sourcelist="$dir/sources.list" -o Dir::Etc::sourceparts=- \
		-o Dir::State::lists="$dir/lists" -o Dir::Cache="$dir/cache" \
		-o APT::Architecture="$arch" -o APT::Architectures="$arch" \
		-o APT::Sandbox::User=root -o Acquire::Check-Valid-Until=false
}

# with_dependencies ARCHITECTURE PACKAGE...: these of sid and all that they depend on
with_dependencies() {
	local arch=$1
	shift
	private_apt sid "$arch" apt-get -s -o Dir::State::status=/dev/null \
		--no-install-recommends install "$@" | sed -n 's/^Inst \([^ ]*\).*/\1/p'
}

# unpack_with_dependencies ARCHITECTURE WITHOUT PACKAGE...: these of sid and all
# that they depend on, but for what has a name as the regular expression WITHOUT,
# unpacked in the current directory; the file packages names them
unpack_with_dependencies() {
	local arch=$1 without=$2 names f
	shift 2
	private_apt sid "$arch" apt-get -q update
	names=$(with_dependencies "$arch" "$@" | grep -vxE "$without")
	# shellcheck disable=SC2086 # words
	private_apt sid "$arch" apt-get -q download $names
	for f in *.deb; do
		dpkg-deb -x "$f" .
		echo "$f" >>packages
		rm "$f"
	done
}

# apt_of SUITE COMMAND...: the suite's apt, or with "own" the machine's
apt_of() {
	local suite=$1
	shift
	if [ "$suite" = own ]; then
		"$@" -o APT::Sandbox::User=root
	else
		private_apt "$suite" "$(dpkg --print-architecture)" "$@"
	fi
}

# update_lists SUITE: only root may renew the machine's own
update_lists() {
	if [ "$1" = own ]; then
		as_root apt-get -q update
	else
		apt_of "$1" apt-get -q update
	fi
}

# package_version SUITE NAME
package_version() {
	apt_of "$1" apt-cache show --no-all-versions "$2" | sed -n 's/^Version: //p'
}

# newest_package SUITE REGEXP: its version and name; nothing if the suite has none
newest_package() {
	local name
	name=$(apt_of "$1" apt-cache pkgnames linux-source- |
		{ grep -xE "$2" || true; } | sort -V | tail -n 1)
	[ -z "$name" ] || echo "$(package_version "$1" "$name") $name"
}

# found_in SUITE REGEXP: the same, after renewing the suite's lists if necessary
found_in() {
	local found=
	[ "$1" != own ] || found=$(newest_package "$@")
	if [ -z "$found" ] && update_lists "$1" >&2; then
		found=$(newest_package "$@")
	fi
	[ -z "$found" ] || echo "$found"
}

# newest_source: version, name and suite of the newest source package for BASE
newest_source() {
	local package suites suite
	# shellcheck source=/dev/null
	. "$overlay/kernels/$BASE"
	for suite in $suites; do
		found_in "$suite" "$package" | sed "s/\$/ $suite/"
	done | sort -V | tail -n 1
}

fetch_kernel() {
	local new=$cache/kernels/$BASE.new version name suite deb
	read -r version name suite < <(newest_source) ||
		die "apt finds no kernel source for BASE=$BASE in the suites that tools/overlay/kernels/$BASE names (own is what this machine's apt is set up for). KERNEL= needs none"
	[ "$(cat "$cache/kernels/$BASE/version" 2>/dev/null)" != "${name}_$version" ] || return 0
	rm -rf "$new"
	mkdir -p "$new/linux"
	cd "$new"
	apt_of "$suite" apt-get -q download "$name"
	deb=$(echo linux-source-*.deb)
	dpkg-deb -x "$deb" deb
	tar -xJf deb/usr/src/linux-source-*.tar.xz -C linux --strip-components=1
	kernel_version linux >/dev/null
	echo "${name}_$version" >version
	rm -rf deb "$deb"
	rm -rf "${cache:?}/kernels/$BASE"
	mv "$new" "$cache/kernels/$BASE"
}

# need_kernel_source: fetch the source of BASE; look for a newer one after a week
need_kernel_source() {
	locked "kernels-$BASE" fetch_kernel_once
}

fetch_kernel_once() {
	local have=$cache/kernels/$BASE/version
	if [ ! -e "$have" ]; then
		step "fetching the $BASE kernel" "$cache/log/fetch-$BASE" fetch_kernel
	elif [ -n "$(find "$have" -mtime +7)" ]; then
		(step "looking for a newer $BASE kernel" "$cache/log/fetch-$BASE" fetch_kernel) ||
			echo "going on with $(cat "$have")" >&2
		touch "$have"
	fi
}

fetch_busybox() {
	local arch=$ARCH new=$cache/busybox/$ARCH.new
	case $arch in
	x86_64) arch=amd64 ;;
	arm) arch=armhf ;;
	esac
	rm -rf "$new"
	mkdir -p "$new"
	cd "$new"
	private_apt '' "$arch" apt-get -q update
	private_apt '' "$arch" apt-get -q download busybox-static
	dpkg-deb -x busybox-static_*.deb deb
	mv deb/bin/busybox busybox
	rm -rf deb ./*.deb
	rm -rf "${cache:?}/busybox/$ARCH"
	mv "$new" "$cache/busybox/$ARCH"
}

# A static busybox for the guest, downloaded once
need_busybox() {
	[ -e "$cache/busybox/$ARCH/busybox" ] ||
		step "fetching busybox for $ARCH" "$cache/log/fetch-busybox-$ARCH" fetch_busybox
}
