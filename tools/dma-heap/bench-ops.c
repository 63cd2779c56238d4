// SPDX-License-Identifier: GPL-2.0
/*
 * dmaheap bench: the measurements
 *
 * An operation is measured in lives of buffers: a buffer is allocated, mapped,
 * imported and freed, and what each step takes is a sample. Where each
 * instruction takes one nanosecond (QEMU's -icount shift=0) samples are to be
 * the same each time; so a measurement begins just after a timer tick, and
 * only when nothing goes on in the background.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/udmabuf.h>

#include "bench.h"
#include "heaps.h"

const struct bench_op_info bench_ops[OPS] = {
	[OP_ALLOC_FIRST] = { "alloc", "allocate, with no memory kept ready" },
	[OP_ALLOC_IDLE] = { "alloc-idle", "allocate after a free and a pause" },
	[OP_ALLOC_AGAIN] = { "alloc-again", "allocate right after a free" },
	[OP_CYCLE] = { "cycle", "allocate and free, with what goes on afterwards" },
	[OP_FREE] = { "free", "give up the last reference" },
	[OP_MMAP] = { "mmap", "map for the CPU" },
	[OP_TOUCH] = { "touch", "write a byte of every page" },
	[OP_TOUCH_AGAIN] = { "touch-again", "once more" },
	[OP_MUNMAP] = { "munmap", "undo mmap" },
	[OP_IMPORT] = { "import", "attach a device, map, unmap, detach" },
	[OP_IMPORT_4] = { "import-4", "the same with four at a time" },
	[OP_REMAP] = { "remap", "unmap and map again for a device" },
	[OP_REMAP_NONCOHERENT] = { "remap-noncoherent", "the same, not coherent" },
	[OP_REMAP_IOMMU] = { "remap-iommu", "the same, behind an IOMMU" },
	[OP_SYNC] = { "sync", "begin and end CPU access" },
	[OP_SYNC_1] = { "sync-1", "the same, mapped for one coherent device" },
	[OP_SYNC_8] = { "sync-8", "the same, mapped for eight" },
	[OP_VMAP] = { "vmap", "map for the kernel, read a byte, unmap" },
	[OP_BUFFER_MEMORY] = { "memory", "what the kernel keeps for a buffer", true },
	[OP_IMPORT_MEMORY] = { "memory-import", "and for an importer that mapped it", true },
	[OP_THREADS] = { "threads", "allocate and free in several threads" },
};

/* Importers of one buffer at a time */
#define IMPORTERS	8

/* As long as this is quiet, nothing is going on in the background any more */
#define QUIET_NS	30000000ULL
/* What others do in less than this part of the time is quiet */
#define QUIET_PART	50
/* But no longer than this is waited for it */
#define QUIET_MOST	(40 * QUIET_NS)
/* The longest time between two timer ticks */
#define TICK_MOST	10000000
/* What starts within this time after a tick need not wait for the next */
#define TICK_FRESH	2000000

/* The most cycles of a sample, and what they allocate: two at the least */
#define CYCLES		256
#define CYCLES_MOST	(8 * MIB)
/* Buffers that are held to see what they take, at the most */
#define HELD		256
/* The size of a buffer that lives before those that are measured, at the most */
#define WARM_MOST	MIB
/* So much one thread allocates in a sample; what is larger is left out */
#define THREAD_MOST	(8 * MIB)

/* Kinds of test devices, by what tells them apart */
enum device {
	DEV_COHERENT,
	DEV_NONCOHERENT,
	DEV_IOMMU,
	DEVS
};

/* A buffer's life under measurement */
struct life {
	const struct bench_options *options;
	const struct bench_source *source;
	struct bench_cells *cells;
	size_t size;
	int fd;
	__u8 *mem;
	/* Test devices; -1 where there is none of the kind */
	int dev[DEVS];
	struct import import[IMPORTERS];
	/* Of these, how many a step is about, and for which device */
	int importers;
	enum device importer;
	/* The last timer tick that was seen */
	__u64 tick;
};

