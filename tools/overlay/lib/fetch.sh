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

# apt_of SUITE COMMAND...: the machine's own apt, or the suite's
apt_of() {
	local suite=$1
	shift
	if [ -n "$suite" ]; then
		private_apt "$suite" "$(dpkg --print-architecture)" "$@"
	else
		"$@" -o APT::Sandbox::User=root
	fi
}

# newest_package SUITE REGEXP
newest_package() {
	apt_of "$1" apt-cache pkgnames linux-source- | grep -xE "$2" | sort -V | tail -n 1
}

# find_kernel_package SUITE REGEXP: makes sure that apt knows it, says its name
find_kernel_package() {
	local suite=$1 package=$2 name
	[ -z "$suite" ] || apt_of "$suite" apt-get -q update >&2
	name=$(newest_package "$suite" "$package" || true)
	if [ -z "$name" ] && [ -z "$suite" ]; then
		as_root apt-get -q update >&2
		name=$(newest_package "$suite" "$package" || true)
	fi
	[ -n "$name" ] || die "apt offers no package ${package//\\/} here; BASE=mainline or KERNEL= need none"
	printf '%s\n' "$name"
}

# download SUITE PACKAGE: into the current directory
download() {
	apt_of "$1" apt-get -q download "$2" && return
	# The lists may be older than the archive.
	[ -n "$1" ] || as_root apt-get -q update
	apt_of "$1" apt-get -q download "$2"
}

fetch_kernel() {
	local new=$cache/kernels/$BASE.new package suite name deb
	# shellcheck source=/dev/null
	. "$overlay/kernels/$BASE"
	rm -rf "$new"
	mkdir -p "$new/linux"
	cd "$new"
	name=$(find_kernel_package "$suite" "$package")
	download "$suite" "$name"
	deb=$(echo "$name"_*.deb)
	dpkg-deb -x "$deb" deb
	tar -xJf "deb/usr/src/$name.tar.xz" -C linux --strip-components=1
	kernel_version linux >/dev/null
	basename "$deb" .deb >version
	rm -rf deb "$deb"
	rm -rf "${cache:?}/kernels/$BASE"
	mv "$new" "$cache/kernels/$BASE"
}

# The kernel source of BASE, downloaded once
need_kernel_source() {
	[ -e "$cache/kernels/$BASE/version" ] ||
		step "fetching the $BASE kernel" "$cache/log/fetch-$BASE" fetch_kernel
}

fetch_busybox() {
	local arch=$ARCH new=$cache/busybox/$ARCH.new
	[ "$arch" != x86_64 ] || arch=amd64
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
