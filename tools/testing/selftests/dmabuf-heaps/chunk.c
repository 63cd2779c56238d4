// SPDX-License-Identifier: GPL-2.0
/*
 * Heaps whose buffers are made of chunks: each chunk is aligned, and all can be
 * had but those with memory in them that does not move
 */

#define _GNU_SOURCE
/* Only some heaps are tested, and not by each_heap_run() */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include "each_heap.h"
#pragma GCC diagnostic pop

#include <sys/mman.h>
#include <sys/uio.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif

#define SEED		0xc4a9c
#define STEP		(4 * MIB)

/* So many chunks are taken apart */
#define GAPS		16

/* No more pages are pinned: each makes the heap try all others again and again */
#define PINS_MAX	8

/*
 * What is left to the kernel while memory is filled. It may raise what it
 * reserves to more than three times the minimum, where memory is fragmented.
 */
#define RESERVE		(32 * MIB)
#define MIN_FREE	"/proc/sys/vm/min_free_kbytes"
#define MIN_FREE_KIB	"8192"

/* There must be more elsewhere than the heap has, where its pages can move to */
#define ROOM		(16 * MIB)

TEST_HEAP(sizes_in_chunks)
{
	const size_t chunk = self->info.granularity;
	const size_t sizes[] = {
		1, page_size(), chunk - 1, chunk, chunk + 1, 3 * chunk,
		self->info.max_alloc,
	};
	unsigned int i;
	int dmabuf;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		dmabuf = heap_alloc(self->heap, sizes[i]);
		ASSERT_LE(0, dmabuf)
			TH_LOG("%zu bytes: %s", sizes[i], strerror(errno));
		EXPECT_EQ(rounded(&self->info, sizes[i]), dmabuf_size(dmabuf));
		close(dmabuf);
	}
	EXPECT_EQ(-1, heap_alloc(self->heap, self->info.max_alloc + 1));
	EXPECT_EQ(ENOMEM, errno);
}

/* Expects that a device sees chunks; returns in how many pieces, 0 without one */
static __u32 expect_chunks(struct __test_metadata *_metadata, int dmabuf,
			   size_t chunk)
{
	struct dma_buf_testdev_entry entry = { };
	int dev = testdev_open("coherent");
	struct import import;
	__u64 sum = 0;
	__u32 i;

	if (dev < 0)
		return 0;
	ASSERT_EQ(0, import_begin(&import, dev, dmabuf,
				  DMA_BUF_TESTDEV_BIDIRECTIONAL));
	for (i = 0; i < import.map.nents; i++) {
		ASSERT_EQ(0, import_entry(&import, i, &entry));
		EXPECT_EQ(0, entry.addr % chunk);
		EXPECT_EQ(0, entry.len % chunk);
		EXPECT_LT(0, entry.len);
		sum += entry.len;
	}
	EXPECT_EQ(dmabuf_size(dmabuf), sum);
	import_detach(&import);
	close(dev);
	return import.map.nents;
}

static void close_all(const int *dmabufs, int count)
{
	while (count--)
		close(dmabufs[count]);
}

/* What is left of an area that others share is had, a chunk here and there */
TEST_HEAP(gaps)
{
	const size_t chunk = self->info.granularity;
	int apart[2 * GAPS], gaps[GAPS], rest, dmabuf, i;
	__u32 pieces;

	if (self->info.size < (2 * GAPS + 1) * chunk)
		SKIP(return, "the heap has too few chunks");

	for (i = 0; i < 2 * GAPS; i++) {
		apart[i] = heap_alloc(self->heap, 1);
		ASSERT_LE(0, apart[i]);
		expect_chunks(_metadata, apart[i], chunk);
	}
	rest = heap_alloc(self->heap, self->info.size - 2 * GAPS * chunk);
	ASSERT_LE(0, rest);
	EXPECT_EQ(-1, heap_alloc(self->heap, 1));

	for (i = 0; i < GAPS; i++) {
		gaps[i] = apart[2 * i];
		apart[i] = apart[2 * i + 1];
	}
	close_all(gaps, GAPS);
	EXPECT_EQ(-1, heap_alloc(self->heap, GAPS * chunk + 1));
	EXPECT_EQ(ENOMEM, errno);
	dmabuf = heap_alloc(self->heap, GAPS * chunk);
	ASSERT_LE(0, dmabuf);
	pieces = expect_chunks(_metadata, dmabuf, chunk);
	if (pieces)
		EXPECT_EQ(GAPS, pieces);

	close(dmabuf);
	close(rest);
	close_all(apart, GAPS);
}

