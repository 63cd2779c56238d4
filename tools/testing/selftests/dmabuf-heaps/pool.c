// SPDX-License-Identifier: GPL-2.0
/*
 * What system heaps keep of freed buffers for new ones: these are made of it,
 * everybody else can have the memory, and it goes by itself. That nobody finds in
 * it what others left is tested on all heaps, by "stale".
 */

#include "each_heap.h"

#include <sched.h>
#include <sys/syscall.h>
#include <time.h>

#include <linux/mempolicy.h>

#define STATE_DIR	"/sys/kernel/debug/dma_heap_pool"
#define LIMIT_DIR	"/sys/module/system_heap/parameters"

/* Of blocks that all pools keep */
#define ORDER		4

/* One block of the largest kind, or what a heap gives in one piece */
#define BLOCK		(2 * MIB)

/* For what goes wrong only now and then */
#define ROUNDS		16

/* All nodes together */
#define ANY_NODE	-1

/* What is in a pool, in pages, and how often it had what was needed */
struct state {
	long long zeroed;
	long long dirty;
	long long hits;
};

/* Heaps of the same memory have one pool together */
static const char *pool_of(const char *heap)
{
	return strcmp(heap, "system-contiguous") ? heap : "system";
}

static void pool_path(char path[256], const char *heap, const char *file)
{
	snprintf(path, 256, STATE_DIR "/%s/%s", pool_of(heap), file);
}

/* Of one node, or of all; leaves @state all zero if there is no such pool */
static void state_read_node(struct state *state, const char *heap, int of)
{
	long long zeroed, dirty, hits, misses;
	char path[256], head[128];
	unsigned int order;
	int node;
	FILE *file;

	memset(state, 0, sizeof(*state));
	pool_path(path, heap, "state");
	file = fopen(path, "re");
	if (!file)
		return;
	if (!fgets(head, sizeof(head), file))
		head[0] = '\0';
	while (fscanf(file, "%d %u %lld %lld %lld %lld", &node, &order, &zeroed,
		      &dirty, &hits, &misses) == 6) {
		if (of != ANY_NODE && of != node)
			continue;
		state->zeroed += zeroed << order;
		state->dirty += dirty << order;
		state->hits += hits;
	}
	fclose(file);
}

static void state_read(struct state *state, const char *heap)
{
	state_read_node(state, heap, ANY_NODE);
}

/* What is in the pool, in bytes */
static size_t kept_on(const char *heap, int node)
{
	struct state state;

	state_read_node(&state, heap, node);
	return (state.zeroed + state.dirty) * page_size();
}

static size_t kept(const char *heap)
{
	return kept_on(heap, ANY_NODE);
}

static bool has_pool(const char *heap)
{
	char path[256];

	pool_path(path, heap, "state");
	return !access(path, R_OK);
}

/* Has the pool give all back, and what is being zeroed too */
static void drain(struct __test_metadata *_metadata, const char *heap)
{
	char path[256];

	pool_path(path, heap, "drain");
	ASSERT_EQ(0, write_file(path, "1"));
	ASSERT_EQ(0, kept(heap));
}

static void limit(struct __test_metadata *_metadata, const char *name,
		  const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), LIMIT_DIR "/%s", name);
	ASSERT_EQ(0, write_file(path, value));
}

/*
 * Stays on the processor that it runs on, and returns of which node that is: each
 * has blocks of its own, and those of one that is left are not found again
 */
static int stay_here(struct __test_metadata *_metadata)
{
	unsigned int cpu, node;
	cpu_set_t set;

	ASSERT_EQ(0, syscall(__NR_getcpu, &cpu, &node, NULL));
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(set), &set));
	return node;
}

/*
 * With an empty pool, whose content does not go by itself while a test runs. Returns
 * the node on which the test runs from here on.
 */
static int prepare(struct __test_metadata *_metadata, const char *heap)
{
	int node = stay_here(_metadata);

	limit(_metadata, "pool_percent", "25");
	limit(_metadata, "pool_idle_ms", "1000000");
	limit(_metadata, "pool_watermarks", "\n");
	drain(_metadata, heap);
	return node;
}

/*
 * Waits for so many seconds until the pool has at least and at most so many bytes of
 * a node, none of them dirty
 */
static bool await_state(const char *heap, int node, size_t least, size_t most,
			time_t patience, struct state *state)
{
	time_t end = time(NULL) + patience;
	size_t bytes;

	do {
		state_read_node(state, heap, node);
		bytes = state->zeroed * page_size();
		if (!state->dirty && bytes >= least && bytes <= most)
			return true;
		usleep(10000);
	} while (time(NULL) < end);
	return false;
}

