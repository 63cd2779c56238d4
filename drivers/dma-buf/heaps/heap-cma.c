// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of CMA areas for buffers: kept for a while when a buffer is done with
 * it, and zeroed meanwhile
 *
 * To allocate a run of pages from an area, and to zero it, costs a thousand
 * times what it costs to make a buffer of it, and to free it is not cheap
 * either. Programs free and allocate frames of the same size all the time. So a
 * run that was freed is put on a list, a thread zeroes it when there is nothing
 * else to do, and the next request for so many pages has it. What nobody asked
 * for within cma_keep_ms goes back to the area.
 *
 * That must not be at the expense of others. What is kept counts as reclaimable,
 * and a shrinker gives it back when memory is short. cma_alloc(), whoever calls
 * it, asks for it before it fails; where the kernel has no way to ask
 * (CMA_HAS_RECLAIMERS), nothing is kept, and no parameter says for how long.
 *
 * Runs are zeroed and given back in small steps under the area's lock, and are
 * on its lists all the while. Hence whoever needs memory takes what there is, a
 * run that is half zeroed, or gives back together with others, and waits for a
 * thread no longer than it takes to zero a step.
 *
 * A program that maps memory of an area needs page tables, which cannot be in the
 * area. But programs that could not have what was kept may have taken too much of
 * what there is elsewhere by the time that it is given back. So the thread sets
 * some pages aside that are not of the area, and they are given back last.
 *
 * Small requests share blocks, since it costs as much to allocate one page from
 * an area as to allocate many. A block is a run that lives as long as the last
 * buffer that has a part of it.
 */

#include <linux/bitmap.h>
#include <linux/cleanup.h>
#include <linux/cma.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/list_sort.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/pgtable.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/shrinker.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/swap.h>
#include <linux/vmstat.h>
#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include "heap-cma.h"
#include "heap-helpers.h"
#include "tests/internals.h"

/* So many pages are given back under one hold of the lock */
#define HEAP_CMA_STEP		max(1UL, SZ_128K / PAGE_SIZE)
/*
 * So many are zeroed, which takes about as long: whoever gives back may have to
 * wait for as many steps of the thread's as he takes himself
 */
#define HEAP_CMA_CLEAR_STEP	max(1UL, SZ_16K / PAGE_SIZE)

/* Spare pages are allocated in blocks of this order, fast, and freed fast */
#define HEAP_SPARE_ORDER	PAGE_ALLOC_COSTLY_ORDER

/* The size of a block, and of the largest request that shares one */
#define HEAP_BLOCK_ORDER	get_order(SZ_256K)
#define HEAP_BLOCK_PAGES	(SZ_256K / PAGE_SIZE)
#define HEAP_BLOCK_SMALL	(HEAP_BLOCK_PAGES / 4)

#ifdef CMA_HAS_RECLAIMERS
static unsigned int cma_keep_ms = 10 * MSEC_PER_SEC;
module_param(cma_keep_ms, uint, 0644);
MODULE_PARM_DESC(cma_keep_ms,
		 "how long freed memory of a CMA area is kept for the next buffer, in ms; 0: not at all (10000)");
#else
static const unsigned int cma_keep_ms;
#endif

/**
 * struct heap_cma - what is kept of a CMA area
 * @cma:	the area; never changes
 * @keeps:	others can ask for what is kept; never changes
 * @lock:	protects the lists, what is in them, @kept, @spares and @woken
 * @dirty:	runs that are kept and are to be zeroed, the newest first
 * @clean:	runs that are kept and zero, the newest first; and those that were
 *		blocks, of which each part is zeroed when it is handed out
 * @blocks:	those with room for one more page
 * @kept:	how many pages @dirty and @clean have together; who only wants to
 *		know has no lock
 * @spare:	blocks of HEAP_SPARE_ORDER pages that are not of the area
 * @spares:	how many; who only wants to know has no lock
 * @woken:	@work is about to begin
 * @work:	zeroes, gives back what was kept long enough, and has as many spare
 *		blocks as are due
 * @shrinker:	gives back when memory is short
 * @reclaimer:	gives back when cma_alloc() would fail
 * @node:	entry in heap_cmas
 */
struct heap_cma {
	struct cma *cma;
	bool keeps;
	spinlock_t lock;	/* taken before any lock of CMA */
	struct list_head dirty;
	struct list_head clean;
	struct list_head blocks;
	unsigned long kept;
	struct list_head spare;
	unsigned long spares;
	bool woken;
	struct kthread_delayed_work work;
	struct shrinker *shrinker;
#ifdef CMA_HAS_RECLAIMERS
	struct cma_reclaimer reclaimer;
#endif
	struct list_head node;
};

