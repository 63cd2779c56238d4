// SPDX-License-Identifier: GPL-2.0
/*
 * dmaheap bench: what allocating, mapping, importing and freeing buffers costs.
 * Here are options and results; the measurements are in bench-ops.c.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "dmaheap.h"
#include "heaps.h"

#define MAX_SIZES	32
#define UDMABUF		"udmabuf"

/* Of buffers that are held together, so much, or half of what is free */
#define ROOM_MOST	(256 * MIB)

/* Up to one 8K HDR frame */
#define DEFAULT_SIZES	"4K,64K,1M,8M,24883200,99614720"

/* The command line, read */
struct request {
	struct bench_options options;
	size_t size[MAX_SIZES];
	unsigned int sizes;
	bool csv;
};

/* All results for one source */
struct results {
	struct bench_cells cells[MAX_SIZES];
};

/*
 * Results
 */

static int compare(const void *a, const void *b)
{
	__u64 x = *(const __u64 *)a, y = *(const __u64 *)b;

	return x < y ? -1 : x > y;
}

/* Sorts the samples, so that the median is in the middle */
static void sort(struct samples *samples)
{
	qsort(samples->value, samples->count, sizeof(*samples->value), compare);
}

static __u64 median(const struct samples *samples)
{
	return samples->value[(samples->count - 1) / 2];
}

static void print_csv_cell(const struct request *request, const char *source,
			   size_t size, enum bench_op op, unsigned int threads,
			   const struct samples *samples)
{
	const char *unit = request->options.counter ? "count" : "ns";
	unsigned int i;

	for (i = 0; i < samples->count; i++)
		printf("%s,%zu,%s,%u,%s,%llu\n", source, size,
		       bench_ops[op].name, threads,
		       bench_ops[op].bytes ? "bytes" : unit, samples->value[i]);
}

static void print_csv(const struct request *request, const char *source,
		      struct results *results)
{
	unsigned int i, threads;
	enum bench_op op;

	for (op = 0; op < OPS; op++) {
		for (i = 0; i < request->sizes; i++)
			print_csv_cell(request, source, request->size[i], op, 1,
				       &results->cells[i].op[op]);
	}
	for (threads = 1; threads <= request->options.threads; threads++) {
		for (i = 0; i < request->sizes; i++)
			print_csv_cell(request, source, request->size[i],
				       OP_THREADS, threads,
				       &results->cells[i].threads[threads - 1]);
	}
	fflush(stdout);
}

/* As people read it, in three or four digits */
static void print_number(const struct samples *samples)
{
	static const char units[] = " kMGT";
	const char *unit = units;
	double value;

	if (!samples->count) {
		printf(" %8s", "-");
		return;
	}
	value = median(samples);
	while (value >= 1000 && unit[1]) {
		value /= 1000;
		unit++;
	}
	printf(" %7.*f%c", *unit == ' ' || value >= 100 ? 0 : value < 10 ? 2 : 1,
	       value, *unit);
}

/* One operation for all sizes; nothing if it was not measured for any */
static void print_row(const struct request *request, const char *name,
		      struct samples *samples[MAX_SIZES])
{
	bool any = false;
	unsigned int i;

	for (i = 0; i < request->sizes; i++) {
		any |= samples[i]->count;
		sort(samples[i]);
	}
	if (!any)
		return;
	printf("%-18s", name);
	for (i = 0; i < request->sizes; i++)
		print_number(samples[i]);
	putchar('\n');
}

static void print_table(const struct request *request, const char *source,
			struct results *results)
{
	struct samples *row[MAX_SIZES];
	char text[SIZE_TEXT], name[32];
	unsigned int i, threads;
	enum bench_op op;

	printf("%-18s", source);
	for (i = 0; i < request->sizes; i++)
		printf(" %8s", size_text(text, request->size[i]));
	putchar('\n');
	for (op = 0; op < OPS; op++) {
		for (i = 0; i < request->sizes; i++)
			row[i] = &results->cells[i].op[op];
		print_row(request, bench_ops[op].name, row);
	}
	for (threads = 1; threads <= request->options.threads; threads++) {
		for (i = 0; i < request->sizes; i++)
			row[i] = &results->cells[i].threads[threads - 1];
		snprintf(name, sizeof(name), "%s %u", bench_ops[OP_THREADS].name,
			 threads);
		print_row(request, name, row);
	}
	putchar('\n');
	fflush(stdout);
}

/*
 * Options
 */

static const struct option long_options[] = {
	{ "csv", no_argument, NULL, 'c' },
	{ "counter", no_argument, NULL, 'C' },
	{ "help", no_argument, NULL, 'h' },
	{ "operations", required_argument, NULL, 'o' },
	{ "samples", required_argument, NULL, 'n' },
	{ "sizes", required_argument, NULL, 's' },
	{ "threads", required_argument, NULL, 't' },
	{ }
};

/* Reads a number from 1 to @most, or says what was wrong */
static bool parse_count(const char *text, unsigned int most,
			unsigned int *count)
{
	unsigned long value;
	char *end;

	value = strtoul(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && value >= 1 &&
	    value <= most) {
		*count = value;
		return true;
	}
	complain(STATUS_USAGE, "%s is no number from 1 to %u", text, most);
	return false;
}

/* @list is cut into its parts */
static bool parse_sizes(char *list, struct request *request)
{
	char *part, *rest = list;
	__u64 size;

	request->sizes = 0;
	while ((part = strsep(&rest, ","))) {
		if (!parse_size(part, &size))
			return false;
		if (request->sizes == MAX_SIZES) {
			complain(STATUS_USAGE, "too many sizes: %u at most",
				 MAX_SIZES);
			return false;
		}
		request->size[request->sizes++] =
			(size + page_size() - 1) / page_size() * page_size();
	}
	return true;
}

