# SPDX-License-Identifier: GPL-2.0-only
# awk -v unit=N -f budget.awk budget table builds cpu: print for each limit of the budget
# whether the cost keeps it, as TAP; N is the output of checks/reference, builds has
# rows as the table.

/^#/ { next }
FILENAME ~ /budget$/ && $1 == "unit" { u = unit * $2; next }
FILENAME ~ /budget$/ { kernels[$1] = $2; tests[$1] = $3; next }
FILENAME !~ /cpu$/ { group[$1] = $2; next }
{ kernel_cost[group[$1]] += $3; test_cost[group[$1]] += $2 - $3 }

function compare(what, cost, most) {
	printf "%sok %d %s: %.2f U of %s U\n", cost / u <= most ? "" : "not ", ++n, what, cost / u, most
}

END {
	for (g in kernels) {
		compare(g ", kernels", kernel_cost[g], kernels[g])
		compare(g ", tests", test_cost[g], tests[g])
	}
	print "1.." n
}
