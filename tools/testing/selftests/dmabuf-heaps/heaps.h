/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What programs that try out DMA-BUF heaps share: finding heaps and test
 * devices, allocating, filling, checking, importing. Knows nothing of how a
 * program reports; a function returns -1 with errno set unless it says
 * otherwise.
 */
#ifndef _DMABUF_HEAPS_H
#define _DMABUF_HEAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include <linux/dma-buf.h>
#include <linux/dma-buf-testdev.h>
#include <linux/dma-heap.h>

#define HEAP_DIR	"/dev/dma_heap"
#define TESTDEV_DIR	"/dev/dma_buf_testdev"

#define KIB		1024UL
#define MIB		(1024 * KIB)

#define NAMES_MAX	128
#define NAME_SIZE	64

/* The entries of a directory, in alphabetic order */
struct names {
	int count;
	char name[NAMES_MAX][NAME_SIZE];
};

/* What there is of things that a test must give back; -1 where unknown */
struct usage {
	int fds;
	long long buffers;
	long long bytes;
	long long free;
};

/*
 * A buffer that is mapped whole, and beside it a model, which holds what the
 * buffer should. A child made after the buffer writes into the same model.
 * Where the CPU may not map the memory, @mem is NULL, and a test device does
 * what else the CPU would.
 */
struct buffer {
	int fd;
	size_t size;
	__u8 *mem;
	__u8 *model;
};

/* A run of bytes of a buffer */
struct span {
	size_t offset;
	size_t len;
};

/* Few, since an engine may take a fifth of a second for each */
#define SPANS_MAX	6

/* A buffer that is attached to a test device, and mapped there */
struct import {
	int dev;
	struct dma_buf_testdev_info info;
	struct dma_buf_testdev_map map;
};

size_t page_size(void);
size_t ram_size(void);

/* Leaves @names empty if there is no such directory */
void names_read(struct names *names, const char *dir);

int heap_open(const char *heap);
/* Returns the descriptor of a dma-buf */
int heap_alloc_flags(int heap, __u64 len, __u32 fd_flags);
int heap_alloc(int heap, __u64 len);
/* What the heap tells of itself; all zero on error */
int heap_get_info(int heap, struct dma_heap_info *info);
/*
 * The same, and in place of what it leaves open, as @info->mask tells, what
 * programs take for granted: cached memory, zeroed, that the CPU can map, and
 * in no request more of it than there is RAM
 */
void heap_info(int heap, struct dma_heap_info *info);
bool heap_is_cpu_mappable(const struct dma_heap_info *info);
bool heap_is_cached(const struct dma_heap_info *info);
bool heap_is_zeroed(const struct dma_heap_info *info);
/*
 * The first of @most, @most / 2, ... that @heap gives, each in whole units of
 * the heap and as far as it gives that much at all; 0 if it gives none
 */
size_t heap_fit(int heap, size_t most);
/* Has the kernel give up what it keeps of former buffers; only root may */
int forget_memory(void);
/*
 * Whether nobody else draws on the heap's memory: neither the page allocator
 * nor CMA gives any of it. False also if this kernel does not count what they
 * do (CONFIG_VM_EVENT_COUNTERS).
 */
bool heap_is_private(int heap);
/* A number that the kernel keeps for @heap, or -1 if it keeps none */
long long heap_counter(const char *heap, const char *counter);

/*
 * Whether what an importer unmaps stays mapped for its device, and caches are
 * maintained only when it is owed: this can be switched off
 */
bool heaps_keep_mappings(void);
/* Whether PMDs map memory where they can: this too can be switched off */
bool heaps_map_huge(void);

void usage_read(struct usage *usage, const char *heap);
bool usage_equal(const struct usage *a, const struct usage *b);

size_t dmabuf_size(int dmabuf);
void *dmabuf_map(int dmabuf, size_t len, off_t offset);
int dmabuf_sync(int dmabuf, __u64 flags);

/* Writes bytes that differ by place and by seed; @len is a multiple of 4 */
void pattern(void *mem, size_t offset, size_t len, __u32 seed);

