// SPDX-License-Identifier: GPL-2.0
/*
 * Chunk heaps: buffers made of chunks of one size, each aligned to it, from an
 * area of the contiguous memory allocator
 */

#include <linux/bitops.h>
#include <linux/cma.h>
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/of.h>
#include <linux/of_reserved_mem.h>
#include <linux/platform_device.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <kunit/visibility.h>
#include <uapi/linux/dma-heap.h>

#include "heap-cma.h"
#include "heap-helpers.h"
#include "tests/internals.h"

/*
 * A page may be in use for a moment, as by a thread that was preempted while it
 * looked at it. Before a request fails it waits so many times for so long.
 */
#define CHUNK_HEAP_WAITS	3
#define CHUNK_HEAP_WAIT		msecs_to_jiffies(20)

/**
 * struct chunk_heap - a heap of chunks
 * @area:	that they are from; never changes
 * @order:	of a chunk, in pages; never changes
 * @align_order: to which the first chunk of the area is aligned, in pages;
 *		never changes
 * @size:	of all chunks of the area together, in bytes; never changes
 * @gathering:	held by the one who takes chunks out of the area
 */
struct chunk_heap {
	struct heap_cma *area;
	unsigned int order;
	unsigned int align_order;
	size_t size;
	struct mutex gathering;	/* taken before any lock of CMA */
};

/*
 * Takes @nr_chunks chunks, in long runs if these are to be had, and puts them on
 * @runs. Returns how many, or -ENOMEM, or -EINTR if the caller was killed; @runs
 * is the caller's to give back then too.
 *
 * What is kept of former buffers comes first, since it can be had at once.
 *
 * cma_alloc() tries a run at one place after another, in steps of its alignment,
 * and empties each as far as it can before it sees that a page will not move.
 * To do that in steps of a chunk would take for ever. The whole request is
 * therefore aligned no better than the area is, so that all of the area can be
 * had as one run, and once that failed, each run to its own size.
 */
static int chunk_heap_take_runs(const struct chunk_heap *chunk_heap,
				unsigned long nr_chunks, struct list_head *runs)
{
	unsigned int align_order = chunk_heap->align_order;
	unsigned int order = chunk_heap->order;
	unsigned long most = nr_chunks, unit;
	int count = 0, waits = 0;
	struct heap_run *run;

	lockdep_assert_held(&chunk_heap->gathering);

	/* One that is all of it, else what fits */
	for (unit = nr_chunks << order; nr_chunks; unit = 1UL << order) {
		run = heap_cma_take(chunk_heap->area, nr_chunks << order, unit,
				    order);
		if (run) {
			list_add_tail(&run->node, runs);
			nr_chunks -= run->nr_pages >> order;
			count++;
		} else if (unit == 1UL << order) {
			break;
		}
	}

	while (nr_chunks) {
		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;

		/* What could not be had is not asked for again */
		most = min(most, nr_chunks);
		run = heap_cma_alloc_run(chunk_heap->area, most << order,
					 min(order + ilog2(most), align_order));
		if (run) {
			list_add_tail(&run->node, runs);
			nr_chunks -= most;
			count++;
		} else if (most > 1) {
			most = roundup_pow_of_two(most) / 2;
			align_order = UINT_MAX;
		} else if (waits++ < CHUNK_HEAP_WAITS) {
			schedule_timeout_killable(CHUNK_HEAP_WAIT);
		} else {
			return -ENOMEM;
		}
	}
	return count;
}

/*
 * As chunk_heap_take_runs(), but leaves nothing on @runs if it fails. One request
 * at a time: of two that take in turn what suffices for one, both would fail.
 */
VISIBLE_IF_KUNIT int chunk_heap_gather(struct chunk_heap *chunk_heap,
				       unsigned long nr_chunks,
				       struct list_head *runs)
{
	int ret;

	if (mutex_lock_killable(&chunk_heap->gathering))
		return -EINTR;

	ret = chunk_heap_take_runs(chunk_heap, nr_chunks, runs);
	if (ret < 0)
		heap_cma_free(runs);

