# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Boots the guest in QEMU and brings back its verdict.

# The directory of this boot: what goes in, the console, the verdict
new_boot() {
	mkdir -p "$mine/boots"
	boot=$(mktemp -d "$mine/boots/XXXXXX")
	mkdir -p "$boot/root/etc/guest" "$boot/root/root"
	trap 'rm -rf "$boot"' EXIT
}

# What this boot adds to the guest's root
add_files() {
	local f roots=("$out/root.cpio")
	for f in $FILES; do
		[ -e "$f" ] || die "FILES names $f, which does not exist"
		cp -a "$f" "$boot/root/root/"
	done
	if [ -n "$RUN" ]; then
		printf '%s\n' "$RUN" >"$boot/root/etc/guest/run"
	else
		stty size | sed 's/\(.*\) /rows \1 columns /' >"$boot/root/etc/guest/terminal"
	fi
	pack "$boot/root" "$boot/root.cpio"
	[ "$CLIENTS" = 0 ] || roots+=("$clients/root.cpio")
	cat "${roots[@]}" "$boot/root.cpio" >"$boot/initrd"
}

# The words that start this machine, in the array qemu
set_machine() {
	local console=ttyAMA0
	case $ARCH-$MACHINE in
	arm64-virt) qemu=(qemu-system-aarch64 -M "virt,gic-version=3" -cpu max) ;;
	x86_64-virt)
		qemu=(qemu-system-x86_64 -M q35 -cpu max)
		console=ttyS0
		;;
	arm-virt) qemu=(qemu-system-arm -M virt -cpu max) ;;
	arm-vexpress)
		# Time by instructions: on a busy host the interrupt of the display,
		# which the driver waits 100 ms for, would be late
		qemu=(qemu-system-arm -M vexpress-a15 -icount "shift=2")
		SMP=1
		;;
	*) die "MACHINE=$MACHINE needs ARCH=arm" ;;
	esac
	# Never KVM by itself: there are hosts where it is there and hangs.
	qemu+=(-accel tcg -smp "$SMP" -m "$MEM" -nodefaults -no-reboot -display none)
	# shellcheck disable=SC2206 # words, as on a command line
	qemu+=($QEMU_ARGS)
	# Tests make many trace instances, each with buffers of this size
	cmdline="console=$console panic=-1 oops=panic panic_on_warn=1 trace_buf_size=64K"
	cmdline+=" cma=64M dma_buf_testdev.edu_dma_bits=32 $APPEND"
}

# What is plugged in: two ports for init, and what the machine is there for, a
# screen or the device that does DMA, of which the kernel is told by edu_dma_bits=
# how far it reaches
add_devices() {
	local ports=virtio-serial-pci
	[ "$MACHINE" != vexpress ] || ports=virtio-serial-device
	qemu+=(-device "$ports"
		-chardev "file,id=verdict,path=$boot/verdict"
		-device "virtserialport,chardev=verdict,name=verdict"
		-chardev "file,id=output,path=$boot/output"
		-device "virtserialport,chardev=output,name=output")
	if [ "$MACHINE" = vexpress ]; then
		add_screen
	else
		qemu+=(-device "edu,dma_mask=0xffffffff")
	fi
	# The displays that this kernel has drivers for
	[ "$FLAVOUR" != clients ] ||
		qemu+=(-device virtio-gpu-pci -device bochs-display)
}

# Merges DTS into the tree that QEMU makes for this machine.
merge_device_tree() {
	[ "$ARCH" = arm64 ] || die "DTS= needs ARCH=arm64: this machine boots without a device tree of ours"
	[ -e "$DTS" ] || die "DTS=$DTS does not exist"
	"${qemu[@]}" -machine "dumpdtb=$boot/machine.dtb" 2>"$boot/dtb.log" ||
		die "QEMU gave no device tree: $(cat "$boot/dtb.log")"
	dtc -q -@ -I dts -O dtb -o "$boot/overlay.dtbo" "$DTS" ||
		die "$DTS does not compile"
	fdtoverlay -i "$boot/machine.dtb" -o "$boot/merged.dtb" "$boot/overlay.dtbo" ||
		die "$DTS does not fit the machine's tree"
}

# load FILE ADDRESS: the words that have QEMU put a file into memory
load() {
	qemu+=(-device "loader,file=$1,addr=$2,force-raw=on")
}

