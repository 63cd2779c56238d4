// SPDX-License-Identifier: GPL-2.0
/*
 * System heaps: buffers of pages from the buddy allocator
 */

#include <linux/cc_platform.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/pgtable.h>
#include <linux/platform_device.h>
#include <linux/sched/signal.h>
#include <linux/set_memory.h>
#include <linux/sprintf.h>
#include <linux/string.h>
#include <linux/swiotlb.h>
#include <uapi/linux/dma-heap.h>

#include "heap-helpers.h"
#include "page-pool.h"

/* Larger blocks than what a PMD maps make no mapping cheaper */
#define SYSTEM_HEAP_MAX_ORDER	umin(HEAP_POOL_MAX_ORDER, PMD_ORDER)

/*
 * Smaller blocks of ordinary memory are not worth keeping: the page allocator
 * has them ready for each processor, and they are soon zeroed
 */
#define SYSTEM_HEAP_POOL_ORDER	(PAGE_ALLOC_COSTLY_ORDER + 1)

/**
 * struct system_heap - a heap of buddy pages
 * @name:	of the heap
 * @ops:	its operations
 * @backing:	what is different about its memory, for the shared buffer
 * @properties:	DMA_HEAP_PROP_ that its memory has
 * @init:	prepares for such memory; -ENODEV if this machine has none;
 *		optional
 * @exit:	undoes @init; optional
 * @memory:	what blocks of such memory are like, for the pool
 * @watermarks:	how many blocks lie ready in its own pool, by order; under the
 *		module's parameter lock
 * @pool:	what is kept of buffers for those to come; NULL if there is no
 *		heap. May belong to another heap of the same memory. Changes
 *		under the module's parameter lock
 * @heap:	as registered, or NULL
 */
struct system_heap {
	const char *name;
	const struct dma_heap_ops *ops;
	struct heap_backing backing;
	u64 properties;
	int (*init)(void);
	void (*exit)(void);
	struct heap_pool_memory memory;
	struct heap_pool_watermarks watermarks[NR_PAGE_ORDERS];
	struct heap_page_pool *pool;
	struct dma_heap *heap;
};

static unsigned long system_heap_drain_pools(void);

/*
 * A block of an order that is not cheap to get is taken only if it lies ready,
 * since smaller ones serve as well; kswapd may make more for the next one.
 * Single pages are worth reclaim, but never the OOM killer: the one who asked
 * is told.
 */
static gfp_t system_heap_gfp(unsigned int order)
{
	gfp_t gfp = GFP_HIGHUSER | __GFP_ZERO | __GFP_COMP | __GFP_NOWARN;

	if (mem_accounting)
		gfp |= __GFP_ACCOUNT;
	if (order > PAGE_ALLOC_COSTLY_ORDER)
		gfp &= ~__GFP_DIRECT_RECLAIM;

	return gfp | (order ? __GFP_NORETRY : __GFP_RETRY_MAYFAIL);
}

/*
 * A new block, charged if @gfp says so. If it is not to be had otherwise, pools
 * are drained for it with @drain: reclaim does not find all that they have. Not
 * for one who may not be charged: that would not help him.
 */
static struct page *system_heap_alloc_pages(gfp_t gfp, unsigned int order,
					    bool drain)
{
	struct page *page = alloc_pages(gfp & ~__GFP_ACCOUNT, order);

	if (!page && drain && system_heap_drain_pools())
		page = alloc_pages(gfp & ~__GFP_ACCOUNT, order);
	if (page && gfp & __GFP_ACCOUNT &&
	    memcg_kmem_charge_page(page, gfp, order)) {
		__free_pages(page, order);
		return NULL;
	}
	return page;
}

/*
 * Puts a new block on @blocks. Returns 1; 0 if there is none of that order; or
 * an error.
 */
static int system_heap_new_block(const struct system_heap *sys,
				 unsigned int order, struct list_head *blocks)
{
	struct page *page;
	int ret;

	page = system_heap_alloc_pages(system_heap_gfp(order), order, !order);
	if (!page)
		return 0;

	ret = sys->memory.prepare ? heap_page_pool_prepare(sys->pool, page) : 0;
	if (ret)
		return ret;

	list_add_tail(&page->lru, blocks);
	return 1;
}

