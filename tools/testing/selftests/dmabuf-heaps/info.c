// SPDX-License-Identifier: GPL-2.0
/* DMA_HEAP_IOCTL_GET_INFO: how it is asked, and whether the answers are true */

#include "each_heap.h"

#include <pthread.h>
#include <sys/ioctl.h>

/* More than a GET_INFO of this kernel has, with room for what may follow */
#define LONG_STRUCT	512

/* The first version, which every kernel that knows the command has */
#define FIRST_SIZE	56

union request {
	struct dma_heap_info info;
	__u64 field[FIRST_SIZE / sizeof(__u64)];
	__u8 raw[LONG_STRUCT];
};

#define INFO_CMD(dir, size)	_IOC(dir, DMA_HEAP_IOC_MAGIC, 1, size)
#define READ_WRITE		(_IOC_READ | _IOC_WRITE)

/* Names of the bits as sysfs has them, from the lowest on */
static const char * const flag_names[] = {
	"ecc_protected", "ecc_unprotected",
};

static const char * const property_names[] = {
	"contiguous", "cached", "cpu_mappable", "zeroed", "protected", "ecc",
	"noncoherent",
};

/* Asks the heap; false, with the test skipped, if it tells nothing of itself */
static bool get_info(struct __test_metadata *_metadata, int heap,
		     struct dma_heap_info *info)
{
	if (heap_get_info(heap, info))
		SKIP(return false, "this kernel tells nothing of its heaps");
	if (!info->mask)
		SKIP(return false, "this heap tells nothing of itself");
	return true;
}

/* Whether the kernel knows the command, though the heap may have no answer */
static bool can_ask(struct __test_metadata *_metadata, int heap)
{
	struct dma_heap_info info;

	if (!heap_get_info(heap, &info))
		return true;
	SKIP(return false, "this kernel tells nothing of its heaps");
}

static void expect_refused(struct __test_metadata *_metadata, int heap,
			   unsigned int cmd, void *arg, int error)
{
	EXPECT_EQ(-1, ioctl(heap, cmd, arg));
	EXPECT_EQ(error, errno)
		TH_LOG("command %#x", cmd);
}

/*
 * The request
 */

TEST_HEAP(fields_must_be_zero)
{
	union request request;
	unsigned int i;

	if (!can_ask(_metadata, self->heap))
		return;
	for (i = 0; i < ARRAY_SIZE(request.field); i++) {
		memset(&request, 0, sizeof(request));
		request.field[i] = 1ULL << i * 9;
		expect_refused(_metadata, self->heap, DMA_HEAP_IOCTL_GET_INFO,
			       &request, EINVAL);
		EXPECT_EQ(1ULL << i * 9, request.field[i]);
	}
}

TEST_HEAP(too_short)
{
	static const size_t sizes[] = { 0, 1, 8, FIRST_SIZE - 8, FIRST_SIZE - 1 };
	union request request = { };
	unsigned int i;

	if (!can_ask(_metadata, self->heap))
		return;
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		expect_refused(_metadata, self->heap,
			       INFO_CMD(READ_WRITE, sizes[i]), &request,
			       EINVAL);
}

/* A program that knows more fields than this kernel learns that it has none */
TEST_HEAP(longer_and_zero)
{
	static const size_t sizes[] = { FIRST_SIZE, 57, 64, 100, LONG_STRUCT };
	union request request, expected = { };
	unsigned int i;
	int ret;

	if (!can_ask(_metadata, self->heap))
		return;
	ASSERT_EQ(0, heap_get_info(self->heap, &expected.info));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		/* What is not part of the request is left alone */
		memset(&request, 0xa5, sizeof(request));
		memset(&request, 0, sizes[i]);
		ret = ioctl(self->heap, INFO_CMD(READ_WRITE, sizes[i]),
			    &request);
		ASSERT_EQ(0, ret)
			TH_LOG("struct of %zu bytes: %s", sizes[i],
			       strerror(errno));
		memset(expected.raw + sizeof(expected.info), 0xa5,
		       LONG_STRUCT - sizeof(expected.info));
		memset(expected.raw + sizeof(expected.info), 0,
		       sizes[i] - sizeof(expected.info));
		EXPECT_EQ(0, memcmp(&expected, &request, sizeof(request)))
			TH_LOG("struct of %zu bytes", sizes[i]);
	}
}

