// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: the core, which gives heaps their names, nodes and lifetime
 */

/**
 * DOC: overview
 *
 * A heap is a kind of memory from which user space allocates dma-bufs. The core
 * knows no memory: it owns the names, the nodes in /dev/dma_heap, the ioctls,
 * the counters and the lifetime, and asks the heap's &dma_heap_ops.allocate for
 * everything else. What a buffer can do is up to the &dma_buf_ops that the heap
 * gives it.
 *
 * Lifetime: a &struct dma_heap is as long-lived as the &struct device in it.
 * References are held by the one who registered it, by dma_heap_find(), by
 * every open file (through the cdev), and by every accounted buffer. Removal
 * makes a heap unreachable and waits until nobody is inside its operations;
 * files that are still open answer -ENODEV from then on, buffers live on.
 */

#define pr_fmt(fmt) "dma_heap: " fmt

#include <linux/cdev.h>
#include <linux/cleanup.h>
#include <linux/ctype.h>
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/init.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/of.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/uaccess.h>
#include <kunit/visibility.h>
#include <uapi/linux/dma-heap.h>

#include "dma-heap-link.h"
#include "heaps/tests/internals.h"

#define CREATE_TRACE_POINTS
#include <trace/events/dma_heap.h>

#define DMA_HEAP_MINORS 128

/* The layout is the ABI, the same for 32-bit programs */
static_assert(sizeof(struct dma_heap_allocation_data) == 24);
static_assert(offsetof(struct dma_heap_allocation_data, len) == 0);
static_assert(offsetof(struct dma_heap_allocation_data, fd) == 8);
static_assert(offsetof(struct dma_heap_allocation_data, fd_flags) == 12);
static_assert(offsetof(struct dma_heap_allocation_data, heap_flags) == 16);
static_assert(DMA_HEAP_IOCTL_ALLOC == 0xc0184800);
static_assert(sizeof(struct dma_heap_info) == 56);
static_assert(offsetof(struct dma_heap_info, mask) == 0);
static_assert(offsetof(struct dma_heap_info, heap_flags) == 8);
static_assert(offsetof(struct dma_heap_info, properties) == 16);
static_assert(offsetof(struct dma_heap_info, granularity) == 24);
static_assert(offsetof(struct dma_heap_info, size) == 32);
static_assert(offsetof(struct dma_heap_info, free) == 40);
static_assert(offsetof(struct dma_heap_info, max_alloc) == 48);
static_assert(DMA_HEAP_IOCTL_GET_INFO == 0xc0384801);

/* The first version of struct dma_heap_info ended with max_alloc */
#define DMA_HEAP_INFO_SIZE_VER0	56

#define DMA_HEAP_INFO_ALL	(DMA_HEAP_INFO_HEAP_FLAGS | \
				 DMA_HEAP_INFO_PROPERTIES | \
				 DMA_HEAP_INFO_GRANULARITY | \
				 DMA_HEAP_INFO_SIZE | \
				 DMA_HEAP_INFO_MAX_ALLOC)

/**
 * struct dma_heap - a registered heap
 * @dev:	the device in class dma_heap; its name is the heap's name, its
 *		reference count the heap's, and its of_node the region that the
 *		heap is over, with a reference, or NULL
 * @cdev:	the node's character device; an open file holds a reference
 * @ops:	the heap's operations, NULL once it was removed; read under
 *		dma_heap_srcu
 * @priv:	the heap's own data; never changes
 * @heap_flags:	DMA_HEAP_FLAG_ that requests may have; never changes
 * @accounted:	buffers report themselves; never changes
 * @described:	the heap has a get_info operation; never changes
 * @node:	entry in dma_heaps, under dma_heaps_lock
 * @allocations: buffers made so far
 * @failures:	requests refused by the heap so far
 * @buffers:	accounted buffers that exist now
 * @bytes:	their sizes added up
 * @bytes_peak:	the highest value of @bytes so far
 */
struct dma_heap {
	struct device dev;
	struct cdev cdev;
	const struct dma_heap_ops __rcu *ops;
	void *priv;
	u64 heap_flags;
	bool accounted;
	bool described;
	struct list_head node;
	atomic_long_t allocations;
	atomic_long_t failures;
	atomic_long_t buffers;
	atomic64_t bytes;
	atomic64_t bytes_peak;
};