/*
 * Takes zeroed blocks of @nr_pages pages together, largest first, and puts them
 * on @blocks. Returns how many, or -ENOMEM, or -EINTR if the caller was killed;
 * @blocks is the caller's to free then too.
 */
static int system_heap_take_blocks(const struct system_heap *sys,
				   unsigned long nr_pages,
				   struct list_head *blocks)
{
	unsigned int order = SYSTEM_HEAP_MAX_ORDER;
	int count = 0, nr;

	while (nr_pages) {
		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;

		order = umin(order, ilog2(nr_pages));
		nr = heap_page_pool_take(sys->pool, order, nr_pages >> order,
					 system_heap_gfp(order), blocks);
		if (!nr)
			nr = system_heap_new_block(sys, order, blocks);
		if (nr < 0)
			return nr;

		if (nr) {
			nr_pages -= (unsigned long)nr << order;
			count += nr;
		} else if (order) {
			/* What could not be had is not asked for again */
			order--;
		} else {
			return -ENOMEM;
		}
	}
	return count;
}

static void system_heap_free(struct heap_buffer *buffer)
{
	const struct system_heap *sys = dma_heap_get_drvdata(buffer->heap);
	LIST_HEAD(blocks);
	unsigned int i;

	for (i = 0; i < buffer->nr_extents; i++) {
		unsigned long pfn = PHYS_PFN(buffer->extents[i].start);
		unsigned long end = pfn + PHYS_PFN(buffer->extents[i].size);

		/* An extent may consist of several blocks in a row */
		while (pfn < end) {
			struct page *page = pfn_to_page(pfn);

			pfn += compound_nr(page);
			/* Small buffers are not to pay for a pool */
			if (compound_order(page) < sys->memory.min_order)
				heap_page_pool_discard(sys->pool, page);
			else
				list_add_tail(&page->lru, &blocks);
		}
	}
	if (!list_empty(&blocks))
		heap_page_pool_put(sys->pool, &blocks);
}

static const struct dma_buf_ops system_heap_buf_ops = {
	.attach = heap_buffer_attach,
	.detach = heap_buffer_detach,
	.map_dma_buf = heap_buffer_map,
	.unmap_dma_buf = heap_buffer_unmap,
	.begin_cpu_access = heap_buffer_begin_cpu_access,
	.end_cpu_access = heap_buffer_end_cpu_access,
	.mmap = heap_buffer_mmap,
	.vmap = heap_buffer_vmap,
	.vunmap = heap_buffer_vunmap,
	.release = heap_buffer_release,
};

static struct dma_buf *system_heap_allocate(struct dma_heap *heap,
					    unsigned long len, u32 fd_flags,
					    u64 heap_flags)
{
	struct system_heap *sys = dma_heap_get_drvdata(heap);
	unsigned long nr_pages = len >> PAGE_SHIFT;
	struct heap_buffer *buffer;
	struct page *page, *next;
	LIST_HEAD(blocks);
	int ret;

	/* No single buffer is worth pushing everybody else out of memory */
	if (nr_pages > totalram_pages() / 2)
		return ERR_PTR(-ENOMEM);

	ret = system_heap_take_blocks(sys, nr_pages, &blocks);
	if (ret < 0)
		goto err_free_blocks;

	buffer = heap_buffer_create(heap, &sys->backing, ret);
	if (!buffer) {
		ret = -ENOMEM;
		goto err_free_blocks;
	}
	/* From here on the blocks are the buffer's */
	list_for_each_entry_safe(page, next, &blocks, lru) {
		list_del(&page->lru);
		heap_buffer_add_extent(buffer, page_to_phys(page),
				       page_size(page));
	}

	return heap_buffer_export(buffer, &system_heap_buf_ops, THIS_MODULE,
				  fd_flags);

err_free_blocks:
	heap_page_pool_put(sys->pool, &blocks);
	return ERR_PTR(ret);
}

/* All of it is there to be had, but a single request is bounded */
static void system_heap_get_info(struct dma_heap *heap,
				 struct dma_heap_info *info)
{
	const struct system_heap *sys = dma_heap_get_drvdata(heap);

