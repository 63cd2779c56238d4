// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the chunk heap: which sizes of a chunk it takes, and how it
 * gathers chunks from an area part of which is in use
 */

#include <kunit/device.h>
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "../heap-cma.h"
#include "internals.h"

#define FAKE_ORDER	4
#define FAKE_CHUNK	(PAGE_SIZE << FAKE_ORDER)

enum fake_state { FAKE_FREE, FAKE_PINNED, FAKE_TAKEN };

/*
 * In place of a CMA area, and counted in chunks. It has the addresses from
 * @first on, a state for each chunk, and for each a page that stands for all of
 * it. What is pinned is let go when a single chunk was asked for in vain
 * @busy_for times. The caller is killed at call number @kill_at. Chunk number
 * @kept is kept of a former buffer, unless it is 0.
 */
struct fake_area {
	struct kunit *test;
	struct chunk_heap *heap;
	unsigned long first;
	unsigned long nr;
	u8 *state;
	struct page *pages;
	unsigned int busy_for;
	unsigned int kill_at;
	unsigned long kept;

	/* What the heap did */
	unsigned int calls;
	unsigned long looked_at;
	unsigned long last_run;
};

static void fake_busy(struct fake_area *area, unsigned long run)
{
	unsigned long i;

	if (run > 1 || !area->busy_for || --area->busy_for)
		return;

	for (i = 0; i < area->nr; i++) {
		if (area->state[i] == FAKE_PINNED)
			area->state[i] = FAKE_FREE;
	}
}

/* The chunks from number @first on, which must be free */
static struct heap_run *fake_run(struct fake_area *area, unsigned long first,
				 unsigned long nr)
{
	struct heap_run *run = kzalloc(sizeof(*run), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(area->test, run);
	run->area = (struct heap_cma *)area;
	run->page = area->pages + first;
	run->nr_pages = nr << FAKE_ORDER;
	memset(area->state + first, FAKE_TAKEN, nr);
	return run;
}

/* As cma_alloc(), which looks at all that no one has taken, place by place */
static struct heap_run *fake_alloc_run(struct heap_cma *heap_cma,
				       unsigned long nr_pages,
				       unsigned int align_order)
{
	struct fake_area *area = (struct fake_area *)heap_cma;
	unsigned long run = nr_pages >> FAKE_ORDER;
	unsigned long step, i;

	KUNIT_ASSERT_EQ(area->test, run << FAKE_ORDER, nr_pages);
	KUNIT_ASSERT_GE(area->test, align_order, FAKE_ORDER);
	KUNIT_EXPECT_LE(area->test, run, area->last_run);
	area->last_run = run;
	if (++area->calls == area->kill_at)
		send_sig(SIGKILL, current, 1);

	step = 1UL << (align_order - FAKE_ORDER);
	for (i = ALIGN(area->first, step) - area->first; i + run <= area->nr;
	     i += step) {
		if (memchr(area->state + i, FAKE_TAKEN, run))
			continue;
		area->looked_at += run;
		if (memchr(area->state + i, FAKE_PINNED, run))
			continue;
		return fake_run(area, i, run);
	}
	fake_busy(area, run);
	return NULL;
}

static void fake_free_run(struct heap_run *run)
{
	struct fake_area *area = (struct fake_area *)run->area;
	unsigned long end, i = run->page - area->pages;

	end = i + (run->nr_pages >> FAKE_ORDER);
	KUNIT_ASSERT_LE(area->test, end, area->nr);
	for (; i < end; i++) {
		KUNIT_EXPECT_EQ(area->test, area->state[i], FAKE_TAKEN);
		area->state[i] = FAKE_FREE;
	}
	kfree(run);
}

static void fake_free(struct list_head *runs)
{
	struct heap_run *run, *next;

	list_for_each_entry_safe(run, next, runs, node) {
		list_del(&run->node);
		fake_free_run(run);
	}
}

/* What is kept of the area: here, the chunk at @kept, which is free otherwise */
static struct heap_run *fake_take(struct heap_cma *heap_cma, unsigned long most,
				  unsigned long unit, unsigned int align_order)
{
	struct fake_area *area = (struct fake_area *)heap_cma;
	unsigned long kept = area->kept;

	KUNIT_EXPECT_TRUE(area->test, unit == 1UL << FAKE_ORDER || unit == most);
	KUNIT_EXPECT_EQ(area->test, align_order, FAKE_ORDER);
	KUNIT_EXPECT_GE(area->test, most, unit);
	if (!kept || unit != 1UL << FAKE_ORDER)
		return NULL;

	area->kept = 0;
	return fake_run(area, kept, 1);
}

static unsigned long fake_count(const struct fake_area *area,
				enum fake_state state)
{
	unsigned long i, n = 0;

	for (i = 0; i < area->nr; i++)
		n += area->state[i] == state;

	return n;
}

/* An area of @nr chunks, all free, until the test ends */
static struct fake_area *fake_area_new(struct kunit *test, unsigned long first,
				       unsigned long nr)
{
	struct fake_area *area = kunit_kzalloc(test, sizeof(*area), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, area);
	area->test = test;
	area->first = first;
	area->nr = nr;
	area->state = kunit_kzalloc(test, nr, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, area->state);
	area->pages = kunit_kcalloc(test, nr, sizeof(*area->pages), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, area->pages);

	area->heap = chunk_heap_create(test->priv, (struct heap_cma *)area,
				       (phys_addr_t)first * FAKE_CHUNK,
				       nr * FAKE_CHUNK, FAKE_CHUNK);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, area->heap);

	kunit_activate_static_stub(test, heap_cma_take, fake_take);
	kunit_activate_static_stub(test, heap_cma_alloc_run, fake_alloc_run);
	kunit_activate_static_stub(test, heap_cma_free, fake_free);
	return area;
}

