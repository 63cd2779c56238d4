// SPDX-License-Identifier: GPL-2.0
/* Threads on one heap, one buffer, one device: all at the same time */

#include "each_heap.h"

#include <pthread.h>

#define SEED		0xf1e5
/* Few, since what the heaps share is tried for each heap and each device */
#define ROUNDS		16
#define THREADS		6

/* The buffer that all threads use has so many units of the heap */
#define UNITS		16

/* What the threads of a test work on */
struct scene {
	int heap;
	const struct dma_heap_info *info;
	const char *dev;
	const struct buffer *buffer;
};

/* One thread: does @step again and again, and counts how often it failed */
struct worker {
	pthread_t thread;
	int (*step)(const struct scene *scene, int round);
	const struct scene *scene;
	int failed;
};

static void *work(void *arg)
{
	struct worker *worker = arg;
	int round;

	for (round = 0; round < ROUNDS; round++)
		if (worker->step(worker->scene, round))
			worker->failed++;
	return NULL;
}

/* Runs THREADS threads, number i with steps[i], and expects none to fail */
static void run_all(struct __test_metadata *_metadata,
		    int (* const *steps)(const struct scene *scene, int round),
		    const struct scene *scene)
{
	struct worker workers[THREADS];
	int i;

	for (i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){
			.step = steps[i], .scene = scene,
		};
		ASSERT_EQ(0, pthread_create(&workers[i].thread, NULL, work,
					    &workers[i]));
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		EXPECT_EQ(0, workers[i].failed)
			TH_LOG("thread %d", i);
	}
}

/* A new buffer of some size: is it zero, does it keep what is written */
static int allocate_and_free(const struct scene *scene, int round)
{
	struct buffer buffer;
	int ret;

	if (buffer_alloc(&buffer, scene->heap, some_size(scene->info, round)))
		return -1;
	ret = (heap_is_zeroed(scene->info) && buffer_differs(&buffer) != -1) ||
	      buffer_fill(&buffer, round) || buffer_differs(&buffer) != -1;
	buffer_free(&buffer);
	return ret;
}

/* For what the CPU may not do: 0 if @ret and errno say that it was refused */
static int refused(int ret)
{
	return ret == -1 && errno == EPERM ? 0 : -1;
}

static int start_and_end(const struct scene *scene, int round)
{
	static const __u64 accesses[] = {
		DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE, DMA_BUF_SYNC_RW,
	};
	__u64 access = accesses[round % ARRAY_SIZE(accesses)];
	int dmabuf = scene->buffer->fd;

	if (!heap_is_cpu_mappable(scene->info))
		return refused(dmabuf_sync(dmabuf, access));
	return dmabuf_sync(dmabuf, DMA_BUF_SYNC_START | access) ||
	       dmabuf_sync(dmabuf, DMA_BUF_SYNC_END | access);
}

/* Another mapping of the last pages, with a descriptor of its own */
static int mmap_and_munmap(const struct scene *scene, int round)
{
	const struct buffer *buffer = scene->buffer;
	size_t offset = round * page_size() % buffer->size;
	size_t len = buffer->size - offset;
	int dmabuf = dup(buffer->fd);
	void *mem = dmabuf_map(dmabuf, len, offset);
	int ret;

	close(dmabuf);
	if (!heap_is_cpu_mappable(scene->info))
		return refused(mem == MAP_FAILED ? -1 : 0);
	if (mem == MAP_FAILED)
		return -1;
	ret = memcmp(mem, buffer->model + offset, len);
	munmap(mem, len);
	return ret;
}

static int import_and_release(const struct scene *scene, int round)
{
	static const __u32 directions[] = {
		DMA_BUF_TESTDEV_BIDIRECTIONAL,
		DMA_BUF_TESTDEV_TO_DEVICE,
		DMA_BUF_TESTDEV_FROM_DEVICE,
	};
	int dev = testdev_open(scene->dev);
	struct import import;
	int ret;

	/* Closing the device takes the rest of the way */
	ret = import_begin(&import, dev, scene->buffer->fd,
			   directions[round % ARRAY_SIZE(directions)]) ||
	      (round % 2 && import_unmap(&import)) ||
	      (round % 4 && import_detach(&import));
	close(dev);
	return ret;
}

/* The kernel's mapping, which all attachments share */
static int vmap_and_vunmap(const struct scene *scene, int round)
{
	const struct buffer *buffer = scene->buffer;
	size_t offset = round * page_size() % buffer->size;
	struct span span = { .offset = offset, .len = 64 };
	int dev = testdev_open(scene->dev);
	struct import import;
	__u8 data[64];
	int ret;

	ret = import_attach(&import, dev, buffer->fd);
	if (!ret && heap_is_cpu_mappable(scene->info))
		ret = import_copy(&import, DMA_BUF_TESTDEV_COPY_VMAP, span,
				  data) ||
		      memcmp(data, buffer->model + span.offset, span.len);
	close(dev);
	return ret;
}

TEST_HEAP(allocate_while_others_map)
{
	static int (* const steps[THREADS])(const struct scene *, int) = {
		allocate_and_free, start_and_end, mmap_and_munmap,
		allocate_and_free, allocate_and_free, mmap_and_munmap,
	};
	struct buffer buffer;
	struct scene scene = {
		.heap = self->heap, .info = &self->info, .buffer = &buffer,
	};

	if (!can_look_inside(_metadata, &self->info))
		return;
	ASSERT_EQ(0, buffer_alloc(&buffer, self->heap,
				  UNITS * self->info.granularity));
	ASSERT_EQ(0, buffer_fill(&buffer, SEED));
	run_all(_metadata, steps, &scene);
	EXPECT_EQ(-1, buffer_differs(&buffer));
	buffer_free(&buffer);
}

/* SYNC walks over attachments that come, change and go meanwhile */
TEST_DEVICE(sync_while_others_import)
{
	static int (* const steps[THREADS])(const struct scene *, int) = {
		start_and_end, import_and_release, vmap_and_vunmap,
		start_and_end, import_and_release, mmap_and_munmap,
	};
	long errors = dma_api_errors();
	struct buffer buffer;
	struct scene scene = {
		.heap = self->heap, .info = &self->info, .dev = variant->dev,
		.buffer = &buffer,
	};
	size_t size = UNITS * self->info.granularity;

	size = import_size(self->dev, size);
	ASSERT_EQ(0, buffer_alloc(&buffer, self->heap, size));
	ASSERT_EQ(0, buffer_fill(&buffer, SEED));
	run_all(_metadata, steps, &scene);
	EXPECT_EQ(-1, buffer_differs(&buffer));
	EXPECT_EQ(errors, dma_api_errors());
	buffer_free(&buffer);
}

int main(int argc, char **argv)
{
	return each_heap_run(argc, argv);
}
