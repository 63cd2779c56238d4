// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that import dma-bufs for tests
 */

/**
 * DOC: dma-buf test importer
 *
 * An exporter of dma-bufs is only seen to work when a device has read and
 * written its memory, and a machine without a display, a camera or a GPU has
 * no device that user space could ask to. This driver brings some, each with
 * DMA properties of its own, behind the one interface of
 * include/uapi/linux/dma-buf-testdev.h:
 *
 * - Software devices, which are there on every machine. The DMA API knows them
 *   as devices, so a mapping is made for their mask and their coherency and may
 *   go through swiotlb; the CPU then moves the bytes in their place, at the
 *   very addresses that the mapping holds. It neither syncs nor begins CPU
 *   access, as a device would not: what the exporter omits is missing.
 *   Ordinary memory is reached through the kernel's cached mapping, so on a
 *   machine with caches they cannot tell a cache operation that was left out.
 *
 * - QEMU's edu device, whose engine moves the bytes by DMA, through an IOMMU
 *   if there is one. It is slow and moves little at a time.
 *
 * This file holds the interface first, then a backend for each of the two, and
 * last a driver that is no importer: it owns a region of memory that the device
 * tree names, and offers it as a heap.
 */

#include <linux/bits.h>
#include <linux/completion.h>
#include <linux/dma-buf.h>
#include <linux/dma-direct.h>
#include <linux/dma-heap.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/iommu.h>
#include <linux/iommu-dma.h>
#include <linux/iosys-map.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/of.h>
#include <linux/of_reserved_mem.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/rwsem.h>
#include <linux/scatterlist.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/xarray.h>

#include <uapi/linux/dma-buf-testdev.h>

#define TESTDEV_BOUNCE_SIZE	SZ_64K

static_assert(sizeof(struct dma_buf_testdev_info) == 16);
static_assert(sizeof(struct dma_buf_testdev_attach) == 8);
static_assert(sizeof(struct dma_buf_testdev_map) == 24);
static_assert(sizeof(struct dma_buf_testdev_entry) == 16);
static_assert(sizeof(struct dma_buf_testdev_entries) == 24);
static_assert(sizeof(struct dma_buf_testdev_copy) == 32);
/* testdev_map() takes the one for the other. */
static_assert(DMA_BUF_TESTDEV_BIDIRECTIONAL == DMA_BIDIRECTIONAL);
static_assert(DMA_BUF_TESTDEV_TO_DEVICE == DMA_TO_DEVICE);
static_assert(DMA_BUF_TESTDEV_FROM_DEVICE == DMA_FROM_DEVICE);

struct testdev;

/* What tells one kind of test device from another */
struct testdev_ops {
	/*
	 * Moves @len bytes between @buf and the bus addresses from @addr on, to
	 * there if @write. They are mapped for the device and within its mask.
	 * Called by several threads at once, but never once the device is gone.
	 */
	int (*move)(struct testdev *td, dma_addr_t addr, void *buf, size_t len,
		    bool write);
	u32 flags;			/* DMA_BUF_TESTDEV_ENGINE or 0 */
	u32 max_copy;			/* as in struct dma_buf_testdev_info */
};

/* A test device and its node */
struct testdev {
	struct kref ref;		/* of who registered it and open files */
	char name[64];			/* of the node, below /dev */
	struct miscdevice misc;
	const struct testdev_ops *ops;
	void *priv;			/* the backend's own */
	/* Protects @dev; read for as long as the device is used */
	struct rw_semaphore lock;
	struct device *dev;		/* NULL once it is gone */
	/* Protects @files; testdev_file.lock is taken within it */
	struct mutex files_lock;
	struct list_head files;		/* every open testdev_file */
};

/* An open file of a node */
struct testdev_file {
	struct testdev *td;
	struct list_head node;		/* in testdev.files */
	/* Protects @attachments and all in them; taken within testdev.lock */
	struct mutex lock;
	struct xarray attachments;	/* struct testdev_attachment by handle */
};

/* A dma-buf attached to a device */
struct testdev_attachment {
	struct dma_buf *dmabuf;		/* a reference of our own */
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;		/* the mapping, or NULL */
	enum dma_data_direction dir;	/* of @sgt */
	struct iosys_map vmap;		/* while a copy goes through it */
};

/* Attachments */

/* Returns what @handle names, or an error pointer. */
static struct testdev_attachment *testdev_find(struct testdev_file *tf,
					       u32 handle)
{
	lockdep_assert_held(&tf->lock);

	return xa_load(&tf->attachments, handle) ?: ERR_PTR(-ENOENT);
}

