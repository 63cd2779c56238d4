// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the links from devices to heaps
 */

#include <kunit/device.h>
#include <kunit/of.h>
#include <kunit/test.h>
#include <linux/device.h>
#include <linux/dma-heap.h>
#include <linux/err.h>
#include <linux/kernfs.h>
#include <linux/kthread.h>
#include <linux/of.h>
#include <linux/platform_device.h>
#include <linux/sched/task.h>
#include <linux/sysfs.h>

/* Links are looked for up to this number */
#define TEST_MAX_INDEX	7

static struct dma_buf *test_allocate(struct dma_heap *heap, unsigned long len,
				     u32 fd_flags, u64 heap_flags)
{
	return ERR_PTR(-ENOSPC);
}

static const struct dma_heap_ops test_heap_ops = {
	.allocate = test_allocate,
};

static void test_heap_remove(void *heap)
{
	dma_heap_remove(heap);
}

static struct dma_heap *test_heap_add(const char *name,
				      struct device_node *region)
{
	const struct dma_heap_export_info exp_info = {
		.name = name,
		.ops = &test_heap_ops,
		.of_node = region,
	};

	return dma_heap_add(&exp_info);
}

/* A heap over @region if that is not NULL; removed when the test ends */
static struct dma_heap *test_heap_new(struct kunit *test, const char *name,
				      struct device_node *region)
{
	struct dma_heap *heap = test_heap_add(name, region);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, heap);
	KUNIT_ASSERT_EQ(test,
			kunit_add_action_or_reset(test, test_heap_remove, heap),
			0);
	return heap;
}

/* Removes a heap before the test ends */
static void test_heap_end(struct kunit *test, struct dma_heap *heap)
{
	kunit_release_action(test, test_heap_remove, heap);
}

static struct device *test_device_new(struct kunit *test)
{
	struct device *dev = kunit_device_register(test, "kunit-heap-user");

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	return dev;
}

/* Name of the heap that an entry of dma_heaps leads to; that must be there */
static const char *test_link_target(struct kernfs_node *link)
{
	const struct kobject *heap;

	if (kernfs_type(link) != KERNFS_LINK)
		return "no link";

	heap = link->symlink.target_kn->priv;
	return heap->state_in_sysfs ? kobject_name(heap) : "dangling";
}

/*
 * What sysfs has in dma_heaps of @dev, as "0=NAME 1=NAME"; "none" if there is
 * no such directory. To be used before the next call.
 */
static const char *test_links(struct device *dev)
{
	static char text[256];
	struct kernfs_node *dir, *link;
	unsigned int i;
	char name[12];
	int len = 0;

	dir = sysfs_get_dirent(dev->kobj.sd, "dma_heaps");
	if (!dir)
		return "none";

	text[0] = '\0';
	for (i = 0; i <= TEST_MAX_INDEX; i++) {
		snprintf(name, sizeof(name), "%u", i);
		link = sysfs_get_dirent(dir, name);
		if (!link)
			continue;
		len += scnprintf(text + len, sizeof(text) - len, "%s%u=%s",
				 len ? " " : "", i, test_link_target(link));
		sysfs_put(link);
	}
	sysfs_put(dir);
	return text;
}

#define EXPECT_LINKS(test, dev, links) \
	KUNIT_EXPECT_STREQ(test, test_links(dev), links)

static void test_numbers(struct kunit *test)
{
	struct dma_heap *a = test_heap_new(test, "kunit-a", NULL);
	struct dma_heap *b = test_heap_new(test, "kunit-b", NULL);
	struct device *dev = test_device_new(test);

	EXPECT_LINKS(test, dev, "none");
	KUNIT_EXPECT_EQ(test, dma_heap_link_device(dev, b), 0);
	EXPECT_LINKS(test, dev, "0=kunit-b");
	KUNIT_EXPECT_EQ(test, dma_heap_link_device(dev, a), 0);
	EXPECT_LINKS(test, dev, "0=kunit-b 1=kunit-a");

	/* Once more changes nothing */
	KUNIT_EXPECT_EQ(test, dma_heap_link_device(dev, b), 0);
	EXPECT_LINKS(test, dev, "0=kunit-b 1=kunit-a");
}

