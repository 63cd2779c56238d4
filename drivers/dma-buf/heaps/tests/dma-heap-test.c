// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the core of DMA-BUF heaps: names, requests, registration
 */

#include <kunit/device.h>
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/dma-heap.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kmsg_dump.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/sched/task.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <uapi/linux/dma-heap.h>

#include "internals.h"

/* A heap whose allocate does what the test says */
struct test_heap {
	struct dma_heap *heap;
	struct completion entered;
	struct completion proceed;
	struct completion removed;
	bool wait;
	bool left;
	bool left_when_removed;
};

static struct dma_buf *test_allocate(struct dma_heap *heap, unsigned long len,
				     u32 fd_flags, u64 heap_flags)
{
	struct test_heap *th = dma_heap_get_drvdata(heap);

	if (th->wait) {
		complete(&th->entered);
		wait_for_completion(&th->proceed);
		WRITE_ONCE(th->left, true);
	}
	return ERR_PTR(-ENOSPC);
}

static const struct dma_heap_ops test_heap_ops = {
	.allocate = test_allocate,
};

static struct dma_heap *test_add(const char *name, void *priv)
{
	struct dma_heap_export_info exp_info = {
		.name = name,
		.ops = &test_heap_ops,
		.priv = priv,
	};

	return dma_heap_add(&exp_info);
}

static void test_remove(void *heap)
{
	dma_heap_remove(heap);
}

/* A heap that is removed at the latest when the test ends */
static struct test_heap *test_heap_new(struct kunit *test, const char *name)
{
	struct test_heap *th = kunit_kzalloc(test, sizeof(*th), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, th);
	init_completion(&th->entered);
	init_completion(&th->proceed);
	init_completion(&th->removed);
	th->heap = test_add(name, th);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, th->heap);
	KUNIT_ASSERT_EQ(test,
			kunit_add_action_or_reset(test, test_remove, th->heap),
			0);
	return th;
}

static void test_names(struct kunit *test)
{
	char longest[DMA_HEAP_NAME_MAX + 2];

	memset(longest, 'x', sizeof(longest));
	longest[DMA_HEAP_NAME_MAX] = '\0';
	KUNIT_EXPECT_TRUE(test, dma_heap_name_valid(longest));
	longest[DMA_HEAP_NAME_MAX] = 'x';
	longest[DMA_HEAP_NAME_MAX + 1] = '\0';
	KUNIT_EXPECT_FALSE(test, dma_heap_name_valid(longest));

	KUNIT_EXPECT_TRUE(test, dma_heap_name_valid("system"));
	KUNIT_EXPECT_TRUE(test, dma_heap_name_valid("video@70000000"));
	KUNIT_EXPECT_TRUE(test, dma_heap_name_valid("protected,secure-video"));
	KUNIT_EXPECT_TRUE(test, dma_heap_name_valid("100%s"));

	KUNIT_EXPECT_FALSE(test, dma_heap_name_valid(""));
	KUNIT_EXPECT_FALSE(test, dma_heap_name_valid("."));
	KUNIT_EXPECT_FALSE(test, dma_heap_name_valid(".."));
	KUNIT_EXPECT_FALSE(test, dma_heap_name_valid("a/b"));
	KUNIT_EXPECT_FALSE(test, dma_heap_name_valid("a\nb"));
	KUNIT_EXPECT_FALSE(test, dma_heap_name_valid("a\x7f"));
}

static void test_round_len(struct kunit *test)
{
	size_t size = 0;

	KUNIT_EXPECT_FALSE(test, dma_heap_round_len(0, &size));
	KUNIT_EXPECT_TRUE(test, dma_heap_round_len(1, &size));
	KUNIT_EXPECT_EQ(test, size, PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, dma_heap_round_len(PAGE_SIZE, &size));
	KUNIT_EXPECT_EQ(test, size, PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, dma_heap_round_len(PAGE_SIZE + 1, &size));
	KUNIT_EXPECT_EQ(test, size, 2 * PAGE_SIZE);

	/* The largest that can be rounded, and the first that cannot */
	KUNIT_EXPECT_TRUE(test,
			  dma_heap_round_len(SIZE_MAX - PAGE_SIZE + 1, &size));
	KUNIT_EXPECT_EQ(test, size, (size_t)(SIZE_MAX - PAGE_SIZE + 1));
	KUNIT_EXPECT_FALSE(test,
			   dma_heap_round_len(SIZE_MAX - PAGE_SIZE + 2, &size));
	KUNIT_EXPECT_FALSE(test, dma_heap_round_len(U64_MAX, &size));

	/* What does not fit must not be cut down to what does */
	if (sizeof(size_t) == 4)
		KUNIT_EXPECT_FALSE(test,
				   dma_heap_round_len(SZ_4G + SZ_4K, &size));
}

