/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM dma_heap

#if !defined(_TRACE_DMA_HEAP_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_DMA_HEAP_H

#include <linux/tracepoint.h>

/* A buffer was made; @len as allocated, @ino names the dma-buf as in fdinfo */
TRACE_EVENT(dma_heap_alloc,
	TP_PROTO(const char *heap, size_t len, u64 ino),
	TP_ARGS(heap, len, ino),
	TP_STRUCT__entry(
		__string(heap, heap)
		__field(size_t, len)
		__field(u64, ino)
	),
	TP_fast_assign(
		__assign_str(heap);
		__entry->len = len;
		__entry->ino = ino;
	),
	TP_printk("heap=%s len=%zu ino=%llu", __get_str(heap), __entry->len,
		  __entry->ino)
);

/* A heap made no buffer; @len as asked, rounded up to a page */
TRACE_EVENT(dma_heap_alloc_fail,
	TP_PROTO(const char *heap, size_t len, int error),
	TP_ARGS(heap, len, error),
	TP_STRUCT__entry(
		__string(heap, heap)
		__field(size_t, len)
		__field(int, error)
	),
	TP_fast_assign(
		__assign_str(heap);
		__entry->len = len;
		__entry->error = error;
	),
	TP_printk("heap=%s len=%zu error=%d", __get_str(heap), __entry->len,
		  __entry->error)
);

/* The memory of a buffer went back, for heaps that account their buffers */
TRACE_EVENT(dma_heap_release,
	TP_PROTO(const char *heap, size_t len),
	TP_ARGS(heap, len),
	TP_STRUCT__entry(
		__string(heap, heap)
		__field(size_t, len)
	),
	TP_fast_assign(
		__assign_str(heap);
		__entry->len = len;
	),
	TP_printk("heap=%s len=%zu", __get_str(heap), __entry->len)
);

#endif /* _TRACE_DMA_HEAP_H */

/* This part must be outside protection */
#include <trace/define_trace.h>
