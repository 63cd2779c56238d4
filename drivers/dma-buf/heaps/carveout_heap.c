// SPDX-License-Identifier: GPL-2.0
/*
 * Carveout heaps: physically contiguous buffers from memory that was set aside
 * for them, whether the CPU has it mapped, may map it, or may not touch it
 */

#define pr_fmt(fmt) "carveout_heap: " fmt

#include <linux/align.h>
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/find.h>
#include <linux/genalloc.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/of.h>
#include <linux/of_reserved_mem.h>
#include <linux/pgtable.h>
#include <linux/slab.h>
#include <uapi/linux/dma-heap.h>

#include "heap-helpers.h"

/**
 * struct carveout - a region that buffers are cut out of
 * @ref:	of the heap and of each buffer, which may live longer
 * @pool:	which pages are free, counted from carveout_base()
 * @placing:	held to take pages out of @pool: of two that choose the same place
 *		one would search on behind it, where there may be nothing
 * @start:	physical address; never changes
 * @size:	in bytes; never changes
 * @kind:	of memory; never changes
 * @heap:	as registered
 * @node:	entry in carveouts
 */
struct carveout {
	struct kref ref;
	struct gen_pool *pool;
	struct mutex placing;	/* no other lock is taken under it */
	phys_addr_t start;
	size_t size;
	enum carveout_heap_kind kind;
	struct dma_heap *heap;
	struct list_head node;
};

/* Protects carveouts, in which there are also those whose heap was removed */
static DEFINE_MUTEX(carveouts_lock);
static LIST_HEAD(carveouts);

/*
 * From where the pool counts: a PMD begins where one does in memory, and nothing
 * is at 0, the pool's word for no memory
 */
static unsigned long carveout_base(phys_addr_t start)
{
	return PMD_SIZE + (start & ~PMD_MASK);
}

static void carveout_release(struct kref *ref)
{
	struct carveout *carveout = container_of(ref, struct carveout, ref);

	mutex_lock(&carveouts_lock);
	list_del(&carveout->node);
	mutex_unlock(&carveouts_lock);

	gen_pool_destroy(carveout->pool);
	kfree(carveout);
}

static void carveout_put(struct carveout *carveout)
{
	kref_put(&carveout->ref, carveout_release);
}

static void carveout_heap_free(struct heap_buffer *buffer)
{
	struct carveout *carveout = buffer->priv;

	if (buffer->nr_extents)
		gen_pool_free(carveout->pool,
			      buffer->extents[0].start - carveout->start +
			      carveout_base(carveout->start), buffer->size);
	carveout_put(carveout);
}

