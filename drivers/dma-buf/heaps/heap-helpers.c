// SPDX-License-Identifier: GPL-2.0
/*
 * The shared buffer of DMA-BUF heaps
 */

/**
 * DOC: overview
 *
 * A &struct heap_buffer owns what is common to buffers of all heaps: size,
 * memory, importers' mappings and the kernel's mapping. It offers each
 * operation of a dma-buf as a function. A heap fills its own &struct
 * dma_buf_ops from these and puts its own functions where it differs; what it
 * says about its memory is in a &struct heap_backing.
 *
 * Memory is described by physical extents and not by pages: buffers are made
 * of few large pieces, and not all memory has a &struct page that may be
 * touched, or is in the kernel's linear map; &enum heap_access tells. The
 * extents never change while the dma-buf exists, so reading them needs no lock.
 *
 * Locking: the dma-buf's reservation lock protects all that changes, which is
 * the list of devices that have it mapped, the mapping of each and the kernel's
 * mapping. The dma-buf core holds it around map, unmap, vmap and vunmap; CPU
 * access takes it, so that a mapping cannot go away while it is synchronised,
 * and so do mmap and detach. Whether there is anything to synchronise with is
 * read without the lock: a program that lets CPU and devices at the memory in
 * no order cannot expect one.
 *
 * An operation that uses &dma_buf_attachment.priv works only with those that
 * use it the same way: attach, detach, map, unmap, begin and end of CPU access
 * are taken over together or not at all.
 */

#include <linux/dma-buf.h>
#include <linux/dma-direct.h>
#include <linux/dma-heap.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/highmem.h>
#include <linux/huge_mm.h>
#include <linux/io.h>
#include <linux/iommu-dma.h>
#include <linux/iosys-map.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/overflow.h>
#include <linux/pci.h>
#include <linux/pgtable.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/sched/prio.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/swiotlb.h>
#include <linux/vmalloc.h>
#include <kunit/visibility.h>
#include <uapi/linux/sched/types.h>

#include "heap-helpers.h"
#include "tests/internals.h"

/*
 * Longest entry of an sg table. Its length is an unsigned int; a power of two
 * keeps entries as aligned as the extent that they are from.
 */
#define HEAP_ENTRY_MAX	SZ_2G

/* So much is cleared between two looks at whether to go on */
#define HEAP_CLEAR_BATCH	(SZ_2M / PAGE_SIZE)

static bool keep_mappings = true;
module_param(keep_mappings, bool, 0644);
MODULE_PARM_DESC(keep_mappings,
		 "Keep devices' mappings until they detach, and maintain caches for devices only when it is owed (default: Y)");

/* Y tells that PMDs do map memory, so it is N where they cannot */
static bool huge_mappings = IS_ENABLED(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP);
module_param(huge_mappings, bool, 0644);
MODULE_PARM_DESC(huge_mappings,
		 "Map by PMDs for programs what can be (default: Y where the architecture can)");

/**
 * struct heap_attachment - an importer of a buffer
 * @mapping:	the table that is mapped; its DMA side is valid while mapped.
 *		Synchronisation reads this one, since what happens to the
 *		importer's is up to the importer (and to DMABUF_DEBUG, which
 *		scrambles it)
 * @handed_out:	a copy of @mapping for the importer, made when it maps
 * @dev:	the importer's device; never changes
 * @pages:	the entries of @mapping have struct pages; never changes
 * @node:	entry in &heap_buffer.mapped, unless @dir is DMA_NONE
 * @dir:	direction in which the device has it mapped, DMA_NONE if it has
 *		not
 * @used:	the importer has it mapped; else the mapping is only kept
 * @kept:	the mapping stays when the importer unmaps
 * @maintained:	the device goes past the caches, which are maintained for it
 *		here, and when it is owed
 * @owed:	of what the device wrote, the caches may still have what was
 *		there before
 * @synced:	counted in &heap_buffer.synced
 * @entries:	of @mapping, then those of @handed_out
 *
 * What changes is under the dma-buf's reservation lock.
 */
struct heap_attachment {
	struct sg_table mapping;
	struct sg_table handed_out;
	struct device *dev;
	bool pages;
	struct list_head node;
	enum dma_data_direction dir;
	bool used;
	bool kept;
	bool maintained;
	bool owed;
	bool synced;
	struct scatterlist entries[];
};

/*
 * Making and giving up a buffer
 */

/**
 * heap_buffer_create - begin a buffer
 * @heap:	heap that it is for
 * @backing:	what its memory is like; must outlive the buffer
 * @max_extents: how many times heap_buffer_add_extent() will be called at most
 *
 * Context: process context, may sleep.
 *
 * Return: a buffer without memory, for heap_buffer_export() or
 * heap_buffer_destroy(), or NULL if there is no memory for it.
 */
struct heap_buffer *heap_buffer_create(struct dma_heap *heap,
				       const struct heap_backing *backing,
				       unsigned int max_extents)
{
	struct heap_buffer *buffer;

	buffer = kvzalloc(struct_size(buffer, extents, max_extents), HEAP_GFP);
	if (!buffer)
		return NULL;

	buffer->heap = heap;
	buffer->backing = backing;
	buffer->max_extents = max_extents;
	INIT_LIST_HEAD(&buffer->mapped);
	/* What it was zeroed with may be in the caches alone */
	buffer->dirty = true;
	buffer->fresh = true;
	return buffer;
}
EXPORT_SYMBOL_NS_GPL(heap_buffer_create, "DMA_BUF_HEAP");

/**
 * heap_buffer_destroy - give up a buffer that was not exported
 * @buffer:	the buffer; the memory that it has is freed by
 *		&heap_backing.free
 *
 * Context: process context, may sleep.
 */
void heap_buffer_destroy(struct heap_buffer *buffer)
{
	buffer->backing->free(buffer);
	kvfree(buffer);
}
EXPORT_SYMBOL_NS_GPL(heap_buffer_destroy, "DMA_BUF_HEAP");

/*
 * Whether memory at @start can make @last longer. Where each memory section
 * has a memory map of its own, the struct pages of two sections do not follow
 * each other, as those of an sg entry must.
 */
static bool heap_extent_continues(const struct heap_extent *last,
				  phys_addr_t start)
{
	if (last->start + last->size != start)
		return false;
#if defined(CONFIG_SPARSEMEM) && !defined(CONFIG_SPARSEMEM_VMEMMAP)
	return !IS_ALIGNED(PHYS_PFN(start), PAGES_PER_SECTION);
#else
	return true;
#endif
}

