// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: links from devices to the heaps that suit them
 */

/**
 * DOC: heaps of a device
 *
 * A device tells user space which heaps suit it by links to them in sysfs, in
 * its directory dma_heaps. Their names are numbers, of which a lower one is
 * preferred.
 *
 * The first come from the device tree: a platform device with a memory-region
 * has a link to the heap over each of these regions, numbered as in the list,
 * whichever of the two is there first. Its driver adds others behind them by
 * dma_heap_link_device().
 */

/*
 * Locking: dma_heaps_lock protects all that is here, so that a heap is linked
 * only while it is registered. It is taken within the device lock of whoever
 * registers or links a heap, and within the notifiers of the platform bus, and
 * so neither is taken with it held. Removing links and directories from sysfs
 * waits for nobody, unlike files, which have readers.
 */

#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/dma-heap.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/notifier.h>
#include <linux/of.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "dma-heap-link.h"

/**
 * struct dma_heap_link - a place in the order of a device's heaps
 * @dev:	the device; does not leave sysfs before this is destroyed, when
 *		the bus or the driver's resources give notice of it
 * @region:	memory whose heap is wanted, with a reference; NULL if a driver
 *		has linked a heap
 * @heap:	the heap that is linked now; NULL if there is none over @region
 * @index:	place in the order
 * @name:	the same as a file name
 * @node:	entry in dma_heap_links
 */
struct dma_heap_link {
	struct device *dev;
	struct device_node *region;
	struct device *heap;
	unsigned int index;
	char name[12];
	struct list_head node;
};

/* Under dma_heaps_lock, like everything in its entries */
static LIST_HEAD(dma_heap_links);

/* Nothing but a directory */
static struct attribute *dma_heap_link_attrs[] = {
	NULL
};

static const struct attribute_group dma_heap_link_group = {
	.name = "dma_heaps",
	.attrs = dma_heap_link_attrs,
};

/* Is there a link from @dev to @heap, or to any heap if that is NULL? */
static bool dma_heap_is_linked(struct device *dev, struct device *heap)
{
	struct dma_heap_link *link;

	lockdep_assert_held(&dma_heaps_lock);

	list_for_each_entry(link, &dma_heap_links, node) {
		if (link->dev == dev && link->heap &&
		    (!heap || link->heap == heap))
			return true;
	}
	return false;
}

/* Removes the sysfs entry, if there is one, and with the last its directory */
static void dma_heap_link_disconnect(struct dma_heap_link *link)
{
	struct kobject *kobj = &link->dev->kobj;

	if (!link->heap)
		return;

	link->heap = NULL;
	sysfs_remove_link_from_group(kobj, dma_heap_link_group.name, link->name);
	if (!dma_heap_is_linked(link->dev, NULL))
		sysfs_remove_group(kobj, &dma_heap_link_group);
}

/* Makes the sysfs entry, of which there is none yet */
static int dma_heap_link_connect(struct dma_heap_link *link,
				 struct device *heap)
{
	struct kobject *kobj = &link->dev->kobj;
	int ret;

	if (!dma_heap_is_linked(link->dev, NULL)) {
		ret = sysfs_create_group(kobj, &dma_heap_link_group);
		if (ret)
			return ret;
	}

	link->heap = heap;
	ret = sysfs_add_link_to_group(kobj, dma_heap_link_group.name,
				      &heap->kobj, link->name);
	if (ret)
		dma_heap_link_disconnect(link);
	return ret;
}

/* Takes over the reference to @region, also if this fails and returns NULL */
static struct dma_heap_link *dma_heap_link_create(struct device *dev,
						  struct device_node *region,
						  unsigned int index)
{
	struct dma_heap_link *link;

	lockdep_assert_held(&dma_heaps_lock);

	link = kzalloc_obj(*link);
	if (!link) {
		of_node_put(region);
		return NULL;
	}
	link->dev = dev;
	link->region = region;
	link->index = index;
	snprintf(link->name, sizeof(link->name), "%u", index);
	list_add_tail(&link->node, &dma_heap_links);
	return link;
}

static void dma_heap_link_destroy(struct dma_heap_link *link)
{
	dma_heap_link_disconnect(link);
	list_del(&link->node);
	of_node_put(link->region);
	kfree(link);
}

/* Ends the links of @dev from one of the two sources */
static void dma_heap_links_destroy(struct device *dev, bool from_regions)
{
	struct dma_heap_link *link, *next;

	guard(mutex)(&dma_heaps_lock);

	list_for_each_entry_safe(link, next, &dma_heap_links, node) {
		if (link->dev == dev && !!link->region == from_regions)
			dma_heap_link_destroy(link);
	}
}

/*
 * Heaps
 */

/* Neither the heap nor the device can do anything about a failure */
static void dma_heap_link_connect_region(struct dma_heap_link *link,
					 struct device *heap)
{
	int ret = dma_heap_link_connect(link, heap);

	if (ret)
		dev_warn(link->dev, "cannot link heap %s: %pe\n",
			 dev_name(heap), ERR_PTR(ret));
}