/* Like testdev_find(), for what needs a mapping. */
static struct testdev_attachment *testdev_find_mapped(struct testdev_file *tf,
						      u32 handle)
{
	struct testdev_attachment *a = testdev_find(tf, handle);

	if (!IS_ERR(a) && !a->sgt)
		return ERR_PTR(-ENXIO);
	return a;
}

static struct testdev_attachment *testdev_create(struct device *dev, int fd)
{
	struct testdev_attachment *a;
	int ret;

	a = kzalloc_obj(*a);
	if (!a)
		return ERR_PTR(-ENOMEM);

	a->dmabuf = dma_buf_get(fd);
	if (IS_ERR(a->dmabuf)) {
		ret = PTR_ERR(a->dmabuf);
		goto err_free;
	}

	a->attach = dma_buf_attach(a->dmabuf, dev);
	if (IS_ERR(a->attach)) {
		ret = PTR_ERR(a->attach);
		goto err_put;
	}
	return a;

err_put:
	dma_buf_put(a->dmabuf);
err_free:
	kfree(a);
	return ERR_PTR(ret);
}

static void testdev_undo_map(struct testdev_attachment *a)
{
	dma_buf_unmap_attachment_unlocked(a->attach, a->sgt, a->dir);
	a->sgt = NULL;
}

/* Frees @a, which no handle names any more. */
static void testdev_destroy(struct testdev_attachment *a)
{
	if (a->sgt)
		testdev_undo_map(a);
	dma_buf_detach(a->dmabuf, a->attach);
	dma_buf_put(a->dmabuf);
	kfree(a);
}

/* Leaves nothing of @tf attached to the device. */
static void testdev_clear(struct testdev_file *tf)
{
	struct testdev_attachment *a;
	unsigned long handle;

	mutex_lock(&tf->lock);
	xa_for_each(&tf->attachments, handle, a) {
		xa_erase(&tf->attachments, handle);
		testdev_destroy(a);
	}
	mutex_unlock(&tf->lock);
}

/* Copies */

/* Whether the device can put out the addresses of @len bytes from @addr on. */
static bool testdev_reaches(struct device *dev, dma_addr_t addr, size_t len)
{
	u64 first = addr;
	u64 last = first + len - 1;

	return last >= first &&
	       last <= min_not_zero(dma_get_mask(dev), dev->bus_dma_limit);
}

/* Moves bytes as the device does, by the bus addresses of the mapping. */
static int testdev_move_dma(struct testdev *td, struct testdev_attachment *a,
			    u64 offset, void *buf, size_t len, bool write)
{
	struct scatterlist *sg;
	int ret, i;

	for_each_sgtable_dma_sg(a->sgt, sg, i) {
		dma_addr_t addr = sg_dma_address(sg) + offset;
		size_t n;

		if (offset >= sg_dma_len(sg)) {
			offset -= sg_dma_len(sg);
			continue;
		}

		n = min_t(u64, len, sg_dma_len(sg) - offset);
		if (!testdev_reaches(td->dev, addr, n))
			return -EIO;
		ret = td->ops->move(td, addr, buf, n, write);
		if (ret)
			return ret;

		buf += n;
		len -= n;
		if (!len)
			return 0;
		offset = 0;
	}
	/* The exporter mapped less than the whole buffer. */
	return -EIO;
}

/* Moves bytes through the CPU's mapping of the buffer. */
static void testdev_move_vmap(struct testdev_attachment *a, u64 offset,
			      void *buf, size_t len, bool write)
{
	if (write)
		iosys_map_memcpy_to(&a->vmap, offset, buf, len);
	else
		iosys_map_memcpy_from(buf, &a->vmap, offset, len);
}