/**
 * heap_buffer_add_extent - put more memory at the end of a buffer
 * @buffer:	not yet exported, with room for one more extent
 * @start:	physical address, page aligned
 * @size:	in bytes, a multiple of PAGE_SIZE
 *
 * The memory is the buffer's from here on. If it continues the last extent it
 * makes that one longer: the fewer the extents, the less work every mapping is.
 *
 * Context: any.
 */
void heap_buffer_add_extent(struct heap_buffer *buffer, phys_addr_t start,
			    size_t size)
{
	unsigned int n = buffer->nr_extents;

	if (n && heap_extent_continues(&buffer->extents[n - 1], start)) {
		buffer->extents[n - 1].size += size;
	} else {
		if (WARN_ON(n == buffer->max_extents))
			return;
		buffer->extents[n].start = start;
		buffer->extents[n].size = size;
		buffer->nr_extents++;
	}
	buffer->size += size;
}
EXPORT_SYMBOL_NS_GPL(heap_buffer_add_extent, "DMA_BUF_HEAP");

/**
 * heap_clear_pages - zero pages, a long run of them if need be
 * @page:	the first of a physically contiguous run
 * @nr_pages:	how many
 *
 * Context: process context, may sleep.
 *
 * Return: 0, or -EINTR if the caller was killed before all was zeroed.
 */
int heap_clear_pages(struct page *page, unsigned long nr_pages)
{
	unsigned long pfn = page_to_pfn(page);
	unsigned long i;

	for (i = 0; i < nr_pages; i++) {
		if (i % HEAP_CLEAR_BATCH == 0) {
			cond_resched();
			if (fatal_signal_pending(current))
				return -EINTR;
		}
		clear_highpage(pfn_to_page(pfn + i));
	}
	return 0;
}
EXPORT_SYMBOL_NS_GPL(heap_clear_pages, "DMA_BUF_HEAP");

/**
 * heap_start_worker - start a thread that works when nobody else does
 * @name:	of whom it works for; the thread is dma_heap/@name
 *
 * It has the policy SCHED_IDLE. The lowest priority would not suffice: such a
 * thread may run in place of the one who gave it work.
 *
 * Context: process context, may sleep.
 *
 * Return: a worker for kthread_destroy_worker(), or NULL if there is no memory.
 */
struct kthread_worker *heap_start_worker(const char *name)
{
	static const struct sched_attr attr = {
		.size = sizeof(attr),
		.sched_policy = SCHED_IDLE,
		.sched_nice = MAX_NICE,
	};
	struct kthread_worker *worker;

	worker = kthread_create_worker(0, "dma_heap/%s", name);
	if (IS_ERR(worker))
		return NULL;

	sched_setattr_nocheck(worker->task, &attr);
	/* Older kernels have done so */
	wake_up_process(worker->task);
	return worker;
}

/*
 * Maps memory that is not in the linear map, for heap_unremap(). Returns
 * -ENOMEM if that is not possible.
 */
static int heap_remap(const struct heap_buffer *buffer, phys_addr_t start,
		      size_t size, struct iosys_map *map)
{
	if (buffer->backing->access == HEAP_ACCESS_DEVICE)
		iosys_map_set_vaddr_iomem(map, ioremap(start, size));
	else
		iosys_map_set_vaddr(map, memremap(start, size, MEMREMAP_WC));

	return iosys_map_is_null(map) ? -ENOMEM : 0;
}

static void heap_unremap(struct iosys_map *map)
{
	if (map->is_iomem)
		iounmap(map->vaddr_iomem);
	else
		memunmap(map->vaddr);
}

/* As heap_clear_pages(), for memory that is not in the linear map */
static int heap_clear_unmapped(const struct heap_buffer *buffer,
			       const struct heap_extent *e)
{
	const size_t batch = HEAP_CLEAR_BATCH * PAGE_SIZE;
	struct iosys_map map;
	size_t done, len;
	int ret;

	for (done = 0; done < e->size; done += len) {
		len = min(e->size - done, batch);

		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;

		ret = heap_remap(buffer, e->start + done, len, &map);
		if (ret)
			return ret;
		iosys_map_memset(&map, 0, 0, len);
		heap_unremap(&map);
	}
	return 0;
}

/**
 * heap_buffer_clear - zero all memory of a buffer
 * @buffer:	not yet exported; of memory that the CPU may access
 *
 * Context: process context, may sleep.
 *
 * Return: 0; -EINTR if the caller was killed before all was zeroed; -ENOMEM if
 * memory could not be mapped for it.
 */
int heap_buffer_clear(const struct heap_buffer *buffer)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < buffer->nr_extents && !ret; i++) {
		const struct heap_extent *e = &buffer->extents[i];

		if (buffer->backing->access == HEAP_ACCESS_LINEAR)
			ret = heap_clear_pages(pfn_to_page(PHYS_PFN(e->start)),
					       e->size >> PAGE_SHIFT);
		else
			ret = heap_clear_unmapped(buffer, e);
	}
	return ret;
}
EXPORT_SYMBOL_NS_GPL(heap_buffer_clear, "DMA_BUF_HEAP");

/**
 * heap_buffer_export - make a buffer a dma-buf
 * @buffer:	complete with its memory; not the caller's any more afterwards,
 *		whatever this returns
 * @ops:	the dma-buf's operations; &dma_buf_ops.release must come to
 *		heap_buffer_release()
 * @owner:	the heap's module, which the dma-buf pins: THIS_MODULE
 * @fd_flags:	as passed to &dma_heap_ops.allocate
 *
 * Context: process context, may sleep.
 *
 * Return: the dma-buf, or ERR_PTR(): -ENODEV if @owner is being unloaded, else
 * as dma_buf_export() returns it; then @buffer and its memory were freed.
 */
struct dma_buf *heap_buffer_export(struct heap_buffer *buffer,
				   const struct dma_buf_ops *ops,
				   struct module *owner, u32 fd_flags)
{
	struct dma_buf_export_info exp_info = {
		.exp_name = dma_heap_get_name(buffer->heap),
		.owner = owner,
		.ops = ops,
		.size = buffer->size,
		.flags = fd_flags,
		.priv = buffer,
	};
	struct dma_buf *dmabuf;

	dmabuf = dma_buf_export(&exp_info);
	if (IS_ERR(dmabuf)) {
		heap_buffer_destroy(buffer);
		return dmabuf == ERR_PTR(-ENOENT) ? ERR_PTR(-ENODEV) : dmabuf;
	}