/* To be called once @heap is registered: links it from whoever waits for it */
void dma_heap_links_connect_locked(struct device *heap)
{
	struct dma_heap_link *link;

	lockdep_assert_held(&dma_heaps_lock);

	list_for_each_entry(link, &dma_heap_links, node) {
		if (link->region && link->region == heap->of_node && !link->heap)
			dma_heap_link_connect_region(link, heap);
	}
}

/* To be called while @heap is still registered: nothing refers to it any more */
void dma_heap_links_disconnect_locked(struct device *heap)
{
	struct dma_heap_link *link, *next;

	lockdep_assert_held(&dma_heaps_lock);

	list_for_each_entry_safe(link, next, &dma_heap_links, node) {
		if (link->heap != heap)
			continue;

		if (link->region)
			dma_heap_link_disconnect(link);
		else
			dma_heap_link_destroy(link);
	}
}

/*
 * Drivers
 */

static void dma_heap_unlink_driver(void *dev)
{
	dma_heap_links_destroy(dev, false);
}

/* The number behind all that @dev has, also those that wait for their heap */
static unsigned int dma_heap_link_next_index(struct device *dev)
{
	struct dma_heap_link *link;
	unsigned int index = 0;

	lockdep_assert_held(&dma_heaps_lock);

	list_for_each_entry(link, &dma_heap_links, node) {
		if (link->dev == dev)
			index = max(index, link->index + 1);
	}
	return index;
}

/**
 * dma_heap_link_device - tell user space that a heap suits a device
 * @dev:	device, by the driver that is bound to it; or one that never has
 *		a driver, such as that of a class, by who registered it
 * @heap:	heap whose memory @dev can use, see dma_heap_find()
 *
 * Adds a link to @heap in the directory dma_heaps of @dev in sysfs, as the last
 * choice so far: a driver starts with the heap that it prefers. A heap that is
 * linked already, by the driver or because it is over a memory-region of @dev,
 * keeps its place.
 *
 * The link goes when the driver is unbound, when @dev is unregistered, or when
 * @heap is removed, and does not come back by itself. It holds no reference to
 * @heap, and the caller may give up its own::
 *
 *	heap = dma_heap_find("system");
 *	if (heap) {
 *		ret = dma_heap_link_device(dev, heap);
 *		dma_heap_put(heap);
 *	}
 *
 * Context: process context, may sleep. Not in parallel with the end of @dev's
 * registration or of its driver.
 *
 * Return: 0 if @heap is linked, -EINVAL if @dev is not registered, -ENODEV if
 * @heap was removed, -ENOMEM.
 */
int dma_heap_link_device(struct device *dev, struct dma_heap *heap)
{
	struct device *heap_dev = dma_heap_dev(heap);
	struct dma_heap_link *link;
	int ret;

	if (!device_is_registered(dev))
		return -EINVAL;

	guard(mutex)(&dma_heaps_lock);

	if (!device_is_registered(heap_dev))
		return -ENODEV;
	if (dma_heap_is_linked(dev, heap_dev))
		return 0;

	/* First, since it ends all links of the driver and not this one only */
	ret = devm_add_action(dev, dma_heap_unlink_driver, dev);
	if (ret)
		return ret;

	link = dma_heap_link_create(dev, NULL, dma_heap_link_next_index(dev));
	if (!link)
		return -ENOMEM;

	ret = dma_heap_link_connect(link, heap_dev);
	if (ret)
		dma_heap_link_destroy(link);
	return ret;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_link_device, "DMA_BUF_HEAP");

/*
 * Device tree
 */

/* Takes over the reference to @region */
static void dma_heap_link_region(struct device *dev, struct device_node *region,
				 unsigned int index)
{
	struct dma_heap_link *link = dma_heap_link_create(dev, region, index);
	struct device *heap;

	if (!link)
		return;

	heap = dma_heap_lookup_region_locked(region);
	if (heap)
		dma_heap_link_connect_region(link, heap);
}

static void dma_heap_link_regions(struct device *dev)
{
	struct device_node *region;
	int count, i;

	/* What a chunk heap is made of is not what it uses */
	if (of_device_is_compatible(dev->of_node, "dma_heap,chunk"))
		return;

	count = of_count_phandle_with_args(dev->of_node, "memory-region", NULL);
	if (count <= 0)
		return;

	guard(mutex)(&dma_heaps_lock);

	for (i = 0; i < count; i++) {
		region = of_parse_phandle(dev->of_node, "memory-region", i);
		if (region)
			dma_heap_link_region(dev, region, i);
	}
}

/* From the first of these to the second a device is in sysfs in any case */
static int dma_heap_link_notify(struct notifier_block *nb, unsigned long event,
				void *dev)
{
	switch (event) {
	case BUS_NOTIFY_ADD_DEVICE:
		dma_heap_link_regions(dev);
		break;
	case BUS_NOTIFY_REMOVED_DEVICE:
		dma_heap_links_destroy(dev, true);
		break;
	}
	return NOTIFY_OK;
}

static struct notifier_block dma_heap_link_nb = {
	.notifier_call = dma_heap_link_notify,
};

/* Before the devices of the device tree are made, so that none is missed */
static int __init dma_heap_link_init(void)
{
	if (!IS_ENABLED(CONFIG_OF))
		return 0;

	return bus_register_notifier(&platform_bus_type, &dma_heap_link_nb);
}
core_initcall(dma_heap_link_init);