static void test_devices_are_apart(struct kunit *test)
{
	struct dma_heap *a = test_heap_new(test, "kunit-a", NULL);
	struct dma_heap *b = test_heap_new(test, "kunit-b", NULL);
	struct device_driver *driver;
	struct device *one, *two;

	/* One for both, since any driver of KUnit's bus matches any device */
	driver = kunit_driver_create(test, "kunit-heap-users");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, driver);
	one = kunit_device_register_with_driver(test, "kunit-one", driver);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, one);
	two = kunit_device_register_with_driver(test, "kunit-two", driver);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, two);
	KUNIT_EXPECT_EQ(test, dma_heap_link_device(one, a), 0);
	KUNIT_EXPECT_EQ(test, dma_heap_link_device(two, b), 0);
	KUNIT_EXPECT_EQ(test, dma_heap_link_device(two, a), 0);

	kunit_device_unregister(test, one);
	EXPECT_LINKS(test, two, "0=kunit-b 1=kunit-a");
}

static void test_heap_removed_first(struct kunit *test)
{
	struct dma_heap *a = test_heap_new(test, "kunit-a", NULL);
	struct dma_heap *b = test_heap_new(test, "kunit-b", NULL);
	struct dma_heap *c = test_heap_new(test, "kunit-c", NULL);
	struct device *dev = test_device_new(test);

	KUNIT_EXPECT_EQ(test, dma_heap_link_device(dev, a), 0);
	KUNIT_EXPECT_EQ(test, dma_heap_link_device(dev, b), 0);

	/* The others keep their numbers, and new ones come behind them */
	test_heap_end(test, a);
	EXPECT_LINKS(test, dev, "1=kunit-b");
	KUNIT_EXPECT_EQ(test, dma_heap_link_device(dev, c), 0);
	EXPECT_LINKS(test, dev, "1=kunit-b 2=kunit-c");

	/* The directory goes with the last, and can come back */
	test_heap_end(test, b);
	test_heap_end(test, c);
	EXPECT_LINKS(test, dev, "none");
	a = test_heap_new(test, "kunit-a", NULL);
	EXPECT_LINKS(test, dev, "none");
	KUNIT_EXPECT_EQ(test, dma_heap_link_device(dev, a), 0);
	EXPECT_LINKS(test, dev, "0=kunit-a");
}

static void test_device_removed_first(struct kunit *test)
{
	struct dma_heap *heap = test_heap_new(test, "kunit-a", NULL);
	struct device *dev = test_device_new(test);

	KUNIT_EXPECT_EQ(test, dma_heap_link_device(dev, heap), 0);
	get_device(dev);
	kunit_device_unregister(test, dev);
	KUNIT_EXPECT_EQ(test, dma_heap_link_device(dev, heap), -EINVAL);

	/* A link that was left would be removed from a directory that is gone */
	test_heap_end(test, heap);
	put_device(dev);
}

static void test_driver_unbound(struct kunit *test)
{
	struct dma_heap *a = test_heap_new(test, "kunit-a", NULL);
	struct dma_heap *b = test_heap_new(test, "kunit-b", NULL);
	struct device *dev = test_device_new(test);

	KUNIT_EXPECT_EQ(test, dma_heap_link_device(dev, a), 0);
	KUNIT_EXPECT_EQ(test, dma_heap_link_device(dev, b), 0);
	device_release_driver(dev);
	EXPECT_LINKS(test, dev, "none");
}

static void test_removed_heap(struct kunit *test)
{
	struct dma_heap *heap = test_heap_new(test, "kunit-a", NULL);
	struct device *dev = test_device_new(test);

	KUNIT_ASSERT_PTR_EQ(test, dma_heap_find("kunit-a"), heap);
	test_heap_end(test, heap);
	KUNIT_EXPECT_EQ(test, dma_heap_link_device(dev, heap), -ENODEV);
	EXPECT_LINKS(test, dev, "none");
	dma_heap_put(heap);
}

/*
 * Device tree
 */

