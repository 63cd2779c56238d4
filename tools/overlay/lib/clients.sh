# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Programs of Debian for the guest that allocate from heaps, as clients/ lists them.
# They come from sid, whose libcamera is current; are unpacked in the cache, and cut
# down to what the guest needs.

clients=$cache/clients
clients_libdir=usr/lib/aarch64-linux-gnu

# What of clients/ the result depends on
clients_key() {
	cat "$overlay"/clients/{packages,without,files,virtual.yaml} "$overlay/lib/clients.sh" | sha256sum
}

# list_of FILE: of clients/, without comments
list_of() {
	grep -v '^#' "$overlay/clients/$1"
}

# copy_file FILE: from one root, the current directory, to the other, at its path
copy_file() {
	mkdir -p "$(dirname "root/$1")"
	cp -L "$1" "root/$1"
}

# The libraries that the files given name, as far as we do not have them, each where
# the packages have it
missing_libraries() {
	local name path
	readelf -d "$@" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u |
		while read -r name; do
			path=$(find "$clients_libdir" -name "$name" | head -n 1)
			[ -n "$path" ] ||
				die "no package brings $name, which a program of tools/overlay/clients/files needs: is it in one that tools/overlay/clients/without leaves out?"
			[ -e "root/$path" ] || echo "$path"
		done
}

# Fills root with the files that are wanted, the libraries that they need, and the
# camera that libcamera is to have.
cut_down() {
	local wanted f
	mapfile -t wanted < <(list_of files)
	while [ ${#wanted[@]} != 0 ]; do
		for f in "${wanted[@]}"; do
			copy_file "$f"
		done
		f=$(missing_libraries "${wanted[@]}")
		mapfile -t wanted < <(printf %s "$f")
	done
	# Where programs have their interpreter; the guest's /lib is a directory
	mkdir -p root/lib
	ln -s "/$clients_libdir/ld-linux-aarch64.so.1" root/lib
	mkdir -p root/usr/share/libcamera/pipeline/virtual
	cp "$overlay/clients/virtual.yaml" root/usr/share/libcamera/pipeline/virtual
}

fetch_clients() {
	local new=$clients.new packages
	rm -rf "$new"
	mkdir -p "$new/work"
	cd "$new/work"
	mapfile -t packages < <(list_of packages)
	unpack_with_dependencies arm64 "$(list_of without | paste -sd '|')" "${packages[@]}"
	cut_down
	pack root ../root.cpio
	mv packages ..
	clients_key >../key
	cd ..
	rm -rf work
	rm -rf "${clients:?}"
	mv "$new" "$clients"
}

fetch_clients_once() {
	[ "$(cat "$clients/key" 2>/dev/null)" = "$(clients_key)" ] ||
		step "fetching programs for the guest" "$cache/log/fetch-clients" fetch_clients
}

# The programs as a root for the kernel in $clients/root.cpio, fetched once
need_clients() {
	locked clients fetch_clients_once
}
