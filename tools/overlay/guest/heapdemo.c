// SPDX-License-Identifier: GPL-2.0
/*
 * heapdemo: what DMA-BUF heaps are for, done on every heap of this kernel
 *
 * A program allocates a buffer, fills it and passes it to another process; that
 * one imports it into each test device, which reads and writes the memory; the
 * first one finds what the devices wrote, and after the release all memory is
 * back. Prints a table; the exit status is 0 if all of that held.
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

static const size_t sizes[] = { 4 * KIB, MIB, 8 * MIB };

#define SIZES	((int)(sizeof(sizes) / sizeof(*sizes)))

/* One line of the table. Both processes write into it. */
struct job {
	const char *heap;
	const struct names *devs;
	struct buffer buffer;
	int socket;
	size_t moved[NAMES_MAX];
	double seconds;
	char failure[256];
};

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

static int use_device(struct job *job, struct buffer *buffer, int index)
{
	const char *name = job->devs->name[index];
	int dev = testdev_open(name);
	struct import import;
	int ret;

	if (dev < 0)
		return failed(job, "opening", name);
	if (import_begin(&import, dev, buffer->fd,
			 DMA_BUF_TESTDEV_BIDIRECTIONAL))
		return failed(job, "importing into", name);
	ret = read_and_write(job, &import, buffer, index);
	if (import_detach(&import) && !ret)
		ret = failed(job, "detaching from", name);
	close(dev);
	return ret;
}

/* The other process: gets the buffer by the socket and by nothing else */
static int other_process(void *arg)
{
	struct job *job = arg;
	struct buffer buffer = job->buffer;
	int i;

	munmap(buffer.mem, buffer.size);
	close(buffer.fd);
	buffer.fd = fd_receive(job->socket);
	if (buffer.fd < 0)
		return failed(job, "receiving the buffer", NULL);
	buffer.mem = dmabuf_map(buffer.fd, buffer.size, 0);
	if (buffer.mem == MAP_FAILED)
		return failed(job, "mapping in the other process", NULL);
	for (i = 0; i < job->devs->count; i++)
		if (use_device(job, &buffer, i))
			return -1;
	return 0;
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
	if (compared(job, buffer_differs(&job->buffer), "before the first use",
		     "of the memory"))
		return -1;
	if (buffer_fill(&job->buffer, CPU_SEED))
		return failed(job, "filling", NULL);
	if (pass_on(job))
		return -1;
	return compared(job, buffer_differs(&job->buffer), "at last, in",
			"the first process");
}

static int use_heap(struct job *job, size_t size)
{
	int heap = heap_open(job->heap);
	int ret;

	if (heap < 0)
		return failed(job, "opening the heap", NULL);
	if (buffer_alloc(&job->buffer, heap, size)) {
		ret = failed(job, "allocating and mapping", NULL);
	} else {
		ret = fill_and_share(job);
		buffer_free(&job->buffer);
	}
	close(heap);
	return ret;
}

/* Does one line's work; 0 if all held */
static int run(struct job *job, size_t size)
{
	struct usage before, after;
	struct timespec start, end;
	int ret;

	usage_read(&before, job->heap);
	clock_gettime(CLOCK_MONOTONIC, &start);
	ret = use_heap(job, size);
	clock_gettime(CLOCK_MONOTONIC, &end);
	usage_read(&after, job->heap);
	job->seconds = end.tv_sec - start.tv_sec +
		       (end.tv_nsec - start.tv_nsec) / 1e9;
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

/* As wide as the devices' names and a size need */
static int width(const char *name)
{
	return strlen(name) < 8 ? 8 : (int)strlen(name);
}

static void print_size(int columns, size_t size)
{
	char text[32];

	if (size >= MIB && size % MIB == 0)
		snprintf(text, sizeof(text), "%zu MiB", size / MIB);
	else
		snprintf(text, sizeof(text), "%zu KiB", size / KIB);
	printf("%*s", columns, text);
}

static void print_device(const char *name)
{
	struct dma_buf_testdev_info info = { 0 };
	int dev = testdev_open(name);

	if (dev < 0 || ioctl(dev, DMA_BUF_TESTDEV_INFO, &info)) {
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

static void print_head(const struct names *devs)
{
	int i;

	printf("A buffer is allocated, mapped, filled and passed to another process.\n"
	       "There each device reads it, checks it, and writes into it; after each,\n"
	       "and in the first process at last, every byte is checked. Then it is\n"
	       "released, and the heap must have all memory back. The devices:\n");
	for (i = 0; i < devs->count; i++)
		print_device(devs->name[i]);
	printf("A device's column tells how much it read and wrote. An engine is slow\n"
	       "and does the ends of the buffer and where a piece meets the next.\n\n");
	printf("%-20s %8s", "heap", "size");
	for (i = 0; i < devs->count; i++)
		printf("  %*s", width(devs->name[i]), devs->name[i]);
	printf("  %9s\n", "time");
}

static void print_job(const struct job *job, size_t size, int ret)
{
	int i;

	printf("%-20s ", job->heap);
	print_size(8, size);
	if (ret) {
		printf("  FAILED: %s\n", job->failure);
		return;
	}
	for (i = 0; i < job->devs->count; i++) {
		printf("  ");
		print_size(width(job->devs->name[i]), job->moved[i]);
	}
	printf("  %7.2f s\n", job->seconds);
}

/* Returns how many of the heap's lines failed */
static int run_heap(struct job *job)
{
	int ret, bad = 0, i;

	for (i = 0; i < SIZES; i++) {
		job->failure[0] = '\0';
		ret = run(job, sizes[i]);
		print_job(job, sizes[i], ret);
		fflush(stdout);
		bad += !!ret;
	}
	return bad;
}

static int print_verdict(int buffers, int heaps, int devs, int bad)
{
	if (bad) {
		printf("\nFAILED: %d of %d buffers did not pass.\n", bad,
		       buffers);
		return 1;
	}
	printf("\nAll %d buffers of %d heaps held what the CPU and %d devices wrote,\n"
	       "and all memory came back.\n",
	       buffers, heaps, devs);
	return 0;
}

int main(void)
{
	static struct names heaps, devs;
	struct job *job;
	int i, bad = 0;

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
	print_head(&devs);
	for (i = 0; i < heaps.count; i++) {
		job->heap = heaps.name[i];
		bad += run_heap(job);
	}
	return print_verdict(heaps.count * SIZES, heaps.count, devs.count, bad);
}
