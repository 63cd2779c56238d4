// SPDX-License-Identifier: GPL-2.0
/*
 * Pools of zeroed pages for DMA-BUF heaps
 */

/**
 * DOC: overview
 *
 * Most of what it takes to allocate a large buffer is to zero it. A heap that
 * has a pool puts the blocks of a buffer that is no more there, as they are,
 * and a thread zeroes them when there is nothing else to do. An allocation
 * takes blocks that are zeroed, then such as are not yet, which it zeroes
 * itself, and only then new ones from the page allocator. No block leaves the
 * pool for a buffer but zeroed.
 *
 * The memory belongs to the page allocator, which asks for it back by a
 * shrinker; it counts as reclaimable (KReclaimable, and so MemAvailable). What
 * is not needed is given back after a while: of each kind of block the pool
 * keeps as many as were needed in the time between two looks, so that an idle
 * machine soon has nothing in the pool, and no timer.
 *
 * An order can have watermarks: if there are fewer blocks than the lowest, the
 * thread makes new ones, of memory that is free anyway. When they were asked
 * back, or there is none, it waits for the next look before it makes more.
 *
 * Blocks are charged to a memory cgroup while they are in a buffer, and not
 * while they are in the pool.
 *
 * Locking: each node and order has a list of its own, with a lock that is held
 * to move blocks and never to zero or free them.
 */

#include <linux/atomic.h>
#include <linux/cpuset.h>
#include <linux/debugfs.h>
#include <linux/dma-heap.h>
#include <linux/export.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/memcontrol.h>
#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/shrinker.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/swap.h>
#include <linux/topology.h>
#include <linux/vmstat.h>
#include <kunit/visibility.h>

#include "heap-helpers.h"
#include "page-pool.h"
#include "tests/internals.h"

/* So many blocks are moved at most while a lock is held */
#define HEAP_POOL_BATCH	64UL

/* So many pages the thread zeroes at most before it looks what else to do */
#define HEAP_POOL_STEP	(SZ_2M / PAGE_SIZE)

/* All blocks in a pool are in one of two states */
enum heap_pool_state {
	HEAP_POOL_DIRTY,
	HEAP_POOL_ZEROED,
	HEAP_POOL_STATES
};

/**
 * struct heap_pool_list - the blocks of one node and order
 * @nid:	never changes
 * @order:	never changes
 * @watermarks:	of this order; change at any time
 * @lock:	protects all that changes but @misses
 * @blocks:	by state
 * @nr:		how many blocks there are in each state; read without the lock
 *		to see if it is worth taking
 * @idle:	how many blocks were never needed since the last look
 * @filling:	new ones are to be made; read without the lock
 * @hits:	blocks taken for buffers so far
 * @misses:	how often there was none to take
 */
struct heap_pool_list {
	int nid;
	unsigned int order;
	const struct heap_pool_watermarks *watermarks;
	/* Not held while blocks are zeroed or freed */
	spinlock_t lock;
	struct list_head blocks[HEAP_POOL_STATES];
	unsigned long nr[HEAP_POOL_STATES];
	unsigned long idle;
	bool filling;
	unsigned long hits;
	atomic_long_t misses;
} ____cacheline_aligned_in_smp;

/**
 * struct heap_page_pool - the blocks that a heap keeps
 * @memory:	what they are like
 * @limits:	how many there may be; changes at any time
 * @worker:	the thread that zeroes them
 * @clean:	its work: zero what is dirty
 * @look:	its work: give back what is not needed, and see if there is too
 *		little; is pending while there are blocks, or ought to be
 * @fill:	its work: make new blocks
 * @shrinker:	gives them back under memory pressure
 * @debugfs:	directory with the pool's state
 * @nr_lists:	how many there are
 * @lists:	by node, then by order
 */
struct heap_page_pool {
	const struct heap_pool_memory *memory;
	const struct heap_pool_limits *limits;
	struct kthread_worker *worker;
	struct kthread_work clean;
	struct kthread_delayed_work look;
	struct kthread_work fill;
	struct shrinker *shrinker;
	struct dentry *debugfs;
	unsigned int nr_lists;
	struct heap_pool_list lists[] __counted_by(nr_lists);
};

/* Pages in all pools, by node */
static atomic_long_t heap_pool_pages[MAX_NUMNODES];