/*
 * Protects dma_heaps and with it the uniqueness of names, and the links from
 * devices to these heaps
 */
DEFINE_MUTEX(dma_heaps_lock);
static LIST_HEAD(dma_heaps);

/* Readers are inside a heap's operations, or about to enter them */
DEFINE_STATIC_SRCU(dma_heap_srcu);

static DEFINE_IDA(dma_heap_minors);
static dev_t dma_heap_devt;

bool mem_accounting __read_mostly;
EXPORT_SYMBOL_NS_GPL(mem_accounting, "DMA_BUF_HEAP");
module_param(mem_accounting, bool, 0444);
MODULE_PARM_DESC(mem_accounting,
		 "Charge the pages of the system heap to the allocating task's memory cgroup (default: false)");

struct dentry *dma_heap_debugfs;
EXPORT_SYMBOL_NS_GPL(dma_heap_debugfs, "DMA_BUF_HEAP");

static struct dma_heap *dev_to_heap(struct device *dev)
{
	return container_of(dev, struct dma_heap, dev);
}

struct device *dma_heap_dev(struct dma_heap *heap)
{
	return &heap->dev;
}

/*
 * Requests
 */

/* Rounds @len up to whole pages; false if that is nothing or too much to count */
VISIBLE_IF_KUNIT bool dma_heap_round_len(u64 len, size_t *size)
{
	if (!len || len > SIZE_MAX - (PAGE_SIZE - 1))
		return false;

	*size = PAGE_ALIGN((size_t)len);
	return true;
}
EXPORT_SYMBOL_IF_KUNIT(dma_heap_round_len);

/*
 * Takes a request through the heap, counts and traces how it ended. The caller
 * has a reference to @heap.
 */
static struct dma_buf *dma_heap_allocate(struct dma_heap *heap, size_t size,
					 u32 fd_flags, u64 heap_flags)
{
	const struct dma_heap_ops *ops;
	struct dma_buf *dmabuf = NULL;
	int idx;

	idx = srcu_read_lock(&dma_heap_srcu);
	ops = srcu_dereference(heap->ops, &dma_heap_srcu);
	if (ops)
		dmabuf = ops->allocate(heap, size, fd_flags, heap_flags);
	srcu_read_unlock(&dma_heap_srcu, idx);

	if (!dmabuf)
		return ERR_PTR(-ENODEV);

	if (IS_ERR(dmabuf)) {
		atomic_long_inc(&heap->failures);
		trace_dma_heap_alloc_fail(dma_heap_get_name(heap), size,
					  PTR_ERR(dmabuf));
	} else {
		atomic_long_inc(&heap->allocations);
		trace_dma_heap_alloc(dma_heap_get_name(heap), dmabuf->size,
				     file_inode(dmabuf->file)->i_ino);
	}
	return dmabuf;
}

/**
 * dma_heap_buffer_alloc - allocate a buffer for use in the kernel
 * @heap:	heap to allocate from, see dma_heap_find()
 * @len:	size in bytes, rounded up to what the heap can give
 * @fd_flags:	O_CLOEXEC and access mode, as user space would pass them
 * @heap_flags:	as user space would pass them
 *
 * Context: process context, may sleep.
 *
 * Return: the dma-buf, of which the caller owns the reference and gives it up
 * by dma_buf_put(), or ERR_PTR(): -EINVAL if @len is zero or too large to be
 * rounded up or a flag is not one that the heap accepts, -ENODEV if the heap
 * was removed, -ENOMEM if it has not that much memory, -EINTR if the caller was
 * killed.
 */
struct dma_buf *dma_heap_buffer_alloc(struct dma_heap *heap, size_t len,
				      u32 fd_flags, u64 heap_flags)
{
	size_t size;

	if (fd_flags & ~DMA_HEAP_VALID_FD_FLAGS ||
	    heap_flags & ~heap->heap_flags ||
	    !dma_heap_round_len(len, &size))
		return ERR_PTR(-EINVAL);

	return dma_heap_allocate(heap, size, fd_flags, heap_flags);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_buffer_alloc, "DMA_BUF_HEAP");

