#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# clients.sh [GROUP...]: programs and drivers that nobody here wrote use buffers of
# the heaps: the functions below that begin with group_, or without arguments all.
set -eu
. tap.sh

EFAULT=14
EINVAL=22
ENODEV=19

class=/sys/class/dma_heap
heaps=$(ls $class)
frames=8

# is HEAP PROPERTY
is() {
	grep -qw "$2" "$class/$1/properties"
}

# What there is of buffers, in all heaps
buffers() {
	grep . $class/*/buffers $class/*/bytes
}

no_buffers=$(buffers)
# As cam calls it
camera=$(cam --list 2>/tmp/list | sed -n 's/^1: .*(\(.*\))$/\1/p')

# all_back NAME: whether it left no buffer behind
all_back() {
	test_that "$1: all buffers are back" [ "$(buffers)" = "$no_buffers" ]
}

# quietly COMMAND...: shows what it says only if it fails
quietly() {
	"$@" >/tmp/said 2>&1 && return
	sed 's/^/# /' /tmp/said
	return 1
}

#
# The udev rules of the documents
#

start_udev() {
	[ ! -e /run/udev/rules.d ] || return 0
	mkdir -p /run/udev/rules.d
	echo 'video:x:44:' >/etc/group
	# What it does follows from its name
	ln -s /usr/bin/udevadm /tmp/systemd-udevd
	/tmp/systemd-udevd --daemon
}

# use_rules FILE: as if the heaps appeared now
use_rules() {
	start_udev
	cp "$1" /run/udev/rules.d/50-heaps.rules
	udevadm control --reload
	udevadm trigger --settle --action=add --subsystem-match=dma_heap
}

leads_to() {
	[ "$(readlink -f "/dev/dma_heap/$1")" = "/dev/dma_heap/$2" ]
}

# link_cma HEAP: linux,cma becomes another name of this heap, by the rule that the
# documents give for default_cma_region, or as they say for systems without udev,
# which needs inotify
link_cma() {
	if [ -e /proc/sys/fs/inotify ]; then
		sed "s/default_cma_region/$1/" /root/rules.rst >/tmp/rules
		use_rules /tmp/rules
	else
		ln -sfn "$1" /dev/dma_heap/linux,cma
	fi
	leads_to linux,cma "$1"
}

belongs_to_video() {
	[ "$(stat -c '%G %a' "$1")" = "video 660" ]
}

group_rules() {
	for rules in /root/rules.*; do
		chown 0:0 /dev/dma_heap/*
		chmod 600 /dev/dma_heap/*
		use_rules "$rules"
		for name in linux,cma vidbuf_cached; do
			test_that "${rules##*/}: $name is default_cma_region" \
				leads_to $name default_cma_region
		done
		test_that "${rules##*/}: system is for the group video" \
			belongs_to_video /dev/dma_heap/system
	done
}

#
# libcamera
#

# capture ARGUMENT...
capture() {
	quietly cam --camera="$camera" --capture=$frames "$@"
}