static struct heap_pool_list *heap_pool_list(struct heap_page_pool *pool,
					     int nid, unsigned int order)
{
	return &pool->lists[nid * NR_PAGE_ORDERS + order];
}

/*
 * Blocks
 */

static void heap_pool_count_pages(int nid, long nr_pages)
{
	atomic_long_add(nr_pages, &heap_pool_pages[nid]);
	mod_node_page_state(NODE_DATA(nid), NR_KERNEL_MISC_RECLAIMABLE,
			    nr_pages);
}

/* Whether blocks of this order are kept at all */
static bool heap_pool_keeps(const struct heap_page_pool *pool,
			    unsigned int order)
{
	return order >= pool->memory->min_order && order <= HEAP_POOL_MAX_ORDER;
}

/* How many more pages of a node pools may have; negative if that is too many */
static long heap_pool_room(const struct heap_page_pool *pool, int nid)
{
	unsigned long limit = node_present_pages(nid);

	limit = mult_frac(limit, READ_ONCE(pool->limits->percent), 100);
	return limit - atomic_long_read(&heap_pool_pages[nid]);
}

static unsigned long heap_pool_list_total(const struct heap_pool_list *list)
{
	return READ_ONCE(list->nr[HEAP_POOL_DIRTY]) +
	       READ_ONCE(list->nr[HEAP_POOL_ZEROED]);
}

/*
 * Blocks are put to the end and taken from the front, so that those that lie in
 * a row stay so, and make one extent of a buffer
 */
static void heap_pool_add(struct heap_pool_list *list,
			  enum heap_pool_state state, struct list_head *blocks,
			  unsigned long nr)
{
	spin_lock(&list->lock);
	list_splice_tail_init(blocks, &list->blocks[state]);
	WRITE_ONCE(list->nr[state], list->nr[state] + nr);
	spin_unlock(&list->lock);
}

/*
 * Moves up to @most blocks to the end of @blocks, and returns how many; it looks at
 * no more than HEAP_POOL_BATCH. Those in a zone above @zone stay, and go to the
 * end, so that the next search starts with others.
 */
static unsigned long heap_pool_cut(struct heap_pool_list *list,
				   enum heap_pool_state state,
				   unsigned long most, enum zone_type zone,
				   struct list_head *blocks)
{
	unsigned long looks = min(list->nr[state], HEAP_POOL_BATCH);
	struct page *page, *next;
	unsigned long nr = 0;

	lockdep_assert_held(&list->lock);

	list_for_each_entry_safe(page, next, &list->blocks[state], lru) {
		if (nr == most || !looks--)
			break;
		if (page_zonenum(page) > zone) {
			list_move_tail(&page->lru, &list->blocks[state]);
			continue;
		}
		list_move_tail(&page->lru, blocks);
		nr++;
	}
	WRITE_ONCE(list->nr[state], list->nr[state] - nr);
	list->idle = min(list->idle, heap_pool_list_total(list));
	return nr;
}

static int heap_pool_clear(const struct heap_page_pool *pool, struct page *page)
{
	if (pool->memory->clear)
		return pool->memory->clear(page);

	return heap_clear_pages(page, compound_nr(page));
}

/**
 * heap_page_pool_prepare - make a new block what blocks of the pool are
 * @pool:	pool of the heap that it is for; its memory has a prepare()
 * @page:	just allocated, and zeroed; it is freed if this fails
 *
 * To split the kernel's own mapping takes a page table, one for many blocks.
 * If there is no other memory left it comes from the reserves, since the OOM
 * killer would be called for it.
 *
 * Context: process context, may sleep.
 *
 * Return: 0, or an error.
 */
int heap_page_pool_prepare(struct heap_page_pool *pool, struct page *page)
{
	unsigned int flags;
	int ret;

	flags = memalloc_noreclaim_save();
	ret = pool->memory->prepare(page);
	memalloc_noreclaim_restore(flags);
	if (ret)
		heap_page_pool_discard(pool, page);
	return ret;
}
EXPORT_SYMBOL_NS_GPL(heap_page_pool_prepare, "DMA_BUF_HEAP");

/**
 * heap_page_pool_discard - give a block to the page allocator
 * @pool:	pool of the heap that it is from
 * @page:	not in the pool
 *
 * Context: process context, may sleep. Also in reclaim.
 */
