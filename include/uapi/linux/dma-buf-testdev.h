/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Devices that import dma-bufs for tests: /dev/dma_buf_testdev/NAME
 */
#ifndef _UAPI_LINUX_DMA_BUF_TESTDEV_H
#define _UAPI_LINUX_DMA_BUF_TESTDEV_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * DOC: dma-buf test importer
 *
 * Each node in /dev/dma_buf_testdev is one device with DMA properties of its
 * own. A program attaches dma-bufs to it, maps them as a driver would, looks
 * at the mapping, and lets the device read and write the memory through it.
 * What a program leaves attached or mapped is unmapped and detached when it
 * closes the node.
 */

/* &dma_buf_testdev_info.flags */
/* DMA is coherent with the CPU's caches */
#define DMA_BUF_TESTDEV_COHERENT	(1U << 0)
/* COPY is done by a DMA engine and not by the CPU in the device's place */
#define DMA_BUF_TESTDEV_ENGINE		(1U << 1)
/* DMA addresses are translated by an IOMMU */
#define DMA_BUF_TESTDEV_IOMMU		(1U << 2)

/**
 * struct dma_buf_testdev_info - properties of a test device
 * @dma_mask:	highest bus address that the device can put out
 * @flags:	DMA_BUF_TESTDEV_COHERENT and so on
 * @max_copy:	most bytes that one COPY moves; 0 if there is no limit
 */
struct dma_buf_testdev_info {
	__u64 dma_mask;
	__u32 flags;
	__u32 max_copy;
};

/**
 * struct dma_buf_testdev_attach - attach a dma-buf to the device
 * @fd:		in: the dma-buf; it may be closed afterwards
 * @handle:	out: names the attachment in this open file; never 0
 */
struct dma_buf_testdev_attach {
	__s32 fd;
	__u32 handle;
};

/* &dma_buf_testdev_map.direction */
#define DMA_BUF_TESTDEV_BIDIRECTIONAL	0
/* The device reads the memory */
#define DMA_BUF_TESTDEV_TO_DEVICE	1
/* The device writes the memory */
#define DMA_BUF_TESTDEV_FROM_DEVICE	2

/**
 * struct dma_buf_testdev_map - map an attachment for DMA
 * @handle:	in: the attachment, not mapped yet
 * @direction:	in: DMA_BUF_TESTDEV_BIDIRECTIONAL and so on
 * @nents:	out: how many entries the mapping has on the device's side
 * @contiguous:	out: 1 if they follow each other without a gap, else 0
 * @size:	out: their total length in bytes
 */
struct dma_buf_testdev_map {
	__u32 handle;
	__u32 direction;
	__u32 nents;
	__u32 contiguous;
	__u64 size;
};

/**
 * struct dma_buf_testdev_entry - a run of addresses of a mapping
 * @addr:	where it begins, as the device sees it
 * @len:	in bytes
 */
struct dma_buf_testdev_entry {
	__u64 addr;
	__u64 len;
};

/**
 * struct dma_buf_testdev_entries - read the entries of a mapping
 * @handle:	in: a mapped attachment
 * @first:	in: index of the first entry wanted
 * @count:	in: room at @entries; out: how many were written, 0 past the end
 * @reserved:	in: 0
 * @entries:	in: user address of an array of struct dma_buf_testdev_entry
 */
struct dma_buf_testdev_entries {
	__u32 handle;
	__u32 first;
	__u32 count;
	__u32 reserved;
	__u64 entries;
};

/* &dma_buf_testdev_copy.flags */
/* Into the buffer; without it, out of the buffer */
#define DMA_BUF_TESTDEV_COPY_WRITE	(1U << 0)
/* By the kernel's CPU mapping (dma_buf_vmap) and not by the device */
#define DMA_BUF_TESTDEV_COPY_VMAP	(1U << 1)

/**
 * struct dma_buf_testdev_copy - let the device move bytes
 * @handle:	in: the attachment; mapped in a direction that allows the copy,
 *		or in any state with DMA_BUF_TESTDEV_COPY_VMAP
 * @flags:	in: DMA_BUF_TESTDEV_COPY_WRITE and so on
 * @offset:	in: where in the buffer, in bytes
 * @len:	in: how many bytes, at most &dma_buf_testdev_info.max_copy
 * @data:	in: user address that the bytes come from or go to
 */
struct dma_buf_testdev_copy {
	__u32 handle;
	__u32 flags;
	__u64 offset;
	__u64 len;
	__u64 data;
};

#define DMA_BUF_TESTDEV_IOC_MAGIC	0xBC

/*
 * Errors common to all: ENOTTY for an unknown command, EFAULT for a bad
 * pointer, EINVAL for a field that holds what it must not, ENOENT for a handle
 * that names no attachment of this open file, ENODEV once the device is gone,
 * and what the exporter answers.
 */
#define DMA_BUF_TESTDEV_INFO	_IOR(DMA_BUF_TESTDEV_IOC_MAGIC, 0x0, \
				     struct dma_buf_testdev_info)
#define DMA_BUF_TESTDEV_ATTACH	_IOWR(DMA_BUF_TESTDEV_IOC_MAGIC, 0x1, \
				      struct dma_buf_testdev_attach)
/* The argument is a pointer to the handle; a mapping is undone first */
#define DMA_BUF_TESTDEV_DETACH	_IOW(DMA_BUF_TESTDEV_IOC_MAGIC, 0x2, __u32)
/* EBUSY if it is mapped already */
#define DMA_BUF_TESTDEV_MAP	_IOWR(DMA_BUF_TESTDEV_IOC_MAGIC, 0x3, \
				      struct dma_buf_testdev_map)
/* The argument is a pointer to the handle; ENXIO if it is not mapped */
#define DMA_BUF_TESTDEV_UNMAP	_IOW(DMA_BUF_TESTDEV_IOC_MAGIC, 0x4, __u32)
/* ENXIO if it is not mapped */
#define DMA_BUF_TESTDEV_ENTRIES	_IOWR(DMA_BUF_TESTDEV_IOC_MAGIC, 0x5, \
				      struct dma_buf_testdev_entries)
/*
 * ENXIO if it is not mapped, EACCES if it is mapped the other way round,
 * EINVAL past the end of the buffer, ERANGE if the device cannot move that
 * many bytes at once, EIO if the engine failed.
 */
#define DMA_BUF_TESTDEV_COPY	_IOW(DMA_BUF_TESTDEV_IOC_MAGIC, 0x6, \
				     struct dma_buf_testdev_copy)

#endif /* _UAPI_LINUX_DMA_BUF_TESTDEV_H */