/*
 * Time
 */

static bool by_counter;

/* In ns, or by the processor's counter, which costs nothing to read */
static __u64 now(void)
{
	struct timespec t;

#if defined(__x86_64__)
	if (by_counter)
		return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	__u64 counter;

	if (by_counter) {
		asm volatile("mrs %0, cntvct_el0" : "=r" (counter));
		return counter;
	}
#endif
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* Takes some time that is always the same; returns how long it took */
static __u64 spin(unsigned int rounds)
{
	__u64 start = now();

	while (rounds--)
		asm volatile("");
	return now() - start;
}

/* What spin() takes if nobody interrupts it */
static __u64 spin_alone(unsigned int rounds)
{
	__u64 least = ~0ULL, took;
	int i;

	for (i = 0; i < 10; i++) {
		took = spin(rounds);
		if (took < least)
			least = took;
	}
	return least;
}

/* Waits for a timer tick, unless there was one just now or there are none */
static void await_tick(struct life *life)
{
	__u64 start = now(), alone = spin_alone(100);

	if (start - life->tick < TICK_FRESH)
		return;
	do {
		if (spin(100) > 2 * alone + 500)
			break;
	} while (now() - start < TICK_MOST);
	life->tick = now();
}

/*
 * Spins at the lowest priority for a while. Returns for how long others ran
 * instead; on a machine with several processors, on this one.
 */
static __u64 others_ran(__u64 while_ns)
{
	const unsigned int rounds = 5000;
	__u64 alone = spin_alone(rounds), start = now(), others = 0, took;

	do {
		took = spin(rounds);
		others += took > alone ? took - alone : 0;
	} while (now() - start < while_ns);
	return others;
}

/*
 * Waits until background work is done. Returns how long it took, apart from
 * what goes on at any time, of which *@usual is the least that was seen in such
 * a time.
 */
static __u64 await_quiet(__u64 *usual)
{
	const struct sched_param none = { 0 };
	__u64 waited = 0, work = 0, windows = 0, others;
	bool quiet;

	sched_setscheduler(0, SCHED_IDLE, &none);
	do {
		others = others_ran(QUIET_NS);
		work += others;
		windows++;
		waited += QUIET_NS;
		/* Where the least is not known yet, so many times show it */
		quiet = *usual ? others <= *usual + QUIET_NS / QUIET_PART :
				 windows >= 4;
		if (!*usual || others < *usual)
			*usual = others;
	} while (!quiet && waited < QUIET_MOST);
	sched_setscheduler(0, SCHED_OTHER, &none);
	return work > windows * *usual ? work - windows * *usual : 0;
}

/*
 * Steps of a life. Each does one thing, and returns 0, or -1 with errno.
 */

static int udmabuf_alloc(int udmabuf, size_t size)
{
	struct udmabuf_create create = {
		.flags = UDMABUF_FLAGS_CLOEXEC,
		.size = size,
	};
	int fd = -1;

	create.memfd = memfd_create("bench", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if ((int)create.memfd < 0)
		return -1;
	if (!ftruncate(create.memfd, size) &&
	    !fcntl(create.memfd, F_ADD_SEALS, F_SEAL_SHRINK))
		fd = ioctl(udmabuf, UDMABUF_CREATE, &create);
	close(create.memfd);
	return fd;
}

static int source_alloc(const struct bench_source *source, size_t size)
{
	if (source->udmabuf)
		return udmabuf_alloc(source->fd, size);
	return heap_alloc(source->fd, size);
}

static int step_alloc(struct life *life)
{
	life->fd = source_alloc(life->source, life->size);
	return life->fd < 0 ? -1 : 0;
}

static int step_free(struct life *life)
{
	return close(life->fd);
}

static int step_mmap(struct life *life)
{
	life->mem = dmabuf_map(life->fd, life->size, 0);
	return life->mem == MAP_FAILED ? -1 : 0;
}

static int step_touch(struct life *life)
{
	__u8 *mem = life->mem;
	size_t step = page_size(), i;

	for (i = 0; i < life->size; i += step)
		__atomic_store_n(&mem[i], 1, __ATOMIC_RELAXED);
	return 0;
}

static int step_munmap(struct life *life)
{
	return munmap(life->mem, life->size);
}

static int step_attach(struct life *life)
{
	int i;

	for (i = 0; i < life->importers; i++) {
		struct dma_buf_testdev_attach attach = { .fd = life->fd };
		int dev = life->dev[life->importer];

		if (ioctl(dev, DMA_BUF_TESTDEV_ATTACH, &attach))
			return -1;
		life->import[i].dev = dev;
		life->import[i].map.handle = attach.handle;
	}
	return 0;
}

static int step_map(struct life *life)
{
	int i;

	for (i = 0; i < life->importers; i++) {
		if (import_map(&life->import[i], DMA_BUF_TESTDEV_BIDIRECTIONAL))
			return -1;
	}
	return 0;
}

static int step_unmap(struct life *life)
{
	int i;

	for (i = 0; i < life->importers; i++) {
		if (import_unmap(&life->import[i]))
			return -1;
	}
	return 0;
}

static int step_detach(struct life *life)
{
	int i;

	for (i = 0; i < life->importers; i++) {
		if (import_detach(&life->import[i]))
			return -1;
	}
	return 0;
}

static int step_import(struct life *life)
{
	return step_attach(life) || step_map(life) || step_unmap(life) ||
	       step_detach(life) ? -1 : 0;
}

static int step_remap(struct life *life)
{
	return step_unmap(life) || step_map(life) ? -1 : 0;
}

static int step_sync(struct life *life)
{
	return dmabuf_sync(life->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW) ||
	       dmabuf_sync(life->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW) ?
	       -1 : 0;
}

static int step_vmap(struct life *life)
{
	const struct span first = { .len = 1 };
	char byte;

	return import_copy(&life->import[0], DMA_BUF_TESTDEV_COPY_VMAP, first,
			   &byte);
}

/*
 * Lives
 */

static bool wanted(const struct life *life, enum bench_op op)
{
	return life->options->op[op];
}

static void add_sample(struct samples *samples, __u64 value)
{
	if (samples->count < MAX_SAMPLES)
		samples->value[samples->count++] = value;
}

/* Does a step, which is a sample of @op if @record, and if that is asked for */
static int measure_now(struct life *life, enum bench_op op, bool record,
		       int (*step)(struct life *life))
{
	__u64 took;
	int ret;

	took = now();
	ret = step(life);
	took = now() - took;
	if (!ret && record && wanted(life, op))
		add_sample(&life->cells->op[op], took);
	return ret;
}

/* The same, after a timer tick */
static int measure(struct life *life, enum bench_op op,
		   int (*step)(struct life *life))
{
	await_tick(life);
	return measure_now(life, op, true, step);
}

/* The CPU's part of a life */
static int measure_cpu(struct life *life)
{
	if (!life->source->mappable)
		return 0;
	return measure(life, OP_MMAP, step_mmap) ||
	       measure(life, OP_TOUCH, step_touch) ||
	       measure(life, OP_TOUCH_AGAIN, step_touch) ||
	       measure(life, OP_MUNMAP, step_munmap) ||
	       measure(life, OP_SYNC, step_sync) ? -1 : 0;
}

/* What is measured of devices that import the buffer */
static const struct device_op {
	enum bench_op op;
	enum device device;
	int importers;
	/* Attached and mapped before, and undone afterwards */
	bool attached;
	bool mapped;
	/* By the CPU, so it must be able to map the memory */
	bool cpu;
	int (*step)(struct life *life);
} device_ops[] = {
	{ OP_IMPORT, DEV_COHERENT, 1, false, false, false, step_import },
	{ OP_IMPORT_4, DEV_COHERENT, 4, false, false, false, step_import },
	{ OP_REMAP, DEV_COHERENT, 1, true, true, false, step_remap },
	{ OP_REMAP_NONCOHERENT, DEV_NONCOHERENT, 1, true, true, false,
	  step_remap },
	{ OP_REMAP_IOMMU, DEV_IOMMU, 1, true, true, false, step_remap },
	{ OP_SYNC_1, DEV_COHERENT, 1, true, true, true, step_sync },
	{ OP_SYNC_8, DEV_COHERENT, 8, true, true, true, step_sync },
	{ OP_VMAP, DEV_COHERENT, 1, true, false, true, step_vmap },
};

static int measure_device(struct life *life, const struct device_op *op)
{
	if (!wanted(life, op->op) || life->dev[op->device] < 0 ||
	    (op->cpu && !life->source->mappable))
		return 0;

	life->importer = op->device;
	life->importers = op->importers;
	if ((op->attached && step_attach(life)) ||
	    (op->mapped && step_map(life)) ||
	    measure(life, op->op, op->step))
		return -1;
	/* Undoes a mapping too */
	return op->attached ? step_detach(life) : 0;
}

static int measure_devices(struct life *life, const char **failed)
{
	size_t i;

	for (i = 0; i < sizeof(device_ops) / sizeof(*device_ops); i++) {
		*failed = bench_ops[device_ops[i].op].name;
		if (measure_device(life, &device_ops[i]))
			return -1;
	}
	return 0;
}

/*
 * Cycles of allocating and freeing: the first after a pause, the second at once.
 * Several in a row where one is short, and what the background does for all of
 * them until it is quiet.
 */
static int measure_cycles(struct life *life, __u64 *usual)
{
	unsigned int i, count = CYCLES_MOST / life->size;
	__u64 took;

	if (!wanted(life, OP_ALLOC_IDLE) && !wanted(life, OP_ALLOC_AGAIN) &&
	    !wanted(life, OP_CYCLE))
		return 0;
	count = count < 2 ? 2 : count > CYCLES ? CYCLES : count;

	await_quiet(usual);
	await_tick(life);
	took = now();
	for (i = 0; i < count; i++) {
		if (measure_now(life, i ? OP_ALLOC_AGAIN : OP_ALLOC_IDLE,
				i < 2, step_alloc) || step_free(life))
			return -1;
	}
	took = now() - took;
	if (wanted(life, OP_CYCLE)) {
		took += await_quiet(usual);
		add_sample(&life->cells->op[OP_CYCLE], took / count);
	}
	return 0;
}

/*
 * Allocates a buffer that lives; what was kept ready is given up before. Who may
 * not have it given up has no first allocation.
 */
static int measure_first(struct life *life, __u64 *usual)
{
	if (wanted(life, OP_ALLOC_FIRST) && !forget_memory()) {
		await_quiet(usual);
		return measure(life, OP_ALLOC_FIRST, step_alloc);
	}
	return step_alloc(life);
}

/* Takes samples of all that belongs to one life */
static int measure_life(struct life *life, __u64 *usual, const char **failed)
{
	*failed = bench_ops[OP_ALLOC_FIRST].name;
	if (measure_first(life, usual))
		return -1;
	*failed = "access by the CPU";
	if (measure_cpu(life) || measure_devices(life, failed))
		return -1;
	*failed = bench_ops[OP_FREE].name;
	if (measure(life, OP_FREE, step_free))
		return -1;
	*failed = bench_ops[OP_CYCLE].name;
	return measure_cycles(life, usual);
}

/*
 * Memory
 */

/* What the kernel has for itself, in bytes */
static long long kernel_memory(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	long long sum = 0, value;
	char line[128];

	if (!file)
		return 0;
	/* Each processor keeps part of the sum to itself otherwise */
	write_file("/proc/sys/vm/stat_refresh", "1");
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Slab: %lld", &value) == 1 ||
		    sscanf(line, "VmallocUsed: %lld", &value) == 1)
			sum += value * 1024;
	}
	fclose(file);
	return sum;
}

