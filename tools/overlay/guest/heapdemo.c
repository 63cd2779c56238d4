// SPDX-License-Identifier: GPL-2.0
/*
 * heapdemo: what DMA-BUF heaps are for, done on every heap of this kernel
 *
 * A program allocates a buffer, fills it and passes it to another process; that
 * one imports it into each test device, which reads and writes the memory; the
 * first one finds what the devices wrote, and after the release all memory is
 * back. Where the CPU may not touch the memory, a device stands in for it.
 * Prints a table; the exit status is 0 if all of that held.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Shared with the selftests; included so that this is one file to compile */
#include "../../testing/selftests/dmabuf-heaps/heaps.c"

/* What a buffer holds at first; each device then writes with its own seed */
#define CPU_SEED	1
#define DEVICE_SEED	2

/* In units of the heap, and as far as it gives that much; the last is shown */
static const size_t sizes[] = { 4 * KIB, 4 * MIB };

#define SIZES	((int)(sizeof(sizes) / sizeof(*sizes)))

/* Engines are too slow to be tried on any other */
#define IS_SHOWN(i)	((i) == SIZES - 1)

/* Of a larger piece that a device does not reach, no copy is made within reach */
#define COPY_MOST	(256 * KIB)

/* One buffer of a heap. Both processes write into it. */
struct job {
	const char *heap;
	const struct names *devs;
	struct dma_heap_info info;
	struct buffer buffer;
	int socket;
	/* Engines are to use the buffer too */
	bool engines;
	/* How much each device read and wrote; 0 if the buffer is out of reach */
	size_t moved[NAMES_MAX];
	/* For all buffers of the heap */
	double seconds;
	char failure[256];
};

/* Of all heaps */
struct sums {
	int buffers;
	int failed;
	int out_of_reach;
};

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* Notes that @step, perhaps on a device, failed with errno; returns -1 */
static int failed(struct job *job, const char *step, const char *dev)
{
	snprintf(job->failure, sizeof(job->failure), "%s%s%s: %s", step,
		 dev ? " " : "", dev ? dev : "", strerror(errno));
	return -1;
}

/* Judges what a comparison returned: 0, or notes why not and returns -1 */
static int compared(struct job *job, ssize_t where, const char *step,
		    const char *dev)
{
	if (where == -1)
		return 0;
	if (where < 0)
		return failed(job, step, dev);
	snprintf(job->failure, sizeof(job->failure),
		 "%s %s: byte %zd is not what was written", step, dev, where);
	return -1;
}

static size_t spans_size(const struct import *import)
{
	struct span spans[SPANS_MAX];
	int count = import_spans(import, spans);
	size_t size = 0;

	while (count--)
		size += spans[count].len;
	return size;
}

/* The device reads what is in the buffer and writes something else into it */
static int read_and_write(struct job *job, const struct import *import,
			  struct buffer *buffer, int index)
{
	const char *dev = job->devs->name[index];

	if (compared(job, import_differs(import, buffer), "reading by", dev))
		return -1;
	if (import_fill(import, buffer, DEVICE_SEED + index))
		return failed(job, "writing by", dev);
	job->moved[index] = spans_size(import);
	return compared(job, buffer_differs(buffer), "after writing by", dev);
}

/* Whether errno of a failed import means no more than that */
static bool out_of_reach(const struct job *job, const struct import *import)
{
	return errno == EIO && testdev_is_short(&import->info) &&
	       (!heap_is_cached(&job->info) || job->buffer.size > COPY_MOST);
}

static bool is_engine(int dev)
{
	struct dma_buf_testdev_info info;

	return !testdev_info(dev, &info) &&
	       info.flags & DMA_BUF_TESTDEV_ENGINE;
}

static int use_device(struct job *job, struct buffer *buffer, int index)
{
	const char *name = job->devs->name[index];
	int dev = testdev_open(name);
	struct import import;
	int ret;

	if (dev < 0)
		return failed(job, "opening", name);
	if (!job->engines && is_engine(dev)) {
		ret = 0;
	} else if (import_begin(&import, dev, buffer->fd,
			 DMA_BUF_TESTDEV_BIDIRECTIONAL)) {
		ret = out_of_reach(job, &import) ?
		      0 : failed(job, "importing into", name);
	} else {
		ret = read_and_write(job, &import, buffer, index);
		if (import_detach(&import) && !ret)
			ret = failed(job, "detaching from", name);
	}
	close(dev);
	return ret;
}

/* The same, but that no device reaches the memory is a failure */
static int use_devices(struct job *job, struct buffer *buffer)
{
	size_t moved = 0;
	int i;

	for (i = 0; i < job->devs->count; i++) {
		if (use_device(job, buffer, i))
			return -1;
		moved += job->moved[i];
	}
	if (moved)
		return 0;
	snprintf(job->failure, sizeof(job->failure),
		 "no device reaches the memory");
	return -1;
}

