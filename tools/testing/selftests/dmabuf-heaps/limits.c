// SPDX-License-Identifier: GPL-2.0
/* Where an allocation must end: too large, no memory, no descriptor, killed */

#include "each_heap.h"

#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

/* More steps than exhausting a heap takes */
#define CHUNKS_MAX	64

/* So many processes are killed until one was in the middle of its allocation */
#define KILLS_MAX	200

/* Kernels that get this wrong shall kill this process before others */
static void be_the_first_victim(void)
{
	write_file("/proc/self/oom_score_adj", "1000");
}

/*
 * The sum of all counters of /proc/vmstat whose names begin like this, 0 if
 * there are none (CONFIG_VM_EVENT_COUNTERS)
 */
static long long vm_events(const char *prefix)
{
	FILE *file = fopen("/proc/vmstat", "re");
	long long sum = 0, value;
	char name[64];

	if (!file)
		return 0;
	while (fscanf(file, "%63s %lld", name, &value) == 2) {
		if (!strncmp(name, prefix, strlen(prefix)))
			sum += value;
	}
	fclose(file);
	return sum;
}

/* Refused before memory is gathered that cannot suffice */
TEST_HEAP(too_large)
{
	const __u64 ram = ram_size();
	const __u64 sizes[] = {
		ram / 2 + page_size(), ram, 2 * ram, 1ULL << 40, 1ULL << 62,
	};
	long long kills = vm_events("oom_kill"), pages;
	unsigned int i;

	be_the_first_victim();
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		pages = vm_events("pgalloc_");
		EXPECT_EQ(-1, heap_alloc(self->heap, sizes[i]));
		/* What a long of the kernel cannot hold may be invalid */
		EXPECT_TRUE(errno == ENOMEM ||
			    (errno == EINVAL && sizes[i] > ULONG_MAX));
		EXPECT_GT((long long)(ram / 16 / page_size()),
			  vm_events("pgalloc_") - pages);
	}
	EXPECT_EQ(kills, vm_events("oom_kill"));
}

/* Takes memory until there is no more; returns how many buffers that were */
static int exhaust(int heap, size_t chunk, int *dmabufs)
{
	int count = 0;

	while (count < CHUNKS_MAX) {
		dmabufs[count] = heap_alloc(heap, chunk);
		if (dmabufs[count] < 0)
			break;
		count++;
	}
	return count;
}

static void close_all(const int *fds, int count)
{
	while (count--)
		close(fds[count]);
}

TEST_HEAP(exhaustion)
{
	size_t chunk = heap_fit(self->heap, ram_size() / 32);
	long long kills = vm_events("oom_kill");
	int dmabufs[CHUNKS_MAX];
	int count, again;

	be_the_first_victim();
	count = exhaust(self->heap, chunk, dmabufs);
	EXPECT_EQ(ENOMEM, errno);
	ASSERT_TRUE(count > 0 && count < CHUNKS_MAX);
	close_all(dmabufs, count);

	/* All of it is there again, whatever else takes a little */
	again = exhaust(self->heap, chunk, dmabufs);
	EXPECT_LE(count - 1, again);
	close_all(dmabufs, again);
	EXPECT_EQ(kills, vm_events("oom_kill"));
}

TEST_HEAP(more_than_all_memory_in_sum)
{
	size_t size = heap_fit(self->heap, ram_size() / 8);
	unsigned long long sum;
	int dmabuf, i = 0;

	be_the_first_victim();
	for (sum = 0; sum < ram_size() && i < 1000; sum += size, i++) {
		dmabuf = heap_alloc(self->heap, size);
		ASSERT_LE(0, dmabuf)
			TH_LOG("after %llu bytes: %s", sum, strerror(errno));
		close(dmabuf);
	}
}

/* The errors that a user can bring about at will */
static void provoke(int heap)
{
	size_t chunk = heap_fit(heap, ram_size() / 32);
	int dmabufs[CHUNKS_MAX];
	int count;

	heap_alloc(heap, 0);
	heap_alloc(heap, ~0ULL);
	heap_alloc(heap, ram_size());
	heap_alloc(heap, 2 * heap_fit(heap, ram_size()));
	heap_alloc_flags(heap, page_size(), ~0U);
	count = exhaust(heap, chunk, dmabufs);
	mmap(NULL, 2 * chunk, PROT_READ, MAP_SHARED, dmabufs[0], 0);
	mmap(NULL, chunk, PROT_READ, MAP_PRIVATE, dmabufs[0], 0);
	dmabuf_sync(dmabufs[0], ~0ULL);
	close_all(dmabufs, count);
}

/* Reads and shows what the kernel logged; returns how many lines */
static int log_lines(int kmsg)
{
	char line[1024];
	int count = 0;
	ssize_t len;

	while ((len = read(kmsg, line, sizeof(line) - 1)) > 0) {
		line[len] = '\0';
		ksft_print_msg("logged: %s", line);
		count++;
	}
	return count;
}

TEST_HEAP(errors_are_not_logged)
{
	int kmsg, tries, lines;

	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg < 0)
		SKIP(return, "no /dev/kmsg: %s", strerror(errno));
	be_the_first_victim();
	ASSERT_LE(0, lseek(kmsg, 0, SEEK_END));
	/* Somebody else may have logged something, but not every time */
	for (tries = 0, lines = 1; lines && tries < 3; tries++) {
		provoke(self->heap);
		lines = log_lines(kmsg);
	}
	EXPECT_EQ(0, lines);
	close(kmsg);
}