/* Adds a sample of what the kernel has now beyond @before for each of @count */
static void add_memory(struct life *life, enum bench_op op, long long before,
		       int count)
{
	long long more = kernel_memory() - before;

	if (wanted(life, op))
		add_sample(&life->cells->op[op], more > 0 ? more / count : 0);
}

/* Allocates as many as there is memory for, at most @count; returns how many */
static int hold_buffers(struct life *life, int *fd, int count)
{
	int i;

	for (i = 0; i < count; i++) {
		fd[i] = source_alloc(life->source, life->size);
		if (fd[i] < 0)
			break;
	}
	return i;
}

static int hold_imports(struct life *life, const int *fd, int count)
{
	int i;

	life->importer = DEV_COHERENT;
	/* Many, since little is counted in whole slabs */
	life->importers = IMPORTERS;
	for (i = 0; i < count; i++) {
		life->fd = fd[i];
		if (step_attach(life) || step_map(life))
			return -1;
	}
	return 0;
}

/* Has no effect on what other measurements find */
static void close_devices(struct life *life)
{
	int i;

	for (i = 0; i < DEVS; i++) {
		if (life->dev[i] >= 0)
			close(life->dev[i]);
		life->dev[i] = -1;
	}
}

/* Opens one test device of each kind that reaches all memory without help */
static void open_devices(struct life *life)
{
	struct dma_buf_testdev_info info;
	struct names names;
	enum device kind;
	int dev, i;

	for (i = 0; i < DEVS; i++)
		life->dev[i] = -1;
	names_read(&names, TESTDEV_DIR);
	for (i = 0; i < names.count; i++) {
		dev = testdev_open(names.name[i]);
		if (dev < 0)
			continue;
		if (testdev_info(dev, &info))
			memset(&info, 0, sizeof(info));
		kind = info.flags & DMA_BUF_TESTDEV_COHERENT ? DEV_COHERENT :
							       DEV_NONCOHERENT;
		if (info.flags & DMA_BUF_TESTDEV_IOMMU)
			kind = DEV_IOMMU;
		else if (~info.dma_mask)
			kind = DEVS;
		if (kind < DEVS && life->dev[kind] < 0)
			life->dev[kind] = dev;
		else
			close(dev);
	}
}

