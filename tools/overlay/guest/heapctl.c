// SPDX-License-Identifier: GPL-2.0
/*
 * heapctl SIZE [COMMAND...] <HEAP
 *
 * Allocates SIZE bytes from the heap that is open as standard input and runs
 * COMMAND, which holds the buffer as long as it runs. The exit status is the
 * errno of an allocation that failed, else COMMAND's, 0 without one.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/dma-heap.h>

int main(int argc, char **argv)
{
	struct dma_heap_allocation_data data = { .fd_flags = O_RDWR };

	if (argc < 2) {
		fputs("usage: heapctl SIZE [COMMAND...] </dev/dma_heap/NAME\n",
		      stderr);
		return 255;
	}
	data.len = strtoull(argv[1], NULL, 0);
	if (ioctl(STDIN_FILENO, DMA_HEAP_IOCTL_ALLOC, &data))
		return errno;
	if (argc == 2)
		return 0;
	execvp(argv[2], argv + 2);
	fprintf(stderr, "heapctl: %s: %s\n", argv[2], strerror(errno));
	return 255;
}
