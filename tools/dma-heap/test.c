// SPDX-License-Identifier: GPL-2.0
/*
 * dmaheap test: what heaps are for, tried
 *
 * A program allocates a buffer, fills it and passes it to another process; that
 * one imports it wherever this machine can. Test devices read and write the
 * memory; the first process finds what they wrote, and after the release all
 * memory is back. Where the CPU may not touch the memory, a test device stands in
 * for it.
 */

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "dmaheap.h"
#include "drm.h"
#include "heaps.h"

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

enum verdict {
	PASSED,
	FAILED,
	SKIPPED,
	VERDICTS,
};

/* Who can import a buffer: a test device, or a driver by PRIME */
struct importer {
	char name[NAME_SIZE];
	bool is_drm;
	/* Of DRM */
	char driver[NAME_SIZE];
	unsigned long long device;
	/* Of a test device */
	struct dma_buf_testdev_info info;
};

struct importers {
	int count;
	/* Of these, the first in the list */
	int testdevs;
	struct importer list[NAMES_MAX];
	/* One of them can do for the CPU what it may not do itself */
	bool stand_in;
};

/* One buffer of a heap. Both processes write into it. */
struct job {
	const char *heap;
	const struct importers *importers;
	/* Each step is shown, and not only what came of all */
	bool steps;
	struct dma_heap_info info;
	struct buffer buffer;
	/* Nobody can look at what it holds */
	bool blind;
	/* Engines are to use the buffer too */
	bool engines;
	int socket;
	/* How much each importer took; 0 if it did not take the buffer */
	size_t moved[NAMES_MAX];
	/* For all buffers of the heap */
	double seconds;
	char failure[256];
	/* How many steps of all buffers ended so */
	int verdicts[VERDICTS];
};

/* Of all heaps */
struct sums {
	int heaps;
	int buffers;
	int failed;
	int not_taken;
	/* Buffers that nobody could look into */
	int blind;
	/* The kernel does not tell whether the memory came back */
	bool untold;
};

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/*
 * Verdicts
 */

__attribute__((format(printf, 3, 4)))
static void show(struct job *job, enum verdict verdict, const char *format, ...)
{
	static const char * const names[] = { "passed", "FAILED", "skipped" };
	va_list args;

	job->verdicts[verdict]++;
	if (!job->steps)
		return;
	printf("  %-7s  ", names[verdict]);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

#define passed(job, ...)	show(job, PASSED, __VA_ARGS__)
#define skipped(job, ...)	show(job, SKIPPED, __VA_ARGS__)

/* Notes a text as what failed; returns -1 */
__attribute__((format(printf, 2, 3)))
static int failed_by(struct job *job, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(job->failure, sizeof(job->failure), format, args);
	va_end(args);
	show(job, FAILED, "%s", job->failure);
	return -1;
}

/* Notes that @step, perhaps on a device, failed with errno; returns -1 */
static int failed(struct job *job, const char *step, const char *dev)
{
	return failed_by(job, "%s%s%s: %s", step, dev ? " " : "",
			 dev ? dev : "", strerror(errno));
}

/* Judges what a comparison returned: 0, or notes why not and returns -1 */
static int compared(struct job *job, ssize_t where, const char *step,
		    const char *dev)
{
	if (where == -1)
		return 0;
	if (where < 0)
		return failed(job, step, dev);
	return failed_by(job, "%s%s%s: byte %zd is not what was written", step,
			 dev ? " " : "", dev ? dev : "", where);
}

/*
 * Test devices
 */

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
			  int index)
{
	const char *dev = job->importers->list[index].name;
	struct buffer *buffer = &job->buffer;

	if (compared(job, import_differs(import, buffer), "reading by", dev))
		return -1;
	if (import_fill(import, buffer, DEVICE_SEED + index))
		return failed(job, "writing by", dev);
	job->moved[index] = spans_size(import);
	return compared(job, buffer_differs(buffer), "after writing by", dev);
}

/* Whether errno of a failed import means no more than that */
static bool out_of_reach(const struct job *job,
			 const struct dma_buf_testdev_info *info)
{
	return errno == EIO && testdev_is_short(info) &&
	       (!heap_is_cached(&job->info) || job->buffer.size > COPY_MOST);
}

/* The import of a device that refused it */
static int refused_by_testdev(struct job *job, const struct importer *importer)
{
	if (!out_of_reach(job, &importer->info))
		return failed(job, "importing into", importer->name);
	skipped(job, "importing into %s: it does not reach the memory",
		importer->name);
	return 0;
}