/* Carries out @c, whose way to the memory stands open, piece by piece. */
static int testdev_copy_pieces(struct testdev_file *tf,
			       struct testdev_attachment *a,
			       const struct dma_buf_testdev_copy *c)
{
	bool write = c->flags & DMA_BUF_TESTDEV_COPY_WRITE;
	size_t room = min_t(u64, c->len, TESTDEV_BOUNCE_SIZE);
	void __user *data = u64_to_user_ptr(c->data);
	int ret = 0;
	void *buf;
	u64 done;

	buf = kvmalloc(room, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;

	for (done = 0; !ret && done < c->len; done += room) {
		size_t n = min_t(u64, room, c->len - done);

		if (fatal_signal_pending(current))
			ret = -EINTR;
		else if (write && copy_from_user(buf, data + done, n))
			ret = -EFAULT;
		else if (c->flags & DMA_BUF_TESTDEV_COPY_VMAP)
			testdev_move_vmap(a, c->offset + done, buf, n, write);
		else
			ret = testdev_move_dma(tf->td, a, c->offset + done, buf,
					       n, write);

		if (!ret && !write && copy_to_user(data + done, buf, n))
			ret = -EFAULT;
		cond_resched();
	}

	kvfree(buf);
	return ret;
}

static int testdev_copy_vmap(struct testdev_file *tf,
			     struct testdev_attachment *a,
			     const struct dma_buf_testdev_copy *c)
{
	enum dma_data_direction dir = DMA_FROM_DEVICE;
	int ret, end;

	/* As DMA_BUF_IOCTL_SYNC has it for a CPU that writes. */
	if (c->flags & DMA_BUF_TESTDEV_COPY_WRITE)
		dir = DMA_TO_DEVICE;

	ret = dma_buf_vmap_unlocked(a->dmabuf, &a->vmap);
	if (ret)
		return ret;

	ret = dma_buf_begin_cpu_access(a->dmabuf, dir);
	if (!ret) {
		ret = testdev_copy_pieces(tf, a, c);
		end = dma_buf_end_cpu_access(a->dmabuf, dir);
		if (!ret)
			ret = end;
	}

	dma_buf_vunmap_unlocked(a->dmabuf, &a->vmap);
	return ret;
}

static int testdev_copy_dma(struct testdev_file *tf,
			    struct testdev_attachment *a,
			    const struct dma_buf_testdev_copy *c)
{
	u32 max_copy = tf->td->ops->max_copy;
	enum dma_data_direction dir = DMA_TO_DEVICE;

	if (c->flags & DMA_BUF_TESTDEV_COPY_WRITE)
		dir = DMA_FROM_DEVICE;

	if (!a->sgt)
		return -ENXIO;
	if (a->dir != DMA_BIDIRECTIONAL && a->dir != dir)
		return -EACCES;
	if (max_copy && c->len > max_copy)
		return -ERANGE;
	return testdev_copy_pieces(tf, a, c);
}

/* The interface: one function for each command, with the device present */

static int testdev_info(struct testdev_file *tf, void __user *uarg)
{
	struct device *dev = tf->td->dev;
	struct dma_buf_testdev_info info = {
		.dma_mask = dma_get_mask(dev),
		.flags = tf->td->ops->flags,
		.max_copy = tf->td->ops->max_copy,
	};

	if (dev_is_dma_coherent(dev))
		info.flags |= DMA_BUF_TESTDEV_COHERENT;
	if (use_dma_iommu(dev))
		info.flags |= DMA_BUF_TESTDEV_IOMMU;
	return copy_to_user(uarg, &info, sizeof(info)) ? -EFAULT : 0;
}

static int testdev_attach(struct testdev_file *tf, void __user *uarg)
{
	struct dma_buf_testdev_attach arg;
	struct testdev_attachment *a;
	int ret;

	lockdep_assert_held(&tf->lock);

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;

	a = testdev_create(tf->td->dev, arg.fd);
	if (IS_ERR(a))
		return PTR_ERR(a);

	/* Reserve the handle, tell it, and only then let it name @a. */
	ret = xa_alloc(&tf->attachments, &arg.handle, NULL, xa_limit_31b,
		       GFP_KERNEL);
	if (ret)
		goto err_destroy;
	if (copy_to_user(uarg, &arg, sizeof(arg))) {
		ret = -EFAULT;
		goto err_release;
	}
	ret = xa_err(xa_store(&tf->attachments, arg.handle, a, GFP_KERNEL));
	if (ret)
		goto err_release;
	return 0;

err_release:
	xa_release(&tf->attachments, arg.handle);
err_destroy:
	testdev_destroy(a);
	return ret;
}

static int testdev_detach(struct testdev_file *tf, void __user *uarg)
{
	struct testdev_attachment *a;
	u32 handle;

	if (copy_from_user(&handle, uarg, sizeof(handle)))
		return -EFAULT;

	a = testdev_find(tf, handle);
	if (IS_ERR(a))
		return PTR_ERR(a);

	xa_erase(&tf->attachments, handle);
	testdev_destroy(a);
	return 0;
}

/* Fills in what @map tells of @sgt. */
static void testdev_describe(struct dma_buf_testdev_map *map,
			     struct sg_table *sgt)
{
	struct scatterlist *sg;
	dma_addr_t next = 0;
	int i;

	map->nents = sgt->nents;
	map->contiguous = 1;
	map->size = 0;
	for_each_sgtable_dma_sg(sgt, sg, i) {
		if (i && sg_dma_address(sg) != next)
			map->contiguous = 0;
		next = sg_dma_address(sg) + sg_dma_len(sg);
		map->size += sg_dma_len(sg);
	}
}

static int testdev_map(struct testdev_file *tf, void __user *uarg)
{
	struct dma_buf_testdev_map arg;
	struct testdev_attachment *a;
	struct sg_table *sgt;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.direction > DMA_BUF_TESTDEV_FROM_DEVICE)
		return -EINVAL;

	a = testdev_find(tf, arg.handle);
	if (IS_ERR(a))
		return PTR_ERR(a);
	if (a->sgt)
		return -EBUSY;

	sgt = dma_buf_map_attachment_unlocked(a->attach, arg.direction);
	if (IS_ERR(sgt))
		return PTR_ERR(sgt);
	a->sgt = sgt;
	a->dir = arg.direction;

	testdev_describe(&arg, sgt);
	if (copy_to_user(uarg, &arg, sizeof(arg))) {
		testdev_undo_map(a);
		return -EFAULT;
	}
	return 0;
}

