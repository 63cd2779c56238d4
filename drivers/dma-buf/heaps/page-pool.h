/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pools of zeroed pages: what heaps keep of buffers for those to come
 */
#ifndef _DMA_HEAP_PAGE_POOL_H
#define _DMA_HEAP_PAGE_POOL_H

#include <linux/gfp_types.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mmzone.h>
#include <linux/sizes.h>

struct heap_page_pool;
struct list_head;
struct page;

/*
 * Larger blocks are not kept: while one is being zeroed, which can take long on a
 * busy machine, nobody else can have it
 */
#define HEAP_POOL_MAX_ORDER	umin(MAX_PAGE_ORDER, ilog2(SZ_32M / PAGE_SIZE))

/**
 * struct heap_pool_memory - what the blocks of a pool are like
 *
 * A block is what alloc_pages() returned with __GFP_COMP. While it is in the
 * pool it stays what the heap made of it.
 */
struct heap_pool_memory {
	/** @min_order: smaller blocks are not kept */
	unsigned int min_order;

	/**
	 * @prepare: make a new block, which is zeroed, what the heap needs
	 *
	 * Optional, for heap_page_pool_prepare(). Process context, may sleep.
	 * If this fails, @restore is called all the same.
	 */
	int (*prepare)(struct page *page);

	/**
	 * @clear: zero a block that was in use
	 *
	 * Optional; heap_clear_pages() if absent. Process context, may sleep.
	 * Returns 0, or an error if not all was zeroed: -EINTR if the caller
	 * was killed.
	 */
	int (*clear)(struct page *page);

	/**
	 * @restore: make a block ordinary memory again
	 *
	 * Optional. Called before the block goes to the page allocator, also
	 * from reclaim. If this fails, the block is not used any more.
	 */
	int (*restore)(struct page *page);
};

/**
 * struct heap_pool_limits - how much is kept, and for how long
 * @percent:	of each node's memory at most, by all pools together
 * @idle_ms:	what nobody needed for so long is given back; not 0
 *
 * They may change at any time, heap_page_pool_limit() then applies them.
 */
struct heap_pool_limits {
	unsigned int percent;
	unsigned int idle_ms;
};

/**
 * struct heap_pool_watermarks - how many blocks of one order lie ready
 * @low:	with fewer, the pool makes new ones; 0 if it never does
 * @fill:	until there are so many, and these stay even if nobody needs them
 * @high:	what is more is given back at once; 0 if there are no watermarks
 *
 * On each node that has memory, blocks that are not zeroed yet included. @low
 * is at most @fill, and @fill at most @high. The limits come first. They may
 * change at any time, heap_page_pool_limit() then applies them.
 */
struct heap_pool_watermarks {
	unsigned long low;
	unsigned long fill;
	unsigned long high;
};

struct heap_page_pool *
heap_page_pool_create(const char *name, const struct heap_pool_memory *memory,
		      const struct heap_pool_limits *limits,
		      const struct heap_pool_watermarks *watermarks);
void heap_page_pool_destroy(struct heap_page_pool *pool);
int heap_page_pool_take(struct heap_page_pool *pool, unsigned int order,
			unsigned long most, gfp_t gfp,
			struct list_head *blocks);
void heap_page_pool_put(struct heap_page_pool *pool, struct list_head *blocks);
void heap_page_pool_put_one(struct heap_page_pool *pool, struct page *page);
int heap_page_pool_prepare(struct heap_page_pool *pool, struct page *page);
void heap_page_pool_discard(struct heap_page_pool *pool, struct page *page);
unsigned long heap_page_pool_drain(struct heap_page_pool *pool);
void heap_page_pool_limit(struct heap_page_pool *pool);

#endif /* _DMA_HEAP_PAGE_POOL_H */