/*
 * The node
 */

static int dma_heap_open(struct inode *inode, struct file *file)
{
	/* The open file pins the cdev, and that its parent, the heap */
	file->private_data = container_of(inode->i_cdev, struct dma_heap, cdev);

	return nonseekable_open(inode, file);
}

/*
 * Returns how many bytes of an ALLOC's argument to read. A program's struct has
 * the size that @cmd says; shorter is filled up with zeroes, longer is cut. It
 * must be long enough, and the command such, that the descriptor can be
 * returned: -EINVAL if not.
 */
VISIBLE_IF_KUNIT int dma_heap_request_size(unsigned int cmd)
{
	size_t size = _IOC_SIZE(cmd);

	if (_IOC_DIR(cmd) != (_IOC_READ | _IOC_WRITE) ||
	    size < offsetofend(struct dma_heap_allocation_data, fd))
		return -EINVAL;

	return min(size, sizeof(struct dma_heap_allocation_data));
}
EXPORT_SYMBOL_IF_KUNIT(dma_heap_request_size);

static int dma_heap_check_request(const struct dma_heap *heap,
				  const struct dma_heap_allocation_data *data,
				  size_t *size)
{
	if (data->fd)
		return -EINVAL;
	if (data->fd_flags & ~DMA_HEAP_VALID_FD_FLAGS)
		return -EINVAL;
	if (data->heap_flags & ~heap->heap_flags)
		return -EINVAL;
	if (!dma_heap_round_len(data->len, size))
		return -EINVAL;

	return 0;
}

/*
 * The descriptor is reserved before any memory, so that a process that can have
 * none costs nothing, and published last, when nothing can fail any more: from
 * then on it belongs to user space and cannot be taken back.
 */
static int dma_heap_ioctl_alloc(struct dma_heap *heap, unsigned int cmd,
				struct dma_heap_allocation_data __user *arg)
{
	struct dma_heap_allocation_data data = {};
	struct dma_buf *dmabuf;
	size_t size;
	int fd, ret;

	ret = dma_heap_request_size(cmd);
	if (ret < 0)
		return ret;
	if (copy_from_user(&data, arg, ret))
		return -EFAULT;

	ret = dma_heap_check_request(heap, &data, &size);
	if (ret)
		return ret;

	fd = get_unused_fd_flags(data.fd_flags);
	if (fd < 0)
		return fd;

	dmabuf = dma_heap_allocate(heap, size, data.fd_flags, data.heap_flags);
	if (IS_ERR(dmabuf)) {
		ret = PTR_ERR(dmabuf);
		goto err_put_fd;
	}

	if (put_user(fd, &arg->fd)) {
		ret = -EFAULT;
		goto err_put_buf;
	}

	/* The descriptor takes over our reference to the dma-buf */
	dma_buf_fd_install(dmabuf, fd);
	return 0;

err_put_buf:
	dma_buf_put(dmabuf);
err_put_fd:
	put_unused_fd(fd);
	return ret;
}

/*
 * Describes @heap in @info, as far as it says anything of itself. Returns
 * -ENODEV if it was removed. The caller has a reference to @heap.
 */
static int dma_heap_get_info(struct dma_heap *heap, struct dma_heap_info *info)
{
	const struct dma_heap_ops *ops;
	int idx;

	memset(info, 0, sizeof(*info));

	idx = srcu_read_lock(&dma_heap_srcu);
	ops = srcu_dereference(heap->ops, &dma_heap_srcu);
	if (ops && ops->get_info)
		ops->get_info(heap, info);
	srcu_read_unlock(&dma_heap_srcu, idx);

	if (!ops)
		return -ENODEV;
	if (!heap->described)
		return 0;

	info->mask = DMA_HEAP_INFO_ALL;
	info->heap_flags = heap->heap_flags;
	if (heap->heap_flags & DMA_HEAP_FLAG_ECC_PROTECTED)
		info->properties |= DMA_HEAP_PROP_ECC;
	if (heap->accounted) {
		u64 used = atomic64_read(&heap->bytes);

		info->mask |= DMA_HEAP_INFO_FREE;
		info->free = info->size - min(used, info->size);
	}
	return 0;
}

