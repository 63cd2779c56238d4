# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Configures and builds a kernel, the test programs and the guest's root.

# choose_flavour NAME: DEBUG, STOCK and MACHINE do so
choose_flavour() {
	[[ $FLAVOUR =~ ^(plain|$1)$ ]] ||
		die "$1 and FLAVOUR=$FLAVOUR are two kernels: give one of DEBUG, STOCK, MACHINE and FLAVOUR"
	FLAVOUR=$1
}

# The variables that the functions below share, for ARCH, BASE, KERNEL, DEBUG,
# STOCK, WITHOUT, MACHINE, FLAVOUR
set_build() {
	[ "$DEBUG" = 0 ] || choose_flavour debug
	[ "$STOCK" = 0 ] || [[ $FLAVOUR = bench* ]] || choose_flavour bench
	[ "$MACHINE" = virt ] || choose_flavour display
	flavour=$ARCH-$FLAVOUR
	grep -q "^$flavour:" "$overlay/configs/flavours" ||
		die "there is no kernel $flavour; tools/overlay/configs/flavours lists those there are"
	work=$mine/$BASE
	if [ -n "$KERNEL" ]; then
		KERNEL=$(realpath -e "$KERNEL") || die "KERNEL= names a directory that does not exist"
		work=$mine/user-$(printf %s "$KERNEL" | sha256sum | cut -c1-12)
	fi
	[ "$STOCK" = 0 ] || work=$work-stock
	[ -z "$WITHOUT" ] || work=$work-without-${WITHOUT%.patch}
	tree=$work/tree
	out=$work/out/$flavour
	# The flavours share the programs for the guest
	programs=$work/programs/$ARCH
	logs=$work/log
	case $ARCH in
	arm64) triplet=aarch64-linux-gnu image=arch/arm64/boot/Image host=aarch64 ;;
	x86_64) triplet=x86_64-linux-gnu image=arch/x86/boot/bzImage host=x86_64 ;;
	arm) triplet=arm-linux-gnueabihf image=arch/arm/boot/zImage host=armv7l ;;
	esac
	cross=$triplet-
	[ "$(uname -m)" != "$host" ] || cross=
}

# One build at a time in a tree: this names its lock.
build_lock() {
	printf '%s-%s' "$(basename "$mine")" "$(basename "$work")"
}

# kmake: make in the kernel tree, for this kernel. Tracking the expansion of macros for
# warnings would take a seventh of the compiler's time. ccache makes paths relative,
# so the prefix of __FILE__ is another one than the kernel removes. An empty
# LOCALVERSION keeps the release name the same for trees under git. The configuration
# does not contain the version of Rust, which differs from machine to machine.
kmake() {
	make -C "$tree" O="$out" ARCH="$ARCH" CROSS_COMPILE="$cross" -j"$JOBS" LOCALVERSION= \
		RUSTC=false \
		KCFLAGS="-ftrack-macro-expansion=0 -fmacro-prefix-map=../../tree/=" "$@"
}

# The files that the configuration is made of
fragments() {
	sed -n "s/^$flavour: *//p" "$overlay/configs/flavours" | tr ' ' '\n' |
		sed "s|.*|$overlay/configs/&.config|"
}

# asked_config: the lines of the fragments; the last line about a symbol wins
asked_config() {
	fragments | xargs cat |
		awk -F= '/^CONFIG_/ { line[$1] = $0 } END { for (s in line) print line[s] }' | sort
}

# is_taken LINE: whether the configuration has it
is_taken() {
	case $1 in
	*=n) [ "$(grep -c "^${1%%=*}=" "$out/.config")" = 0 ] ;;
	*) grep -qxF -- "$1" "$out/.config" ;;
	esac
}

# is_needed SYMBOL: whether tests are meaningless on a kernel without it
is_needed() {
	[ "$STOCK" = 0 ] && grep -qx "$1" "$overlay/configs/needed"
}

# has_symbol SYMBOL: whether the kernel has it, on some architecture
has_symbol() {
	grep -rqxE --include='Kconfig*' "[[:space:]]*(menu)?config ${1#CONFIG_}" "$tree"
}

