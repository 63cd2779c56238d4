/* SPDX-License-Identifier: GPL-2.0 */
/* What the commands of dmaheap share */
#ifndef _DMAHEAP_H
#define _DMAHEAP_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/dma-heap.h>
#include <linux/types.h>

struct names;

/* Exit codes, as dmaheap.1 has them */
enum status {
	STATUS_OK,
	/* Something did not work, or a test did not pass */
	STATUS_FAILED,
	/* The command line is wrong */
	STATUS_USAGE,
	STATUS_NO_HEAP,
	STATUS_DENIED,
	/* The heap does not have that much memory */
	STATUS_NO_MEMORY,
	/* The heap was removed while it was open */
	STATUS_GONE,
};

/*
 * The commands. @argv[0] is what to call the command in a message, as
 * "dmaheap list"; what getopt() finds in the rest is its own. The return value
 * is the exit code.
 */
int cmd_list(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_alloc(int argc, char **argv);
int cmd_test(int argc, char **argv);
int cmd_stat(int argc, char **argv);
int cmd_bench(int argc, char **argv);

/* Says on standard error what was wrong and what to do; returns @status */
int complain(enum status status, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/*
 * For a command line that is wrong, or with @option 'h' for --help: shows how to
 * use the command, and returns its exit code
 */
int show_usage(const char *command, int option);

/* The name of a heap that is given by that, or by its path */
const char *heap_name(const char *argument);
/* The path of a heap's node, until the next call */
const char *node_path(const char *heap);
/* Opens the heap of that name, as it may be: -1 with errno, ENOENT for no heap */
int node_of_heap(const char *heap);
/* Says why that failed; with no @heap, that there is none at all */
int complain_open(const char *heap, int err);
int complain_no_heap(const char *heap);
/* Both: if the heap cannot be opened it says why, sets @status and returns -1 */
int open_heap(const char *heap, enum status *status);

/*
 * What the heap tells by DMA_HEAP_IOCTL_GET_INFO, or to who may not open it by
 * sysfs; @info->mask tells what is known. -1 with errno if it cannot be opened.
 */
int read_info(const char *heap, struct dma_heap_info *info);

/*
 * Reads a size such as 4096, 64K, 64KiB or 1G, of at least one byte. If it is
 * none, says so and returns false.
 */
bool parse_size(const char *text, __u64 *size);

#define SIZE_TEXT 16

/* Writes @size as people read it, as "4 MiB" or "5.9 MiB"; returns @text */
const char *size_text(char text[SIZE_TEXT], __u64 size);
/* What kind of memory it is, in few words, until the next call */
const char *memory_text(const struct dma_heap_info *info);
/* How wide a column of these must be, with the word above it */
int name_width(const struct names *names, int least);

void json_string(const char *text);
/* A member of an object, and not its first; null if it is not known */
void json_number(const char *key, bool known, __u64 value);
/* What comes before member number @index of an array, from 0 on */
const char *json_between(int index);
/* The same array that dmaheap list --json prints */
void json_heaps(const struct names *heaps);

#endif /* _DMAHEAP_H */