void heap_page_pool_discard(struct heap_page_pool *pool, struct page *page)
{
	/* Lost is better than handed to somebody who thinks it private */
	if (pool->memory->restore && pool->memory->restore(page))
		return;

	__free_pages(page, compound_order(page));
}
EXPORT_SYMBOL_NS_GPL(heap_page_pool_discard, "DMA_BUF_HEAP");

static void heap_pool_discard_all(struct heap_page_pool *pool,
				  struct list_head *blocks)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, blocks, lru) {
		list_del(&page->lru);
		heap_page_pool_discard(pool, page);
		cond_resched();
	}
}

/*
 * Takes up to @most blocks out of the pool and frees them; returns how many.
 * They are not replaced at once: who asked for the memory is to have it.
 */
static unsigned long heap_pool_release(struct heap_page_pool *pool,
				       struct heap_pool_list *list,
				       enum heap_pool_state state,
				       unsigned long most, enum zone_type zone)
{
	LIST_HEAD(blocks);
	unsigned long nr;

	if (!READ_ONCE(list->nr[state]))
		return 0;

	spin_lock(&list->lock);
	nr = heap_pool_cut(list, state, most, zone, &blocks);
	if (nr)
		WRITE_ONCE(list->filling, false);
	spin_unlock(&list->lock);

	heap_pool_count_pages(list->nid, -(long)(nr << list->order));
	heap_pool_discard_all(pool, &blocks);
	return nr;
}

/* The same for more of them than are moved at once */
static unsigned long heap_pool_release_many(struct heap_page_pool *pool,
					    struct heap_pool_list *list,
					    enum heap_pool_state state,
					    unsigned long most)
{
	unsigned long done = 0, nr;

	while (done < most) {
		nr = heap_pool_release(pool, list, state, most - done,
				       MAX_NR_ZONES);
		if (!nr)
			break;
		done += nr;
	}
	return done;
}

/*
 * Gives at least @nr_pages pages of a node back, or all there are in zones up
 * to @zone: dirty ones first, since the others took work, and small ones before
 * large ones. Returns how many pages that were.
 */
VISIBLE_IF_KUNIT unsigned long
heap_pool_give_back(struct heap_page_pool *pool, int nid,
		    unsigned long nr_pages, enum zone_type zone)
{
	unsigned long freed = 0, nr;
	unsigned int i, order;

	for (i = 0; i < HEAP_POOL_STATES * NR_PAGE_ORDERS; i++) {
		order = i % NR_PAGE_ORDERS;
		do {
			if (freed >= nr_pages)
				return freed;
			nr = ((nr_pages - freed - 1) >> order) + 1;
			nr = heap_pool_release(pool,
					       heap_pool_list(pool, nid, order),
					       i / NR_PAGE_ORDERS, nr, zone);
			freed += nr << order;
		} while (nr);
	}
	return freed;
}
EXPORT_SYMBOL_IF_KUNIT(heap_pool_give_back);

/*
 * The thread
 */

/* Gives back what is above the watermark, what took no work first */
static void heap_pool_trim(struct heap_page_pool *pool,
			   struct heap_pool_list *list)
{
	unsigned long high = READ_ONCE(list->watermarks->high);
	unsigned long nr = heap_pool_list_total(list);

	if (!high || nr <= high)
		return;

	nr -= high;
	nr -= heap_pool_release_many(pool, list, HEAP_POOL_DIRTY, nr);
	heap_pool_release_many(pool, list, HEAP_POOL_ZEROED, nr);
}

/* Zeroes some dirty blocks. They count as in the pool meanwhile. */
static void heap_pool_clean_some(struct heap_page_pool *pool,
				 struct heap_pool_list *list)
{
	unsigned long idle, nr, done = 0;
	struct page *page, *next;
	LIST_HEAD(zeroed);
	LIST_HEAD(dirty);

	spin_lock(&list->lock);
	idle = list->idle;
	nr = heap_pool_cut(list, HEAP_POOL_DIRTY,
			   max(HEAP_POOL_STEP >> list->order, 1UL), MAX_NR_ZONES,
			   &dirty);
	/* No buffer needed them */
	list->idle = idle;
	spin_unlock(&list->lock);

	list_for_each_entry_safe(page, next, &dirty, lru) {
		if (heap_pool_clear(pool, page))
			break;
		list_move_tail(&page->lru, &zeroed);
		done++;
	}
	heap_pool_add(list, HEAP_POOL_ZEROED, &zeroed, done);
	if (nr == done)
		return;