	dma_heap_account_buffer(buffer->heap, buffer->size);
	return dmabuf;
}
EXPORT_SYMBOL_NS_GPL(heap_buffer_export, "DMA_BUF_HEAP");

/**
 * heap_buffer_release - &dma_buf_ops.release
 * @dmabuf:	whose last reference is gone
 *
 * Gives the memory back by &heap_backing.free. The heap may be gone after this.
 *
 * Context: process context, may sleep.
 */
void heap_buffer_release(struct dma_buf *dmabuf)
{
	struct heap_buffer *buffer = dmabuf->priv;
	struct dma_heap *heap = buffer->heap;
	size_t size = buffer->size;

	WARN_ON(!iosys_map_is_null(&buffer->kernel_map));

	heap_buffer_destroy(buffer);
	dma_heap_unaccount_buffer(heap, size);
}
EXPORT_SYMBOL_NS_GPL(heap_buffer_release, "DMA_BUF_HEAP");

/*
 * Importers
 */

/* How many sg entries it takes to describe all of @buffer */
VISIBLE_IF_KUNIT unsigned int
heap_buffer_count_entries(const struct heap_buffer *buffer)
{
	unsigned int i, n = 0;

	for (i = 0; i < buffer->nr_extents; i++)
		n += DIV_ROUND_UP_ULL(buffer->extents[i].size, HEAP_ENTRY_MAX);

	return n;
}
EXPORT_SYMBOL_IF_KUNIT(heap_buffer_count_entries);

/*
 * Describes all of @buffer in @sgl, which has as many entries as it takes; with
 * struct pages, or with lengths only
 */
VISIBLE_IF_KUNIT void
heap_buffer_fill_entries(const struct heap_buffer *buffer, bool pages,
			 struct scatterlist *sgl)
{
	unsigned int i;

	for (i = 0; i < buffer->nr_extents; i++) {
		phys_addr_t start = buffer->extents[i].start;
		size_t left = buffer->extents[i].size;

		while (left) {
			size_t len = min_t(size_t, left, HEAP_ENTRY_MAX);
			struct page *page = NULL;

			if (pages)
				page = pfn_to_page(PHYS_PFN(start));
			sg_set_page(sgl, page, len, 0);
			sgl = sg_next(sgl);
			start += len;
			left -= len;
		}
	}
}
EXPORT_SYMBOL_IF_KUNIT(heap_buffer_fill_entries);

/*
 * Whether all of @buffer has struct pages that may be read. Only part of a
 * section may have them, so both ends are looked at.
 */
static bool heap_buffer_has_pages(const struct heap_buffer *buffer)
{
	unsigned int i;

	if (buffer->backing->access == HEAP_ACCESS_LINEAR)
		return true;

	for (i = 0; i < buffer->nr_extents; i++) {
		const struct heap_extent *e = &buffer->extents[i];

		if (!pfn_valid(PHYS_PFN(e->start)) ||
		    !pfn_valid(PHYS_PFN(e->start + e->size - 1)))
			return false;
	}
	return true;
}

static void heap_table_init(struct sg_table *table, struct scatterlist *sgl,
			    unsigned int n)
{
	sg_init_table(sgl, n);
	table->sgl = sgl;
	table->nents = n;
	table->orig_nents = n;
}

/**
 * heap_buffer_attach - &dma_buf_ops.attach
 * @dmabuf:	of a &struct heap_buffer
 * @attach:	the new attachment
 *
 * Makes the importer's sg table.
 *
 * Context: process context, may sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int heap_buffer_attach(struct dma_buf *dmabuf,
		       struct dma_buf_attachment *attach)
{
	struct heap_buffer *buffer = dmabuf->priv;
	unsigned int n = heap_buffer_count_entries(buffer);
	struct heap_attachment *a;

	/* Both tables, and all that belongs to the importer, in one piece */
	a = kvzalloc(struct_size(a, entries, size_mul(n, 2)), HEAP_GFP);
	if (!a)
		return -ENOMEM;

	heap_table_init(&a->mapping, a->entries, n);
	heap_table_init(&a->handed_out, a->entries + n, n);
	a->dev = attach->dev;
	a->pages = heap_buffer_has_pages(buffer);
	heap_buffer_fill_entries(buffer, a->pages, a->mapping.sgl);
	a->dir = DMA_NONE;

	attach->priv = a;
	return 0;
}
EXPORT_SYMBOL_NS_GPL(heap_buffer_attach, "DMA_BUF_HEAP");

/*
 * Whether @dev reaches all of @buffer without help. For what it does not reach
 * the DMA API would take other memory, and copy: through the linear map, which
 * may not have the memory, and whenever it is synchronised, which it is not.
 */
static bool heap_buffer_in_reach(const struct heap_buffer *buffer,
				 struct device *dev)
{
	u64 limit = min_not_zero(dma_get_mask(dev), dev->bus_dma_limit);
	unsigned int i;

	if (use_dma_iommu(dev))
		return true;
	if (is_swiotlb_force_bounce(dev))
		return false;

	for (i = 0; i < buffer->nr_extents; i++) {
		const struct heap_extent *e = &buffer->extents[i];

		if (phys_to_dma(dev, e->start) > limit ||
		    phys_to_dma(dev, e->start + e->size - 1) > limit)
			return false;
	}
	return true;
}

/* Undoes heap_map_resources() for the first @n entries */
static void heap_unmap_resources(struct device *dev, struct sg_table *table,
				 unsigned int n, enum dma_data_direction dir,
				 unsigned long attrs)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(table->sgl, sg, n, i)
		dma_unmap_resource(dev, sg_dma_address(sg), sg_dma_len(sg),
				   dir, attrs);
}

/* As dma_map_sgtable(), for memory without struct pages */
static int heap_map_resources(struct device *dev,
			      const struct heap_buffer *buffer,
			      struct sg_table *table,
			      enum dma_data_direction dir)
{
	unsigned long attrs = buffer->backing->dma_attrs;
	phys_addr_t phys = buffer->extents[0].start;
	struct scatterlist *sg;
	int i;

	for_each_sgtable_sg(table, sg, i) {
		dma_addr_t addr = dma_map_resource(dev, phys, sg->length, dir,
						   attrs);

		if (dma_mapping_error(dev, addr)) {
			heap_unmap_resources(dev, table, i, dir, attrs);
			return -EIO;
		}
		sg_dma_address(sg) = addr;
		sg_dma_len(sg) = sg->length;
		phys += sg->length;
	}
	return 0;
}

