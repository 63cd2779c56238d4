/* SPDX-License-Identifier: GPL-2.0 */
/* What the commands of dmaheap share */
#ifndef _DMAHEAP_H
#define _DMAHEAP_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

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

/*
 * Opens the heap of that name, "-" being standard input. If that fails it says
 * why, sets @status, and returns -1.
 */
int open_heap(const char *name, enum status *status);

/*
 * Reads a size such as 4096, 64K, 64KiB or 1G, of at least one byte. If it is
 * none, says so and returns false.
 */
bool parse_size(const char *text, __u64 *size);

#define SIZE_TEXT 16

/* Writes @size as people read it, as "4 MiB" or "5.9 MiB"; returns @text */
const char *size_text(char text[SIZE_TEXT], __u64 size);

#endif /* _DMAHEAP_H */