	/* What cannot be zeroed is of no use */
	heap_pool_count_pages(list->nid, -(long)((nr - done) << list->order));
	heap_pool_discard_all(pool, &dirty);
}

/*
 * Starts to look regularly, unless that is done already or there is nothing.
 * What comes after one look, and is not needed between the next two, goes then.
 */
static void heap_pool_look_later(struct heap_page_pool *pool)
{
	unsigned int ms = READ_ONCE(pool->limits->idle_ms) / 2;
	unsigned int i;

	for (i = 0; i < pool->nr_lists; i++) {
		if (!heap_pool_list_total(&pool->lists[i]) &&
		    !READ_ONCE(pool->lists[i].watermarks->low))
			continue;
		kthread_queue_delayed_work(pool->worker, &pool->look,
					   msecs_to_jiffies(max(ms, 1U)));
		return;
	}
}

static void heap_pool_clean_work(struct kthread_work *work)
{
	struct heap_page_pool *pool =
		container_of(work, struct heap_page_pool, clean);
	unsigned int i;

	for (i = 0; i < pool->nr_lists; i++) {
		heap_pool_trim(pool, &pool->lists[i]);
		if (!READ_ONCE(pool->lists[i].nr[HEAP_POOL_DIRTY]))
			continue;
		heap_pool_clean_some(pool, &pool->lists[i]);
		/*
		 * More may have come meanwhile, above the watermark too. What
		 * else there is to do comes first.
		 */
		kthread_queue_work(pool->worker, work);
		return;
	}
	heap_pool_look_later(pool);
}

/* Returns a new block, ready to be used, or NULL if none is to be had freely */
static struct page *heap_pool_new_block(struct heap_page_pool *pool, int nid,
					unsigned int order)
{
	struct page *page;

	if (heap_pool_room(pool, nid) < 1L << order)
		return NULL;

	page = alloc_pages_node(nid, HEAP_GFP_FREELY(GFP_HIGHUSER | __GFP_ZERO),
				order);
	if (page && pool->memory->prepare && heap_page_pool_prepare(pool, page))
		return NULL;
	return page;
}

/* Makes one block; if that is not possible, no more before the next look */
static void heap_pool_fill_one(struct heap_page_pool *pool,
			       struct heap_pool_list *list)
{
	unsigned long fill = READ_ONCE(list->watermarks->fill);
	struct page *page = NULL;
	LIST_HEAD(blocks);

	if (heap_pool_list_total(list) < fill)
		page = heap_pool_new_block(pool, list->nid, list->order);
	if (page) {
		list_add(&page->lru, &blocks);
		heap_pool_count_pages(list->nid, 1L << list->order);
		heap_pool_add(list, HEAP_POOL_ZEROED, &blocks, 1);
	}

	spin_lock(&list->lock);
	if (!page || heap_pool_list_total(list) >= fill)
		WRITE_ONCE(list->filling, false);
	spin_unlock(&list->lock);
}

static void heap_pool_fill_work(struct kthread_work *work)
{
	struct heap_page_pool *pool =
		container_of(work, struct heap_page_pool, fill);
	unsigned int i;

	for (i = 0; i < pool->nr_lists; i++) {
		if (!READ_ONCE(pool->lists[i].filling))
			continue;
		heap_pool_fill_one(pool, &pool->lists[i]);
		/* What else there is to do comes first */
		kthread_queue_work(pool->worker, work);
		return;
	}
}

static bool heap_pool_is_busy(const struct heap_page_pool *pool)
{
	unsigned int i;

	for (i = 0; i < pool->nr_lists; i++) {
		if (READ_ONCE(pool->lists[i].nr[HEAP_POOL_DIRTY]) ||
		    READ_ONCE(pool->lists[i].filling))
			return true;
	}
	return false;
}

/* Waits until there is nothing to zero or to fill, and nobody does it either */
VISIBLE_IF_KUNIT void heap_pool_settle(struct heap_page_pool *pool)
{
	do {
		kthread_flush_worker(pool->worker);
	} while (heap_pool_is_busy(pool));
	/* What the thread had in its hands */
	kthread_flush_worker(pool->worker);
}
EXPORT_SYMBOL_IF_KUNIT(heap_pool_settle);

/* Gives back what was not needed since the last look, and is not to stay */
static void heap_pool_release_idle(struct heap_page_pool *pool,
				   struct heap_pool_list *list)
{
	unsigned long stay = READ_ONCE(list->watermarks->fill);
	unsigned long total, idle;

