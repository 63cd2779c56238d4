// SPDX-License-Identifier: GPL-2.0
/* dmaheap list, and info: what heaps tell of themselves */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dmaheap.h"
#include "heaps.h"

struct bit {
	__u64 value;
	const char *name;
};

/* By the names that sysfs has for them */
static const struct bit properties[] = {
	{ DMA_HEAP_PROP_CONTIGUOUS,	"contiguous" },
	{ DMA_HEAP_PROP_CACHED,		"cached" },
	{ DMA_HEAP_PROP_CPU_MAPPABLE,	"cpu_mappable" },
	{ DMA_HEAP_PROP_ZEROED,		"zeroed" },
	{ DMA_HEAP_PROP_PROTECTED,	"protected" },
	{ DMA_HEAP_PROP_ECC,		"ecc" },
	{ DMA_HEAP_PROP_NONCOHERENT,	"noncoherent" },
	{ 0, NULL }
};

static const struct bit heap_flags[] = {
	{ DMA_HEAP_FLAG_ECC_PROTECTED,	 "ecc_protected" },
	{ DMA_HEAP_FLAG_ECC_UNPROTECTED, "ecc_unprotected" },
	{ 0, NULL }
};

/* What is a number in both DMA_HEAP_IOCTL_GET_INFO and sysfs */
static const struct number {
	__u64 known;
	const char *name;
	size_t offset;
} numbers[] = {
	{ DMA_HEAP_INFO_GRANULARITY, "granularity",
	  offsetof(struct dma_heap_info, granularity) },
	{ DMA_HEAP_INFO_SIZE, "size", offsetof(struct dma_heap_info, size) },
	{ DMA_HEAP_INFO_FREE, "free", offsetof(struct dma_heap_info, free) },
	{ DMA_HEAP_INFO_MAX_ALLOC, "max_alloc",
	  offsetof(struct dma_heap_info, max_alloc) },
};

#define NUMBERS	((int)(sizeof(numbers) / sizeof(*numbers)))

/* What the kernel counts of a heap, in sysfs alone */
static const char * const counters[] = {
	"buffers", "bytes", "bytes_peak", "allocations", "failures",
};

#define COUNTERS ((int)(sizeof(counters) / sizeof(*counters)))

static __u64 *number_in(struct dma_heap_info *info, int i)
{
	return (__u64 *)((char *)info + numbers[i].offset);
}

/* The bits whose names are in a file of the heap; sets @known if there is one */
static __u64 bits_from_sysfs(const char *heap, const char *name,
			     const struct bit *bits, __u64 known, __u64 *mask)
{
	char path[256], word[32];
	const struct bit *bit;
	__u64 value = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/dma_heap/%s/%s", heap, name);
	file = fopen(path, "re");
	if (!file)
		return 0;
	*mask |= known;
	while (fscanf(file, "%31s", word) == 1) {
		for (bit = bits; bit->name; bit++) {
			if (!strcmp(bit->name, word))
				value |= bit->value;
		}
	}
	fclose(file);
	return value;
}

/* What everybody may read of a heap, though not open it */
static void info_from_sysfs(const char *heap, struct dma_heap_info *info)
{
	long long value;
	int i;

	memset(info, 0, sizeof(*info));
	info->properties = bits_from_sysfs(heap, "properties", properties,
					   DMA_HEAP_INFO_PROPERTIES,
					   &info->mask);
	info->heap_flags = bits_from_sysfs(heap, "heap_flags", heap_flags,
					   DMA_HEAP_INFO_HEAP_FLAGS,
					   &info->mask);
	for (i = 0; i < NUMBERS; i++) {
		value = heap_counter(heap, numbers[i].name);
		if (value < 0)
			continue;
		info->mask |= numbers[i].known;
		*number_in(info, i) = value;
	}
}

int read_info(const char *name, struct dma_heap_info *info)
{
	int heap = node_of_heap(name);
	int err = errno;

	if (heap >= 0) {
		/* A kernel without this ioctl leaves all of it unknown */
		if (heap_get_info(heap, info))
			memset(info, 0, sizeof(*info));
		close(heap);
		return 0;
	}
	info_from_sysfs(name, info);
	if (err == EACCES && info->mask)
		return 0;
	errno = err;
	return -1;
}

/*
 * For people
 */

/* In @width columns */
static void print_known(int width, bool known, __u64 size)
{
	char text[SIZE_TEXT];

	printf("  %*s", width, known ? size_text(text, size) : "?");
}

static void print_row(const char *name, int width,
		      const struct dma_heap_info *info)
{
	__u64 both = DMA_HEAP_INFO_SIZE | DMA_HEAP_INFO_FREE;

	printf("%-*s  %-21s", width, name, memory_text(info));
	print_known(9, info->mask & DMA_HEAP_INFO_SIZE, info->size);
	print_known(9, info->mask & DMA_HEAP_INFO_FREE, info->free);
	print_known(9, (info->mask & both) == both, info->size - info->free);
	print_known(9, info->mask & DMA_HEAP_INFO_MAX_ALLOC, info->max_alloc);
	putchar('\n');
}

/* Returns whether something is unknown */
static bool print_heap(const char *name, int width)
{
	struct dma_heap_info info;
	int err;

	if (!read_info(name, &info)) {
		print_row(name, width, &info);
		return !(info.mask & DMA_HEAP_INFO_SIZE);
	}
	err = errno;
	/* Another process may have had it removed meanwhile */
	if (err != ENOENT)
		printf("%-*s  ? %s\n", width, name, strerror(err));
	return err == EACCES;
}