# One line for each frame
frame_sums() {
	rm -rf /tmp/frames
	mkdir /tmp/frames
	capture --stream=width=320,height=240 --file='/tmp/frames/#' >&2 || return
	(cd /tmp/frames && sha256sum ./*)
}

# takes_from HEAP COMMAND...: does COMMAND with buffers of that heap
takes_from() {
	counter=$class/$1/allocations
	before=$(cat "$counter")
	shift
	"$@" || return
	[ "$(cat "$counter")" -gt "$before" ] ||
		{ echo "# ${counter%/*} was not asked"; return 1; }
}

# Frames are the same in the memory of each heap
frames_are_right() {
	frame_sums >/tmp/sums || return
	[ -s /tmp/right-sums ] || cp /tmp/sums /tmp/right-sums
	cmp -s /tmp/sums /tmp/right-sums ||
		{ diff /tmp/right-sums /tmp/sums | sed 's/^/# /'; return 1; }
}

# No frame is as another, else one in place of another would not be noticed
frames_differ() {
	[ "$(cut -d ' ' -f 1 /tmp/right-sums | sort -u | wc -l)" = $frames ]
}

# What is known of cam's buffers while it waits for somebody to read its frames
describe_buffers() {
	described=0
	mkfifo /tmp/pipe
	exec 3<>/tmp/pipe
	capture --stream=width=320,height=240 --file=/tmp/pipe &
	camera_pid=$!
	head -c 1 <&3 >/dev/null
	cat "/proc/$(pidof cam)"/fdinfo/* >/tmp/fdinfo
	cp /sys/kernel/debug/dma_buf/bufinfo /tmp/bufinfo
	cat <&3 >/dev/null &
	reader=$!
	wait $camera_pid || described=$?
	kill $reader
	exec 3<&-
	rm /tmp/pipe
	return $described
}

cam_with() {
	test_that "cam: linux,cma is $1" link_cma "$1"
	if is "$1" cpu_mappable; then
		test_that "cam: $1: has the right frames" \
			takes_from "$1" frames_are_right
	else
		test_that "cam: $1: cannot be mapped, and cam says so" \
			takes_from "$1" fails frames_are_right
	fi
	all_back "cam: $1"
}

cam_names_buffers() {
	test_that "cam: frames differ" frames_differ
	test_that "cam: waits for a reader of its frames" describe_buffers
	test_that "cam: its buffers have names in fdinfo" \
		grep -q '^name:.*frame-' /tmp/fdinfo
	test_that "cam: and in debugfs" grep -q 'frame-' /tmp/bufinfo
	all_back "cam: buffers with names"
}

# A few kinds of memory, of which the first is that of every system
group_few() {
	for heap in system default_cma_region system-uncached video@70000000; do
		cam_with $heap
	done
	cam_names_buffers
}

# The other names that libcamera looks for; each is a heap's own
cam_by_other_names() {
	use_rules /dev/null
	test_that "cam: no linux,cma" [ ! -e /dev/dma_heap/linux,cma ]
	test_that "cam: reserved: has the right frames" \
		takes_from reserved frames_are_right
	mv /dev/dma_heap/reserved /dev/dma_heap/hidden
	test_that "cam: system: has the right frames without both" \
		takes_from system frames_are_right
	mv /dev/dma_heap/hidden /dev/dma_heap/reserved
	all_back "cam: other names"
}

group_cam() {
	for heap in $heaps; do
		cam_with "$heap"
	done
	cam_names_buffers
	cam_by_other_names
}

# Two threads of lc-compliance count the same requests without a lock. On one
# processor, where none stops before it waits, they do not meet.
compliance() {
	quietly chrt --fifo 1 taskset 1 lc-compliance -c "$camera"
}

group_compliance() {
	for heap in default_cma_region system; do
		link_cma $heap
		test_that "lc-compliance: $heap" takes_from $heap compliance
		all_back "lc-compliance: $heap"
	done
}

#
# V4L2: vivid, once with memory that the CPU maps and once with memory for DMA
#

# video_node NAME
video_node() {
	for node in /sys/class/video4linux/*; do
		[ "$(cat "$node/name")" != "$1" ] || echo "/dev/${node##*/}"
	done
}

# connect_video NUMBER OUTPUT CAPTURE: what is sent arrives unchanged; the small
# format fits twice into the smallest heap
connect_video() {
	format=width=640,height=480,pixelformat=GREY
	for node in "$2" "$3"; do
		v4l2-ctl -d "$node" --set-dv-bt-timings=index=0
	done
	v4l2-ctl -d "$3" -c "hdmi_00$1_0_is_connected_to=$((2 + $1)),osd_text_mode=2"
	v4l2-ctl -d "$2" --set-fmt-video-out=$format
	v4l2-ctl -d "$3" --set-fmt-video=$format
}

# loop ALLOCATOR HEAP: memory that the driver cannot use is refused
loop() {
	case $1 in
	vmap) needed=cpu_mappable ;;
	contiguous) needed=contiguous ;;
	esac
	if is "$2" "$needed"; then
		test_that "vivid, $1: $2: frames arrive as they were sent" \
			v4l2loop "$2" "$output" "$input"
	else
		test_that "vivid, $1: $2: is not $needed, and refused" \
			ends_with $EFAULT v4l2loop "$2" "$output" "$input"
	fi
	all_back "vivid, $1: $2"
}

