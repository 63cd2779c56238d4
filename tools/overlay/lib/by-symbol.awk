# SPDX-License-Identifier: GPL-2.0-only
# awk -f by-symbol.awk SYMBOLS OLD NEW: a Kconfig or Makefile between OLD and NEW.
# What is about one of the SYMBOLS is as in NEW, what is about another as in OLD
# if it is there; everything else is as in NEW.

# Which symbol a line of a Makefile is about
function in_makefile(line) {
	if (match(line, /\$\(CONFIG_[A-Z0-9_]+\)/))
		return substr(line, RSTART + 9, RLENGTH - 10)
	return ""
}

# Empty lines are kept back until more follows.
function write(text) {
	if (match(text, /\n+$/) && RSTART == 1) {
		empty = empty text
		return
	}
	printf "%s%s\n", empty, substr(text, 1, RSTART - 1)
	empty = substr(text, RSTART + 1)
}

FNR == 1 { file++; symbol = ""; makefile = FILENAME ~ /Makefile$/ }
file == 1 { taken[$1]; next }

# In a Kconfig, a symbol's part goes as far as the next one's.
makefile { symbol = in_makefile($0) }
!makefile && /^(config|menuconfig|if|endif|menu|endmenu|source|comment)([ \t]|$)/ {
	symbol = /^(menu)?config / ? $2 : ""
}

file == 2 { old[symbol] = old[symbol] $0 "\n"; next }
symbol == "" || symbol in taken { write($0 "\n"); next }
symbol in old && !(symbol in done) { write(old[symbol]); done[symbol] }
