/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DMA-BUF heaps: what the core and the links from devices to heaps see of each
 * other
 */
#ifndef _DMA_HEAP_LINK_H
#define _DMA_HEAP_LINK_H

#include <linux/mutex.h>

struct device;
struct device_node;
struct dma_heap;

/* dma-heap.c */
extern struct mutex dma_heaps_lock;
struct device *dma_heap_dev(struct dma_heap *heap);
struct device *dma_heap_lookup_region_locked(const struct device_node *region);

/* dma-heap-link.c */
void dma_heap_links_connect_locked(struct device *heap);
void dma_heap_links_disconnect_locked(struct device *heap);

#endif /* _DMA_HEAP_LINK_H */