static int use_import(struct job *job, struct import *import, int index)
{
	const char *name = job->importers->list[index].name;
	char text[SIZE_TEXT];
	int ret = 0;

	if (job->blind)
		job->moved[index] = import->map.size;
	else
		ret = read_and_write(job, import, index);
	if (import_detach(import) && !ret)
		ret = failed(job, "detaching from", name);
	if (!ret)
		passed(job, "importing into %s%s: %s, pieces: %u", name,
		       job->blind ? "" : ", which reads and writes",
		       size_text(text, job->moved[index]), import->map.nents);
	return ret;
}

static int use_testdev(struct job *job, int index)
{
	const struct importer *importer = &job->importers->list[index];
	struct import import;
	int dev, ret;

	if (!job->engines && importer->info.flags & DMA_BUF_TESTDEV_ENGINE)
		return 0;
	dev = testdev_open(importer->name);
	if (dev < 0)
		return failed(job, "opening", importer->name);
	if (import_begin(&import, dev, job->buffer.fd,
			 DMA_BUF_TESTDEV_BIDIRECTIONAL))
		ret = refused_by_testdev(job, importer);
	else
		ret = use_import(job, &import, index);
	close(dev);
	return ret;
}

/*
 * DRM
 */

/* Whether what the driver gives back is the dma-buf that it was given */
static int same_dmabuf(struct job *job, int drm, __u32 handle, const char *name)
{
	int dmabuf = drm_export(drm, handle);
	struct stat ours, theirs;
	int ret;

	if (dmabuf < 0)
		return failed(job, "exporting again from", name);
	ret = fstat(job->buffer.fd, &ours) || fstat(dmabuf, &theirs);
	close(dmabuf);
	if (ret)
		return failed(job, "identifying the buffer from", name);
	if (ours.st_ino == theirs.st_ino)
		return 0;
	return failed_by(job, "exporting again from %s: it is another buffer",
			 name);
}

static int use_handle(struct job *job, int drm, __u32 handle, int index)
{
	const struct importer *importer = &job->importers->list[index];
	int ret = same_dmabuf(job, drm, handle, importer->name);

	if (drm_release(drm, handle) && !ret)
		ret = failed(job, "releasing from", importer->name);
	if (ret)
		return ret;
	job->moved[index] = job->buffer.size;
	passed(job, "importing into %s (%s), and exporting again",
	       importer->name, importer->driver);
	return 0;
}

/* A driver may refuse a buffer: that is no fault of the heap */
static int use_drm(struct job *job, int index)
{
	const struct importer *importer = &job->importers->list[index];
	int drm = drm_open(importer->name);
	__u32 handle;
	int ret = 0;

	if (drm < 0)
		return failed(job, "opening", importer->name);
	if (drm_import(drm, job->buffer.fd, &handle))
		skipped(job, "importing into %s (%s): the driver refuses it: %s",
			importer->name, importer->driver, strerror(errno));
	else
		ret = use_handle(job, drm, handle, index);
	close(drm);
	return ret;
}

/*
 * The life of a buffer
 */

static int use_importer(struct job *job, int index)
{
	if (job->importers->list[index].is_drm)
		return use_drm(job, index);
	return use_testdev(job, index);
}

/* The same for all; that none takes the buffer is a failure */
static int use_importers(struct job *job)
{
	const struct importers *importers = job->importers;
	size_t moved = 0;
	int i;

	if (!importers->count)
		skipped(job, "importing: nothing here imports dma-bufs");
	for (i = 0; i < importers->count; i++) {
		if (use_importer(job, i))
			return -1;
		moved += job->moved[i];
	}
	if (moved || !importers->stand_in)
		return 0;
	return failed_by(job, "importing: no device reaches the memory");
}

/* The other process: gets the buffer by the socket and by nothing else */
static int other_process(void *arg)
{
	struct job *job = arg;
	int dmabuf;

	buffer_close(&job->buffer);
	dmabuf = fd_receive(job->socket);
	if (dmabuf < 0)
		return failed(job, "receiving the buffer", NULL);
	if (job->blind)
		job->buffer.fd = dmabuf;
	else if (buffer_reopen(&job->buffer, dmabuf))
		return failed(job, "mapping in the other process", NULL);
	passed(job, "passing it to another process%s",
	       job->buffer.mem ? ", and mapping it there" : "");
	return use_importers(job);
}