/* Nothing is asked yet: what a later version asks is refused, not overlooked */
static int dma_heap_ioctl_get_info(struct dma_heap *heap, unsigned int cmd,
				   void __user *arg)
{
	size_t size = _IOC_SIZE(cmd);
	struct dma_heap_info info;
	int ret;

	if (_IOC_DIR(cmd) != (_IOC_READ | _IOC_WRITE) ||
	    size < DMA_HEAP_INFO_SIZE_VER0)
		return -EINVAL;

	ret = copy_struct_from_user(&info, sizeof(info), arg, size);
	if (ret)
		return ret;
	if (memchr_inv(&info, 0, sizeof(info)))
		return -EINVAL;

	ret = dma_heap_get_info(heap, &info);
	if (ret)
		return ret;

	/* What the program has in addition is zero, as it was checked to be */
	if (copy_to_user(arg, &info, min(size, sizeof(info))))
		return -EFAULT;
	return 0;
}

static long dma_heap_ioctl(struct file *file, unsigned int cmd,
			   unsigned long arg)
{
	struct dma_heap *heap = file->private_data;

	/* Whatever it asks; dma_heap_allocate() sees a removal meanwhile */
	if (!rcu_access_pointer(heap->ops))
		return -ENODEV;

	if (_IOC_TYPE(cmd) != DMA_HEAP_IOC_MAGIC)
		return -ENOTTY;

	/* By number alone: size and direction are part of the negotiation */
	switch (_IOC_NR(cmd)) {
	case _IOC_NR(DMA_HEAP_IOCTL_ALLOC):
		return dma_heap_ioctl_alloc(heap, cmd, (void __user *)arg);
	case _IOC_NR(DMA_HEAP_IOCTL_GET_INFO):
		return dma_heap_ioctl_get_info(heap, cmd, (void __user *)arg);
	default:
		return -ENOTTY;
	}
}

static const struct file_operations dma_heap_fops = {
	.owner		= THIS_MODULE,
	.open		= dma_heap_open,
	.unlocked_ioctl	= dma_heap_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

/*
 * Counters, and what user space can read in sysfs
 */

static void dma_heap_raise_peak(struct dma_heap *heap, s64 bytes)
{
	s64 peak = atomic64_read(&heap->bytes_peak);

	while (bytes > peak &&
	       !atomic64_try_cmpxchg(&heap->bytes_peak, &peak, bytes))
		;
}

/**
 * dma_heap_account_buffer - count a new buffer as part of a heap
 * @heap:	heap that the memory is from, with &dma_heap_ops.accounted
 * @size:	size of the buffer in bytes
 *
 * Takes a reference to @heap, so that the buffer may outlive its removal.
 *
 * Context: any.
 */
void dma_heap_account_buffer(struct dma_heap *heap, size_t size)
{
	get_device(&heap->dev);
	atomic_long_inc(&heap->buffers);
	dma_heap_raise_peak(heap, atomic64_add_return(size, &heap->bytes));
}
EXPORT_SYMBOL_NS_GPL(dma_heap_account_buffer, "DMA_BUF_HEAP");

/**
 * dma_heap_unaccount_buffer - count a buffer as gone
 * @heap:	as passed to dma_heap_account_buffer()
 * @size:	as passed to dma_heap_account_buffer()
 *
 * Gives up the reference that dma_heap_account_buffer() took: @heap may be
 * gone afterwards.
 *
 * Context: process context.
 */
void dma_heap_unaccount_buffer(struct dma_heap *heap, size_t size)
{
	trace_dma_heap_release(dma_heap_get_name(heap), size);
	atomic64_sub(size, &heap->bytes);
	atomic_long_dec(&heap->buffers);
	put_device(&heap->dev);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_unaccount_buffer, "DMA_BUF_HEAP");

static ssize_t allocations_show(struct device *dev,
				struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n",
			  atomic_long_read(&dev_to_heap(dev)->allocations));
}
static DEVICE_ATTR_RO(allocations);

