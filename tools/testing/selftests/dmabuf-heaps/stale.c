// SPDX-License-Identifier: GPL-2.0
/*
 * A heap never hands out a stale byte, whatever has become of its memory since
 * somebody wrote there: taken up again at once, worked on in the background,
 * asked back by the kernel, or left half zeroed
 */

#include "each_heap.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define SEED		0x57a1e
#define ROUNDS		3

/* One that is large, and others of many lengths */
#define BATCH		4

/* Long enough to zero that a process can be killed meanwhile */
#define LONG_MOST	(4 * MIB)

#define DROP_CACHES	"/proc/sys/vm/drop_caches"

/* Whether a byte that is not zero can be seen, and is stale */
static bool can_be_stale(struct __test_metadata *_metadata,
			 const struct dma_heap_info *info)
{
	if (!heap_is_zeroed(info))
		SKIP(return false, "this heap does not zero its memory");
	return cpu_can_map(_metadata, info);
}

/* Takes memory of @size bytes that must be zero, and leaves none of it so */
static void take(struct __test_metadata *_metadata, struct buffer *buffer,
		 int heap, size_t size, int round)
{
	ASSERT_EQ(0, buffer_alloc(buffer, heap, size));
	/* The model is zero */
	EXPECT_EQ(-1, buffer_differs(buffer))
		TH_LOG("round %d, %zu bytes", round, buffer->size);
	ASSERT_EQ(0, buffer_fill(buffer, SEED + round));
}

/* Several buffers at once, of other lengths each round, so that they get mixed */
static void take_and_free(struct __test_metadata *_metadata, int heap,
			  const struct dma_heap_info *info, int round)
{
	size_t most = info->size / 4 < BIG_MOST ? info->size / 4 : BIG_MOST;
	struct buffer buffers[BATCH];
	int i;

	take(_metadata, &buffers[0], heap, odd_size(heap, most), round);
	for (i = 1; i < BATCH; i++)
		take(_metadata, &buffers[i], heap,
		     some_size(info, BATCH * round + i), round);
	for (i = 0; i < BATCH; i++)
		buffer_free(&buffers[i]);
}

TEST_HEAP(at_once)
{
	int round;

	if (!can_be_stale(_metadata, &self->info))
		return;
	for (round = 0; round < ROUNDS; round++)
		take_and_free(_metadata, self->heap, &self->info, round);
}

/* Nothing tells how far the background has come, so it gets more time each round */
TEST_HEAP(after_a_pause)
{
	int round;

	if (!can_be_stale(_metadata, &self->info))
		return;
	for (round = 0; round < ROUNDS; round++) {
		take_and_free(_metadata, self->heap, &self->info, round);
		usleep(1000 << round);
	}
}

/* A process that does something for ever, and tells each time that it does */
struct other {
	pid_t pid;
	int told;
};

static void other_start(struct __test_metadata *_metadata, struct other *other,
			void (*step)(int heap, size_t size), int heap,
			size_t size)
{
	int ends[2];

	ASSERT_EQ(0, pipe(ends));
	other->told = ends[0];
	other->pid = fork();
	ASSERT_LE(0, other->pid);
	if (!other->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (write(ends[1], "", 1) == 1)
			step(heap, size);
		_exit(1);
	}
	close(ends[1]);
}

static void other_wait(struct __test_metadata *_metadata, struct other *other)
{
	char byte;

	ASSERT_EQ(1, read(other->told, &byte, 1));
}

static void other_kill(struct __test_metadata *_metadata, struct other *other)
{
	int status;

	ASSERT_EQ(0, kill(other->pid, SIGKILL));
	ASSERT_EQ(other->pid, waitpid(other->pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	close(other->told);
}

static void drop_slabs(int heap, size_t size)
{
	if (write_file(DROP_CACHES, "2"))
		_exit(1);
}

TEST_HEAP(while_caches_are_dropped)
{
	struct other other;
	int round;

	if (!can_be_stale(_metadata, &self->info))
		return;
	/* From now on, without a line in the log each time */
	if (write_file(DROP_CACHES, "4"))
		SKIP(return, "%s: %s", DROP_CACHES, strerror(errno));
	other_start(_metadata, &other, drop_slabs, -1, 0);
	for (round = 0; round < ROUNDS; round++) {
		other_wait(_metadata, &other);
		take_and_free(_metadata, self->heap, &self->info, round);
	}
	other_kill(_metadata, &other);
}

static void take_once(int heap, size_t size)
{
	int dmabuf = heap_alloc(heap, size);

	if (dmabuf < 0)
		_exit(1);
	close(dmabuf);
}

/* What a process that is killed has zeroed in part is handed out after all */
TEST_HEAP(after_a_kill)
{
	struct buffer buffer;
	struct other other;
	int round, step;
	size_t size;

	if (!can_be_stale(_metadata, &self->info))
		return;
	size = heap_fit(self->heap, LONG_MOST);
	for (round = 0; round < ROUNDS; round++) {
		take(_metadata, &buffer, self->heap, size, round);
		buffer_free(&buffer);
		other_start(_metadata, &other, take_once, self->heap, size);
		/* Sooner or later in its life */
		for (step = 0; step <= round; step++)
			other_wait(_metadata, &other);
		other_kill(_metadata, &other);
	}
	take(_metadata, &buffer, self->heap, size, round);
	buffer_free(&buffer);
}

int main(int argc, char **argv)
{
	return each_heap_run(argc, argv);
}
