// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of what is kept of CMA areas: who gets it, when it is zero, when it
 * goes back, and how small requests share blocks
 */

#include <kunit/static_stub.h>
#include <kunit/test-bug.h>
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/cma.h>
#include <linux/dma-map-ops.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "../heap-cma.h"
#include "../heap-helpers.h"
#include "internals.h"

#define FAKE_ORDER	10
#define FAKE_PAGES	BIT(FAKE_ORDER)

/* As heap-cma.c has them */
#define STEP		(SZ_128K / PAGE_SIZE)
#define CLEAR_STEP	max(1UL, SZ_16K / PAGE_SIZE)
#define BLOCK		(SZ_256K / PAGE_SIZE)
#define SMALL		(BLOCK / 4)

#define DIRT		0x5a

/* In place of a CMA area: real pages, of which those in @taken are somebody's */
struct fake_cma {
	struct kunit *test;
	struct page *pages;
	DECLARE_BITMAP(taken, FAKE_PAGES);
	unsigned int calls;
	unsigned int wakes;
};

static struct page *fake_alloc_pages(struct cma *cma, unsigned long nr_pages,
				     unsigned int align_order, bool ask)
{
	struct fake_cma *fake = (struct fake_cma *)cma;
	unsigned long first;

	fake->calls++;
	first = bitmap_find_next_zero_area(fake->taken, FAKE_PAGES, 0, nr_pages,
					   (1UL << align_order) - 1);
	if (first >= FAKE_PAGES)
		return NULL;

	bitmap_set(fake->taken, first, nr_pages);
	return fake->pages + first;
}

static void fake_release_pages(struct cma *cma, struct page *page,
			       unsigned long nr_pages)
{
	struct fake_cma *fake = (struct fake_cma *)cma;
	unsigned long first = page - fake->pages;

	KUNIT_ASSERT_LE(fake->test, first + nr_pages, FAKE_PAGES);
	KUNIT_EXPECT_GE(fake->test,
			find_next_zero_bit(fake->taken, FAKE_PAGES, first),
			first + nr_pages);
	bitmap_clear(fake->taken, first, nr_pages);
}

/*
 * Whatever the kernel was told, and longer than any test lasts, however busy the
 * machine is
 */
static unsigned int fake_keep_ms(void)
{
	return 3600 * MSEC_PER_SEC;
}

/* Nobody looks after what is kept but the test */
static void fake_wake(struct heap_cma *area)
{
	struct fake_cma *fake = kunit_get_current_test()->priv;

	fake->wakes++;
}

static void fake_free_area(void *pages)
{
	__free_pages(pages, FAKE_ORDER);
}

static void fake_free_object(void *area)
{
	kfree(area);
}

/* The area and its memory, all free, until the test ends */
static struct heap_cma *fake_area(struct kunit *test, bool keeps)
{
	struct fake_cma *fake = kunit_kzalloc(test, sizeof(*fake), GFP_KERNEL);
	struct heap_cma *area;

	KUNIT_ASSERT_NOT_NULL(test, fake);
	test->priv = fake;
	fake->test = test;
	fake->pages = alloc_pages(GFP_KERNEL, FAKE_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, fake->pages);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, fake_free_area,
						  fake->pages));

	area = heap_cma_create((struct cma *)fake, keeps);
	KUNIT_ASSERT_NOT_NULL(test, area);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, fake_free_object, area));

	kunit_activate_static_stub(test, heap_cma_keep_ms, fake_keep_ms);
	kunit_activate_static_stub(test, heap_cma_alloc_pages, fake_alloc_pages);
	kunit_activate_static_stub(test, heap_cma_release_pages,
				   fake_release_pages);
	kunit_activate_static_stub(test, heap_cma_wake, fake_wake);
	return area;
}

static unsigned int fake_calls(struct kunit *test)
{
	return ((struct fake_cma *)test->priv)->calls;
}

static unsigned long fake_taken(struct kunit *test)
{
	struct fake_cma *fake = test->priv;

	return bitmap_weight(fake->taken, FAKE_PAGES);
}

/* Expects that all can go back, and has it do so */
static void expect_whole(struct kunit *test, struct heap_cma *area)
{
	heap_cma_give_back(area, FAKE_PAGES);
	KUNIT_EXPECT_EQ(test, heap_cma_kept(area), 0);
	KUNIT_EXPECT_EQ(test, fake_taken(test), 0);
}