	info->properties = sys->properties;
	info->granularity = PAGE_SIZE;
	info->size = (u64)totalram_pages() << PAGE_SHIFT;
	info->max_alloc = (u64)(totalram_pages() / 2) << PAGE_SHIFT;
}

static const struct dma_heap_ops system_heap_ops = {
	.allocate = system_heap_allocate,
	.get_info = system_heap_get_info,
	.accounted = true,
};

/*
 * Contiguous memory: one run of pages for each buffer, for devices that cannot
 * gather it and systems that have no CMA area
 */

/* The longest run that the buddy allocator has */
#define SYSTEM_HEAP_CONTIGUOUS_MAX	(PAGE_SIZE << MAX_PAGE_ORDER)

static void system_heap_contiguous_free(struct heap_buffer *buffer)
{
	const struct system_heap *sys = dma_heap_get_drvdata(buffer->heap);
	struct page *page;

	if (!buffer->nr_extents)
		return;

	page = pfn_to_page(PHYS_PFN(buffer->extents[0].start));
	if (buffer->size == page_size(page))
		heap_page_pool_put_one(sys->pool, page);
	else
		free_pages_exact(page_address(page), buffer->size);
}

/* Reclaims and compacts for a long run, but does not kill for it */
static gfp_t system_heap_contiguous_gfp(void)
{
	gfp_t gfp = GFP_KERNEL | __GFP_ZERO | __GFP_RETRY_MAYFAIL |
		    __GFP_NOWARN;

	return mem_accounting ? gfp | __GFP_ACCOUNT : gfp;
}

/* As system_heap_alloc_pages(), for what need not be a power of two */
static struct page *system_heap_alloc_exact(size_t len, gfp_t gfp)
{
	void *run = alloc_pages_exact(len, gfp), *uncharged;

	if (run)
		return virt_to_page(run);

	uncharged = alloc_pages_exact(len, gfp & ~__GFP_ACCOUNT);
	if (uncharged)
		free_pages_exact(uncharged, len);
	else if (system_heap_drain_pools())
		run = alloc_pages_exact(len, gfp);
	return run ? virt_to_page(run) : NULL;
}

/*
 * Takes zeroed pages in a row: one block, which may come from the pool, if they
 * are as many as a block has. Returns NULL if there are none, or an error.
 */
static struct page *system_heap_contiguous_take(const struct system_heap *sys,
						unsigned long len)
{
	gfp_t gfp = system_heap_contiguous_gfp();
	unsigned int order = get_order(len);
	LIST_HEAD(blocks);
	int nr;

	if (len != PAGE_SIZE << order)
		return system_heap_alloc_exact(len, gfp);

	nr = heap_page_pool_take(sys->pool, order, 1, gfp, &blocks);
	if (nr < 0)
		return ERR_PTR(nr);
	if (nr)
		return list_first_entry(&blocks, struct page, lru);
	return system_heap_alloc_pages(gfp | __GFP_COMP, order, true);
}

static struct dma_buf *
system_heap_contiguous_allocate(struct dma_heap *heap, unsigned long len,
				u32 fd_flags, u64 heap_flags)
{
	struct system_heap *sys = dma_heap_get_drvdata(heap);
	struct heap_buffer *buffer;
	struct page *page;

	if (len > SYSTEM_HEAP_CONTIGUOUS_MAX)
		return ERR_PTR(-ENOMEM);

	buffer = heap_buffer_create(heap, &sys->backing, 1);
	if (!buffer)
		return ERR_PTR(-ENOMEM);

	page = system_heap_contiguous_take(sys, len);
	if (IS_ERR_OR_NULL(page)) {
		heap_buffer_destroy(buffer);
		return ERR_PTR(fatal_signal_pending(current) ? -EINTR : -ENOMEM);
	}
	heap_buffer_add_extent(buffer, page_to_phys(page), len);
	return heap_buffer_export(buffer, &system_heap_buf_ops, THIS_MODULE,
				  fd_flags);
}

static void system_heap_contiguous_get_info(struct dma_heap *heap,
					    struct dma_heap_info *info)
{
	system_heap_get_info(heap, info);
	info->max_alloc = min_t(u64, info->max_alloc,
				SYSTEM_HEAP_CONTIGUOUS_MAX);
}

