# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# A current dt-schema, which checks device tree bindings. A stable Debian's is too
# old for the kernel, so it comes from sid, unpacked in the cache with all that
# it needs: nothing is installed, and no root is needed.

dt_schema=$cache/dt-schema

fetch_dt_schema() {
	local new=$dt_schema.new f
	rm -rf "$new"
	mkdir -p "$new/bin"
	cd "$new"
	unpack_with_dependencies "$(dpkg --print-architecture)" '' dt-schema yamllint
	for f in python3 yamllint dt-doc-validate dt-extract-example dt-mk-schema dt-validate; do
		cp "$overlay/lib/unpacked-python" "bin/$f"
	done
	"$new/bin/yamllint" --version
	"$new/bin/dt-validate" --version >version
	rm -rf "${dt_schema:?}"
	mv "$new" "$dt_schema"
}

# dt-schema in $dt_schema/bin, downloaded once
need_dt_schema() {
	[ -s "$dt_schema/version" ] &&
		cmp -s "$overlay/lib/unpacked-python" "$dt_schema/bin/python3" && return
	step "fetching dt-schema" "$cache/log/fetch-dt-schema" fetch_dt_schema
}