/* The first of the pages that has a byte that is not @byte, or all of them */
static unsigned long filled(const struct heap_run *run, u8 byte)
{
	unsigned long i;
	void *found;
	u8 *mem;

	for (i = 0; i < run->nr_pages; i++) {
		mem = kmap_local_page(run->page + i);
		found = memchr_inv(mem, byte, PAGE_SIZE);
		kunmap_local(mem);
		if (found)
			break;
	}
	return i;
}

static void fill(const struct heap_run *run, u8 byte)
{
	unsigned long i;
	u8 *mem;

	for (i = 0; i < run->nr_pages; i++) {
		mem = kmap_local_page(run->page + i);
		memset(mem, byte, PAGE_SIZE);
		kunmap_local(mem);
	}
}

static void free_run(struct heap_run *run)
{
	LIST_HEAD(runs);

	list_add(&run->node, &runs);
	heap_cma_free(&runs);
}

static int clear_run(struct heap_run *run)
{
	LIST_HEAD(runs);
	int ret;

	list_add(&run->node, &runs);
	ret = heap_cma_clear(&runs);
	list_del(&run->node);
	return ret;
}

/* All of it is zero before somebody has it */
static void clear_and_free_run(struct kunit *test, struct heap_run *run)
{
	KUNIT_EXPECT_EQ(test, clear_run(run), 0);
	KUNIT_EXPECT_EQ(test, filled(run, 0), run->nr_pages);
	free_run(run);
}

/* A run as a buffer's user left it; it is kept */
static struct heap_run *used_run(struct kunit *test, struct heap_cma *area,
				 unsigned long nr)
{
	struct heap_run *run = heap_cma_alloc_run(area, nr, 0);

	KUNIT_ASSERT_NOT_NULL(test, run);
	KUNIT_EXPECT_EQ(test, run->nr_pages, nr);
	fill(run, DIRT);
	free_run(run);
	return run;
}

static void test_taken_again(struct kunit *test)
{
	struct heap_cma *area = fake_area(test, true);
	struct heap_run *run, *used = used_run(test, area, 100);

	KUNIT_EXPECT_EQ(test, heap_cma_kept(area), 100);
	KUNIT_EXPECT_EQ(test, fake_taken(test), 100);
	/* Not for more, not for less, not for what is aligned better */
	used->page++;
	KUNIT_EXPECT_NULL(test, heap_cma_take(area, 100, 100, 1));
	used->page--;
	KUNIT_EXPECT_NULL(test, heap_cma_take(area, 101, 101, 0));
	KUNIT_EXPECT_NULL(test, heap_cma_take(area, 99, 99, 0));

	run = heap_cma_alloc_run(area, 100, 0);
	KUNIT_ASSERT_PTR_EQ(test, run, used);
	KUNIT_EXPECT_EQ(test, heap_cma_kept(area), 0);
	KUNIT_EXPECT_EQ(test, fake_calls(test), 1);
	free_run(run);
	expect_whole(test, area);
}

/* That it was zero for one user says nothing once he had it */
static void test_dirty_again(struct kunit *test)
{
	struct heap_cma *area = fake_area(test, true);
	struct heap_run *run;

	used_run(test, area, 100);
	while (heap_cma_clear_step(area))
		;
	run = used_run(test, area, 100);
	KUNIT_EXPECT_EQ(test, fake_calls(test), 1);

	KUNIT_ASSERT_PTR_EQ(test, heap_cma_alloc_run(area, 100, 0), run);
	clear_and_free_run(test, run);
	expect_whole(test, area);
}

/* Whoever takes a run before all of it is zero has to zero no more than the rest */
static void test_zero_by_steps(struct kunit *test)
{
	struct heap_cma *area = fake_area(test, true);
	unsigned long nr = 2 * CLEAR_STEP + 1, steps;
	struct heap_run *run;

	for (steps = 0; steps <= 3; steps++) {
		unsigned long i, zero = min(steps * CLEAR_STEP, nr);

		used_run(test, area, nr);
		for (i = 0; i < steps; i++)
			KUNIT_EXPECT_TRUE(test, heap_cma_clear_step(area));
		run = heap_cma_alloc_run(area, nr, 0);
		KUNIT_ASSERT_NOT_NULL(test, run);
		KUNIT_EXPECT_EQ(test, run->cleared, zero);
		KUNIT_EXPECT_EQ(test, filled(run, 0), zero);
		clear_and_free_run(test, run);
		heap_cma_give_back(area, FAKE_PAGES);
	}
	KUNIT_EXPECT_FALSE(test, heap_cma_clear_step(area));
	expect_whole(test, area);
}

