# SPDX-License-Identifier: GPL-2.0-only
# Boots, tests and installs the dma-buf heaps. `make help` lists what there is;
# the work is done by the scripts in tools/overlay.

options := ARCH BASE KERNEL JOBS V TEST RUN FILES DTS APPEND MEM SMP TIMEOUT \
	   QEMU_ARGS DEBUG MACHINE STOCK FLAVOUR CLIENTS HEAPS SIZES WITHOUT

# The scripts get the text as it was typed: a $ in RUN is the guest's.
$(foreach o,$(options),$(eval override export $(o) := $$(value $(o))))

overlay := $(dir $(lastword $(MAKEFILE_LIST)))tools/overlay

.PHONY: help run demo check check-full vm bench apply series series-check clean distclean
.DEFAULT_GOAL := help

help:
	@cat $(overlay)/help.txt

run demo check vm bench apply series clean distclean:
	@$(overlay)/$@

check-full:
	@$(overlay)/check full

series-check:
	@$(overlay)/check series
