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
 * dma-buf, and &DMA_HEAP_IOCTL_GET_INFO with what it is and has.
 */

/* What &dma_heap_allocation_data.fd_flags may hold */
#define DMA_HEAP_VALID_FD_FLAGS (O_CLOEXEC | O_ACCMODE)

/**
 * DOC: Flags of a request
 *
 * Flags say what any memory may be, whatever the heap; all else that tells one
 * memory from another is in a heap's name. Without a flag the memory may be
 * either. A heap refuses a flag that its memory does not meet, or of which it
 * does not know; &dma_heap_info.heap_flags tells which it accepts.
 */

/* Only memory whose errors are corrected (ECC) */
#define DMA_HEAP_FLAG_ECC_PROTECTED	(1ULL << 0)
/* Only memory without, for what need not pay for it, such as a framebuffer */
#define DMA_HEAP_FLAG_ECC_UNPROTECTED	(1ULL << 1)

/* What &dma_heap_allocation_data.heap_flags may hold in some heap */
#define DMA_HEAP_VALID_HEAP_FLAGS	(DMA_HEAP_FLAG_ECC_PROTECTED | \
					 DMA_HEAP_FLAG_ECC_UNPROTECTED)

/**
 * struct dma_heap_allocation_data - what to allocate, and the buffer made
 * @len:	in: wanted size in bytes; rounded up to the heap's granularity,
 *		which is a page unless the heap is documented otherwise
 * @fd:		in: 0; out: file descriptor of the dma-buf
 * @fd_flags:	in: O_CLOEXEC and the access mode (O_RDONLY, O_WRONLY, O_RDWR)
 *		of the dma-buf
 * @heap_flags:	in: DMA_HEAP_FLAG_ECC_PROTECTED and so on; mostly 0
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
 * The memory is zeroed, unless no CPU can reach it. On error nothing was
 * allocated and no descriptor exists: %EINVAL for fields that hold what they
 * must not, such as a flag that the heap does not accept, and for a length of
 * zero or one that cannot be rounded up; %EFAULT for a bad pointer; %ENOMEM if
 * the heap has not that much memory; %EMFILE or %ENFILE if the process or the
 * system can open no more files; %EINTR if it was killed meanwhile; %ENODEV if
 * the heap is gone.
 */
#define DMA_HEAP_IOCTL_ALLOC	_IOWR(DMA_HEAP_IOC_MAGIC, 0x0,\
				      struct dma_heap_allocation_data)

/* &dma_heap_info.mask: which fields are known */
#define DMA_HEAP_INFO_HEAP_FLAGS	(1ULL << 0)
#define DMA_HEAP_INFO_PROPERTIES	(1ULL << 1)
#define DMA_HEAP_INFO_GRANULARITY	(1ULL << 2)
#define DMA_HEAP_INFO_SIZE		(1ULL << 3)
#define DMA_HEAP_INFO_FREE		(1ULL << 4)
#define DMA_HEAP_INFO_MAX_ALLOC		(1ULL << 5)

/* &dma_heap_info.properties */
/* Each buffer is physically contiguous */
#define DMA_HEAP_PROP_CONTIGUOUS	(1ULL << 0)
/* The CPU's mappings are cached; else they are write-combined or uncached */
#define DMA_HEAP_PROP_CACHED		(1ULL << 1)
/* Buffers can be mapped by mmap() */
#define DMA_HEAP_PROP_CPU_MAPPABLE	(1ULL << 2)
/* Buffers are zero when they are allocated */
#define DMA_HEAP_PROP_ZEROED		(1ULL << 3)
/* No CPU may touch the memory: it cannot be mapped, synchronised or zeroed */
#define DMA_HEAP_PROP_PROTECTED		(1ULL << 4)
/* Errors of the memory are corrected */
#define DMA_HEAP_PROP_ECC		(1ULL << 5)
/* Meant for importers that do not look into the CPU's caches */
#define DMA_HEAP_PROP_NONCOHERENT	(1ULL << 6)

/**
 * struct dma_heap_info - what a heap is and has
 * @mask:	in: 0; out: DMA_HEAP_INFO_HEAP_FLAGS and so on, one bit for each
 *		field below that is known. An unknown one is 0. Some heaps tell
 *		nothing of themselves
 * @heap_flags:	in: 0; out: DMA_HEAP_FLAG_ECC_PROTECTED and so on, what
 *		&dma_heap_allocation_data.heap_flags may hold
 * @properties:	in: 0; out: DMA_HEAP_PROP_CONTIGUOUS and so on
 * @granularity: in: 0; out: in bytes; the size of a buffer is a multiple of it
 * @size:	in: 0; out: all memory that the heap can draw on, in bytes
 * @free:	in: 0; out: @size without the buffers that exist, in bytes. More
 *		than that cannot be had, but it may be less: others may use the
 *		same memory, and it may be in pieces
 * @max_alloc:	in: 0; out: a longer request is refused whatever is free, in
 *		bytes
 *
 * The argument of &DMA_HEAP_IOCTL_GET_INFO. It may grow at its end.
 */
struct dma_heap_info {
	__u64 mask;
	__u64 heap_flags;
	__u64 properties;
	__u64 granularity;
	__u64 size;
	__u64 free;
	__u64 max_alloc;
};

/**
 * DOC: DMA_HEAP_IOCTL_GET_INFO - ask what a heap is and has
 *
 * By this a program can choose a heap without allocating. The command's size
 * is that of the program's struct: an older, shorter one gets what it has room
 * for, and what a longer one has in addition is set to zero. Errors: %EINVAL for
 * a field that is not zero, or a struct shorter than its first version; %E2BIG
 * for something not zero in a part that the kernel does not know; %EFAULT for a
 * bad pointer; %ENODEV if the heap is gone.
 */
#define DMA_HEAP_IOCTL_GET_INFO	_IOWR(DMA_HEAP_IOC_MAGIC, 0x1, \
				      struct dma_heap_info)

#endif /* _UAPI_LINUX_DMA_HEAP_H */