static ssize_t failures_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%lu\n",
			  atomic_long_read(&dev_to_heap(dev)->failures));
}
static DEVICE_ATTR_RO(failures);

static struct attribute *dma_heap_attrs[] = {
	&dev_attr_allocations.attr,
	&dev_attr_failures.attr,
	NULL
};

static const struct attribute_group dma_heap_group = {
	.attrs = dma_heap_attrs,
};

static ssize_t buffers_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%lu\n",
			  atomic_long_read(&dev_to_heap(dev)->buffers));
}
static DEVICE_ATTR_RO(buffers);

static ssize_t bytes_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "%llu\n",
			  atomic64_read(&dev_to_heap(dev)->bytes));
}
static DEVICE_ATTR_RO(bytes);

static ssize_t bytes_peak_show(struct device *dev,
			       struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n",
			  atomic64_read(&dev_to_heap(dev)->bytes_peak));
}
static DEVICE_ATTR_RO(bytes_peak);

static struct attribute *dma_heap_usage_attrs[] = {
	&dev_attr_buffers.attr,
	&dev_attr_bytes.attr,
	&dev_attr_bytes_peak.attr,
	NULL
};

static umode_t dma_heap_usage_visible(struct kobject *kobj,
				      struct attribute *attr, int n)
{
	return dev_to_heap(kobj_to_dev(kobj))->accounted ? attr->mode : 0;
}

static const struct attribute_group dma_heap_usage_group = {
	.attrs = dma_heap_usage_attrs,
	.is_visible = dma_heap_usage_visible,
};

/* Writes the field of struct dma_heap_info that is at @offset */
static ssize_t dma_heap_emit_field(struct device *dev, char *buf, size_t offset)
{
	struct dma_heap_info info;
	int ret = dma_heap_get_info(dev_to_heap(dev), &info);

	return ret ?: sysfs_emit(buf, "%llu\n",
				 *(u64 *)((void *)&info + offset));
}

static ssize_t granularity_show(struct device *dev, struct device_attribute *attr,
				char *buf)
{
	return dma_heap_emit_field(dev, buf,
				   offsetof(struct dma_heap_info, granularity));
}
static DEVICE_ATTR_RO(granularity);

static ssize_t size_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	return dma_heap_emit_field(dev, buf,
				   offsetof(struct dma_heap_info, size));
}
static DEVICE_ATTR_RO(size);

static ssize_t free_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	return dma_heap_emit_field(dev, buf,
				   offsetof(struct dma_heap_info, free));
}
static DEVICE_ATTR_RO(free);

static ssize_t max_alloc_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	return dma_heap_emit_field(dev, buf,
				   offsetof(struct dma_heap_info, max_alloc));
}
static DEVICE_ATTR_RO(max_alloc);

/* A name for each bit from the lowest on */
static const char * const dma_heap_flag_names[] = {
	"ecc_protected", "ecc_unprotected",
};

static const char * const dma_heap_property_names[] = {
	"contiguous", "cached", "cpu_mappable", "zeroed", "protected", "ecc",
	"noncoherent",
};

static_assert(DMA_HEAP_VALID_HEAP_FLAGS ==
	      BIT_ULL(ARRAY_SIZE(dma_heap_flag_names)) - 1);
static_assert(DMA_HEAP_PROP_NONCOHERENT ==
	      BIT_ULL(ARRAY_SIZE(dma_heap_property_names) - 1));

/* Writes the names of the bits that are set, with a space between them */
static ssize_t dma_heap_emit_names(char *buf, u64 bits,
				   const char * const *names, unsigned int count)
{
	unsigned int i;
	int len = 0;

	for (i = 0; i < count; i++) {
		if (bits & BIT_ULL(i))
			len += sysfs_emit_at(buf, len, "%s%s", len ? " " : "",
					     names[i]);
	}
	return len + sysfs_emit_at(buf, len, "\n");
}

