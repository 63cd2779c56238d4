// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the buffer that DMA-BUF heaps share: tables, offsets, what
 * reaches the DMA API, and its life after its heap
 */

#include <kunit/device.h>
#include <kunit/test.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/gfp.h>
#include <linux/iosys-map.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sizes.h>

#include "../heap-helpers.h"
#include "internals.h"

#define TEST_EXTENTS	5
#define TEST_ATTRS	DMA_ATTR_WEAK_ORDERING

/*
 * A heap of one buffer, whose extents are every other page of a run, so that
 * none continues the one before
 */
struct test_heap {
	struct dma_heap *heap;
	struct heap_backing backing;
	void *run;
	unsigned int freed;
};

static void test_free(struct heap_buffer *buffer)
{
	struct test_heap *th = buffer->priv;

	if (th->run)
		free_pages_exact(th->run, 2 * TEST_EXTENTS * PAGE_SIZE);
	th->freed++;
}

static void test_free_nothing(struct heap_buffer *buffer)
{
}

/* For buffers whose memory is not there */
static const struct heap_backing no_backing = { .free = test_free_nothing };

static const struct dma_buf_ops test_buf_ops = {
	.attach = heap_buffer_attach,
	.detach = heap_buffer_detach,
	.map_dma_buf = heap_buffer_map,
	.unmap_dma_buf = heap_buffer_unmap,
	.begin_cpu_access = heap_buffer_begin_cpu_access,
	.end_cpu_access = heap_buffer_end_cpu_access,
	.mmap = heap_buffer_mmap,
	.vmap = heap_buffer_vmap,
	.vunmap = heap_buffer_vunmap,
	.release = heap_buffer_release,
};

/* The memory that is page @i of the buffer */
static void *test_page(struct test_heap *th, unsigned int i)
{
	return th->run + 2 * i * PAGE_SIZE;
}

static struct dma_buf *test_allocate(struct dma_heap *heap, unsigned long len,
				     u32 fd_flags, u64 heap_flags)
{
	struct test_heap *th = dma_heap_get_drvdata(heap);
	struct heap_buffer *buffer;
	unsigned int i;

	buffer = heap_buffer_create(heap, &th->backing, TEST_EXTENTS);
	if (!buffer)
		return ERR_PTR(-ENOMEM);
	buffer->priv = th;

	th->run = alloc_pages_exact(2 * TEST_EXTENTS * PAGE_SIZE,
				    GFP_KERNEL | __GFP_ZERO);
	if (!th->run) {
		heap_buffer_destroy(buffer);
		return ERR_PTR(-ENOMEM);
	}
	for (i = 0; i < TEST_EXTENTS; i++)
		heap_buffer_add_extent(buffer, virt_to_phys(test_page(th, i)),
				       PAGE_SIZE);

	return heap_buffer_export(buffer, &test_buf_ops, THIS_MODULE, fd_flags);
}

static const struct dma_heap_ops test_heap_ops = {
	.allocate = test_allocate,
	.accounted = true,
};

static void test_remove(void *heap)
{
	dma_heap_remove(heap);
}

/* A heap that is removed at the latest when the test ends */
static struct test_heap *test_heap_new(struct kunit *test)
{
	struct test_heap *th = kunit_kzalloc(test, sizeof(*th), GFP_KERNEL);
	struct dma_heap_export_info exp_info = {
		.name = "kunit-helpers",
		.ops = &test_heap_ops,
		.priv = th,
	};

	KUNIT_ASSERT_NOT_NULL(test, th);
	th->backing.free = test_free;
	th->backing.dma_attrs = TEST_ATTRS;
	th->heap = dma_heap_add(&exp_info);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, th->heap);
	KUNIT_ASSERT_EQ(test,
			kunit_add_action_or_reset(test, test_remove, th->heap),
			0);
	return th;
}

