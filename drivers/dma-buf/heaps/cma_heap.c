// SPDX-License-Identifier: GPL-2.0
/*
 * CMA heaps: physically contiguous buffers from the areas of the contiguous
 * memory allocator
 */

#define pr_fmt(fmt) "cma_heap: " fmt

#include <linux/cma.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/dma-map-ops.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "heap-helpers.h"

/* The name of the default area's heap on every machine */
#define CMA_HEAP_DEFAULT_NAME	"default_cma_region"

/**
 * struct cma_heap - a heap over a CMA area
 * @cma:	the area
 * @heap:	as registered
 * @node:	entry in cma_heaps
 */
struct cma_heap {
	struct cma *cma;
	struct dma_heap *heap;
	struct list_head node;
};

/* Changes only when the module comes and goes */
static LIST_HEAD(cma_heaps);

static void cma_heap_free(struct heap_buffer *buffer)
{
	/* The heap may be gone, its area never is */
	struct cma *cma = buffer->priv;

	cma_release(cma, phys_to_page(buffer->extents[0].start),
		    buffer->size >> PAGE_SHIFT);
}

static const struct heap_backing cma_heap_backing = {
	.free = cma_heap_free,
};

static const struct dma_buf_ops cma_heap_buf_ops = {
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

/*
 * Returns a zeroed run of @nr_pages pages, or ERR_PTR(): -ENOMEM if there is
 * none, -EINTR if the caller was killed.
 */
static struct page *cma_heap_alloc_run(struct cma *cma, unsigned long nr_pages)
{
	unsigned int align = umin(get_order(nr_pages << PAGE_SHIFT),
				  CONFIG_CMA_ALIGNMENT);
	struct page *page;
	int ret;

	/* Without a warning: user space could fill the log with them */
	page = cma_alloc(cma, nr_pages, align, true);
	if (!page)
		return ERR_PTR(fatal_signal_pending(current) ? -EINTR : -ENOMEM);

	ret = heap_clear_pages(page, nr_pages);
	if (ret) {
		cma_release(cma, page, nr_pages);
		return ERR_PTR(ret);
	}
	return page;
}

static struct dma_buf *cma_heap_allocate(struct dma_heap *heap,
					 unsigned long len, u32 fd_flags,
					 u64 heap_flags)
{
	struct cma_heap *cma_heap = dma_heap_get_drvdata(heap);
	struct heap_buffer *buffer;
	struct page *page;

	buffer = heap_buffer_create(heap, &cma_heap_backing, 1);
	if (!buffer)
		return ERR_PTR(-ENOMEM);
	buffer->priv = cma_heap->cma;

	page = cma_heap_alloc_run(cma_heap->cma, len >> PAGE_SHIFT);
	if (IS_ERR(page)) {
		heap_buffer_destroy(buffer);
		return ERR_CAST(page);
	}
	/* From here on the run is the buffer's */
	heap_buffer_add_extent(buffer, page_to_phys(page), len);

	return heap_buffer_export(buffer, &cma_heap_buf_ops, THIS_MODULE,
				  fd_flags);
}

static const struct dma_heap_ops cma_heap_ops = {
	.allocate = cma_heap_allocate,
	.accounted = true,
};

static int cma_heap_add(struct cma *cma, const char *name)
{
	struct dma_heap_export_info exp_info = {
		.name = name,
		.ops = &cma_heap_ops,
	};
	struct cma_heap *cma_heap;

	cma_heap = kzalloc_obj(*cma_heap);
	if (!cma_heap)
		return -ENOMEM;
	cma_heap->cma = cma;

	exp_info.priv = cma_heap;
	cma_heap->heap = dma_heap_add(&exp_info);
	if (IS_ERR(cma_heap->heap)) {
		int ret = PTR_ERR(cma_heap->heap);

		kfree(cma_heap);
		return ret;
	}

	list_add_tail(&cma_heap->node, &cma_heaps);
	return 0;
}

/*
 * The default area has two heaps: one by the name that is the same everywhere,
 * one by its own. An area whose heap cannot be added does not keep the others
 * from coming up; dma_heap_add() has said why.
 */
static int __init cma_heap_init(void)
{
	struct cma *cma = dev_get_cma_area(NULL);
	unsigned int i;

	if (cma)
		cma_heap_add(cma, CMA_HEAP_DEFAULT_NAME);

	for (i = 0; (cma = dma_contiguous_get_area_by_idx(i)); i++)
		cma_heap_add(cma, cma_get_name(cma));

	return 0;
}
module_init(cma_heap_init);

static void __exit cma_heap_exit(void)
{
	struct cma_heap *cma_heap, *next;

	list_for_each_entry_safe(cma_heap, next, &cma_heaps, node) {
		list_del(&cma_heap->node);
		dma_heap_remove(cma_heap->heap);
		kfree(cma_heap);
	}
}
module_exit(cma_heap_exit);

MODULE_DESCRIPTION("DMA-BUF CMA heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
MODULE_IMPORT_NS("DMA_BUF_HEAP");
