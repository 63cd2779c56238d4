// SPDX-License-Identifier: GPL-2.0
/* A device imports a heap's buffer: attach, map, DMA both ways, sync */

#include "each_heap.h"

#include <stdint.h>

#define SEED	0xde71ce

static const __u32 directions[] = {
	DMA_BUF_TESTDEV_BIDIRECTIONAL,
	DMA_BUF_TESTDEV_TO_DEVICE,
	DMA_BUF_TESTDEV_FROM_DEVICE,
};

static const __u64 accesses[] = {
	DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE, DMA_BUF_SYNC_RW,
};

/* Whether this machine has memory that the device cannot address */
static bool has_memory_beyond(__u64 dma_mask)
{
	FILE *file = fopen("/proc/iomem", "re");
	unsigned long long end, highest = 0;
	char line[128];

	if (!file)
		return false;
	while (fgets(line, sizeof(line), file)) {
		if (strstr(line, "System RAM") &&
		    sscanf(line, "%*x-%llx", &end) == 1 && end > highest)
			highest = end;
	}
	fclose(file);
	return highest > dma_mask;
}

static bool can_import(int heap, int dev, size_t size)
{
	int dmabuf = heap_alloc(heap, size);
	struct import import = { };
	bool can;

	can = !import_begin(&import, dev, dmabuf,
			    DMA_BUF_TESTDEV_BIDIRECTIONAL);
	if (can)
		import_detach(&import);
	close(dmabuf);
	return can || !has_memory_beyond(import.info.dma_mask);
}

/*
 * A large size, but none of which it is normal that it cannot be imported:
 * memory out of a device's reach is mapped by way of memory within, and of
 * that a kernel gives small pieces only
 */
static size_t import_size(int heap, int dev)
{
	size_t page = page_size(), size = big_size(heap);

	while (size > page && !can_import(heap, dev, size))
		size = size / page / 2 * page;
	return size;
}

/*
 * For most tests: more than one block, but few, since an engine may take half a
 * second where one ends and the next begins
 */
static size_t small_size(void)
{
	return 3 * page_size();
}

static void alloc_filled(struct __test_metadata *_metadata,
			 struct buffer *buffer, int heap, size_t size)
{
	ASSERT_EQ(0, buffer_alloc(buffer, heap, size));
	ASSERT_EQ(0, buffer_fill(buffer, SEED));
}

/* Checks the mapping's entries against the device's mask and each other */
static void expect_entries(struct __test_metadata *_metadata,
			   const struct import *import, size_t size)
{
	struct dma_buf_testdev_entry entry = { }, last = { };
	bool contiguous = true;
	__u64 sum = 0;
	__u32 i;

	for (i = 0; i < import->map.nents; i++) {
		ASSERT_EQ(0, import_entry(import, i, &entry));
		EXPECT_TRUE(entry.len > 0 && entry.len <= UINT32_MAX);
		EXPECT_LE(entry.addr + entry.len - 1, import->info.dma_mask);
		contiguous &= !i || last.addr + last.len == entry.addr;
		sum += entry.len;
		last = entry;
	}
	EXPECT_EQ(size, sum);
	EXPECT_EQ(size, import->map.size);
	EXPECT_EQ(contiguous, import->map.contiguous);
	EXPECT_EQ(-1, import_entry(import, i, &entry));
}

TEST_DEVICE(map_directions)
{
	const size_t sizes[] = {
		page_size(), 3 * page_size(),
		import_size(self->heap, self->dev),
	};
	struct import import;
	unsigned int i, j;
	int dmabuf;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		dmabuf = heap_alloc(self->heap, sizes[i]);
		ASSERT_LE(0, dmabuf);
		ASSERT_EQ(0, import_attach(&import, self->dev, dmabuf));
		/* One attachment is mapped again and again */
		for (j = 0; j < ARRAY_SIZE(directions); j++) {
			ASSERT_EQ(0, import_map(&import, directions[j]));
			expect_entries(_metadata, &import,
				       dmabuf_size(dmabuf));
			ASSERT_EQ(0, import_unmap(&import));
		}
		ASSERT_EQ(0, import_detach(&import));
		close(dmabuf);
	}
}