/* What this kernel does not know it must not pass over */
TEST_HEAP(longer_and_not_zero)
{
	static const size_t places[] = { FIRST_SIZE, 100, LONG_STRUCT - 1 };
	union request request;
	unsigned int i;

	if (!can_ask(_metadata, self->heap))
		return;
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		memset(&request, 0, sizeof(request));
		request.raw[places[i]] = 1;
		expect_refused(_metadata, self->heap,
			       INFO_CMD(READ_WRITE, LONG_STRUCT), &request,
			       E2BIG);
	}
}

TEST_HEAP(wrong_direction)
{
	static const unsigned int dirs[] = { _IOC_NONE, _IOC_READ, _IOC_WRITE };
	union request request = { };
	unsigned int i;

	if (!can_ask(_metadata, self->heap))
		return;
	for (i = 0; i < ARRAY_SIZE(dirs); i++)
		expect_refused(_metadata, self->heap,
			       INFO_CMD(dirs[i], FIRST_SIZE), &request, EINVAL);
}

TEST_HEAP(bad_pointer)
{
	const unsigned int cmd = DMA_HEAP_IOCTL_GET_INFO;
	const size_t page = page_size();
	__u8 *mem;

	if (!can_ask(_metadata, self->heap))
		return;
	expect_refused(_metadata, self->heap, cmd, NULL, EFAULT);
	expect_refused(_metadata, self->heap, cmd, (void *)-page, EFAULT);

	mem = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	/* The last byte of the request cannot be read */
	ASSERT_EQ(0, mprotect(mem + page, page, PROT_NONE));
	expect_refused(_metadata, self->heap, cmd, mem + page - FIRST_SIZE + 1,
		       EFAULT);
	/* The request can be read, the answer cannot be written */
	ASSERT_EQ(0, mprotect(mem, page, PROT_READ));
	expect_refused(_metadata, self->heap, cmd, mem, EFAULT);
	munmap(mem, 2 * page);
}

/*
 * The answer
 */

/* A field that is not known says nothing */
TEST_HEAP(unknown_fields)
{
	union request request = { };
	unsigned int i;

	if (!can_ask(_metadata, self->heap))
		return;
	ASSERT_EQ(0, heap_get_info(self->heap, &request.info));
	for (i = 1; i < ARRAY_SIZE(request.field); i++) {
		EXPECT_TRUE(request.info.mask & 1ULL << (i - 1) ||
			    !request.field[i])
			TH_LOG("field %u is not known, but not 0", i);
	}
}

/* No field contradicts another */
static void expect_sense(struct __test_metadata *_metadata,
			 const struct dma_heap_info *info)
{
	const __u64 for_cpu = DMA_HEAP_PROP_CPU_MAPPABLE |
			      DMA_HEAP_PROP_CACHED | DMA_HEAP_PROP_ZEROED;
	const __u64 both = DMA_HEAP_FLAG_ECC_PROTECTED |
			   DMA_HEAP_FLAG_ECC_UNPROTECTED;

	EXPECT_TRUE(info->granularity && info->granularity % page_size() == 0);
	EXPECT_TRUE(info->max_alloc && info->max_alloc <= info->size);
	EXPECT_TRUE(info->max_alloc % info->granularity == 0);
	EXPECT_LE(info->free, info->size);
	EXPECT_NE(both, info->heap_flags & both);
	EXPECT_EQ(!!(info->heap_flags & DMA_HEAP_FLAG_ECC_PROTECTED),
		  !!(info->properties & DMA_HEAP_PROP_ECC));
	EXPECT_TRUE(!(info->properties & DMA_HEAP_PROP_PROTECTED) ||
		    !(info->properties & for_cpu));
}

