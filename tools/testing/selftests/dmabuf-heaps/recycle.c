// SPDX-License-Identifier: GPL-2.0
/*
 * Heaps over CMA areas: what was freed is had again without the area, small
 * buffers share what they take from it, and what nobody wants goes back
 */

#include "each_heap.h"

#include <sched.h>

#define KEEP_MS		"/sys/module/dma_heap_helpers/parameters/cma_keep_ms"
#define ALLOC		"cma/cma_alloc_finish"
#define RELEASE		"cma/cma_release"

#define SMALL		16
#define PARTS		16
#define ROUNDS		8
#define SEED		0x2ecc1e

/* Traces what the area gives and takes, of @pages pages or, if 0, of any */
static bool trace_cma(struct __test_metadata *_metadata, const char *event,
		      size_t pages)
{
	char filter[64];

	snprintf(filter, sizeof(filter), "count %s %zu", pages ? "==" : ">",
		 pages);
	if (!trace_start(event, filter))
		return true;
	SKIP(return false, "no event %s: %s", event, strerror(errno));
}

/* How long this kernel keeps memory, as a text; empty if it keeps none */
static char keep_ms[32];

static void keep_read(void)
{
	read_line(KEEP_MS, keep_ms, sizeof(keep_ms));
	if (!strtoul(keep_ms, NULL, 10))
		keep_ms[0] = '\0';
}

static void keep_restore(void)
{
	if (keep_ms[0])
		write_file(KEEP_MS, keep_ms);
}

/* Allocates @len bytes, or -1 with the test skipped if they are not from CMA */
static int alloc_from_cma(struct __test_metadata *_metadata, int heap,
			  size_t len)
{
	int dmabuf;

	ASSERT_EQ(0, forget_memory());
	if (!trace_cma(_metadata, ALLOC, len / page_size()))
		return -1;
	dmabuf = heap_alloc(heap, len);
	ASSERT_LE(0, dmabuf);
	if (trace_stop(ALLOC))
		return dmabuf;
	close(dmabuf);
	SKIP(return -1, "this heap's memory is not from a CMA area");
}

/* The same, of what will be kept for longer than any test lasts */
static int alloc_to_keep(struct __test_metadata *_metadata, int heap,
			 size_t len)
{
	if (!keep_ms[0])
		SKIP(return -1, "this kernel keeps nothing");
	ASSERT_EQ(0, write_file(KEEP_MS, "1000000"));
	return alloc_from_cma(_metadata, heap, len);
}

TEST_HEAP(had_again)
{
	size_t len = big_size(self->heap);
	struct buffer buffer;
	int dmabuf;

	dmabuf = alloc_to_keep(_metadata, self->heap, len);
	if (dmabuf < 0)
		return;
	ASSERT_EQ(0, buffer_from_fd(&buffer, dmabuf));
	ASSERT_EQ(0, buffer_fill(&buffer, SEED));
	buffer_free(&buffer);

	if (!trace_cma(_metadata, ALLOC, len / page_size()))
		return;
	ASSERT_EQ(0, buffer_alloc(&buffer, self->heap, len));
	EXPECT_EQ(-1, buffer_differs(&buffer));
	EXPECT_EQ(0, trace_stop(ALLOC));
	buffer_free(&buffer);
}

/* Nobody asks for it; a test that waits in vain is ended by the harness */
TEST_HEAP(goes_back_in_time)
{
	int dmabuf;

	dmabuf = alloc_to_keep(_metadata, self->heap, big_size(self->heap));
	if (dmabuf < 0)
		return;
	if (!trace_cma(_metadata, RELEASE, 0))
		return;
	ASSERT_EQ(0, write_file(KEEP_MS, "1"));
	close(dmabuf);
	while (!trace_count(RELEASE))
		sched_yield();
	EXPECT_LT(0, trace_stop(RELEASE));
}

/* The same goes for a kernel that cannot ask for what is kept */
TEST_HEAP(nothing_kept_if_switched_off)
{
	long long before;
	int dmabuf;

	if (keep_ms[0])
		ASSERT_EQ(0, write_file(KEEP_MS, "0"));
	dmabuf = alloc_from_cma(_metadata, self->heap, big_size(self->heap));
	if (dmabuf < 0)
		return;
	before = mem_kept();
	if (!trace_cma(_metadata, RELEASE, 0))
		return;
	close(dmabuf);
	EXPECT_LT(0, trace_stop(RELEASE));
	EXPECT_GE(before, mem_kept());
}

/* All of it goes, blocks that small buffers share too */
TEST_HEAP(dropped_when_told)
{
	size_t len = big_size(self->heap);
	long long before;
	int dmabuf;

	dmabuf = alloc_to_keep(_metadata, self->heap, len);
	if (dmabuf < 0)
		return;
	before = mem_kept();
	close(dmabuf);
	close(heap_alloc(self->heap, 1));
	EXPECT_LE(before + (long long)len, mem_kept());
	ASSERT_EQ(0, forget_memory());
	EXPECT_GE(before, mem_kept());
}

/* Has the kernel keep most of the heap's memory; returns how many buffers */
static int keep_most(int heap, const struct dma_heap_info *info)
{
	size_t size = info->size / PARTS / info->granularity * info->granularity;
	int dmabufs[PARTS], count = 0, i;

	while (count < PARTS &&
	       (dmabufs[count] = heap_alloc(heap, size)) >= 0)
		count++;
	for (i = 0; i < count; i++)
		close(dmabufs[i]);
	return count;
}

/*
 * Programs have what is said to be available, most of which is kept. That is the
 * harder the more of the machine's memory the area has.
 */
TEST_HEAP(pressure)
{
	long long kills = vm_events("oom_kill"), before;
	int dmabuf, round;
	size_t want;

	if (self->info.size < ram_size() / 4)
		SKIP(return, "this heap has a small part of the memory");
	dmabuf = alloc_to_keep(_metadata, self->heap, big_size(self->heap));
	if (dmabuf < 0)
		return;
	close(dmabuf);

	for (round = 0; round < ROUNDS; round++) {
		ASSERT_LT(0, keep_most(self->heap, &self->info));
		before = mem_kept();
		want = mem_line("MemAvailable") / 10 * 9;
		EXPECT_EQ(0, in_child(mem_take, &want));
		EXPECT_GT(before, mem_kept());
	}
	EXPECT_EQ(kills, vm_events("oom_kill"));
}

TEST_HEAP(small_ones_share)
{
	int dmabufs[SMALL], dmabuf, i;

	if (self->info.granularity > page_size())
		SKIP(return, "this heap's buffers are large");
	dmabuf = alloc_from_cma(_metadata, self->heap, big_size(self->heap));
	if (dmabuf < 0)
		return;
	if (!trace_cma(_metadata, ALLOC, 0))
		return;
	for (i = 0; i < SMALL; i++) {
		dmabufs[i] = heap_alloc(self->heap, 1);
		ASSERT_LE(0, dmabufs[i]);
	}
	EXPECT_GE(1, trace_stop(ALLOC));
	while (i--)
		close(dmabufs[i]);
	close(dmabuf);
}

int main(int argc, char **argv)
{
	keep_read();
	/* The harness does not return */
	atexit(keep_restore);
	return each_heap_run(argc, argv);
}