/*
 * Holds several buffers, to see what each takes beside its own memory. Most of
 * them are not counted: they fill what others left free in slabs.
 */
static int measure_memory(struct life *life)
{
	size_t fit = life->source->room / life->size;
	int most = fit < HELD ? fit : HELD;
	int fd[HELD], first, count, ret = 0;
	long long before;

	first = hold_buffers(life, fd, most - (most + 3) / 4);
	before = kernel_memory();
	count = hold_buffers(life, fd + first, most - first);
	if (count)
		add_memory(life, OP_BUFFER_MEMORY, before, count);

	if (count && life->dev[DEV_COHERENT] >= 0) {
		ret = hold_imports(life, fd, first);
		before = kernel_memory();
		ret = ret ? ret : hold_imports(life, fd + first, count);
		add_memory(life, OP_IMPORT_MEMORY, before, count * IMPORTERS);
	}
	/* What is attached goes with the device's file */
	close_devices(life);
	open_devices(life);
	for (count += first; count; count--)
		close(fd[count - 1]);
	return ret;
}

/*
 * Threads
 */

struct thread_arg {
	const struct life *life;
	pthread_barrier_t *start;
	unsigned int count;
	int err;
};

static unsigned int thread_count(size_t size)
{
	unsigned int count = THREAD_MOST / size;

	return count > 256 ? 256 : count;
}