static unsigned int alloc_cmd(unsigned int dir, size_t size)
{
	return _IOC(dir, DMA_HEAP_IOC_MAGIC, 0, size);
}

static void test_request_size(struct kunit *test)
{
	const unsigned int rw = _IOC_READ | _IOC_WRITE;
	const int full = sizeof(struct dma_heap_allocation_data);

	KUNIT_EXPECT_EQ(test, dma_heap_request_size(DMA_HEAP_IOCTL_ALLOC), full);

	/* Older and newer programs */
	KUNIT_EXPECT_EQ(test, dma_heap_request_size(alloc_cmd(rw, 16)), 16);
	KUNIT_EXPECT_EQ(test, dma_heap_request_size(alloc_cmd(rw, 48)), full);
	KUNIT_EXPECT_EQ(test, dma_heap_request_size(alloc_cmd(rw, 0x3fff)),
			full);

	/* The descriptor must fit, and there must be a way back for it */
	KUNIT_EXPECT_EQ(test, dma_heap_request_size(alloc_cmd(rw, 12)), 12);
	KUNIT_EXPECT_EQ(test, dma_heap_request_size(alloc_cmd(rw, 11)), -EINVAL);
	KUNIT_EXPECT_EQ(test, dma_heap_request_size(alloc_cmd(rw, 0)), -EINVAL);
	KUNIT_EXPECT_EQ(test, dma_heap_request_size(alloc_cmd(_IOC_WRITE, full)),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, dma_heap_request_size(alloc_cmd(_IOC_READ, full)),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, dma_heap_request_size(alloc_cmd(_IOC_NONE, full)),
			-EINVAL);
}

static void test_add_refuses(struct kunit *test)
{
	static const struct dma_heap_ops no_allocate;
	struct dma_heap_export_info exp_info = {
		.name = "kunit-refused",
		.ops = &test_heap_ops,
	};

	exp_info.name = NULL;
	KUNIT_EXPECT_PTR_EQ(test, dma_heap_add(&exp_info), ERR_PTR(-EINVAL));
	exp_info.name = "kunit/refused";
	KUNIT_EXPECT_PTR_EQ(test, dma_heap_add(&exp_info), ERR_PTR(-EINVAL));

	exp_info.name = "kunit-refused";
	exp_info.ops = NULL;
	KUNIT_EXPECT_PTR_EQ(test, dma_heap_add(&exp_info), ERR_PTR(-EINVAL));
	exp_info.ops = &no_allocate;
	KUNIT_EXPECT_PTR_EQ(test, dma_heap_add(&exp_info), ERR_PTR(-EINVAL));

	KUNIT_EXPECT_NULL(test, dma_heap_find("kunit-refused"));
}

/* How many lines of the kernel's log have @text in them */
static unsigned int count_logged(const char *text)
{
	struct kmsg_dump_iter iter;
	static char line[512];
	unsigned int n = 0;
	size_t len;

	kmsg_dump_rewind(&iter);
	while (kmsg_dump_get_line(&iter, false, line, sizeof(line) - 1, &len)) {
		line[len] = '\0';
		n += !!strstr(line, text);
	}
	return n;
}

static void test_name_is_unique_and_copied(struct kunit *test)
{
	const char *complaint = "cannot create duplicate filename";
	unsigned int complaints = count_logged(complaint);
	char name[] = "kunit-name";
	struct dma_heap *heap;

	heap = test_add(name, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, heap);
	KUNIT_EXPECT_PTR_EQ(test, test_add("kunit-name", NULL),
			    ERR_PTR(-EEXIST));
	/* Found out before sysfs did */
	KUNIT_EXPECT_EQ(test, count_logged(complaint), complaints);

	memset(name, 'y', sizeof(name) - 1);
	KUNIT_EXPECT_STREQ(test, dma_heap_get_name(heap), "kunit-name");
	dma_heap_remove(heap);

	/* The name is free again */
	heap = test_add("kunit-name", NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, heap);
	dma_heap_remove(heap);
}