static int testdev_unmap(struct testdev_file *tf, void __user *uarg)
{
	struct testdev_attachment *a;
	u32 handle;

	if (copy_from_user(&handle, uarg, sizeof(handle)))
		return -EFAULT;

	a = testdev_find_mapped(tf, handle);
	if (IS_ERR(a))
		return PTR_ERR(a);

	testdev_undo_map(a);
	return 0;
}

static int testdev_entries(struct testdev_file *tf, void __user *uarg)
{
	struct dma_buf_testdev_entry __user *to;
	struct dma_buf_testdev_entries arg;
	struct dma_buf_testdev_entry entry;
	struct testdev_attachment *a;
	struct scatterlist *sg;
	u32 written = 0;
	int i;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.reserved)
		return -EINVAL;

	a = testdev_find_mapped(tf, arg.handle);
	if (IS_ERR(a))
		return PTR_ERR(a);

	to = u64_to_user_ptr(arg.entries);
	for_each_sgtable_dma_sg(a->sgt, sg, i) {
		if (i < arg.first)
			continue;
		if (written == arg.count)
			break;
		entry.addr = sg_dma_address(sg);
		entry.len = sg_dma_len(sg);
		if (copy_to_user(&to[written++], &entry, sizeof(entry)))
			return -EFAULT;
	}

	arg.count = written;
	return copy_to_user(uarg, &arg, sizeof(arg)) ? -EFAULT : 0;
}

static int testdev_copy(struct testdev_file *tf, void __user *uarg)
{
	struct dma_buf_testdev_copy arg;
	struct testdev_attachment *a;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.flags & ~(DMA_BUF_TESTDEV_COPY_WRITE | DMA_BUF_TESTDEV_COPY_VMAP))
		return -EINVAL;

	a = testdev_find(tf, arg.handle);
	if (IS_ERR(a))
		return PTR_ERR(a);
	if (arg.offset > a->dmabuf->size ||
	    arg.len > a->dmabuf->size - arg.offset)
		return -EINVAL;

	if (arg.flags & DMA_BUF_TESTDEV_COPY_VMAP)
		return testdev_copy_vmap(tf, a, &arg);
	return testdev_copy_dma(tf, a, &arg);
}

/* Carries out @cmd, which has the size of its argument in it. */
static int testdev_command(struct testdev_file *tf, unsigned int cmd,
			   void __user *uarg)
{
	lockdep_assert_held_read(&tf->td->lock);
	lockdep_assert_held(&tf->lock);

	switch (cmd) {
	case DMA_BUF_TESTDEV_INFO:
		return testdev_info(tf, uarg);
	case DMA_BUF_TESTDEV_ATTACH:
		return testdev_attach(tf, uarg);
	case DMA_BUF_TESTDEV_DETACH:
		return testdev_detach(tf, uarg);
	case DMA_BUF_TESTDEV_MAP:
		return testdev_map(tf, uarg);
	case DMA_BUF_TESTDEV_UNMAP:
		return testdev_unmap(tf, uarg);
	case DMA_BUF_TESTDEV_ENTRIES:
		return testdev_entries(tf, uarg);
	case DMA_BUF_TESTDEV_COPY:
		return testdev_copy(tf, uarg);
	default:
		return -ENOTTY;
	}
}

