// SPDX-License-Identifier: GPL-2.0
/* Where an allocation must end: too large, no memory, no descriptor, killed */

#include "each_heap.h"

#include <limits.h>
#include <signal.h>
#include <sys/resource.h>

/* More steps than exhausting a heap takes */
#define CHUNKS_MAX	64

/* Kernels that get this wrong shall kill this process before others */
static void be_the_first_victim(void)
{
	FILE *file = fopen("/proc/self/oom_score_adj", "we");

	if (file) {
		fputs("1000", file);
		fclose(file);
	}
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

/* Says so by a byte into @told, then allocates until it is killed */
static void allocate_for_ever(int heap, size_t size, int told)
{
	int dmabuf;

	if (write(told, "", 1) != 1)
		_exit(1);
	for (;;) {
		dmabuf = heap_alloc(heap, size);
		if (dmabuf < 0)
			_exit(2);
		close(dmabuf);
	}
}

/* Kills a process in its allocation; returns its status as of waitpid() */
static int kill_allocator(struct __test_metadata *_metadata, int heap,
			  size_t size)
{
	int pipes[2], status;
	pid_t child;
	char byte;

	ASSERT_EQ(0, pipe(pipes));
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		allocate_for_ever(heap, size, pipes[1]);
	EXPECT_EQ(1, read(pipes[0], &byte, 1));
	EXPECT_EQ(0, kill(child, SIGKILL));
	EXPECT_EQ(child, waitpid(child, &status, 0));
	close(pipes[0]);
	close(pipes[1]);
	return status;
}

/*
 * An allocation that is given up counts as failed; one that went on to its end
 * although the process was killed counts as made.
 */
TEST_HEAP(killed)
{
	size_t size = heap_fit(self->heap, ram_size() / 4);
	const char *heap = variant->name;
	long long failures;
	int status, i;

	if (size < 16 * MIB)
		SKIP(return, "no allocation here takes long");
	failures = heap_counter(heap, "failures");
	be_the_first_victim();
	for (i = 0; i < 20; i++) {
		status = kill_allocator(_metadata, self->heap, size);
		ASSERT_TRUE(WIFSIGNALED(status));
		ASSERT_EQ(SIGKILL, WTERMSIG(status));
		EXPECT_EQ(self->before.bytes, heap_counter(heap, "bytes"));
		if (failures >= 0 && heap_counter(heap, "failures") > failures)
			break;
	}
	EXPECT_TRUE(failures < 0 || heap_counter(heap, "failures") > failures);
}

int main(int argc, char **argv)
{
	return each_heap_run(argc, argv);
}
