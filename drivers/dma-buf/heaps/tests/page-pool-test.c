// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the pools of zeroed pages: nothing but zeroes comes out,
 * whatever was interrupted, and everything goes back
 */

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/topology.h>

#include "../heap-helpers.h"
#include "../page-pool.h"
#include "internals.h"

#define TEST_ORDER	2
#define TEST_SIZE	(PAGE_SIZE << TEST_ORDER)
/* What an event may take on a slow machine */
#define TEST_PATIENCE	(60 * HZ)

/*
 * What the pool's thread and callbacks do, as the test says; a pool has no
 * data of its own for them, and there is one test at a time
 */
static struct test_pool {
	struct heap_page_pool *pool;
	struct heap_pool_limits limits;
	struct heap_pool_watermarks watermarks[NR_PAGE_ORDERS];
	/* The one that is not the pool's thread */
	struct task_struct *task;
	/* The thread waits, before it zeroes */
	bool hold;
	struct completion held;
	struct completion proceed;
	/* To zero fails for the test after so many blocks, -1: for ever well */
	int clear_well;
	bool prepare_fails;
	atomic_t prepared;
	bool restore_fails;
	atomic_t restored;
	struct completion given_back;
} tp;

static int test_prepare(struct page *page)
{
	atomic_inc(&tp.prepared);
	return READ_ONCE(tp.prepare_fails) ? -EIO : 0;
}

static int test_clear(struct page *page)
{
	if (current != tp.task && READ_ONCE(tp.hold)) {
		complete(&tp.held);
		wait_for_completion(&tp.proceed);
	}
	if (current == tp.task && tp.clear_well >= 0 && !tp.clear_well--)
		return -EINTR;

	return heap_clear_pages(page, compound_nr(page));
}

static int test_restore(struct page *page)
{
	if (tp.restore_fails)
		return -EIO;

	atomic_inc(&tp.restored);
	complete(&tp.given_back);
	return 0;
}

static const struct heap_pool_memory test_memory = {
	.min_order = TEST_ORDER - 1,
	.prepare = test_prepare,
	.clear = test_clear,
	.restore = test_restore,
};

/* A block that somebody has written to */
static struct page *test_used_block(struct kunit *test, unsigned int order)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_COMP, order);

	KUNIT_ASSERT_NOT_NULL(test, page);
	memset(page_address(page), 0xa5, page_size(page));
	return page;
}

/* Puts @nr such blocks of TEST_ORDER into the pool */
static void test_put(struct kunit *test, unsigned int nr)
{
	LIST_HEAD(blocks);

	while (nr--)
		list_add(&test_used_block(test, TEST_ORDER)->lru, &blocks);
	heap_page_pool_put(tp.pool, &blocks);
	KUNIT_EXPECT_TRUE(test, list_empty(&blocks));
}

/* Frees blocks that were taken, and expects that they are zero */
static void test_free_zeroed(struct kunit *test, struct list_head *blocks)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, blocks, lru) {
		list_del(&page->lru);
		KUNIT_EXPECT_NULL(test, memchr_inv(page_address(page), 0,
						   page_size(page)));
		__free_pages(page, compound_order(page));
	}
}

/* Takes up to @most, and expects that they are @nr, and zero */
static void test_take_most(struct kunit *test, unsigned long most, int nr)
{
	LIST_HEAD(blocks);

	KUNIT_EXPECT_EQ(test, heap_page_pool_take(tp.pool, TEST_ORDER, most,
						  GFP_KERNEL, &blocks), nr);
	KUNIT_EXPECT_EQ(test, list_count_nodes(&blocks), nr);
	test_free_zeroed(test, &blocks);
}

/* Takes all there are, at most 64, and expects that they are @nr, and zero */
static void test_take(struct kunit *test, int nr)
{
	test_take_most(test, 64, nr);
}

/*
 * Has the thread wait with a block in its hands, so that it leaves dirty what
 * is put into the pool from now on
 */
static void test_hold(struct kunit *test)
{
	WRITE_ONCE(tp.hold, true);
	test_put(test, 1);
	KUNIT_ASSERT_NE(test, wait_for_completion_timeout(&tp.held,
							  TEST_PATIENCE), 0);
}

static void test_proceed(void)
{
	WRITE_ONCE(tp.hold, false);
	complete_all(&tp.proceed);
}

static void test_zeroed_in_background(struct kunit *test)
{
	test_put(test, 3);
	heap_pool_settle(tp.pool);
	/* Nothing is left for the one who takes them */
	tp.clear_well = 0;
	test_take(test, 3);
	test_take(test, 0);
}

static void test_taken_at_once(struct kunit *test)
{
	test_hold(test);
	test_put(test, 3);
	test_take(test, 3);
	/* What the thread is about to zero is nobody's yet */
	test_take(test, 0);
	test_proceed();
	heap_pool_settle(tp.pool);
	test_take(test, 1);
}