static void print_table(const struct names *heaps)
{
	int i, width = name_width(heaps, 18);
	bool unknown = false;

	printf("%-*s  %-21s  %9s  %9s  %9s  %9s\n", width, "heap", "memory",
	       "size", "free", "in use", "largest");
	for (i = 0; i < heaps->count; i++)
		unknown |= print_heap(heaps->name[i], width);
	if (unknown)
		puts("\n? This kernel, or the driver of the heap, does not tell; or only who may\n"
		     "  open the heap can ask.");
}

static void print_bits(const char *title, bool known, __u64 value,
		       const struct bit *bits)
{
	printf("%-12s", title);
	if (!known)
		printf(" ?");
	else if (!value)
		printf(" none");
	for (; bits->name; bits++) {
		if (value & bits->value)
			printf(" %s", bits->name);
	}
	putchar('\n');
}

static void print_bytes(const char *title, bool known, __u64 value)
{
	char text[SIZE_TEXT];

	if (!known)
		printf("%-12s ?\n", title);
	else
		printf("%-12s %llu (%s)\n", title, (unsigned long long)value,
		       size_text(text, value));
}

static void print_counter(const char *heap, const char *counter)
{
	long long value = heap_counter(heap, counter);

	if (!strncmp(counter, "bytes", strlen("bytes")))
		print_bytes(counter, value >= 0, value);
	else if (value < 0)
		printf("%-12s ?\n", counter);
	else
		printf("%-12s %lld\n", counter, value);
}

static void print_all(const char *name, struct dma_heap_info *info)
{
	int i;

	printf("%-12s %s\n", "node", node_path(name));
	print_bits("properties", info->mask & DMA_HEAP_INFO_PROPERTIES,
		   info->properties, properties);
	print_bits("heap_flags", info->mask & DMA_HEAP_INFO_HEAP_FLAGS,
		   info->heap_flags, heap_flags);
	for (i = 0; i < NUMBERS; i++)
		print_bytes(numbers[i].name, info->mask & numbers[i].known,
			    *number_in(info, i));
	for (i = 0; i < COUNTERS; i++)
		print_counter(name, counters[i]);
	if (!info->mask)
		puts("\n? This kernel, or the driver of the heap, does not tell.");
}

/*
 * For programs
 */

static void json_bits(const char *key, bool known, __u64 value,
		      const struct bit *bits)
{
	const char *between = "";

	printf(", \"%s\": ", key);
	if (!known) {
		printf("null");
		return;
	}
	putchar('[');
	for (; bits->name; bits++) {
		if (!(value & bits->value))
			continue;
		printf("%s\"%s\"", between, bits->name);
		between = ", ";
	}
	putchar(']');
}

static void json_all(const char *name, struct dma_heap_info *info)
{
	long long value;
	int i;

	printf("{\"name\": ");
	json_string(name);
	json_bits("properties", info->mask & DMA_HEAP_INFO_PROPERTIES,
		  info->properties, properties);
	json_bits("heap_flags", info->mask & DMA_HEAP_INFO_HEAP_FLAGS,
		  info->heap_flags, heap_flags);
	for (i = 0; i < NUMBERS; i++)
		json_number(numbers[i].name, info->mask & numbers[i].known,
			    *number_in(info, i));
	for (i = 0; i < COUNTERS; i++) {
		value = heap_counter(name, counters[i]);
		json_number(counters[i], value >= 0, value);
	}
	putchar('}');
}

void json_heaps(const struct names *heaps)
{
	struct dma_heap_info info;
	int i;

	putchar('[');
	for (i = 0; i < heaps->count; i++) {
		if (read_info(heaps->name[i], &info))
			memset(&info, 0, sizeof(info));
		printf("%s", json_between(i));
		json_all(heaps->name[i], &info);
	}
	printf("\n]");
}

/*
 * The commands
 */

/* Reads --json, or returns what else there is, such as 'h' */
static int read_options(int argc, char **argv, bool *json)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "json", no_argument, NULL, 'j' },
		{ 0 }
	};
	int option;

	*json = false;
	while ((option = getopt_long(argc, argv, "h", options, NULL)) == 'j')
		*json = true;
	return option;
}

int cmd_list(int argc, char **argv)
{
	struct names heaps;
	bool json;
	int option = read_options(argc, argv, &json);

	if (option != -1 || optind != argc)
		return show_usage(argv[0], option);
	names_read(&heaps, HEAP_DIR);
	if (json) {
		json_heaps(&heaps);
		putchar('\n');
	}
	if (!heaps.count)
		return complain_no_heap(NULL);
	if (!json)
		print_table(&heaps);
	return STATUS_OK;
}

int cmd_info(int argc, char **argv)
{
	struct dma_heap_info info;
	bool json;
	int option = read_options(argc, argv, &json);
	const char *name;

	if (option != -1 || optind + 1 != argc)
		return show_usage(argv[0], option);
	name = heap_name(argv[optind]);
	if (read_info(name, &info))
		return complain_open(name, errno);
	if (json) {
		json_all(name, &info);
		putchar('\n');
	} else {
		print_all(name, &info);
	}
	return STATUS_OK;
}