int buffer_alloc(struct buffer *buffer, int heap, size_t size);
/* For a dma-buf that exists, with nothing known about what it holds */
int buffer_from_fd(struct buffer *buffer, int dmabuf);
void buffer_free(struct buffer *buffer);
/* Gives up mapping and descriptor, and keeps the model */
void buffer_close(struct buffer *buffer);
/* Undoes buffer_close(), with a descriptor of the same dma-buf */
int buffer_reopen(struct buffer *buffer, int dmabuf);
/* By the CPU, between a start and an end of access */
int buffer_fill(struct buffer *buffer, __u32 seed);
/*
 * Where the buffer differs first from its model, -1 if nowhere, -2 with errno
 * if it could not be read
 */
ssize_t buffer_differs(const struct buffer *buffer);

int testdev_open(const char *name);
/* Writes what the kernel calls its device, at most NAME_SIZE bytes */
int testdev_device(const char *name, char *device);
int testdev_info(int dev, struct dma_buf_testdev_info *info);
/* Whether this machine has memory that the device cannot, or must not, address */
bool testdev_is_short(const struct dma_buf_testdev_info *info);
int import_attach(struct import *import, int dev, int dmabuf);
int import_map(struct import *import, __u32 direction);
int import_unmap(struct import *import);
int import_detach(struct import *import);
/* Attaches and maps */
int import_begin(struct import *import, int dev, int dmabuf, __u32 direction);
/* Reads entry number @index of the mapping */
int import_entry(const struct import *import, __u32 index,
		 struct dma_buf_testdev_entry *entry);
int import_copy(const struct import *import, __u32 flags, struct span span,
		void *data);
/*
 * What the device can be asked to copy: the whole buffer if it has no limit,
 * else a run around its first and last byte and around the places where one
 * entry of the mapping ends and the next begins. Returns how many.
 */
int import_spans(const struct import *import, struct span *spans);
/* Lets the device write all its spans, and the model follow */
int import_fill(const struct import *import, struct buffer *buffer,
		__u32 seed);
/*
 * Lets the device read all its spans: where that differs first from the model,
 * -1 if nowhere, -2 with errno if a copy failed.
 */
ssize_t import_differs(const struct import *import,
		       const struct buffer *buffer);

/* A line of /proc/meminfo, in bytes; 0 if there is none */
size_t mem_line(const char *name);
/* How much the kernel keeps of former buffers of all heaps, in bytes */
long long mem_kept(void);
/* Kernels that get something wrong shall kill this process before others */
void be_the_first_victim(void);
/*
 * Takes *@size bytes (a size_t) and gives them back, as the first victim; 0 if that
 * worked. For in_child().
 */
int mem_take(void *size);
/* The first line of a file, with its end; empty if that cannot be read */
void read_line(const char *path, char *text, size_t size);
int write_file(const char *path, const char *text);

/* What a debug kernel's check of DMA calls found so far; -1 without it */
long dma_api_errors(void);

/*
 * The sum of all counters of /proc/vmstat whose names begin like this, 0 if
 * there are none (CONFIG_VM_EVENT_COUNTERS)
 */
long long vm_events(const char *prefix);

/*
 * Traces an event (its subsystem and name) as far as @filter lets it pass, apart
 * from all other tracing. -1 if this kernel has no such event.
 */
int trace_start(const char *event, const char *filter);
/* Traces another event in the same place, which has the name of the @first */
int trace_add(const char *first, const char *event, const char *filter);
/* Returns how many events there were until now */
int trace_count(const char *event);
/*
 * A file that has each event once, in a line, and its end where there was none
 * until now; one that was read there has to be cleared of that (clearerr()). NULL
 * on error.
 */
FILE *trace_open(const char *event);
/* Returns how many events there were that nobody read, and ends the tracing */
int trace_stop(const char *event);

int fd_send(int sock, int fd);
int fd_receive(int sock);

/*
 * Runs @fn in a process of its own. Returns what it returned (0 to 127), 128
 * and the signal that ended it, or -1.
 */
int in_child(int (*fn)(void *arg), void *arg);

#endif /* _DMABUF_HEAPS_H */