/* A process that is killed leaves what it did not get to */
static void test_killed(struct kunit *test)
{
	LIST_HEAD(blocks);

	test_hold(test);
	test_put(test, 5);
	tp.clear_well = 2;
	KUNIT_EXPECT_EQ(test, heap_page_pool_take(tp.pool, TEST_ORDER, 5,
						  GFP_KERNEL, &blocks), -EINTR);
	KUNIT_EXPECT_EQ(test, list_count_nodes(&blocks), 2);
	test_free_zeroed(test, &blocks);

	tp.clear_well = -1;
	test_take(test, 3);
	test_proceed();
}

/* With the thread in the middle of its work */
static void test_given_back_when_asked(struct kunit *test)
{
	struct page *page = test_used_block(test, TEST_ORDER);
	enum zone_type zone = page_zonenum(page);
	unsigned long block = 1 << TEST_ORDER;
	int nid = page_to_nid(page);

	heap_page_pool_put_one(tp.pool, page);
	heap_pool_settle(tp.pool);
	/* Who needs memory of lower zones has nothing from this */
	if (zone)
		KUNIT_EXPECT_EQ(test, heap_pool_give_back(tp.pool, nid, 1,
							  zone - 1), 0);
	KUNIT_EXPECT_EQ(test, heap_pool_give_back(tp.pool, nid, 1, zone),
			block);

	test_hold(test);
	test_put(test, 4);
	KUNIT_EXPECT_EQ(test, heap_page_pool_drain(tp.pool), 4 * block);
	KUNIT_EXPECT_EQ(test, heap_page_pool_drain(tp.pool), 0);
	test_proceed();
	heap_pool_settle(tp.pool);
	KUNIT_EXPECT_EQ(test, heap_page_pool_drain(tp.pool), block);
	KUNIT_EXPECT_EQ(test, atomic_read(&tp.restored), 6);
}

/* Zeroes took work, so they go last */
static void test_dirty_goes_first(struct kunit *test)
{
	test_put(test, 1);
	heap_pool_settle(tp.pool);
	test_hold(test);
	test_put(test, 1);
	heap_pool_give_back(tp.pool, numa_mem_id(), 1, MAX_NR_ZONES);
	/* There is nothing to zero for the one who takes the other */
	tp.clear_well = 0;
	test_take(test, 1);
	test_proceed();
}

static void test_limits(struct kunit *test)
{
	/* Too small to be kept, and of a size that is */
	heap_page_pool_put_one(tp.pool, test_used_block(test, 0));
	KUNIT_EXPECT_EQ(test, atomic_read(&tp.restored), 1);
	test_put(test, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&tp.restored), 1);

	tp.limits.percent = 0;
	test_put(test, 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&tp.restored), 3);

	/* What is there goes too */
	heap_page_pool_limit(tp.pool);
	heap_pool_settle(tp.pool);
	KUNIT_EXPECT_EQ(test, atomic_read(&tp.restored), 4);
	test_take(test, 0);
}

static void test_idle_goes_by_itself(struct kunit *test)
{
	int i;

	tp.limits.idle_ms = 20;
	test_put(test, 3);
	for (i = 0; i < 3; i++)
		KUNIT_ASSERT_NE(test,
				wait_for_completion_timeout(&tp.given_back,
							    TEST_PATIENCE), 0);
	test_take(test, 0);
}

/* Waits until the pool is as these want it, as far as that is possible */
static void test_watermarks(unsigned long low, unsigned long fill,
			    unsigned long high)
{
	tp.watermarks[TEST_ORDER] = (struct heap_pool_watermarks) {
		.low = low,
		.fill = fill,
		.high = high,
	};
	heap_page_pool_limit(tp.pool);
	heap_pool_settle(tp.pool);
}

static void test_filled_when_low(struct kunit *test)
{
	test_watermarks(2, 6, 8);
	KUNIT_EXPECT_GE(test, atomic_read(&tp.prepared), 6);
	/* Nothing is left for the one who takes them */
	tp.clear_well = 0;
	test_take_most(test, 4, 4);
	/* There are just enough still */
	heap_pool_settle(tp.pool);
	test_take(test, 2);
	/* Now there are not */
	heap_pool_settle(tp.pool);
	test_take(test, 6);

	tp.clear_well = -1;
	heap_pool_settle(tp.pool);
	test_watermarks(0, 0, 0);
	test_take(test, 6);
	heap_pool_settle(tp.pool);
	test_take(test, 0);
}

static void test_above_high_goes_at_once(struct kunit *test)
{
	test_watermarks(0, 0, 3);
	test_put(test, 5);
	heap_pool_settle(tp.pool);
	KUNIT_EXPECT_EQ(test, atomic_read(&tp.restored), 2);

	/* What is zeroed goes too if there is nothing else */
	test_watermarks(0, 0, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&tp.restored), 4);
	test_take(test, 1);
}