static ssize_t heap_flags_show(struct device *dev,
			       struct device_attribute *attr, char *buf)
{
	return dma_heap_emit_names(buf, dev_to_heap(dev)->heap_flags,
				   dma_heap_flag_names,
				   ARRAY_SIZE(dma_heap_flag_names));
}
static DEVICE_ATTR_RO(heap_flags);

static ssize_t properties_show(struct device *dev,
			       struct device_attribute *attr, char *buf)
{
	struct dma_heap_info info;
	int ret = dma_heap_get_info(dev_to_heap(dev), &info);

	return ret ?: dma_heap_emit_names(buf, info.properties,
					  dma_heap_property_names,
					  ARRAY_SIZE(dma_heap_property_names));
}
static DEVICE_ATTR_RO(properties);

static struct attribute *dma_heap_info_attrs[] = {
	&dev_attr_heap_flags.attr,
	&dev_attr_properties.attr,
	&dev_attr_granularity.attr,
	&dev_attr_size.attr,
	&dev_attr_free.attr,
	&dev_attr_max_alloc.attr,
	NULL
};

static umode_t dma_heap_info_visible(struct kobject *kobj,
				     struct attribute *attr, int n)
{
	struct dma_heap *heap = dev_to_heap(kobj_to_dev(kobj));

	if (!heap->described ||
	    (attr == &dev_attr_free.attr && !heap->accounted))
		return 0;
	return attr->mode;
}

static const struct attribute_group dma_heap_info_group = {
	.attrs = dma_heap_info_attrs,
	.is_visible = dma_heap_info_visible,
};

static const struct attribute_group *dma_heap_groups[] = {
	&dma_heap_group,
	&dma_heap_usage_group,
	&dma_heap_info_group,
	NULL
};

/*
 * Registration
 */

static char *dma_heap_devnode(const struct device *dev, umode_t *mode)
{
	return kasprintf(GFP_KERNEL, "dma_heap/%s", dev_name(dev));
}

static void dma_heap_release(struct device *dev)
{
	struct dma_heap *heap = dev_to_heap(dev);

	ida_free(&dma_heap_minors, MINOR(dev->devt));
	of_node_put(dev->of_node);
	kfree(heap);
}

static const struct class dma_heap_class = {
	.name = "dma_heap",
	.devnode = dma_heap_devnode,
	.dev_groups = dma_heap_groups,
	.dev_release = dma_heap_release,
};

/* A name is a file name in /dev/dma_heap and in sysfs, and is printed */
VISIBLE_IF_KUNIT bool dma_heap_name_valid(const char *name)
{
	size_t len = strnlen(name, DMA_HEAP_NAME_MAX + 1);
	size_t i;

	if (!len || len > DMA_HEAP_NAME_MAX)
		return false;
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return false;

	for (i = 0; i < len; i++) {
		if (name[i] == '/' || iscntrl(name[i]))
			return false;
	}
	return true;
}
EXPORT_SYMBOL_IF_KUNIT(dma_heap_name_valid);

static struct dma_heap *dma_heap_lookup_locked(const char *name)
{
	struct dma_heap *heap;

	lockdep_assert_held(&dma_heaps_lock);

	list_for_each_entry(heap, &dma_heaps, node) {
		if (!strcmp(dma_heap_get_name(heap), name))
			return heap;
	}
	return NULL;
}

/* The heap over @region; of several, that which was registered first */
struct device *dma_heap_lookup_region_locked(const struct device_node *region)
{
	struct dma_heap *heap;

	lockdep_assert_held(&dma_heaps_lock);

	list_for_each_entry(heap, &dma_heaps, node) {
		if (heap->dev.of_node == region)
			return &heap->dev;
	}
	return NULL;
}

/*
 * Makes a heap that nobody can reach yet. Given up by put_device(), which frees
 * it with everything in it.
 */