# check_config: lists in the file lacking the symbols that the kernel does not have. A
# symbol that it has but did not take is an error, except for a tree of the user's,
# and so is the lack of one in configs/needed.
check_config() {
	local line symbol
	while read -r line; do
		symbol=${line%%=*}
		! is_taken "$line" || continue
		if is_needed "$symbol" ||
		   { [ -z "$KERNEL" ] && has_symbol "$symbol"; }; then
			die "$line of tools/overlay/configs is not what came out ($(grep -w "$symbol" "$out/.config" || echo 'no such symbol'))"
		fi
		echo "$symbol"
	done < <(asked_config) >"$out/lacking"
}

# kconf TARGET...: kmake for the configuration, which calls the compiler some hundred
# times for nothing that ccache could keep
kconf() {
	PATH=${PATH#"$compiler_cache:"} kmake "$@"
}

# Symbols that no fragment names are n
configure() {
	mkdir -p "$out"
	asked_config >"$out/asked.config"
	kconf KCONFIG_ALLCONFIG="$out/asked.config" allnoconfig
	check_config
	kconf syncconfig
}

# The kernel is configured anew only when that could give another result.
need_config() {
	local key
	key=$({
		fragments | xargs cat
		"${cross}gcc" --version
		find "$tree" -name 'Kconfig*' -type f | sort | xargs cat
	} | sha256sum)
	[ "$(cat "$out/.config-key" 2>/dev/null)" != "$key" ] || return 0
	rm -f "$out/.config-key"
	configure
	printf '%s\n' "$key" >"$out/.config-key"
}

build_kernel() {
	need_config
	kmake "$(basename "$image")" modules
	rm -rf "$out/root"
	mkdir -p "$out/root"
	kmake INSTALL_MOD_PATH="$out/root" INSTALL_MOD_STRIP=1 modules_install
	install_headers
}

# install_header NAME DIRECTORY: with those of the kernel that it includes
install_header() {
	local from=$tree/include/uapi/$1 to=$2/$1 name
	if [ -e "$to" ] || [ ! -e "$from" ]; then
		return 0
	fi
	mkdir -p "$(dirname "$to")"
	"$tree/scripts/headers_install.sh" "$from" "$to"
	sed -nE 's/^#[[:space:]]*include <(.*)>.*/\1/p' "$to" | while read -r name; do
		install_header "$name" "$2"
	done
}

# install_headers: the few that the programs include and that the C library may lack.
# Installing all takes a twelfth of the time of a kernel build. When a header
# changes, the programs are compiled anew.
install_headers() {
	local name headers=$programs/usr/include new=$programs/include.new
	kmake scripts_unifdef
	rm -rf "$new"
	cd "$out"
	for name in linux/{dma-buf,dma-buf-testdev,dma-heap,sync_file,udmabuf,videodev2}.h \
		drm/{drm,drm_fourcc,drm_mode,vgem_drm}.h; do
		install_header "$name" "$new"
	done
	# The programs are built for both kernels from the same sources
	[ "$STOCK" = 0 ] || cp "$repo/include/uapi/linux/dma-heap.h" "$new/linux/"
	! diff -r "$headers" "$new" || return 0
	rm -rf "$headers" "$programs"/{kselftest,dma-heap}
	mkdir -p "$programs/usr"
	mv "$new" "$headers"
}

# The programs for the guest: the selftests and the tool as the kernel builds
# them, and each C file of guest/
build_programs() {
	local source root=$programs/root
	rm -rf "$root"
	make -C "$tree/tools/testing/selftests" TARGETS=dmabuf-heaps O="$programs" \
		ARCH="$ARCH" CROSS_COMPILE="$cross" \
		FORCE_TARGETS=1 INSTALL_PATH="$root/kselftest" install
	make -C "$tree/tools/dma-heap" CROSS_COMPILE="$cross" O="$programs/dma-heap" \
		KHDR_INCLUDES="-isystem $programs/usr/include" CFLAGS="-O2 -Werror" LDFLAGS=-static \
		DESTDIR="$root" bindir=/bin install
	for source in "$overlay"/guest/*.c; do
		[ ! -e "$source" ] || compile "$source" "$root/bin/$(basename "$source" .c)"
	done
}

# compile SOURCE PROGRAM: for the guest, against this kernel's headers
compile() {
	"${cross}gcc" -static -O2 -Wall -Wextra -Werror -isystem "$programs/usr/include" \
		-o "$2" "$1"
}

# pack DIRECTORY FILE: as a root for the kernel
pack() {
	(cd "$1" && find . -mindepth 1 | sort | cpio -o -H newc -R 0:0 --quiet) >"$2.new"
	mv "$2.new" "$2"
}

build_root() {
	cp -a "$programs/root/." "$out/root"
	cp "$cache/busybox/$ARCH/busybox" "$out/root/bin/busybox"
	cp "$overlay/guest/init" "$out/root/init"
	find "$overlay/guest" -type f ! -name '*.[ch]' ! -name init \
		-exec cp -t "$out/root/bin" {} +
	chmod 755 "$out/root/init" "$out"/root/bin/*
	pack "$out/root" "$out/root.cpio"
}

# set_aside NAME: copy the guest's build directory without the kernel's objects, and have
# kmake build there from here on, since other checks boot the guest's kernel
set_aside() {
	local from=$out
	out=$out-$1
	mkdir -p "$out"
	rsync -a --include='/scripts/***' --include='/tools/***' --exclude='*.o' --exclude='*.a' \
		--exclude='*.ko' --exclude='vmlinux*' --exclude='/root*' --exclude='/arch/*/boot' \
		"$from/" "$out/"
}

# Has kmake compile our sources anew
remove_own_objects() {
	own_files | sed -n "s|^\(drivers/.*\)\.c\$|$out/\1.o|p" | xargs rm -f
}

# What the result depends on, as one line
build_key() {
	{
		cd "$repo"
		{ own_files; echo include/uapi/linux/dma-heap.h; } |
			sort -u | xargs -d '\n' sha256sum
		find tools/overlay/{patches,configs,guest,lib} -type f | sort |
			xargs -d '\n' sha256sum
		"${cross}gcc" --version
		if [ -n "$KERNEL" ]; then
			find "$KERNEL" -name .git -prune -o -type f -printf '%P %s %T@\n' | sort
		else
			cat "$cache/kernels/$BASE/version"
		fi
	} | sha256sum
}

# is_built KEY: whether this kernel's last complete build had that key
is_built() {
	[ "$(cat "$out/built" 2>/dev/null)" = "$1" ]
}

prepare_tree() {
	if [ -n "$KERNEL" ]; then
		step "copying the kernel tree" "$logs/tree" tree_of_user
	else
		step "preparing the kernel tree" "$logs/tree" \
			locked "kernels-$BASE" tree_of_base
	fi
}

build_all() {
	local key
	key=$(build_key)
	! is_built "$key" || return 0
	rm -f "$out/built"
	prepare_tree
	step "building the kernel ($BASE, $flavour)" "$logs/kernel-$flavour" build_kernel
	[ ! -s "$out/lacking" ] ||
		echo "Linux $(kernel_version "$tree") does without: $(paste -sd ' ' "$out/lacking")" >&2
	step "building the test programs" "$logs/programs-$ARCH" build_programs
	step "packing the guest" "$logs/root-$flavour" build_root
	printf '%s\n' "$key" >"$out/built"
}

need_source() {
	if [ -n "$KERNEL" ]; then
		check_kernel_tree "$KERNEL"
	else
		need_kernel_source
	fi
}

# start_build LIST...: install the packages that the lists name, and fetch the kernel
start_build() {
	need_packages "$@"
	want_packages optional
	use_compiler_cache
	need_source
}

# The kernel tree of BASE or KERNEL, without anything built from it
need_tree() {
	set_build
	start_build build
	locked "$(build_lock)" prepare_tree
}

# Everything that a guest of ARCH, BASE, KERNEL, FLAVOUR and DEBUG needs
need_guest() {
	local lists=(build "$ARCH")
	set_build
	[ -z "$cross" ] || lists+=("cross-$ARCH")
	start_build "${lists[@]}"
	locked "busybox-$ARCH" need_busybox
	is_built "$(build_key)" ||
		locked "$(build_lock)" build_all
}