/* The same, but sooner than the harness, which does not tell what it waited for */
static bool await_kept_on(const char *heap, int node, size_t least, size_t most)
{
	struct state state;

	if (await_state(heap, node, least, most, PATIENCE / 2, &state))
		return true;
	ksft_print_msg("the pool has %lld pages that are zeroed, %lld that are not\n",
		       state.zeroed, state.dirty);
	return false;
}

static bool await_kept(const char *heap, size_t least, size_t most)
{
	return await_kept_on(heap, ANY_NODE, least, most);
}

/*
 * Puts so many bytes into the pool. If reclaim takes some meanwhile, or some blocks
 * are small, which are not kept, it does so once more.
 */
static void fill_pool(struct __test_metadata *_metadata, int heap,
		      const char *name, size_t size)
{
	struct buffer buffer;
	struct state state;
	int tries;

	for (tries = 0; tries < 3; tries++) {
		ASSERT_EQ(0, buffer_alloc(&buffer, heap, size));
		ASSERT_EQ(0, buffer_fill(&buffer, size));
		buffer_free(&buffer);
		if (await_state(name, ANY_NODE, size, ram_size(), 20, &state))
			return;
	}
	ASSERT_TRUE(await_kept(name, size, ram_size()));
}

/* A new buffer: it must be zero; it is given back full of something else */
static void use_once(struct __test_metadata *_metadata, int heap, size_t size,
		     int round)
{
	struct buffer buffer;

	ASSERT_EQ(0, buffer_alloc(&buffer, heap, size));
	EXPECT_EQ(-1, buffer_differs(&buffer));
	EXPECT_EQ(0, buffer_fill(&buffer, ~round));
	buffer_free(&buffer);
}

/* What the thread zeroed is what new buffers are made of */
TEST_HEAP(zeroed_in_background)
{
	size_t size = heap_fit(self->heap, BLOCK);
	struct state before, after;
	int round;

	prepare(_metadata, variant->name);
	fill_pool(_metadata, self->heap, variant->name, size);
	state_read(&before, variant->name);
	for (round = 0; round < ROUNDS; round++) {
		use_once(_metadata, self->heap, size, round);
		ASSERT_TRUE(await_kept(variant->name, size, size));
	}
	state_read(&after, variant->name);
	EXPECT_LE(before.hits + ROUNDS, after.hits);
}

TEST_HEAP(reclaim_takes_all)
{
	size_t size = heap_fit(self->heap, BLOCK);

	prepare(_metadata, variant->name);
	fill_pool(_metadata, self->heap, variant->name, size);
	ASSERT_EQ(0, write_file("/proc/sys/vm/drop_caches", "2"));
	/* On 32 bits the kernel's own need does not reach high memory */
	if (sizeof(long) == 4)
		SKIP(return, "reclaim for the kernel leaves high memory alone");
	EXPECT_EQ(0, kept(variant->name));
}

TEST_HEAP(idle_goes_by_itself)
{
	size_t size = heap_fit(self->heap, BLOCK);

	prepare(_metadata, variant->name);
	fill_pool(_metadata, self->heap, variant->name, size);
	limit(_metadata, "pool_idle_ms", "100");
	EXPECT_TRUE(await_kept(variant->name, 0, 0));
}

TEST_HEAP(nothing_kept_if_switched_off)
{
	size_t size = heap_fit(self->heap, BLOCK);

	prepare(_metadata, variant->name);
	fill_pool(_metadata, self->heap, variant->name, size);
	limit(_metadata, "pool_percent", "0");
	EXPECT_TRUE(await_kept(variant->name, 0, 0));
	use_once(_metadata, self->heap, size, 0);
	EXPECT_EQ(0, kept(variant->name));
	use_once(_metadata, self->heap, size, 1);
}

TEST_HEAP(no_more_than_the_limit)
{
	size_t size = heap_fit(self->heap, ram_size() / 8), most;
	int dmabuf;

	/* What a node has is a little more than what is free to be used */
	most = ram_size() / 100 * 2;
	if (size <= most)
		SKIP(return, "this heap has no buffer larger than the limit");
	prepare(_metadata, variant->name);
	limit(_metadata, "pool_percent", "1");
	dmabuf = heap_alloc(self->heap, size);
	ASSERT_LE(0, dmabuf);
	close(dmabuf);
	EXPECT_GE(most, kept(variant->name));
	EXPECT_LT(0, kept(variant->name));
}

TEST_HEAP(bad_limits_are_refused)
{
	EXPECT_EQ(-1, write_file(LIMIT_DIR "/pool_percent", "101"));
	EXPECT_EQ(-1, write_file(LIMIT_DIR "/pool_percent", "-1"));
	EXPECT_EQ(-1, write_file(LIMIT_DIR "/pool_idle_ms", "0"));
}