	spin_lock(&list->lock);
	total = heap_pool_list_total(list);
	idle = min(list->idle, total - min(total, stay));
	spin_unlock(&list->lock);

	heap_pool_release_many(pool, list, HEAP_POOL_ZEROED, idle);

	spin_lock(&list->lock);
	list->idle = heap_pool_list_total(list);
	spin_unlock(&list->lock);
}

/* Has the pool filled if it needs that */
static void heap_pool_fill_if_low(struct heap_pool_list *list)
{
	if (!node_state(list->nid, N_MEMORY))
		return;

	spin_lock(&list->lock);
	if (heap_pool_list_total(list) < READ_ONCE(list->watermarks->low))
		WRITE_ONCE(list->filling, true);
	spin_unlock(&list->lock);
}

static void heap_pool_look_work(struct kthread_work *work)
{
	struct heap_page_pool *pool =
		container_of(work, struct heap_page_pool, look.work);
	unsigned int i;
	long room;
	int nid;

	for (i = 0; i < pool->nr_lists; i++) {
		heap_pool_trim(pool, &pool->lists[i]);
		heap_pool_release_idle(pool, &pool->lists[i]);
	}

	for_each_node(nid) {
		if (!atomic_long_read(&heap_pool_pages[nid]))
			continue;
		room = heap_pool_room(pool, nid);
		if (room < 0)
			heap_pool_give_back(pool, nid, -room, MAX_NR_ZONES);
	}

	for (i = 0; i < pool->nr_lists; i++)
		heap_pool_fill_if_low(&pool->lists[i]);
	kthread_queue_work(pool->worker, &pool->fill);
	heap_pool_look_later(pool);
}

/*
 * Taking and putting
 */

/*
 * The node that the page allocator would ask first on behalf of the caller;
 * NUMA_NO_NODE if it would not ask the nearest, by the caller's policy
 */
static int heap_pool_node(void)
{
	int nid = numa_mem_id();
#ifdef CONFIG_NUMA
	struct mempolicy *policy = current->mempolicy;

	if (!node_isset(nid, cpuset_current_mems_allowed))
		return NUMA_NO_NODE;
	if (!policy || policy->mode == MPOL_LOCAL)
		return nid;
	if (policy->mode != MPOL_BIND && policy->mode != MPOL_PREFERRED &&
	    policy->mode != MPOL_PREFERRED_MANY)
		return NUMA_NO_NODE;
	if (!node_isset(nid, policy->nodes))
		return NUMA_NO_NODE;
#endif
	return nid;
}

/*
 * Takes up to @most blocks of a list; returns how many. If that leaves too few,
 * the list is to be filled. If there were too few already, that is under way,
 * or waits for the next look.
 */
static unsigned long heap_pool_take_from(struct heap_pool_list *list,
					 unsigned long most,
					 enum zone_type zone,
					 struct list_head *zeroed,
					 struct list_head *dirty)
{
	unsigned long nr = 0, total, low;

	/* Usually there are enough, or none at all */
	if (heap_pool_list_total(list)) {
		spin_lock(&list->lock);
		total = heap_pool_list_total(list);
		nr = heap_pool_cut(list, HEAP_POOL_ZEROED, most, zone, zeroed);
		nr += heap_pool_cut(list, HEAP_POOL_DIRTY, most - nr, zone,
				    dirty);
		list->hits += nr;
		low = READ_ONCE(list->watermarks->low);
		if (total - nr < low && total >= low)
			WRITE_ONCE(list->filling, true);
		spin_unlock(&list->lock);
	}
	if (!nr)
		atomic_long_inc(&list->misses);
	return nr;
}

/*
 * Charges blocks to the caller, and zeroes them if they are @dirty, and moves
 * them to @ready, until that fails. Returns how many those are; *@ret is set if
 * the caller was killed. The caller's cgroup may have to make room, which is not
 * as dear as to make a block.
 */
static int heap_pool_make_ready(const struct heap_page_pool *pool,
				struct list_head *blocks, bool dirty, gfp_t gfp,
				struct list_head *ready, int *ret)
{
	struct page *page, *next;
	int nr = 0;

	list_for_each_entry_safe(page, next, blocks, lru) {
		if (gfp & __GFP_ACCOUNT &&
		    memcg_kmem_charge_page(page, gfp | __GFP_DIRECT_RECLAIM,
					   compound_order(page)))
			break;
		if (dirty) {
			*ret = heap_pool_clear(pool, page);
			if (*ret)
				break;
		}
		list_move_tail(&page->lru, ready);
		nr++;
	}
	return nr;
}