/*
 * Mappings that stay, and the caches
 *
 * To map memory for a device anew costs the IOMMU's work, or the maintenance of
 * the caches for all of it. Neither is needed as long as the importer is attached,
 * and nobody used the caches for the memory in between:
 *
 * - A mapping stays when the importer unmaps it, until it detaches or maps in
 *   another direction: it is never wider than what the importer asked for last.
 *   It does not stay for a device that is not trusted, for memory that is
 *   protected, where the DMA API has memory of its own in between, and for a
 *   device that goes past caches which it does not drop afterwards
 *   (HEAP_DROPS_AFTERWARDS).
 *
 * - For a device that goes past the caches, these are cleaned when it maps, but
 *   only if they may have what the memory has not (&heap_buffer.dirty): someone
 *   used them since they were last cleaned, or may use them now.
 *
 * - Of what such a device wrote, stale lines are dropped when it unmaps if someone
 *   may use the caches now; else it is owed (&heap_attachment.owed) until someone
 *   may: a program or the kernel maps the memory or announces CPU access, or a
 *   device that looks into the caches maps it; or until it detaches.
 *
 * Who may use the caches is known: there is no way to the memory but a mapping by
 * a program (&heap_buffer.vmas, each from the first to its last page), by the
 * kernel (&heap_buffer.kernel_map), CPU access that was announced, and a device.
 * What the processor fetches by itself is never dirty, and is dropped with the
 * rest before anybody may look at it. A program that has the memory mapped may use
 * it without a word; so while there is a mapping all is done that would be done
 * without this.
 */

/* Whether the DMA API is to see to the caches for this kind of memory at all */
static bool heap_buffer_is_synced(const struct heap_buffer *buffer)
{
	return !(buffer->backing->dma_attrs & DMA_ATTR_SKIP_CPU_SYNC);
}

/* Whether anybody may use the caches for the memory now */
static bool heap_buffer_uses_caches(const struct heap_buffer *buffer)
{
	return atomic_read_acquire(&buffer->vmas) || buffer->snooping ||
	       !iosys_map_is_null(&buffer->kernel_map);
}

/* Whether the caches must be cleaned, after which they are taken to be clean */
static bool heap_buffer_take_dirty(struct heap_buffer *buffer)
{
	/* Looked at first: a program that is gone by now left it dirty */
	bool in_use = heap_buffer_uses_caches(buffer);
	bool dirty = READ_ONCE(buffer->dirty);

	/* Who says so from here on, without the lock, must not be forgotten */
	if (dirty != in_use)
		WRITE_ONCE(buffer->dirty, in_use);
	return dirty || in_use;
}

/*
 * The DMA API drops what caches have of memory that a device wrote. Here it does so
 * after the device is done, whatever it did before; elsewhere it may do so only
 * before, where it then must not be left out.
 */
#define HEAP_DROPS_AFTERWARDS \
	(IS_ENABLED(CONFIG_ARM64) || IS_ENABLED(CONFIG_RISCV) || \
	 IS_ENABLED(CONFIG_CPU_V6) || IS_ENABLED(CONFIG_CPU_V6K) || \
	 IS_ENABLED(CONFIG_CPU_V7))

/* Here it does not lose what the CPU has written if it does so before */
#define HEAP_CLEANS_FIRST \
	(IS_ENABLED(CONFIG_ARM64) || IS_ENABLED(CONFIG_RISCV))

/*
 * Whether a mapping for @dev can stay: the device may see the memory at any time,
 * and sees it itself and not a copy
 */
static bool heap_buffer_can_keep(const struct heap_buffer *buffer,
				 struct device *dev)
{
	if (!keep_mappings || buffer->backing->access == HEAP_ACCESS_NONE ||
	    (dev_is_pci(dev) && to_pci_dev(dev)->untrusted))
		return false;
	if (!HEAP_DROPS_AFTERWARDS && !dev_is_dma_coherent(dev))
		return false;
	if (use_dma_iommu(dev))
		return true;

	return !get_dma_ops(dev) && heap_buffer_in_reach(buffer, dev);
}

/* More or fewer mappings to synchronise with; who reads it has no lock */
static void heap_buffer_count_synced(struct heap_buffer *buffer, int more)
{
	if (more)
		WRITE_ONCE(buffer->synced, buffer->synced + more);
}

/* Has @a counted among what CPU access is synchronised with, if it is due */
static void heap_attachment_count(struct heap_buffer *buffer,
				  struct heap_attachment *a)
{
	bool synced = a->owed || (a->used && heap_buffer_is_synced(buffer) &&
				  dma_dev_need_sync(a->dev));

	heap_buffer_count_synced(buffer, synced - a->synced);
	a->synced = synced;
}

/*
 * Nothing is owed any more, since the caches were seen to for one device: it is
 * the same memory for all
 */
static void heap_buffer_settle(struct heap_buffer *buffer)
{
	struct heap_attachment *a;

	list_for_each_entry(a, &buffer->mapped, node) {
		a->owed = false;
		heap_attachment_count(buffer, a);
	}
}

/*
 * The two below synchronise with each device in the direction of its own
 * mapping. The direction of the CPU's access does not come into it: it is for
 * user space to choose, and to synchronise a mapping in another direction than
 * its own is a violation of the DMA API.
 */

/* Does what is owed, and if @used is set, also for devices that are at it */
static void heap_buffer_sync_for_cpu(struct dma_buf *dmabuf, bool used)
{
	struct heap_buffer *buffer = dmabuf->priv;
	struct heap_attachment *a;

	dma_resv_assert_held(dmabuf->resv);

	if (!buffer->synced || !heap_buffer_is_synced(buffer))
		return;

	list_for_each_entry(a, &buffer->mapped, node) {
		if (!a->owed && !(used && a->used))
			continue;
		dma_sync_sgtable_for_cpu(a->dev, &a->mapping, a->dir);
		if (a->owed)
			heap_buffer_settle(buffer);
	}
}

static void heap_buffer_sync_for_device(struct dma_buf *dmabuf)
{
	struct heap_buffer *buffer = dmabuf->priv;
	struct heap_attachment *a;

	dma_resv_assert_held(dmabuf->resv);

	if (!heap_buffer_is_synced(buffer))
		return;

	list_for_each_entry(a, &buffer->mapped, node) {
		if (a->used)
			dma_sync_sgtable_for_device(a->dev, &a->mapping, a->dir);
	}
}