/**
 * struct heap_block - pages that small requests share
 * @node:	entry in &heap_cma.blocks, empty while it is in no list
 * @run:	the pages
 * @live:	how many of them buffers have
 * @used:	which of them buffers have, or were given back
 * @gone:	which of them were given back
 */
struct heap_block {
	struct list_head node;
	struct heap_run *run;
	unsigned int live;
	DECLARE_BITMAP(used, HEAP_BLOCK_PAGES);
	DECLARE_BITMAP(gone, HEAP_BLOCK_PAGES);
};

/* Protects heap_cmas, to which areas are added for good, and heap_cma_worker */
static DEFINE_MUTEX(heap_cmas_lock);
static LIST_HEAD(heap_cmas);
/* Of all areas; there from the first on that keeps memory */
static struct kthread_worker *heap_cma_worker;

/* How long memory is kept; 0 if it is not */
VISIBLE_IF_KUNIT unsigned int heap_cma_keep_ms(void)
{
	KUNIT_STATIC_STUB_REDIRECT(heap_cma_keep_ms);

	return READ_ONCE(cma_keep_ms);
}
EXPORT_SYMBOL_IF_KUNIT(heap_cma_keep_ms);

/*
 * CMA
 */

/*
 * With @ask, what is kept is given back if the area has nothing else, as far as
 * this kernel can ask. Without a warning: user space could fill the log with them.
 */
VISIBLE_IF_KUNIT struct page *
heap_cma_alloc_pages(struct cma *cma, unsigned long nr_pages,
		     unsigned int align_order, bool ask)
{
	KUNIT_STATIC_STUB_REDIRECT(heap_cma_alloc_pages, cma, nr_pages,
				   align_order, ask);

#ifdef CMA_HAS_RECLAIMERS
	if (!ask)
		return cma_try_alloc(cma, nr_pages, align_order, true);
#endif
	return cma_alloc(cma, nr_pages, align_order, true);
}
EXPORT_SYMBOL_IF_KUNIT(heap_cma_alloc_pages);

VISIBLE_IF_KUNIT void heap_cma_release_pages(struct cma *cma, struct page *page,
					     unsigned long nr_pages)
{
	KUNIT_STATIC_STUB_REDIRECT(heap_cma_release_pages, cma, page, nr_pages);

	cma_release(cma, page, nr_pages);
}
EXPORT_SYMBOL_IF_KUNIT(heap_cma_release_pages);

/*
 * Runs
 */

/* The page of @run that has this number */
static struct page *heap_run_page(const struct heap_run *run,
				  unsigned long number)
{
	/* Memory sections may have memory maps of their own */
	return pfn_to_page(page_to_pfn(run->page) + number);
}

/* A run without pages, for kfree(), or NULL */
static struct heap_run *heap_run_create(struct heap_cma *area)
{
	struct heap_run *run;

	run = kzalloc_obj(*run, HEAP_GFP);
	if (run)
		run->area = area;
	return run;
}

/* Counts @change more pages as kept, of those that @run is from */
static void heap_run_account(const struct heap_run *run, long change)
{
	struct heap_cma *area = run->area;

	lockdep_assert_held(&area->lock);

	WRITE_ONCE(area->kept, area->kept + change);
	mod_node_page_state(page_pgdat(run->page), NR_KERNEL_MISC_RECLAIMABLE,
			    change);
}

/* Gives the end of a run that is kept back; returns how many pages */
static unsigned long heap_run_shorten(struct heap_run *run)
{
	unsigned long nr = min(run->nr_pages, HEAP_CMA_STEP);

	lockdep_assert_held(&run->area->lock);

	heap_run_account(run, -nr);
	run->nr_pages -= nr;
	run->cleared = min(run->cleared, run->nr_pages);
	heap_cma_release_pages(run->area->cma,
			       heap_run_page(run, run->nr_pages), nr);
	if (!run->nr_pages) {
		list_del(&run->node);
		kfree(run);
	}
	return nr;
}

/*
 * What is kept
 */

/* The run that is given back next: one that is not zero, if there is any */
static struct heap_run *heap_cma_next(struct heap_cma *area)
{
	struct list_head *list = &area->dirty;

	lockdep_assert_held(&area->lock);

	if (list_empty(list))
		list = &area->clean;
	if (list_empty(list))
		return NULL;
	return list_last_entry(list, struct heap_run, node);
}