/* Puts blocks back that the caller may not have, zeroed as they are */
static void heap_pool_untake(struct heap_page_pool *pool,
			     struct heap_pool_list *list,
			     struct list_head *zeroed)
{
	unsigned long nr = list_count_nodes(zeroed);

	if (!nr)
		return;

	heap_pool_count_pages(list->nid, nr << list->order);
	heap_pool_add(list, HEAP_POOL_ZEROED, zeroed, nr);
	/* For what comes after it: the last look may have seen none */
	kthread_queue_work(pool->worker, &pool->clean);
}

/**
 * heap_page_pool_take - take blocks for a buffer
 * @pool:	the pool
 * @order:	of the blocks
 * @most:	how many at most
 * @gfp:	in which zones they are, and whether they are charged to the caller's
 *		memory cgroup
 * @blocks:	to whose end they are put
 *
 * Context: process context, may sleep.
 *
 * Return: how many blocks were put there, zeroed all of them: 0 if there are
 * none, or none that may be charged to the caller; or an error, -EINTR if the
 * caller was killed. There can be blocks on the list even then.
 */
int heap_page_pool_take(struct heap_page_pool *pool, unsigned int order,
			unsigned long most, gfp_t gfp, struct list_head *blocks)
{
	struct heap_pool_list *list;
	int nid, nr, ret = 0;
	LIST_HEAD(zeroed);
	LIST_HEAD(dirty);

	if (!heap_pool_keeps(pool, order))
		return 0;
	nid = heap_pool_node();
	if (nid == NUMA_NO_NODE)
		return 0;

	list = heap_pool_list(pool, nid, order);
	nr = heap_pool_take_from(list, most, gfp_zone(gfp), &zeroed, &dirty);
	if (!nr)
		return 0;
	if (READ_ONCE(list->filling))
		kthread_queue_work(pool->worker, &pool->fill);
	heap_pool_count_pages(nid, -((long)nr << order));

	nr = heap_pool_make_ready(pool, &zeroed, false, gfp, blocks, &ret);
	nr += heap_pool_make_ready(pool, &dirty, true, gfp, blocks, &ret);

	heap_pool_untake(pool, list, &zeroed);
	heap_page_pool_put(pool, &dirty);
	return ret ?: nr;
}
EXPORT_SYMBOL_NS_GPL(heap_page_pool_take, "DMA_BUF_HEAP");

/*
 * Moves the first block, and those that follow and are of the same node and
 * order, to @run, @most at most; returns how many
 */
static unsigned long heap_pool_cut_run(struct list_head *blocks,
				       unsigned long most,
				       struct list_head *run)
{
	struct page *first, *page, *next;
	unsigned long nr = 0;

	first = list_first_entry(blocks, struct page, lru);
	list_for_each_entry_safe(page, next, blocks, lru) {
		if (nr == most || page_to_nid(page) != page_to_nid(first) ||
		    compound_order(page) != compound_order(first))
			break;
		memcg_kmem_uncharge_page(page, compound_order(page));
		list_move_tail(&page->lru, run);
		nr++;
	}
	return nr;
}

/**
 * heap_page_pool_put - give up blocks that are needed no more
 * @pool:	pool of the heap that they are from
 * @blocks:	zeroed or not, of any order; empty afterwards
 *
 * What is too small or too large, or more than the limit, goes to the page
 * allocator.
 *
 * Context: process context, may sleep.
 */
void heap_page_pool_put(struct heap_page_pool *pool, struct list_head *blocks)
{
	bool kept = false;

	while (!list_empty(blocks)) {
		struct page *page = list_first_entry(blocks, struct page, lru);
		unsigned int order = compound_order(page);
		int nid = page_to_nid(page);
		LIST_HEAD(run);
		long nr = 0;

		if (heap_pool_keeps(pool, order))
			nr = heap_pool_room(pool, nid) >> order;
		if (nr <= 0) {
			list_del(&page->lru);
			heap_page_pool_discard(pool, page);
			cond_resched();
			continue;
		}
		nr = heap_pool_cut_run(blocks, nr, &run);
		heap_pool_count_pages(nid, nr << order);
		heap_pool_add(heap_pool_list(pool, nid, order), HEAP_POOL_DIRTY,
			      &run, nr);
		kept = true;
	}
	if (kept)
		kthread_queue_work(pool->worker, &pool->clean);
}
EXPORT_SYMBOL_NS_GPL(heap_page_pool_put, "DMA_BUF_HEAP");