static void test_filled_stays_if_idle(struct kunit *test)
{
	int i;

	tp.limits.idle_ms = 20;
	test_watermarks(1, 2, 8);
	test_put(test, 3);
	for (i = 0; i < 3; i++)
		KUNIT_ASSERT_NE(test,
				wait_for_completion_timeout(&tp.given_back,
							    TEST_PATIENCE), 0);
	heap_pool_settle(tp.pool);
	KUNIT_EXPECT_EQ(test, atomic_read(&tp.restored), 3);
	test_take(test, 2);
}

/* Who asked for the memory is to have it; a look comes later */
static void test_not_filled_after_reclaim(struct kunit *test)
{
	unsigned long block = 1 << TEST_ORDER;

	test_watermarks(2, 4, 4);
	KUNIT_EXPECT_EQ(test, heap_pool_give_back(tp.pool, numa_mem_id(),
						  ULONG_MAX, MAX_NR_ZONES),
			4 * block);
	heap_pool_settle(tp.pool);
	test_take(test, 0);

	heap_page_pool_limit(tp.pool);
	heap_pool_settle(tp.pool);
	test_take(test, 4);
}

static void test_not_filled_above_limit(struct kunit *test)
{
	tp.limits.percent = 0;
	test_watermarks(2, 4, 4);
	test_take(test, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&tp.prepared), 0);
}

static void test_filling_fails(struct kunit *test)
{
	WRITE_ONCE(tp.prepare_fails, true);
	test_watermarks(2, 4, 4);
	KUNIT_EXPECT_GE(test, atomic_read(&tp.prepared), 1);
	/* Nothing is lost */
	KUNIT_EXPECT_EQ(test, atomic_read(&tp.restored),
			atomic_read(&tp.prepared));
	test_take(test, 0);
}

/* The pool goes while the thread fills it */
static void test_filling_interrupted(struct kunit *test)
{
	tp.watermarks[TEST_ORDER].low = 256;
	tp.watermarks[TEST_ORDER].fill = 256;
	tp.watermarks[TEST_ORDER].high = 256;
	heap_page_pool_limit(tp.pool);
}

/* Memory that cannot be made ordinary again is not given to anybody */
static void test_not_restored(struct kunit *test)
{
	struct page *page = test_used_block(test, TEST_ORDER);

	heap_page_pool_put_one(tp.pool, page);
	heap_pool_settle(tp.pool);
	tp.restore_fails = true;
	KUNIT_EXPECT_EQ(test, heap_page_pool_drain(tp.pool), 1 << TEST_ORDER);
	KUNIT_EXPECT_EQ(test, page_count(page), 1);
	__free_pages(page, TEST_ORDER);
}

static int page_pool_test_init(struct kunit *test)
{
	memset(&tp, 0, sizeof(tp));
	tp.limits.percent = 25;
	tp.limits.idle_ms = UINT_MAX;
	tp.task = current;
	tp.clear_well = -1;
	init_completion(&tp.held);
	init_completion(&tp.proceed);
	init_completion(&tp.given_back);
	/* All memory is from one node */
	set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id()));
	tp.pool = heap_page_pool_create("kunit", &test_memory, &tp.limits,
					tp.watermarks);
	return tp.pool ? 0 : -ENOMEM;
}

/* With blocks in the pool, and if a test failed, a thread that waits */
static void page_pool_test_exit(struct kunit *test)
{
	test_proceed();
	heap_page_pool_destroy(tp.pool);
}

static struct kunit_case page_pool_cases[] = {
	KUNIT_CASE(test_zeroed_in_background),
	KUNIT_CASE(test_taken_at_once),
	KUNIT_CASE(test_killed),
	KUNIT_CASE(test_given_back_when_asked),
	KUNIT_CASE(test_dirty_goes_first),
	KUNIT_CASE(test_limits),
	KUNIT_CASE(test_idle_goes_by_itself),
	KUNIT_CASE(test_filled_when_low),
	KUNIT_CASE(test_above_high_goes_at_once),
	KUNIT_CASE(test_filled_stays_if_idle),
	KUNIT_CASE(test_not_filled_after_reclaim),
	KUNIT_CASE(test_not_filled_above_limit),
	KUNIT_CASE(test_filling_fails),
	KUNIT_CASE(test_filling_interrupted),
	KUNIT_CASE(test_not_restored),
	{}
};

static struct kunit_suite page_pool_suite = {
	.name = "dma-heap-pool",
	.init = page_pool_test_init,
	.exit = page_pool_test_exit,
	.test_cases = page_pool_cases,
};

kunit_test_suite(page_pool_suite);