/* Gives some of what is kept back; returns how many pages */
static unsigned long heap_cma_release_step(struct heap_cma *area)
{
	struct heap_run *run;

	guard(spinlock)(&area->lock);

	run = heap_cma_next(area);
	return run ? heap_run_shorten(run) : 0;
}

/* Zeroes some of what was freed first; returns false if nothing is left to do */
VISIBLE_IF_KUNIT bool heap_cma_clear_step(struct heap_cma *area)
{
	struct heap_run *run;
	unsigned long end;

	guard(spinlock)(&area->lock);

	if (list_empty(&area->dirty))
		return false;

	run = list_last_entry(&area->dirty, struct heap_run, node);
	end = min(run->cleared + HEAP_CMA_CLEAR_STEP, run->nr_pages);
	while (run->cleared < end)
		clear_highpage(heap_run_page(run, run->cleared++));
	if (run->cleared == run->nr_pages)
		list_move(&run->node, &area->clean);
	return true;
}
EXPORT_SYMBOL_IF_KUNIT(heap_cma_clear_step);

/*
 * How many spare blocks there should be. Movable allocations check the watermark
 * with the free pages of CMA areas, and take these and others about equally. So
 * when reclaim begins only half a watermark of others may be free, while the
 * kernel's own allocations need a whole one. The other half is set aside; but not
 * more than half of what is kept, since there would be no more if nothing were.
 * To it comes 1/128 of what is kept: 1/512 for page tables (with pages of 4 KiB),
 * the rest for the lists of free pages that each CPU has.
 */
static unsigned long heap_cma_spares_due(struct heap_cma *area)
{
	struct heap_run *run = heap_cma_next(area);
	unsigned long low;

	if (!run)
		return 0;
	/* What fragmentation adds for a time (low_wmark_pages()) is left out */
	low = page_zone(run->page)->_watermark[WMARK_LOW];
	return (min(low, area->kept) / 2 + area->kept / 128) >> HEAP_SPARE_ORDER;
}

/* Whether less is free, apart from CMA areas, than reclaim strives for */
static bool heap_zone_is_short(struct zone *zone)
{
	return zone_page_state(zone, NR_FREE_PAGES) <
	       zone_page_state(zone, NR_FREE_CMA_PAGES) + high_wmark_pages(zone);
}

/* Counts @change more spare blocks, on the node of this one */
static void heap_cma_account_spare(struct heap_cma *area, struct page *page,
				   long change)
{
	lockdep_assert_held(&area->lock);

	WRITE_ONCE(area->spares, area->spares + change);
	mod_node_page_state(page_pgdat(page), NR_KERNEL_MISC_RECLAIMABLE,
			    change * (1L << HEAP_SPARE_ORDER));
}

/* The node on which a spare block is due, or NUMA_NO_NODE if none is */
static int heap_cma_spare_node(struct heap_cma *area)
{
	guard(spinlock)(&area->lock);

	if (area->spares >= heap_cma_spares_due(area))
		return NUMA_NO_NODE;
	return page_to_nid(heap_cma_next(area)->page);
}

/* Adds a spare block; returns false if none is due, or to be had freely */
VISIBLE_IF_KUNIT bool heap_cma_add_spare(struct heap_cma *area)
{
	int nid = heap_cma_spare_node(area);
	struct page *page;

	if (nid == NUMA_NO_NODE)
		return false;
	page = alloc_pages_node(nid, HEAP_GFP_FREELY(GFP_KERNEL),
				HEAP_SPARE_ORDER);
	if (!page)
		return false;

	guard(spinlock)(&area->lock);

	/* What is kept may have gone meanwhile */
	if (area->spares >= heap_cma_spares_due(area) ||
	    heap_zone_is_short(page_zone(page))) {
		__free_pages(page, HEAP_SPARE_ORDER);
		return false;
	}
	list_add(&page->lru, &area->spare);
	heap_cma_account_spare(area, page, 1);
	return true;
}
EXPORT_SYMBOL_IF_KUNIT(heap_cma_add_spare);

/* Gives a spare block back; returns how many pages, 0 if all are due */
VISIBLE_IF_KUNIT unsigned long heap_cma_release_spare(struct heap_cma *area)
{
	struct page *page;

	guard(spinlock)(&area->lock);

	if (area->spares <= heap_cma_spares_due(area))
		return 0;

	page = list_first_entry(&area->spare, struct page, lru);
	list_del(&page->lru);
	heap_cma_account_spare(area, page, -1);
	__free_pages(page, HEAP_SPARE_ORDER);
	return 1UL << HEAP_SPARE_ORDER;
}
EXPORT_SYMBOL_IF_KUNIT(heap_cma_release_spare);

