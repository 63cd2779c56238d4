/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Runs TEST_F(heap, ...) for every heap of the running kernel and
 * TEST_F(device, ...) for every heap with every test device, each as a test
 * result of its own, and checks after each test that it gave everything back.
 *
 * The harness knows variants of a fixture that were named when the program was
 * compiled; here they are registered before it starts. The main() of a program
 * calls each_heap_run().
 *
 * A test learns from self->info what the heap can do. A program in which every
 * test needs memory that the CPU can map defines ALL_TESTS_MAP.
 */
#ifndef _DMABUF_HEAPS_EACH_HEAP_H
#define _DMABUF_HEAPS_EACH_HEAP_H

#include <fcntl.h>

#include "kselftest_harness.h"
#include "heaps.h"

/* More than one block of the largest kind, which a PMD maps */
#define BIG_MOST	(3 * MIB)

/* For what needs several blocks and does not gain by more of them */
#define MEDIUM_MOST	(256 * KIB)

/* TCG with a debug kernel is a hundred times slower than a machine */
#define PATIENCE	300

#define TEST_HEAP(name)		TEST_F_TIMEOUT(heap, name, PATIENCE)
#define TEST_DEVICE(name)	TEST_F_TIMEOUT(device, name, PATIENCE)

/* An open heap */
FIXTURE(heap)
{
	int heap;
	struct dma_heap_info info;
	struct usage before;
};

FIXTURE_VARIANT(heap)
{
	char name[NAME_SIZE];
};

/* An open heap and an open test device that reaches its memory */
FIXTURE(device)
{
	int heap;
	int dev;
	struct dma_heap_info info;
	struct usage before;
};

FIXTURE_VARIANT(device)
{
	char heap[NAME_SIZE];
	char dev[NAME_SIZE];
};

/* A program has tests of one fixture or of both, or of its own as well */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"

/*
 * A size that the heap gives, up to @most, and no power of two: a heap that
 * gathers blocks needs many of them, each of another size
 */
static size_t odd_size(int heap, size_t most)
{
	struct dma_heap_info info;
	size_t size;

	heap_info(heap, &info);
	size = heap_fit(heap, most);
	return size > info.granularity ? size - info.granularity : size;
}

static size_t big_size(int heap)
{
	return odd_size(heap, BIG_MOST);
}

/*
 * Of many lengths, another for each @number, but an eighth of the heap's memory at
 * most
 */
static size_t some_size(const struct dma_heap_info *info, int number)
{
	size_t units = 1 + 7 * number % 33, most = info->size / 8;

	return units * info->granularity < most ? units * info->granularity :
						  most;
}

/* What a buffer of @size bytes is rounded up to */
static size_t rounded(const struct dma_heap_info *info, size_t size)
{
	return (size + info->granularity - 1) / info->granularity *
	       info->granularity;
}

/* Whether the CPU can map the heap's memory; skips the test if not */
static bool cpu_can_map(struct __test_metadata *_metadata,
			const struct dma_heap_info *info)
{
	if (heap_is_cpu_mappable(info))
		return true;
	SKIP(return false, "the CPU cannot map this heap");
}

/* The same, but a test device may stand in for the CPU */
static bool can_look_inside(struct __test_metadata *_metadata,
			    const struct dma_heap_info *info)
{
	struct names devs;

	names_read(&devs, TESTDEV_DIR);
	if (devs.count)
		return true;
	return cpu_can_map(_metadata, info);
}

/*
 * Whether it is no fault of the heap that a mapping failed with errno: its
 * memory can be out of the device's reach
 */
static bool out_of_reach(const struct import *import)
{
	return errno == EIO && testdev_is_short(&import->info);
}

/* Whether a page of the heap can be imported, or ought to be possible to */
static bool can_import(int heap, int dev)
{
	int dmabuf = heap_alloc(heap, page_size());
	struct import import;
	bool can;

	can = !import_begin(&import, dev, dmabuf,
			    DMA_BUF_TESTDEV_BIDIRECTIONAL);
	if (can)
		import_detach(&import);
	else
		can = !out_of_reach(&import);
	close(dmabuf);
	return can;
}

/*
 * At most @size, but none of which it is normal that it cannot be imported:
 * memory out of a device's reach is mapped by way of memory within, which a
 * kernel has in pieces of 256 KiB (IO_TLB_SEGSIZE)
 */