static void test_killed(struct kunit *test)
{
	struct heap_cma *area = fake_area(test, true);
	unsigned int calls;
	struct heap_run *run;

	used_run(test, area, 100);
	run = heap_cma_alloc_run(area, 100, 0);
	allow_signal(SIGKILL);
	send_sig(SIGKILL, current, 1);
	KUNIT_EXPECT_EQ(test, clear_run(run), -EINTR);
	free_run(run);

	/* Nor does anybody make room for one who will not use it */
	calls = fake_calls(test);
	KUNIT_EXPECT_NULL(test, heap_cma_alloc_run(area, FAKE_PAGES, 0));
	KUNIT_EXPECT_EQ(test, fake_calls(test) - calls, PMD_ORDER <= FAKE_ORDER);
	KUNIT_EXPECT_EQ(test, heap_cma_kept(area), 100);
	flush_signals(current);
	disallow_signal(SIGKILL);

	KUNIT_EXPECT_PTR_EQ(test, heap_cma_alloc_run(area, 100, 0), run);
	clear_and_free_run(test, run);
	expect_whole(test, area);
}

/* What is kept is in nobody's way */
static void test_room_is_made(struct kunit *test)
{
	struct heap_cma *area = fake_area(test, true);
	struct heap_run *run, *small;

	used_run(test, area, 300);
	while (heap_cma_clear_step(area))
		;
	used_run(test, area, 200);
	small = heap_cma_alloc(area, 1, 0);
	KUNIT_ASSERT_NOT_NULL(test, small);
	fill(small, DIRT);

	/* All but the one page */
	run = heap_cma_alloc_run(area, FAKE_PAGES / 2 + 300, 0);
	KUNIT_ASSERT_NULL(test, run);
	KUNIT_EXPECT_EQ(test, heap_cma_kept(area), 0);
	KUNIT_EXPECT_EQ(test, fake_taken(test), 1);
	KUNIT_EXPECT_EQ(test, filled(small, DIRT), 1);
	free_run(small);

	run = heap_cma_alloc_run(area, FAKE_PAGES, 0);
	KUNIT_ASSERT_NOT_NULL(test, run);
	free_run(run);
	expect_whole(test, area);
}

/* No more of it goes than is needed, and none for what can be done without */
static void test_little_is_given_back(struct kunit *test)
{
	struct heap_cma *area = fake_area(test, true);
	struct fake_cma *fake = test->priv;
	const unsigned long nr = 4 * STEP;
	struct heap_run *run, *small;

	used_run(test, area, nr);
	bitmap_set(fake->taken, nr, FAKE_PAGES - nr);
	run = heap_cma_alloc_run(area, STEP, 0);
	KUNIT_ASSERT_NOT_NULL(test, run);
	KUNIT_EXPECT_EQ(test, heap_cma_kept(area), nr - STEP);

	/* A block would need more than there is, the page does not */
	bitmap_clear(fake->taken, FAKE_PAGES - 1, 1);
	small = heap_cma_alloc(area, 1, 0);
	KUNIT_ASSERT_NOT_NULL(test, small);
	KUNIT_EXPECT_EQ(test, heap_cma_kept(area), nr - STEP);
	free_run(small);
	free_run(run);
	bitmap_clear(fake->taken, nr, FAKE_PAGES - 1 - nr);
	expect_whole(test, area);
}

/* What reclaim gets when it asks for a page */
static unsigned long reclaim(struct kunit *test, struct heap_cma *area)
{
	struct shrinker shrinker = { .private_data = area };
	struct shrink_control sc = { .nr_to_scan = 1 };
	unsigned long count = heap_cma_scan(&shrinker, &sc);

	if (count == SHRINK_STOP)
		count = 0;
	KUNIT_EXPECT_EQ(test, sc.nr_scanned, count);
	return count;
}