static struct dma_buf *test_buf_new(struct kunit *test, struct test_heap *th)
{
	struct dma_buf *dmabuf = dma_heap_buffer_alloc(th->heap, PAGE_SIZE,
						       O_RDWR, 0);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dmabuf);
	KUNIT_EXPECT_EQ(test, dmabuf->size, TEST_EXTENTS * PAGE_SIZE);
	return dmabuf;
}

/* A kernel thread's last reference is otherwise dropped some time later */
static void test_buf_put(struct dma_buf *dmabuf)
{
	__fput_sync(dmabuf->file);
}

static void test_extents_merge(struct kunit *test)
{
	struct heap_buffer *b = heap_buffer_create(NULL, &no_backing, 3);

	KUNIT_ASSERT_NOT_NULL(test, b);
	heap_buffer_add_extent(b, SZ_1M, SZ_64K);
	heap_buffer_add_extent(b, SZ_1M + SZ_64K, SZ_64K);
	KUNIT_EXPECT_EQ(test, b->nr_extents, 1);
	/* Before the last one, and after a gap */
	heap_buffer_add_extent(b, SZ_1M - SZ_64K, SZ_64K);
	heap_buffer_add_extent(b, SZ_2M, SZ_64K);
	KUNIT_EXPECT_EQ(test, b->nr_extents, 3);
	KUNIT_EXPECT_EQ(test, b->extents[0].size, SZ_128K);
	KUNIT_EXPECT_EQ(test, b->extents[1].start, SZ_1M - SZ_64K);
	KUNIT_EXPECT_EQ(test, b->size, 4 * SZ_64K);
	heap_buffer_destroy(b);
}

static void test_find_extent(struct kunit *test)
{
	struct heap_buffer *b = heap_buffer_create(NULL, &no_backing, 2);
	size_t offset;

	KUNIT_ASSERT_NOT_NULL(test, b);
	heap_buffer_add_extent(b, SZ_1M, SZ_64K);
	heap_buffer_add_extent(b, SZ_4M, SZ_128K);

	offset = 0;
	KUNIT_EXPECT_EQ(test, heap_buffer_find_extent(b, &offset), 0);
	KUNIT_EXPECT_EQ(test, offset, 0);
	offset = SZ_64K - 1;
	KUNIT_EXPECT_EQ(test, heap_buffer_find_extent(b, &offset), 0);
	KUNIT_EXPECT_EQ(test, offset, SZ_64K - 1);
	offset = SZ_64K;
	KUNIT_EXPECT_EQ(test, heap_buffer_find_extent(b, &offset), 1);
	KUNIT_EXPECT_EQ(test, offset, 0);
	offset = SZ_128K + SZ_64K - 1;
	KUNIT_EXPECT_EQ(test, heap_buffer_find_extent(b, &offset), 1);
	KUNIT_EXPECT_EQ(test, offset, SZ_128K - 1);
	offset = SZ_128K + SZ_64K;
	KUNIT_EXPECT_EQ(test, heap_buffer_find_extent(b, &offset), 2);
	heap_buffer_destroy(b);
}

/* An entry's length has 32 bits */
static void test_entries_of_huge_buffer(struct kunit *test)
{
#if defined(CONFIG_64BIT) && \
	(!defined(CONFIG_SPARSEMEM) || defined(CONFIG_SPARSEMEM_VMEMMAP))
	const size_t first = 5ULL * SZ_1G + SZ_4K;
	struct heap_buffer *b = heap_buffer_create(NULL, &no_backing, 2);
	struct scatterlist sgl[8], *sg;
	phys_addr_t next = SZ_4G;
	size_t size = 0;
	unsigned int n;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, b);
	heap_buffer_add_extent(b, SZ_4G, first);
	heap_buffer_add_extent(b, 16ULL * SZ_1G, SZ_64K);

	n = heap_buffer_count_entries(b);
	KUNIT_ASSERT_GE(test, n, 2);
	KUNIT_ASSERT_LE(test, n, ARRAY_SIZE(sgl));
	sg_init_table(sgl, n);
	heap_buffer_fill_entries(b, true, sgl);

	for_each_sg(sgl, sg, n, i) {
		KUNIT_EXPECT_GT(test, sg->length, 0);
		KUNIT_EXPECT_TRUE(test, PAGE_ALIGNED(sg->length));
		if (size == first)
			next = 16ULL * SZ_1G;
		KUNIT_EXPECT_EQ(test, sg_phys(sg), next);
		next += sg->length;
		size += sg->length;
	}
	KUNIT_EXPECT_EQ(test, size, b->size);
	KUNIT_EXPECT_TRUE(test, sg_is_last(&sgl[n - 1]));
	heap_buffer_destroy(b);