static int pass_on(struct job *job)
{
	struct buffer ours = job->buffer;
	int socks[2], ret;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, socks))
		return failed(job, "making a socket", NULL);
	job->socket = socks[1];
	if (fd_send(socks[0], job->buffer.fd))
		ret = failed(job, "sending the buffer", NULL);
	else
		ret = in_child(other_process, job);
	/* The other process wrote its own into what both share */
	job->buffer = ours;
	close(socks[0]);
	close(socks[1]);
	if (ret && !job->failure[0])
		failed_by(job, "the other process ended with status %d", ret);
	return ret;
}

/* What the CPU, or a device in its place, does before the buffer is passed on */
static int fill(struct job *job)
{
	const char *who = job->buffer.mem ? "by the CPU" : "by a test device";

	if (heap_is_zeroed(&job->info)) {
		if (compared(job, buffer_differs(&job->buffer),
			     "looking for zeroes", NULL))
			return -1;
		passed(job, "all of it is zero");
	} else {
		skipped(job, "looking for zeroes: the heap does not zero its memory");
	}
	if (buffer_fill(&job->buffer, CPU_SEED))
		return failed(job, "filling it", who);
	passed(job, "filling it %s", who);
	return 0;
}

static int fill_and_share(struct job *job)
{
	if (!job->blind && fill(job))
		return -1;
	if (pass_on(job))
		return -1;
	if (job->blind)
		return 0;
	if (compared(job, buffer_differs(&job->buffer),
		     "comparing it in the first process", NULL))
		return -1;
	passed(job, "it holds what was written last");
	return 0;
}

/* Whether errno of a failed mmap() may be how the memory is, and no fault */
static bool may_be_unmappable(const struct job *job)
{
	return !(job->info.mask & DMA_HEAP_INFO_PROPERTIES) &&
	       (errno == EINVAL || errno == EPERM || errno == EACCES);
}

/* Maps what was allocated, or finds that this cannot be */
static int map(struct job *job, int dmabuf)
{
	struct buffer *buffer = &job->buffer;
	char text[SIZE_TEXT];

	job->blind = false;
	if (!buffer_from_fd(buffer, dmabuf)) {
		if (buffer->mem) {
			passed(job, "mapping %s", size_text(text, buffer->size));
			return 0;
		}
		job->blind = !job->importers->stand_in;
		skipped(job, "mapping it: the CPU may not touch this memory%s",
			job->blind ? ", and there is no test device that could" : "");
		return 0;
	}
	if (!may_be_unmappable(job))
		return failed(job, "mapping it", NULL);
	skipped(job, "mapping it: %s, and the heap does not tell whether it can be",
		strerror(errno));
	job->blind = true;
	*buffer = (struct buffer){
		.fd = dmabuf,
		.size = dmabuf_size(dmabuf),
		.model = MAP_FAILED,
	};
	return 0;
}

/* Gives up what map() left */
static void release(struct job *job)
{
	struct buffer *buffer = &job->buffer;

	if (buffer->model == MAP_FAILED)
		close(buffer->fd);
	else
		buffer_free(buffer);
}

/* Allocates, and does all else with the buffer */
static int use_buffer(struct job *job, int heap, size_t size)
{
	int dmabuf = heap_alloc(heap, size);
	char text[SIZE_TEXT];
	int ret;

	if (dmabuf < 0)
		return failed(job, "allocating", size_text(text, size));
	passed(job, "allocating %s", size_text(text, size));
	if (map(job, dmabuf)) {
		close(dmabuf);
		return -1;
	}
	ret = fill_and_share(job);
	release(job);
	return ret;
}

/* Does one buffer's work; 0 if all held */
static int run(struct job *job, int heap, size_t size)
{
	struct usage before, after;

	memset(job->moved, 0, sizeof(job->moved));
	job->failure[0] = '\0';
	usage_read(&before, job->heap);
	if (use_buffer(job, heap, size))
		return -1;
	usage_read(&after, job->heap);
	if (!usage_equal(&before, &after))
		return failed_by(job, "releasing it: %lld buffers, %lld bytes more are in use now",
				 after.buffers - before.buffers,
				 after.bytes - before.bytes);
	if (after.buffers < 0)
		skipped(job, "releasing it: this kernel does not tell of the memory");
	else
		passed(job, "releasing it: all memory is back");
	return 0;
}

/*
 * The table
 */

/* A device's name without where it is, in as many columns as it or a size take */
static int label(const char *name, int *columns)
{
	int len = strcspn(name, "-");

	*columns = len < 7 ? 7 : len;
	return len;
}

