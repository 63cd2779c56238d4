// SPDX-License-Identifier: GPL-2.0
/*
 * Lets one allocation or user copy of the kernel fail after the other, while
 * an operation runs: it either succeeds nevertheless or fails cleanly
 */

#include "each_heap.h"

#define DEBUGFS		"/sys/kernel/debug/"

/* Many more than any operation here has places that can fail */
#define PLACES_MAX	1000

/*
 * How many units of the heap a buffer has: several blocks, so that the last ones
 * fail after the first
 */
#define UNITS		31

/* What an operation works on, and what it made that must be undone */
struct scene {
	int heap;
	size_t size;
	int dmabuf;
	void *mem;
	int dev;
	struct import import;
};

struct operation {
	int (*run)(struct scene *scene);
	void (*undo)(struct scene *scene);
	/* How it may fail beside ENOMEM and EFAULT, or 0 */
	int error;
};

/*
 * Makes every kind of allocation one that can fail, and without a line in the
 * log. Returns why that is impossible, or NULL.
 */
static const char *prepare_injection(void)
{
	static const char * const quiet[] = {
		DEBUGFS "failslab/verbose",
		DEBUGFS "fail_page_alloc/verbose",
		DEBUGFS "fail_usercopy/verbose",
	};
	unsigned int i;

	if (access("/proc/thread-self/fail-nth", W_OK))
		return "no fault injection (CONFIG_FAULT_INJECTION)";
	for (i = 0; i < ARRAY_SIZE(quiet); i++)
		write_file(quiet[i], "0");
	if (write_file(DEBUGFS "failslab/ignore-gfp-wait", "N") ||
	    write_file(DEBUGFS "fail_page_alloc/ignore-gfp-wait", "N") ||
	    write_file(DEBUGFS "fail_page_alloc/ignore-gfp-highmem", "N") ||
	    write_file(DEBUGFS "fail_page_alloc/min-order", "0"))
		return "no failslab and fail_page_alloc in " DEBUGFS;
	return NULL;
}

/* Lets the @nth possible failure of this thread happen; 0 stops that */
static int arm(int fail_nth, int nth)
{
	char value[16];
	int len = snprintf(value, sizeof(value), "%d", nth);

	return pwrite(fail_nth, value, len, 0) == len ? 0 : -1;
}

/* Stops; returns whether the failure has happened */
static bool disarm(int fail_nth)
{
	char value[16] = "";
	bool happened;

	/* This can be the copy that fails */
	happened = pread(fail_nth, value, sizeof(value) - 1, 0) > 0 &&
		   !strcmp(value, "0\n");
	if (!happened && arm(fail_nth, 0))
		arm(fail_nth, 0);
	return happened;
}

/* Expects @operation to cope with any one failure, and to leave nothing */
static void inject(struct __test_metadata *_metadata, const char *heap,
		   const struct operation *operation, struct scene *scene)
{
	const char *missing = prepare_injection();
	struct usage before, after;
	int fail_nth, ret, error;
	bool happened = true;
	int nth;

	if (missing)
		SKIP(return, "%s", missing);
	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fail_nth);
	usage_read(&before, heap);
	for (nth = 1; happened; nth++) {
		ASSERT_GT(PLACES_MAX, nth);
		ASSERT_EQ(0, arm(fail_nth, nth));
		ret = operation->run(scene);
		error = errno;
		happened = disarm(fail_nth);
		if (!ret) {
			operation->undo(scene);
		} else {
			EXPECT_TRUE(error == ENOMEM || error == EFAULT ||
				    error == operation->error)
				TH_LOG("failure %d: %s", nth, strerror(error));
		}
		usage_read(&after, heap);
		ASSERT_TRUE(usage_equal(&before, &after))
			TH_LOG("failure %d: fds %d to %d, bytes %lld to %lld",
			       nth, before.fds, after.fds, before.bytes,
			       after.bytes);
	}
	EXPECT_EQ(0, ret);
	/* Else nothing was tried */
	EXPECT_LT(2, nth);
	close(fail_nth);
}

static int run_alloc(struct scene *scene)
{
	scene->dmabuf = heap_alloc(scene->heap, scene->size);
	return scene->dmabuf < 0 ? -1 : 0;
}

static void undo_alloc(struct scene *scene)
{
	close(scene->dmabuf);
}

static int run_mmap(struct scene *scene)
{
	scene->mem = dmabuf_map(scene->dmabuf, scene->size, 0);
	return scene->mem == MAP_FAILED ? -1 : 0;
}

static void undo_mmap(struct scene *scene)
{
	munmap(scene->mem, scene->size);
}

static int run_import(struct scene *scene)
{
	return import_begin(&scene->import, scene->dev, scene->dmabuf,
			    DMA_BUF_TESTDEV_BIDIRECTIONAL);
}

static void undo_import(struct scene *scene)
{
	import_unmap(&scene->import);
	import_detach(&scene->import);
}

static int run_sync(struct scene *scene)
{
	return dmabuf_sync(scene->dmabuf,
			   DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW) ||
	       dmabuf_sync(scene->dmabuf,
			   DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW) ? -1 : 0;
}

static void nothing_to_undo(struct scene *scene)
{
	(void)scene;
}

static void scene_init(struct scene *scene, int heap,
		       const struct dma_heap_info *info)
{
	*scene = (struct scene){
		.heap = heap,
		.size = heap_fit(heap, UNITS * info->granularity),
	};
}

TEST_HEAP(allocation)
{
	const struct operation operation = {
		.run = run_alloc, .undo = undo_alloc,
	};
	struct scene scene;

	scene_init(&scene, self->heap, &self->info);
	inject(_metadata, variant->name, &operation, &scene);
}

TEST_HEAP(mapping)
{
	const struct operation operation = {
		.run = run_mmap, .undo = undo_mmap,
	};
	struct scene scene;

	if (!cpu_can_map(_metadata, &self->info))
		return;
	scene_init(&scene, self->heap, &self->info);
	ASSERT_EQ(0, run_alloc(&scene));
	inject(_metadata, variant->name, &operation, &scene);
	undo_alloc(&scene);
}

TEST_DEVICE(importing)
{
	/* The DMA API does not tell why it cannot map what has no pages */
	const struct operation operation = {
		.run = run_import, .undo = undo_import, .error = EIO,
	};
	struct scene scene;

	scene_init(&scene, self->heap, &self->info);
	scene.dev = self->dev;
	scene.size = import_size(self->dev, scene.size);
	ASSERT_EQ(0, run_alloc(&scene));
	inject(_metadata, variant->heap, &operation, &scene);
	undo_alloc(&scene);
}

/*
 * While an attachment is mapped. The same for vmap would be no test: the
 * dma-buf core calls it a bug of the kernel if that fails.
 */
TEST_DEVICE(syncing)
{
	const struct operation operation = {
		.run = run_sync, .undo = nothing_to_undo,
	};
	struct scene scene;

	if (!cpu_can_map(_metadata, &self->info))
		return;
	scene_init(&scene, self->heap, &self->info);
	scene.dev = self->dev;
	scene.size = import_size(self->dev, scene.size);
	ASSERT_EQ(0, run_alloc(&scene));
	ASSERT_EQ(0, run_import(&scene));
	inject(_metadata, variant->heap, &operation, &scene);
	undo_import(&scene);
	undo_alloc(&scene);
}

int main(int argc, char **argv)
{
	return each_heap_run(argc, argv);
}