	mutex_unlock(&chunk_heap->gathering);
	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(chunk_heap_gather);

static const struct dma_buf_ops chunk_heap_buf_ops = {
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

static struct dma_buf *chunk_heap_allocate(struct dma_heap *heap,
					   unsigned long len, u32 fd_flags,
					   u64 heap_flags)
{
	struct chunk_heap *chunk_heap = dma_heap_get_drvdata(heap);
	size_t chunk = PAGE_SIZE << chunk_heap->order;
	struct heap_buffer *buffer;
	LIST_HEAD(runs);
	int ret;

	/* Nobody needs to be moved for what there is no room for */
	if (len > chunk_heap->size)
		return ERR_PTR(-ENOMEM);

	ret = chunk_heap_gather(chunk_heap, DIV_ROUND_UP(len, chunk), &runs);
	if (ret < 0)
		return ERR_PTR(ret);

	buffer = heap_cma_create_buffer(heap, &runs);
	if (IS_ERR(buffer))
		return ERR_CAST(buffer);
	return heap_buffer_export(buffer, &chunk_heap_buf_ops, THIS_MODULE,
				  fd_flags);
}

static void chunk_heap_get_info(struct dma_heap *heap,
				struct dma_heap_info *info)
{
	const struct chunk_heap *chunk_heap = dma_heap_get_drvdata(heap);

	info->properties = DMA_HEAP_PROP_CACHED | DMA_HEAP_PROP_CPU_MAPPABLE |
			   DMA_HEAP_PROP_ZEROED;
	info->granularity = PAGE_SIZE << chunk_heap->order;
	info->size = chunk_heap->size;
	info->max_alloc = chunk_heap->size;
}

static const struct dma_heap_ops chunk_heap_ops = {
	.allocate = chunk_heap_allocate,
	.get_info = chunk_heap_get_info,
	.accounted = true,
};

/*
 * Describes the chunks of an area, which may begin and end with a part of one.
 * Returns ERR_PTR(-EINVAL), and says why, if there can be none of that size.
 */
VISIBLE_IF_KUNIT struct chunk_heap *
chunk_heap_create(struct device *dev, struct heap_cma *area, phys_addr_t start,
		  size_t size, size_t chunk)
{
	struct chunk_heap *chunk_heap;
	phys_addr_t end = start + size;

	/* The shared buffer's entries are not longer than 2 GiB */
	if (!is_power_of_2(chunk) || chunk < PAGE_SIZE || chunk > SZ_2G ||
	    ALIGN(start, (phys_addr_t)chunk) >=
	    ALIGN_DOWN(end, (phys_addr_t)chunk)) {
		dev_err_probe(dev, -EINVAL,
			      "alignment is %#zx: a chunk must be a power of two, at least a page, and fit, aligned to its size, into the %#zx bytes at %pa\n",
			      chunk, size, &start);
		return ERR_PTR(-EINVAL);
	}

	chunk_heap = devm_kzalloc(dev, sizeof(*chunk_heap), GFP_KERNEL);
	if (!chunk_heap)
		return ERR_PTR(-ENOMEM);

	start = ALIGN(start, (phys_addr_t)chunk);
	chunk_heap->area = area;
	chunk_heap->order = ilog2(chunk) - PAGE_SHIFT;
	chunk_heap->align_order = __ffs64((u64)start | SZ_2G) - PAGE_SHIFT;
	chunk_heap->size = ALIGN_DOWN(end, (phys_addr_t)chunk) - start;
	mutex_init(&chunk_heap->gathering);
	return chunk_heap;
}
EXPORT_SYMBOL_IF_KUNIT(chunk_heap_create);

/*
 * Returns which region of @dev is the area, for of_node_put(), or NULL if none
 * is
 */
static struct device_node *chunk_heap_region(struct device *dev,
					     const struct cma *cma)
{
	struct device_node *region;
	int i;

	for (i = 0; (region = of_parse_phandle(dev->of_node, "memory-region", i));
	     i++) {
		struct reserved_mem *rmem = of_reserved_mem_lookup(region);

		if (rmem && rmem->base == cma_get_base(cma))
			break;
		of_node_put(region);
	}
	return region;
}

/**
 * devm_chunk_heap_add - register a heap of chunks over a CMA area until a driver
 *	is unbound
 * @dev:	device whose driver offers the area; if its memory-region is
 *		the area, that says whether errors are corrected
 * @name:	of the heap, see dma_heap_add(); copied
 * @cma:	the area, of one range; it may have other users
 * @chunk:	size of a chunk in bytes: a power of two, at least PAGE_SIZE, at
 *		most 2 GiB, and such that the area has room for one that is
 *		aligned to its size
 *
 * Each buffer consists of chunks, and so does each piece of it that a device
 * gets to see. Buffers that exist when the heap is removed keep their memory.
 *
 * Context: process context, may sleep.
 *
 * Return: the heap, which is removed with the device's resources, or
 * ERR_PTR(): -EINVAL for a bad @chunk, -ENOMEM, or as dma_heap_add() returns it.
 */
struct dma_heap *devm_chunk_heap_add(struct device *dev, const char *name,
				     struct cma *cma, size_t chunk)
{
	struct dma_heap_export_info exp_info = {
		.name = name,
		.ops = &chunk_heap_ops,
	};
	struct heap_cma *area = heap_cma_get(cma);
	struct chunk_heap *chunk_heap;
	struct device_node *region;
	struct dma_heap *heap;

	if (!area)
		return ERR_PTR(-ENOMEM);
	chunk_heap = chunk_heap_create(dev, area, cma_get_base(cma),
				       cma_get_size(cma), chunk);
	if (IS_ERR(chunk_heap))
		return ERR_CAST(chunk_heap);

	region = chunk_heap_region(dev, cma);
	exp_info.priv = chunk_heap;
	exp_info.heap_flags = heap_ecc_flags(region, cma_get_base(cma),
					     cma_get_size(cma));
	exp_info.of_node = region;
	heap = devm_dma_heap_add(dev, &exp_info);
	of_node_put(region);
	return heap;
}
EXPORT_SYMBOL_NS_GPL(devm_chunk_heap_add, "DMA_BUF_HEAP");

/*
 * Heaps of the device tree
 */

static void chunk_heap_put_area(void *dev)
{
	of_reserved_mem_device_release(dev);
}

/* Sets &device.cma_area until the driver is unbound; says so if there is none */
static int chunk_heap_get_area(struct device *dev)
{
	int ret = of_reserved_mem_device_init(dev);

	if (!ret)
		ret = devm_add_action_or_reset(dev, chunk_heap_put_area, dev);
	if (!ret && !dev->cma_area)
		ret = -ENODEV;
	if (ret)
		dev_err_probe(dev, ret,
			      "memory-region is no reusable shared-dma-pool, or there is no CMA area behind it\n");
	return ret;
}

static int chunk_heap_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct device_node *region;
	struct dma_heap *heap;
	u32 chunk;
	int ret;

	ret = of_property_read_u32(dev->of_node, "alignment", &chunk);
	if (ret)
		return dev_err_probe(dev, ret,
				     "alignment, the size of a chunk, is missing or no number\n");

	ret = chunk_heap_get_area(dev);
	if (ret)
		return ret;

	region = of_parse_phandle(dev->of_node, "memory-region", 0);
	heap = devm_chunk_heap_add(dev, kbasename(region->full_name),
				   dev->cma_area, chunk);
	of_node_put(region);
	return PTR_ERR_OR_ZERO(heap);
}

static const struct of_device_id chunk_heap_of_match[] = {
	{ .compatible = "dma_heap,chunk" },
	{}
};
MODULE_DEVICE_TABLE(of, chunk_heap_of_match);

static struct platform_driver chunk_heap_driver = {
	.probe = chunk_heap_probe,
	.driver = {
		.name = "chunk_heap",
		.of_match_table = chunk_heap_of_match,
	},
};
module_platform_driver(chunk_heap_driver);

MODULE_DESCRIPTION("DMA-BUF chunk heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
MODULE_IMPORT_NS("DMA_BUF_HEAP");