static void print_size(int columns, size_t size)
{
	char text[SIZE_TEXT];

	printf("%*s", columns, size ? size_text(text, size) : "-");
}

static void print_importer(const struct importer *importer)
{
	const struct dma_buf_testdev_info *info = &importer->info;

	if (importer->is_drm) {
		printf("  %s: the driver %s, which only imports\n",
		       importer->name, importer->driver);
		return;
	}
	printf("  %s: %s, addresses up to %#llx, %scoherent%s\n",
	       importer->name,
	       info->flags & DMA_BUF_TESTDEV_ENGINE ? "a DMA engine" :
	       "the CPU in its place", (unsigned long long)info->dma_mask,
	       info->flags & DMA_BUF_TESTDEV_COHERENT ? "" : "not ",
	       info->flags & DMA_BUF_TESTDEV_IOMMU ? ", behind an IOMMU" : "");
}

static void print_head(int width, const struct importers *importers)
{
	int i, len, columns;

	printf("From each heap a small and a large buffer are allocated, mapped, filled and\n"
	       "passed to another process. There each device reads the buffer, checks it, and\n"
	       "writes into it; after each, and in the first process at last, every byte is\n"
	       "checked. Then it is released, and the heap must have all memory back. Where the\n"
	       "CPU may not touch the memory, a device fills and checks it. The devices:\n");
	for (i = 0; i < importers->count; i++)
		print_importer(&importers->list[i]);
	if (!importers->count)
		puts("  none (CONFIG_DMABUF_TESTDEV, or a driver in " DRM_DIR ")");
	printf("A device's column tells how much of the large buffer it read and wrote, or only\n"
	       "imported. An engine is slow and does the ends of it and where a piece meets the\n"
	       "next.\n\n");
	printf("%-*s  %-21s %9s", width, "heap", "memory", "buffer");
	for (i = 0; i < importers->count; i++) {
		len = label(importers->list[i].name, &columns);
		printf("  %*.*s", columns, len, importers->list[i].name);
	}
	printf("   time\n");
}

/* Begins a line, about a buffer of @size bytes */
static void print_buffer(const struct job *job, int width, size_t size)
{
	printf("%-*s  %-21s ", width, job->heap, memory_text(&job->info));
	print_size(9, size);
}

/* Ends it; returns how many importers did not take the buffer */
static int print_importers(const struct job *job)
{
	int i, columns, missing = 0;

	for (i = 0; i < job->importers->count; i++) {
		label(job->importers->list[i].name, &columns);
		printf("  ");
		print_size(columns, job->moved[i]);
		missing += !job->moved[i];
	}
	printf("  %3.1f s\n", job->seconds);
	return missing;
}

/* What is said of the heap's buffers when all steps were not */
static void print_row(const struct job *job, int width, size_t size, bool bad,
		      struct sums *sums)
{
	print_buffer(job, width, size);
	if (bad)
		printf("  FAILED: %s\n", job->failure);
	else
		sums->not_taken += print_importers(job);
}

/*
 * All of it
 */

/* Tries all sizes, and prints a row for the last, and for each that failed */
static void run_heap(struct job *job, int heap, int width, struct sums *sums)
{
	double start = seconds_now();
	size_t size, last = 0;
	int i, ret;

	heap_info(heap, &job->info);
	for (i = 0; i < SIZES; i++) {
		/* A heap that gives nothing at all is asked once more, to fail */
		size = heap_fit(heap, sizes[i]) ?: sizes[i];
		if (size == last && !IS_SHOWN(i))
			continue;
		last = size;
		job->engines = IS_SHOWN(i);
		ret = run(job, heap, size);
		job->seconds = seconds_now() - start;
		sums->buffers++;
		sums->failed += !!ret;
		sums->blind += job->blind;
		sums->untold |= heap_counter(job->heap, "buffers") < 0;
		if (!job->steps && (ret || IS_SHOWN(i)))
			print_row(job, width, size, ret, sums);
	}
}

/* Returns the exit code of a heap that cannot be opened, else 0 */
static enum status open_and_run(struct job *job, int width, struct sums *sums)
{
	enum status status = STATUS_OK;
	int heap = open_heap(job->heap, &status);

	if (heap < 0)
		return status;
	if (job->steps)
		printf("%s\n", job->heap);
	run_heap(job, heap, width, sums);
	sums->heaps++;
	close(heap);
	return STATUS_OK;
}

static void print_steps(const struct job *job)
{
	printf("%d steps passed, %d failed, %d skipped\n",
	       job->verdicts[PASSED], job->verdicts[FAILED],
	       job->verdicts[SKIPPED]);
}