static int heap_map_table(const struct heap_buffer *buffer,
			  struct heap_attachment *a,
			  enum dma_data_direction dir, unsigned long attrs)
{
	if (!a->pages)
		return heap_map_resources(a->dev, buffer, &a->mapping, dir);
	if (!heap_buffer_is_synced(buffer) &&
	    !heap_buffer_in_reach(buffer, a->dev))
		return -EIO;

	return dma_map_sgtable(a->dev, &a->mapping, dir,
			       attrs | buffer->backing->dma_attrs);
}

static void heap_unmap_table(const struct heap_buffer *buffer,
			     struct heap_attachment *a, unsigned long attrs)
{
	attrs |= buffer->backing->dma_attrs;
	if (a->pages)
		dma_unmap_sgtable(a->dev, &a->mapping, a->dir, attrs);
	else
		heap_unmap_resources(a->dev, &a->mapping, a->mapping.nents,
				     a->dir, attrs);
}

/* Has the caches cleaned by the DMA API, which does so when it maps for a device */
static int heap_attachment_clean(const struct heap_buffer *buffer,
				 struct heap_attachment *a)
{
	int ret = heap_map_table(buffer, a, DMA_TO_DEVICE, 0);

	if (ret)
		return ret;

	a->dir = DMA_TO_DEVICE;
	heap_unmap_table(buffer, a, DMA_ATTR_SKIP_CPU_SYNC);
	a->dir = DMA_NONE;
	return 0;
}

/*
 * Has the zeroes that a buffer begins with reach the memory, where to map it in
 * @dir would drop them from the caches: a device that then writes nothing would
 * leave what somebody had there before
 */
static int heap_attachment_keep_zeroes(struct heap_buffer *buffer,
				       struct heap_attachment *a,
				       enum dma_data_direction dir)
{
	int ret = 0;

	if (!buffer->fresh || !heap_buffer_is_synced(buffer) ||
	    dev_is_dma_coherent(a->dev))
		return 0;

	if (dir == DMA_FROM_DEVICE && !HEAP_CLEANS_FIRST)
		ret = heap_attachment_clean(buffer, a);
	buffer->fresh = ret;
	return ret;
}

/* Maps what is not mapped */
static int heap_attachment_map(struct dma_buf *dmabuf, struct heap_attachment *a,
			       enum dma_data_direction dir)
{
	struct heap_buffer *buffer = dmabuf->priv;
	unsigned long attrs = 0;
	int ret;

	a->kept = heap_buffer_can_keep(buffer, a->dev);
	a->maintained = a->kept && heap_buffer_is_synced(buffer) &&
			!dev_is_dma_coherent(a->dev);
	if (!a->maintained)
		heap_buffer_sync_for_cpu(dmabuf, false);
	else if (!heap_buffer_take_dirty(buffer))
		attrs = DMA_ATTR_SKIP_CPU_SYNC;

	ret = heap_attachment_keep_zeroes(buffer, a, dir) ?:
	      heap_map_table(buffer, a, dir, attrs);
	if (ret) {
		/* Taken, but it may be that nothing was cleaned */
		buffer->dirty = true;
		buffer->fresh = true;
		return ret;
	}
	a->dir = dir;
	list_add(&a->node, &buffer->mapped);
	return 0;
}

/* Brings the caches in order before the device sees a mapping again */
static void heap_attachment_resume(struct dma_buf *dmabuf,
				   struct heap_attachment *a)
{
	struct heap_buffer *buffer = dmabuf->priv;

	if (!a->maintained)
		heap_buffer_sync_for_cpu(dmabuf, false);
	else if (heap_buffer_take_dirty(buffer))
		dma_sync_sgtable_for_device(a->dev, &a->mapping, a->dir);
}

/* Undoes a mapping, and does what is owed */
static void heap_attachment_unmap(struct heap_buffer *buffer,
				  struct heap_attachment *a)
{
	heap_unmap_table(buffer, a, a->maintained && !a->owed ?
				    DMA_ATTR_SKIP_CPU_SYNC : 0);
	if (a->owed)
		heap_buffer_settle(buffer);
	list_del(&a->node);
	a->dir = DMA_NONE;
}

/**
 * heap_buffer_detach - &dma_buf_ops.detach
 * @dmabuf:	of a &struct heap_buffer
 * @attach:	not mapped any more
 *
 * Gives up the mapping that was kept.
 *
 * Context: process context, may sleep. Takes the reservation lock.
 */
void heap_buffer_detach(struct dma_buf *dmabuf,
			struct dma_buf_attachment *attach)
{
	struct heap_buffer *buffer = dmabuf->priv;
	struct heap_attachment *a = attach->priv;

	dma_resv_lock(dmabuf->resv, NULL);
	if (a->dir != DMA_NONE) {
		heap_attachment_unmap(buffer, a);
		heap_attachment_count(buffer, a);
	}
	dma_resv_unlock(dmabuf->resv);
	kvfree(a);
}
EXPORT_SYMBOL_NS_GPL(heap_buffer_detach, "DMA_BUF_HEAP");

/**
 * heap_buffer_map - &dma_buf_ops.map_dma_buf
 * @attach:	not mapped by the importer yet
 * @dir:	in which the device will move data
 *
 * Context: process context, may sleep. The reservation lock is held.
 *
 * Return: a table whose DMA side is mapped for the device and which is valid
 * until it is unmapped, or ERR_PTR() as dma_map_sgtable() returns it, -EIO
 * among them if the device does not reach the memory; -EBUSY if the attachment
 * is mapped already.
 */
struct sg_table *heap_buffer_map(struct dma_buf_attachment *attach,
				 enum dma_data_direction dir)
{
	struct heap_buffer *buffer = attach->dmabuf->priv;
	struct heap_attachment *a = attach->priv;
	unsigned int i;
	int ret;

	dma_resv_assert_held(attach->dmabuf->resv);

	if (a->used)
		return ERR_PTR(-EBUSY);

	if (a->dir == dir) {
		heap_attachment_resume(attach->dmabuf, a);
	} else {
		if (a->dir != DMA_NONE)
			heap_attachment_unmap(buffer, a);
		ret = heap_attachment_map(attach->dmabuf, a, dir);
		if (ret)
			goto err_count;
	}

	a->used = true;
	buffer->snooping += !a->maintained;
	heap_attachment_count(buffer, a);
	for (i = 0; i < a->mapping.orig_nents; i++)
		a->handed_out.sgl[i] = a->mapping.sgl[i];
	a->handed_out.nents = a->mapping.nents;
	return &a->handed_out;

err_count:
	heap_attachment_count(buffer, a);
	return ERR_PTR(ret);
}
EXPORT_SYMBOL_NS_GPL(heap_buffer_map, "DMA_BUF_HEAP");

