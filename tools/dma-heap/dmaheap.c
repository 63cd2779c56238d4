// SPDX-License-Identifier: GPL-2.0
/*
 * dmaheap: looks at DMA-BUF heaps and tries them. Each command is in a file of
 * its own; here is what they share.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dmaheap.h"
#include "heaps.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *arguments;
	const char *text;
} commands[] = {
	{
		"list", cmd_list, "[--json]",
		"all heaps: their memory, and how much of it is free\n"
	}, {
		"info", cmd_info, "NAME [--json]",
		"all that a heap tells of itself\n"
	}, {
		"alloc", cmd_alloc, "NAME SIZE [--fill] [--hold | -- COMMAND...]",
		"allocate a buffer; of the heap that is open as standard input if\n"
		"NAME is -\n"
		"  --fill   map it, and write all of it\n"
		"  --hold   keep it until a signal comes, as from Ctrl-C\n"
		"  COMMAND  run it, and keep the buffer meanwhile\n"
	}, {
		"test", cmd_test, "[NAME...]",
		"the whole life of a buffer, with a verdict for each step; without\n"
		"a NAME all heaps, as a table\n"
	}, {
		"stat", cmd_stat, "[--json] [--watch[=SECONDS]]",
		"who holds which buffers, and what the kernel counts\n"
	}, {
		"bench", cmd_bench, "[OPTION...] [HEAP...]",
		"what operations on buffers cost, for all heaps or for these; udmabuf is\n"
		"what programs use where they have no heap.\n"
		"  -s, --sizes SIZE,...       of buffers of these sizes\n"
		"  -o, --operations NAME,...  only of these; an unknown one lists all\n"
		"  -n, --samples NUMBER       how often each is measured (5)\n"
		"  -t, --threads NUMBER       how many threads at the most (4)\n"
		"  --counter                  in steps of the processor's counter, not in ns\n"
		"  --csv                      every sample, for programs\n"
	},
};

#define COMMANDS	(sizeof(commands) / sizeof(*commands))

int complain(enum status status, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("dmaheap: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return status;
}

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < COMMANDS; i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	}
	return NULL;
}

int show_usage(const char *name, int option)
{
	FILE *file = option == 'h' ? stdout : stderr;
	const struct command *command;

	command = find_command(strrchr(name, ' ') + 1);
	fprintf(file, "usage: %s %s\n%s", name, command->arguments,
		command->text);
	return option == 'h' ? STATUS_OK : STATUS_USAGE;
}

static int usage_of_all(FILE *file, enum status status)
{
	size_t i;

	fputs("usage: dmaheap COMMAND [ARGUMENT...]\n", file);
	for (i = 0; i < COMMANDS; i++)
		fprintf(file, "  %-5s %s\n", commands[i].name,
			commands[i].arguments);
	fputs("dmaheap COMMAND --help says more, and the manual page dmaheap(1) all.\n",
	      file);
	return status;
}

const char *heap_name(const char *argument)
{
	size_t len = strlen(HEAP_DIR "/");

	return strncmp(argument, HEAP_DIR "/", len) ? argument : argument + len;
}

const char *node_path(const char *heap)
{
	static char path[256];

	snprintf(path, sizeof(path), HEAP_DIR "/%s", heap);
	return path;
}

int node_of_heap(const char *heap)
{
	struct stat stat;
	int fd;

	/* In any mode; what counts is that it may be opened at all */
	fd = open(node_path(heap), O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (!strchr(heap, '/') && !fstat(fd, &stat) && S_ISCHR(stat.st_mode))
		return fd;
	close(fd);
	errno = ENOENT;
	return -1;
}

int complain_no_heap(const char *heap)
{
	struct names heaps;
	char list[4096];
	int i, len = 0;

	names_read(&heaps, HEAP_DIR);
	if (!heaps.count)
		return complain(STATUS_NO_HEAP,
				"there is no heap in " HEAP_DIR
				". Has the kernel CONFIG_DMABUF_HEAPS, and are its modules loaded?");
	for (i = 0; i < heaps.count && len < (int)sizeof(list); i++)
		len += snprintf(list + len, sizeof(list) - len, "%s %s",
				i ? "," : "", heaps.name[i]);
	return complain(STATUS_NO_HEAP, "%s: there is no such heap. There are:%s",
			node_path(heap), list);
}

int complain_open(const char *heap, int err)
{
	switch (err) {
	case ENOENT:
	case ENOTDIR:
	case ENXIO:
		return complain_no_heap(heap);
	case EACCES:
	case EPERM:
		return complain(STATUS_DENIED,
				"%s: you may not open it. Root may, or a udev rule lets you:\n"
				"  SUBSYSTEM==\"dma_heap\", KERNEL==\"%s\", GROUP=\"video\", MODE=\"0660\"",
				node_path(heap), heap);
	default:
		return complain(STATUS_FAILED, "%s: it cannot be opened: %s",
				node_path(heap), strerror(err));
	}
}

int open_heap(const char *heap, enum status *status)
{
	int fd = node_of_heap(heap);

	if (fd < 0)
		*status = complain_open(heap, errno);
	return fd;
}

/* The factor that a suffix stands for, 0 if it is none */
static __u64 unit_of(const char *suffix)
{
	static const char units[] = "KMGT";
	const char *unit;

	if (!*suffix)
		return 1;
	unit = strchr(units, *suffix == 'k' ? 'K' : *suffix);
	if (!unit || (suffix[1] && strcmp(suffix + 1, "iB")))
		return 0;
	return 1ULL << 10 * (unit - units + 1);
}

bool parse_size(const char *text, __u64 *size)
{
	char *end;
	__u64 unit;

	errno = 0;
	*size = strtoull(text, &end, 0);
	unit = unit_of(end);
	if (*text >= '0' && *text <= '9' && !errno && unit && *size &&
	    !__builtin_mul_overflow(*size, unit, size))
		return true;
	complain(STATUS_USAGE,
		 "%s is no size: give a number of bytes from 1, as 4096, 64K, 8MiB or 1G",
		 text);
	return false;
}

int main(int argc, char **argv)
{
	const struct command *command;
	char name[32];

	if (argc < 2)
		return usage_of_all(stderr, STATUS_USAGE);
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	    !strcmp(argv[1], "help"))
		return usage_of_all(stdout, STATUS_OK);
	command = find_command(argv[1]);
	if (!command) {
		complain(STATUS_USAGE, "there is no command %s", argv[1]);
		return usage_of_all(stderr, STATUS_USAGE);
	}
	snprintf(name, sizeof(name), "dmaheap %s", command->name);
	argv[1] = name;
	return command->run(argc - 1, argv + 1);
}