static void test_find(struct kunit *test)
{
	struct test_heap *th = test_heap_new(test, "kunit-find");
	struct dma_heap *heap = dma_heap_find("kunit-find");

	KUNIT_EXPECT_PTR_EQ(test, heap, th->heap);
	KUNIT_EXPECT_PTR_EQ(test, dma_heap_get_drvdata(heap), (void *)th);
	KUNIT_EXPECT_NULL(test, dma_heap_find("kunit-fin"));
	KUNIT_EXPECT_NULL(test, dma_heap_find("kunit-find2"));

	/* What was found stays valid when the heap is removed */
	kunit_release_action(test, test_remove, th->heap);
	KUNIT_EXPECT_NULL(test, dma_heap_find("kunit-find"));
	KUNIT_EXPECT_STREQ(test, dma_heap_get_name(heap), "kunit-find");
	KUNIT_EXPECT_PTR_EQ(test, dma_heap_buffer_alloc(heap, 1, O_RDWR, 0),
			    ERR_PTR(-ENODEV));
	dma_heap_put(heap);
}

static void test_buffer_alloc_checks(struct kunit *test)
{
	struct test_heap *th = test_heap_new(test, "kunit-checks");

	KUNIT_EXPECT_PTR_EQ(test, dma_heap_buffer_alloc(th->heap, 0, O_RDWR, 0),
			    ERR_PTR(-EINVAL));
	KUNIT_EXPECT_PTR_EQ(test,
			    dma_heap_buffer_alloc(th->heap, SIZE_MAX, O_RDWR, 0),
			    ERR_PTR(-EINVAL));
	KUNIT_EXPECT_PTR_EQ(test,
			    dma_heap_buffer_alloc(th->heap, 1, O_APPEND, 0),
			    ERR_PTR(-EINVAL));
	KUNIT_EXPECT_PTR_EQ(test,
			    dma_heap_buffer_alloc(th->heap, 1, O_RDWR, 1ULL << 63),
			    ERR_PTR(-EINVAL));

	/* The heap's own errno comes through */
	KUNIT_EXPECT_PTR_EQ(test, dma_heap_buffer_alloc(th->heap, 1, O_RDWR, 0),
			    ERR_PTR(-ENOSPC));
}

static int allocate_thread(void *data)
{
	struct test_heap *th = data;

	dma_heap_buffer_alloc(th->heap, 1, O_RDWR, 0);
	return 0;
}

static int remove_thread(void *data)
{
	struct test_heap *th = data;

	dma_heap_remove(th->heap);
	th->left_when_removed = READ_ONCE(th->left);
	complete(&th->removed);
	return 0;
}

/* Runs @fn in a thread that is there until thread_end() */
static struct task_struct *thread_begin(struct kunit *test,
					int (*fn)(void *data), void *data)
{
	struct task_struct *thread = kthread_run(fn, data, "kunit-heap");

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, thread);
	get_task_struct(thread);
	return thread;
}

static void thread_end(struct task_struct *thread)
{
	kthread_stop(thread);
	put_task_struct(thread);
}

/* Removal is under way once the name is gone */
static void wait_for_removal(const char *name)
{
	struct dma_heap *heap;

	while ((heap = dma_heap_find(name))) {
		dma_heap_put(heap);
		cond_resched();
	}
}

static void test_remove_waits_for_allocation(struct kunit *test)
{
	struct test_heap *th = test_heap_new(test, "kunit-wait");
	struct task_struct *allocator, *remover;
	struct dma_heap *heap;

	/* For the allocator, which must not rely on the heap's own reference */
	heap = dma_heap_find("kunit-wait");
	KUNIT_ASSERT_NOT_NULL(test, heap);

	th->wait = true;
	allocator = thread_begin(test, allocate_thread, th);
	wait_for_completion(&th->entered);

	kunit_remove_action(test, test_remove, th->heap);
	remover = thread_begin(test, remove_thread, th);
	wait_for_removal("kunit-wait");

	/* Whether it waits cannot be awaited; it gets the time not to */
	KUNIT_EXPECT_EQ(test,
			wait_for_completion_timeout(&th->removed, HZ / 5), 0);

	complete(&th->proceed);
	thread_end(remover);
	thread_end(allocator);
	KUNIT_EXPECT_TRUE(test, th->left_when_removed);
	dma_heap_put(heap);
}