/* In how many jiffies zeroed memory is due to go back; -1 if there is none */
static long heap_cma_time_left(struct heap_cma *area)
{
	struct heap_run *oldest;

	lockdep_assert_held(&area->lock);

	if (list_empty(&area->clean))
		return -1;

	oldest = list_last_entry(&area->clean, struct heap_run, node);
	return max(0L, (long)(oldest->freed - jiffies +
			      msecs_to_jiffies(heap_cma_keep_ms())));
}

/* Gives some of what is due back; returns false if nothing is */
VISIBLE_IF_KUNIT bool heap_cma_expire_step(struct heap_cma *area)
{
	guard(spinlock)(&area->lock);

	if (heap_cma_time_left(area))
		return false;

	heap_run_shorten(list_last_entry(&area->clean, struct heap_run, node));
	return true;
}
EXPORT_SYMBOL_IF_KUNIT(heap_cma_expire_step);

static void heap_cma_work(struct kthread_work *work)
{
	struct heap_cma *area = container_of(work, struct heap_cma, work.work);
	long left;

	spin_lock(&area->lock);
	area->woken = false;
	spin_unlock(&area->lock);

	while (heap_cma_add_spare(area))
		cond_resched();
	while (heap_cma_clear_step(area))
		cond_resched();
	while (heap_cma_expire_step(area))
		cond_resched();

	spin_lock(&area->lock);
	left = heap_cma_time_left(area);
	spin_unlock(&area->lock);
	/* Only now: when nothing is left this work may not come again */
	while (heap_cma_release_spare(area))
		cond_resched();
	if (left >= 0)
		kthread_queue_delayed_work(heap_cma_worker, &area->work,
					   max(left, 1L));
}

/*
 * Has the worker look after what is kept, but not at once: who frees several
 * buffers need not wake it for each
 */
VISIBLE_IF_KUNIT void heap_cma_wake(struct heap_cma *area)
{
	KUNIT_STATIC_STUB_REDIRECT(heap_cma_wake, area);

	kthread_mod_delayed_work(heap_cma_worker, &area->work, 1);
}
EXPORT_SYMBOL_IF_KUNIT(heap_cma_wake);

/*
 * Keeps a run that nobody uses any more, in this list of its area, or gives it
 * back where nothing may be kept
 */
static void heap_cma_keep(struct heap_run *run, struct list_head *list)
{
	struct heap_cma *area = run->area;
	bool keep = area->keeps && heap_cma_keep_ms();
	bool wake;

	run->cleared = 0;
	run->freed = jiffies;

	spin_lock(&area->lock);
	wake = keep && !area->woken;
	area->woken |= keep;
	list_add(&run->node, list);
	heap_run_account(run, run->nr_pages);
	spin_unlock(&area->lock);

	if (wake)
		heap_cma_wake(area);
	while (!keep &&
	       (heap_cma_release_step(area) || heap_cma_release_spare(area)))
		cond_resched();
}

/* A run of @list for heap_cma_take(), or NULL */
static struct heap_run *heap_cma_fitting(const struct list_head *list,
					 unsigned long most, unsigned long unit,
					 unsigned int align_order)
{
	struct heap_run *run;

	list_for_each_entry(run, list, node) {
		if (run->nr_pages <= most && run->nr_pages % unit == 0 &&
		    IS_ALIGNED(page_to_pfn(run->page), 1UL << align_order))
			return run;
	}
	return NULL;
}

/**
 * heap_cma_take - take a run that is kept
 * @area:	the area
 * @most:	how many pages it may have at most
 * @unit:	of how many it must have a multiple
 * @align_order: to which the first must be aligned, in pages
 *
 * Context: process context.
 *
 * Return: one that fits, and is zero if possible, as heap_cma_alloc_run() returns
 * it, or NULL.
 */
struct heap_run *heap_cma_take(struct heap_cma *area, unsigned long most,
			       unsigned long unit, unsigned int align_order)
{
	struct heap_run *run;

	KUNIT_STATIC_STUB_REDIRECT(heap_cma_take, area, most, unit,
				   align_order);
	guard(spinlock)(&area->lock);

	run = heap_cma_fitting(&area->clean, most, unit, align_order);
	if (!run)
		run = heap_cma_fitting(&area->dirty, most, unit, align_order);
	if (run) {
		list_del(&run->node);
		heap_run_account(run, -run->nr_pages);
	}
	return run;
}
EXPORT_SYMBOL_NS_GPL(heap_cma_take, "DMA_BUF_HEAP");

/*
 * Blocks
 */