static long testdev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct testdev_file *tf = file->private_data;
	struct testdev *td = tf->td;
	int ret = -ENODEV;

	down_read(&td->lock);
	if (td->dev) {
		/* Others may wait for a slow engine */
		ret = mutex_lock_killable(&tf->lock);
		if (!ret) {
			ret = testdev_command(tf, cmd, (void __user *)arg);
			mutex_unlock(&tf->lock);
		}
	}
	up_read(&td->lock);
	return ret;
}

static void testdev_free(struct kref *ref)
{
	kfree(container_of(ref, struct testdev, ref));
}

static int testdev_open(struct inode *inode, struct file *file)
{
	struct testdev *td = container_of(file->private_data, struct testdev,
					  misc);
	struct testdev_file *tf;

	tf = kzalloc_obj(*tf);
	if (!tf)
		return -ENOMEM;

	/* misc_open() keeps misc_deregister() out, so @td is still there. */
	kref_get(&td->ref);
	tf->td = td;
	mutex_init(&tf->lock);
	xa_init_flags(&tf->attachments, XA_FLAGS_ALLOC1);
	file->private_data = tf;

	mutex_lock(&td->files_lock);
	list_add(&tf->node, &td->files);
	mutex_unlock(&td->files_lock);
	return nonseekable_open(inode, file);
}

static int testdev_release(struct inode *inode, struct file *file)
{
	struct testdev_file *tf = file->private_data;
	struct testdev *td = tf->td;

	/*
	 * Cleared before it leaves the list, so that testdev_unregister() can't
	 * miss an attachment that is still there.
	 */
	mutex_lock(&td->files_lock);
	testdev_clear(tf);
	list_del(&tf->node);
	mutex_unlock(&td->files_lock);

	xa_destroy(&tf->attachments);
	kfree(tf);
	kref_put(&td->ref, testdev_free);
	return 0;
}