static const struct dma_buf_ops carveout_heap_buf_ops = {
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

static int protected_heap_cpu_access(struct dma_buf *dmabuf,
				     enum dma_data_direction dir)
{
	return -EPERM;
}

static int protected_heap_mmap(struct dma_buf *dmabuf,
			       struct vm_area_struct *vma)
{
	return -EPERM;
}

/* Without vmap, since the dma-buf core takes its failure for a bug */
static const struct dma_buf_ops protected_heap_buf_ops = {
	.attach = heap_buffer_attach,
	.detach = heap_buffer_detach,
	.map_dma_buf = heap_buffer_map,
	.unmap_dma_buf = heap_buffer_unmap,
	.begin_cpu_access = protected_heap_cpu_access,
	.end_cpu_access = protected_heap_cpu_access,
	.mmap = protected_heap_mmap,
	.release = heap_buffer_release,
};

/* What is different from one kind of carveout to the other */
static const struct {
	struct heap_backing backing;
	const struct dma_buf_ops *ops;
	u64 properties;
} carveout_kinds[] = {
	[CARVEOUT_HEAP_CACHED] = {
		.backing = {
			.free = carveout_heap_free,
			.access = HEAP_ACCESS_LINEAR,
		},
		.ops = &carveout_heap_buf_ops,
		.properties = DMA_HEAP_PROP_CACHED | DMA_HEAP_PROP_ZEROED |
			      DMA_HEAP_PROP_CPU_MAPPABLE,
	},
	[CARVEOUT_HEAP_WC] = {
		.backing = {
			.free = carveout_heap_free,
			.access = HEAP_ACCESS_WC,
			.dma_attrs = DMA_ATTR_SKIP_CPU_SYNC,
		},
		.ops = &carveout_heap_buf_ops,
		.properties = DMA_HEAP_PROP_ZEROED | DMA_HEAP_PROP_CPU_MAPPABLE,
	},
	[CARVEOUT_HEAP_DEVICE] = {
		.backing = {
			.free = carveout_heap_free,
			.access = HEAP_ACCESS_DEVICE,
			.dma_attrs = DMA_ATTR_SKIP_CPU_SYNC,
		},
		.ops = &carveout_heap_buf_ops,
		.properties = DMA_HEAP_PROP_ZEROED | DMA_HEAP_PROP_CPU_MAPPABLE,
	},
	[CARVEOUT_HEAP_PROTECTED] = {
		.backing = {
			.free = carveout_heap_free,
			.access = HEAP_ACCESS_NONE,
			.dma_attrs = DMA_ATTR_SKIP_CPU_SYNC,
		},
		.ops = &protected_heap_buf_ops,
		.properties = DMA_HEAP_PROP_PROTECTED,
	},
};

/*
 * Takes @len bytes into @buffer, zeroed if a CPU may touch them. Returns
 * -ENOMEM if there is no such run, -EINTR if the caller was killed.
 */
static int carveout_heap_take(struct carveout *carveout,
			      struct heap_buffer *buffer, unsigned long len)
{
	unsigned long addr;

	scoped_guard(mutex, &carveout->placing)
		addr = gen_pool_alloc(carveout->pool, len);
	if (!addr)
		return -ENOMEM;

	heap_buffer_add_extent(buffer, carveout->start + addr -
				       carveout_base(carveout->start), len);
	if (carveout->kind == CARVEOUT_HEAP_PROTECTED)
		return 0;

	return heap_buffer_clear(buffer);
}

static struct dma_buf *carveout_heap_allocate(struct dma_heap *heap,
					      unsigned long len, u32 fd_flags,
					      u64 heap_flags)
{
	struct carveout *carveout = dma_heap_get_drvdata(heap);
	struct heap_buffer *buffer;
	int ret;

	buffer = heap_buffer_create(heap,
				    &carveout_kinds[carveout->kind].backing, 1);
	if (!buffer)
		return ERR_PTR(-ENOMEM);
	/* A reference of the buffer's own, which carveout_heap_free() drops */
	kref_get(&carveout->ref);
	buffer->priv = carveout;

	ret = carveout_heap_take(carveout, buffer, len);
	if (ret) {
		heap_buffer_destroy(buffer);
		return ERR_PTR(ret);
	}
	return heap_buffer_export(buffer, carveout_kinds[carveout->kind].ops,
				  THIS_MODULE, fd_flags);
}

static void carveout_heap_get_info(struct dma_heap *heap,
				   struct dma_heap_info *info)
{
	const struct carveout *carveout = dma_heap_get_drvdata(heap);

	info->properties = carveout_kinds[carveout->kind].properties |
			   DMA_HEAP_PROP_CONTIGUOUS;
	info->granularity = PAGE_SIZE;
	info->size = carveout->size;
	info->max_alloc = carveout->size;
}

static const struct dma_heap_ops carveout_heap_ops = {
	.allocate = carveout_heap_allocate,
	.get_info = carveout_heap_get_info,
	.accounted = true,
};

/*
 * As gen_pool_best_fit(), which takes the shortest gap that fits. A small buffer
 * gets its end, and a large one the side on which it begins where a PMD does, if
 * there is one: large buffers of whole PMDs do so then, and nothing is lost for it.
 */
static unsigned long carveout_fit(unsigned long *map, unsigned long size,
				  unsigned long start, unsigned int nr,
				  void *data, struct gen_pool *pool,
				  unsigned long start_addr)
{
	unsigned long base = start_addr >> PAGE_SHIFT, first, last;

	first = gen_pool_best_fit(map, size, start, nr, data, pool, start_addr);
	if (first >= size)
		return first;

	last = find_next_bit(map, size, first + nr) - nr;
	if (nr < 1UL << PMD_ORDER)
		return last;
	if (!IS_ALIGNED(base + first, 1UL << PMD_ORDER) &&
	    IS_ALIGNED(base + last, 1UL << PMD_ORDER))
		return last;
	return first;
}

/* A pool of @size bytes from @base on, all free, or NULL */
static struct gen_pool *carveout_pool_create(unsigned long base, size_t size)
{
	struct gen_pool *pool = gen_pool_create(PAGE_SHIFT, NUMA_NO_NODE);

	if (!pool)
		return NULL;
	/* Small buffers shall fill gaps and leave long runs whole */
	gen_pool_set_algo(pool, carveout_fit, NULL);

	if (gen_pool_add(pool, base, size, NUMA_NO_NODE)) {
		gen_pool_destroy(pool);
		return NULL;
	}
	return pool;
}

/*
 * Enters @carveout in the list, unless another has a part of the same memory:
 * one that is registered, or one whose last buffers are still in use.
 */
static int carveout_claim(struct carveout *carveout)
{
	struct carveout *other;

	guard(mutex)(&carveouts_lock);

	list_for_each_entry(other, &carveouts, node) {
		if (carveout->start < other->start + other->size &&
		    other->start < carveout->start + carveout->size)
			return -EBUSY;
	}
	list_add_tail(&carveout->node, &carveouts);
	return 0;
}

/*
 * Returns a carveout with all its memory free and without a heap, whose
 * reference is the caller's, or ERR_PTR()
 */
static struct carveout *carveout_create(const struct carveout_heap_info *info)
{
	struct carveout *carveout;
	int ret;

	carveout = kzalloc_obj(*carveout);
	if (!carveout)
		return ERR_PTR(-ENOMEM);

	kref_init(&carveout->ref);
	mutex_init(&carveout->placing);
	carveout->start = info->start;
	carveout->size = info->size;
	carveout->kind = info->kind;
	carveout->pool = carveout_pool_create(carveout_base(info->start),
					      info->size);
	if (!carveout->pool) {
		kfree(carveout);
		return ERR_PTR(-ENOMEM);
	}

	ret = carveout_claim(carveout);
	if (ret) {
		pr_err("cannot add heap %s: other buffers have memory at %pa\n",
		       info->name, &info->start);
		gen_pool_destroy(carveout->pool);
		kfree(carveout);
		return ERR_PTR(ret);
	}
	return carveout;
}

/*
 * Whether the kernel has all of the memory mapped where the CPU shall use that,
 * and else none of it: no-map may have been too late for memory that was
 * reserved before, and a region may lie in memory that the kernel does not use.
 */
static bool carveout_has_access(const struct carveout_heap_info *info)
{
	int mapped = region_intersects(info->start, info->size,
				       IORESOURCE_SYSTEM_RAM, IORES_DESC_NONE);

	if (info->kind == CARVEOUT_HEAP_CACHED)
		return mapped == REGION_INTERSECTS;
	return mapped == REGION_DISJOINT;
}

/* Registers a heap for carveout_remove(), or returns ERR_PTR() and says why */
static struct carveout *carveout_add(const struct carveout_heap_info *info)
{
	struct dma_heap_export_info exp_info = {
		.name = info->name,
		.ops = &carveout_heap_ops,
	};
	struct carveout *carveout;
	struct dma_heap *heap;

	if (!info->size || !PAGE_ALIGNED(info->start | info->size)) {
		pr_err("cannot add heap %s: %pa bytes at %pa are not whole pages\n",
		       info->name, &(phys_addr_t){ info->size }, &info->start);
		return ERR_PTR(-EINVAL);
	}
	if (!carveout_has_access(info)) {
		pr_err("cannot add heap %s: the kernel %s the memory at %pa\n",
		       info->name, info->kind == CARVEOUT_HEAP_CACHED ?
		       "does not map" : "maps", &info->start);
		return ERR_PTR(-EINVAL);
	}

	carveout = carveout_create(info);
	if (IS_ERR(carveout))
		return carveout;

	exp_info.priv = carveout;
	exp_info.of_node = info->region;
	exp_info.heap_flags = heap_ecc_flags(info->region, info->start,
					     info->size);
	heap = dma_heap_add(&exp_info);
	if (IS_ERR(heap)) {
		carveout_put(carveout);
		return ERR_CAST(heap);
	}
	carveout->heap = heap;
	return carveout;
}

static void carveout_remove(void *data)
{
	struct carveout *carveout = data;

	dma_heap_remove(carveout->heap);
	carveout_put(carveout);
}

/**
 * devm_carveout_heap_add - register a heap over a region until a driver is
 *	unbound
 * @dev:	device whose driver owns the region
 * @info:	describes the region; needed during the call only
 *
 * The region is the heap's from here on, and the memory of each buffer that
 * exists when the heap is removed stays in use as long as the buffer does.
 *
 * Context: process context, may sleep.
 *
 * Return: the heap, which is removed with the device's resources, or
 * ERR_PTR(): -EINVAL if the region is not of whole pages, or if the kernel maps
 * memory of it where the kind says that it is not mapped, or the reverse;
 * -EBUSY if another heap has memory of it, or one had that was removed and
 * there still are buffers; -ENOMEM; or as dma_heap_add() returns it.
 */
struct dma_heap *devm_carveout_heap_add(struct device *dev,
					const struct carveout_heap_info *info)
{
	struct carveout *carveout;
	int ret;

	carveout = carveout_add(info);
	if (IS_ERR(carveout))
		return ERR_CAST(carveout);

	ret = devm_add_action_or_reset(dev, carveout_remove, carveout);
	return ret ? ERR_PTR(ret) : carveout->heap;
}
EXPORT_SYMBOL_NS_GPL(devm_carveout_heap_add, "DMA_BUF_HEAP");

/*
 * Regions of the device tree
 */

/* Registers the heap that @np asks for; returns 0 also if it asks for none */
static int __init carveout_add_node(struct device_node *np)
{
	bool protected = of_device_is_compatible(np, "dma-heap-protected");
	bool no_map = of_property_read_bool(np, "no-map");
	struct carveout_heap_info info = { .region = np };
	struct reserved_mem *rmem;
	struct carveout *carveout;
	char *name;

	if (!protected && !of_device_is_compatible(np, "dma-heap-carveout"))
		return 0;

	rmem = of_reserved_mem_lookup(np);
	if (!rmem) {
		pr_err("%pOF: no memory was reserved for it\n", np);
		return -EINVAL;
	}
	if (protected && !no_map) {
		pr_err("%pOF: protected memory must have the property no-map\n",
		       np);
		return -EINVAL;
	}

	name = kasprintf(GFP_KERNEL, "%s%s", protected ? "protected," : "",
			 kbasename(np->full_name));
	if (!name)
		return -ENOMEM;

	info.name = name;
	info.start = rmem->base;
	info.size = rmem->size;
	if (protected)
		info.kind = CARVEOUT_HEAP_PROTECTED;
	else if (no_map)
		info.kind = CARVEOUT_HEAP_WC;
	carveout = carveout_add(&info);
	kfree(name);
	return PTR_ERR_OR_ZERO(carveout);
}

/*
 * A region whose heap cannot be added does not keep the others from coming up;
 * it was said why.
 */
static int __init carveout_heap_init(void)
{
	struct device_node *parent, *np;

	parent = of_find_node_by_path("/reserved-memory");
	for_each_available_child_of_node(parent, np)
		carveout_add_node(np);
	of_node_put(parent);

	return 0;
}
module_init(carveout_heap_init);

/* No buffer and no driver's heap is there any more: each pins this module */
static void __exit carveout_heap_exit(void)
{
	struct carveout *carveout, *next;

	list_for_each_entry_safe(carveout, next, &carveouts, node)
		carveout_remove(carveout);
}
module_exit(carveout_heap_exit);

MODULE_DESCRIPTION("DMA-BUF carveout heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
MODULE_IMPORT_NS("DMA_BUF_HEAP");
