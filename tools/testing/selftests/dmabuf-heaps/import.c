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

/*
 * For most tests: more than one block, but few, since an engine may take half a
 * second where one ends and the next begins
 */
static size_t small_size(int heap, const struct dma_heap_info *info)
{
	return heap_fit(heap, 3 * info->granularity);
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

/* A device that does not reach the memory, or a copy of it, is told so */
TEST_HEAP(reach)
{
	struct import import;
	struct names devs;
	int dmabuf, dev, i;

	names_read(&devs, TESTDEV_DIR);
	if (!devs.count)
		SKIP(return, "no test device (CONFIG_DMABUF_TESTDEV)");
	dmabuf = heap_alloc(self->heap, page_size());
	ASSERT_LE(0, dmabuf);
	for (i = 0; i < devs.count; i++) {
		dev = testdev_open(devs.name[i]);
		ASSERT_LE(0, dev);
		if (import_begin(&import, dev, dmabuf,
				 DMA_BUF_TESTDEV_BIDIRECTIONAL)) {
			EXPECT_TRUE(!heap_is_cached(&self->info) &&
				    out_of_reach(&import))
				TH_LOG("%s: %s", devs.name[i], strerror(errno));
		}
		close(dev);
	}
	close(dmabuf);
}

TEST_DEVICE(map_directions)
{
	const size_t sizes[] = {
		page_size(), small_size(self->heap, &self->info),
		import_size(self->dev, big_size(self->heap)),
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
		     import_size(self->dev, odd_size(self->heap, MIB)));
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
		     import_size(self->dev, odd_size(self->heap, MIB)));
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

	alloc_filled(_metadata, &buffer, self->heap,
		     small_size(self->heap, &self->info));
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

/*
 * Imports the buffer into every device that reaches it, this one once more;
 * returns how many
 */
static int import_everywhere(struct __test_metadata *_metadata,
			     struct import *imports, int dmabuf,
			     const struct dma_heap_info *info)
{
	struct names devs;
	int dev, i, n = 0;

	names_read(&devs, TESTDEV_DIR);
	for (i = 0; i < devs.count; i++) {
		dev = testdev_open(devs.name[i]);
		ASSERT_LE(0, dev);
		if (!import_begin(&imports[n], dev, dmabuf,
				  DMA_BUF_TESTDEV_TO_DEVICE)) {
			n++;
			continue;
		}
		ASSERT_TRUE(!heap_is_cached(info) && out_of_reach(&imports[n]));
		close(dev);
	}
	return n;
}

/* What one device writes all others read, and each stays mapped meanwhile */
TEST_DEVICE(several_importers)
{
	struct import import, others[NAMES_MAX];
	struct buffer buffer;
	int count;

	alloc_filled(_metadata, &buffer, self->heap,
		     small_size(self->heap, &self->info));
	count = import_everywhere(_metadata, others, buffer.fd, &self->info);
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

/* Nor does the kernel map what no CPU may touch */
static void expect_no_vmap(struct __test_metadata *_metadata, int heap, int dev)
{
	int dmabuf = heap_alloc(heap, page_size());
	struct span word = { .len = 4 };
	struct import import;
	__u32 data = 0;

	ASSERT_LE(0, dmabuf);
	ASSERT_EQ(0, import_attach(&import, dev, dmabuf));
	EXPECT_EQ(-1, import_copy(&import, DMA_BUF_TESTDEV_COPY_VMAP, word,
				  &data));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, import_copy(&import, DMA_BUF_TESTDEV_COPY_VMAP |
				  DMA_BUF_TESTDEV_COPY_WRITE, word, &data));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_EQ(0, import_detach(&import));
	close(dmabuf);
}

/* The kernel's own mapping shows the same memory */
static void expect_vmap(struct __test_metadata *_metadata, int heap, int dev)
{
	struct buffer buffer;
	struct import import;
	struct span all;
	void *scratch;

	alloc_filled(_metadata, &buffer, heap, odd_size(heap, MEDIUM_MOST));
	all = (struct span){ .len = buffer.size };
	scratch = malloc(buffer.size);
	ASSERT_NE(NULL, scratch);
	ASSERT_EQ(0, import_attach(&import, dev, buffer.fd));
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

TEST_DEVICE(vmap)
{
	if (heap_is_cpu_mappable(&self->info))
		expect_vmap(_metadata, self->heap, self->dev);
	else
		expect_no_vmap(_metadata, self->heap, self->dev);
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

	if (!cpu_can_map(_metadata, &self->info))
		return;
	alloc_filled(_metadata, &buffer, self->heap,
		     small_size(self->heap, &self->info));
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
	struct dma_buf_testdev_info info;
	struct import imports[16];
	int count, error;
	bool is_short;

	ASSERT_EQ(0, testdev_info(self->dev, &info));
	is_short = testdev_is_short(&info);
	count = map_many(self->heap, self->dev, imports,
			 is_short ? ARRAY_SIZE(imports) : 3, &error);
	while (count--)
		EXPECT_EQ(0, import_detach(&imports[count]));
	EXPECT_TRUE(!error || (error == EIO && is_short))
		TH_LOG("%s", strerror(error));
}

TEST_DEVICE(buffer_lives_with_attachment)
{
	struct buffer buffer;
	struct import import;

	alloc_filled(_metadata, &buffer, self->heap,
		     small_size(self->heap, &self->info));
	ASSERT_EQ(0, import_begin(&import, self->dev, buffer.fd,
				  DMA_BUF_TESTDEV_BIDIRECTIONAL));
	buffer_close(&buffer);
	EXPECT_EQ(-1, import_differs(&import, &buffer));
	ASSERT_EQ(0, import_detach(&import));
	EXPECT_EQ(self->before.buffers,
		  heap_counter(variant->heap, "buffers"));
	buffer_free(&buffer);
}

TEST_DEVICE(closed_while_mapped)
{
	struct import import;
	int dmabuf, dev;

	dev = testdev_open(variant->dev);
	ASSERT_LE(0, dev);
	dmabuf = heap_alloc(self->heap, small_size(self->heap, &self->info));
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