/* Who is in need has all, the thread that works ahead a run */
static void test_reclaimed(struct kunit *test)
{
	struct heap_cma *area = fake_area(test, true);

	used_run(test, area, 100);
	used_run(test, area, 50);
	used_run(test, area, 20);
	current->flags |= PF_KSWAPD;
	KUNIT_EXPECT_EQ(test, reclaim(test, area), 100);
	current->flags &= ~PF_KSWAPD;
	KUNIT_EXPECT_EQ(test, fake_taken(test), 70);
	KUNIT_EXPECT_EQ(test, reclaim(test, area), 70);
	KUNIT_EXPECT_EQ(test, reclaim(test, area), 0);
	expect_whole(test, area);
}

/* With pages of the area that are kept some others are, and go last */
static void test_spare_pages(struct kunit *test)
{
	const unsigned long most = FAKE_PAGES / 2 + FAKE_PAGES / 128;
	struct heap_cma *area = fake_area(test, true);
	bool some = false;
	unsigned long nr;

	KUNIT_EXPECT_FALSE(test, heap_cma_add_spare(area));
	used_run(test, area, FAKE_PAGES);
	while (heap_cma_add_spare(area))
		some = true;
	KUNIT_EXPECT_EQ(test, heap_cma_release_spare(area), 0);
	nr = reclaim(test, area);
	KUNIT_EXPECT_EQ(test, heap_cma_release_spare(area), 0);
	expect_whole(test, area);
	if (!some)
		kunit_skip(test, "no other memory is to be had freely");
	KUNIT_EXPECT_GT(test, nr, FAKE_PAGES);
	KUNIT_EXPECT_LE(test, nr, FAKE_PAGES + most);
}

static void test_kept_for_a_time(struct kunit *test)
{
	struct heap_cma *area = fake_area(test, true);
	struct heap_run *old = used_run(test, area, 100);
	struct fake_cma *fake = test->priv;

	/* Whoever comes while there is work to do need not wake anybody */
	KUNIT_EXPECT_EQ(test, fake->wakes, 1);
	used_run(test, area, 50);
	KUNIT_EXPECT_EQ(test, fake->wakes, 1);
	KUNIT_EXPECT_FALSE(test, heap_cma_expire_step(area));
	while (heap_cma_clear_step(area))
		;
	KUNIT_EXPECT_FALSE(test, heap_cma_expire_step(area));
	old->freed = jiffies - secs_to_jiffies(2 * 3600);
	while (heap_cma_expire_step(area))
		;
	KUNIT_EXPECT_EQ(test, heap_cma_kept(area), 50);
	KUNIT_EXPECT_EQ(test, fake_taken(test), 50);
	expect_whole(test, area);
}

/* As where cma_alloc() cannot ask for it */
static void test_nothing_is_kept(struct kunit *test)
{
	struct heap_cma *area = fake_area(test, false);
	struct heap_run *run;

	used_run(test, area, 100);
	KUNIT_EXPECT_EQ(test, fake_taken(test), 0);

	run = heap_cma_alloc(area, 1, 0);
	KUNIT_ASSERT_NOT_NULL(test, run);
	used_run(test, area, 100);
	KUNIT_EXPECT_EQ(test, fake_taken(test), BLOCK);
	free_run(run);
	KUNIT_EXPECT_EQ(test, fake_taken(test), 0);
	KUNIT_EXPECT_EQ(test, heap_cma_give_back(area, FAKE_PAGES), 0);
}

/* A new run, of which the first page is this one of the area */
static struct heap_run *run_at(struct kunit *test, struct heap_cma *area,
			       unsigned long nr, unsigned long first)
{
	struct heap_run *run = heap_cma_alloc_run(area, nr, 0);
	struct fake_cma *fake = test->priv;

	KUNIT_ASSERT_NOT_NULL(test, run);
	KUNIT_EXPECT_PTR_EQ(test, run->page, fake->pages + first);
	return run;
}

/* Room that fits is found also where it is not aligned to a PMD */
static void test_aligned_to_pmd(struct kunit *test)
{
	struct heap_cma *area = fake_area(test, false);
	const unsigned long pmd = 1UL << PMD_ORDER;
	struct fake_cma *fake = test->priv;
	struct heap_run *run;

	if (2 * pmd > FAKE_PAGES)
		kunit_skip(test, "a PMD maps %lu pages", pmd);

	bitmap_set(fake->taken, 0, 1);
	run = run_at(test, area, pmd, pmd);
	free_run(run);

	/* Not if that leaves gaps in which nothing fits */
	run = run_at(test, area, pmd + pmd / 4, 1);
	free_run(run);

	bitmap_set(fake->taken, FAKE_PAGES - 1, 1);
	run = run_at(test, area, pmd, 1);
	free_run(run);
	KUNIT_EXPECT_EQ(test, fake_taken(test), 2);
}

