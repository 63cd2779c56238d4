/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * DMA-BUF heaps: allocate DMA-able memory from /dev/dma_heap/NAME as a dma-buf
 */
#ifndef _UAPI_LINUX_DMA_HEAP_H
#define _UAPI_LINUX_DMA_HEAP_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * DOC: DMA-BUF heaps
 *
 * Every heap is a node in /dev/dma_heap whose name says what memory it gives.
 * An open heap answers &DMA_HEAP_IOCTL_ALLOC with a file descriptor of a new
 * dma-buf.
 */

/* What &dma_heap_allocation_data.fd_flags may hold */
#define DMA_HEAP_VALID_FD_FLAGS (O_CLOEXEC | O_ACCMODE)

/* What &dma_heap_allocation_data.heap_flags may hold: no flag exists yet */
#define DMA_HEAP_VALID_HEAP_FLAGS (0ULL)

/**
 * struct dma_heap_allocation_data - what to allocate, and the buffer made
 * @len:	in: wanted size in bytes; rounded up to the heap's granularity,
 *		which is a page unless the heap is documented otherwise
 * @fd:		in: 0; out: file descriptor of the dma-buf
 * @fd_flags:	in: O_CLOEXEC and the access mode (O_RDONLY, O_WRONLY, O_RDWR)
 *		of the dma-buf
 * @heap_flags:	in: 0
 *
 * The argument of &DMA_HEAP_IOCTL_ALLOC. A program built against a shorter or
 * longer version of this struct is served too: what it did not send counts as
 * zero, what is not known here is ignored.
 */
struct dma_heap_allocation_data {
	__u64 len;
	__u32 fd;
	__u32 fd_flags;
	__u64 heap_flags;
};

#define DMA_HEAP_IOC_MAGIC		'H'

/**
 * DOC: DMA_HEAP_IOCTL_ALLOC - allocate a buffer and return it as a dma-buf
 *
 * The memory is zeroed. On error nothing was allocated and no descriptor
 * exists: %EINVAL for fields that hold what they must not, a length of zero or
 * one that cannot be rounded up; %EFAULT for a bad pointer; %ENOMEM if the
 * heap has not that much memory; %EMFILE if the process can open no more
 * files; %EINTR if it was killed meanwhile; %ENODEV if the heap is gone.
 */
#define DMA_HEAP_IOCTL_ALLOC	_IOWR(DMA_HEAP_IOC_MAGIC, 0x0,\
				      struct dma_heap_allocation_data)

#endif /* _UAPI_LINUX_DMA_HEAP_H */