static struct dma_heap *
dma_heap_create(const struct dma_heap_export_info *exp_info)
{
	struct dma_heap *heap;
	int minor, ret;

	heap = kzalloc_obj(*heap);
	if (!heap)
		return ERR_PTR(-ENOMEM);

	minor = ida_alloc_max(&dma_heap_minors, DMA_HEAP_MINORS - 1, GFP_KERNEL);
	if (minor < 0) {
		kfree(heap);
		return ERR_PTR(minor);
	}

	device_initialize(&heap->dev);
	heap->dev.class = &dma_heap_class;
	heap->dev.devt = MKDEV(MAJOR(dma_heap_devt), minor);
	heap->dev.of_node = of_node_get(exp_info->of_node);
	heap->priv = exp_info->priv;
	heap->heap_flags = exp_info->heap_flags;
	heap->accounted = exp_info->ops->accounted;
	heap->described = exp_info->ops->get_info;
	RCU_INIT_POINTER(heap->ops, exp_info->ops);
	INIT_LIST_HEAD(&heap->node);
	cdev_init(&heap->cdev, &dma_heap_fops);
	heap->cdev.owner = THIS_MODULE;

	ret = dev_set_name(&heap->dev, "%s", exp_info->name);
	if (ret) {
		put_device(&heap->dev);
		return ERR_PTR(ret);
	}
	return heap;
}

/* No call of the heap's operations is running, or will be, after this */
static void dma_heap_disable(struct dma_heap *heap)
{
	rcu_assign_pointer(heap->ops, NULL);
	synchronize_srcu(&dma_heap_srcu);
}

/* Makes @heap reachable by name and node, unless the name is taken */
static int dma_heap_publish(struct dma_heap *heap)
{
	int ret;

	guard(mutex)(&dma_heaps_lock);

	if (dma_heap_lookup_locked(dma_heap_get_name(heap)))
		return -EEXIST;

	ret = cdev_device_add(&heap->cdev, &heap->dev);
	if (ret) {
		/* The number could be opened for a moment */
		dma_heap_disable(heap);
		return ret;
	}

	list_add_tail(&heap->node, &dma_heaps);
	dma_heap_links_connect_locked(&heap->dev);
	return 0;
}

/* The name is free again once nothing in /dev and sysfs has it any more */
static void dma_heap_unpublish(struct dma_heap *heap)
{
	guard(mutex)(&dma_heaps_lock);

	dma_heap_links_disconnect_locked(&heap->dev);
	cdev_device_del(&heap->cdev, &heap->dev);
	list_del_init(&heap->node);
}

/**
 * dma_heap_add - register a heap
 * @exp_info:	describes it; needed during the call only
 *
 * The heap appears as /dev/dma_heap/NAME and can be allocated from before this
 * returns. The name describes the memory, is unique, has 1 to DMA_HEAP_NAME_MAX
 * bytes, and neither '/' nor control characters.
 *
 * Context: process context, may sleep.
 *
 * Return: the heap, to be given up by dma_heap_remove(), or ERR_PTR(): -EINVAL
 * for a bad name, missing operations or impossible flags, -EEXIST if the name
 * is taken, -ENOSPC if there are too many heaps, -ENODEV before the core came
 * up, -ENOMEM.
 */
struct dma_heap *dma_heap_add(const struct dma_heap_export_info *exp_info)
{
	struct dma_heap *heap;
	int ret;

	if (!dma_heap_devt)
		return ERR_PTR(-ENODEV);

	if (!exp_info->name || !dma_heap_name_valid(exp_info->name)) {
		pr_err("cannot add a heap: its name is empty, longer than %d bytes, or has a '/' or control character\n",
		       DMA_HEAP_NAME_MAX);
		return ERR_PTR(-EINVAL);
	}
	if (!exp_info->ops || !exp_info->ops->allocate) {
		pr_err("cannot add heap %s: it has no allocate operation\n",
		       exp_info->name);
		return ERR_PTR(-EINVAL);
	}

	if (exp_info->heap_flags & ~DMA_HEAP_VALID_HEAP_FLAGS ||
	    exp_info->heap_flags == DMA_HEAP_VALID_HEAP_FLAGS) {
		pr_err("cannot add heap %s: no memory meets the flags %#llx\n",
		       exp_info->name, exp_info->heap_flags);
		return ERR_PTR(-EINVAL);
	}

	heap = dma_heap_create(exp_info);
	if (IS_ERR(heap))
		return heap;