/* The device is done; what it wrote is, or is owed, to whoever uses the caches */
static void heap_attachment_pause(struct heap_buffer *buffer,
				  struct heap_attachment *a)
{
	bool wrote = a->dir != DMA_TO_DEVICE;

	a->used = false;
	buffer->snooping -= !a->maintained;
	if (!a->maintained && wrote)
		WRITE_ONCE(buffer->dirty, true);
	else if (wrote && heap_buffer_uses_caches(buffer))
		dma_sync_sgtable_for_cpu(a->dev, &a->mapping, a->dir);
	else
		a->owed |= wrote;
}

/**
 * heap_buffer_unmap - &dma_buf_ops.unmap_dma_buf
 * @attach:	mapped by heap_buffer_map()
 * @sgt:	what that returned
 * @dir:	what was passed to it
 *
 * Context: process context, may sleep. The reservation lock is held.
 */
void heap_buffer_unmap(struct dma_buf_attachment *attach,
		       struct sg_table *sgt, enum dma_data_direction dir)
{
	struct heap_buffer *buffer = attach->dmabuf->priv;
	struct heap_attachment *a = attach->priv;

	dma_resv_assert_held(attach->dmabuf->resv);

	/* In the direction it was mapped in, whatever the importer says now */
	heap_attachment_pause(buffer, a);
	if (!a->kept)
		heap_attachment_unmap(buffer, a);
	heap_attachment_count(buffer, a);
}
EXPORT_SYMBOL_NS_GPL(heap_buffer_unmap, "DMA_BUF_HEAP");

/*
 * The CPU
 */

/* Whether the CPU writes, in an access of which a caller says this */
static bool heap_cpu_writes(enum dma_data_direction dir)
{
	return dir != DMA_FROM_DEVICE;
}

/* Whether the kernel's mapping is a second one that may be cached */
static bool heap_buffer_has_alias(const struct heap_buffer *buffer)
{
	return buffer->backing->access == HEAP_ACCESS_LINEAR &&
	       is_vmalloc_addr(buffer->kernel_map.vaddr);
}

/**
 * heap_buffer_begin_cpu_access - &dma_buf_ops.begin_cpu_access
 * @dmabuf:	of a &struct heap_buffer
 * @dir:	what the CPU is going to do
 *
 * Waits for what devices are still doing to the buffer before it makes the
 * result visible: the dma-buf core waits only afterwards, and what the caches
 * fetch in between would be stale. Where nothing has to be done to caches, that
 * is soon enough.
 *
 * Context: process context, sleeps. Takes the reservation lock, if there is
 * anything to do.
 *
 * Return: 0, or -ERESTARTSYS if a signal came while waiting.
 */
int heap_buffer_begin_cpu_access(struct dma_buf *dmabuf,
				 enum dma_data_direction dir)
{
	struct heap_buffer *buffer = dmabuf->priv;
	bool write = heap_cpu_writes(dir);
	long ret;

	if (write)
		WRITE_ONCE(buffer->dirty, true);
	if (!READ_ONCE(buffer->synced))
		return 0;

	ret = dma_resv_wait_timeout(dmabuf->resv, dma_resv_usage_rw(write),
				    true, MAX_SCHEDULE_TIMEOUT);
	if (ret < 0)
		return ret;

	dma_resv_lock(dmabuf->resv, NULL);
	heap_buffer_sync_for_cpu(dmabuf, true);
	/* An int suffices where caches alias: addresses there have 32 bits */
	if (heap_buffer_has_alias(buffer))
		invalidate_kernel_vmap_range(buffer->kernel_map.vaddr,
					     buffer->size);
	dma_resv_unlock(dmabuf->resv);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(heap_buffer_begin_cpu_access, "DMA_BUF_HEAP");

/**
 * heap_buffer_end_cpu_access - &dma_buf_ops.end_cpu_access
 * @dmabuf:	of a &struct heap_buffer
 * @dir:	what the CPU has done
 *
 * Context: process context, sleeps. Takes the reservation lock, if there is
 * anything to do.
 *
 * Return: 0.
 */
int heap_buffer_end_cpu_access(struct dma_buf *dmabuf,
			       enum dma_data_direction dir)
{
	struct heap_buffer *buffer = dmabuf->priv;

	if (heap_cpu_writes(dir))
		WRITE_ONCE(buffer->dirty, true);
	if (!READ_ONCE(buffer->synced))
		return 0;