#if IS_ENABLED(CONFIG_OF_OVERLAY)
static struct device_node *test_node(struct kunit *test, const char *name)
{
	struct device_node *node = of_find_node_by_name(NULL, name);

	KUNIT_ASSERT_NOT_NULL(test, node);
	of_node_put_kunit(test, node);
	return node;
}

static void test_platform_unregister(void *pdev)
{
	platform_device_unregister(pdev);
}

static struct platform_device *test_platform_register(struct device_node *node)
{
	const struct platform_device_info info = {
		.name = "kunit-dma-heap-user",
		.id = PLATFORM_DEVID_NONE,
		.fwnode = of_fwnode_handle(node),
	};

	return platform_device_register_full(&info);
}

/* The device of the overlay, which the test has applied */
static struct platform_device *test_platform_new(struct kunit *test)
{
	struct platform_device *pdev;

	pdev = test_platform_register(test_node(test, "kunit-dma-heap-user"));
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, pdev);
	KUNIT_ASSERT_EQ(test,
			kunit_add_action_or_reset(test,
						  test_platform_unregister,
						  pdev), 0);
	return pdev;
}

/* Brings the nodes of the test into the device tree; skips where none is */
static void test_apply_overlay(struct kunit *test)
{
	struct device_node *root = of_find_node_by_path("/");

	if (!root)
		kunit_skip(test, "this machine has no device tree");
	of_node_put(root);
	KUNIT_ASSERT_EQ(test, of_overlay_apply_kunit(test, dma_heap_link_test),
			0);
}

static void test_region_heap_first(struct kunit *test)
{
	struct dma_heap *a, *b;
	struct device *dev;

	test_apply_overlay(test);
	b = test_heap_new(test, "kunit-b",
			  test_node(test, "kunit-dma-heap-region1"));
	a = test_heap_new(test, "kunit-a",
			  test_node(test, "kunit-dma-heap-region0"));
	dev = &test_platform_new(test)->dev;
	EXPECT_LINKS(test, dev, "0=kunit-a 1=kunit-b");

	test_heap_end(test, a);
	EXPECT_LINKS(test, dev, "1=kunit-b");
	test_heap_end(test, b);
	EXPECT_LINKS(test, dev, "none");
}

static void test_region_device_first(struct kunit *test)
{
	struct device_node *region0, *region1, *user;
	struct platform_device *pdev;
	struct dma_heap *heap;
	struct device *dev;

	test_apply_overlay(test);
	region0 = test_node(test, "kunit-dma-heap-region0");
	region1 = test_node(test, "kunit-dma-heap-region1");
	user = test_node(test, "kunit-dma-heap-user");
	pdev = test_platform_new(test);
	dev = get_device(&pdev->dev);
	EXPECT_LINKS(test, dev, "none");

	/* By the order of the device tree, and not of registration */
	test_heap_new(test, "kunit-other", user);
	EXPECT_LINKS(test, dev, "none");
	test_heap_new(test, "kunit-b", region1);
	EXPECT_LINKS(test, dev, "1=kunit-b");
	heap = test_heap_new(test, "kunit-a", region0);
	EXPECT_LINKS(test, dev, "0=kunit-a 1=kunit-b");

	/* A link that was left would be removed from a directory that is gone */
	kunit_release_action(test, test_platform_unregister, pdev);
	test_heap_end(test, heap);
	put_device(dev);
}

static void test_region_and_driver(struct kunit *test)
{
	struct device_node *region0;
	struct dma_heap *a, *b;
	struct device *dev;

	test_apply_overlay(test);
	region0 = test_node(test, "kunit-dma-heap-region0");
	a = test_heap_new(test, "kunit-a", region0);
	b = test_heap_new(test, "kunit-b", NULL);
	dev = &test_platform_new(test)->dev;

	/* Behind the second region, though that has no heap */
	KUNIT_EXPECT_EQ(test, dma_heap_link_device(dev, b), 0);
	EXPECT_LINKS(test, dev, "0=kunit-a 2=kunit-b");
	KUNIT_EXPECT_EQ(test, dma_heap_link_device(dev, a), 0);
	EXPECT_LINKS(test, dev, "0=kunit-a 2=kunit-b");

	/* Only the device tree's comes back with its heap */
	test_heap_end(test, a);
	test_heap_end(test, b);
	EXPECT_LINKS(test, dev, "none");
	test_heap_new(test, "kunit-b", NULL);
	test_heap_new(test, "kunit-a", region0);
	EXPECT_LINKS(test, dev, "0=kunit-a");
}