/* Makes @run a part of the block if there is room */
static bool heap_block_cut(struct heap_block *block, struct heap_run *run,
			   unsigned long nr_pages, unsigned int align_order)
{
	unsigned long first;

	lockdep_assert_held(&run->area->lock);

	first = bitmap_find_next_zero_area(block->used, HEAP_BLOCK_PAGES, 0,
					   nr_pages, (1UL << align_order) - 1);
	if (first >= HEAP_BLOCK_PAGES)
		return false;

	bitmap_set(block->used, first, nr_pages);
	block->live += nr_pages;
	if (bitmap_full(block->used, HEAP_BLOCK_PAGES))
		list_del_init(&block->node);

	run->block = block;
	run->page = heap_run_page(block->run, first);
	run->nr_pages = nr_pages;
	return true;
}

/* Makes @run a part of a block that there is */
static bool heap_block_find(struct heap_run *run, unsigned long nr_pages,
			    unsigned int align_order)
{
	struct heap_block *block;

	guard(spinlock)(&run->area->lock);

	list_for_each_entry(block, &run->area->blocks, node) {
		if (heap_block_cut(block, run, nr_pages, align_order))
			return true;
	}
	return false;
}

/* Gives the pages back that no buffer has; returns how many */
static unsigned long heap_block_release(struct heap_block *block)
{
	unsigned long first, end, count = 0;

	for_each_clear_bitrange(first, end, block->used, HEAP_BLOCK_PAGES) {
		heap_cma_release_pages(block->run->area->cma,
				       heap_run_page(block->run, first),
				       end - first);
		bitmap_set(block->gone, first, end - first);
		count += end - first;
	}
	bitmap_fill(block->used, HEAP_BLOCK_PAGES);
	return count;
}

/* Gives back what can be of one block; returns how many pages */
static unsigned long heap_block_release_first(struct heap_cma *area)
{
	struct heap_block *block;

	guard(spinlock)(&area->lock);

	block = list_first_entry_or_null(&area->blocks, struct heap_block,
					 node);
	if (!block)
		return 0;

	list_del_init(&block->node);
	return heap_block_release(block);
}

/* Takes a part out of its block; returns whether that was the last one */
static bool heap_block_uncut(struct heap_block *block,
			     const struct heap_run *run)
{
	unsigned long first = page_to_pfn(run->page) -
			      page_to_pfn(block->run->page);

	guard(spinlock)(&run->area->lock);

	bitmap_clear(block->used, first, run->nr_pages);
	block->live -= run->nr_pages;
	list_del_init(&block->node);
	if (block->live)
		list_add(&block->node, &run->area->blocks);
	return !block->live;
}

/* Ends a run that is a part of a block, and the block with the last one */
static void heap_block_put(struct heap_run *run)
{
	struct heap_block *block = run->block;

	if (heap_block_uncut(block, run)) {
		if (bitmap_empty(block->gone, HEAP_BLOCK_PAGES)) {
			heap_cma_keep(block->run, &run->area->clean);
		} else {
			heap_block_release(block);
			kfree(block->run);
		}
		kfree(block);
	}
	kfree(run);
}

/*
 * Allocating and freeing
 */

/*
 * Gives back what no buffer has, until that is @nr_pages at least; returns how many
 * that is
 */
VISIBLE_IF_KUNIT unsigned long heap_cma_give_back(struct heap_cma *area,
						  unsigned long nr_pages)
{
	unsigned long nr, count = 0;

	while (count < nr_pages &&
	       ((nr = heap_cma_release_step(area)) ||
		(nr = heap_block_release_first(area)))) {
		count += nr;
		cond_resched();
	}
	return count;
}
EXPORT_SYMBOL_IF_KUNIT(heap_cma_give_back);

/*
 * Whether a run is to begin where a PMD does, so that it can be mapped by PMDs:
 * if it is large, and wastes no more than a sixteenth if the next does so, too
 */
static bool heap_cma_wants_pmd(unsigned long nr_pages)
{
	unsigned long waste = ALIGN(nr_pages, 1UL << PMD_ORDER) - nr_pages;

	return nr_pages >> PMD_ORDER && waste <= nr_pages / 16;
}

/* How many pages are kept */
VISIBLE_IF_KUNIT unsigned long heap_cma_kept(const struct heap_cma *area)
{
	return READ_ONCE(area->kept);
}
EXPORT_SYMBOL_IF_KUNIT(heap_cma_kept);

/*
 * Pages that the area has; what is kept goes for them only if they cannot be had
 * without, and only with @ask
 */