TEST_DEVICE(device_reads)
{
	struct buffer buffer;
	struct import import;

	alloc_filled(_metadata, &buffer, self->heap,
		     import_size(self->heap, self->dev));
	ASSERT_EQ(0, import_begin(&import, self->dev, buffer.fd,
				  DMA_BUF_TESTDEV_TO_DEVICE));
	EXPECT_EQ(-1, import_differs(&import, &buffer));
	ASSERT_EQ(0, import_detach(&import));
	EXPECT_EQ(-1, buffer_differs(&buffer));
	buffer_free(&buffer);
}

TEST_DEVICE(device_writes)
{
	struct buffer buffer;
	struct import import;

	alloc_filled(_metadata, &buffer, self->heap,
		     import_size(self->heap, self->dev));
	ASSERT_EQ(0, import_begin(&import, self->dev, buffer.fd,
				  DMA_BUF_TESTDEV_FROM_DEVICE));
	EXPECT_EQ(0, import_fill(&import, &buffer, ~SEED));
	/* Seen while it is mapped, by the grace of SYNC, and afterwards */
	EXPECT_EQ(-1, buffer_differs(&buffer));
	ASSERT_EQ(0, import_detach(&import));
	EXPECT_EQ(-1, buffer_differs(&buffer));
	buffer_free(&buffer);
}

/* CPU and device in turn, while the mapping stays */
TEST_DEVICE(both_ways)
{
	struct buffer buffer;
	struct import import;

	alloc_filled(_metadata, &buffer, self->heap, small_size());
	ASSERT_EQ(0, import_begin(&import, self->dev, buffer.fd,
				  DMA_BUF_TESTDEV_BIDIRECTIONAL));
	EXPECT_EQ(-1, import_differs(&import, &buffer));
	EXPECT_EQ(0, import_fill(&import, &buffer, ~SEED));
	EXPECT_EQ(-1, buffer_differs(&buffer));
	EXPECT_EQ(0, buffer_fill(&buffer, SEED + 1));
	EXPECT_EQ(-1, import_differs(&import, &buffer));
	ASSERT_EQ(0, import_detach(&import));
	buffer_free(&buffer);
}

/* Imports the buffer into every device, this one once more; returns how many */
static int import_everywhere(struct __test_metadata *_metadata,
			     struct import *imports, int dmabuf)
{
	struct names devs;
	int dev, i;

	names_read(&devs, TESTDEV_DIR);
	for (i = 0; i < devs.count; i++) {
		dev = testdev_open(devs.name[i]);
		ASSERT_LE(0, dev);
		ASSERT_EQ(0, import_begin(&imports[i], dev, dmabuf,
					  DMA_BUF_TESTDEV_TO_DEVICE));
	}
	return devs.count;
}

/* What one device writes all others read, and each stays mapped meanwhile */
TEST_DEVICE(several_importers)
{
	struct import import, others[NAMES_MAX];
	struct buffer buffer;
	int count;

	alloc_filled(_metadata, &buffer, self->heap, small_size());
	count = import_everywhere(_metadata, others, buffer.fd);
	ASSERT_EQ(0, import_begin(&import, self->dev, buffer.fd,
				  DMA_BUF_TESTDEV_FROM_DEVICE));
	EXPECT_EQ(0, import_fill(&import, &buffer, ~SEED));
	/* The CPU's access hands it on to devices that are not coherent */
	EXPECT_EQ(-1, buffer_differs(&buffer));
	while (count--) {
		EXPECT_EQ(-1, import_differs(&others[count], &buffer));
		close(others[count].dev);
	}
	ASSERT_EQ(0, import_detach(&import));
	buffer_free(&buffer);
}