/* Sets those of ORDER */
static void watermarks(struct __test_metadata *_metadata, const char *heap,
		       const char *marks)
{
	char text[256];

	snprintf(text, sizeof(text), "%s:%d:%s\n", pool_of(heap), ORDER, marks);
	limit(_metadata, "pool_watermarks", text);
}

/* Blocks lie ready before anybody asked, and as many as are wanted */
TEST_HEAP(watermarks_are_kept)
{
	size_t block = page_size() << ORDER;
	const char *name = variant->name;
	struct buffer buffers[5];
	struct state before, now;
	int node, i;

	if (heap_fit(self->heap, block) != block)
		SKIP(return, "this heap's buffers are small");
	node = prepare(_metadata, name);
	watermarks(_metadata, name, "2/6/8");
	ASSERT_TRUE(await_kept_on(name, node, 6 * block, 6 * block));

	/* The fifth is one too many */
	state_read(&before, name);
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, buffer_alloc(&buffers[i], self->heap, block));
		EXPECT_EQ(-1, buffer_differs(&buffers[i]));
		EXPECT_EQ(0, buffer_fill(&buffers[i], i));
	}
	state_read(&now, name);
	EXPECT_EQ(before.hits + 5, now.hits);
	ASSERT_TRUE(await_kept_on(name, node, 6 * block, 6 * block));

	/* Three of these are too many */
	for (i = 0; i < 5; i++)
		buffer_free(&buffers[i]);
	ASSERT_TRUE(await_kept_on(name, node, 8 * block, 8 * block));

	limit(_metadata, "pool_idle_ms", "100");
	ASSERT_TRUE(await_kept_on(name, node, 6 * block, 6 * block));
	limit(_metadata, "pool_watermarks", "\n");
	EXPECT_TRUE(await_kept(name, 0, 0));
}

/* What it is filled with goes under pressure, and is not more than the limit */
TEST_HEAP(watermarks_yield)
{
	size_t block = page_size() << ORDER;
	const char *name = variant->name;
	int node = prepare(_metadata, name);

	watermarks(_metadata, name, "4/4/4");
	ASSERT_TRUE(await_kept_on(name, node, 4 * block, 4 * block));
	drain(_metadata, name);
	/* To write it again has the pool looked after at once */
	watermarks(_metadata, name, "4/4/4");
	ASSERT_TRUE(await_kept_on(name, node, 4 * block, 4 * block));
	limit(_metadata, "pool_percent", "0");
	EXPECT_TRUE(await_kept(name, 0, 0));
}

static void read_watermarks(char text[4096])
{
	read_line(LIMIT_DIR "/pool_watermarks", text, 4096);
}

TEST_HEAP(bad_watermarks_are_refused)
{
	static const char * const bad[] = {
		"system",
		"system:9",
		"system:9:8",
		"system:9:8/8",
		"system:9:8,8,8",
		"system:9:8/8/8x",
		"system:9:8/8/8,",
		"system:9:8/8/8 system:8:8/8/8",
		"system:9:-1/8/8",
		"system:9:9/8/8",
		"system:9:8/9/8",
		"system:9:0/0/0",
		"system:0:8/8/8",
		"system:99:8/8/8",
		"nothing:9:8/8/8",
		"system-contiguous:9:8/8/8",
		":9:8/8/8",
	};
	static const char good[] = "system:4:1/2/3,system:5:0/0/4\n";
	char text[4096];
	unsigned int i;

	prepare(_metadata, variant->name);
	limit(_metadata, "pool_watermarks", good);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-1, write_file(LIMIT_DIR "/pool_watermarks", bad[i]))
			TH_LOG("%s", bad[i]);
		EXPECT_EQ(EINVAL, errno);
		read_watermarks(text);
		EXPECT_STREQ(good, text);
	}
	limit(_metadata, "pool_watermarks", "\n");
	read_watermarks(text);
	EXPECT_STREQ("\n", text);
}

TEST_HEAP(counts_as_available)
{
	size_t size = heap_fit(self->heap, 4 * BLOCK);
	long long before;

	prepare(_metadata, variant->name);
	/* Heaps over CMA areas keep something, too, and not for long */
	ASSERT_EQ(0, forget_memory());
	before = mem_kept();
	fill_pool(_metadata, self->heap, variant->name, size);
	EXPECT_EQ(before + (long long)size, mem_kept());
	drain(_metadata, variant->name);
	EXPECT_EQ(before, mem_kept());
}

