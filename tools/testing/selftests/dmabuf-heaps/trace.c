// SPDX-License-Identifier: GPL-2.0
/*
 * What only tracepoints tell: those of the core, one event for each thing that
 * happens, and those of the DMA API, about what is done for the caches
 */

#include "each_heap.h"

#include <sys/utsname.h>

/*
 * How many units of the heap: distinct from what anybody else may allocate
 * meanwhile
 */
#define UNITS	3

#define DMA_MAP		"dma/dma_map_sg"
#define DMA_UNMAP	"dma/dma_unmap_sg"

/* Starts to trace what concerns @len bytes of the heap; skips if it cannot */
static bool trace_heap(struct __test_metadata *_metadata, const char *heap,
		       size_t len, const char *event)
{
	char filter[128];

	snprintf(filter, sizeof(filter), "heap == \"%s\" && len == %zu", heap,
		 len);
	if (!trace_start(event, filter))
		return true;
	SKIP(return false, "no event %s: %s", event, strerror(errno));
}

TEST_HEAP(allocation)
{
	static const char event[] = "dma_heap/dma_heap_alloc";
	const size_t len = UNITS * self->info.granularity;
	int dmabuf;

	if (!trace_heap(_metadata, variant->name, len, event))
		return;
	dmabuf = heap_alloc(self->heap, len);
	close(dmabuf);
	EXPECT_EQ(1, trace_stop(event));
}

TEST_HEAP(failure)
{
	static const char event[] = "dma_heap/dma_heap_alloc_fail";
	const size_t len = ram_size();

	if (!trace_heap(_metadata, variant->name, len, event))
		return;
	EXPECT_EQ(-1, heap_alloc(self->heap, len));
	EXPECT_EQ(1, trace_stop(event));
}

/* Not when a descriptor is closed but when the memory goes back */
TEST_HEAP(release)
{
	static const char event[] = "dma_heap/dma_heap_release";
	const size_t len = UNITS * self->info.granularity;
	int dmabuf, other;

	if (!trace_heap(_metadata, variant->name, len, event))
		return;
	dmabuf = heap_alloc(self->heap, len);
	other = dup(dmabuf);
	close(dmabuf);
	EXPECT_EQ(0, trace_count(event));
	close(other);
	EXPECT_EQ(1, trace_stop(event));
}

/*
 * Starts to count an event of the DMA API, which has had other names; returns
 * the one it has, NULL if this kernel has none
 */
static const char *trace_first(const char * const *events, const char *filter)
{
	for (; *events; events++)
		if (!trace_start(*events, filter))
			return *events;
	return NULL;
}

/*
 * Memory that stays cached in the kernel's own map was zeroed by way of the
 * caches, which must not write it back over what comes later
 */
TEST_HEAP(cleaned)
{
	static const char * const events[] = {
		"dma/dma_map_page", "dma/dma_map_phys", NULL,
	};
	const char *event;
	int dmabuf, tries, before = 0, after = 0;

	if (!(self->info.properties & DMA_HEAP_PROP_NONCOHERENT))
		SKIP(return, "the kernel has no cached map of this memory, or the heap is cached");
	/* The thread of the heap's pool may have work left, once */
	for (tries = 0; tries < 5 && (before != 1 || after != 1); tries++) {
		event = trace_first(events, "device == \"dma_heap_cleaner\"");
		if (!event)
			SKIP(return, "no events of the DMA API in this kernel");
		dmabuf = heap_alloc(self->heap, page_size());
		before = trace_count(event);
		close(dmabuf);
		after = trace_stop(event);
	}
	EXPECT_EQ(1, before);
	EXPECT_EQ(1, after);
}

/*
 * Whether the DMA API is asked for maintenance: where the caches are between
 * the CPU and the device. Skips the test where it may be asked in vain.
 */
static bool wants_maintenance(struct __test_metadata *_metadata,
			      const struct dma_heap_info *heap, int dev)
{
	struct dma_buf_testdev_info info;

	ASSERT_EQ(0, testdev_info(dev, &info));
	if (!heap_is_cached(heap))
		return false;
	if (!(info.flags & DMA_BUF_TESTDEV_COHERENT))
		return true;
	if (dma_api_errors() >= 0)
		SKIP(return false, "a kernel that watches the DMA API is told of all access");
	if (testdev_is_short(&info))
		SKIP(return false, "the device may have copies that need it");
	return false;
}

