# SPDX-License-Identifier: GPL-2.0-only
# Plots of what make bench measured, from cells.csv in the current directory: for
# each heap HEAP.png, with cost against size; threads.png, with cost against
# threads; and before-after.txt, the few of the former that the documents show.

set datafile separator ","
set grid lc rgb "#cccccc" lt 1
set style data linespoints
# The stock kernel, and ours
set style line 1 lc rgb "#888888" lw 2 pt 6
set style line 2 lc rgb "#0060ad" lw 2 pt 7

# What prints the lines of cells that awk finds so; there is no logarithm of 0
lines(condition) = "awk -F, 'NR > 1 && $6 != \"ns\" && $8 > 0 && " . condition . "' cells.csv"
is(column, text) = "$" . column . " == \"" . text . "\" && "
of(heap, op) = is(2, heap) . "$4 == \"" . op . "\""
some(condition) = int(system(lines(condition) . " | wc -l"))
# The kernels of which there are such lines
kernel(name, condition) = some(is(1, name) . condition) ? name . " " : ""
kernels(condition) = kernel("stock", condition) . kernel("ours", condition)
style(name) = name eq "stock" ? 1 : 2

# Every heap, and every operation but threads
heaps = system("awk -F, 'NR > 1 && !seen[$2]++ { print $2 }' cells.csv")
ops = system("awk -F, 'NR > 1 && $4 != \"threads\" && !seen[$4]++ { print $4 }' cells.csv")

set key off
set logscale xy
set xtics ("4K" 4096, "64K" 65536, "1M" 1048576, "16M" 16777216, "256M" 268435456)
set xrange [2048:600000000]
set format y "%.0s%c"
do for [heap in heaps] {
	set terminal pngcairo noenhanced size 1500,1200 font "sans,9"
	set output heap . ".png"
	set multiplot layout 4,5 title heap . ": instructions (memory: bytes) on the stock kernel (grey) and ours (blue), against the buffer's size"
	do for [op in ops] {
		if (some(of(heap, op))) {
			set title op
			plot for [k in kernels(of(heap, op))] "< " . lines(is(1, k) . of(heap, op)) using 3:8 ls style(k)
		}
	}
	unset multiplot
}

# One line for each size, grey for the stock kernel
if (some("$4 == \"threads\"")) {
	set terminal pngcairo noenhanced size 1500,800 font "sans,9"
	set output "threads.png"
	unset logscale x
	set xtics autofreq 1
	set xrange [0.8:4.2]
	set key left top
	set multiplot layout 2,4 title "threads that allocate and free on as many processors: instructions for each buffer on the stock kernel (grey) and ours, against threads"
	do for [heap in heaps] {
		sizes = system("awk -F, '" . of(heap, "threads") . " && !seen[$3]++ { print $3 }' cells.csv")
		if (words(sizes)) {
			set title heap
			plot for [size in sizes] "< " . lines(is(1, "stock") . is(3, size) . of(heap, "threads")) using 5:8 ls 1 notitle, \
			     for [i=1:words(sizes)] "< " . lines(is(1, "ours") . is(3, word(sizes, i)) . of(heap, "threads")) using 5:8 lc i lw 2 pt 7 title word(sizes, i) . " bytes"
		}
	}
	unset multiplot
}

# As text, which the documents are; operations with + between them are added up
sums = " | awk -F, '{ sum[$3] += $8 } END { for (size in sum) print size, sum[size] }' | sort -n"
any(heap, op) = is(2, heap) . "index(\"+" . op . "+\", \"+\" $4 \"+\")"
rows = system("awk -F, '$2 == \"system\" || $2 == \"cma\" { print $2 }' cells.csv | sort -ru")
set terminal dumb noenhanced size 72,16
set output "before-after.txt"
set datafile separator
set style data lines
set logscale xy
set xtics ("4K" 4096, "64K" 65536, "1M" 1048576, "16M" 16777216, "256M" 268435456)
set ytics 100
set xrange [2048:600000000]
unset grid
set key off
do for [heap in rows] {
	do for [op in "alloc-idle free mmap+touch"] {
		set title heap . ", " . op . ": instructions (* stock, # ours) against bytes"
		plot for [k in kernels(any(heap, op))] "< " . lines(is(1, k) . any(heap, op)) . sums using 1:2 lt style(k)
	}
}