static void print_verdict(const struct sums *sums, const struct job *job,
			  double seconds)
{
	if (sums->not_taken)
		puts("\n- The device does not reach all of this machine's memory. Of what it\n"
		     "  does not reach, a copy is made if it is cached and in small pieces. Or the\n"
		     "  driver refuses the buffer.");
	if (sums->failed) {
		printf("\nFAILED: %d of %d buffers did not pass.\n",
		       sums->failed, sums->buffers);
		return;
	}
	if (sums->blind)
		printf("\nOf %d buffers of %d heaps %d could not be looked into; all others",
		       sums->buffers, sums->heaps, sums->blind);
	else
		printf("\nAll %d buffers of %d heaps", sums->buffers,
		       sums->heaps);
	printf(" held what the CPU");
	if (job->importers->testdevs)
		printf(" and %d devices", job->importers->testdevs);
	printf(" wrote,\nand %s, in %.1f s.\n", sums->untold ?
	       "this kernel does not tell whether all memory came back" :
	       "all memory came back", seconds);
}

static void find_testdevs(struct importers *importers)
{
	struct importer *importer;
	struct names names;
	int dev, i;

	names_read(&names, TESTDEV_DIR);
	for (i = 0; i < names.count; i++) {
		dev = testdev_open(names.name[i]);
		if (dev < 0)
			continue;
		importer = &importers->list[importers->count++];
		memcpy(importer->name, names.name[i], NAME_SIZE);
		testdev_info(dev, &importer->info);
		importers->stand_in |= !importer->info.max_copy &&
				       importer->info.dma_mask == ~0ULL;
		close(dev);
	}
	importers->testdevs = importers->count;
}

/* A device has one node for displays, and one for what renders */
static bool is_known(const struct importers *importers,
		     unsigned long long device)
{
	int i;

	for (i = 0; i < importers->count; i++) {
		if (importers->list[i].is_drm &&
		    importers->list[i].device == device)
			return true;
	}
	return false;
}

static void find_drm(struct importers *importers)
{
	struct importer *importer;
	struct names names;
	int drm, i;

	names_read(&names, DRM_DIR);
	for (i = 0; i < names.count && importers->count < NAMES_MAX; i++) {
		drm = drm_open(names.name[i]);
		if (drm < 0)
			continue;
		importer = &importers->list[importers->count];
		importer->is_drm = true;
		importer->device = drm_device(drm);
		memcpy(importer->name, names.name[i], NAME_SIZE);
		drm_driver(drm, importer->driver, sizeof(importer->driver));
		importers->count += !is_known(importers, importer->device);
		close(drm);
	}
}

/* Tries all of these heaps; returns the exit code */
static int test_heaps(struct job *job, const struct names *heaps)
{
	enum status status, worst = STATUS_OK;
	int i, width = name_width(heaps, 20);
	double start = seconds_now();
	struct sums sums = { 0 };

	if (!job->steps)
		print_head(width, job->importers);
	for (i = 0; i < heaps->count; i++) {
		job->heap = heaps->name[i];
		status = open_and_run(job, width, &sums);
		if (status)
			worst = status;
	}
	if (job->steps)
		print_steps(job);
	else
		print_verdict(&sums, job, seconds_now() - start);
	return sums.failed ? STATUS_FAILED : worst;
}

/* Takes the names of heaps from the command line; false if these are too many */
static bool names_given(struct names *names, char **argv)
{
	for (names->count = 0; *argv; argv++) {
		if (names->count == NAMES_MAX)
			return false;
		snprintf(names->name[names->count++], NAME_SIZE, "%s",
			 heap_name(*argv));
	}
	return true;
}

int cmd_test(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	static struct importers importers;
	static struct names heaps;
	struct job *job;
	int option = getopt_long(argc, argv, "h", options, NULL);

	if (option != -1 || !names_given(&heaps, argv + optind))
		return show_usage(argv[0], option);
	if (optind == argc)
		names_read(&heaps, HEAP_DIR);
	if (!heaps.count)
		return complain_no_heap(NULL);
	job = mmap(NULL, sizeof(*job), PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (job == MAP_FAILED)
		return complain(STATUS_FAILED, "there is no memory to begin: %s",
				strerror(errno));
	/* Both processes print */
	setlinebuf(stdout);
	find_testdevs(&importers);
	find_drm(&importers);
	job->importers = &importers;
	job->steps = optind != argc;
	return test_heaps(job, &heaps);
}
