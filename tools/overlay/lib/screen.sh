# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Pictures of the guest's screen, for the guest: the port "screen" answers each
# line, a name, with what is on the screen as PPM; a PNG is kept by that name.

# Plugs it in. QEMU's monitor and the port are a pair of pipes each.
add_screen() {
	screen_dir=$mine/screen
	rm -rf "$screen_dir"
	mkdir -p "$screen_dir"
	mkfifo "$boot"/{monitor,screen}.{in,out}
	qemu+=(-chardev "pipe,id=monitor,path=$boot/monitor"
		-mon "chardev=monitor,mode=control"
		-chardev "pipe,id=screen,path=$boot/screen"
		-device "virtserialport,chardev=screen,name=screen")
}

# monitor COMMAND: has QEMU do it, and waits until that is done
monitor() {
	local answer
	printf '%s\n' "$1" >&"$monitor_in"
	while read -r answer <&"$monitor_out"; do
		case $answer in
		*'"return"'*) return ;;
		*'"error"'*) die "QEMU does not do $1: $answer" ;;
		esac
	done
}

# shot FORMAT FILE
shot() {
	monitor "{ \"execute\": \"screendump\", \"arguments\": { \"format\": \"$1\", \"filename\": \"$2\" } }"
}

# Answers the guest until it is stopped
serve_screen() {
	local name monitor_in monitor_out
	exec {monitor_in}>"$boot/monitor.in" {monitor_out}<"$boot/monitor.out"
	monitor '{ "execute": "qmp_capabilities" }'
	while read -r name; do
		shot ppm "$boot/screen.ppm"
		shot png "$screen_dir/${name//\//_}.png"
		cat "$boot/screen.ppm" >&3
	done <"$boot/screen.out" 3>"$boot/screen.in"
}
