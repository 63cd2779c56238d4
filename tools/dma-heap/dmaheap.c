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
		"bench", cmd_bench, "[OPTION...]",
		"what allocating, mapping and freeing costs\n"
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

/* There is no heap of that name; which there are */
static int complain_no_heap(const char *name)
{
	struct names heaps;
	char list[4096];
	int i, len = 0;

	names_read(&heaps, HEAP_DIR);
	if (!heaps.count)
		return complain(STATUS_NO_HEAP,
				"no heap %s: there is none at all in " HEAP_DIR
				". Has the kernel CONFIG_DMABUF_HEAPS, and are its modules loaded?",
				name);
	for (i = 0; i < heaps.count && len < (int)sizeof(list); i++)
		len += snprintf(list + len, sizeof(list) - len, "%s %s",
				i ? "," : "", heaps.name[i]);
	return complain(STATUS_NO_HEAP, "no heap %s in " HEAP_DIR ". There are:%s",
			name, list);
}

static int complain_open(const char *name, int err)
{
	switch (err) {
	case ENOENT:
	case ENOTDIR:
	case ENXIO:
		return complain_no_heap(name);
	case EACCES:
	case EPERM:
		return complain(STATUS_DENIED,
				HEAP_DIR "/%s: you may not open it. Root may, or a udev rule lets you:\n"
				"  SUBSYSTEM==\"dma_heap\", KERNEL==\"%s\", GROUP=\"video\", MODE=\"0660\"",
				name, name);
	default:
		return complain(STATUS_FAILED, HEAP_DIR "/%s cannot be opened: %s",
				name, strerror(err));
	}
}

int open_heap(const char *name, enum status *status)
{
	char path[256];
	int heap;

	if (!strcmp(name, "-"))
		return STDIN_FILENO;
	snprintf(path, sizeof(path), HEAP_DIR "/%s", name);
	/* In any mode; what counts is that it may be opened at all */
	heap = open(path, O_RDONLY | O_CLOEXEC);
	if (heap < 0)
		*status = complain_open(name, errno);
	return heap;
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

const char *size_text(char text[SIZE_TEXT], __u64 size)
{
	static const char * const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double value = size;
	size_t i = 0;

	while (value >= 1024 && i < sizeof(units) / sizeof(*units) - 1) {
		value /= 1024;
		i++;
	}
	snprintf(text, SIZE_TEXT, "%.*f %s", value == (__u64)value ? 0 : 1,
		 value, units[i]);
	return text;
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