# vivid NUMBER ALLOCATOR
vivid() {
	output=$(video_node "vivid-00$1-vid-out")
	input=$(video_node "vivid-00$1-vid-cap")
	test_that "vivid, $2: is connected" quietly connect_video "$1" "$output" "$input"
	for heap in $heaps; do
		loop "$2" "$heap"
	done
}

group_video() {
	# Each with an output (0x100) and a capture device (1), both HDMI
	modprobe vivid n_devs=2 node_types=0x101,0x101 allocators=0,1 \
		num_inputs=1,1 input_types=3,3 num_outputs=1,1 output_types=1,1
	vivid 0 vmap
	vivid 1 contiguous
	rmmod vivid
	skip "v4l2-ctl, v4l2-compliance" \
		"v4l2-ctl and v4l2-compliance import only what another V4L2 device exports"
}

#
# DRM
#

# imports DRIVER ERRNO REASON: whether it does so in this kernel; if it refuses with
# this errno, that is for the reason
imports() {
	status=0
	drmimport default_cma_region "$1" >/tmp/said || status=$?
	[ $status = "$2" ] || return 0
	skip "$1: import" "$3"
	return 1
}

# show DRIVER HEAP
show() {
	if ! is "$2" cpu_mappable; then
		test_that "$1: $2: cannot be mapped, and is refused" \
			ends_with $EINVAL drmimport "$2" "$1"
	elif [ "$(cat "$class/$2/size")" -lt "$picture" ]; then
		skip "$1: $2" "$2 is too small for a picture"
	else
		test_that "$1: $2: is on display" drmimport "$2" "$1"
	fi
	all_back "$1: $2"
}

# show_all DRIVER
show_all() {
	for heap in $heaps; do
		show "$1" "$heap"
	done
}

group_display() {
	modprobe -a vkms virtio-gpu bochs
	for heap in $heaps; do
		test_that "vgem: $heap: is waited for" drmimport "$heap" vgem
		all_back "vgem: $heap"
	done
	picture=$((640 * 480 * 2))
	show_all vkms
	picture=$((640 * 480 * 4))
	! imports bochs-drm $EINVAL \
		"bochs imports nothing in this kernel: its pictures are in the device's memory" ||
		show_all bochs-drm
	! imports virtio_gpu $ENODEV \
		"virtio-gpu takes foreign buffers only if newer and its device has blob resources" ||
		test_that "virtio_gpu: imports" drmimport system virtio_gpu
	all_back "DRM"
}

# cam shows its frames; what it asks the display for is in the log
show_frames() {
	shown=0
	dmesg -c >/dev/null
	echo 1 >/sys/module/drm/parameters/debug
	capture --stream=width=640,height=480 --display=Virtual-1 || shown=$?
	echo 0 >/sys/module/drm/parameters/debug
	return $shown
}

asked_for() {
	dmesg | grep 'comm="cam"' | grep -q "DRM_IOCTL_$1"
}

# Whether the display takes the only format that the camera has
display_has_nv12() {
	show_frames >/tmp/shown || ! grep -q 'pipeline for format NV12' /tmp/shown
}

group_cam_display() {
	modprobe vkms
	if ! display_has_nv12; then
		skip "cam on vkms" "this kernel's vkms does not show NV12, the camera's only format"
		all_back "cam on vkms"
		return
	fi
	for heap in system default_cma_region video@70000000; do
		link_cma $heap
		test_that "cam on vkms: $heap: is shown" takes_from $heap show_frames
		for call in PRIME_FD_TO_HANDLE MODE_ADDFB2 MODE_ATOMIC; do
			test_that "cam on vkms: $heap: by $call" asked_for $call
		done
		all_back "cam on vkms: $heap"
	done
}

# Displays come last: cam takes the first that there is
[ $# != 0 ] || set -- rules cam compliance video cam_display display
for group; do
	"group_$group"
done
finish