/*
 * Expects that so many chunks can be had, and that the list is what the heap
 * says and what was taken. Returns in how many runs; they stay taken.
 */
static int fake_gather(struct fake_area *area, unsigned long nr)
{
	unsigned long pages = 0, before = fake_count(area, FAKE_TAKEN);
	struct heap_run *run, *next;
	LIST_HEAD(runs);
	int ret, n = 0;

	area->last_run = ULONG_MAX;
	area->looked_at = 0;
	area->calls = 0;
	ret = chunk_heap_gather(area->heap, nr, &runs);

	list_for_each_entry_safe(run, next, &runs, node) {
		pages += run->nr_pages;
		n++;
		kfree(run);
	}
	KUNIT_EXPECT_EQ(area->test, ret, n);
	KUNIT_EXPECT_EQ(area->test, pages, nr << FAKE_ORDER);
	KUNIT_EXPECT_EQ(area->test, fake_count(area, FAKE_TAKEN) - before, nr);
	return ret;
}

/* Expects that a request ends with @error and leaves nothing taken */
static void fake_gather_fails(struct fake_area *area, unsigned long nr,
			      int error)
{
	unsigned long before = fake_count(area, FAKE_TAKEN);
	LIST_HEAD(runs);

	area->last_run = ULONG_MAX;
	area->calls = 0;
	KUNIT_EXPECT_EQ(area->test, chunk_heap_gather(area->heap, nr, &runs),
			error);
	KUNIT_EXPECT_TRUE(area->test, list_empty(&runs));
	KUNIT_EXPECT_EQ(area->test, fake_count(area, FAKE_TAKEN), before);
}

/* For 8K video: one call, and not one for each chunk, wherever the area lies */
static void test_free_area_is_one_run(struct kunit *test)
{
	static const unsigned long firsts[] = { 0, 1, 3, 32, 4096, 0x7000 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(firsts); i++) {
		struct fake_area *area = fake_area_new(test, firsts[i], 4800);

		KUNIT_EXPECT_EQ(test, fake_gather(area, 4800), 1);
		KUNIT_EXPECT_EQ(test, area->calls, 1);
		fake_gather_fails(area, 1, -ENOMEM);
	}
}

static void test_runs_go_around_pins(struct kunit *test)
{
	struct fake_area *area = fake_area_new(test, 4, 64);

	area->state[0] = FAKE_PINNED;
	area->state[40] = FAKE_PINNED;
	/* 1 to 39 and 41 to 63, but for ends that are no power of two */
	KUNIT_EXPECT_LE(test, fake_gather(area, 62), 12);
	KUNIT_EXPECT_EQ(test, fake_count(area, FAKE_FREE), 0);
}

/*
 * All that is not pinned can be had, by so little looking around that it does
 * not take for ever: each look moves pages
 */
static void test_scattered_pins(struct kunit *test)
{
	const unsigned long nr = 1024;
	u32 seed = get_random_u32();
	struct rnd_state rnd;
	int round, i;

	kunit_info(test, "seed %#x", seed);
	prandom_seed_state(&rnd, seed);
	for (round = 0; round < 16; round++) {
		unsigned long first = prandom_u32_state(&rnd) % nr;
		struct fake_area *area = fake_area_new(test, first, nr);

		for (i = prandom_u32_state(&rnd) % 24; i >= 0; i--)
			area->state[prandom_u32_state(&rnd) % nr] = FAKE_PINNED;
		fake_gather(area, fake_count(area, FAKE_FREE));
		KUNIT_EXPECT_LT(test, area->looked_at, 128 * nr);
	}
}