	dma_resv_lock(dmabuf->resv, NULL);
	if (heap_buffer_has_alias(buffer))
		flush_kernel_vmap_range(buffer->kernel_map.vaddr, buffer->size);
	heap_buffer_sync_for_device(dmabuf);
	dma_resv_unlock(dmabuf->resv);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(heap_buffer_end_cpu_access, "DMA_BUF_HEAP");

static pgprot_t heap_buffer_prot(const struct heap_buffer *buffer,
				 pgprot_t prot)
{
	switch (buffer->backing->access) {
	case HEAP_ACCESS_WC:
		return pgprot_writecombine(prot);
	case HEAP_ACCESS_DEVICE:
		return pgprot_device(prot);
	default:
		return buffer->backing->prot ? buffer->backing->prot(prot) :
					       prot;
	}
}

/*
 * Returns the index of the extent that has byte *@offset of the buffer, and
 * makes *@offset relative to it; @buffer->nr_extents if it is past the end.
 */
VISIBLE_IF_KUNIT unsigned int
heap_buffer_find_extent(const struct heap_buffer *buffer, size_t *offset)
{
	unsigned int i;

	for (i = 0; i < buffer->nr_extents; i++) {
		if (*offset < buffer->extents[i].size)
			break;
		*offset -= buffer->extents[i].size;
	}
	return i;
}
EXPORT_SYMBOL_IF_KUNIT(heap_buffer_find_extent);

/*
 * As vm_page_prot, but dirty if it may be written. Nobody asks whether it is, and
 * where the processor does not set it itself, the first write to each page would
 * be a fault. Where an architecture cannot tell, it stays as it is.
 */
static pgprot_t heap_vma_prot(const struct vm_area_struct *vma)
{
	pgprot_t prot = vma->vm_page_prot;
	pgprot_t dirty = pte_pgprot(pte_mkdirty(pfn_pte(0, prot)));

	return vma->vm_flags & VM_WRITE && pgprot_val(dirty) ? dirty : prot;
}

/*
 * Whether PMDs can map the memory when it is touched. How to cache what is not RAM
 * x86 knows only from a mapping that was made as a whole.
 */
static bool heap_buffer_huge(const struct heap_buffer *buffer)
{
	return IS_ENABLED(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP) && huge_mappings &&
	       (buffer->backing->access == HEAP_ACCESS_LINEAR ||
		!IS_ENABLED(CONFIG_X86_PAT));
}

/* Maps a PMD, if all of it is one piece of memory that is aligned to it */
static vm_fault_t heap_buffer_huge_fault(struct vm_fault *vmf,
					 unsigned int order)
{
	const struct heap_buffer *buffer = vmf->vma->vm_private_data;
	unsigned long addr = vmf->address & PMD_MASK;
	const struct heap_extent *e;
	unsigned long pfn;
	size_t offset;
	unsigned int i;

	if (!IS_ENABLED(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP) || order != PMD_ORDER ||
	    addr < vmf->vma->vm_start ||
	    vmf->vma->vm_end - addr < PMD_SIZE)
		return VM_FAULT_FALLBACK;

	offset = ((size_t)vmf->pgoff << PAGE_SHIFT) - (vmf->address - addr);
	i = heap_buffer_find_extent(buffer, &offset);
	if (i == buffer->nr_extents)
		return VM_FAULT_SIGBUS;

	e = &buffer->extents[i];
	if (!IS_ALIGNED(e->start + offset, PMD_SIZE) ||
	    e->size - offset < PMD_SIZE)
		return VM_FAULT_FALLBACK;

	pfn = PHYS_PFN(e->start + offset);
	return vmf_insert_pfn_pmd(vmf, pfn, vmf->vma->vm_flags & VM_WRITE);
}

/*
 * Maps what has no PMD to itself together with its neighbours, as far as one PMD,
 * @vma, and the piece of memory reach: a fault costs more than all of these. The
 * fault comes here, too, if the program wants no huge pages, which these are not:
 * a PMD that another thread is about to map must not become a table meanwhile.
 */
static vm_fault_t heap_buffer_fault(struct vm_fault *vmf)
{
	const struct heap_buffer *buffer = vmf->vma->vm_private_data;
	size_t offset = (size_t)vmf->pgoff << PAGE_SHIFT;
	unsigned int i = heap_buffer_find_extent(buffer, &offset);
	unsigned long in_pmd = vmf->address & ~PMD_MASK;
	unsigned long addr, end, pfn;
	vm_fault_t ret = VM_FAULT_SIGBUS;
	pmd_t pmd;

	if (i == buffer->nr_extents)
		return ret;
	/* Another thread was faster */
	pmd = pmdp_get_lockless(vmf->pmd);
	if (pmd_trans_huge(pmd))
		return VM_FAULT_NOPAGE;
	if (pmd_none(pmd)) {
		ret = heap_buffer_huge_fault(vmf, PMD_ORDER);
		if (ret != VM_FAULT_FALLBACK)
			return ret;
	}

	addr = vmf->address - min3(in_pmd, vmf->address - vmf->vma->vm_start,
				   (unsigned long)offset);
	end = vmf->address + min3(PMD_SIZE - in_pmd,
				  vmf->vma->vm_end - vmf->address,
				  (unsigned long)(buffer->extents[i].size - offset));
	pfn = PHYS_PFN(buffer->extents[i].start + offset) -
	      ((vmf->address - addr) >> PAGE_SHIFT);

	for (; addr < end; addr += PAGE_SIZE) {
		ret = vmf_insert_pfn_prot(vmf->vma, addr, pfn++,
					  heap_vma_prot(vmf->vma));
		if (ret != VM_FAULT_NOPAGE)
			break;
	}
	return ret;
}

/* Forked, or split: there is one mapping more */
static void heap_buffer_vma_open(struct vm_area_struct *vma)
{
	struct heap_buffer *buffer = vma->vm_private_data;

	atomic_inc(&buffer->vmas);
}

static void heap_buffer_vma_close(struct vm_area_struct *vma)
{
	struct heap_buffer *buffer = vma->vm_private_data;

	/* What the program wrote comes first */
	atomic_dec_return_release(&buffer->vmas);
}

/* All is mapped from the start */
static const struct vm_operations_struct heap_buffer_vm_ops = {
	.open = heap_buffer_vma_open,
	.close = heap_buffer_vma_close,
};

/* What PMDs can map is not */
static const struct vm_operations_struct heap_buffer_huge_vm_ops = {
	.open = heap_buffer_vma_open,
	.close = heap_buffer_vma_close,
	.fault = heap_buffer_fault,
	.huge_fault = heap_buffer_huge_fault,
};

static int heap_map_pages(struct vm_area_struct *vma, unsigned long addr,
			  phys_addr_t start, unsigned long len)
{
	return len ? remap_pfn_range(vma, addr, PHYS_PFN(start), len,
				     heap_vma_prot(vma)) : 0;
}

/* From here on the CPU may get at the memory at any time */
static void heap_buffer_open_to_cpu(struct dma_buf *dmabuf)
{
	struct heap_buffer *buffer = dmabuf->priv;

	dma_resv_assert_held(dmabuf->resv);

	buffer->dirty = true;
	heap_buffer_sync_for_cpu(dmabuf, false);
}

/* Maps a piece of memory, except for what PMDs can map when it is touched */
static int heap_map_piece(struct vm_area_struct *vma, unsigned long addr,
			  phys_addr_t start, size_t len)
{
	unsigned long head = min(ALIGN(addr, PMD_SIZE) - addr, len);
	unsigned long rest = min((addr + len) & ~PMD_MASK, len - head);
	int ret;

	if (vma->vm_ops != &heap_buffer_huge_vm_ops ||
	    !IS_ALIGNED(start - addr, PMD_SIZE))
		return heap_map_pages(vma, addr, start, len);

	ret = heap_map_pages(vma, addr, start, head);
	return ret ?: heap_map_pages(vma, addr + len - rest,
				     start + len - rest, rest);
}

/* Maps all of @vma; what is mapped when that fails is for the caller of mmap() */
static int heap_map_vma(const struct heap_buffer *buffer,
			struct vm_area_struct *vma)
{
	size_t offset = (size_t)vma->vm_pgoff << PAGE_SHIFT;
	unsigned int i = heap_buffer_find_extent(buffer, &offset);
	unsigned long addr = vma->vm_start;
	size_t len;
	int ret;