static const struct file_operations testdev_fops = {
	.owner = THIS_MODULE,
	.open = testdev_open,
	.release = testdev_release,
	.unlocked_ioctl = testdev_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

/*
 * Gives @dev, whose DMA masks are set, a node called @name. What @priv points
 * to must stay until testdev_unregister().
 */
static struct testdev *testdev_register(struct device *dev, const char *name,
					const struct testdev_ops *ops,
					void *priv)
{
	struct testdev *td;
	int ret;

	td = kzalloc_obj(*td);
	if (!td)
		return ERR_PTR(-ENOMEM);

	kref_init(&td->ref);
	init_rwsem(&td->lock);
	mutex_init(&td->files_lock);
	INIT_LIST_HEAD(&td->files);
	td->dev = dev;
	td->ops = ops;
	td->priv = priv;
	snprintf(td->name, sizeof(td->name), "dma_buf_testdev/%s", name);
	td->misc.name = td->name;
	td->misc.nodename = td->name;
	td->misc.minor = MISC_DYNAMIC_MINOR;
	td->misc.fops = &testdev_fops;
	td->misc.parent = dev;
	td->misc.mode = 0600;

	/* No part of a mapping is too long for these devices. */
	dma_set_max_seg_size(dev, UINT_MAX);
	dma_set_seg_boundary(dev, ULONG_MAX);

	ret = misc_register(&td->misc);
	if (ret) {
		kref_put(&td->ref, testdev_free);
		return ERR_PTR(ret);
	}
	return td;
}

/*
 * Takes the node and the device away from user space: once this returns nothing
 * is attached to the device or uses it. Files still open get ENODEV.
 */
static void testdev_unregister(struct testdev *td)
{
	struct testdev_file *tf;

	misc_deregister(&td->misc);

	down_write(&td->lock);
	td->dev = NULL;
	up_write(&td->lock);

	mutex_lock(&td->files_lock);
	list_for_each_entry(tf, &td->files, node)
		testdev_clear(tf);
	mutex_unlock(&td->files_lock);

	kref_put(&td->ref, testdev_free);
}

/* Software devices: the CPU stands in for an engine */

/* Returns where in memory @addr ends up, PHYS_ADDR_MAX if it is nowhere. */
static phys_addr_t soft_phys(struct device *dev, dma_addr_t addr)
{
	if (use_dma_iommu(dev))
		return iommu_iova_to_phys(iommu_get_domain_for_dev(dev), addr) ?:
		       PHYS_ADDR_MAX;
	return dma_to_phys(dev, addr);
}

/*
 * Moves bytes to or from one page of memory. What the kernel has no mapping of,
 * though it may have a struct page, is mapped as the device sees it: through
 * the caches or past them.
 */
static int soft_move_page(struct device *dev, phys_addr_t phys, void *buf,
			  size_t len, bool write)
{
	unsigned long pfn = PHYS_PFN(phys);
	bool ram = pfn_valid(pfn) && page_is_ram(pfn);
	void *mem;

	if (ram)
		mem = kmap_local_page(pfn_to_page(pfn)) + offset_in_page(phys);
	else
		mem = memremap(phys, len, dev_is_dma_coherent(dev) ?
					  MEMREMAP_WB : MEMREMAP_WC);
	if (!mem)
		return -EIO;

	if (write)
		memcpy(mem, buf, len);
	else
		memcpy(buf, mem, len);

	if (ram)
		kunmap_local(mem);
	else
		memunmap(mem);
	return 0;
}

static int soft_move(struct testdev *td, dma_addr_t addr, void *buf, size_t len,
		     bool write)
{
	int ret = 0;

	while (len && !ret) {
		phys_addr_t phys = soft_phys(td->dev, addr);
		size_t n = min_t(size_t, len, PAGE_SIZE - offset_in_page(phys));

		if (phys == PHYS_ADDR_MAX)
			return -EIO;

		ret = soft_move_page(td->dev, phys, buf, n, write);
		addr += n;
		buf += n;
		len -= n;
	}
	return ret;
}

static const struct testdev_ops soft_ops = {
	.move = soft_move,
};

/*
 * Firmware describes none of these, so each is as coherent as the architecture
 * takes an undescribed device to be unless it says so here. Where all devices
 * are coherent, so is "noncoherent", and &dma_buf_testdev_info.flags tells.
 */
static struct soft_dev {
	const char *name;
	u64 mask;
	bool coherent;
	struct platform_device *pdev;	/* NULL if it was not added */
	struct testdev *td;
} soft_devs[] = {
	{ .name = "coherent", .mask = DMA_BIT_MASK(64), .coherent = true },
	{ .name = "noncoherent", .mask = DMA_BIT_MASK(64) },
	{ .name = "mask32", .mask = DMA_BIT_MASK(32) },
};

static int __init soft_add(struct soft_dev *soft)
{
	struct platform_device *pdev;
	int ret;

	pdev = platform_device_register_simple("dma_buf_testdev",
					       soft - soft_devs, NULL, 0);
	if (IS_ERR(pdev))
		return PTR_ERR(pdev);

	/*
	 * Only bus code does this by itself, from firmware that there is none
	 * of. It comes before the mask, since by that the DMA API decides
	 * whether there is anything to sync for the device.
	 */
	if (soft->coherent)
		dev_set_dma_coherent(&pdev->dev);
	ret = dma_set_mask_and_coherent(&pdev->dev, soft->mask);
	if (ret)
		goto err_unregister;

	soft->td = testdev_register(&pdev->dev, soft->name, &soft_ops, NULL);
	if (IS_ERR(soft->td)) {
		ret = PTR_ERR(soft->td);
		goto err_unregister;
	}
	soft->pdev = pdev;
	return 0;

err_unregister:
	platform_device_unregister(pdev);
	return ret;
}

/* Removes those of the software devices that were added. */
static void soft_exit(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(soft_devs) && soft_devs[i].pdev; i++) {
		testdev_unregister(soft_devs[i].td);
		platform_device_unregister(soft_devs[i].pdev);
	}
}

static int __init soft_init(void)
{
	int ret, i;

	for (i = 0; i < ARRAY_SIZE(soft_devs); i++) {
		ret = soft_add(&soft_devs[i]);
		if (ret) {
			soft_exit();
			return ret;
		}
	}
	return 0;
}

/* QEMU's edu device, as its docs/specs/edu describes it */

#ifdef CONFIG_PCI

#define EDU_ID			0x00
#define EDU_ID_MASK		0xff
#define EDU_ID_VALUE		0xed
#define EDU_IRQ_STATUS		0x24
#define EDU_IRQ_ACK		0x64
#define EDU_IRQ_DMA		0x100
#define EDU_DMA_SRC		0x80
#define EDU_DMA_DST		0x88
#define EDU_DMA_COUNT		0x90
#define EDU_DMA_CMD		0x98
#define EDU_DMA_START		BIT(0)
#define EDU_DMA_TO_RAM		BIT(1)
#define EDU_DMA_RAISE_IRQ	BIT(2)
/* Where the device's own buffer is, for its engine only */
#define EDU_BUF			0x40000
/* Its buffer holds twice as much, but not all versions move all of it */
#define EDU_MAX_COPY		2048
/* A transfer takes 0.1 s; this long only if the device is stuck */
#define EDU_TIMEOUT		(30 * HZ)