/* What can be had for anything, and not only for what can be moved again */
static size_t free_for_all(void)
{
	return mem_line("MemFree") - mem_line("CmaFree");
}

/* Lets the kernel reserve no more than it must; @old keeps what it did before */
static void reserve_less(char *old, size_t size)
{
	read_line(MIN_FREE, old, size);
	if (atoi(old) > atoi(MIN_FREE_KIB))
		write_file(MIN_FREE, MIN_FREE_KIB);
}

/* The chunks of a heap, by physical address */
struct chunks {
	__u64 start;
	__u64 size;
	int count;
};

/* False if the heap's name does not say where its memory is */
static bool chunks_find(struct chunks *chunks, const char *heap,
			const struct dma_heap_info *info)
{
	const char *unit = strrchr(heap, '@');

	if (!unit)
		return false;
	chunks->size = info->granularity;
	chunks->count = info->size / info->granularity;
	chunks->start = rounded(info, strtoull(unit + 1, NULL, 16));
	return true;
}

/* Reads where @count pages from @addr on are, a word for each */
static void pagemap_read(struct __test_metadata *_metadata, const void *addr,
			 size_t count, __u64 *words)
{
	off_t offset = (uintptr_t)addr / page_size() * sizeof(*words);
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ssize_t size = count * sizeof(*words);

	ASSERT_LE(0, pagemap);
	ASSERT_EQ(size, pread(pagemap, words, size, offset));
	close(pagemap);
}

/* Which chunk a page is in by its word of pagemap; -1 if in none */
static ssize_t chunk_by_word(const struct chunks *chunks, __u64 word)
{
	const __u64 present = 1ULL << 63, frame = (1ULL << 55) - 1;
	__u64 phys = (word & frame) * page_size();

	if (!(word & present) || phys < chunks->start ||
	    phys >= chunks->start + chunks->count * chunks->size)
		return -1;
	return (phys - chunks->start) / chunks->size;
}

/* Which chunk the page at @addr is in now */
static ssize_t chunk_of(struct __test_metadata *_metadata,
			const struct chunks *chunks, const void *addr)
{
	__u64 word;

	pagemap_read(_metadata, addr, 1, &word);
	return chunk_by_word(chunks, word);
}

/*
 * Memory of this process that the kernel can move, page by page. Of the first
 * @used bytes it keeps in the end what is in the heap's chunks.
 */
struct movable {
	__u8 *mem;
	size_t size;
	size_t used;
	/* Which chunk each page was in, -1 if in none */
	ssize_t *chunk;
	/* What madvise() calls giving it back */
	int release;
};

/* With a file in place of anonymous memory unless @memfd is -1 */
static void movable_init(struct __test_metadata *_metadata,
			 struct movable *movable, int memfd)
{
	int flags = MAP_NORESERVE;

	flags |= memfd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	movable->release = memfd < 0 ? MADV_DONTNEED : MADV_REMOVE;
	movable->size = ram_size() / STEP * STEP;
	movable->used = 0;
	movable->chunk = calloc(movable->size / page_size(),
				sizeof(*movable->chunk));
	ASSERT_NE(NULL, movable->chunk);
	if (memfd >= 0)
		ASSERT_EQ(0, ftruncate(memfd, movable->size));
	movable->mem = mmap(NULL, movable->size, PROT_READ | PROT_WRITE, flags,
			    memfd, 0);
	ASSERT_NE(MAP_FAILED, movable->mem);
	/* Fails where there are no large pages */
	madvise(movable->mem, movable->size, MADV_NOHUGEPAGE);
}

static size_t pages_of(const struct movable *movable)
{
	return movable->used / page_size();
}

/* Page number @index in words */
static __u32 *page_of(const struct movable *movable, size_t index)
{
	return (__u32 *)(movable->mem + index * page_size());
}

/* Uses what the kernel has, and gives each page a content of its own */
static void movable_fill(struct __test_metadata *_metadata,
			 struct movable *movable)
{
	size_t i;

	while (movable->used < movable->size &&
	       free_for_all() > RESERVE + STEP) {
		ASSERT_EQ(0, madvise(movable->mem + movable->used, STEP,
				     MADV_POPULATE_WRITE));
		movable->used += STEP;
	}
	for (i = 0; i < pages_of(movable); i++)
		*page_of(movable, i) = i ^ SEED;
}

