// SPDX-License-Identifier: GPL-2.0
/* mmap() of a heap's buffers: whole and in part, what is refused, lifetime */

#define ALL_TESTS_MAP

#include "each_heap.h"

#include <limits.h>
#include <sys/resource.h>
#include <sys/uio.h>

#define SEED	0x5eed

/* A buffer of a large but odd size, filled with a pattern */
static void alloc_filled(struct __test_metadata *_metadata,
			 struct buffer *buffer, int heap, size_t most)
{
	ASSERT_EQ(0, buffer_alloc(buffer, heap, odd_size(heap, most)));
	ASSERT_EQ(0, buffer_fill(buffer, SEED));
}

/* Maps a part of the buffer anew and compares it with the model */
static void expect_part(struct __test_metadata *_metadata,
			const struct buffer *buffer, size_t offset, size_t len)
{
	void *part = dmabuf_map(buffer->fd, len, offset);

	ASSERT_NE(MAP_FAILED, part)
		TH_LOG("%zu bytes at %zu: %s", len, offset, strerror(errno));
	EXPECT_EQ(0, memcmp(part, buffer->model + offset, len))
		TH_LOG("%zu bytes at %zu are not those of the buffer", len,
		       offset);
	munmap(part, len);
}

TEST_HEAP(whole)
{
	struct buffer buffer;

	alloc_filled(_metadata, &buffer, self->heap, BIG_MOST);
	EXPECT_EQ(-1, buffer_differs(&buffer));
	/* Both mappings show the same memory */
	expect_part(_metadata, &buffer, 0, buffer.size);
	buffer_free(&buffer);
}

TEST_HEAP(every_page_alone)
{
	struct buffer buffer;
	size_t offset;

	alloc_filled(_metadata, &buffer, self->heap, MEDIUM_MOST);
	for (offset = 0; offset < buffer.size; offset += page_size())
		expect_part(_metadata, &buffer, offset, page_size());
	buffer_free(&buffer);
}

TEST_HEAP(parts)
{
	const size_t page = page_size();
	struct buffer buffer;
	size_t len;

	alloc_filled(_metadata, &buffer, self->heap, BIG_MOST);
	for (len = page; len <= buffer.size; len = len * 3 + page) {
		expect_part(_metadata, &buffer, 0, len);
		expect_part(_metadata, &buffer, buffer.size - len, len);
		expect_part(_metadata, &buffer,
			    (buffer.size - len) / 2 / page * page, len);
	}
	/* A length that is no multiple of a page is rounded up */
	expect_part(_metadata, &buffer, 0, buffer.size - page / 2);
	buffer_free(&buffer);
}

TEST_HEAP(writes_through_parts)
{
	const size_t page = page_size();
	struct buffer buffer;
	size_t offset;
	void *part;

	alloc_filled(_metadata, &buffer, self->heap, BIG_MOST);
	for (offset = 0; offset < buffer.size; offset += 16 * page) {
		part = dmabuf_map(buffer.fd, page, offset);
		ASSERT_NE(MAP_FAILED, part);
		pattern(part, offset, page, ~SEED);
		pattern(buffer.model + offset, offset, page, ~SEED);
		munmap(part, page);
	}
	EXPECT_EQ(-1, buffer_differs(&buffer));
	buffer_free(&buffer);
}

TEST_HEAP(past_the_end)
{
	static const unsigned long long far[] = { 1ULL << 32, 1ULL << 40 };
	const size_t page = page_size();
	struct buffer buffer;
	unsigned int i;

	alloc_filled(_metadata, &buffer, self->heap, MEDIUM_MOST);
	EXPECT_EQ(MAP_FAILED, dmabuf_map(buffer.fd, buffer.size + page, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, dmabuf_map(buffer.fd, buffer.size, page));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, dmabuf_map(buffer.fd, 2 * page,
					 buffer.size - page));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, dmabuf_map(buffer.fd, page, buffer.size));
	EXPECT_EQ(EINVAL, errno);
	for (i = 0; i < ARRAY_SIZE(far); i++) {
		EXPECT_EQ(MAP_FAILED, dmabuf_map(buffer.fd, page, far[i]));
		/* Of what its long cannot hold the kernel need not know more */
		EXPECT_TRUE(errno == EINVAL ||
			    (errno == EOVERFLOW && far[i] > ULONG_MAX));
	}
	buffer_free(&buffer);
}