static void test_single_chunks(struct kunit *test)
{
	struct fake_area *area = fake_area_new(test, 0, 128);
	unsigned long i;

	for (i = 0; i < area->nr; i += 2)
		area->state[i] = FAKE_PINNED;
	KUNIT_EXPECT_EQ(test, fake_gather(area, area->nr / 2), area->nr / 2);
}

/* What is kept is taken first, and more only as far as that does not suffice */
static void test_kept_comes_first(struct kunit *test)
{
	struct fake_area *area = fake_area_new(test, 0, 64);

	area->kept = 63;
	KUNIT_EXPECT_EQ(test, fake_gather(area, 1), 1);
	KUNIT_EXPECT_EQ(test, area->calls, 0);
	area->kept = 32;
	KUNIT_EXPECT_EQ(test, fake_gather(area, 8), 2);
	KUNIT_EXPECT_EQ(test, area->last_run, 7);
	area->kept = 33;
	fake_gather_fails(area, 64, -ENOMEM);
}

static void test_failure_gives_all_back(struct kunit *test)
{
	struct fake_area *area = fake_area_new(test, 2, 200);
	unsigned int calls;

	area->state[7] = FAKE_PINNED;
	area->state[100] = FAKE_PINNED;
	fake_gather_fails(area, 199, -ENOMEM);
	calls = area->calls;

	/* What somebody has stays his */
	fake_gather(area, 50);
	fake_gather_fails(area, 149, -ENOMEM);
	KUNIT_EXPECT_LE(test, area->calls, calls);
	fake_gather(area, 148);
}

static void test_busy_for_a_moment(struct kunit *test)
{
	struct fake_area *area = fake_area_new(test, 0, 16);

	area->state[5] = FAKE_PINNED;
	area->busy_for = 2;
	fake_gather(area, 16);
	KUNIT_EXPECT_EQ(test, area->busy_for, 0);
}

static void test_killed(struct kunit *test)
{
	struct fake_area *area = fake_area_new(test, 0, 64);

	area->state[0] = FAKE_PINNED;
	area->kill_at = 3;
	allow_signal(SIGKILL);
	fake_gather_fails(area, 63, -EINTR);
	KUNIT_EXPECT_EQ(test, area->calls, area->kill_at);

	/* Or before it had its turn */
	fake_gather_fails(area, 63, -EINTR);
	KUNIT_EXPECT_EQ(test, area->calls, 0);
	flush_signals(current);
	disallow_signal(SIGKILL);
}

static void test_chunk_sizes(struct kunit *test)
{
	const phys_addr_t at = SZ_16M;
	static const struct {
		phys_addr_t offset;
		size_t size;
		size_t chunk;
		bool good;
	} cases[] = {
		{ 0, SZ_8M, PAGE_SIZE, true },
		{ 0, SZ_8M, SZ_64K, true },
		{ 0, SZ_8M, SZ_8M, true },
		{ 0, SZ_8M, 0, false },
		{ 0, SZ_8M, 1, false },
		{ 0, SZ_8M, PAGE_SIZE / 2, false },
		{ 0, SZ_8M, PAGE_SIZE + 1, false },
		{ 0, SZ_8M, PAGE_SIZE * 3, false },
		{ 0, SZ_8M, SZ_16M, false },
		/* One fits in, but not aligned */
		{ SZ_2M, SZ_8M, SZ_8M, false },
		{ SZ_2M, SZ_8M, SZ_4M, true },
		{ 0, 0, PAGE_SIZE, false },
	};
	struct chunk_heap *heap;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		heap = chunk_heap_create(test->priv, NULL, at + cases[i].offset,
					 cases[i].size, cases[i].chunk);
		if (cases[i].good)
			KUNIT_EXPECT_NOT_ERR_OR_NULL(test, heap);
		else
			KUNIT_EXPECT_PTR_EQ(test, heap, ERR_PTR(-EINVAL));
	}
}

/* A device that has the heaps, for all areas of a test */
static int chunk_heap_test_init(struct kunit *test)
{
	test->priv = kunit_device_register(test, "kunit-chunks");
	return PTR_ERR_OR_ZERO(test->priv);
}

static struct kunit_case chunk_heap_cases[] = {
	KUNIT_CASE(test_free_area_is_one_run),
	KUNIT_CASE(test_runs_go_around_pins),
	KUNIT_CASE(test_scattered_pins),
	KUNIT_CASE(test_single_chunks),
	KUNIT_CASE(test_kept_comes_first),
	KUNIT_CASE(test_failure_gives_all_back),
	KUNIT_CASE(test_busy_for_a_moment),
	KUNIT_CASE(test_killed),
	KUNIT_CASE(test_chunk_sizes),
	{}
};

static struct kunit_suite chunk_heap_suite = {
	.name = "dma-heap-chunk",
	.init = chunk_heap_test_init,
	.test_cases = chunk_heap_cases,
};

kunit_test_suite(chunk_heap_suite);