static unsigned int edu_dma_bits = 28;
module_param(edu_dma_bits, uint, 0444);
MODULE_PARM_DESC(edu_dma_bits,
		 "bits of address that QEMU's edu device puts out; it cuts off the rest without an error, so this must not exceed what its dma_mask property is set to (default: 28)");

struct edu {
	struct pci_dev *pdev;
	void __iomem *regs;
	struct testdev *td;
	struct completion done;		/* by the interrupt that ends a transfer */
	/* One copy at a time: protects the engine, its buffer and all below */
	struct mutex lock;
	void *buf;			/* for CPU and engine, EDU_MAX_COPY bytes */
	dma_addr_t buf_dma;		/* its address on the bus */
	bool stuck;			/* the engine was cut off from memory */
};

/*
 * Has the engine move @len bytes from @src to @dst and waits for it. A signal
 * must not cut this short: the memory stays mapped only as long as we wait.
 */
static int edu_transfer(struct edu *edu, u64 src, u64 dst, size_t len, u32 cmd)
{
	lockdep_assert_held(&edu->lock);

	if (edu->stuck)
		return -EIO;

	reinit_completion(&edu->done);
	writeq(src, edu->regs + EDU_DMA_SRC);
	writeq(dst, edu->regs + EDU_DMA_DST);
	writel(len, edu->regs + EDU_DMA_COUNT);
	writel(cmd | EDU_DMA_START | EDU_DMA_RAISE_IRQ, edu->regs + EDU_DMA_CMD);
	if (wait_for_completion_timeout(&edu->done, EDU_TIMEOUT))
		return 0;

	/* It cannot be stopped, so see to it that it reaches no memory. */
	edu->stuck = true;
	pci_clear_master(edu->pdev);
	pci_err(edu->pdev, "transfer does not end\n");
	return -EIO;
}

/* Moves bytes through the device's buffer, which only its engine reaches. */
static int edu_move(struct testdev *td, dma_addr_t addr, void *buf, size_t len,
		    bool write)
{
	struct edu *edu = td->priv;
	dma_addr_t from = write ? edu->buf_dma : addr;
	dma_addr_t to = write ? addr : edu->buf_dma;
	int ret;

	ret = mutex_lock_killable(&edu->lock);
	if (ret)
		return ret;

	if (write)
		memcpy(edu->buf, buf, len);
	ret = edu_transfer(edu, from, EDU_BUF, len, 0) ?:
	      edu_transfer(edu, EDU_BUF, to, len, EDU_DMA_TO_RAM);
	if (!write && !ret)
		memcpy(buf, edu->buf, len);
	mutex_unlock(&edu->lock);
	return ret;
}

static const struct testdev_ops edu_ops = {
	.move = edu_move,
	.flags = DMA_BUF_TESTDEV_ENGINE,
	.max_copy = EDU_MAX_COPY,
};

static irqreturn_t edu_irq(int irq, void *data)
{
	struct edu *edu = data;
	u32 status = readl(edu->regs + EDU_IRQ_STATUS);

	if (!status)
		return IRQ_NONE;
	writel(status, edu->regs + EDU_IRQ_ACK);
	if (status & EDU_IRQ_DMA)
		complete(&edu->done);
	return IRQ_HANDLED;
}

/* Makes the device's addresses as wide as the user says they are. */
static int edu_set_mask(struct pci_dev *pdev)
{
	int ret;

	if (!edu_dma_bits || edu_dma_bits > 64)
		return dev_err_probe(&pdev->dev, -EINVAL,
				     "edu_dma_bits is not 1 to 64\n");

	ret = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(edu_dma_bits));
	if (ret)
		return dev_err_probe(&pdev->dev, ret,
				     "no memory within %u bits; set QEMU's dma_mask and edu_dma_bits\n",
				     edu_dma_bits);
	return 0;
}

static int edu_request_irq(struct edu *edu)
{
	struct pci_dev *pdev = edu->pdev;
	int ret;

	/* pcim_enable_device() saw to their release. */
	ret = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_ALL_TYPES);
	if (ret < 0)
		return ret;
	return devm_request_irq(&pdev->dev, pci_irq_vector(pdev, 0), edu_irq,
				IRQF_SHARED, pci_name(pdev), edu);
}