/* Gives back what is in no chunk, so that the rest can move there */
static void movable_keep_chunks(struct __test_metadata *_metadata,
				struct movable *movable)
{
	size_t page, end;

	for (page = 0; page < pages_of(movable); page = end + 1) {
		end = page;
		while (end < pages_of(movable) && movable->chunk[end] < 0)
			end++;
		if (end > page)
			ASSERT_EQ(0, madvise(page_of(movable, page),
					     (end - page) * page_size(),
					     movable->release));
	}
}

static size_t count_changed(const struct movable *movable)
{
	size_t i, changed = 0;

	for (i = 0; i < pages_of(movable); i++)
		changed += movable->chunk[i] >= 0 &&
			   *page_of(movable, i) != (__u32)(i ^ SEED);
	return changed;
}

static void movable_end(struct movable *movable)
{
	munmap(movable->mem, movable->size);
	free(movable->chunk);
}

/*
 * Finds the chunk of each page. Puts one page for each chunk that has some into
 * @in_use, zeroed, by address of the chunk, and returns how many these are.
 */
static int chunks_in_use(struct __test_metadata *_metadata,
			 const struct chunks *chunks,
			 struct movable *movable, void **in_use)
{
	__u64 *words = calloc(pages_of(movable), sizeof(*words));
	ssize_t chunk;
	int i, count = 0;
	size_t page;

	ASSERT_NE(NULL, words);
	pagemap_read(_metadata, movable->mem, pages_of(movable), words);
	for (page = 0; page < pages_of(movable); page++) {
		chunk = chunk_by_word(chunks, words[page]);
		movable->chunk[page] = chunk;
		if (chunk >= 0)
			in_use[chunk] = page_of(movable, page);
	}
	free(words);
	for (i = 0; i < chunks->count; i++) {
		if (in_use[i])
			in_use[count++] = in_use[i];
	}
	return count;
}

/* Pages that a pipe holds on to, and so keeps where they are */
struct pins {
	int pipe[2];
	void *pages[PINS_MAX];
	ssize_t chunks[PINS_MAX];
	int count;
};

static void pin(struct __test_metadata *_metadata, struct pins *pins,
		void *page)
{
	struct iovec iov = { .iov_base = page, .iov_len = page_size() };

	pattern(page, 0, page_size(), SEED + pins->count);
	ASSERT_EQ(page_size(), vmsplice(pins->pipe[1], &iov, 1, 0));
	pins->pages[pins->count++] = page;
}

/* Pins pages of different chunks, far apart */
static void pins_begin(struct __test_metadata *_metadata, struct pins *pins,
		       void **in_use, int count)
{
	int wanted = count < PINS_MAX ? (count + 1) / 2 : PINS_MAX;

	ASSERT_EQ(0, pipe(pins->pipe));
	for (pins->count = 0; pins->count < wanted;)
		pin(_metadata, pins, in_use[pins->count * count / wanted]);
}

/* In how many chunks pages are pinned, which may have moved before */
static int pins_find(struct __test_metadata *_metadata, struct pins *pins,
		     const struct chunks *chunks)
{
	bool *seen = calloc(chunks->count, sizeof(*seen));
	ssize_t chunk;
	int i, count = 0;

	ASSERT_NE(NULL, seen);
	for (i = 0; i < pins->count; i++) {
		chunk = chunk_of(_metadata, chunks, pins->pages[i]);
		pins->chunks[i] = chunk;
		if (chunk < 0 || seen[chunk])
			continue;
		seen[chunk] = true;
		count++;
	}
	free(seen);
	return count;
}

/* What is pinned is still there, and has not changed */
static void pins_expect(struct __test_metadata *_metadata,
			const struct pins *pins, const struct chunks *chunks)
{
	__u8 model[page_size()];
	int i;

	for (i = 0; i < pins->count; i++) {
		pattern(model, 0, page_size(), SEED + i);
		EXPECT_EQ(0, memcmp(model, pins->pages[i], page_size()));
		EXPECT_EQ(pins->chunks[i],
			  chunk_of(_metadata, chunks, pins->pages[i]));
	}
}

static void pins_end(const struct pins *pins, const struct movable *movable)
{
	int i;

	close(pins->pipe[0]);
	close(pins->pipe[1]);
	for (i = 0; i < pins->count; i++)
		*(__u32 *)pins->pages[i] = ((__u8 *)pins->pages[i] -
					    movable->mem) / page_size() ^ SEED;
}