static struct page *heap_cma_find_pages(struct heap_cma *area,
					unsigned long nr_pages,
					unsigned int align_order, bool ask)
{
	struct page *page = NULL;
	unsigned long kept;

	if (align_order < PMD_ORDER && heap_cma_wants_pmd(nr_pages))
		page = heap_cma_alloc_pages(area->cma, nr_pages, PMD_ORDER,
					    false);
	do {
		if (page || fatal_signal_pending(current))
			break;
		kept = heap_cma_kept(area);
		page = heap_cma_alloc_pages(area->cma, nr_pages, align_order,
					    ask);
		/* Others may have had it given back, which is as good */
	} while (!page && ask && (heap_cma_give_back(area, nr_pages) ||
				  heap_cma_kept(area) < kept));
	return page;
}

/* As heap_cma_alloc_run(), with @ask as for heap_cma_find_pages() */
static struct heap_run *heap_cma_get_run(struct heap_cma *area,
					 unsigned long nr_pages,
					 unsigned int align_order, bool ask)
{
	struct heap_run *run;

	run = heap_cma_take(area, nr_pages, nr_pages, align_order);
	if (run)
		return run;

	run = heap_run_create(area);
	if (!run)
		return NULL;

	run->nr_pages = nr_pages;
	run->page = heap_cma_find_pages(area, nr_pages, align_order, ask);
	if (!run->page) {
		kfree(run);
		return NULL;
	}
	return run;
}

/* Makes @run the first part of a new block */
static bool heap_block_add(struct heap_run *run, unsigned long nr_pages,
			   unsigned int align_order)
{
	struct heap_block *block;

	/* Charged to nobody, since it is nobody's */
	block = kzalloc_obj(*block, HEAP_GFP & ~__GFP_ACCOUNT);
	if (!block)
		return false;

	/* Not worth anything that is kept: the request can do without it */
	block->run = heap_cma_get_run(run->area, HEAP_BLOCK_PAGES,
				      HEAP_BLOCK_ORDER, false);
	if (!block->run) {
		kfree(block);
		return false;
	}

	guard(spinlock)(&run->area->lock);

	list_add(&block->node, &run->area->blocks);
	return heap_block_cut(block, run, nr_pages, align_order);
}

/**
 * heap_cma_alloc_run - allocate pages in a row
 * @area:	the area
 * @nr_pages:	how many
 * @align_order: to which the first must be aligned, in pages; it is aligned to a
 *		PMD where that is possible and worth it
 *
 * Context: process context, may sleep.
 *
 * Return: a run of its own, for heap_cma_create_buffer() or heap_cma_free(), or
 * NULL.
 */
struct heap_run *heap_cma_alloc_run(struct heap_cma *area,
				    unsigned long nr_pages,
				    unsigned int align_order)
{
	KUNIT_STATIC_STUB_REDIRECT(heap_cma_alloc_run, area, nr_pages,
				   align_order);

	return heap_cma_get_run(area, nr_pages, align_order, true);
}
EXPORT_SYMBOL_NS_GPL(heap_cma_alloc_run, "DMA_BUF_HEAP");

/**
 * heap_cma_alloc - allocate pages in a row, which may be a part of a block
 * @area:	the area
 * @nr_pages:	how many
 * @align_order: as for heap_cma_alloc_run()
 *
 * Context: process context, may sleep.
 *
 * Return: as heap_cma_alloc_run().
 */
struct heap_run *heap_cma_alloc(struct heap_cma *area, unsigned long nr_pages,
				unsigned int align_order)
{
	struct heap_run *run;

	if (nr_pages > HEAP_BLOCK_SMALL)
		return heap_cma_alloc_run(area, nr_pages, align_order);

	run = heap_run_create(area);
	if (!run)
		return NULL;
	if (heap_block_find(run, nr_pages, align_order) ||
	    heap_block_add(run, nr_pages, align_order))
		return run;

	/* There may be no room for a block */
	kfree(run);
	return heap_cma_alloc_run(area, nr_pages, align_order);
}
EXPORT_SYMBOL_NS_GPL(heap_cma_alloc, "DMA_BUF_HEAP");

/**
 * heap_cma_free - free runs
 * @runs:	list of &struct heap_run, empty afterwards
 *
 * Context: process context, may sleep.
 */
void heap_cma_free(struct list_head *runs)
{
	struct heap_run *run, *next;

	KUNIT_STATIC_STUB_REDIRECT(heap_cma_free, runs);

	list_for_each_entry_safe(run, next, runs, node) {
		list_del(&run->node);
		if (run->block)
			heap_block_put(run);
		else
			heap_cma_keep(run, &run->area->dirty);
	}
}
EXPORT_SYMBOL_NS_GPL(heap_cma_free, "DMA_BUF_HEAP");