TEST_HEAP(makes_sense)
{
	struct dma_heap_info info;

	if (get_info(_metadata, self->heap, &info))
		expect_sense(_metadata, &self->info);
}

/* Writes the names of the bits that are set, with spaces between them */
static void list_names(char *text, size_t size, __u64 bits,
		       const char * const *names, int count)
{
	size_t len = 0;
	int i;

	text[0] = '\0';
	for (i = 0; i < count; i++) {
		if (bits & 1ULL << i)
			len += snprintf(text + len, size - len, "%s%s",
					len ? " " : "", names[i]);
	}
}

/* Expects a file of the heap in sysfs to have this one line */
static void expect_line(struct __test_metadata *_metadata, const char *heap,
			const char *attribute, const char *line)
{
	char path[256], text[256] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/dma_heap/%s/%s", heap,
		 attribute);
	file = fopen(path, "re");
	ASSERT_NE(NULL, file)
		TH_LOG("%s: %s", path, strerror(errno));
	EXPECT_NE(NULL, fgets(text, sizeof(text), file));
	fclose(file);
	text[strcspn(text, "\n")] = '\0';
	EXPECT_STREQ(line, text);
}

/* What a heap does not tell has no file, where 0 would be taken for true */
static void expect_no_file(struct __test_metadata *_metadata, const char *heap)
{
	static const char * const attributes[] = {
		"granularity", "size", "free", "max_alloc",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(attributes); i++)
		EXPECT_EQ(-1, heap_counter(heap, attributes[i]));
}

static void expect_files(struct __test_metadata *_metadata, const char *heap,
			 const struct dma_heap_info *info)
{
	char names[256];

	list_names(names, sizeof(names), info->heap_flags, flag_names,
		   ARRAY_SIZE(flag_names));
	expect_line(_metadata, heap, "heap_flags", names);
	list_names(names, sizeof(names), info->properties, property_names,
		   ARRAY_SIZE(property_names));
	expect_line(_metadata, heap, "properties", names);
	EXPECT_EQ((long long)info->granularity,
		  heap_counter(heap, "granularity"));
	EXPECT_EQ((long long)info->size, heap_counter(heap, "size"));
	EXPECT_EQ((long long)info->max_alloc, heap_counter(heap, "max_alloc"));
	EXPECT_EQ(info->mask & DMA_HEAP_INFO_FREE ? (long long)info->free : -1,
		  heap_counter(heap, "free"));
}

TEST_HEAP(sysfs)
{
	struct dma_heap_info info;

	if (!can_ask(_metadata, self->heap))
		return;
	heap_get_info(self->heap, &info);
	if (info.mask)
		expect_files(_metadata, variant->name, &info);
	else
		expect_no_file(_metadata, variant->name);
}

/*
 * Whether it is true
 */

TEST_HEAP(granularity)
{
	const size_t unit = self->info.granularity;
	const size_t sizes[] = { 1, unit - 1, unit, unit + 1, 3 * unit - 1 };
	struct dma_heap_info info;
	unsigned int i;
	int dmabuf;

	if (!get_info(_metadata, self->heap, &info))
		return;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		dmabuf = heap_alloc(self->heap, sizes[i]);
		ASSERT_LE(0, dmabuf);
		EXPECT_EQ(rounded(&self->info, sizes[i]), dmabuf_size(dmabuf));
		close(dmabuf);
	}
}

TEST_HEAP(free)
{
	struct dma_heap_info info;
	__u64 before;
	size_t size;
	int dmabuf;

	if (!get_info(_metadata, self->heap, &info))
		return;
	if (!(info.mask & DMA_HEAP_INFO_FREE))
		SKIP(return, "this heap does not tell how much is free");
	before = info.free;
	dmabuf = heap_alloc(self->heap, odd_size(self->heap, MEDIUM_MOST));
	ASSERT_LE(0, dmabuf);
	size = dmabuf_size(dmabuf);
	heap_get_info(self->heap, &info);
	EXPECT_EQ(before - size, info.free);
	EXPECT_EQ((long long)info.free, heap_counter(variant->name, "free"));
	close(dmabuf);
	heap_get_info(self->heap, &info);
	EXPECT_EQ(before, info.free);
}

