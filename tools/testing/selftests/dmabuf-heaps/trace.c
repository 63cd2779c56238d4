// SPDX-License-Identifier: GPL-2.0
/* The tracepoints of the core: one event for each thing that happens */

#include "each_heap.h"

/* Distinct from what anybody else may allocate meanwhile */
#define PAGES	3

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
	const size_t len = PAGES * page_size();
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
	const size_t len = PAGES * page_size();
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

int main(int argc, char **argv)
{
	return each_heap_run(argc, argv);
}
