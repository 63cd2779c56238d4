// SPDX-License-Identifier: GPL-2.0
/*
 * CMA heaps: physically contiguous buffers from the areas of the contiguous
 * memory allocator
 */

#define pr_fmt(fmt) "cma_heap: " fmt

#include <linux/cma.h>
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/dma-map-ops.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <uapi/linux/dma-heap.h>

#include "heap-cma.h"
#include "heap-helpers.h"

/* The name of the default area's heap on every machine */
#define CMA_HEAP_DEFAULT_NAME	"default_cma_region"

/**
 * struct cma_heap - a heap over a CMA area
 * @cma:	the area
 * @memory:	its memory for buffers
 * @heap:	as registered
 * @node:	entry in cma_heaps, if it is not a driver's
 */
struct cma_heap {
	struct cma *cma;
	struct heap_cma *memory;
	struct dma_heap *heap;
	struct list_head node;
};

/* Changes only when the module comes and goes */
static LIST_HEAD(cma_heaps);

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

static struct dma_buf *cma_heap_allocate(struct dma_heap *heap,
					 unsigned long len, u32 fd_flags,
					 u64 heap_flags)
{
	unsigned int align = umin(get_order(len), CONFIG_CMA_ALIGNMENT);
	struct cma_heap *cma_heap = dma_heap_get_drvdata(heap);
	struct heap_buffer *buffer;
	struct heap_run *run;
	LIST_HEAD(runs);

	/* In vain, nothing that is kept should be given back */
	if (len > cma_get_size(cma_heap->cma))
		return ERR_PTR(-ENOMEM);

	run = heap_cma_alloc(cma_heap->memory, len >> PAGE_SHIFT, align);
	if (!run)
		return ERR_PTR(fatal_signal_pending(current) ? -EINTR : -ENOMEM);

	list_add(&run->node, &runs);
	buffer = heap_cma_create_buffer(heap, &runs);
	if (IS_ERR(buffer))
		return ERR_CAST(buffer);
	return heap_buffer_export(buffer, &cma_heap_buf_ops, THIS_MODULE,
				  fd_flags);
}

static void cma_heap_get_info(struct dma_heap *heap,
			      struct dma_heap_info *info)
{
	const struct cma_heap *cma_heap = dma_heap_get_drvdata(heap);

	info->properties = DMA_HEAP_PROP_CONTIGUOUS | DMA_HEAP_PROP_CACHED |
			   DMA_HEAP_PROP_CPU_MAPPABLE | DMA_HEAP_PROP_ZEROED;
	info->granularity = PAGE_SIZE;
	info->size = cma_get_size(cma_heap->cma);
	info->max_alloc = info->size;
}

static const struct dma_heap_ops cma_heap_ops = {
	.allocate = cma_heap_allocate,
	.get_info = cma_heap_get_info,
	.accounted = true,
};

/* Whether @node, a region of reserved memory, is the area of that name */
static bool cma_heap_is_node(const struct cma *cma,
			     const struct device_node *node)
{
	return node && !strcmp(cma_get_name(cma), kbasename(node->full_name));
}

/* The region of the device tree that is the area, for of_node_put(), or NULL */
static struct device_node *cma_heap_region(const struct cma *cma)
{
	struct device_node *parent, *np;

	parent = of_find_node_by_path("/reserved-memory");
	for_each_child_of_node(parent, np) {
		if (cma_heap_is_node(cma, np))
			break;
	}
	of_node_put(parent);
	return np;
}

static int cma_heap_register(struct cma_heap *cma_heap, const char *name)
{
	struct device_node *region = cma_heap_region(cma_heap->cma);
	struct dma_heap_export_info exp_info = {
		.name = name,
		.ops = &cma_heap_ops,
		.priv = cma_heap,
		.of_node = region,
		.heap_flags = heap_ecc_flags(region,
					     cma_get_base(cma_heap->cma),
					     cma_get_size(cma_heap->cma)),
	};

	cma_heap->heap = dma_heap_add(&exp_info);
	of_node_put(region);
	return PTR_ERR_OR_ZERO(cma_heap->heap);
}