static const __u64 accesses[] = {
	DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE, DMA_BUF_SYNC_RW,
};

static void expect_mappable(struct __test_metadata *_metadata, int dmabuf)
{
	void *mem = dmabuf_map(dmabuf, page_size(), 0);
	unsigned int i;

	ASSERT_NE(MAP_FAILED, mem);
	munmap(mem, page_size());
	for (i = 0; i < ARRAY_SIZE(accesses); i++) {
		EXPECT_EQ(0, dmabuf_sync(dmabuf,
					 DMA_BUF_SYNC_START | accesses[i]));
		EXPECT_EQ(0, dmabuf_sync(dmabuf,
					 DMA_BUF_SYNC_END | accesses[i]));
	}
}

static void expect_unmappable(struct __test_metadata *_metadata, int dmabuf)
{
	static const int prots[] = { PROT_NONE, PROT_READ, PROT_WRITE };
	const size_t page = page_size();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(prots); i++) {
		EXPECT_EQ(MAP_FAILED, mmap(NULL, page, prots[i], MAP_SHARED,
					   dmabuf, 0));
		EXPECT_EQ(EPERM, errno);
		EXPECT_EQ(MAP_FAILED, mmap(NULL, page, prots[i], MAP_PRIVATE,
					   dmabuf, 0));
		EXPECT_EQ(EPERM, errno);
	}
	for (i = 0; i < ARRAY_SIZE(accesses); i++) {
		EXPECT_EQ(-1, dmabuf_sync(dmabuf,
					  DMA_BUF_SYNC_START | accesses[i]));
		EXPECT_EQ(EPERM, errno);
		EXPECT_EQ(-1, dmabuf_sync(dmabuf,
					  DMA_BUF_SYNC_END | accesses[i]));
		EXPECT_EQ(EPERM, errno);
	}
}

/* What the CPU can do with the memory; the kernel too, see import.c's vmap */
TEST_HEAP(cpu_mappable)
{
	int dmabuf = heap_alloc(self->heap, page_size());

	ASSERT_LE(0, dmabuf);
	if (heap_is_cpu_mappable(&self->info))
		expect_mappable(_metadata, dmabuf);
	else
		expect_unmappable(_metadata, dmabuf);
	close(dmabuf);
}

/* A buffer is one run of addresses, or of a copy's that is the device's */
TEST_DEVICE(contiguous)
{
	const size_t sizes[] = {
		page_size(), odd_size(self->heap, MEDIUM_MOST),
		big_size(self->heap),
	};
	struct import import;
	unsigned int i;
	int dmabuf;

	if (!(self->info.properties & DMA_HEAP_PROP_CONTIGUOUS))
		SKIP(return, "this heap's buffers need not be contiguous");
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		dmabuf = heap_alloc(self->heap, sizes[i]);
		ASSERT_LE(0, dmabuf);
		if (import_begin(&import, self->dev, dmabuf,
				 DMA_BUF_TESTDEV_BIDIRECTIONAL)) {
			/* Of a large buffer there may be no copy */
			EXPECT_TRUE(i && out_of_reach(&import));
		} else {
			EXPECT_TRUE(import.map.contiguous == 1);
			EXPECT_EQ(dmabuf_size(dmabuf), import.map.size);
			ASSERT_EQ(0, import_detach(&import));
		}
		close(dmabuf);
	}
}

