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
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pgtable.h>
#include <linux/platform_device.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/set_memory.h>
#include <linux/swiotlb.h>
#include <uapi/linux/dma-heap.h>

#include "heap-helpers.h"

/* Larger blocks than what a PMD maps make no mapping cheaper */
#define SYSTEM_HEAP_MAX_ORDER	umin(MAX_PAGE_ORDER, PMD_ORDER)

/**
 * struct system_heap - a heap of buddy pages
 * @name:	of the heap
 * @ops:	its operations
 * @backing:	what is different about its memory, for the shared buffer
 * @properties:	DMA_HEAP_PROP_ that its memory has
 * @init:	prepares for such memory; -ENODEV if this machine has none;
 *		optional
 * @exit:	undoes @init; optional
 * @prepare:	makes a zeroed block such memory; optional
 * @restore:	makes it ordinary memory again, also if @prepare failed on it;
 *		if this fails, the block must not be used any more; optional
 * @heap:	as registered, or NULL
 */
struct system_heap {
	const char *name;
	const struct dma_heap_ops *ops;
	struct heap_backing backing;
	u64 properties;
	int (*init)(void);
	void (*exit)(void);
	int (*prepare)(struct page *page);
	int (*restore)(struct page *page);
	struct dma_heap *heap;
};

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

/* Returns a zeroed block of at most @max_order, the largest to be had */
static struct page *system_heap_alloc_block(unsigned int max_order)
{
	int order;

	for (order = max_order; order >= 0; order--) {
		struct page *page = alloc_pages(system_heap_gfp(order), order);

		if (page)
			return page;
	}
	return NULL;
}

static void system_heap_free_block(const struct system_heap *sys,
				   struct page *page)
{
	/* Lost is better than handed to somebody who thinks it private */
	if (sys->restore && sys->restore(page))
		return;

	__free_pages(page, compound_order(page));
}

static void system_heap_free_blocks(const struct system_heap *sys,
				    struct list_head *blocks)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, blocks, lru) {
		list_del(&page->lru);
		system_heap_free_block(sys, page);
	}
}

/*
 * Makes a zeroed block the heap's kind of memory. To split the kernel's own
 * mapping takes a page table, one for many blocks. If there is no other memory
 * left it comes from the reserves, since the OOM killer would be called for it.
 */
static int system_heap_prepare_block(const struct system_heap *sys,
				     struct page *page)
{
	unsigned int flags;
	int ret;

	if (!sys->prepare)
		return 0;

	flags = memalloc_noreclaim_save();
	ret = sys->prepare(page);
	memalloc_noreclaim_restore(flags);
	return ret;
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
	unsigned int max_order = SYSTEM_HEAP_MAX_ORDER;
	int count = 0;

	while (nr_pages) {
		struct page *page;
		int ret;

		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;

		/* What could not be had is not asked for again */
		max_order = umin(max_order, ilog2(nr_pages));
		page = system_heap_alloc_block(max_order);
		if (!page)
			return -ENOMEM;

		list_add_tail(&page->lru, blocks);
		max_order = compound_order(page);
		nr_pages -= 1UL << max_order;
		count++;

		ret = system_heap_prepare_block(sys, page);
		if (ret)
			return ret;
	}
	return count;
}

static void system_heap_free(struct heap_buffer *buffer)
{
	const struct system_heap *sys = dma_heap_get_drvdata(buffer->heap);
	unsigned int i;

	for (i = 0; i < buffer->nr_extents; i++) {
		unsigned long pfn = PHYS_PFN(buffer->extents[i].start);
		unsigned long end = pfn + PHYS_PFN(buffer->extents[i].size);

		/* An extent may consist of several blocks in a row */
		while (pfn < end) {
			struct page *page = pfn_to_page(pfn);

			pfn += compound_nr(page);
			system_heap_free_block(sys, page);
		}
	}
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
	system_heap_free_blocks(sys, &blocks);
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
	if (buffer->nr_extents)
		free_pages_exact(phys_to_virt(buffer->extents[0].start),
				 buffer->size);
}

/* Reclaims and compacts for a long run, but does not kill for it */
static gfp_t system_heap_contiguous_gfp(void)
{
	gfp_t gfp = GFP_KERNEL | __GFP_ZERO | __GFP_RETRY_MAYFAIL |
		    __GFP_NOWARN;

	return mem_accounting ? gfp | __GFP_ACCOUNT : gfp;
}

static struct dma_buf *
system_heap_contiguous_allocate(struct dma_heap *heap, unsigned long len,
				u32 fd_flags, u64 heap_flags)
{
	struct system_heap *sys = dma_heap_get_drvdata(heap);
	struct heap_buffer *buffer;
	void *run;

	if (len > SYSTEM_HEAP_CONTIGUOUS_MAX)
		return ERR_PTR(-ENOMEM);

	buffer = heap_buffer_create(heap, &sys->backing, 1);
	if (!buffer)
		return ERR_PTR(-ENOMEM);

	run = alloc_pages_exact(len, system_heap_contiguous_gfp());
	if (!run) {
		heap_buffer_destroy(buffer);
		return ERR_PTR(fatal_signal_pending(current) ? -EINTR : -ENOMEM);
	}
	heap_buffer_add_extent(buffer, virt_to_phys(run), len);
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

/* Whatever the caches hold of it, the next owner writes before it reads */
static int system_heap_uncached_restore(struct page *page)
{
	return 0;
}
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
	},
	{
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
		.prepare = system_heap_uncached_prepare,
		.restore = system_heap_uncached_restore,
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
		.prepare = system_heap_cc_prepare,
		.restore = system_heap_cc_restore,
	},
#endif
};

/* Registers the heap, if this machine can have it */
static int system_heap_add(struct system_heap *sys)
{
	struct dma_heap_export_info exp_info = {
		.name = sys->name,
		.ops = sys->ops,
		.priv = sys,
		.heap_flags = heap_ecc_flags_of_ram(),
	};
	struct dma_heap *heap;
	int ret;

	ret = sys->init ? sys->init() : 0;
	if (ret)
		return ret == -ENODEV ? 0 : ret;

	heap = dma_heap_add(&exp_info);
	if (IS_ERR(heap)) {
		if (sys->exit)
			sys->exit();
		return PTR_ERR(heap);
	}
	sys->heap = heap;
	return 0;
}

static void system_heap_remove(struct system_heap *sys)
{
	if (!sys->heap)
		return;

	dma_heap_remove(sys->heap);
	if (sys->exit)
		sys->exit();
}

static void system_heap_remove_all(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(system_heaps); i++)
		system_heap_remove(&system_heaps[i]);
}

static int __init system_heap_init(void)
{
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(system_heaps); i++) {
		ret = system_heap_add(&system_heaps[i]);
		if (ret) {
			system_heap_remove_all();
			return ret;
		}
	}
	return 0;
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