/* All that is said to be available can be had, that in the pool too */
TEST_HEAP(pressure)
{
	/* Whole blocks, since what is left over is not kept */
	size_t size = heap_fit(self->heap, ram_size() / 5) / BLOCK * BLOCK;
	long long kills = vm_events("oom_kill");
	size_t full, want, is_free;
	int round;

	if (size < 8 * BLOCK)
		SKIP(return, "this heap's buffers are small");
	prepare(_metadata, variant->name);
	/* All of it, on whatever node it is */
	limit(_metadata, "pool_percent", "100");
	/* Others may have kept something that would be taken instead */
	ASSERT_EQ(0, forget_memory());
	fill_pool(_metadata, self->heap, variant->name, size);
	full = kept(variant->name);
	for (round = 0; round < 3; round++) {
		/* What the kernel says that programs can have */
		want = mem_line("MemAvailable") / 10 * 9;
		is_free = mem_line("MemFree");
		ASSERT_LT(0, want);
		EXPECT_EQ(0, in_child(mem_take, &want));
		/* What was not free had to be taken from here */
		if (want > is_free) {
			EXPECT_GT(full, kept(variant->name))
				TH_LOG("round %d: %zu bytes were had, %zu were free",
				       round, want, is_free);
		}
		use_once(_metadata, self->heap, size, round);
	}
	EXPECT_EQ(kills, vm_events("oom_kill"));
}

/* Runs on a processor of the node from now on; false if it has none */
static bool run_on(int node)
{
	char path[64];
	cpu_set_t set;
	FILE *file;
	int cpu;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpulist",
		 node);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%d", &cpu) != 1)
		cpu = -1;
	if (file)
		fclose(file);
	CPU_ZERO(&set);
	if (cpu >= 0)
		CPU_SET(cpu, &set);
	return cpu >= 0 && !sched_setaffinity(0, sizeof(set), &set);
}

/* Memory is to be from this node, wherever this process runs */
static int bind_to(int node)
{
	unsigned long nodes = 1UL << node;

	return syscall(__NR_set_mempolicy, MPOL_BIND, &nodes,
		       8 * sizeof(nodes));
}

/* Each node has memory of its own, and who runs there gets that */
TEST_HEAP(near_to_the_caller)
{
	size_t size = heap_fit(self->heap, BLOCK);
	const char *name = variant->name;
	int dmabuf;

	if (!run_on(0) || !run_on(1))
		SKIP(return, "there are no two nodes with processors");
	prepare(_metadata, name);
	fill_pool(_metadata, self->heap, name, size);
	EXPECT_EQ(size, kept_on(name, 1));

	ASSERT_TRUE(run_on(0));
	dmabuf = heap_alloc(self->heap, size);
	EXPECT_EQ(size, kept_on(name, 1));
	close(dmabuf);
	EXPECT_TRUE(await_kept(name, 2 * size, 2 * size));
	EXPECT_EQ(size, kept_on(name, 0));

	/* What is far away may be what the process wants */
	ASSERT_EQ(0, bind_to(1));
	dmabuf = heap_alloc(self->heap, size);
	EXPECT_EQ(size, kept_on(name, 0));
	ASSERT_TRUE(run_on(1));
	EXPECT_EQ(size, kept_on(name, 1));
	close(heap_alloc(self->heap, size));
	close(dmabuf);
}

/* The limits as they were before */
static char old_percent[32], old_idle_ms[32], old_watermarks[4096];

static void limit_read(const char *name, char value[32])
{
	char path[256];

	snprintf(path, sizeof(path), LIMIT_DIR "/%s", name);
	read_line(path, value, 32);
	if (!value[0])
		ksft_exit_skip("%s cannot be read\n", path);
}

static void restore_limits(void)
{
	write_file(LIMIT_DIR "/pool_percent", old_percent);
	write_file(LIMIT_DIR "/pool_idle_ms", old_idle_ms);
	write_file(LIMIT_DIR "/pool_watermarks", old_watermarks);
}

int main(int argc, char **argv)
{
	struct names heaps;
	int i, count = 0;

	names_read(&heaps, HEAP_DIR);
	for (i = 0; i < heaps.count; i++) {
		if (has_pool(heaps.name[i])) {
			add_heap(heaps.name[i]);
			count++;
		}
	}
	if (!count)
		ksft_exit_skip("no heap has a pool in " STATE_DIR "\n");
	limit_read("pool_percent", old_percent);
	limit_read("pool_idle_ms", old_idle_ms);
	read_watermarks(old_watermarks);
	/* The harness does not return */
	atexit(restore_limits);
	return test_harness_run(argc, argv);
}