/* The other process: gets the buffer by the socket and by nothing else */
static int other_process(void *arg)
{
	struct job *job = arg;
	struct buffer buffer = job->buffer;
	int dmabuf;

	buffer_close(&buffer);
	dmabuf = fd_receive(job->socket);
	if (dmabuf < 0)
		return failed(job, "receiving the buffer", NULL);
	if (buffer_reopen(&buffer, dmabuf))
		return failed(job, "mapping in the other process", NULL);
	return use_devices(job, &buffer);
}

static int pass_on(struct job *job)
{
	int socks[2], ret;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, socks))
		return failed(job, "making a socket", NULL);
	job->socket = socks[1];
	if (fd_send(socks[0], job->buffer.fd))
		ret = failed(job, "sending the buffer", NULL);
	else
		ret = in_child(other_process, job);
	close(socks[0]);
	close(socks[1]);
	if (ret && !job->failure[0])
		snprintf(job->failure, sizeof(job->failure),
			 "the other process ended with status %d", ret);
	return ret;
}

static int fill_and_share(struct job *job)
{
	if (heap_is_zeroed(&job->info) &&
	    compared(job, buffer_differs(&job->buffer), "before the first use",
		     "of the memory"))
		return -1;
	if (buffer_fill(&job->buffer, CPU_SEED))
		return failed(job, "filling", NULL);
	if (pass_on(job))
		return -1;
	return compared(job, buffer_differs(&job->buffer), "at last, in",
			"the first process");
}

/* Allocates, and does all else with the buffer */
static int use_buffer(struct job *job, int heap, size_t size)
{
	int ret;

	if (buffer_alloc(&job->buffer, heap, size))
		return failed(job, "allocating and mapping", NULL);
	ret = fill_and_share(job);
	buffer_free(&job->buffer);
	return ret;
}

/* Does one buffer's work; 0 if all held */
static int run(struct job *job, int heap, size_t size)
{
	struct usage before, after;
	int ret;

	memset(job->moved, 0, sizeof(job->moved));
	job->failure[0] = '\0';
	usage_read(&before, job->heap);
	ret = use_buffer(job, heap, size);
	usage_read(&after, job->heap);
	if (ret || usage_equal(&before, &after))
		return ret;
	snprintf(job->failure, sizeof(job->failure),
		 "released, but %lld buffers of %lld bytes did not come back",
		 after.buffers - before.buffers, after.bytes - before.bytes);
	return -1;
}

/*
 * The table
 */

/* As wide as the longest name */
static int name_width(const struct names *heaps)
{
	int i, len, width = 20;

	for (i = 0; i < heaps->count; i++) {
		len = strlen(heaps->name[i]);
		if (len > width)
			width = len;
	}
	return width;
}

/* A device's name without where it is, in as many columns as it or a size take */
static int label(const char *name, int *columns)
{
	int len = strcspn(name, "-");

	*columns = len < 7 ? 7 : len;
	return len;
}

static void print_size(int columns, size_t size)
{
	char text[32];

	if (size >= MIB && size % MIB == 0)
		snprintf(text, sizeof(text), "%lu MiB", size / MIB);
	else
		snprintf(text, sizeof(text), "%lu KiB", size / KIB);
	printf("%*s", columns, size ? text : "-");
}

static void print_device(const char *name)
{
	struct dma_buf_testdev_info info = { 0 };
	int dev = testdev_open(name);

	if (dev < 0 || testdev_info(dev, &info)) {
		printf("  %s: %s\n", name, strerror(errno));
		return;
	}
	printf("  %s: %s, addresses up to %#llx, %scoherent%s\n", name,
	       info.flags & DMA_BUF_TESTDEV_ENGINE ? "a DMA engine" :
	       "the CPU in its place", (unsigned long long)info.dma_mask,
	       info.flags & DMA_BUF_TESTDEV_COHERENT ? "" : "not ",
	       info.flags & DMA_BUF_TESTDEV_IOMMU ? ", behind an IOMMU" : "");
	close(dev);
}

static void print_head(const struct names *heaps, const struct names *devs)
{
	int i, len, columns;

	printf("From each heap a small and a large buffer are allocated, mapped, filled and\n"
	       "passed to another process. There each device reads the buffer, checks it, and\n"
	       "writes into it; after each, and in the first process at last, every byte is\n"
	       "checked. Then it is released, and the heap must have all memory back. Where the\n"
	       "CPU may not touch the memory, a device fills and checks it. The devices:\n");
	for (i = 0; i < devs->count; i++)
		print_device(devs->name[i]);
	printf("A device's column tells how much of the large buffer it read and wrote. An\n"
	       "engine is slow and does the ends of it and where a piece meets the next.\n\n");
	printf("%-*s  %-23s %7s", name_width(heaps), "heap", "memory",
	       "buffer");
	for (i = 0; i < devs->count; i++) {
		len = label(devs->name[i], &columns);
		printf("  %*.*s", columns, len, devs->name[i]);
	}
	printf("   time\n");
}

