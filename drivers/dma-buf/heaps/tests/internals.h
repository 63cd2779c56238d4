/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Internals of the core and of the shared buffer that only KUnit tests call
 */
#ifndef _DMA_HEAP_TEST_INTERNALS_H
#define _DMA_HEAP_TEST_INTERNALS_H

#include <linux/types.h>

#if IS_ENABLED(CONFIG_KUNIT)

struct dma_heap_allocation_data;
struct heap_buffer;
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

#endif
#endif /* _DMA_HEAP_TEST_INTERNALS_H */