/* Even where a smaller part of it could be had at once */
TEST_HEAP(max_alloc)
{
	struct dma_heap_info info;

	if (!get_info(_metadata, self->heap, &info))
		return;
	if (!(info.mask & DMA_HEAP_INFO_MAX_ALLOC))
		SKIP(return, "this heap does not tell where it ends");
	EXPECT_EQ(-1, heap_alloc(self->heap, info.max_alloc + 1));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(-1, heap_alloc(self->heap, info.max_alloc + page_size()));
	EXPECT_EQ(ENOMEM, errno);
}

/* Allocates a page with these flags; 0 or -1 */
static int try_flags(int heap, __u64 heap_flags)
{
	struct dma_heap_allocation_data data = {
		.len = page_size(),
		.fd_flags = O_RDWR | O_CLOEXEC,
		.heap_flags = heap_flags,
	};

	return ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data) ? -1 : close(data.fd);
}

/* A heap takes the flags that it says it takes, and no other */
TEST_HEAP(heap_flags)
{
	unsigned int i;

	for (i = 0; i < 64; i++) {
		const __u64 flag = 1ULL << i;

		errno = 0;
		if (self->info.heap_flags & flag) {
			EXPECT_EQ(0, try_flags(self->heap, flag))
				TH_LOG("flag %#llx", flag);
		} else {
			EXPECT_EQ(-1, try_flags(self->heap, flag))
				TH_LOG("flag %#llx", flag);
			EXPECT_EQ(EINVAL, errno);
		}
	}
}

/* No memory is both, and an unknown flag is no better beside a known one */
TEST_HEAP(heap_flags_together)
{
	const __u64 flags[] = {
		DMA_HEAP_FLAG_ECC_PROTECTED | DMA_HEAP_FLAG_ECC_UNPROTECTED,
		DMA_HEAP_FLAG_ECC_PROTECTED | 1ULL << 2,
		DMA_HEAP_FLAG_ECC_UNPROTECTED | 1ULL << 63,
		~0ULL,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		EXPECT_EQ(-1, try_flags(self->heap, flags[i]));
		EXPECT_EQ(EINVAL, errno);
	}
}

/*
 * While others allocate
 */

#define THREADS		3
#define ROUNDS		50

struct worker {
	pthread_t thread;
	int heap;
	size_t size;
	bool *stop;
};

/* Has a buffer most of the time */
static void *work(void *arg)
{
	struct worker *worker = arg;

	while (!__atomic_load_n(worker->stop, __ATOMIC_RELAXED))
		close(heap_alloc(worker->heap, worker->size));
	return NULL;
}

/* Each worker has one buffer at most, and nothing else changes */
static void expect_as_before(struct __test_metadata *_metadata,
			     const struct dma_heap_info *before,
			     const struct dma_heap_info *now, size_t size)
{
	struct dma_heap_info same = *now;

	same.free = before->free;
	EXPECT_EQ(0, memcmp(before, &same, sizeof(same)));
	EXPECT_LE(now->free, before->free);
	EXPECT_GE(now->free + THREADS * size, before->free);
	EXPECT_TRUE((before->free - now->free) % size == 0);
}

TEST_HEAP(while_others_allocate)
{
	size_t size = heap_fit(self->heap, 64 * KIB);
	struct worker workers[THREADS];
	struct dma_heap_info before, now;
	bool stop = false;
	int i;

	if (!get_info(_metadata, self->heap, &before))
		return;
	ASSERT_TRUE(size > 0);
	for (i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){
			.heap = self->heap, .size = size, .stop = &stop,
		};
		ASSERT_EQ(0, pthread_create(&workers[i].thread, NULL, work,
					    &workers[i]));
	}
	for (i = 0; i < ROUNDS; i++) {
		EXPECT_EQ(0, heap_get_info(self->heap, &now));
		expect_as_before(_metadata, &before, &now, size);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	EXPECT_EQ(0, heap_get_info(self->heap, &now));
	EXPECT_EQ(0, memcmp(&before, &now, sizeof(now)));
}

int main(int argc, char **argv)
{
	return each_heap_run(argc, argv);
}