/*
 * Buffers
 */

static int heap_run_cmp(void *priv, const struct list_head *a,
			const struct list_head *b)
{
	unsigned long pfn_a = page_to_pfn(list_entry(a, struct heap_run,
						     node)->page);
	unsigned long pfn_b = page_to_pfn(list_entry(b, struct heap_run,
						     node)->page);

	return pfn_a < pfn_b ? -1 : 1;
}

/*
 * Puts all of @runs into the buffer, by address. Runs that follow each other
 * become one, which later can be had as one.
 */
static void heap_cma_fill_buffer(struct heap_buffer *buffer,
				 struct list_head *runs)
{
	struct heap_run *run, *next, *last = NULL;

	list_sort(NULL, runs, heap_run_cmp);
	list_for_each_entry_safe(run, next, runs, node) {
		heap_buffer_add_extent(buffer, page_to_phys(run->page),
				       run->nr_pages << PAGE_SHIFT);
		if (last && run->page == heap_run_page(last, last->nr_pages)) {
			last->nr_pages += run->nr_pages;
			list_del(&run->node);
			kfree(run);
		} else {
			last = run;
		}
	}

	/* They are in a ring, of which the head need not be a part */
	buffer->priv = last;
	list_del_init(runs);
}

static void heap_cma_free_buffer(struct heap_buffer *buffer)
{
	struct heap_run *run = buffer->priv;
	LIST_HEAD(runs);

	/* Makes the ring a list again */
	list_add_tail(&runs, &run->node);
	heap_cma_free(&runs);
}

static const struct heap_backing heap_cma_backing = {
	.free = heap_cma_free_buffer,
};