static const struct dma_heap_ops system_heap_contiguous_ops = {
	.allocate = system_heap_contiguous_allocate,
	.get_info = system_heap_contiguous_get_info,
	.accounted = true,
};

#ifdef CONFIG_DMABUF_HEAPS_SYSTEM_UNCACHED
/*
 * Uncached memory: the CPU's mappings are write-combined, so nothing has to be
 * done to its caches when a device reads or writes the memory. The zeroes of a
 * block are cleaned from the caches before it has its first such mapping.
 */
#ifdef CONFIG_X86
#define SYSTEM_HEAP_UNCACHED_PROPERTIES	0

static int system_heap_uncached_init(void)
{
	return 0;
}

static void system_heap_uncached_exit(void)
{
}

/* The linear map must agree with the other mappings; this cleans too */
static int system_heap_uncached_prepare(struct page *page)
{
	return set_memory_wc((unsigned long)page_address(page),
			     compound_nr(page));
}

static int system_heap_uncached_restore(struct page *page)
{
	return set_memory_wb((unsigned long)page_address(page),
			     compound_nr(page));
}

static int system_heap_uncached_clear(struct page *page)
{
	int ret = heap_clear_pages(page, compound_nr(page));

	/* The zeroes leave this processor's buffers before others may read */
	wmb();
	return ret;
}

/* Single pages too: to change the linear map is dear */
#define SYSTEM_HEAP_UNCACHED_POOL_ORDER	0
#else
/*
 * The linear map stays cached, and may bring what a block held into the caches
 * at any time. Nobody writes by it, so the memory itself stays right, but a
 * device that looks into the caches may read what is old.
 */
#define SYSTEM_HEAP_UNCACHED_PROPERTIES	DMA_HEAP_PROP_NONCOHERENT

/* A device that does no DMA, for which the DMA API cleans caches */
static struct platform_device *system_heap_cleaner;

static int system_heap_uncached_init(void)
{
	struct platform_device *pdev;
	int ret;

	pdev = platform_device_register_simple("dma_heap_cleaner",
					       PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(pdev))
		return PTR_ERR(pdev);

	ret = dma_coerce_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	/* Mapping must clean the caches, and of the memory, not of a copy */
	if (!ret && (dev_is_dma_coherent(&pdev->dev) ||
		     is_swiotlb_force_bounce(&pdev->dev)))
		ret = -ENODEV;
	if (ret) {
		platform_device_unregister(pdev);
		return ret;
	}
	system_heap_cleaner = pdev;
	return 0;
}

static void system_heap_uncached_exit(void)
{
	platform_device_unregister(system_heap_cleaner);
}

static int system_heap_uncached_prepare(struct page *page)
{
	struct device *dev = &system_heap_cleaner->dev;
	dma_addr_t addr;

	addr = dma_map_page(dev, page, 0, page_size(page), DMA_BIDIRECTIONAL);
	if (dma_mapping_error(dev, addr))
		return -ENOMEM;

	dma_unmap_page(dev, addr, page_size(page), DMA_BIDIRECTIONAL);
	return 0;
}

static int system_heap_uncached_clear(struct page *page)
{
	int ret = heap_clear_pages(page, compound_nr(page));

	return ret ?: system_heap_uncached_prepare(page);
}

/* Whatever the caches hold of it, the next owner writes before it reads */
#define system_heap_uncached_restore	NULL
#define SYSTEM_HEAP_UNCACHED_POOL_ORDER	SYSTEM_HEAP_POOL_ORDER
#endif

static pgprot_t system_heap_uncached_prot(pgprot_t prot)
{
	return pgprot_writecombine(prot);
}
#endif

#ifdef CONFIG_DMABUF_HEAPS_SYSTEM_CC_SHARED
static int system_heap_cc_init(void)
{
	return cc_platform_has(CC_ATTR_MEM_ENCRYPT) ? 0 : -ENODEV;
}

/* What was zeroed as private memory reads as anything once it is shared */
static int system_heap_cc_prepare(struct page *page)
{
	int ret;

	ret = set_memory_decrypted((unsigned long)page_address(page),
				   compound_nr(page));
	return ret ?: heap_clear_pages(page, compound_nr(page));
}

static int system_heap_cc_restore(struct page *page)
{
	return set_memory_encrypted((unsigned long)page_address(page),
				    compound_nr(page));
}

