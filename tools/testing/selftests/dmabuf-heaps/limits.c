// SPDX-License-Identifier: GPL-2.0
/* Where an allocation must end: too large, no memory, no descriptor, killed */

#include "each_heap.h"

#include <limits.h>
#include <signal.h>
#include <sys/resource.h>

/* A heap is exhausted in so many steps, or more if its buffers are small */
#define STEPS		32

/* More buffers than a heap is divided into */
#define PIECES_MAX	1024

/* So many processes are killed until one was in the middle of its allocation */
#define KILLS_MAX	200

/* Refused before memory is gathered that cannot suffice */
TEST_HEAP(too_large)
{
	const __u64 ram = ram_size();
	const __u64 sizes[] = {
		self->info.max_alloc + 1, ram / 2 + page_size(), ram, 2 * ram,
		1ULL << 40, 1ULL << 62,
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

/* Buffers of one heap that are held at the same time */
struct hoard {
	int heap;
	int *dmabufs;
	size_t most;
	size_t count;
	__u64 bytes;
};

/* Makes room for @most buffers, and for descriptors as many */
static void hoard_init(struct __test_metadata *_metadata, struct hoard *hoard,
		       int heap, size_t most)
{
	struct rlimit limit;

	*hoard = (struct hoard){ .heap = heap, .most = most };
	hoard->dmabufs = calloc(most, sizeof(*hoard->dmabufs));
	ASSERT_NE(NULL, hoard->dmabufs);

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	if (limit.rlim_cur < most + 64)
		limit.rlim_cur = most + 64;
	if (limit.rlim_max < limit.rlim_cur)
		limit.rlim_max = limit.rlim_cur;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
}

/* Takes buffers of @size bytes until there is no more memory, or no room */
static void hoard_take(struct hoard *hoard, size_t size)
{
	int dmabuf;

	while (hoard->count < hoard->most) {
		dmabuf = heap_alloc(hoard->heap, size);
		if (dmabuf < 0)
			break;
		hoard->dmabufs[hoard->count++] = dmabuf;
		hoard->bytes += dmabuf_size(dmabuf);
	}
}

/* Takes all memory: in buffers of @size bytes, then in ever smaller ones */
static void hoard_take_all(struct hoard *hoard, size_t size,
			   const struct dma_heap_info *info)
{
	while (size) {
		hoard_take(hoard, size);
		size = size / 2 / info->granularity * info->granularity;
	}
}

static void hoard_give_back(struct hoard *hoard)
{
	while (hoard->count)
		close(hoard->dmabufs[--hoard->count]);
	hoard->bytes = 0;
}

static void hoard_end(struct hoard *hoard)
{
	hoard_give_back(hoard);
	free(hoard->dmabufs);
}

/* Room for all that the heap can give in buffers of @size bytes, and more */
static size_t room_for(struct __test_metadata *_metadata,
		       const struct dma_heap_info *info, size_t size)
{
	ASSERT_TRUE(size > 0);
	return 2 * info->size / size;
}

TEST_HEAP(exhaustion)
{
	size_t chunk = heap_fit(self->heap, self->info.size / STEPS);
	long long kills = vm_events("oom_kill");
	struct hoard hoard;
	size_t least;
	int tries = 0;

	be_the_first_victim();
	hoard_init(_metadata, &hoard, self->heap,
		   room_for(_metadata, &self->info, chunk));
	hoard_take(&hoard, chunk);
	EXPECT_EQ(ENOMEM, errno);
	ASSERT_TRUE(hoard.count > 0 && hoard.count < hoard.most);
	EXPECT_TRUE(hoard.bytes <= self->info.size ||
		    !(self->info.mask & DMA_HEAP_INFO_SIZE));

	/*
	 * All of it is there again, whatever else takes a little. Others may be
	 * in the way for a moment; but what is lost stays lost.
	 */
	least = hoard.count - (hoard.count + STEPS - 1) / STEPS;
	do {
		hoard_give_back(&hoard);
		hoard_take(&hoard, chunk);
	} while (hoard.count < least && ++tries < 3);
	EXPECT_LE(least, hoard.count);
	hoard_end(&hoard);
	EXPECT_EQ(kills, vm_events("oom_kill"));
}

TEST_HEAP(more_than_all_memory_in_sum)
{
	size_t size = heap_fit(self->heap, self->info.size / 8);
	__u64 sum;
	int dmabuf;

	be_the_first_victim();
	for (sum = 0; sum <= self->info.size; sum += size) {
		dmabuf = heap_alloc(self->heap, size);
		ASSERT_LE(0, dmabuf)
			TH_LOG("after %llu bytes: %s", (unsigned long long)sum,
			       strerror(errno));
		close(dmabuf);
	}
}

/* Whether the heap has so little memory that a test can take and see all of it */
static bool is_bounded(struct __test_metadata *_metadata,
		       const struct dma_heap_info *info)
{
	if (info->mask & DMA_HEAP_INFO_SIZE && info->size <= ram_size() / 4)
		return true;
	SKIP(return false, "the heap's memory is not known, or a large part of the machine's");
}

/* Two ways of dividing the heap's memory; no size of theirs is the same */
static void divide(const struct dma_heap_info *info, size_t sizes[2])
{
	sizes[0] = info->max_alloc;
	sizes[1] = info->max_alloc / 7 / info->granularity * info->granularity;
	if (!sizes[1])
		sizes[1] = info->granularity;
}

/* How much is free, from both who tell it; -1 if nobody does */
static long long free_bytes(struct __test_metadata *_metadata, int heap,
			    const char *name)
{
	struct dma_heap_info info;

	heap_get_info(heap, &info);
	if (!(info.mask & DMA_HEAP_INFO_FREE))
		return -1;
	EXPECT_EQ((long long)info.free, heap_counter(name, "free"));
	return info.free;
}

/*
 * What was had is what is no longer free, until it is given back. And what
 * nobody else uses can be had to the last byte, however it is divided.
 */
TEST_HEAP(all_memory)
{
	long long before, after;
	struct hoard hoard;
	size_t sizes[2];
	bool is_private;
	int i;

	if (!is_bounded(_metadata, &self->info))
		return;
	is_private = heap_is_private(self->heap);
	before = free_bytes(_metadata, self->heap, variant->name);
	divide(&self->info, sizes);
	hoard_init(_metadata, &hoard, self->heap, PIECES_MAX);
	for (i = 0; i < 2; i++) {
		hoard_take_all(&hoard, sizes[i], &self->info);
		after = free_bytes(_metadata, self->heap, variant->name);
		EXPECT_TRUE(before < 0 ||
			    after == before - (long long)hoard.bytes);
		EXPECT_TRUE(!is_private || hoard.bytes == self->info.free)
			TH_LOG("%llu of %llu bytes in %zu buffers",
			       (unsigned long long)hoard.bytes,
			       (unsigned long long)self->info.free,
			       hoard.count);
		hoard_give_back(&hoard);
		EXPECT_EQ(before, free_bytes(_metadata, self->heap,
					     variant->name));
	}
	hoard_end(&hoard);
}

/* What is in one piece can be had as one */
TEST_HEAP(longest_buffer)
{
	int dmabuf;

	if (!is_bounded(_metadata, &self->info))
		return;
	if (!heap_is_private(self->heap) ||
	    self->info.free != self->info.size)
		SKIP(return, "others may use this heap's memory");
	dmabuf = heap_alloc(self->heap, self->info.max_alloc);
	EXPECT_LE(0, dmabuf);
	EXPECT_EQ(self->info.max_alloc, dmabuf_size(dmabuf));
	close(dmabuf);
}

/* Maps the buffer whole, or returns NULL */
static __u64 *map_whole(int dmabuf)
{
	void *mem = dmabuf_map(dmabuf, dmabuf_size(dmabuf), 0);

	return mem == MAP_FAILED ? NULL : mem;
}

/* Writes @value into each word of the buffer */
static int fill(int dmabuf, __u64 value)
{
	size_t size = dmabuf_size(dmabuf), i;
	__u64 *mem = map_whole(dmabuf);

	if (!mem)
		return -1;
	dmabuf_sync(dmabuf, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE);
	for (i = 0; i < size / sizeof(*mem); i++)
		mem[i] = value;
	dmabuf_sync(dmabuf, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);
	return munmap(mem, size);
}

/* Whether each word of the buffer is @value */
static bool is_filled(int dmabuf, __u64 value)
{
	size_t size = dmabuf_size(dmabuf), i = 0;
	__u64 *mem = map_whole(dmabuf);

	if (!mem)
		return false;
	dmabuf_sync(dmabuf, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
	while (i < size / sizeof(*mem) && mem[i] == value)
		i++;
	dmabuf_sync(dmabuf, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
	munmap(mem, size);
	return i == size / sizeof(*mem);
}

/* Fills each buffer with a number of its own, and expects all to keep theirs */
static void use_all(struct __test_metadata *_metadata,
		    const struct hoard *hoard)
{
	size_t i;

	for (i = 0; i < hoard->count; i++)
		EXPECT_EQ(0, fill(hoard->dmabufs[i], ~(__u64)i));
	for (i = 0; i < hoard->count; i++)
		EXPECT_TRUE(is_filled(hoard->dmabufs[i], ~(__u64)i));
}

/*
 * No two users have the same memory, and what one left the next does not find:
 * tried with all of the memory, divided in another way for the next user
 */
TEST_HEAP(former_owner)
{
	struct hoard hoard;
	size_t sizes[2], i;
	bool is_private;
	__u64 used;

	if (!heap_is_zeroed(&self->info))
		SKIP(return, "what is in this heap's memory is up to its user");
	if (!cpu_can_map(_metadata, &self->info) ||
	    !is_bounded(_metadata, &self->info))
		return;
	divide(&self->info, sizes);
	is_private = heap_is_private(self->heap);
	hoard_init(_metadata, &hoard, self->heap, PIECES_MAX);
	hoard_take_all(&hoard, sizes[1], &self->info);
	use_all(_metadata, &hoard);
	used = hoard.bytes;
	hoard_give_back(&hoard);

	hoard_take_all(&hoard, sizes[0], &self->info);
	for (i = 0; i < hoard.count; i++)
		EXPECT_TRUE(is_filled(hoard.dmabufs[i], 0));
	EXPECT_TRUE(!is_private || used == hoard.bytes);
	hoard_end(&hoard);
}

/* The errors that a user can bring about at will */
static void provoke(struct __test_metadata *_metadata, int heap,
		    const struct dma_heap_info *info)
{
	size_t chunk = heap_fit(heap, info->size / STEPS);
	struct hoard hoard;

	heap_alloc(heap, 0);
	heap_alloc(heap, ~0ULL);
	heap_alloc(heap, ram_size());
	heap_alloc(heap, info->max_alloc + 1);
	heap_alloc_flags(heap, page_size(), ~0U);
	hoard_init(_metadata, &hoard, heap, room_for(_metadata, info, chunk));
	hoard_take(&hoard, chunk);
	mmap(NULL, 2 * chunk, PROT_READ, MAP_SHARED, hoard.dmabufs[0], 0);
	mmap(NULL, chunk, PROT_READ, MAP_PRIVATE, hoard.dmabufs[0], 0);
	dmabuf_sync(hoard.dmabufs[0], ~0ULL);
	dmabuf_sync(hoard.dmabufs[0], DMA_BUF_SYNC_RW);
	hoard_end(&hoard);
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
		provoke(_metadata, self->heap, &self->info);
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

/* Kills a process in an allocation; returns its status as of waitpid() */
static int kill_allocator(struct __test_metadata *_metadata, int heap,
			  const char *name, size_t size)
{
	long long made = heap_counter(name, "allocations");
	long long bytes = heap_counter(name, "bytes");
	pid_t child, ended = 0;
	int status = 0;

	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		allocate_for_ever(heap, size);
	/* When it has freed the first buffer it is about to make the second */
	while (!ended && (heap_counter(name, "allocations") == made ||
			  heap_counter(name, "bytes") != bytes))
		ended = waitpid(child, &status, WNOHANG);
	if (!ended) {
		EXPECT_EQ(0, kill(child, SIGKILL));
		EXPECT_EQ(child, waitpid(child, &status, 0));
	}
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
	long long failures;
	int status, i;

	if (size < 16 * MIB || !heap_is_zeroed(&self->info))
		SKIP(return, "no allocation here takes long");
	failures = heap_counter(heap, "failures");
	if (failures < 0 || !watch_interrupted(heap))
		SKIP(return, "this kernel does not tell what became of it");
	be_the_first_victim();
	/* It may be between two, or past the last place where it gives up */
	for (i = 0; i < KILLS_MAX && heap_counter(heap, "failures") == failures;
	     i++) {
		status = kill_allocator(_metadata, self->heap, heap, size);
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
