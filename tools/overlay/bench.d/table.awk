# SPDX-License-Identifier: GPL-2.0-only
# From the cells of make bench, tables for people: for each heap what operations
# cost on our kernel, and the ratio to the stock kernel where that can do it too.

BEGIN { FS = "," }

NR == 1 { next }

# note ARRAY VALUE: enters a value once, in order of appearance
function note(list, seen, value) {
	if (!(value in seen)) {
		seen[value]
		list[++list[0]] = value
	}
}

{
	row = $4 == "threads" ? $4 " " $5 : $4
	note(units, unit_seen, $6)
	note(heaps, heap_seen, $2)
	note(rows, row_seen, row)
	note(sizes, size_seen, $3)
	median[$1, $6, $2, row, $3] = $8
	least[$1, $6, $2, row, $3] = $9
	most[$1, $6, $2, row, $3] = $10
}

# In three digits
function short(v,    unit) {
	unit = 1
	while (v >= 999.5 && unit < 5) {
		v /= 1000
		unit++
	}
	return sprintf(unit == 1 || v >= 99.95 ? "%.0f%s" : v >= 9.995 ? "%.1f%s" : "%.2f%s",
		       v, substr(" kMGT", unit, 1))
}

function size_text(v) {
	if (v % 1048576 == 0) return v / 1048576 " MiB"
	if (v >= 1048576) return sprintf("%.1f MB", v / 1000000)
	return v / 1024 " KiB"
}

# The cell's ratio to stock, "" where stock has none
function ratio(unit, heap, row, size,    ours, stock) {
	if (!(("stock", unit, heap, row, size) in median))
		return ""
	ours = median["ours", unit, heap, row, size]
	stock = median["stock", unit, heap, row, size]
	return stock ? sprintf("%.2f", ours / stock) : ours ? "more" : "1.00"
}

function print_row(unit, heap, row,    i, r, text) {
	for (i = 1; i <= sizes[0]; i++) {
		if (!(("ours", unit, heap, row, sizes[i]) in median)) {
			text = text sprintf("  %12s", "")
			continue
		}
		r = ratio(unit, heap, row, sizes[i])
		text = text sprintf("  %7s %4s", short(median["ours", unit, heap, row, sizes[i]]), r)
		# What is dearer than on the stock kernel, by more than the last digit
		if (r == "more" || r >= 1.005)
			above = above sprintf("  %s, %s, %s: %s\n", heap, row, size_text(sizes[i]), r)
	}
	if (text ~ /[^ ]/)
		lines = lines sprintf("%-18s%s\n", row, text)
}

function print_heap(unit, heap,    i) {
	lines = ""
	for (i = 1; i <= rows[0]; i++)
		print_row(unit, heap, rows[i])
	if (lines == "")
		return
	printf "%-18s", heap
	for (i = 1; i <= sizes[0]; i++)
		printf "  %12s", size_text(sizes[i])
	printf "\n%s\n", lines
}

# How far samples of the same lie apart
function print_spread(unit,    k, part, spread, same, n, worst, where) {
	for (k in median) {
		split(k, part, SUBSEP)
		if (part[2] != unit)
			continue
		n++
		spread = median[k] ? (most[k] - least[k]) / median[k] : 0
		same += most[k] == least[k]
		if (spread > worst) {
			worst = spread
			where = part[1] ", " part[3] ", " part[4] ", " size_text(part[5])
		}
	}
	printf "Of %d cells %d were the same in all samples; the largest spread is %.1f %% of the median\n(%s).\n\n",
		n, same, worst * 100, where
}

END {
	for (u = 1; u <= units[0]; u++) {
		unit = units[u]
		above = ""
		printf "== %s on our kernel, and the ratio to the stock kernel\n\n", unit
		for (h = 1; h <= heaps[0]; h++)
			print_heap(unit, heaps[h])
		if (unit == "ns")
			print "Times depend on what else the machine does that runs QEMU.\n"
		else if (above != "")
			printf "Above 1.00 of stock:\n%s\n", above
		print_spread(unit)
	}
}