/* Nothing that is kept goes for the sake of a PMD */
static void test_pmd_is_not_asked_for(struct kunit *test)
{
	struct heap_cma *area = fake_area(test, true);
	const unsigned long pmd = 1UL << PMD_ORDER;
	struct fake_cma *fake = test->priv;
	struct heap_run *run;

	if (2 * pmd > FAKE_PAGES)
		kunit_skip(test, "a PMD maps %lu pages", pmd);

	used_run(test, area, 100);
	bitmap_set(fake->taken, FAKE_PAGES - 1, 1);
	run = run_at(test, area, pmd, 100);
	KUNIT_EXPECT_EQ(test, heap_cma_kept(area), 100);
	free_run(run);
	bitmap_clear(fake->taken, FAKE_PAGES - 1, 1);
	expect_whole(test, area);
}

/* Any sizes, in any order; nobody has what another has */
static void test_small_share(struct kunit *test)
{
	struct heap_cma *area = fake_area(test, true);
	struct heap_run *runs[32] = { };
	u32 seed = get_random_u32();
	struct rnd_state rnd;
	int i, n;

	kunit_info(test, "seed %#x", seed);
	prandom_seed_state(&rnd, seed);
	for (n = 0; n < 2000; n++) {
		i = prandom_u32_state(&rnd) % ARRAY_SIZE(runs);
		if (runs[i]) {
			KUNIT_EXPECT_EQ(test, filled(runs[i], i),
					runs[i]->nr_pages);
			fill(runs[i], DIRT);
			free_run(runs[i]);
			runs[i] = NULL;
			continue;
		}
		if (n % 50 == 0)
			heap_cma_give_back(area, FAKE_PAGES);
		runs[i] = heap_cma_alloc(area,
					 1 + prandom_u32_state(&rnd) % SMALL,
					 prandom_u32_state(&rnd) % 5);
		KUNIT_ASSERT_NOT_NULL(test, runs[i]);
		KUNIT_EXPECT_EQ(test, clear_run(runs[i]), 0);
		fill(runs[i], i);
	}
	for (i = 0; i < ARRAY_SIZE(runs); i++) {
		if (runs[i])
			free_run(runs[i]);
	}
	expect_whole(test, area);
}

static void test_blocks_are_few(struct kunit *test)
{
	struct heap_cma *area = fake_area(test, true);
	struct heap_run *runs[BLOCK + 1];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(runs); i++) {
		runs[i] = heap_cma_alloc(area, 1, 0);
		KUNIT_ASSERT_NOT_NULL(test, runs[i]);
	}
	KUNIT_EXPECT_EQ(test, fake_calls(test), 2);
	KUNIT_EXPECT_EQ(test, fake_taken(test), 2 * BLOCK);

	/* The first to come back is the next to be had */
	free_run(runs[0]);
	runs[0] = heap_cma_alloc(area, 1, 0);
	KUNIT_EXPECT_EQ(test, fake_calls(test), 2);
	for (i = 0; i < ARRAY_SIZE(runs); i++)
		free_run(runs[i]);

	/* A block is kept like any run */
	KUNIT_EXPECT_EQ(test, heap_cma_kept(area), 2 * BLOCK);
	KUNIT_EXPECT_FALSE(test, heap_cma_clear_step(area));
	runs[0] = heap_cma_alloc(area, 1, 0);
	KUNIT_EXPECT_EQ(test, fake_calls(test), 2);
	free_run(runs[0]);
	expect_whole(test, area);
}

/* Where a block has no room, what was asked for may have */
static void test_no_room_for_block(struct kunit *test)
{
	struct heap_cma *area = fake_area(test, true);
	struct fake_cma *fake = test->priv;
	struct heap_run *run;

	bitmap_set(fake->taken, 0, FAKE_PAGES - SMALL);
	run = heap_cma_alloc(area, SMALL, 0);
	KUNIT_ASSERT_NOT_NULL(test, run);
	KUNIT_EXPECT_NULL(test, heap_cma_alloc(area, 1, 0));
	free_run(run);
	bitmap_clear(fake->taken, 0, FAKE_PAGES - SMALL);
	expect_whole(test, area);
}