/* Registers a heap for cma_heap_remove(), or returns ERR_PTR() */
static struct cma_heap *cma_heap_add(struct cma *cma, const char *name)
{
	struct heap_cma *memory = heap_cma_get(cma);
	struct cma_heap *cma_heap;
	int ret;

	if (!memory)
		return ERR_PTR(-ENOMEM);
	cma_heap = kzalloc_obj(*cma_heap);
	if (!cma_heap)
		return ERR_PTR(-ENOMEM);
	cma_heap->cma = cma;
	cma_heap->memory = memory;

	ret = cma_heap_register(cma_heap, name);
	if (ret) {
		kfree(cma_heap);
		return ERR_PTR(ret);
	}
	return cma_heap;
}

static void cma_heap_remove(void *data)
{
	struct cma_heap *cma_heap = data;

	dma_heap_remove(cma_heap->heap);
	kfree(cma_heap);
}

/**
 * devm_cma_heap_add - register a heap over a CMA area until a driver is unbound
 * @dev:	device whose driver offers the area
 * @name:	of the heap, see dma_heap_add(); copied
 * @cma:	the area, which may have other users
 *
 * Context: process context, may sleep.
 *
 * Return: the heap, which is removed with the device's resources, or
 * ERR_PTR(): -ENOMEM, or as dma_heap_add() returns it.
 */
struct dma_heap *devm_cma_heap_add(struct device *dev, const char *name,
				   struct cma *cma)
{
	struct cma_heap *cma_heap;
	int ret;

	cma_heap = cma_heap_add(cma, name);
	if (IS_ERR(cma_heap))
		return ERR_CAST(cma_heap);

	ret = devm_add_action_or_reset(dev, cma_heap_remove, cma_heap);
	return ret ? ERR_PTR(ret) : cma_heap->heap;
}
EXPORT_SYMBOL_NS_GPL(devm_cma_heap_add, "DMA_BUF_HEAP");

/*
 * Whether the area's node is one that a chunk heap is described to be over: the
 * name of the area is for that heap, whether or when its driver comes up.
 */
static bool __init cma_heap_is_chunked(const struct cma *cma)
{
	struct device_node *np, *region;
	bool found = false;

	for_each_compatible_node(np, NULL, "dma_heap,chunk") {
		region = of_parse_phandle(np, "memory-region", 0);
		if (of_device_is_available(np) && cma_heap_is_node(cma, region))
			found = true;
		of_node_put(region);
	}
	return found;
}

/* An area whose heap cannot be added is left out; it was said why */
static void __init cma_heap_add_area(struct cma *cma, const char *name)
{
	struct cma_heap *cma_heap = cma_heap_add(cma, name);

	if (!IS_ERR(cma_heap))
		list_add_tail(&cma_heap->node, &cma_heaps);
}

/*
 * The default area has two heaps: one by the name that is the same everywhere,
 * one by its own.
 */
static int __init cma_heap_init(void)
{
	struct cma *cma = dev_get_cma_area(NULL);
	unsigned int i;

	if (cma)
		cma_heap_add_area(cma, CMA_HEAP_DEFAULT_NAME);

	for (i = 0; (cma = dma_contiguous_get_area_by_idx(i)); i++) {
		if (!cma_heap_is_chunked(cma))
			cma_heap_add_area(cma, cma_get_name(cma));
	}
	return 0;
}
module_init(cma_heap_init);

static void __exit cma_heap_exit(void)
{
	struct cma_heap *cma_heap, *next;

	list_for_each_entry_safe(cma_heap, next, &cma_heaps, node) {
		list_del(&cma_heap->node);
		cma_heap_remove(cma_heap);
	}
}
module_exit(cma_heap_exit);

MODULE_DESCRIPTION("DMA-BUF CMA heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
MODULE_IMPORT_NS("DMA_BUF_HEAP");