/* The kernel's own mapping shows the same memory */
TEST_DEVICE(vmap)
{
	struct buffer buffer;
	struct import import;
	struct span all;
	void *scratch;

	alloc_filled(_metadata, &buffer, self->heap, big_size(self->heap));
	all = (struct span){ .len = buffer.size };
	scratch = malloc(buffer.size);
	ASSERT_NE(NULL, scratch);
	ASSERT_EQ(0, import_attach(&import, self->dev, buffer.fd));
	EXPECT_EQ(0, import_copy(&import, DMA_BUF_TESTDEV_COPY_VMAP, all,
				 scratch));
	EXPECT_EQ(0, memcmp(scratch, buffer.model, buffer.size));
	free(scratch);

	pattern(buffer.model, 0, buffer.size, ~SEED);
	EXPECT_EQ(0, import_copy(&import, DMA_BUF_TESTDEV_COPY_VMAP |
				 DMA_BUF_TESTDEV_COPY_WRITE, all,
				 buffer.model));
	EXPECT_EQ(-1, buffer_differs(&buffer));
	ASSERT_EQ(0, import_detach(&import));
	buffer_free(&buffer);
}

/* All that SYNC can be asked for, whatever the buffer is mapped for */
static void sync_all(struct __test_metadata *_metadata, int dmabuf)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(accesses); i++) {
		EXPECT_EQ(0, dmabuf_sync(dmabuf,
					 DMA_BUF_SYNC_START | accesses[i]));
		EXPECT_EQ(0, dmabuf_sync(dmabuf,
					 DMA_BUF_SYNC_END | accesses[i]));
	}
}

/* The device writes if it may only write, else it reads and checks */
static int use_as_mapped(const struct import *import, struct buffer *buffer)
{
	if (import->map.direction == DMA_BUF_TESTDEV_FROM_DEVICE)
		return import_fill(import, buffer, ~SEED);
	return import_differs(import, buffer) == -1 ? 0 : -1;
}

TEST_DEVICE(sync_in_any_direction)
{
	long errors = dma_api_errors();
	struct buffer buffer;
	struct import import;
	unsigned int i;

	alloc_filled(_metadata, &buffer, self->heap, small_size());
	ASSERT_EQ(0, import_attach(&import, self->dev, buffer.fd));
	for (i = 0; i < ARRAY_SIZE(directions); i++) {
		ASSERT_EQ(0, import_map(&import, directions[i]));
		sync_all(_metadata, buffer.fd);
		EXPECT_EQ(0, use_as_mapped(&import, &buffer));
		sync_all(_metadata, buffer.fd);
		ASSERT_EQ(0, import_unmap(&import));
		EXPECT_EQ(-1, buffer_differs(&buffer));
	}
	ASSERT_EQ(0, import_detach(&import));
	EXPECT_EQ(errors, dma_api_errors());
	buffer_free(&buffer);
}

/*
 * Maps one buffer after the other until the device can have no more. Returns
 * how many, and in @error the errno of mapping the next one, or 0.
 */
static int map_many(int heap, int dev, struct import *imports, int most,
		    int *error)
{
	size_t size = big_size(heap);
	int count, dmabuf;

	*error = 0;
	for (count = 0; count < most && !*error; count += !*error) {
		dmabuf = heap_alloc(heap, size);
		if (dmabuf < 0)
			break;
		if (import_begin(&imports[count], dev, dmabuf,
				 DMA_BUF_TESTDEV_BIDIRECTIONAL))
			*error = errno;
		close(dmabuf);
	}
	return count;
}

/*
 * Memory out of a device's reach is mapped by way of memory within, and when
 * that is all taken it is not the heap that has run out
 */
TEST_DEVICE(many_mappings)
{
	struct import imports[16];
	int count, error;

	count = map_many(self->heap, self->dev, imports, ARRAY_SIZE(imports),
			 &error);
	while (count--)
		EXPECT_EQ(0, import_detach(&imports[count]));
	EXPECT_TRUE(!error || error == EIO)
		TH_LOG("%s", strerror(error));
}