#if IS_ENABLED(CONFIG_DEVTMPFS)
/* The tests run before anybody has mounted /dev */
static struct file *test_open_node(struct kunit *test, const char *name)
{
	struct file_system_type *devtmpfs = get_fs_type("devtmpfs");
	struct vfsmount *mnt;
	struct file *file;

	KUNIT_ASSERT_NOT_NULL(test, devtmpfs);
	mnt = kern_mount(devtmpfs);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mnt);
	file = file_open_root_mnt(mnt, name, O_RDONLY, 0);
	kern_unmount(mnt);
	return file;
}

static void test_remove_with_open_file(struct kunit *test)
{
	struct test_heap *th = test_heap_new(test, "kunit-open");
	struct file *file = test_open_node(test, "dma_heap/kunit-open");

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	/* A command without an argument: not every kernel thread can read one */
	KUNIT_EXPECT_EQ(test, file->f_op->unlocked_ioctl(file, 0, 0), -ENOTTY);

	kunit_release_action(test, test_remove, th->heap);
	KUNIT_EXPECT_EQ(test,
			file->f_op->unlocked_ioctl(file, DMA_HEAP_IOCTL_ALLOC,
						   0), -ENODEV);
	KUNIT_EXPECT_PTR_EQ(test, test_open_node(test, "dma_heap/kunit-open"),
			    ERR_PTR(-ENOENT));

	/* Nothing is left for another thread, which could be late */
	__fput_sync(file);
}
#else
static void test_remove_with_open_file(struct kunit *test)
{
	kunit_skip(test, "needs CONFIG_DEVTMPFS");
}
#endif

static void test_too_many(struct kunit *test)
{
	static struct dma_heap *heaps[256];
	struct dma_heap *heap = NULL;
	unsigned int n, i;
	char name[32];

	for (n = 0; n < ARRAY_SIZE(heaps); n++) {
		snprintf(name, sizeof(name), "kunit-many-%u", n);
		heap = test_add(name, NULL);
		if (IS_ERR(heap))
			break;
		heaps[n] = heap;
	}
	KUNIT_EXPECT_PTR_EQ(test, heap, ERR_PTR(-ENOSPC));
	KUNIT_EXPECT_GE(test, n, 64);

	for (i = 0; i < n; i++)
		dma_heap_remove(heaps[i]);

	/* The numbers came back */
	heap = test_add("kunit-many", NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, heap);
	dma_heap_remove(heap);
}

static void test_devm(struct kunit *test)
{
	const struct dma_heap_export_info exp_info = {
		.name = "kunit-devm",
		.ops = &test_heap_ops,
	};
	struct device *dev = kunit_device_register(test, "kunit-heap-owner");
	struct dma_heap *heap;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, devm_dma_heap_add(dev, &exp_info));
	KUNIT_EXPECT_PTR_EQ(test, devm_dma_heap_add(dev, &exp_info),
			    ERR_PTR(-EEXIST));

	heap = dma_heap_find("kunit-devm");
	KUNIT_EXPECT_NOT_NULL(test, heap);
	if (heap)
		dma_heap_put(heap);

	kunit_device_unregister(test, dev);
	KUNIT_EXPECT_NULL(test, dma_heap_find("kunit-devm"));
}

static struct kunit_case dma_heap_cases[] = {
	KUNIT_CASE(test_names),
	KUNIT_CASE(test_round_len),
	KUNIT_CASE(test_request_size),
	KUNIT_CASE(test_add_refuses),
	KUNIT_CASE(test_name_is_unique_and_copied),
	KUNIT_CASE(test_find),
	KUNIT_CASE(test_buffer_alloc_checks),
	KUNIT_CASE(test_remove_waits_for_allocation),
	KUNIT_CASE(test_remove_with_open_file),
	KUNIT_CASE(test_too_many),
	KUNIT_CASE(test_devm),
	{}
};

static struct kunit_suite dma_heap_suite = {
	.name = "dma-heap",
	.test_cases = dma_heap_cases,
};

kunit_test_suite(dma_heap_suite);

MODULE_DESCRIPTION("KUnit tests for DMA-BUF heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
MODULE_IMPORT_NS("DMA_BUF_HEAP");
MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