static void test_two_heaps_of_region(struct kunit *test)
{
	struct device_node *region;
	struct dma_heap *second;
	struct device *dev;

	test_apply_overlay(test);
	region = test_node(test, "kunit-dma-heap-region0");
	test_heap_new(test, "kunit-a", region);
	second = test_heap_new(test, "kunit-b", region);
	dev = &test_platform_new(test)->dev;
	EXPECT_LINKS(test, dev, "0=kunit-a");

	test_heap_end(test, second);
	EXPECT_LINKS(test, dev, "0=kunit-a");
	test_heap_new(test, "kunit-c", region);
	EXPECT_LINKS(test, dev, "0=kunit-a");
}

/* Device and heap come and go at the same time */
#define TEST_ROUNDS	30

static int test_device_thread(void *node)
{
	struct platform_device *pdev;
	int i;

	for (i = 0; i < TEST_ROUNDS; i++) {
		pdev = test_platform_register(node);
		if (IS_ERR(pdev))
			return PTR_ERR(pdev);
		platform_device_unregister(pdev);
	}
	return 0;
}

static int test_heap_rounds(struct device_node *region)
{
	struct dma_heap *heap;
	int i;

	for (i = 0; i < TEST_ROUNDS; i++) {
		heap = test_heap_add("kunit-a", region);
		if (IS_ERR(heap))
			return PTR_ERR(heap);
		dma_heap_remove(heap);
	}
	return 0;
}

static void test_at_the_same_time(struct kunit *test)
{
	struct device_node *region, *user;
	struct task_struct *thread;

	test_apply_overlay(test);
	region = test_node(test, "kunit-dma-heap-region0");
	user = test_node(test, "kunit-dma-heap-user");

	thread = kthread_create(test_device_thread, user, "kunit-heap-user");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, thread);
	get_task_struct(thread);
	wake_up_process(thread);
	KUNIT_EXPECT_EQ(test, test_heap_rounds(region), 0);
	KUNIT_EXPECT_EQ(test, kthread_stop_put(thread), 0);

	test_heap_new(test, "kunit-a", region);
	EXPECT_LINKS(test, &test_platform_new(test)->dev, "0=kunit-a");
}
#else
static void test_region_heap_first(struct kunit *test)
{
	kunit_skip(test, "needs CONFIG_OF_OVERLAY");
}

static void test_region_device_first(struct kunit *test)
{
	kunit_skip(test, "needs CONFIG_OF_OVERLAY");
}

static void test_region_and_driver(struct kunit *test)
{
	kunit_skip(test, "needs CONFIG_OF_OVERLAY");
}

static void test_two_heaps_of_region(struct kunit *test)
{
	kunit_skip(test, "needs CONFIG_OF_OVERLAY");
}

static void test_at_the_same_time(struct kunit *test)
{
	kunit_skip(test, "needs CONFIG_OF_OVERLAY");
}
#endif

static struct kunit_case dma_heap_link_cases[] = {
	KUNIT_CASE(test_numbers),
	KUNIT_CASE(test_devices_are_apart),
	KUNIT_CASE(test_heap_removed_first),
	KUNIT_CASE(test_device_removed_first),
	KUNIT_CASE(test_driver_unbound),
	KUNIT_CASE(test_removed_heap),
	KUNIT_CASE(test_region_heap_first),
	KUNIT_CASE(test_region_device_first),
	KUNIT_CASE(test_region_and_driver),
	KUNIT_CASE(test_two_heaps_of_region),
	KUNIT_CASE(test_at_the_same_time),
	{}
};

static struct kunit_suite dma_heap_link_suite = {
	.name = "dma-heap-link",
	.test_cases = dma_heap_link_cases,
};

kunit_test_suite(dma_heap_link_suite);