static void *thread_main(void *data)
{
	struct thread_arg *arg = data;
	unsigned int i;
	int fd;

	pthread_barrier_wait(arg->start);
	for (i = 0; i < arg->count; i++) {
		fd = source_alloc(arg->life->source, arg->life->size);
		if (fd < 0) {
			arg->err = errno;
			break;
		}
		close(fd);
	}
	return NULL;
}

/* @threads at the same time; a sample is what each buffer takes of all of it */
static int measure_threads(struct life *life, unsigned int threads)
{
	struct thread_arg arg[MAX_THREADS];
	pthread_t thread[MAX_THREADS];
	pthread_barrier_t start;
	unsigned int i, begun;
	__u64 took;
	int err = 0;

	pthread_barrier_init(&start, NULL, threads + 1);
	for (begun = 0; begun < threads && !err; begun++) {
		arg[begun] = (struct thread_arg){
			.life = life,
			.start = &start,
			.count = thread_count(life->size),
		};
		err = pthread_create(&thread[begun], NULL, thread_main,
				     &arg[begun]);
	}
	if (err) {
		/* Those that wait for the others end with the program */
		errno = err;
		return -1;
	}
	await_tick(life);
	took = now();
	pthread_barrier_wait(&start);
	for (i = 0; i < threads; i++) {
		pthread_join(thread[i], NULL);
		if (arg[i].err)
			err = arg[i].err;
	}
	took = now() - took;
	pthread_barrier_destroy(&start);
	if (err) {
		errno = err;
		return -1;
	}
	add_sample(&life->cells->threads[threads - 1],
		   took / threads / thread_count(life->size));
	return 0;
}