static pgprot_t system_heap_cc_prot(pgprot_t prot)
{
	return pgprot_decrypted(prot);
}
#endif

static struct system_heap system_heaps[] = {
	{
		.name = "system",
		.ops = &system_heap_ops,
		.backing = {
			.free = system_heap_free,
		},
		.properties = DMA_HEAP_PROP_CACHED |
			      DMA_HEAP_PROP_CPU_MAPPABLE |
			      DMA_HEAP_PROP_ZEROED,
		.memory = {
			.min_order = SYSTEM_HEAP_POOL_ORDER,
		},
	},
	{
		/* Without .memory: what it keeps is in the pool of the first */
		.name = "system-contiguous",
		.ops = &system_heap_contiguous_ops,
		.backing = {
			.free = system_heap_contiguous_free,
		},
		.properties = DMA_HEAP_PROP_CONTIGUOUS |
			      DMA_HEAP_PROP_CACHED |
			      DMA_HEAP_PROP_CPU_MAPPABLE |
			      DMA_HEAP_PROP_ZEROED,
	},
#ifdef CONFIG_DMABUF_HEAPS_SYSTEM_UNCACHED
	{
		.name = "system-uncached",
		.ops = &system_heap_ops,
		.backing = {
			.free = system_heap_free,
			.prot = system_heap_uncached_prot,
			.dma_attrs = DMA_ATTR_SKIP_CPU_SYNC,
		},
		.properties = SYSTEM_HEAP_UNCACHED_PROPERTIES |
			      DMA_HEAP_PROP_CPU_MAPPABLE |
			      DMA_HEAP_PROP_ZEROED,
		.init = system_heap_uncached_init,
		.exit = system_heap_uncached_exit,
		.memory = {
			.min_order = SYSTEM_HEAP_UNCACHED_POOL_ORDER,
			.prepare = system_heap_uncached_prepare,
			.clear = system_heap_uncached_clear,
			.restore = system_heap_uncached_restore,
		},
	},
#endif
#ifdef CONFIG_DMABUF_HEAPS_SYSTEM_CC_SHARED
	{
		/* Memory that a confidential guest shares with its host */
		.name = "system_cc_shared",
		.ops = &system_heap_ops,
		.backing = {
			.free = system_heap_free,
			.prot = system_heap_cc_prot,
			.dma_attrs = DMA_ATTR_CC_SHARED,
		},
		.properties = DMA_HEAP_PROP_CACHED |
			      DMA_HEAP_PROP_CPU_MAPPABLE |
			      DMA_HEAP_PROP_ZEROED,
		.init = system_heap_cc_init,
		.memory = {
			.prepare = system_heap_cc_prepare,
			.restore = system_heap_cc_restore,
		},
	},
#endif
};

/*
 * What pools keep. All parameters are under the module's parameter lock, and so
 * are the pools that they are for.
 */
static struct heap_pool_limits system_heap_limits = {
	.percent = 25,
	.idle_ms = 10000,
};

/* Whether the heap has a pool of its own where it exists */
static bool system_heap_owns_pool(const struct system_heap *sys)
{
	return sys->ops != &system_heap_contiguous_ops;
}

/* The heap's own pool, or NULL if there is none */
static struct heap_page_pool *system_heap_own_pool(const struct system_heap *sys)
{
	return system_heap_owns_pool(sys) ? sys->pool : NULL;
}

static void system_heap_limit_pools(void)
{
	struct heap_page_pool *pool;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(system_heaps); i++) {
		pool = system_heap_own_pool(&system_heaps[i]);
		if (pool)
			heap_page_pool_limit(pool);
	}
}

static int system_heap_set_percent(const char *val,
				   const struct kernel_param *kp)
{
	int ret = param_set_uint_minmax(val, kp, 0, 100);

	if (!ret)
		system_heap_limit_pools();
	return ret;
}

static int system_heap_set_idle_ms(const char *val,
				   const struct kernel_param *kp)
{
	int ret = param_set_uint_minmax(val, kp, 1, UINT_MAX);

	if (!ret)
		system_heap_limit_pools();
	return ret;
}