static size_t import_size(int dev, size_t size)
{
	struct dma_buf_testdev_info info;

	if (testdev_info(dev, &info) || !testdev_is_short(&info))
		return size;
	return size < MEDIUM_MOST ? size : MEDIUM_MOST;
}

/* Fails the test if something is still held that was not held @before */
static void expect_usage(struct __test_metadata *_metadata,
			 const struct usage *before, const char *heap)
{
	struct usage now;

	/* A test that failed may have stopped before it gave things back */
	if (_metadata->exit_code == KSFT_FAIL)
		return;
	usage_read(&now, heap);
	EXPECT_EQ(before->fds, now.fds);
	EXPECT_EQ(before->buffers, now.buffers);
	EXPECT_EQ(before->bytes, now.bytes);
	EXPECT_EQ(before->free, now.free);
}

FIXTURE_SETUP(heap)
{
	usage_read(&self->before, variant->name);
	self->heap = heap_open(variant->name);
	ASSERT_LE(0, self->heap);
	heap_info(self->heap, &self->info);
#ifdef ALL_TESTS_MAP
	if (!cpu_can_map(_metadata, &self->info))
		return;
#endif
}

FIXTURE_TEARDOWN(heap)
{
	close(self->heap);
	expect_usage(_metadata, &self->before, variant->name);
}

FIXTURE_SETUP(device)
{
	if (!variant->dev[0])
		SKIP(return, "no test device (CONFIG_DMABUF_TESTDEV)");
	usage_read(&self->before, variant->heap);
	self->heap = heap_open(variant->heap);
	ASSERT_LE(0, self->heap);
	self->dev = testdev_open(variant->dev);
	ASSERT_LE(0, self->dev);
	heap_info(self->heap, &self->info);
	/* Of cached memory, a copy is within reach */
	if (!heap_is_cached(&self->info) && !can_import(self->heap, self->dev))
		SKIP(return, "out of the device's reach, and of this memory no copies are made");
}

FIXTURE_TEARDOWN(device)
{
	close(self->dev);
	close(self->heap);
	expect_usage(_metadata, &self->before, variant->heap);
}

/* For what lives as long as the program */
static void *allocate(size_t size)
{
	void *mem = calloc(1, size);

	if (!mem)
		ksft_exit_fail_msg("no memory for the list of tests\n");
	return mem;
}

static void add_variant(struct __fixture_metadata *fixture, const void *data,
			const char *name)
{
	struct __fixture_variant_metadata *variant = allocate(sizeof(*variant));

	variant->name = name;
	variant->data = data;
	__register_fixture_variant(fixture, variant);
}

static void add_heap(const char *heap)
{
	struct _fixture_variant_heap *data = allocate(sizeof(*data));

	snprintf(data->name, NAME_SIZE, "%s", heap);
	add_variant(&_heap_fixture_object, data, data->name);
}

/* With an empty @dev the tests are reported as skipped */
static void add_device(const char *heap, const char *dev)
{
	struct _fixture_variant_device *data = allocate(sizeof(*data));
	char *name = allocate(2 * NAME_SIZE);

	snprintf(data->heap, NAME_SIZE, "%s", heap);
	snprintf(data->dev, NAME_SIZE, "%s", dev);
	snprintf(name, 2 * NAME_SIZE, "%s%s%s", heap, dev[0] ? ":" : "", dev);
	add_variant(&_device_fixture_object, data, name);
}

/* Runs all tests; instead of TEST_HARNESS_MAIN */
static int each_heap_run(int argc, char **argv)
{
	struct names heaps, devs;
	int i, j;

	names_read(&heaps, HEAP_DIR);
	if (!heaps.count)
		ksft_exit_skip("no heap in %s\n", HEAP_DIR);
	names_read(&devs, TESTDEV_DIR);
	for (i = 0; i < heaps.count; i++) {
		add_heap(heaps.name[i]);
		for (j = 0; j < devs.count; j++)
			add_device(heaps.name[i], devs.name[j]);
		if (!devs.count)
			add_device(heaps.name[i], "");
	}
	return test_harness_run(argc, argv);
}

#pragma GCC diagnostic pop

#endif /* _DMABUF_HEAPS_EACH_HEAP_H */