static int measure_all_threads(struct life *life)
{
	unsigned int most = life->options->threads, threads;
	struct samples *samples = life->cells->threads;

	if (!wanted(life, OP_THREADS) || !thread_count(life->size))
		return 0;
	/* What the first time finds cold is not counted */
	if (measure_threads(life, most))
		return -1;
	samples[most - 1].count--;
	for (threads = 1; threads <= most; threads++) {
		if (measure_threads(life, threads))
			return -1;
	}
	return 0;
}

/* Whether any operation from @first to @last is wanted */
static bool wants_any(const struct life *life, enum bench_op first,
		      enum bench_op last)
{
	enum bench_op op;

	for (op = first; op <= last; op++) {
		if (wanted(life, op))
			return true;
	}
	return false;
}

static int measure_once(struct life *life, __u64 *usual, const char **failed)
{
	if (wants_any(life, OP_ALLOC_FIRST, OP_VMAP) &&
	    measure_life(life, usual, failed))
		return -1;
	*failed = bench_ops[OP_BUFFER_MEMORY].name;
	/* One sample is of many buffers already */
	if (wants_any(life, OP_BUFFER_MEMORY, OP_IMPORT_MEMORY) &&
	    !life->cells->op[OP_BUFFER_MEMORY].count &&
	    !life->cells->op[OP_IMPORT_MEMORY].count && measure_memory(life))
		return -1;
	*failed = bench_ops[OP_THREADS].name;
	return measure_all_threads(life);
}

/* A life that leaves no samples: the first of any size finds the caches cold */
static int warm_up(struct life *life, __u64 *usual, const char **failed)
{
	static struct bench_cells unused;
	struct bench_cells *cells = life->cells;
	size_t size = life->size;
	int ret;

	memset(&unused, 0, sizeof(unused));
	life->cells = &unused;
	if (life->size > WARM_MOST)
		life->size = WARM_MOST;
	ret = wants_any(life, OP_ALLOC_FIRST, OP_VMAP) ?
	      measure_life(life, usual, failed) : 0;
	life->size = size;
	life->cells = cells;
	return ret;
}

int bench_measure(const struct bench_options *options,
		  const struct bench_source *source, size_t size,
		  struct bench_cells *cells, const char **failed)
{
	/* What goes on in the background at any time; the same for all sizes */
	static __u64 usual;
	struct life life = {
		.options = options,
		.source = source,
		.cells = cells,
		.size = size,
	};
	unsigned int i;
	int ret = 0, err;

	by_counter = options->counter;
	open_devices(&life);
	ret = warm_up(&life, &usual, failed);
	for (i = 0; i < options->samples && !ret; i++)
		ret = measure_once(&life, &usual, failed);
	err = errno;
	close_devices(&life);
	errno = err;
	return ret;
}
