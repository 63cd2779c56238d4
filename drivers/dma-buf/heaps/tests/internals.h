/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Internals of the core and of the shared buffer that only KUnit tests call
 */
#ifndef _DMA_HEAP_TEST_INTERNALS_H
#define _DMA_HEAP_TEST_INTERNALS_H

#include <linux/mmzone.h>
#include <linux/types.h>

#if IS_ENABLED(CONFIG_KUNIT)

struct chunk_heap;
struct cma;
struct device;
struct dma_heap_allocation_data;
struct heap_buffer;
struct heap_cma;
struct heap_page_pool;
struct list_head;
struct page;
struct scatterlist;
struct shrink_control;
struct shrinker;

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

/* heaps/page-pool.c */
unsigned long heap_pool_give_back(struct heap_page_pool *pool, int nid,
				  unsigned long nr_pages, enum zone_type zone);
void heap_pool_settle(struct heap_page_pool *pool);

/* heaps/heap-cma.c */
unsigned int heap_cma_keep_ms(void);
struct page *heap_cma_alloc_pages(struct cma *cma, unsigned long nr_pages,
				  unsigned int align_order, bool ask);
void heap_cma_release_pages(struct cma *cma, struct page *page,
			    unsigned long nr_pages);
void heap_cma_wake(struct heap_cma *area);
struct heap_cma *heap_cma_create(struct cma *cma, bool keeps);
bool heap_cma_add_spare(struct heap_cma *area);
unsigned long heap_cma_release_spare(struct heap_cma *area);
unsigned long heap_cma_scan(struct shrinker *shrinker,
			    struct shrink_control *sc);
bool heap_cma_clear_step(struct heap_cma *area);
bool heap_cma_expire_step(struct heap_cma *area);
unsigned long heap_cma_give_back(struct heap_cma *area,
				 unsigned long nr_pages);
int heap_cma_clear(const struct list_head *runs);
unsigned long heap_cma_kept(const struct heap_cma *area);

/* heaps/chunk_heap.c */
int chunk_heap_gather(struct chunk_heap *chunk_heap, unsigned long nr_chunks,
		      struct list_head *runs);
struct chunk_heap *chunk_heap_create(struct device *dev, struct heap_cma *area,
				     phys_addr_t start, size_t size,
				     size_t chunk);

#endif
#endif /* _DMA_HEAP_TEST_INTERNALS_H */