# Has QEMU start the kernel with just the merged tree; its own, which nobody
# uses, has the first MiB of memory. With -dtb it would take the memory nodes of
# the tree for its own to write.
load_with_tree() {
	local start=0x40100000 tree=0x40110000 kernel=0x40200000 initrd=0x48000000 end
	end=$((initrd + $(stat -c %s "$boot/initrd")))
	"${cross}gcc" -c -D "TREE=$tree" -D "KERNEL=$kernel" \
		-o "$boot/boot.o" "$overlay/machines/boot.S"
	"${cross}objcopy" -O binary "$boot/boot.o" "$boot/boot.bin"
	fdtput -t x "$boot/merged.dtb" /chosen linux,initrd-start "${initrd#0x}"
	fdtput -t x "$boot/merged.dtb" /chosen linux,initrd-end "$(printf %x "$end")"
	fdtput -t s "$boot/merged.dtb" /chosen bootargs "$cmdline"
	load "$boot/boot.bin" "$start"
	load "$boot/merged.dtb" "$tree"
	load "$out/$image" "$kernel"
	load "$boot/initrd" "$initrd"
	qemu+=(-device "loader,addr=$start,cpu-num=0")
}

# The device tree of the board that the kernel has, with ours added
compile_board_tree() {
	local board=$overlay/machines/$MACHINE.dts
	cpp -nostdinc -undef -D__DTS__ -x assembler-with-cpp -I "$tree/include" \
		-I "$tree/arch/arm/boot/dts" "$board" >"$boot/board.dts"
	dtc -q -I dts -O dtb -o "$boot/board.dtb" "$boot/board.dts" ||
		die "$board does not fit the kernel's device tree"
}

load_kernel() {
	if [ -n "$DTS" ]; then
		load_with_tree
	else
		if [ "$MACHINE" = vexpress ]; then
			compile_board_tree
			qemu+=(-dtb "$boot/board.dtb")
		fi
		qemu+=(-kernel "$out/$image" -initrd "$boot/initrd" -append "$cmdline")
	fi
}

# What RUN prints comes by a pipe and goes where our own output goes.
run_with_output() {
	local keep cat_pid screen_pid= status=0
	mkfifo "$boot/output"
	# Open for as long as QEMU runs, so that cat ends even if QEMU never opens
	# it.
	exec {keep}<>"$boot/output"
	cat "$boot/output" {keep}>&- &
	cat_pid=$!
	if [ "$MACHINE" = vexpress ]; then
		serve_screen {keep}>&- &
		screen_pid=$!
	fi
	timeout --foreground -k 5 "${TIMEOUT:-300}" "${qemu[@]}" \
		{keep}>&- </dev/null 2>"$boot/qemu.log" || status=$?
	exec {keep}>&-
	wait "$cat_pid"
	# It waits for ever for a QEMU that did not start
	[ -z "$screen_pid" ] || kill "$screen_pid" 2>/dev/null || true
	return "$status"
}

# The console is the user's terminal, for as long as the user likes.
run_with_shell() {
	local status=0
	echo "The guest's console; Ctrl-A X ends it." >&2
	timeout --foreground -k 5 "${TIMEOUT:-0}" "${qemu[@]}" 2>"$boot/qemu.log" ||
		status=$?
	return "$status"
}

# Runs QEMU; its status says no more than whether it ran and had the time.
run_qemu() {
	if [ -n "$RUN" ]; then
		load_kernel
		qemu+=(-serial "file:$boot/console")
		run_with_output
	else
		cmdline+=" quiet"
		load_kernel
		qemu+=(-serial chardev:console
			-chardev "stdio,id=console,mux=on,signal=off,logfile=$boot/console")
		run_with_shell
	fi
}

# Keeps the console of a boot that went wrong (as CONSOLE, where make check wants
# it), and shows its end.
show_console() {
	cp "$boot/console" "${CONSOLE:=$mine/log/console}"
	{
		echo "--- the console's last lines:"
		tail -n 40 "$boot/console" | tr -d '\r'
		echo "--- all of it: $CONSOLE"
	} >&2
}

# failed_boot STATUS REASON: the status, after saying why
failed_boot() {
	echo "error: $2" >&2
	show_console
	return "$1"
}

# boot_guest: the guest's verdict as status; 124 if the time was up, 125 if the
# kernel warned, oopsed or panicked, or memory leaked
boot_guest() {
	local status=0 verdict
	new_boot
	add_files
	set_machine
	[ -z "$DTS" ] || merge_device_tree
	add_devices
	run_qemu || status=$?
	verdict=$(cat "$boot/verdict" 2>/dev/null || true)
	case $verdict-$status in
	leak-*) failed_boot 125 "the kernel lost memory, as kmemleak shows" ;;
	[0-9]*-*) return "$verdict" ;;
	-124 | -137) failed_boot 124 "the guest was not done after ${TIMEOUT:-300} s" ;;
	-0) failed_boot 125 "no verdict came: the guest's kernel warned, oopsed or panicked" ;;
	*) die "QEMU did not run the guest (status $status): $(cat "$boot/qemu.log")" ;;
	esac
}