/* Overwrites all of a buffer */
static void scribble(struct __test_metadata *_metadata, int dmabuf)
{
	size_t size = dmabuf_size(dmabuf);
	void *mem = dmabuf_map(dmabuf, size, 0);

	ASSERT_NE(MAP_FAILED, mem);
	dmabuf_sync(dmabuf, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE);
	memset(mem, 0xff, size);
	dmabuf_sync(dmabuf, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);
	munmap(mem, size);
}

/* Expects that so many chunks can be had in one buffer, and not one more */
static void expect_had(struct __test_metadata *_metadata, int heap,
		       int count, size_t chunk, int pinned)
{
	int dmabuf = heap_alloc(heap, count * chunk);
	__u32 pieces;

	ASSERT_LE(0, dmabuf)
		TH_LOG("all but %d chunks: %s", pinned, strerror(errno));
	EXPECT_EQ(-1, heap_alloc(heap, 1));
	EXPECT_EQ(ENOMEM, errno);
	pieces = expect_chunks(_metadata, dmabuf, chunk);
	/* Runs that follow each other are one piece */
	EXPECT_GE(pinned + 1, pieces);
	scribble(_metadata, dmabuf);
	close(dmabuf);
}

/*
 * Fills all memory, pins some of what came to lie in the heap's, and gives back
 * what did not
 */
static void fill_and_pin(struct __test_metadata *_metadata,
			 const struct chunks *chunks, struct movable *movable,
			 struct pins *pins)
{
	void **in_use = calloc(chunks->count, sizeof(*in_use));
	char min_free[32];
	int count;

	ASSERT_NE(NULL, in_use);
	reserve_less(min_free, sizeof(min_free));
	movable_fill(_metadata, movable);
	count = chunks_in_use(_metadata, chunks, movable, in_use);
	TH_LOG("%d of %d chunks are in use", count, chunks->count);
	if (count > chunks->count / 4)
		pins_begin(_metadata, pins, in_use, count);
	movable_keep_chunks(_metadata, movable);
	write_file(MIN_FREE, min_free);
	free(in_use);
}

static void take_all_but_pinned(struct __test_metadata *_metadata, int heap,
				const struct chunks *chunks, struct pins *pins)
{
	int count = pins_find(_metadata, pins, chunks);

	ASSERT_LT(0, count);
	expect_had(_metadata, heap, chunks->count - count, chunks->size, count);
	pins_expect(_metadata, pins, chunks);
}

static void test_pins(struct __test_metadata *_metadata, int heap,
		      const char *name, const struct dma_heap_info *info,
		      int memfd)
{
	long long kills = vm_events("oom_kill");
	struct pins pins = { };
	struct movable movable;
	struct chunks chunks;

	if (!chunks_find(&chunks, name, info))
		SKIP(return, "the heap's name does not tell its address");
	if (free_for_all() < info->size + ROOM)
		SKIP(return, "too little memory beside the heap's");
	be_the_first_victim();
	movable_init(_metadata, &movable, memfd);
	fill_and_pin(_metadata, &chunks, &movable, &pins);
	if (!pins.count)
		SKIP(return, "hardly any memory came to lie in the heap's");

	take_all_but_pinned(_metadata, heap, &chunks, &pins);
	pins_end(&pins, &movable);
	expect_had(_metadata, heap, chunks.count, chunks.size, 0);
	EXPECT_EQ(0, count_changed(&movable));
	movable_end(&movable);
	EXPECT_EQ(kills, vm_events("oom_kill"));
}

TEST_HEAP(pins_in_anonymous_memory)
{
	test_pins(_metadata, self->heap, variant->name, &self->info, -1);
}

TEST_HEAP(pins_in_page_cache)
{
	int memfd = memfd_create("chunk", MFD_CLOEXEC);

	ASSERT_LE(0, memfd);
	test_pins(_metadata, self->heap, variant->name, &self->info, memfd);
	close(memfd);
}

static bool has_chunks(const char *name)
{
	struct dma_heap_info info;
	int heap = heap_open(name);

	if (heap < 0)
		return false;
	heap_info(heap, &info);
	close(heap);
	return info.granularity > page_size();
}

int main(int argc, char **argv)
{
	struct names heaps;
	int i, count = 0;

	names_read(&heaps, HEAP_DIR);
	for (i = 0; i < heaps.count; i++) {
		if (has_chunks(heaps.name[i])) {
			add_heap(heaps.name[i]);
			count++;
		}
	}
	if (!count)
		ksft_exit_skip("no heap in %s is made of chunks\n", HEAP_DIR);
	return test_harness_run(argc, argv);
}