/* Runs that follow each other are one extent, and come back as one run */
static void test_runs_of_buffer(struct kunit *test)
{
	static const unsigned int sizes[] = { 10, 20, 30, 40 };
	struct heap_cma *area = fake_area(test, true);
	struct heap_run *run, *gap = NULL;
	struct heap_buffer *buffer;
	LIST_HEAD(runs);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		run = heap_cma_alloc_run(area, sizes[i], 0);
		KUNIT_ASSERT_NOT_NULL(test, run);
		/* Not in their order */
		if (i == 2)
			gap = run;
		else
			list_add(&run->node, &runs);
	}

	buffer = heap_cma_create_buffer(NULL, &runs);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, buffer);
	KUNIT_EXPECT_TRUE(test, list_empty(&runs));
	KUNIT_EXPECT_EQ(test, buffer->size, 70 * PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, buffer->nr_extents, 2);
	KUNIT_EXPECT_EQ(test, buffer->extents[0].size, 30 * PAGE_SIZE);
	KUNIT_EXPECT_LT(test, buffer->extents[0].start,
			buffer->extents[1].start);
	heap_buffer_destroy(buffer);

	KUNIT_EXPECT_EQ(test, heap_cma_kept(area), 70);
	run = heap_cma_take(area, 30, 30, 0);
	KUNIT_EXPECT_NOT_NULL(test, run);
	free_run(run);
	free_run(gap);
	expect_whole(test, area);
}

/* The longest run that the area gives */
static struct heap_run *longest_run(struct heap_cma *area, struct cma *cma)
{
	unsigned long nr = cma_get_size(cma) >> PAGE_SHIFT;
	struct heap_run *run = NULL;

	for (; nr && !run; nr /= 2)
		run = heap_cma_alloc_run(area, nr, 0);
	return run;
}

/* A driver that calls cma_alloc() has all that is kept */
static void test_others_come_first(struct kunit *test)
{
	struct cma *cma = dev_get_cma_area(NULL);
	unsigned long nr;
	struct heap_cma *area;
	struct heap_run *run;
	struct page *page;

	if (!cma)
		kunit_skip(test, "there is no default CMA area");

	area = heap_cma_get(cma);
	KUNIT_ASSERT_NOT_NULL(test, area);
	run = longest_run(area, cma);
	KUNIT_ASSERT_NOT_NULL(test, run);
	nr = run->nr_pages;
	free_run(run);
	KUNIT_EXPECT_EQ(test, heap_cma_kept(area), heap_cma_keep_ms() ? nr : 0);
	page = cma_alloc(cma, nr, 0, true);
	KUNIT_ASSERT_NOT_NULL(test, page);
	/* Unless there was room for both */
	if (2 * nr > cma_get_size(cma) >> PAGE_SHIFT)
		KUNIT_EXPECT_EQ(test, heap_cma_kept(area), 0);
	cma_release(cma, page, nr);
}

static struct kunit_case heap_cma_cases[] = {
	KUNIT_CASE(test_taken_again),
	KUNIT_CASE(test_dirty_again),
	KUNIT_CASE(test_zero_by_steps),
	KUNIT_CASE(test_killed),
	KUNIT_CASE(test_room_is_made),
	KUNIT_CASE(test_little_is_given_back),
	KUNIT_CASE(test_reclaimed),
	KUNIT_CASE(test_spare_pages),
	KUNIT_CASE(test_kept_for_a_time),
	KUNIT_CASE(test_nothing_is_kept),
	KUNIT_CASE(test_aligned_to_pmd),
	KUNIT_CASE(test_pmd_is_not_asked_for),
	KUNIT_CASE(test_small_share),
	KUNIT_CASE(test_blocks_are_few),
	KUNIT_CASE(test_no_room_for_block),
	KUNIT_CASE(test_runs_of_buffer),
	KUNIT_CASE(test_others_come_first),
	{}
};

static struct kunit_suite heap_cma_suite = {
	.name = "dma-heap-cma",
	.test_cases = heap_cma_cases,
};

kunit_test_suite(heap_cma_suite);
