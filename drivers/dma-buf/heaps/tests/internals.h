/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Internals of the core and of the shared buffer that only KUnit tests call
 */
#ifndef _DMA_HEAP_TEST_INTERNALS_H
#define _DMA_HEAP_TEST_INTERNALS_H

#include <linux/types.h>

#if IS_ENABLED(CONFIG_KUNIT)

struct chunk_heap;
struct cma;
struct device;
struct dma_heap_allocation_data;
struct heap_buffer;
struct list_head;
struct page;
struct scatterlist;

/* dma-heap.c */
bool dma_heap_name_valid(const char *name);
bool dma_heap_round_len(u64 len, size_t *size);
int dma_heap_request_size(unsigned int cmd);

/* heaps/heap-helpers.c */
unsigned int heap_buffer_count_entries(const struct heap_buffer *buffer);
void heap_buffer_fill_entries(const struct heap_buffer *buffer, bool pages,
			      struct scatterlist *sgl);
unsigned int heap_buffer_find_extent(const struct heap_buffer *buffer,
				     size_t *offset);

/* heaps/chunk_heap.c */
struct page *chunk_heap_alloc_run(struct cma *cma, unsigned long nr_pages,
				  unsigned int align_order);
void chunk_heap_release_run(struct cma *cma, struct page *page,
			    unsigned long nr_pages);
int chunk_heap_gather(struct chunk_heap *chunk_heap, unsigned long nr_chunks,
		      struct list_head *runs);
struct chunk_heap *chunk_heap_create(struct device *dev, struct cma *cma,
				     phys_addr_t start, size_t size,
				     size_t chunk);

#endif
#endif /* _DMA_HEAP_TEST_INTERNALS_H */
