# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Configures and builds a kernel, the test programs and the guest's root.

# choose_flavour NAME: DEBUG and STOCK do so
choose_flavour() {
	[[ $FLAVOUR =~ ^(plain|$1)$ ]] ||
		die "$1 and FLAVOUR=$FLAVOUR are two kernels: give one of DEBUG, STOCK and FLAVOUR"
	FLAVOUR=$1
}

# The variables that the functions below share, for ARCH, BASE, KERNEL, DEBUG,
# STOCK, WITHOUT, FLAVOUR
set_build() {
	[ "$DEBUG" = 0 ] || choose_flavour debug
	[ "$STOCK" = 0 ] || choose_flavour bench
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

# make in the kernel tree, for this kernel
kmake() {
	make -C "$tree" O="$out" ARCH="$ARCH" CROSS_COMPILE="$cross" -j"$JOBS" "$@"
}

# The files that the configuration is made of
fragments() {
	sed -n "s/^$flavour: *//p" "$overlay/configs/flavours" | tr ' ' '\n' |
		sed "s|.*|$overlay/configs/&.config|"
}

# Whether a symbol is one that the stock kernel lacks since it is ours
lacked_by_stock() {
	[ "$STOCK" = 1 ] &&
		grep -qx "config ${1#CONFIG_}" "$repo/drivers/dma-buf/heaps/Kconfig" &&
		! grep -rqx --include='Kconfig*' "config ${1#CONFIG_}" "$tree/drivers"
}

# Fails naming the first symbol of a fragment that the kernel did not take.
check_config() {
	local line symbol
	while read -r line; do
		symbol=${line%%=*}
		if [ "${line#*=}" = n ]; then
			! grep -q "^$symbol=" "$out/.config"
		else
			grep -qxF "$line" "$out/.config" || lacked_by_stock "$symbol"
		fi || die "$line of tools/overlay/configs is not what came out ($(grep -w "$symbol" "$out/.config" || echo 'no such symbol'))"
	done < <(cat "$@" | grep '^CONFIG_')
}

configure() {
	local list
	mapfile -t list < <(fragments)
	mkdir -p "$out"
	kmake tinyconfig
	"$tree/scripts/kconfig/merge_config.sh" -m -O "$out" "$out/.config" "${list[@]}"
	kmake olddefconfig
	check_config "${list[@]}"
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
	kmake headers_install
	# Programs are the same on either kernel, and know what the other has
	[ "$STOCK" = 0 ] ||
		cp "$repo/include/uapi/linux/dma-heap.h" "$out/usr/include/linux"
}

# The programs for the guest: the selftests and the tool as the kernel builds
# them, and each C file of guest/
build_programs() {
	local source
	make -C "$tree/tools/testing/selftests" TARGETS=dmabuf-heaps O="$out" \
		ARCH="$ARCH" CROSS_COMPILE="$cross" \
		FORCE_TARGETS=1 INSTALL_PATH="$out/root/kselftest" install
	# Of ours also in a stock tree, whose headers lack what it asks for
	make -C "$repo/tools/dma-heap" CROSS_COMPILE="$cross" O="$out/dma-heap" \
		KHDR_INCLUDES="-isystem $out/usr/include" CFLAGS="-O2 -Werror" LDFLAGS=-static \
		DESTDIR="$out/root" bindir=/bin install
	for source in "$overlay"/guest/*.c; do
		[ ! -e "$source" ] || compile "$source" "$out/root/bin/$(basename "$source" .c)"
	done
}

# compile SOURCE PROGRAM: for the guest, against this kernel's headers
compile() {
	"${cross}gcc" -static -O2 -Wall -Wextra -Werror -isystem "$out/usr/include" \
		-o "$2" "$1"
}

# pack DIRECTORY FILE: as a root for the kernel
pack() {
	(cd "$1" && find . -mindepth 1 | sort | cpio -o -H newc -R 0:0 --quiet) >"$2.new"
	mv "$2.new" "$2"
}

build_root() {
	cp "$cache/busybox/$ARCH/busybox" "$out/root/bin/busybox"
	cp "$overlay/guest/init" "$out/root/init"
	find "$overlay/guest" -type f ! -name '*.[ch]' ! -name init \
		-exec cp -t "$out/root/bin" {} +
	chmod 755 "$out/root/init" "$out"/root/bin/*
	pack "$out/root" "$out/root.cpio"
}

# set_aside NAME: from here on kmake builds beside the guest's kernel, which other
# checks boot, with its configuration
set_aside() {
	local config=$out/.config
	out=$out-$1
	mkdir -p "$out"
	cmp -s "$config" "$out/.config" || cp "$config" "$out/.config"
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
	step "building the test programs" "$logs/programs-$flavour" build_programs
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

# The kernel tree of BASE or KERNEL, without anything built from it
need_tree() {
	set_build
	need_source
	locked "$(build_lock)" prepare_tree
}

# Everything that a guest of ARCH, BASE, KERNEL, FLAVOUR and DEBUG needs
need_guest() {
	local lists=(build "$ARCH")
	set_build
	[ -z "$cross" ] || lists+=("cross-$ARCH")
	need_packages "${lists[@]}"
	need_source
	locked "busybox-$ARCH" need_busybox
	is_built "$(build_key)" ||
		locked "$(build_lock)" build_all
}
