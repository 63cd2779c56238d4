/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The shared buffer: what heaps make their dma-bufs of
 */
#ifndef _DMA_HEAP_HELPERS_H
#define _DMA_HEAP_HELPERS_H

#include <linux/atomic.h>
#include <linux/dma-direction.h>
#include <linux/gfp_types.h>
#include <linux/iosys-map.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/scatterlist.h>
#include <linux/types.h>

struct device;
struct dma_buf;
struct dma_buf_attachment;
struct dma_buf_ops;
struct dma_heap;
struct device_node;
struct heap_buffer;
struct kthread_worker;
struct module;

/*
 * For what describes buffers, their memory and their importers: charged to whoever
 * asks, who is told if there is no memory, and not somebody else killed or the log
 * filled
 */
#define HEAP_GFP	(GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/*
 * For blocks that are to lie ready on a node: nobody has to give memory back for
 * them, and they are not from reserves
 */
#define HEAP_GFP_FREELY(gfp)						\
	(((gfp) | __GFP_COMP | __GFP_NOMEMALLOC | __GFP_NOWARN |	\
	  __GFP_THISNODE) & ~__GFP_RECLAIM)

/**
 * struct heap_extent - a physically contiguous piece of a buffer
 * @start:	physical address, page aligned
 * @size:	in bytes, not zero, a multiple of PAGE_SIZE
 */
struct heap_extent {
	phys_addr_t start;
	size_t size;
};

/**
 * enum heap_access - how the CPU gets at memory
 * @HEAP_ACCESS_LINEAR: it has struct pages and is in the kernel's linear map;
 *	mapped as ordinary memory or as &heap_backing.prot says
 * @HEAP_ACCESS_WC: not in the linear map, mapped write-combined
 * @HEAP_ACCESS_DEVICE: not in the linear map, mapped like registers, where
 *	write-combining is not possible
 * @HEAP_ACCESS_NONE: not at all; such a heap brings a mmap() and CPU access of
 *	its own, which refuse it, and no vmap()
 *
 * Memory outside the linear map may have no struct pages. A buffer of such
 * memory has one extent.
 */
enum heap_access {
	HEAP_ACCESS_LINEAR,
	HEAP_ACCESS_WC,
	HEAP_ACCESS_DEVICE,
	HEAP_ACCESS_NONE,
};

/**
 * struct heap_backing - the kind of memory that a buffer is made of
 */
struct heap_backing {
	/**
	 * @free: give the memory of all extents back
	 *
	 * Called once: when the dma-buf's last reference is gone, or when the
	 * buffer is given up before, even if it has no extent yet. Nothing
	 * maps the memory any more. Process context, may sleep.
	 */
	void (*free)(struct heap_buffer *buffer);

	/** @access: how the CPU gets at the memory */
	enum heap_access access;

	/**
	 * @prot: change the protection of CPU mappings
	 *
	 * Optional, for HEAP_ACCESS_LINEAR. Takes the protection of an ordinary
	 * mapping and returns the one that both user and kernel mappings get.
	 */
	pgprot_t (*prot)(pgprot_t prot);

	/**
	 * @dma_attrs: attributes for mapping and unmapping
	 *
	 * With DMA_ATTR_SKIP_CPU_SYNC the memory is not synchronised for CPU
	 * access either, and devices that do not reach it are refused. Memory
	 * outside the linear map must have it.
	 */
	unsigned long dma_attrs;
};

/**
 * struct heap_buffer - the memory behind a dma-buf
 * @heap:	heap that it is from; pinned while the dma-buf exists
 * @backing:	kind of memory; never changes
 * @priv:	for the heap's own use
 * @size:	of all extents together, in bytes; constant once exported
 * @kernel_map:	where the kernel has mapped it, or null; under the dma-buf's
 *		reservation lock
 * @mapped:	importers whose devices have it mapped; under the same lock
 * @synced:	how many mappings, of devices and of the kernel, CPU access must
 *		be synchronised with; changes under the same lock
 * @snooping:	how many importers have it mapped whose devices may use the
 *		caches; under the same lock
 * @dirty:	the caches may have what the memory has not; becomes true at
 *		any time, and false under the same lock
 * @fresh:	the zeroes that it began with may not have reached the memory; under
 *		the same lock
 * @vmas:	how many mappings programs have; grows from 0 under the same lock
 * @max_extents: room in @extents
 * @nr_extents:	how many there are; constant once exported
 * @extents:	the memory, in the order of the buffer; constant once exported
 */
struct heap_buffer {
	struct dma_heap *heap;
	const struct heap_backing *backing;
	void *priv;
	size_t size;
	struct iosys_map kernel_map;
	struct list_head mapped;
	unsigned int synced;
	unsigned int snooping;
	bool dirty;
	bool fresh;
	atomic_t vmas;
	unsigned int max_extents;
	unsigned int nr_extents;
	struct heap_extent extents[] __counted_by(max_extents);
};

struct heap_buffer *heap_buffer_create(struct dma_heap *heap,
				       const struct heap_backing *backing,
				       unsigned int max_extents);
void heap_buffer_destroy(struct heap_buffer *buffer);
void heap_buffer_add_extent(struct heap_buffer *buffer, phys_addr_t start,
			    size_t size);
int heap_buffer_clear(const struct heap_buffer *buffer);
struct dma_buf *heap_buffer_export(struct heap_buffer *buffer,
				   const struct dma_buf_ops *ops,
				   struct module *owner, u32 fd_flags);

int heap_buffer_attach(struct dma_buf *dmabuf,
		       struct dma_buf_attachment *attach);
void heap_buffer_detach(struct dma_buf *dmabuf,
			struct dma_buf_attachment *attach);
struct sg_table *heap_buffer_map(struct dma_buf_attachment *attach,
				 enum dma_data_direction dir);
void heap_buffer_unmap(struct dma_buf_attachment *attach,
		       struct sg_table *sgt, enum dma_data_direction dir);
int heap_buffer_begin_cpu_access(struct dma_buf *dmabuf,
				 enum dma_data_direction dir);
int heap_buffer_end_cpu_access(struct dma_buf *dmabuf,
			       enum dma_data_direction dir);
int heap_buffer_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma);
int heap_buffer_vmap(struct dma_buf *dmabuf, struct iosys_map *map);
void heap_buffer_vunmap(struct dma_buf *dmabuf, struct iosys_map *map);
void heap_buffer_release(struct dma_buf *dmabuf);

int heap_clear_pages(struct page *page, unsigned long nr_pages);
struct kthread_worker *heap_start_worker(const char *name);

u64 heap_ecc_flags(const struct device_node *region, phys_addr_t start,
		   size_t size);
u64 heap_ecc_flags_of_ram(void);

#endif /* _DMA_HEAP_HELPERS_H */
