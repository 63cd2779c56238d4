# SPDX-License-Identifier: GPL-2.0-only
# awk -v unit=N -f budget.awk budget table builds cpu: print group, kind, cost and limit
# for each limit of the budget; N is the output of checks/reference, builds has rows as
# the table.

/^#/ { next }
FILENAME ~ /budget$/ && $1 == "unit" { u = unit * $2; next }
FILENAME ~ /budget$/ { kernels[$1] = $2; tests[$1] = $3; next }
FILENAME !~ /cpu$/ { group[$1] = $2; next }
{ kernel_cost[group[$1]] += $3; test_cost[group[$1]] += $2 - $3 }

END {
	for (g in kernels) {
		printf "%s kernels %.2f %s\n", g, kernel_cost[g] / u, kernels[g]
		printf "%s tests %.2f %s\n", g, test_cost[g] / u, tests[g]
	}
}