#else
	kunit_skip(test, "no struct page can be named for memory that is not there");
#endif
}

static void test_vmap_is_in_order(struct kunit *test)
{
	struct test_heap *th = test_heap_new(test);
	struct dma_buf *dmabuf = test_buf_new(test, th);
	struct iosys_map map;
	unsigned int i;

	for (i = 0; i < TEST_EXTENTS; i++)
		memset(test_page(th, i), 'a' + i, PAGE_SIZE);

	KUNIT_ASSERT_EQ(test, dma_buf_vmap_unlocked(dmabuf, &map), 0);
	for (i = 0; i < TEST_EXTENTS; i++) {
		KUNIT_EXPECT_EQ(test, iosys_map_rd(&map, i * PAGE_SIZE, u8),
				'a' + i);
		KUNIT_EXPECT_EQ(test,
				iosys_map_rd(&map, (i + 1) * PAGE_SIZE - 1, u8),
				'a' + i);
	}
	dma_buf_vunmap_unlocked(dmabuf, &map);
	test_buf_put(dmabuf);
}

static void test_buffer_outlives_heap(struct kunit *test)
{
	struct test_heap *th = test_heap_new(test);
	struct dma_buf *dmabuf = test_buf_new(test, th);
	struct iosys_map map;

	kunit_release_action(test, test_remove, th->heap);
	KUNIT_EXPECT_EQ(test, th->freed, 0);

	KUNIT_ASSERT_EQ(test, dma_buf_vmap_unlocked(dmabuf, &map), 0);
	iosys_map_wr(&map, 0, u8, 1);
	KUNIT_EXPECT_EQ(test, *(u8 *)test_page(th, 0), 1);
	dma_buf_vunmap_unlocked(dmabuf, &map);

	test_buf_put(dmabuf);
	KUNIT_EXPECT_EQ(test, th->freed, 1);
}

static void test_clear_pages(struct kunit *test)
{
	const unsigned int nr_pages = 8;
	u8 *run = alloc_pages_exact(nr_pages * PAGE_SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, run);
	memset(run, 0xa5, nr_pages * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test,
			heap_clear_pages(virt_to_page(run + PAGE_SIZE),
					 nr_pages - 2), 0);
	KUNIT_EXPECT_EQ(test, run[PAGE_SIZE - 1], 0xa5);
	KUNIT_EXPECT_PTR_EQ(test,
			    memchr_inv(run + PAGE_SIZE, 0,
				       (nr_pages - 2) * PAGE_SIZE), NULL);
	KUNIT_EXPECT_EQ(test, run[(nr_pages - 1) * PAGE_SIZE], 0xa5);
	free_pages_exact(run, nr_pages * PAGE_SIZE);
}

#ifdef CONFIG_ARCH_HAS_DMA_OPS
/* What the DMA API was asked to do with one device */
static struct {
	int map_result;
	unsigned int maps, unmaps, for_cpu, for_device;
	enum dma_data_direction map_dir, unmap_dir, sync_dir;
	unsigned long map_attrs, unmap_attrs;
	struct page *synced;
} dma_log;

static int fake_map_sg(struct device *dev, struct scatterlist *sgl, int nents,
		       enum dma_data_direction dir, unsigned long attrs)
{
	struct scatterlist *sg;
	int i;

	if (dma_log.map_result)
		return dma_log.map_result;