/* The heap of this name, if it has a pool of its own where it exists */
static struct system_heap *system_heap_of_pool(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(system_heaps); i++) {
		if (system_heap_owns_pool(&system_heaps[i]) &&
		    !strcmp(system_heaps[i].name, name))
			return &system_heaps[i];
	}
	return NULL;
}

/* The largest order that buffers have of the heap's pool */
static unsigned int system_heap_max_kept(const struct system_heap *sys)
{
	/* system-contiguous has those of the first heap */
	return sys == system_heaps ? HEAP_POOL_MAX_ORDER :
				     SYSTEM_HEAP_MAX_ORDER;
}

/*
 * Reads HEAP:ORDER:LOW/FILL/HIGH, or several of that with commas between them,
 * and sets the watermarks, and what of @set they are, unless that is NULL. Nothing
 * is allocated: a command line is read before that is possible. Returns 0, or
 * -EINVAL if something is wrong.
 */
static int system_heap_read_watermarks(const char *text,
				       bool (*set)[NR_PAGE_ORDERS])
{
	struct heap_pool_watermarks marks;
	struct system_heap *sys;
	unsigned int order;
	char name[32];
	int len;

	if (sysfs_streq(text, ""))
		return 0;

	do {
		len = 0;
		if (sscanf(text, "%31[^:]:%u:%lu/%lu/%lu%n", name, &order,
			   &marks.low, &marks.fill, &marks.high, &len) != 5)
			return -EINVAL;

		sys = system_heap_of_pool(name);
		if (!sys || order < sys->memory.min_order ||
		    order > system_heap_max_kept(sys) ||
		    marks.low > marks.fill || marks.fill > marks.high ||
		    !marks.high)
			return -EINVAL;

		if (set) {
			sys->watermarks[order] = marks;
			set[sys - system_heaps][order] = true;
		}
		text += len;
	} while (*text++ == ',');

	return sysfs_streq(text - 1, "") ? 0 : -EINVAL;
}

/* Orders that are not named have no watermarks any more */
static int system_heap_set_watermarks(const char *val,
				      const struct kernel_param *kp)
{
	bool set[ARRAY_SIZE(system_heaps)][NR_PAGE_ORDERS] = {};
	int ret = system_heap_read_watermarks(val, NULL);
	unsigned int i, order;

	if (ret)
		return ret;

	/* What stays as it is must not be gone for a moment */
	system_heap_read_watermarks(val, set);
	for (i = 0; i < ARRAY_SIZE(system_heaps); i++) {
		for (order = 0; order < NR_PAGE_ORDERS; order++) {
			if (!set[i][order])
				system_heaps[i].watermarks[order] =
					(struct heap_pool_watermarks){};
		}
	}
	system_heap_limit_pools();
	return 0;
}

/* The same as it is written */
static int system_heap_get_watermarks(char *buffer,
				      const struct kernel_param *kp)
{
	const struct heap_pool_watermarks *marks;
	unsigned int i, order;
	int len = 0;

	for (i = 0; i < ARRAY_SIZE(system_heaps); i++) {
		for (order = 0; order < NR_PAGE_ORDERS; order++) {
			marks = &system_heaps[i].watermarks[order];
			if (!marks->high)
				continue;
			len += scnprintf(buffer + len, PAGE_SIZE - len,
					 "%s%s:%u:%lu/%lu/%lu", len ? "," : "",
					 system_heaps[i].name, order,
					 marks->low, marks->fill, marks->high);
		}
	}
	return len + scnprintf(buffer + len, PAGE_SIZE - len, "\n");
}

static const struct kernel_param_ops system_heap_percent_ops = {
	.set = system_heap_set_percent,
	.get = param_get_uint,
};

static const struct kernel_param_ops system_heap_idle_ms_ops = {
	.set = system_heap_set_idle_ms,
	.get = param_get_uint,
};

static const struct kernel_param_ops system_heap_watermarks_ops = {
	.set = system_heap_set_watermarks,
	.get = system_heap_get_watermarks,
};

module_param_cb(pool_percent, &system_heap_percent_ops,
		&system_heap_limits.percent, 0644);
__MODULE_PARM_TYPE(pool_percent, "uint");
MODULE_PARM_DESC(pool_percent,
		 "Keep up to so much of each node's memory, in percent, of freed buffers for new ones; 0 to keep nothing (default: 25)");