/* Zeroes runs as far as they are not; -EINTR if the caller was killed meanwhile */
VISIBLE_IF_KUNIT int heap_cma_clear(const struct list_head *runs)
{
	struct heap_run *run;
	int ret = 0;

	list_for_each_entry(run, runs, node) {
		if (run->cleared < run->nr_pages && !ret)
			ret = heap_clear_pages(heap_run_page(run, run->cleared),
					       run->nr_pages - run->cleared);
	}
	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(heap_cma_clear);

/**
 * heap_cma_create_buffer - make a buffer of runs
 * @heap:	that it is for
 * @runs:	list of &struct heap_run, not empty; empty afterwards
 *
 * Zeroes what is not zero.
 *
 * Context: process context, may sleep.
 *
 * Return: a buffer for heap_buffer_export(), whose &heap_buffer.priv is taken, or
 * ERR_PTR(): -ENOMEM, -EINTR if the caller was killed; then the runs were freed.
 */
struct heap_buffer *heap_cma_create_buffer(struct dma_heap *heap,
					   struct list_head *runs)
{
	struct heap_buffer *buffer = NULL;
	int ret = heap_cma_clear(runs);

	if (!ret)
		buffer = heap_buffer_create(heap, &heap_cma_backing,
					    list_count_nodes(runs));
	if (!buffer) {
		heap_cma_free(runs);
		return ERR_PTR(ret ?: -ENOMEM);
	}
	heap_cma_fill_buffer(buffer, runs);
	return buffer;
}
EXPORT_SYMBOL_NS_GPL(heap_cma_create_buffer, "DMA_BUF_HEAP");

/*
 * Areas
 */

static unsigned long heap_cma_count(struct shrinker *shrinker,
				    struct shrink_control *sc)
{
	struct heap_cma *area = shrinker->private_data;

	return heap_cma_kept(area) +
	       (READ_ONCE(area->spares) << HEAP_SPARE_ORDER) ?: SHRINK_EMPTY;
}

/*
 * Who waits for memory has all of it given back: as long as some of it is kept,
 * programs are given others' memory rather than the area's. kswapd, which is at work
 * whenever files fill the memory, has what it asks for, but whole runs, since one
 * without its end would be of no use. When nothing else is left spare blocks go.
 */
VISIBLE_IF_KUNIT unsigned long heap_cma_scan(struct shrinker *shrinker,
					     struct shrink_control *sc)
{
	struct heap_cma *area = shrinker->private_data;
	unsigned long nr, wanted, count = 0;
	struct heap_run *run;

	spin_lock(&area->lock);
	run = heap_cma_next(area);
	wanted = area->kept;
	if (run && current_is_kswapd())
		wanted = max(sc->nr_to_scan, run->nr_pages);
	spin_unlock(&area->lock);

	while (count < wanted && (nr = heap_cma_release_step(area))) {
		count += nr;
		cond_resched();
	}
	while (!heap_cma_kept(area) && (nr = heap_cma_release_spare(area)))
		count += nr;
	/* Reclaim would think that it got nothing */
	mm_account_reclaimed_pages(count);
	sc->nr_scanned = count;
	return count ?: SHRINK_STOP;
}
EXPORT_SYMBOL_IF_KUNIT(heap_cma_scan);

/*
 * Has cma_alloc() ask for memory before it fails; returns whether it will
 */
#ifdef CMA_HAS_RECLAIMERS
static unsigned long heap_cma_reclaim(struct cma_reclaimer *reclaimer,
				      unsigned long nr_pages)
{
	return heap_cma_give_back(container_of(reclaimer, struct heap_cma,
					       reclaimer), nr_pages);
}

static bool heap_cma_register(struct heap_cma *area)
{
	area->reclaimer.cma = area->cma;
	area->reclaimer.reclaim = heap_cma_reclaim;
	cma_register_reclaimer(&area->reclaimer);
	return true;
}

static void heap_cma_unregister(struct heap_cma *area)
{
	cma_unregister_reclaimer(&area->reclaimer);
}

#else
static bool heap_cma_register(struct heap_cma *area)
{
	return false;
}

static void heap_cma_unregister(struct heap_cma *area)
{
}
#endif

/* Makes the thread that works for all areas, if there is none */
static bool heap_cma_have_worker(void)
{
	lockdep_assert_held(&heap_cmas_lock);

	if (!heap_cma_worker)
		heap_cma_worker = heap_start_worker("cma");
	return heap_cma_worker;
}

static bool heap_cma_have_shrinker(struct heap_cma *area)
{
	area->shrinker = shrinker_alloc(0, "dma-heap-cma");
	if (!area->shrinker)
		return false;

	area->shrinker->count_objects = heap_cma_count;
	area->shrinker->scan_objects = heap_cma_scan;
	/* Also when that is not worth a batch: a run may be less, and goes whole */
	area->shrinker->batch = 1;
	area->shrinker->private_data = area;
	shrinker_register(area->shrinker);
	return true;
}

/* An area that keeps nothing unless @keeps, for kfree(), or NULL */
VISIBLE_IF_KUNIT struct heap_cma *heap_cma_create(struct cma *cma, bool keeps)
{
	struct heap_cma *area;

	area = kzalloc_obj(*area);
	if (!area)
		return NULL;

	area->cma = cma;
	area->keeps = keeps;
	spin_lock_init(&area->lock);
	INIT_LIST_HEAD(&area->dirty);
	INIT_LIST_HEAD(&area->clean);
	INIT_LIST_HEAD(&area->blocks);
	INIT_LIST_HEAD(&area->spare);
	kthread_init_delayed_work(&area->work, heap_cma_work);
	return area;
}
EXPORT_SYMBOL_IF_KUNIT(heap_cma_create);

/**
 * heap_cma_get - have a CMA area's memory for buffers
 * @cma:	the area
 *
 * Heaps over the same area share what is kept of it.
 *
 * Context: process context, may sleep.
 *
 * Return: the area, which stays as long as this module, or NULL if there is no
 * memory.
 */
struct heap_cma *heap_cma_get(struct cma *cma)
{
	struct heap_cma *area;

	guard(mutex)(&heap_cmas_lock);

	list_for_each_entry(area, &heap_cmas, node) {
		if (area->cma == cma)
			return area;
	}

	area = heap_cma_create(cma, false);
	if (area) {
		/* Where one of these is not to be had, nothing is kept */
		area->keeps = heap_cma_register(area) &&
			      heap_cma_have_worker() &&
			      heap_cma_have_shrinker(area);
		list_add_tail(&area->node, &heap_cmas);
	}
	return area;
}
EXPORT_SYMBOL_NS_GPL(heap_cma_get, "DMA_BUF_HEAP");

/* No heap and no buffer is there any more: each pins this module */
static void __exit heap_cma_exit(void)
{
	struct heap_cma *area, *next;

	list_for_each_entry_safe(area, next, &heap_cmas, node) {
		heap_cma_unregister(area);
		shrinker_free(area->shrinker);
		kthread_cancel_delayed_work_sync(&area->work);
		heap_cma_give_back(area, ULONG_MAX);
		while (heap_cma_release_spare(area))
			cond_resched();
		kfree(area);
	}
	if (heap_cma_worker)
		kthread_destroy_worker(heap_cma_worker);
}
module_exit(heap_cma_exit);
