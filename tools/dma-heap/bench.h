/* SPDX-License-Identifier: GPL-2.0 */
/* What the two halves of dmaheap bench share */
#ifndef _DMAHEAP_BENCH_H
#define _DMAHEAP_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

/* What is measured; the names are in bench_ops */
enum bench_op {
	OP_ALLOC_FIRST,
	OP_ALLOC_IDLE,
	OP_ALLOC_AGAIN,
	OP_CYCLE,
	OP_FREE,
	OP_MMAP,
	OP_TOUCH,
	OP_TOUCH_AGAIN,
	OP_MUNMAP,
	OP_IMPORT,
	OP_IMPORT_4,
	OP_REMAP,
	OP_REMAP_NONCOHERENT,
	OP_REMAP_IOMMU,
	OP_SYNC,
	OP_SYNC_1,
	OP_SYNC_8,
	OP_VMAP,
	OP_BUFFER_MEMORY,
	OP_IMPORT_MEMORY,
	OP_THREADS,
	OPS
};

struct bench_op_info {
	const char *name;
	const char *text;
	/* Measured in bytes, not in time */
	bool bytes;
};

extern const struct bench_op_info bench_ops[OPS];

#define MAX_SAMPLES	99
#define MAX_THREADS	64

/* What was measured of one operation; what was never measured has no samples */
struct samples {
	unsigned int count;
	__u64 value[MAX_SAMPLES];
};

/* Where buffers come from: a heap, or where there is none of the name, udmabuf */
struct bench_source {
	const char *name;
	int fd;
	bool udmabuf;
	bool mappable;
	/* Buffers that are held together may have so many bytes */
	size_t room;
};

/* What the user asked for */
struct bench_options {
	bool op[OPS];
	unsigned int samples;
	unsigned int threads;
	/* Count by the processor's counter and not in ns */
	bool counter;
};

/* All samples of one source and size; those of OP_THREADS by number of threads */
struct bench_cells {
	struct samples op[OPS];
	struct samples threads[MAX_THREADS];
};

/*
 * Measures all operations for buffers of @size bytes. Returns 0, or -1 with
 * errno; *@failed then is what did not work. ENOMEM from OP_ALLOC_FIRST says
 * that there is not so much memory.
 */
int bench_measure(const struct bench_options *options,
		  const struct bench_source *source, size_t size,
		  struct bench_cells *cells, const char **failed);

#endif /* _DMAHEAP_BENCH_H */