/* Takes hold of all that the engine needs. */
static int edu_setup(struct edu *edu)
{
	struct pci_dev *pdev = edu->pdev;
	int ret;

	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;
	edu->regs = pcim_iomap_region(pdev, 0, "dma_buf_testdev");
	if (IS_ERR(edu->regs))
		return PTR_ERR(edu->regs);
	if ((readl(edu->regs + EDU_ID) & EDU_ID_MASK) != EDU_ID_VALUE)
		return -ENODEV;
	/* It may still do what an earlier driver gave up waiting for. */
	if (readl(edu->regs + EDU_DMA_CMD) & EDU_DMA_START)
		return -EBUSY;

	ret = edu_set_mask(pdev);
	if (ret)
		return ret;
	edu->buf = dmam_alloc_coherent(&pdev->dev, EDU_MAX_COPY, &edu->buf_dma,
				       GFP_KERNEL);
	if (!edu->buf)
		return -ENOMEM;

	pci_set_master(pdev);
	return edu_request_irq(edu);
}

static int edu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	char name[32];
	struct edu *edu;
	int ret;

	edu = devm_kzalloc(&pdev->dev, sizeof(*edu), GFP_KERNEL);
	if (!edu)
		return -ENOMEM;

	edu->pdev = pdev;
	init_completion(&edu->done);
	mutex_init(&edu->lock);
	pci_set_drvdata(pdev, edu);

	ret = edu_setup(edu);
	if (ret)
		return ret;

	snprintf(name, sizeof(name), "edu-%s", pci_name(pdev));
	edu->td = testdev_register(&pdev->dev, name, &edu_ops, edu);
	return PTR_ERR_OR_ZERO(edu->td);
}

static void edu_remove(struct pci_dev *pdev)
{
	struct edu *edu = pci_get_drvdata(pdev);

	testdev_unregister(edu->td);
}

static const struct pci_device_id edu_ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{ }
};
MODULE_DEVICE_TABLE(pci, edu_ids);

static struct pci_driver edu_driver = {
	.name = "dma_buf_testdev",
	.id_table = edu_ids,
	.probe = edu_probe,
	.remove = edu_remove,
};

static int __init edu_init(void)
{
	return pci_register_driver(&edu_driver);
}

static void edu_exit(void)
{
	pci_unregister_driver(&edu_driver);
}

#else

static int __init edu_init(void)
{
	return 0;
}

static void edu_exit(void)
{
}

#endif /* CONFIG_PCI */

/* A driver that owns a region of memory, as boards have them */

#if IS_ENABLED(CONFIG_OF) && IS_REACHABLE(CONFIG_DMABUF_HEAPS_CARVEOUT)

/*
 * Offers the first region of the device's memory-region as a heap named after
 * its node, for as long as the device is bound.
 */
static int region_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct carveout_heap_info info = { .kind = CARVEOUT_HEAP_WC };
	struct reserved_mem *rmem = NULL;
	struct dma_heap *heap;

	info.region = of_parse_phandle(dev->of_node, "memory-region", 0);
	if (info.region)
		rmem = of_reserved_mem_lookup(info.region);
	if (!rmem) {
		of_node_put(info.region);
		return dev_err_probe(dev, -EINVAL, "memory-region: no memory is reserved\n");
	}

	info.name = kbasename(info.region->full_name);
	info.start = rmem->base;
	info.size = rmem->size;
	heap = devm_carveout_heap_add(dev, &info);
	of_node_put(info.region);
	return PTR_ERR_OR_ZERO(heap);
}

static const struct of_device_id region_of_match[] = {
	{ .compatible = "dma-buf-testdev-region" },
	{ }
};
MODULE_DEVICE_TABLE(of, region_of_match);

static struct platform_driver region_driver = {
	.driver = {
		.name = "dma_buf_testdev_region",
		.of_match_table = region_of_match,
	},
	.probe = region_probe,
};

static int __init region_init(void)
{
	return platform_driver_register(&region_driver);
}

static void region_exit(void)
{
	platform_driver_unregister(&region_driver);
}

#else

static int __init region_init(void)
{
	return 0;
}

static void region_exit(void)
{
}

#endif

static int __init testdev_init(void)
{
	int ret;

	ret = soft_init();
	if (ret)
		return ret;
	ret = edu_init();
	if (ret)
		goto err_soft;
	ret = region_init();
	if (ret)
		goto err_edu;
	return 0;

err_edu:
	edu_exit();
err_soft:
	soft_exit();
	return ret;
}

static void __exit testdev_exit(void)
{
	region_exit();
	edu_exit();
	soft_exit();
}

module_init(testdev_init);
module_exit(testdev_exit);

MODULE_DESCRIPTION("Devices that import dma-bufs for tests");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
MODULE_IMPORT_NS("DMA_BUF_HEAP");