	ret = dma_heap_publish(heap);
	if (ret) {
		pr_err("cannot add heap %s: %pe\n", exp_info->name, ERR_PTR(ret));
		put_device(&heap->dev);
		return ERR_PTR(ret);
	}
	return heap;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_add, "DMA_BUF_HEAP");

/**
 * dma_heap_remove - unregister a heap
 * @heap:	what dma_heap_add() returned; gone for the caller afterwards
 *
 * The node disappears, open files of it get -ENODEV at their next ioctl, and
 * allocations in flight are waited for. When this returns, nobody is inside
 * the heap's operations and nobody enters them any more. Buffers that were
 * handed out live on and keep what they need, their module included.
 *
 * Context: process context, sleeps, as long as an allocation from any heap may
 * take. Not from within &struct dma_heap_ops, and not with a lock that any
 * heap takes there.
 */
void dma_heap_remove(struct dma_heap *heap)
{
	dma_heap_unpublish(heap);
	dma_heap_disable(heap);
	put_device(&heap->dev);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_remove, "DMA_BUF_HEAP");

static void devm_dma_heap_remove(void *heap)
{
	dma_heap_remove(heap);
}

/**
 * devm_dma_heap_add - register a heap until a driver is unbound
 * @dev:	device whose driver owns the heap
 * @exp_info:	describes the heap
 *
 * Context: process context, may sleep.
 *
 * Return: as dma_heap_add(); the heap is removed with the device's resources
 * and must not be passed to dma_heap_remove().
 */
struct dma_heap *devm_dma_heap_add(struct device *dev,
				   const struct dma_heap_export_info *exp_info)
{
	struct dma_heap *heap;
	int ret;

	heap = dma_heap_add(exp_info);
	if (IS_ERR(heap))
		return heap;

	ret = devm_add_action_or_reset(dev, devm_dma_heap_remove, heap);
	return ret ? ERR_PTR(ret) : heap;
}
EXPORT_SYMBOL_NS_GPL(devm_dma_heap_add, "DMA_BUF_HEAP");

/**
 * dma_heap_find - look up a heap
 * @name:	its name
 *
 * Context: process context, may sleep.
 *
 * Return: the heap, to be given up by dma_heap_put(), or NULL if there is none
 * of that name. The heap may be removed at any time, see
 * dma_heap_buffer_alloc().
 */
struct dma_heap *dma_heap_find(const char *name)
{
	struct dma_heap *heap;

	guard(mutex)(&dma_heaps_lock);

	heap = dma_heap_lookup_locked(name);
	if (heap)
		get_device(&heap->dev);

	return heap;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_find, "DMA_BUF_HEAP");

/**
 * dma_heap_put - give up a reference from dma_heap_find()
 * @heap:	the heap
 *
 * Context: process context.
 */
void dma_heap_put(struct dma_heap *heap)
{
	put_device(&heap->dev);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_put, "DMA_BUF_HEAP");

/**
 * dma_heap_get_drvdata - get a heap's own data
 * @heap:	the heap
 *
 * Context: any.
 *
 * Return: &dma_heap_export_info.priv as it was when the heap was added.
 */
void *dma_heap_get_drvdata(struct dma_heap *heap)
{
	return heap->priv;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_get_drvdata, "DMA_BUF_HEAP");

/**
 * dma_heap_get_name - get a heap's name
 * @heap:	the heap
 *
 * Context: any.
 *
 * Return: the name; valid as long as the caller's reference to @heap.
 */
const char *dma_heap_get_name(struct dma_heap *heap)
{
	return dev_name(&heap->dev);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_get_name, "DMA_BUF_HEAP");

static int __init dma_heap_init(void)
{
	dev_t devt;
	int ret;

	ret = alloc_chrdev_region(&devt, 0, DMA_HEAP_MINORS, "dma_heap");
	if (ret)
		return ret;

	ret = class_register(&dma_heap_class);
	if (ret) {
		unregister_chrdev_region(devt, DMA_HEAP_MINORS);
		return ret;
	}

	dma_heap_devt = devt;
	dma_heap_debugfs = debugfs_create_dir("dma_heap_pool", NULL);
	return 0;
}

/* Before any device may be probed, some of which register heaps */
core_initcall(dma_heap_init);
