/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DMA-BUF heaps: what a heap and its users in the kernel see of the core
 */
#ifndef _LINUX_DMA_HEAP_H
#define _LINUX_DMA_HEAP_H

#include <linux/types.h>

struct cma;
struct device;
struct device_node;
struct dma_buf;
struct dma_heap;
struct dma_heap_info;

/* Longest name of a heap, without the terminating NUL */
#define DMA_HEAP_NAME_MAX	63

/**
 * struct dma_heap_ops - what a heap can do
 *
 * Whoever removes a heap waits for its operations, with the lock of all heaps
 * held: none of them may add, find or remove any.
 */
struct dma_heap_ops {
	/**
	 * @allocate: make a buffer
	 *
	 * @len is in bytes, not zero and a multiple of PAGE_SIZE; @fd_flags and
	 * @heap_flags were checked by the core. The buffer must be zeroed, or
	 * memory that no CPU can reach.
	 *
	 * Called in process context without locks. May sleep. Calls run in
	 * parallel; none is running any more, and none will be, when
	 * dma_heap_remove() has returned.
	 *
	 * Returns the dma-buf, of which the caller owns the reference, or
	 * ERR_PTR(): -ENOMEM if there is not enough memory, -EINTR if the
	 * caller was killed, or another negative errno, which user space sees.
	 */
	struct dma_buf *(*allocate)(struct dma_heap *heap, unsigned long len,
				    u32 fd_flags, u64 heap_flags);

	/**
	 * @get_info: describe the memory
	 *
	 * Optional; without it user space is told nothing about the heap. Sets
	 * &dma_heap_info.properties, granularity, size and max_alloc, of which
	 * each is known then. The rest is the core's.
	 *
	 * Called in process context without locks, in parallel, never after
	 * dma_heap_remove() has returned.
	 */
	void (*get_info)(struct dma_heap *heap, struct dma_heap_info *info);

	/**
	 * @accounted: each buffer is reported by dma_heap_account_buffer()
	 *
	 * Buffers over the shared buffer of heaps/heap-helpers.h are. Without
	 * it, user space is not told how much of the heap is in use.
	 */
	bool accounted;
};

/**
 * struct dma_heap_export_info - description of a heap to register
 * @name:	its name, see dma_heap_add(); copied
 * @ops:	its operations; must outlive the heap
 * @priv:	for the heap's own use, see dma_heap_get_drvdata()
 * @heap_flags:	what the memory meets, such as %DMA_HEAP_FLAG_ECC_PROTECTED; a
 *		request with any other is refused. At most one of the two
 *		about ECC
 * @of_node:	the memory's own node in the device tree, or NULL: devices that
 *		have it as a memory-region get a link to the heap. If several
 *		heaps name it, to the first
 */
struct dma_heap_export_info {
	const char *name;
	const struct dma_heap_ops *ops;
	void *priv;
	u64 heap_flags;
	struct device_node *of_node;
};

void *dma_heap_get_drvdata(struct dma_heap *heap);
const char *dma_heap_get_name(struct dma_heap *heap);

struct dma_heap *dma_heap_add(const struct dma_heap_export_info *exp_info);
void dma_heap_remove(struct dma_heap *heap);
struct dma_heap *devm_dma_heap_add(struct device *dev,
				   const struct dma_heap_export_info *exp_info);

struct dma_heap *dma_heap_find(const char *name);
void dma_heap_put(struct dma_heap *heap);
int dma_heap_link_device(struct device *dev, struct dma_heap *heap);
struct dma_buf *dma_heap_buffer_alloc(struct dma_heap *heap, size_t len,
				      u32 fd_flags, u64 heap_flags);

void dma_heap_account_buffer(struct dma_heap *heap, size_t size);
void dma_heap_unaccount_buffer(struct dma_heap *heap, size_t size);

extern bool mem_accounting;

/* Pools have a directory here each, by the name of the heap */
extern struct dentry *dma_heap_debugfs;

/*
 * For drivers that own a region of memory and offer it to user space
 */

/**
 * enum carveout_heap_kind - how the memory of a carveout heap may be used
 * @CARVEOUT_HEAP_CACHED: it is in the kernel's linear map, and cached
 * @CARVEOUT_HEAP_WC: it is not, and the CPU maps it write-combined
 * @CARVEOUT_HEAP_DEVICE: it is not, and the CPU maps it like registers, since
 *	it cannot be write-combined
 * @CARVEOUT_HEAP_PROTECTED: no CPU may touch it, only devices; whoever hands
 *	it from one user to the next must scrub it
 */
enum carveout_heap_kind {
	CARVEOUT_HEAP_CACHED,
	CARVEOUT_HEAP_WC,
	CARVEOUT_HEAP_DEVICE,
	CARVEOUT_HEAP_PROTECTED,
};

/**
 * struct carveout_heap_info - a region for a heap of its own
 * @name:	of the heap, see dma_heap_add(); copied
 * @start:	physical address, page aligned
 * @size:	in bytes, a multiple of PAGE_SIZE
 * @kind:	how it may be used
 * @region:	its node in the device tree's reserved memory, or NULL; says
 *		whether errors are corrected
 */
struct carveout_heap_info {
	const char *name;
	phys_addr_t start;
	size_t size;
	enum carveout_heap_kind kind;
	struct device_node *region;
};

struct dma_heap *devm_carveout_heap_add(struct device *dev,
					const struct carveout_heap_info *info);
struct dma_heap *devm_chunk_heap_add(struct device *dev, const char *name,
				     struct cma *cma, size_t chunk);
struct dma_heap *devm_cma_heap_add(struct device *dev, const char *name,
				   struct cma *cma);

#endif /* _LINUX_DMA_HEAP_H */