/**
 * heap_page_pool_put_one - give up a block that is needed no more
 * @pool:	pool of the heap that it is from
 * @page:	its first page
 *
 * Context: process context, may sleep.
 */
void heap_page_pool_put_one(struct heap_page_pool *pool, struct page *page)
{
	LIST_HEAD(blocks);

	list_add(&page->lru, &blocks);
	heap_page_pool_put(pool, &blocks);
}
EXPORT_SYMBOL_NS_GPL(heap_page_pool_put_one, "DMA_BUF_HEAP");

/**
 * heap_page_pool_drain - give all blocks to the page allocator
 * @pool:	the pool
 *
 * Context: process context, may sleep.
 *
 * Return: how many pages that were.
 */
unsigned long heap_page_pool_drain(struct heap_page_pool *pool)
{
	unsigned long freed = 0;
	int nid;

	for_each_node(nid)
		freed += heap_pool_give_back(pool, nid, ULONG_MAX,
					     MAX_NR_ZONES);
	return freed;
}
EXPORT_SYMBOL_NS_GPL(heap_page_pool_drain, "DMA_BUF_HEAP");

/**
 * heap_page_pool_limit - apply limits and watermarks that have changed
 * @pool:	the pool
 *
 * Context: process context.
 */
void heap_page_pool_limit(struct heap_page_pool *pool)
{
	kthread_mod_delayed_work(pool->worker, &pool->look, 0);
}
EXPORT_SYMBOL_NS_GPL(heap_page_pool_limit, "DMA_BUF_HEAP");

/*
 * Memory pressure
 */

static unsigned long heap_pool_shrink_count(struct shrinker *shrinker,
					    struct shrink_control *sc)
{
	struct heap_page_pool *pool = shrinker->private_data;
	unsigned long nr_pages = 0;
	unsigned int order;

	for (order = 0; order < NR_PAGE_ORDERS; order++)
		nr_pages += heap_pool_list_total(heap_pool_list(pool, sc->nid,
								order)) << order;

	return nr_pages ?: SHRINK_EMPTY;
}

/*
 * Memory that the one who needs some cannot use would be given back in vain. What
 * kswapd does is for all zones, whatever it says.
 */
static unsigned long heap_pool_shrink_scan(struct shrinker *shrinker,
					   struct shrink_control *sc)
{
	enum zone_type zone = gfp_zone(sc->gfp_mask);
	unsigned long freed;

	if (current_is_kswapd())
		zone = MAX_NR_ZONES;
	freed = heap_pool_give_back(shrinker->private_data, sc->nid,
				    sc->nr_to_scan, zone);
	/* Reclaim would think that it got nothing */
	mm_account_reclaimed_pages(freed);
	sc->nr_scanned = max(freed, sc->nr_scanned);
	return freed ?: SHRINK_STOP;
}

/*
 * debugfs
 */