/* What kind of memory it is, as the heap itself says */
static const char *memory(const struct dma_heap_info *info)
{
	static char text[64];
	const char *access = "uncached";

	if (!(info->mask & DMA_HEAP_INFO_PROPERTIES))
		return "it does not say";
	if (info->properties & DMA_HEAP_PROP_PROTECTED)
		access = "protected";
	else if (heap_is_cached(info))
		access = "cached";
	snprintf(text, sizeof(text), "%s%s%s",
		 info->properties & DMA_HEAP_PROP_CONTIGUOUS ?
		 "contiguous " : "", access,
		 info->properties & DMA_HEAP_PROP_ECC ? " ECC" : "");
	return text;
}

/* Begins a line, about a buffer of @size bytes */
static void print_buffer(const struct job *job, int width, size_t size)
{
	printf("%-*s  %-23s ", width, job->heap, memory(&job->info));
	print_size(7, size);
}

/* Ends it; returns how many devices did not reach the buffer */
static int print_devices(const struct job *job)
{
	int i, columns, missing = 0;

	for (i = 0; i < job->devs->count; i++) {
		label(job->devs->name[i], &columns);
		printf("  ");
		print_size(columns, job->moved[i]);
		missing += !job->moved[i];
	}
	printf("  %3.1f s\n", job->seconds);
	return missing;
}

/* The size to be tried, or as much of it as the heap gives, in whole units */
static size_t buffer_size(const struct dma_heap_info *info, size_t size)
{
	size_t unit = info->granularity;

	if (size > info->max_alloc)
		size = info->max_alloc;
	return (size + unit - 1) / unit * unit;
}

/* Tries all sizes and prints a line for the last, and for each that failed */
static void run_heap(struct job *job, int heap, int width, struct sums *sums)
{
	size_t size, last = 0;
	int i, ret = 0;

	double start = seconds_now();

	heap_info(heap, &job->info);
	for (i = 0; i < SIZES; i++) {
		size = buffer_size(&job->info, sizes[i]);
		if (size == last && !IS_SHOWN(i))
			continue;
		last = size;
		job->engines = IS_SHOWN(i);
		ret = run(job, heap, size);
		job->seconds = seconds_now() - start;
		sums->buffers++;
		sums->failed += !!ret;
		if (ret) {
			print_buffer(job, width, size);
			printf("  FAILED: %s\n", job->failure);
		}
	}
	if (!ret) {
		print_buffer(job, width, last);
		sums->out_of_reach += print_devices(job);
	}
}

static void open_and_run(struct job *job, int width, struct sums *sums)
{
	int heap = heap_open(job->heap);

	if (heap < 0) {
		printf("%-*s  FAILED: opening the heap: %s\n", width, job->heap,
		       strerror(errno));
		sums->buffers++;
		sums->failed++;
	} else {
		run_heap(job, heap, width, sums);
		close(heap);
	}
	fflush(stdout);
}

static int print_verdict(const struct sums *sums, int heaps, int devs,
			 double seconds)
{
	if (sums->out_of_reach)
		puts("\n- The device does not reach all of this machine's memory. Of what it\n"
		     "  does not reach, a copy is made if it is cached and in small pieces.");
	if (sums->failed) {
		printf("\nFAILED: %d of %d buffers did not pass.\n",
		       sums->failed, sums->buffers);
		return 1;
	}
	printf("\nAll %d buffers of %d heaps held what the CPU and %d devices wrote,\n"
	       "and all memory came back, in %.1f s.\n",
	       sums->buffers, heaps, devs, seconds);
	return 0;
}

int main(void)
{
	static struct names heaps, devs;
	double start = seconds_now();
	struct sums sums = { 0 };
	struct job *job;
	int i;

	names_read(&heaps, HEAP_DIR);
	names_read(&devs, TESTDEV_DIR);
	if (!heaps.count || !devs.count) {
		fprintf(stderr, "heapdemo: no %s in %s: was its driver built and loaded?\n",
			heaps.count ? "test device" : "heap",
			heaps.count ? TESTDEV_DIR : HEAP_DIR);
		return 1;
	}
	job = mmap(NULL, sizeof(*job), PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (job == MAP_FAILED) {
		perror("heapdemo: memory for the table");
		return 1;
	}
	job->devs = &devs;
	print_head(&heaps, &devs);
	for (i = 0; i < heaps.count; i++) {
		job->heap = heaps.name[i];
		open_and_run(job, name_width(&heaps), &sums);
	}
	return print_verdict(&sums, heaps.count, devs.count,
			     seconds_now() - start);
}
