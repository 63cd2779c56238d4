// SPDX-License-Identifier: GPL-2.0
/*
 * Heaps whose driver is unbound while their buffers are in use: the heap goes,
 * the buffers stay, and the memory is back after the last
 */

#include "each_heap.h"

#include <stdio.h>

#define SEED	0xdead
#define DRIVERS	"/sys/bus/platform/drivers/"

/* Drivers that register a heap for each device */
static const char * const drivers[] = {
	"chunk_heap", "dma_buf_testdev_region",
};

/* A device bound to such a driver, and the name of its heap */
struct owner {
	const char *driver;
	char dev[NAME_SIZE];
	char heap[NAME_SIZE];
};

/* Writes the device's name to "bind" or "unbind" of its driver */
static int owner_write(const struct owner *owner, const char *file)
{
	char path[256];

	snprintf(path, sizeof(path), DRIVERS "%s/%s", owner->driver, file);
	return write_file(path, owner->dev);
}

static bool has_name(const struct names *names, const char *name)
{
	int i;

	for (i = 0; i < names->count; i++)
		if (!strcmp(names->name[i], name))
			return true;
	return false;
}

/* Finds out by unbinding which heap is the owner's; false if none is */
static bool owner_find_heap(struct owner *owner)
{
	struct names before, after;
	int i;

	names_read(&before, HEAP_DIR);
	if (owner_write(owner, "unbind"))
		return false;
	names_read(&after, HEAP_DIR);
	if (owner_write(owner, "bind"))
		return false;
	for (i = 0; i < before.count; i++) {
		if (!has_name(&after, before.name[i])) {
			memcpy(owner->heap, before.name[i], NAME_SIZE);
			return true;
		}
	}
	return false;
}

/* Whether an entry of a driver's directory is a device bound to it */
static bool is_device(const char *driver, const char *entry)
{
	char path[512];

	snprintf(path, sizeof(path), DRIVERS "%s/%s/of_node", driver, entry);
	return !access(path, F_OK);
}

/* Calls @test for each owner; returns how many there are */
static int each_owner(struct __test_metadata *_metadata,
		      void (*test)(struct __test_metadata *_metadata,
				   const struct owner *owner))
{
	struct names entries;
	char path[256];
	unsigned int i;
	int j, count = 0;

	for (i = 0; i < ARRAY_SIZE(drivers); i++) {
		snprintf(path, sizeof(path), DRIVERS "%s", drivers[i]);
		names_read(&entries, path);
		for (j = 0; j < entries.count; j++) {
			struct owner owner = { .driver = drivers[i] };

			if (!is_device(drivers[i], entries.name[j]))
				continue;
			memcpy(owner.dev, entries.name[j], NAME_SIZE);
			ASSERT_TRUE(owner_find_heap(&owner))
				TH_LOG("%s has no heap", owner.dev);
			test(_metadata, &owner);
			count++;
		}
	}
	return count;
}

/* All that can be done with a buffer, by the CPU and by the device */
static void expect_usable(struct __test_metadata *_metadata,
			  struct buffer *buffer, const struct import *import,
			  __u32 seed)
{
	EXPECT_EQ(-1, buffer_differs(buffer));
	EXPECT_EQ(-1, import_differs(import, buffer));
	EXPECT_EQ(0, import_fill(import, buffer, seed));
	EXPECT_EQ(-1, buffer_differs(buffer));
	EXPECT_EQ(0, buffer_fill(buffer, seed + 1));
	EXPECT_EQ(-1, import_differs(import, buffer));
}

/* The heap can be had again with all of its memory */
static void expect_back(struct __test_metadata *_metadata,
			const struct owner *owner, long long size)
{
	int heap, dmabuf;

	ASSERT_EQ(0, owner_write(owner, "bind"));
	EXPECT_EQ(size, heap_counter(owner->heap, "free"));
	heap = heap_open(owner->heap);
	ASSERT_LE(0, heap);
	dmabuf = heap_alloc(heap, size);
	EXPECT_LE(0, dmabuf)
		TH_LOG("%s: %lld bytes: %s", owner->heap, size,
		       strerror(errno));
	close(dmabuf);
	close(heap);
}

static void unbind_in_use(struct __test_metadata *_metadata,
			  const struct owner *owner)
{
	long long size = heap_counter(owner->heap, "size");
	int heap = heap_open(owner->heap);
	int dev = testdev_open("coherent");
	struct buffer buffer;
	struct import import;

	ASSERT_LE(0, heap);
	ASSERT_LE(0, dev);
	ASSERT_EQ(0, buffer_alloc(&buffer, heap, MIB));
	ASSERT_EQ(0, buffer_fill(&buffer, SEED));
	ASSERT_EQ(0, import_begin(&import, dev, buffer.fd,
				  DMA_BUF_TESTDEV_BIDIRECTIONAL));

	ASSERT_EQ(0, owner_write(owner, "unbind"));
	EXPECT_EQ(-1, heap_open(owner->heap));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(-1, heap_counter(owner->heap, "size"));
	EXPECT_EQ(-1, heap_alloc(heap, page_size()));
	EXPECT_EQ(ENODEV, errno);
	expect_usable(_metadata, &buffer, &import, SEED + 1);

	close(heap);
	close(buffer.fd);
	buffer.fd = -1;
	EXPECT_EQ(0, import_detach(&import));
	close(dev);
	buffer_free(&buffer);
	expect_back(_metadata, owner, size);
}

TEST(in_use)
{
	if (!each_owner(_metadata, unbind_in_use))
		SKIP(return, "no heap here belongs to a device's driver");
}

/* What a buffer still has is nobody else's, also after the heap is back */
static void rebind_in_use(struct __test_metadata *_metadata,
			  const struct owner *owner)
{
	long long size = heap_counter(owner->heap, "size");
	int heap = heap_open(owner->heap);
	struct buffer buffer;
	int again, dmabuf;

	ASSERT_LE(0, heap);
	ASSERT_EQ(0, buffer_alloc(&buffer, heap, MIB));
	ASSERT_EQ(0, buffer_fill(&buffer, SEED));
	close(heap);

	ASSERT_EQ(0, owner_write(owner, "unbind"));
	if (!owner_write(owner, "bind")) {
		again = heap_open(owner->heap);
		ASSERT_LE(0, again);
		EXPECT_EQ(-1, heap_alloc(again, size));
		EXPECT_EQ(ENOMEM, errno);
		dmabuf = heap_alloc(again, size - 2 * MIB);
		EXPECT_LE(0, dmabuf);
		close(dmabuf);
		close(again);
		EXPECT_EQ(0, owner_write(owner, "unbind"));
	}
	EXPECT_EQ(-1, buffer_differs(&buffer));
	buffer_free(&buffer);
	expect_back(_metadata, owner, size);
}

TEST(bound_again_in_use)
{
	if (!each_owner(_metadata, rebind_in_use))
		SKIP(return, "no heap here belongs to a device's driver");
}

TEST_HARNESS_MAIN