/* Copies of single pages would not be what the device sees */
TEST_HEAP(private_is_refused)
{
	static const __u32 modes[] = { O_RDWR, O_RDONLY };
	static const int prots[] = {
		PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE,
	};
	const size_t sizes[] = { page_size(), big_size(self->heap) };
	unsigned int i, j, k;
	int dmabuf;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (j = 0; j < ARRAY_SIZE(modes); j++) {
			dmabuf = heap_alloc_flags(self->heap, sizes[i],
						  modes[j]);
			ASSERT_LE(0, dmabuf);
			for (k = 0; k < ARRAY_SIZE(prots); k++) {
				EXPECT_EQ(MAP_FAILED,
					  mmap(NULL, sizes[i], prots[k],
					       MAP_PRIVATE, dmabuf, 0));
				EXPECT_EQ(EINVAL, errno);
			}
			close(dmabuf);
		}
	}
}

TEST_HEAP(access_mode)
{
	const size_t page = page_size();
	int dmabuf;
	void *mem;

	dmabuf = heap_alloc_flags(self->heap, page, O_RDONLY);
	ASSERT_LE(0, dmabuf);
	EXPECT_EQ(MAP_FAILED, dmabuf_map(dmabuf, page, 0));
	EXPECT_EQ(EACCES, errno);
	mem = mmap(NULL, page, PROT_READ, MAP_SHARED, dmabuf, 0);
	ASSERT_NE(MAP_FAILED, mem);
	EXPECT_EQ(-1, mprotect(mem, page, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	munmap(mem, page);
	close(dmabuf);

	dmabuf = heap_alloc_flags(self->heap, page, O_WRONLY);
	ASSERT_LE(0, dmabuf);
	EXPECT_EQ(MAP_FAILED, dmabuf_map(dmabuf, page, 0));
	EXPECT_EQ(EACCES, errno);
	close(dmabuf);
}

TEST_HEAP(mprotect)
{
	struct buffer buffer;

	alloc_filled(_metadata, &buffer, self->heap, MEDIUM_MOST);
	ASSERT_EQ(0, mprotect(buffer.mem, buffer.size, PROT_NONE));
	ASSERT_EQ(0, mprotect(buffer.mem, buffer.size, PROT_READ));
	EXPECT_EQ(-1, buffer_differs(&buffer));
	ASSERT_EQ(0, mprotect(buffer.mem, buffer.size,
			      PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, buffer_fill(&buffer, ~SEED));
	EXPECT_EQ(-1, buffer_differs(&buffer));
	buffer_free(&buffer);
}

/* Growing would go round the check that mmap() makes */
TEST_HEAP(mremap_does_not_grow)
{
	const size_t page = page_size();
	struct buffer buffer;
	void *part;

	alloc_filled(_metadata, &buffer, self->heap, MEDIUM_MOST);
	EXPECT_EQ(MAP_FAILED, mremap(buffer.mem, buffer.size,
				     buffer.size + page, MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
	/* An old length of zero asks for a second mapping */
	EXPECT_EQ(MAP_FAILED, mremap(buffer.mem, 0, buffer.size + page,
				     MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);

	part = dmabuf_map(buffer.fd, page, 0);
	ASSERT_NE(MAP_FAILED, part);
	EXPECT_EQ(MAP_FAILED, mremap(part, page, 2 * page, MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
	munmap(part, page);
	buffer_free(&buffer);
}

TEST_HEAP(mremap_moves_and_shrinks)
{
	struct buffer buffer;
	__u8 *place;

	alloc_filled(_metadata, &buffer, self->heap, MEDIUM_MOST);
	place = mmap(NULL, buffer.size, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, place);
	buffer.mem = mremap(buffer.mem, buffer.size, buffer.size,
			    MREMAP_MAYMOVE | MREMAP_FIXED, place);
	ASSERT_EQ(place, buffer.mem);
	EXPECT_EQ(-1, buffer_differs(&buffer));
	EXPECT_EQ(place, mremap(place, buffer.size, page_size(), 0));
	EXPECT_EQ(0, memcmp(place, buffer.model, page_size()));
	buffer_free(&buffer);
}

/* A hole splits the mapping in two, each with an offset of its own */
TEST_HEAP(hole)
{
	const size_t page = page_size();
	struct buffer buffer;
	size_t tail;

	alloc_filled(_metadata, &buffer, self->heap, MEDIUM_MOST);
	if (buffer.size >= 3 * page) {
		tail = buffer.size - page;
		ASSERT_EQ(0, munmap(buffer.mem + page, tail - page));
		EXPECT_EQ(0, memcmp(buffer.mem, buffer.model, page));
		EXPECT_EQ(0, memcmp(buffer.mem + tail, buffer.model + tail,
				    page));
	}
	buffer_free(&buffer);
}

/* Sees what the parent wrote, and answers */
static int forked(void *arg)
{
	struct buffer *buffer = arg;

	if (buffer_differs(buffer) != -1)
		return 1;
	if (buffer_fill(buffer, ~SEED))
		return 2;
	buffer_free(buffer);
	return 0;
}

/* What one entry of a page table may map need not go or change as a whole */
TEST_HEAP(middle)
{
	const size_t page = page_size();
	struct buffer buffer;
	size_t middle, i;
	__u8 *mem;

	alloc_filled(_metadata, &buffer, self->heap, BIG_MOST);
	if (buffer.size < 3 * page)
		SKIP(buffer_free(&buffer); return, "no buffer of three pages");
	middle = buffer.size / 2 / page * page;
	mem = buffer.mem + middle;

	ASSERT_EQ(0, mprotect(mem, page, PROT_READ));
	EXPECT_EQ(-1, buffer_differs(&buffer));
	for (i = 0; i < buffer.size; i += page) {
		if (i == middle)
			continue;
		buffer.mem[i] = i / page;
		buffer.model[i] = i / page;
	}
	EXPECT_EQ(-1, buffer_differs(&buffer));
	ASSERT_EQ(0, mprotect(mem, page, PROT_READ | PROT_WRITE));

	ASSERT_EQ(0, munmap(mem, page));
	EXPECT_EQ(0, memcmp(buffer.mem, buffer.model, middle));
	EXPECT_EQ(0, memcmp(mem + page, buffer.model + middle + page,
			    buffer.size - middle - page));
	ASSERT_EQ(mem, mmap(mem, page, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_FIXED, buffer.fd, middle));
	EXPECT_EQ(0, buffer_fill(&buffer, ~SEED));
	EXPECT_EQ(-1, buffer_differs(&buffer));
	buffer_free(&buffer);
}

/* Address and memory need not be aligned alike, from the start or later */
TEST_HEAP(out_of_step)
{
	const size_t page = page_size();
	struct buffer buffer;
	__u8 *place, *mem;

	alloc_filled(_metadata, &buffer, self->heap, BIG_MOST);
	place = mmap(NULL, 2 * (buffer.size + 2 * page), PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, place);
	mem = mmap(place + page, buffer.size, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_FIXED, buffer.fd, 0);
	ASSERT_EQ(place + page, mem);
	EXPECT_EQ(0, memcmp(mem, buffer.model, buffer.size));
	mem = place + buffer.size + 3 * page;
	mem = mremap(buffer.mem, buffer.size, buffer.size,
		     MREMAP_MAYMOVE | MREMAP_FIXED, mem);
	ASSERT_EQ(place + buffer.size + 3 * page, mem);
	buffer.mem = mem;
	EXPECT_EQ(-1, buffer_differs(&buffer));
	EXPECT_EQ(0, in_child(forked, &buffer));
	EXPECT_EQ(-1, buffer_differs(&buffer));
	buffer_free(&buffer);
	munmap(place, 2 * (buffer.size + 2 * page));
}

/* How much a PMD maps, 0 if they map nothing here */
static size_t huge_size(void)
{
	FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size",
			   "re");
	size_t size = 0;

	if (file) {
		if (fscanf(file, "%zu", &size) != 1)
			size = 0;
		fclose(file);
	}
	return heaps_map_huge() ? size : 0;
}

/* How often this process had to wait for the kernel to map something */
static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

static long faults_of_touching(const struct buffer *buffer)
{
	__u8 *mem = buffer->mem;
	long before = faults();
	size_t i;

	for (i = 0; i < buffer->size; i += page_size())
		mem[i] = 1;
	return faults() - before;
}

static void set_least(long *least, long value)
{
	if (value < *least)
		*least = value;
}

/*
 * The fewest that it takes to touch a new mapping of @buffer once, and again: when
 * the kernel makes room, the program's own pages move, too, and are faults then
 */
static void fewest_faults(struct __test_metadata *_metadata,
			  struct buffer *buffer, long *once, long *again)
{
	int i;

	*once = LONG_MAX;
	*again = LONG_MAX;
	for (i = 0; i < 5; i++) {
		munmap(buffer->mem, buffer->size);
		buffer->mem = mmap(NULL, buffer->size, PROT_READ | PROT_WRITE,
				   MAP_SHARED, buffer->fd, 0);
		ASSERT_NE(MAP_FAILED, buffer->mem);
		set_least(once, faults_of_touching(buffer));
		set_least(again, faults_of_touching(buffer));
	}
}

/*
 * Memory in one piece, of as much as PMDs map, begins where one can map it, also
 * that of the second buffer: one fault for each
 */
TEST_HEAP(huge)
{
	const size_t huge = huge_size(), size = 2 * huge;
	struct buffer first, second;
	long once, again;

	if (!huge)
		SKIP(return, "PMDs map nothing here");
	if (!(self->info.properties & DMA_HEAP_PROP_CONTIGUOUS))
		SKIP(return, "memory is not in one piece");
	/* What is kept may have been had when there was no better place */
	forget_memory();
	if (buffer_alloc(&first, self->heap, size))
		SKIP(return, "no buffer of %zu bytes", size);
	if (buffer_alloc(&second, self->heap, size))
		SKIP(buffer_free(&first); return, "no two buffers of %zu bytes",
		     size);

	fewest_faults(_metadata, &first, &once, &again);
	EXPECT_EQ(2, once);
	EXPECT_EQ(0, again);
	fewest_faults(_metadata, &second, &once, &again);
	EXPECT_EQ(2, once);
	EXPECT_EQ(0, again);
	buffer_free(&second);
	buffer_free(&first);
}

TEST_HEAP(outlives_descriptor)
{
	const char *heap = variant->name;
	struct buffer buffer;

	alloc_filled(_metadata, &buffer, self->heap, MEDIUM_MOST);
	close(buffer.fd);
	buffer.fd = -1;
	if (self->before.buffers >= 0) {
		EXPECT_EQ(self->before.buffers + 1,
			  heap_counter(heap, "buffers"));
	}
	EXPECT_EQ(0, memcmp(buffer.mem, buffer.model, buffer.size));
	buffer_free(&buffer);
	EXPECT_EQ(self->before.buffers, heap_counter(heap, "buffers"));
}

TEST_HEAP(fork)
{
	struct buffer buffer;

	alloc_filled(_metadata, &buffer, self->heap, MEDIUM_MOST);
	EXPECT_EQ(0, in_child(forked, &buffer));
	EXPECT_EQ(-1, buffer_differs(&buffer));
	buffer_free(&buffer);
}

/* Reads the line of @mem's mapping that begins with @key; false if none does */
static bool smaps_line(const void *mem, const char *key, char *line, int size)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	bool found = false, done = false;
	unsigned long start, end;

	if (!smaps)
		return false;
	while (!done && fgets(line, size, smaps)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			found = start == (unsigned long)mem;
		else if (found && !strncmp(line, key, strlen(key)))
			done = true;
	}
	fclose(smaps);
	return done;
}

/* The memory is the heap's: no process is charged with it or dumps it */
TEST_HEAP(accounting)
{
	static const char * const flags[] = { " pf", " io", " de", " dd" };
	struct buffer buffer;
	char line[256];
	unsigned int i;

	if (access("/proc/self/smaps", F_OK))
		SKIP(return, "no smaps (CONFIG_PROC_PAGE_MONITOR)");
	alloc_filled(_metadata, &buffer, self->heap, MEDIUM_MOST);
	ASSERT_TRUE(smaps_line(buffer.mem, "Rss:", line, sizeof(line)));
	EXPECT_EQ(0, atoi(line + strlen("Rss:")));
	ASSERT_TRUE(smaps_line(buffer.mem, "VmFlags:", line, sizeof(line)));
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		EXPECT_TRUE(!!strstr(line, flags[i]))
			TH_LOG("not in %s", line);
	buffer_free(&buffer);
}

/* Nobody may hold on to the pages behind the heap's back */
TEST_HEAP(no_page_references)
{
	struct buffer buffer;
	struct iovec iov;
	int pipes[2];

	alloc_filled(_metadata, &buffer, self->heap, MEDIUM_MOST);
	ASSERT_EQ(0, pipe(pipes));
	iov = (struct iovec){ .iov_base = buffer.mem, .iov_len = page_size() };
	EXPECT_EQ(-1, vmsplice(pipes[1], &iov, 1, SPLICE_F_NONBLOCK));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, madvise(buffer.mem, buffer.size, MADV_DONTNEED));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, buffer_differs(&buffer));
	close(pipes[0]);
	close(pipes[1]);
	buffer_free(&buffer);
}

int main(int argc, char **argv)
{
	return each_heap_run(argc, argv);
}