	for_each_sg(sgl, sg, nents, i) {
		sg_dma_address(sg) = sg_phys(sg);
		sg_dma_len(sg) = sg->length;
	}
	dma_log.maps++;
	dma_log.map_dir = dir;
	dma_log.map_attrs = attrs;
	return nents;
}

static void fake_unmap_sg(struct device *dev, struct scatterlist *sgl,
			  int nents, enum dma_data_direction dir,
			  unsigned long attrs)
{
	dma_log.unmaps++;
	dma_log.unmap_dir = dir;
	dma_log.unmap_attrs = attrs;
}

static void fake_sync_sg_for_cpu(struct device *dev, struct scatterlist *sgl,
				 int nents, enum dma_data_direction dir)
{
	dma_log.for_cpu++;
	dma_log.sync_dir = dir;
	dma_log.synced = sg_page(sgl);
}

static void fake_sync_sg_for_device(struct device *dev,
				    struct scatterlist *sgl, int nents,
				    enum dma_data_direction dir)
{
	dma_log.for_device++;
	dma_log.sync_dir = dir;
	dma_log.synced = sg_page(sgl);
}

static const struct dma_map_ops fake_dma_ops = {
	.map_sg = fake_map_sg,
	.unmap_sg = fake_unmap_sg,
	.sync_sg_for_cpu = fake_sync_sg_for_cpu,
	.sync_sg_for_device = fake_sync_sg_for_device,
};

/* A new importer of @dmabuf, not mapped yet, with nothing logged */
static struct dma_buf_attachment *test_attach(struct kunit *test,
					      struct dma_buf *dmabuf)
{
	struct device *dev = kunit_device_register(test, "kunit-importer");
	struct dma_buf_attachment *attach;
	static u64 mask;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	memset(&dma_log, 0, sizeof(dma_log));
	mask = DMA_BIT_MASK(64);
	dev->dma_mask = &mask;
	dev->coherent_dma_mask = mask;
	set_dma_ops(dev, &fake_dma_ops);

	attach = dma_buf_attach(dmabuf, dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	return attach;
}

static struct sg_table *test_map(struct kunit *test,
				 struct dma_buf_attachment *attach,
				 enum dma_data_direction dir)
{
	struct sg_table *sgt = dma_buf_map_attachment_unlocked(attach, dir);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, sgt);
	return sgt;
}

/* Expects that the CPU's access makes so many calls each way, and no more */
static void test_syncs(struct kunit *test, struct dma_buf *dmabuf,
		       unsigned int calls)
{
	unsigned int for_cpu = dma_log.for_cpu;
	unsigned int for_device = dma_log.for_device;

	dma_buf_begin_cpu_access(dmabuf, DMA_FROM_DEVICE);
	KUNIT_EXPECT_EQ(test, dma_log.for_cpu, for_cpu + calls);
	KUNIT_EXPECT_EQ(test, dma_log.for_device, for_device);
	dma_buf_end_cpu_access(dmabuf, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, dma_log.for_cpu, for_cpu + calls);
	KUNIT_EXPECT_EQ(test, dma_log.for_device, for_device + calls);
}