TEST_DEVICE(buffer_lives_with_attachment)
{
	struct buffer buffer;
	struct import import;

	alloc_filled(_metadata, &buffer, self->heap, small_size());
	ASSERT_EQ(0, import_begin(&import, self->dev, buffer.fd,
				  DMA_BUF_TESTDEV_BIDIRECTIONAL));
	munmap(buffer.mem, buffer.size);
	close(buffer.fd);
	EXPECT_EQ(-1, import_differs(&import, &buffer));
	ASSERT_EQ(0, import_detach(&import));
	EXPECT_EQ(self->before.buffers,
		  heap_counter(variant->heap, "buffers"));
	munmap(buffer.model, buffer.size);
}

TEST_DEVICE(closed_while_mapped)
{
	struct import import;
	int dmabuf, dev;

	dev = testdev_open(variant->dev);
	ASSERT_LE(0, dev);
	dmabuf = heap_alloc(self->heap, small_size());
	ASSERT_LE(0, dmabuf);
	ASSERT_EQ(0, import_begin(&import, dev, dmabuf,
				  DMA_BUF_TESTDEV_BIDIRECTIONAL));
	close(dmabuf);
	close(dev);
	EXPECT_EQ(self->before.buffers,
		  heap_counter(variant->heap, "buffers"));
}

TEST_DEVICE(attachment_errors)
{
	struct dma_buf_testdev_entry entry;
	struct span word = { .len = 4 };
	struct import import, none;
	__u32 data;
	int dmabuf;

	dmabuf = heap_alloc(self->heap, page_size());
	ASSERT_LE(0, dmabuf);
	EXPECT_EQ(-1, import_attach(&none, self->dev, self->heap));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, import_unmap(&none));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(-1, import_detach(&none));
	EXPECT_EQ(ENOENT, errno);

	ASSERT_EQ(0, import_attach(&import, self->dev, dmabuf));
	EXPECT_TRUE(import.map.handle != 0);
	EXPECT_EQ(-1, import_map(&import, 3));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, import_unmap(&import));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(-1, import_copy(&import, 0, word, &data));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(-1, import_entry(&import, 0, &entry));
	EXPECT_EQ(ENXIO, errno);
	ASSERT_EQ(0, import_map(&import, DMA_BUF_TESTDEV_TO_DEVICE));
	EXPECT_EQ(-1, import_map(&import, DMA_BUF_TESTDEV_TO_DEVICE));
	EXPECT_EQ(EBUSY, errno);
	ASSERT_EQ(0, import_detach(&import));
	EXPECT_EQ(-1, import_detach(&import));
	EXPECT_EQ(ENOENT, errno);
	close(dmabuf);
}

TEST_DEVICE(copy_errors)
{
	struct span word = { .len = 4 };
	struct import import;
	__u32 data[2] = { };
	struct span end;
	int dmabuf;

	dmabuf = heap_alloc(self->heap, page_size());
	ASSERT_LE(0, dmabuf);
	end = (struct span){ .offset = dmabuf_size(dmabuf) - 4, .len = 8 };
	ASSERT_EQ(0, import_begin(&import, self->dev, dmabuf,
				  DMA_BUF_TESTDEV_TO_DEVICE));
	EXPECT_EQ(-1, import_copy(&import, DMA_BUF_TESTDEV_COPY_WRITE, word,
				  data));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, import_copy(&import, 0, end, data));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, import_copy(&import, 0, word, NULL));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_EQ(0, import_unmap(&import));
	ASSERT_EQ(0, import_map(&import, DMA_BUF_TESTDEV_FROM_DEVICE));
	EXPECT_EQ(-1, import_copy(&import, 0, word, data));
	EXPECT_EQ(EACCES, errno);
	ASSERT_EQ(0, import_detach(&import));
	close(dmabuf);
}

int main(int argc, char **argv)
{
	return each_heap_run(argc, argv);
}
