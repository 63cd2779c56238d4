# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# checkpatch.pl, without what checks/checkpatch.explained says why we leave.

# checkpatch TREE ARGUMENT...: by the script of a kernel tree; passes if nothing
# unexplained was said, and prints that
checkpatch() {
	local tree=$1 said=$scratch/checkpatch status=0
	shift
	# Debian's Python is the one that has what the script asks it for
	PATH=/usr/bin:$PATH "$tree/scripts/checkpatch.pl" --strict --no-signoff --ignore FILE_PATH_CHANGES --quiet \
		--terse --no-summary --show-types --showfile "$@" >"$said" || status=$?
	[ "$status" -le 1 ] || {
		echo "# checkpatch.pl ended with status $status"
		return 1
	}
	[ ! -s "$said" ] || awk -F ' *[|] *' '
		NR == FNR { if (!/^#/) { type[++n] = $1; files[n] = $2 }; next }
		{ for (i = 1; i <= n; i++)
			if (index($0, ":" type[i] ":") && $0 ~ "^[^ ]*" files[i]) next
		  print "# " $0; bad = 1 }
		END { exit bad }' "$overlay/checks/checkpatch.explained" "$said"
}