static bool parse_op(const char *name, bool chosen[OPS])
{
	enum bench_op op;

	for (op = 0; op < OPS; op++) {
		if (!strcmp(name, bench_ops[op].name)) {
			chosen[op] = true;
			return true;
		}
	}
	complain(STATUS_USAGE, "there is no operation %s. There are:", name);
	for (op = 0; op < OPS; op++)
		fprintf(stderr, "  %-18s %s\n", bench_ops[op].name,
			bench_ops[op].text);
	return false;
}

/* @list is cut into its parts */
static bool parse_ops(char *list, bool chosen[OPS])
{
	char *part, *rest = list;

	memset(chosen, 0, OPS * sizeof(*chosen));
	while ((part = strsep(&rest, ","))) {
		if (!parse_op(part, chosen))
			return false;
	}
	return true;
}

static bool parse_counter(struct request *request)
{
#if defined(__x86_64__) || defined(__aarch64__)
	request->options.counter = true;
	return true;
#else
	(void)request;
	complain(STATUS_USAGE,
		 "--counter: a program cannot read this processor's counter");
	return false;
#endif
}

static bool parse_option(int option, struct request *request)
{
	switch (option) {
	case 'c':
		request->csv = true;
		return true;
	case 'C':
		return parse_counter(request);
	case 'n':
		return parse_count(optarg, MAX_SAMPLES,
				   &request->options.samples);
	case 'o':
		return parse_ops(optarg, request->options.op);
	case 's':
		return parse_sizes(optarg, request);
	default:
		return parse_count(optarg, MAX_THREADS,
				   &request->options.threads);
	}
}

/*
 * Sources
 */

/* Opens udmabuf, unless that is the name of a heap */
static bool open_udmabuf(struct bench_source *source, enum status *status)
{
	source->udmabuf = true;
	source->mappable = true;
	source->room = ROOM_MOST;
	source->fd = open("/dev/" UDMABUF, O_RDWR | O_CLOEXEC);
	if (source->fd < 0)
		*status = complain(STATUS_FAILED,
				   "/dev/udmabuf cannot be opened: %s (CONFIG_UDMABUF)",
				   strerror(errno));
	return source->fd >= 0;
}

static bool open_source(const char *name, struct bench_source *source,
			enum status *status)
{
	struct dma_heap_info info;

	memset(source, 0, sizeof(*source));
	source->name = name;
	if (!strcmp(name, UDMABUF) && access(HEAP_DIR "/" UDMABUF, F_OK))
		return open_udmabuf(source, status);
	source->fd = open_heap(name, status);
	if (source->fd < 0)
		return false;
	heap_info(source->fd, &info);
	source->mappable = heap_is_cpu_mappable(&info);
	source->room = info.free / 2 < ROOM_MOST ? info.free / 2 : ROOM_MOST;
	return true;
}

static enum status complain_measure(const char *source, size_t size,
				    const char *failed)
{
	char text[SIZE_TEXT];

	if (errno == ENOMEM)
		return complain(STATUS_NO_MEMORY,
				"%s: no memory for %s with a buffer of %s",
				source, failed, size_text(text, size));
	return complain(STATUS_FAILED, "%s: %s of %s failed: %s", source, failed,
			size_text(text, size), strerror(errno));
}

/*
 * Measures what there is memory for; what there is none for is not measured,
 * and said
 */
static enum status bench_source(const struct request *request, const char *name)
{
	enum status status = STATUS_OK;
	struct bench_source source;
	struct results *results;
	const char *failed;
	unsigned int i;

	if (!open_source(name, &source, &status))
		return status;
	results = calloc(1, sizeof(*results));
	if (!results) {
		close(source.fd);
		return complain(STATUS_NO_MEMORY, "no memory for results");
	}
	for (i = 0; i < request->sizes; i++) {
		if (!bench_measure(&request->options, &source, request->size[i],
				   &results->cells[i], &failed))
			continue;
		status = complain_measure(name, request->size[i], failed);
		if (status != STATUS_NO_MEMORY)
			break;
	}
	if (request->csv)
		print_csv(request, name, results);
	else
		print_table(request, name, results);
	free(results);
	close(source.fd);
	return status;
}

/* Every heap there is */
static enum status bench_all(const struct request *request)
{
	enum status status = STATUS_OK, one;
	struct names heaps;
	int i;

	names_read(&heaps, HEAP_DIR);
	if (!heaps.count)
		return complain(STATUS_NO_HEAP, "there is no heap in " HEAP_DIR);
	for (i = 0; i < heaps.count; i++) {
		one = bench_source(request, heaps.name[i]);
		status = status ? status : one;
	}
	return status;
}

static enum status bench_named(const struct request *request, char **names)
{
	enum status status = STATUS_OK, one;

	for (; *names; names++) {
		one = bench_source(request, *names);
		status = status ? status : one;
	}
	return status;
}

int cmd_bench(int argc, char **argv)
{
	struct request request = { .options = { .samples = 5, .threads = 4 } };
	char sizes[] = DEFAULT_SIZES;
	int option;

	memset(request.options.op, true, sizeof(request.options.op));
	parse_sizes(sizes, &request);
	while ((option = getopt_long(argc, argv, "hn:o:s:t:", long_options,
				     NULL)) != -1) {
		if (option == 'h' || option == '?')
			return show_usage(argv[0], option);
		if (!parse_option(option, &request))
			return STATUS_USAGE;
	}
	if (request.csv)
		puts("heap,bytes,operation,threads,unit,value");
	return argv[optind] ? bench_named(&request, argv + optind) :
			      bench_all(&request);
}
