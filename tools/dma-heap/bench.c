// SPDX-License-Identifier: GPL-2.0
/* dmaheap bench: what a buffer's life costs */

#include "dmaheap.h"

int cmd_bench(int argc, char **argv)
{
	(void)argc;
	return show_usage(argv[0], '?');
}
