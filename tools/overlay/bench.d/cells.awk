# SPDX-License-Identifier: GPL-2.0-only
# From the samples of make bench, one line for each cell: the median, the least
# and the most. Cells keep the order of the samples.

BEGIN {
	FS = OFS = ","
	print "kernel,heap,bytes,operation,threads,unit,samples,median,least,most"
}

NR == 1 { next }

{
	cell = $1 FS $2 FS $3 FS $4 FS $5 FS $6
	if (!(cell in count))
		order[++cells] = cell
	value[cell, ++count[cell]] = $7
}

# Sorts the samples of a cell
function sort(cell,    i, j, v) {
	for (i = 2; i <= count[cell]; i++) {
		v = value[cell, i]
		for (j = i - 1; j && value[cell, j] > v; j--)
			value[cell, j + 1] = value[cell, j]
		value[cell, j + 1] = v
	}
}

END {
	for (i = 1; i <= cells; i++) {
		cell = order[i]
		n = count[cell]
		sort(cell)
		print cell, n, value[cell, int((n + 1) / 2)], value[cell, 1], value[cell, n]
	}
}