static void test_dma_api(struct kunit *test)
{
	struct test_heap *th = test_heap_new(test);
	struct dma_buf *dmabuf = test_buf_new(test, th);
	struct dma_buf_attachment *attach = test_attach(test, dmabuf);
	struct sg_table *sgt;

	/* Nothing is mapped, nothing is synchronised */
	test_syncs(test, dmabuf, 0);

	sgt = test_map(test, attach, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, dma_log.maps, 1);
	KUNIT_EXPECT_EQ(test, dma_log.map_attrs, TEST_ATTRS);
	KUNIT_EXPECT_EQ(test, sgt->nents, TEST_EXTENTS);
	KUNIT_EXPECT_EQ(test, sg_dma_address(sgt->sgl),
			virt_to_phys(test_page(th, 0)));

	KUNIT_EXPECT_PTR_EQ(test,
			    dma_buf_map_attachment_unlocked(attach,
							    DMA_TO_DEVICE),
			    ERR_PTR(-EBUSY));

	/*
	 * In the direction of the mapping, whatever the CPU does, and by a
	 * table that the importer cannot spoil.
	 */
	sg_init_table(sgt->sgl, sgt->orig_nents);
	test_syncs(test, dmabuf, 1);
	KUNIT_EXPECT_EQ(test, dma_log.sync_dir, DMA_TO_DEVICE);
	KUNIT_EXPECT_PTR_EQ(test, dma_log.synced, virt_to_page(test_page(th, 0)));

	dma_buf_unmap_attachment_unlocked(attach, sgt, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, dma_log.unmaps, 1);
	KUNIT_EXPECT_EQ(test, dma_log.unmap_attrs, TEST_ATTRS);
	KUNIT_EXPECT_EQ(test, dma_log.unmap_dir, DMA_TO_DEVICE);
	test_syncs(test, dmabuf, 0);

	dma_buf_detach(dmabuf, attach);
	test_buf_put(dmabuf);
}

/* Memory that the CPU never caches, or that it cannot reach to clean */
static void test_no_sync_where_skipped(struct kunit *test)
{
	struct test_heap *th = test_heap_new(test);
	struct dma_buf *dmabuf = test_buf_new(test, th);
	struct dma_buf_attachment *attach = test_attach(test, dmabuf);
	struct sg_table *sgt;

	th->backing.dma_attrs = DMA_ATTR_SKIP_CPU_SYNC;
	sgt = test_map(test, attach, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, dma_log.map_attrs, DMA_ATTR_SKIP_CPU_SYNC);
	test_syncs(test, dmabuf, 0);

	dma_buf_unmap_attachment_unlocked(attach, sgt, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, dma_log.unmap_attrs, DMA_ATTR_SKIP_CPU_SYNC);
	dma_buf_detach(dmabuf, attach);
	test_buf_put(dmabuf);
}

static void test_map_error_keeps_errno(struct kunit *test)
{
	struct test_heap *th = test_heap_new(test);
	struct dma_buf *dmabuf = test_buf_new(test, th);
	struct dma_buf_attachment *attach = test_attach(test, dmabuf);
	struct sg_table *sgt;

	dma_log.map_result = -EIO;
	sgt = dma_buf_map_attachment_unlocked(attach, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_PTR_EQ(test, sgt, ERR_PTR(-EIO));

	/* And the attachment is as before */
	test_syncs(test, dmabuf, 0);
	dma_log.map_result = 0;
	sgt = test_map(test, attach, DMA_BIDIRECTIONAL);
	dma_buf_unmap_attachment_unlocked(attach, sgt, DMA_BIDIRECTIONAL);

	dma_buf_detach(dmabuf, attach);
	test_buf_put(dmabuf);
}
#else
static void test_dma_api(struct kunit *test)
{
	kunit_skip(test, "no device can have DMA operations of its own here");
}

static void test_no_sync_where_skipped(struct kunit *test)
{
	kunit_skip(test, "no device can have DMA operations of its own here");
}

static void test_map_error_keeps_errno(struct kunit *test)
{
	kunit_skip(test, "no device can have DMA operations of its own here");
}
#endif

static struct kunit_case heap_helpers_cases[] = {
	KUNIT_CASE(test_extents_merge),
	KUNIT_CASE(test_find_extent),
	KUNIT_CASE(test_entries_of_huge_buffer),
	KUNIT_CASE(test_vmap_is_in_order),
	KUNIT_CASE(test_buffer_outlives_heap),
	KUNIT_CASE(test_clear_pages),
	KUNIT_CASE(test_dma_api),
	KUNIT_CASE(test_no_sync_where_skipped),
	KUNIT_CASE(test_map_error_keeps_errno),
	{}
};

static struct kunit_suite heap_helpers_suite = {
	.name = "dma-heap-helpers",
	.test_cases = heap_helpers_cases,
};

kunit_test_suite(heap_helpers_suite);