/* One line for each kind of block that was ever asked for, or is to be there */
static int heap_pool_state_show(struct seq_file *m, void *unused)
{
	struct heap_page_pool *pool = m->private;
	unsigned int i;

	seq_puts(m, "node order   zeroed    dirty     hits   misses\n");
	for (i = 0; i < pool->nr_lists; i++) {
		struct heap_pool_list *list = &pool->lists[i];
		long misses = atomic_long_read(&list->misses);

		spin_lock(&list->lock);
		if (misses || list->hits || heap_pool_list_total(list) ||
		    READ_ONCE(list->watermarks->low))
			seq_printf(m, "%4d %5u %8lu %8lu %8lu %8ld\n",
				   list->nid, list->order,
				   list->nr[HEAP_POOL_ZEROED],
				   list->nr[HEAP_POOL_DIRTY], list->hits,
				   misses);
		spin_unlock(&list->lock);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(heap_pool_state);

static int heap_pool_drain_set(void *data, u64 unused)
{
	struct heap_page_pool *pool = data;

	heap_page_pool_drain(pool);
	/* What was being zeroed meanwhile */
	heap_pool_settle(pool);
	heap_page_pool_drain(pool);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(heap_pool_drain_fops, NULL, heap_pool_drain_set,
			 "%llu\n");

static void heap_pool_add_debugfs(struct heap_page_pool *pool, const char *name)
{
	pool->debugfs = debugfs_create_dir(name, dma_heap_debugfs);
	debugfs_create_file("state", 0400, pool->debugfs, pool,
			    &heap_pool_state_fops);
	debugfs_create_file("drain", 0200, pool->debugfs, pool,
			    &heap_pool_drain_fops);
}

/*
 * Making a pool
 */

static void heap_pool_init_lists(struct heap_page_pool *pool,
				 const struct heap_pool_watermarks *watermarks)
{
	enum heap_pool_state state;
	unsigned int i;

	for (i = 0; i < pool->nr_lists; i++) {
		struct heap_pool_list *list = &pool->lists[i];

		list->nid = i / NR_PAGE_ORDERS;
		list->order = i % NR_PAGE_ORDERS;
		list->watermarks = &watermarks[list->order];
		spin_lock_init(&list->lock);
		for (state = 0; state < HEAP_POOL_STATES; state++)
			INIT_LIST_HEAD(&list->blocks[state]);
	}
}

/* Returns 0 or -ENOMEM; what there is then is for heap_page_pool_destroy() */
static int heap_pool_start(struct heap_page_pool *pool, const char *name)
{
	pool->worker = heap_start_worker(name);
	if (!pool->worker)
		return -ENOMEM;

	pool->shrinker = shrinker_alloc(SHRINKER_NUMA_AWARE, "dma-heap-%s",
					name);
	if (!pool->shrinker)
		return -ENOMEM;
	pool->shrinker->count_objects = heap_pool_shrink_count;
	pool->shrinker->scan_objects = heap_pool_shrink_scan;
	/* To zero is less work than to read from a disk */
	pool->shrinker->seeks = 1;
	pool->shrinker->private_data = pool;
	shrinker_register(pool->shrinker);
	return 0;
}

/**
 * heap_page_pool_create - make a pool
 * @name:	of the heap
 * @memory:	what blocks are like; must outlive the pool
 * @limits:	on what is kept; the same for all pools; must outlive the pool
 * @watermarks:	of each order, NR_PAGE_ORDERS of them; must outlive the pool,
 *		which heeds them from the next heap_page_pool_limit() on
 *
 * Context: process context, may sleep.
 *
 * Return: the pool, without a block, or NULL if there is no memory for it.
 */
struct heap_page_pool *
heap_page_pool_create(const char *name, const struct heap_pool_memory *memory,
		      const struct heap_pool_limits *limits,
		      const struct heap_pool_watermarks *watermarks)
{
	unsigned int nr_lists = nr_node_ids * NR_PAGE_ORDERS;
	struct heap_page_pool *pool;

	pool = kvzalloc(struct_size(pool, lists, nr_lists), GFP_KERNEL);
	if (!pool)
		return NULL;

	pool->nr_lists = nr_lists;
	pool->memory = memory;
	pool->limits = limits;
	heap_pool_init_lists(pool, watermarks);
	kthread_init_work(&pool->clean, heap_pool_clean_work);
	kthread_init_delayed_work(&pool->look, heap_pool_look_work);
	kthread_init_work(&pool->fill, heap_pool_fill_work);
	if (heap_pool_start(pool, name)) {
		heap_page_pool_destroy(pool);
		return NULL;
	}
	heap_pool_add_debugfs(pool, name);
	return pool;
}
EXPORT_SYMBOL_NS_GPL(heap_page_pool_create, "DMA_BUF_HEAP");

/**
 * heap_page_pool_destroy - give up a pool that nobody uses any more
 * @pool:	the pool, or NULL; its blocks go to the page allocator
 *
 * Context: process context, may sleep.
 */
void heap_page_pool_destroy(struct heap_page_pool *pool)
{
	if (!pool)
		return;

	debugfs_remove(pool->debugfs);
	shrinker_free(pool->shrinker);
	if (pool->worker) {
		/* In this order: each queues the next */
		kthread_cancel_work_sync(&pool->clean);
		kthread_cancel_delayed_work_sync(&pool->look);
		kthread_cancel_work_sync(&pool->fill);
		kthread_destroy_worker(pool->worker);
	}
	heap_page_pool_drain(pool);
	kvfree(pool);
}
EXPORT_SYMBOL_NS_GPL(heap_page_pool_destroy, "DMA_BUF_HEAP");