/* Sets the limit so that no descriptor is free; returns the old one */
static rlim_t limit_descriptors(struct __test_metadata *_metadata)
{
	struct rlimit limit;
	rlim_t old;
	int lowest;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	lowest = dup(0);
	ASSERT_LE(0, lowest);
	close(lowest);
	old = limit.rlim_cur;
	limit.rlim_cur = lowest;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	return old;
}

static void allow_descriptors(rlim_t count)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = count;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Noticed first, so that nothing is allocated and zeroed in vain */
TEST_HEAP(no_descriptor_left)
{
	long long allocations = heap_counter(variant->name, "allocations");
	const __u64 sizes[] = { page_size(), MIB, ram_size() };
	int ret[ARRAY_SIZE(sizes)], error[ARRAY_SIZE(sizes)];
	rlim_t limit = limit_descriptors(_metadata);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		ret[i] = heap_alloc(self->heap, sizes[i]);
		error[i] = errno;
	}
	/* Only what the request says is noticed before that */
	EXPECT_EQ(-1, heap_alloc(self->heap, 0));
	EXPECT_EQ(EINVAL, errno);
	allow_descriptors(limit);

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		EXPECT_EQ(-1, ret[i]);
		EXPECT_EQ(EMFILE, error[i])
			TH_LOG("%llu bytes", sizes[i]);
	}
	EXPECT_EQ(allocations, heap_counter(variant->name, "allocations"));
}

static void allocate_for_ever(int heap, size_t size)
{
	int dmabuf;

	while ((dmabuf = heap_alloc(heap, size)) >= 0)
		close(dmabuf);
	_exit(1);
}

static size_t free_memory(void)
{
	struct sysinfo info;

	return sysinfo(&info) ? 0 : (size_t)info.freeram * info.mem_unit;
}

/* How to tell that a process is in the middle of a large allocation */
struct middle {
	size_t size;
	/* Contiguous memory is given at once, then cleared */
	bool at_once;
	/* Else half of it is given when so little is left */
	size_t left;
};

#define GIVEN_AT_ONCE	"cma/cma_alloc_finish"

/* Watches for the next allocation of @size bytes */
static void middle_watch(struct middle *middle, size_t size)
{
	char filter[64];

	snprintf(filter, sizeof(filter), "errorno == 0 && count >= %zu",
		 size / page_size());
	trace_start(GIVEN_AT_ONCE, filter);
	middle->size = size;
	middle->left = free_memory() - size / 2;
}

static bool middle_reached(const struct middle *middle)
{
	if (middle->at_once)
		return trace_count(GIVEN_AT_ONCE) > 0;
	return free_memory() <= middle->left;
}

/* Finds out which of the two the heap does */
static void middle_init(struct middle *middle, int heap, size_t size)
{
	middle_watch(middle, size);
	close(heap_alloc(heap, size));
	middle->at_once = trace_stop(GIVEN_AT_ONCE) > 0;
}

/* Kills a process in its allocation; returns its status as of waitpid() */
static int kill_allocator(struct __test_metadata *_metadata, int heap,
			  struct middle *middle)
{
	pid_t child, ended = 0;
	int status = 0;

	middle_watch(middle, middle->size);
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		allocate_for_ever(heap, middle->size);
	while (!ended && !middle_reached(middle))
		ended = waitpid(child, &status, WNOHANG);
	if (!ended) {
		EXPECT_EQ(0, kill(child, SIGKILL));
		EXPECT_EQ(child, waitpid(child, &status, 0));
	}
	trace_stop(GIVEN_AT_ONCE);
	return status;
}

#define FAILED	"dma_heap/dma_heap_alloc_fail"

/* Starts to count allocations of the heap that end with EINTR */
static bool watch_interrupted(const char *heap)
{
	char filter[128];

	snprintf(filter, sizeof(filter), "heap == \"%s\" && error == %d", heap,
		 -EINTR);
	return !trace_start(FAILED, filter);
}

/*
 * An allocation that is given up counts as failed; one that went on to its end
 * although the process was killed counts as made.
 */
TEST_HEAP(killed)
{
	size_t size = heap_fit(self->heap, ram_size() / 4);
	const char *heap = variant->name;
	struct middle middle;
	long long failures;
	int status, i;

	if (size < 16 * MIB)
		SKIP(return, "no allocation here takes long");
	failures = heap_counter(heap, "failures");
	if (failures < 0 || !watch_interrupted(heap))
		SKIP(return, "this kernel does not tell what became of it");
	be_the_first_victim();
	middle_init(&middle, self->heap, size);
	/* On a slow machine it is often through before it can be killed */
	for (i = 0; i < KILLS_MAX && heap_counter(heap, "failures") == failures;
	     i++) {
		status = kill_allocator(_metadata, self->heap, &middle);
		ASSERT_TRUE(WIFSIGNALED(status));
		ASSERT_EQ(SIGKILL, WTERMSIG(status));
		EXPECT_EQ(self->before.bytes, heap_counter(heap, "bytes"));
	}
	EXPECT_EQ(failures + 1, heap_counter(heap, "failures"));
	EXPECT_EQ(1, trace_stop(FAILED));
}

int main(int argc, char **argv)
{
	return each_heap_run(argc, argv);
}