TEST_DEVICE(maintenance)
{
	static const char for_cpu[] = "dma/dma_sync_sg_for_cpu";
	static const char for_device[] = "dma/dma_sync_sg_for_device";
	struct import import;
	int dmabuf, wanted;

	if (!cpu_can_map(_metadata, &self->info))
		return;
	wanted = wants_maintenance(_metadata, &self->info, self->dev);
	if (_metadata->exit_code == KSFT_SKIP)
		return;
	if (trace_start(for_cpu, "dir >= 0"))
		SKIP(return, "no events of the DMA API in this kernel");
	ASSERT_EQ(0, trace_start(for_device, "dir >= 0"));
	dmabuf = heap_alloc(self->heap, page_size());
	ASSERT_LE(0, dmabuf);
	ASSERT_EQ(0, import_begin(&import, self->dev, dmabuf,
				  DMA_BUF_TESTDEV_BIDIRECTIONAL));

	EXPECT_EQ(0, dmabuf_sync(dmabuf, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW));
	EXPECT_EQ(wanted, trace_count(for_cpu));
	EXPECT_EQ(0, trace_count(for_device));
	EXPECT_EQ(0, dmabuf_sync(dmabuf, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW));
	EXPECT_EQ(wanted, trace_stop(for_cpu));
	EXPECT_EQ(wanted, trace_stop(for_device));

	ASSERT_EQ(0, import_detach(&import));
	close(dmabuf);
}

/* Has an importer unmap and map again; how often that was done in all until then */
static void expect_mappings(struct __test_metadata *_metadata,
			    struct import *import, __u32 direction, int mapped,
			    int unmapped)
{
	ASSERT_EQ(0, import_unmap(import));
	ASSERT_EQ(0, import_map(import, direction));
	EXPECT_EQ(mapped, trace_count(DMA_MAP));
	EXPECT_EQ(unmapped, trace_count(DMA_UNMAP));
}

/*
 * What an importer unmaps stays mapped for it until it maps in another direction
 * or detaches, but for protected memory, and if that is not switched off
 */
TEST_DEVICE(mapping_stays)
{
	bool stays = heaps_keep_mappings() &&
		     !(self->info.properties & DMA_HEAP_PROP_PROTECTED);
	struct import import;
	int dmabuf, count;

	if (trace_start(DMA_MAP, "dir >= 0"))
		SKIP(return, "no events of the DMA API in this kernel");
	ASSERT_EQ(0, trace_start(DMA_UNMAP, "dir >= 0"));
	dmabuf = heap_alloc(self->heap, page_size());
	ASSERT_LE(0, dmabuf);
	ASSERT_EQ(0, import_begin(&import, self->dev, dmabuf,
				  DMA_BUF_TESTDEV_BIDIRECTIONAL));
	count = trace_count(DMA_MAP);
	if (count && !testdev_is_short(&import.info)) {
		expect_mappings(_metadata, &import,
				DMA_BUF_TESTDEV_BIDIRECTIONAL,
				stays ? 1 : 2, stays ? 0 : 1);
		expect_mappings(_metadata, &import, DMA_BUF_TESTDEV_TO_DEVICE,
				stays ? 2 : 3, stays ? 1 : 2);
	}
	ASSERT_EQ(0, import_detach(&import));
	EXPECT_EQ(trace_stop(DMA_MAP), trace_stop(DMA_UNMAP));
	close(dmabuf);
	if (!count)
		SKIP(return, "the kernel does not tell how it maps this memory");
	if (testdev_is_short(&import.info))
		SKIP(return, "the device may have a copy, which does not stay");
}

/*
 * Whether to map memory for a device that will write to it drops what the caches
 * have of it, on processors such as this
 */
static bool drops_first(void)
{
	struct utsname name;

	return !uname(&name) && !strncmp(name.machine, "armv", 4);
}

/*
 * The zeroes of a new buffer are written to memory before a mapping drops them, for
 * a device that may then write nothing; that takes a mapping of its own, once
 */
TEST_DEVICE(zeroes_stay)
{
	struct import import;
	int dmabuf, extra, count;

	extra = drops_first() &&
		wants_maintenance(_metadata, &self->info, self->dev);
	if (_metadata->exit_code == KSFT_SKIP)
		return;
	if (trace_start(DMA_MAP, "dir >= 0"))
		SKIP(return, "no events of the DMA API in this kernel");
	dmabuf = heap_alloc(self->heap, page_size());
	ASSERT_LE(0, dmabuf);
	ASSERT_EQ(0, import_begin(&import, self->dev, dmabuf,
				  DMA_BUF_TESTDEV_FROM_DEVICE));
	count = trace_count(DMA_MAP);
	if (count)
		EXPECT_EQ(1 + extra, count);
	ASSERT_EQ(0, import_detach(&import));

	ASSERT_EQ(0, import_begin(&import, self->dev, dmabuf,
				  DMA_BUF_TESTDEV_FROM_DEVICE));
	EXPECT_EQ(count ? count + 1 : 0, trace_stop(DMA_MAP));
	ASSERT_EQ(0, import_detach(&import));
	close(dmabuf);
	if (!count)
		SKIP(return, "the kernel does not tell how it maps this memory");
}

int main(int argc, char **argv)
{
	return each_heap_run(argc, argv);
}