	for (; addr < vma->vm_end; addr += len, offset = 0, i++) {
		const struct heap_extent *e = &buffer->extents[i];

		len = min_t(size_t, e->size - offset, vma->vm_end - addr);
		ret = heap_map_piece(vma, addr, e->start + offset, len);
		if (ret)
			return ret;
	}
	return 0;
}

/**
 * heap_buffer_mmap - &dma_buf_ops.mmap
 * @dmabuf:	of a &struct heap_buffer
 * @vma:	any part of it
 *
 * Maps @vma by physical addresses: its pages are nobody's to count or to
 * reference, and the mapping can neither grow nor be copied on write. What a PMD
 * can map is mapped when it is first touched, since only then it can be; all
 * else at once, since to map a page costs much less than a fault.
 *
 * Context: process context, may sleep. The mm's mmap lock is held for writing.
 * Takes the reservation lock.
 *
 * Return: 0; -EINVAL if @vma is private, or reaches past the end; what
 * remap_pfn_range() returns.
 */
int heap_buffer_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct heap_buffer *buffer = dmabuf->priv;
	int ret;

	/* Private and writable, or possibly writable later: copied on write */
	if ((vma->vm_flags & (VM_SHARED | VM_MAYWRITE)) == VM_MAYWRITE)
		return -EINVAL;
	if (vma->vm_pgoff + vma_pages(vma) < vma->vm_pgoff ||
	    vma->vm_pgoff + vma_pages(vma) > buffer->size >> PAGE_SHIFT)
		return -EINVAL;

	vma->vm_page_prot = heap_buffer_prot(buffer, vma->vm_page_prot);
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);

	/* Before any page is mapped, since a thread may look at it at once */
	dma_resv_lock(dmabuf->resv, NULL);
	atomic_inc(&buffer->vmas);
	heap_buffer_open_to_cpu(dmabuf);
	dma_resv_unlock(dmabuf->resv);

	/* The dma-buf is there as long as a mapping of its file */
	vma->vm_private_data = buffer;
	vma->vm_ops = heap_buffer_huge(buffer) ? &heap_buffer_huge_vm_ops :
						 &heap_buffer_vm_ops;
	ret = heap_map_vma(buffer, vma);
	/* There is no other close */
	if (ret)
		heap_buffer_vma_close(vma);
	return ret;
}
EXPORT_SYMBOL_NS_GPL(heap_buffer_mmap, "DMA_BUF_HEAP");

/* The pages of memory in the linear map, in an array for kvfree(), or NULL */
static struct page **heap_buffer_pages(const struct heap_buffer *buffer)
{
	struct page **pages, **next;
	unsigned int i;

	pages = kvmalloc_array(buffer->size >> PAGE_SHIFT, sizeof(*pages),
			       HEAP_GFP);
	if (!pages)
		return NULL;

	next = pages;
	for (i = 0; i < buffer->nr_extents; i++) {
		unsigned long pfn = PHYS_PFN(buffer->extents[i].start);
		unsigned long end = pfn + (buffer->extents[i].size >> PAGE_SHIFT);

		while (pfn < end)
			*next++ = pfn_to_page(pfn++);
	}
	return pages;
}

/*
 * Where the linear map has all of @buffer in one piece, and as it should be
 * mapped; NULL if it has not
 */
static void *heap_buffer_linear(const struct heap_buffer *buffer)
{
	phys_addr_t last = buffer->extents[0].start + buffer->size - 1;

	if (buffer->nr_extents > 1 || buffer->backing->prot ||
	    PageHighMem(pfn_to_page(PHYS_PFN(last))))
		return NULL;
	return phys_to_virt(buffer->extents[0].start);
}

/* Maps memory of the linear map in one piece; NULL if there is no memory */
static void *heap_buffer_vmap_pages(const struct heap_buffer *buffer)
{
	void *vaddr = heap_buffer_linear(buffer);
	struct page **pages;

	if (vaddr)
		return vaddr;

	pages = heap_buffer_pages(buffer);
	if (!pages)
		return NULL;

	vaddr = vmap(pages, buffer->size >> PAGE_SHIFT, VM_MAP,
		     heap_buffer_prot(buffer, PAGE_KERNEL));
	kvfree(pages);
	return vaddr;
}

/**
 * heap_buffer_vmap - &dma_buf_ops.vmap
 * @dmabuf:	of a &struct heap_buffer, not mapped by the kernel yet
 * @map:	set to the mapping
 *
 * Context: process context, may sleep. The reservation lock is held.
 *
 * Return: 0 or -ENOMEM.
 */
int heap_buffer_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct heap_buffer *buffer = dmabuf->priv;

	/* The dma-buf core counts mappings and comes here for the first only */
	dma_resv_assert_held(dmabuf->resv);

	if (buffer->backing->access == HEAP_ACCESS_LINEAR)
		iosys_map_set_vaddr(&buffer->kernel_map,
				    heap_buffer_vmap_pages(buffer));
	else
		heap_remap(buffer, buffer->extents[0].start, buffer->size,
			   &buffer->kernel_map);
	if (iosys_map_is_null(&buffer->kernel_map))
		return -ENOMEM;

	heap_buffer_count_synced(buffer, heap_buffer_has_alias(buffer));
	heap_buffer_open_to_cpu(dmabuf);
	*map = buffer->kernel_map;
	return 0;
}
EXPORT_SYMBOL_NS_GPL(heap_buffer_vmap, "DMA_BUF_HEAP");

/**
 * heap_buffer_vunmap - &dma_buf_ops.vunmap
 * @dmabuf:	mapped by heap_buffer_vmap()
 * @map:	what that set
 *
 * Context: process context, may sleep. The reservation lock is held.
 */
void heap_buffer_vunmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct heap_buffer *buffer = dmabuf->priv;

	dma_resv_assert_held(dmabuf->resv);

	heap_buffer_count_synced(buffer, -heap_buffer_has_alias(buffer));
	if (buffer->backing->access != HEAP_ACCESS_LINEAR)
		heap_unremap(&buffer->kernel_map);
	else if (is_vmalloc_addr(buffer->kernel_map.vaddr))
		vunmap(buffer->kernel_map.vaddr);
	iosys_map_clear(&buffer->kernel_map);
}
EXPORT_SYMBOL_NS_GPL(heap_buffer_vunmap, "DMA_BUF_HEAP");

MODULE_DESCRIPTION("Shared buffer of DMA-BUF heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
MODULE_IMPORT_NS("DMA_BUF_HEAP");
