/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory of CMA areas for buffers
 */
#ifndef _DMA_HEAP_CMA_H
#define _DMA_HEAP_CMA_H

#include <linux/list.h>
#include <linux/types.h>

struct cma;
struct dma_heap;
struct heap_block;
struct heap_buffer;
struct heap_cma;
struct page;

/**
 * struct heap_run - pages in a row, from a CMA area
 * @node:	in a list of the one who has it
 * @area:	that it is from; never changes
 * @block:	that it is a part of, or NULL; never changes
 * @page:	the first one
 * @nr_pages:	how many
 * @cleared:	how many of them, from the first on, are known to be zero
 * @freed:	in jiffies, when a buffer gave it up
 */
struct heap_run {
	struct list_head node;
	struct heap_cma *area;
	struct heap_block *block;
	struct page *page;
	unsigned long nr_pages;
	unsigned long cleared;
	unsigned long freed;
};

struct heap_cma *heap_cma_get(struct cma *cma);
struct heap_run *heap_cma_take(struct heap_cma *area, unsigned long most,
			       unsigned long unit, unsigned int align_order);
struct heap_run *heap_cma_alloc_run(struct heap_cma *area,
				    unsigned long nr_pages,
				    unsigned int align_order);
struct heap_run *heap_cma_alloc(struct heap_cma *area, unsigned long nr_pages,
				unsigned int align_order);
struct heap_buffer *heap_cma_create_buffer(struct dma_heap *heap,
					   struct list_head *runs);
void heap_cma_free(struct list_head *runs);

#endif /* _DMA_HEAP_CMA_H */