module_param_cb(pool_idle_ms, &system_heap_idle_ms_ops,
		&system_heap_limits.idle_ms, 0644);
__MODULE_PARM_TYPE(pool_idle_ms, "uint");
MODULE_PARM_DESC(pool_idle_ms,
		 "Give back what was kept and not needed for so many milliseconds (default: 10000)");
module_param_cb(pool_watermarks, &system_heap_watermarks_ops, NULL, 0644);
__MODULE_PARM_TYPE(pool_watermarks, "string");
MODULE_PARM_DESC(pool_watermarks,
		 "Keep blocks of an order ready in a heap's pool, as HEAP:ORDER:LOW/FILL/HIGH,...: with fewer than LOW make new ones until there are FILL, above HIGH give them back (default: none)");

/* Empties all pools; returns how many pages that gave */
static unsigned long system_heap_drain_pools(void)
{
	unsigned long freed = 0;
	struct heap_page_pool *pool;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(system_heaps); i++) {
		pool = system_heap_own_pool(&system_heaps[i]);
		if (pool)
			freed += heap_page_pool_drain(pool);
	}
	return freed;
}

static int system_heap_add_pool(struct system_heap *sys)
{
	struct heap_page_pool *pool;

	if (!system_heap_owns_pool(sys)) {
		sys->pool = system_heaps[0].pool;
		return 0;
	}
	pool = heap_page_pool_create(sys->name, &sys->memory,
				     &system_heap_limits, sys->watermarks);
	if (!pool)
		return -ENOMEM;

	kernel_param_lock(THIS_MODULE);
	sys->pool = pool;
	/* It may be wanted filled from the beginning */
	heap_page_pool_limit(pool);
	kernel_param_unlock(THIS_MODULE);
	return 0;
}

static void system_heap_remove_pool(struct system_heap *sys)
{
	struct heap_page_pool *pool = system_heap_own_pool(sys);

	kernel_param_lock(THIS_MODULE);
	sys->pool = NULL;
	kernel_param_unlock(THIS_MODULE);
	heap_page_pool_destroy(pool);
}

/* Prepares for the heap, if this machine can have it: then it has a pool */
static int system_heap_set_up(struct system_heap *sys)
{
	int ret;

	ret = sys->init ? sys->init() : 0;
	if (ret)
		return ret == -ENODEV ? 0 : ret;

	ret = system_heap_add_pool(sys);
	if (ret && sys->exit)
		sys->exit();
	return ret;
}

static void system_heap_clean_up(struct system_heap *sys)
{
	if (!sys->pool)
		return;

	system_heap_remove_pool(sys);
	if (sys->exit)
		sys->exit();
}

static int system_heap_add(struct system_heap *sys)
{
	struct dma_heap_export_info exp_info = {
		.name = sys->name,
		.ops = sys->ops,
		.priv = sys,
		.heap_flags = heap_ecc_flags_of_ram(),
	};
	struct dma_heap *heap;

	if (!sys->pool)
		return 0;

	heap = dma_heap_add(&exp_info);
	if (IS_ERR(heap))
		return PTR_ERR(heap);

	sys->heap = heap;
	return 0;
}

/*
 * An allocation from any heap may use the pools of all, so they go last. There
 * is no buffer any more, since each pins this module.
 */
static void system_heap_remove_all(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(system_heaps); i++) {
		if (system_heaps[i].heap)
			dma_heap_remove(system_heaps[i].heap);
	}
	for (i = 0; i < ARRAY_SIZE(system_heaps); i++)
		system_heap_clean_up(&system_heaps[i]);
}

static int __init system_heap_init(void)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < ARRAY_SIZE(system_heaps) && !ret; i++)
		ret = system_heap_set_up(&system_heaps[i]);
	for (i = 0; i < ARRAY_SIZE(system_heaps) && !ret; i++)
		ret = system_heap_add(&system_heaps[i]);
	if (ret)
		system_heap_remove_all();
	return ret;
}
module_init(system_heap_init);

static void __exit system_heap_exit(void)
{
	system_heap_remove_all();
}
module_exit(system_heap_exit);

MODULE_DESCRIPTION("DMA-BUF system heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
MODULE_IMPORT_NS("DMA_BUF_HEAP");
