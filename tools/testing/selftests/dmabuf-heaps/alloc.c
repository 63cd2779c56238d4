// SPDX-License-Identifier: GPL-2.0
/* DMA_HEAP_IOCTL_ALLOC: sizes, flags, errors, what the memory holds */

#include "each_heap.h"

#include <sys/ioctl.h>
#include <sys/stat.h>

/* More than an ALLOC of this kernel has, with room for what may follow */
#define LONG_STRUCT	512

union request {
	struct dma_heap_allocation_data data;
	__u8 raw[LONG_STRUCT];
};

#define ALLOC_CMD(dir, size)	_IOC(dir, DMA_HEAP_IOC_MAGIC, 0, size)
#define READ_WRITE		(_IOC_READ | _IOC_WRITE)

static void request_init(union request *request, __u8 filler)
{
	memset(request, filler, sizeof(*request));
	request->data = (struct dma_heap_allocation_data){
		.len = page_size(),
		.fd_flags = O_RDWR | O_CLOEXEC,
	};
}

/* Expects @cmd to fail with @error and to leave no descriptor behind */
static void expect_refused(struct __test_metadata *_metadata, int heap,
			   unsigned int cmd, void *arg, int error)
{
	struct usage before, after;
	int ret;

	usage_read(&before, "");
	ret = ioctl(heap, cmd, arg);
	EXPECT_EQ(-1, ret);
	EXPECT_EQ(error, errno);
	usage_read(&after, "");
	EXPECT_EQ(before.fds, after.fds)
		TH_LOG("command %#x left a descriptor", cmd);
}

TEST_HEAP(sizes)
{
	static const size_t sizes[] = {
		1, 4 * KIB - 1, 4 * KIB, 4 * KIB + 1, 64 * KIB, 100 * KIB,
		MIB - 1, MIB, MIB + 1, 2 * MIB, BIG_MOST,
	};
	size_t most = heap_fit(self->heap, BIG_MOST);
	unsigned int i;
	int dmabuf;

	for (i = 0; i < ARRAY_SIZE(sizes) && sizes[i] <= most; i++) {
		dmabuf = heap_alloc(self->heap, sizes[i]);
		ASSERT_LE(0, dmabuf)
			TH_LOG("%zu bytes: %s", sizes[i], strerror(errno));
		EXPECT_EQ(rounded(&self->info, sizes[i]), dmabuf_size(dmabuf));
		close(dmabuf);
	}
	EXPECT_TRUE(i > 0);
}

TEST_HEAP(read_only_node)
{
	char path[128];
	int heap, dmabuf;

	snprintf(path, sizeof(path), "%s/%s", HEAP_DIR, variant->name);
	heap = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, heap);
	dmabuf = heap_alloc(heap, page_size());
	EXPECT_LE(0, dmabuf);
	close(dmabuf);
	close(heap);
}

TEST_HEAP(node_is_not_seekable)
{
	struct stat stat;

	ASSERT_EQ(0, fstat(self->heap, &stat));
	EXPECT_TRUE(S_ISCHR(stat.st_mode));
	EXPECT_EQ(-1, lseek(self->heap, 0, SEEK_SET));
	EXPECT_EQ(ESPIPE, errno);
}

TEST_HEAP(fd_flags)
{
	static const __u32 modes[] = { O_RDONLY, O_WRONLY, O_RDWR };
	static const __u32 cloexec[] = { 0, O_CLOEXEC };
	unsigned int i, j;
	int dmabuf;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		for (j = 0; j < ARRAY_SIZE(cloexec); j++) {
			dmabuf = heap_alloc_flags(self->heap, page_size(),
						  modes[i] | cloexec[j]);
			ASSERT_LE(0, dmabuf);
			EXPECT_EQ((int)modes[i],
				  fcntl(dmabuf, F_GETFL) & O_ACCMODE);
			EXPECT_EQ(cloexec[j] ? FD_CLOEXEC : 0,
				  fcntl(dmabuf, F_GETFD));
			close(dmabuf);
		}
	}
}

TEST_HEAP(invalid_fields)
{
	static const struct dma_heap_allocation_data invalid[] = {
		{ .len = 4096, .fd = 1, .fd_flags = O_RDWR },
		{ .len = 4096, .fd = -1, .fd_flags = O_RDWR },
		{ .len = 4096, .fd_flags = O_RDWR | O_NONBLOCK },
		{ .len = 4096, .fd_flags = O_RDWR | O_APPEND },
		{ .len = 4096, .fd_flags = ~(O_RDWR | O_CLOEXEC) },
		{ .len = 4096, .fd_flags = O_RDWR, .heap_flags = 1ULL << 63 },
		{ .len = 4096, .fd_flags = O_RDWR, .heap_flags = ~0ULL },
		{ .len = 0, .fd_flags = O_RDWR },
		{ .len = ~0ULL, .fd_flags = O_RDWR },
		{ .len = ~0ULL - 4094, .fd_flags = O_RDWR },
	};
	struct dma_heap_allocation_data data;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(invalid); i++) {
		data = invalid[i];
		expect_refused(_metadata, self->heap, DMA_HEAP_IOCTL_ALLOC,
			       &data, EINVAL);
		EXPECT_EQ(invalid[i].fd, data.fd)
			TH_LOG("request %u got a descriptor", i);
	}
}

TEST_HEAP(unknown_command)
{
	static const unsigned int unknown[] = {
		_IOWR(DMA_HEAP_IOC_MAGIC, 0x7f,
		      struct dma_heap_allocation_data),
		_IO(DMA_HEAP_IOC_MAGIC, 0xff),
		/* The number of ALLOC, but another subsystem's type */
		_IOWR('b', 0, struct dma_heap_allocation_data),
		_IOWR(0, 0, struct dma_heap_allocation_data),
		_IOWR(0xff, 0, struct dma_heap_allocation_data),
	};
	union request request;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(unknown); i++) {
		request_init(&request, 0);
		expect_refused(_metadata, self->heap, unknown[i], &request,
			       ENOTTY);
	}
}

/* A caller that cannot be told the descriptor must not get one */
TEST_HEAP(command_without_answer)
{
	const size_t fd_end = offsetof(struct dma_heap_allocation_data, fd) + 4;
	const size_t full = sizeof(struct dma_heap_allocation_data);
	const unsigned int refused[] = {
		ALLOC_CMD(READ_WRITE, 0),
		ALLOC_CMD(READ_WRITE, 8),
		ALLOC_CMD(READ_WRITE, fd_end - 1),
		ALLOC_CMD(_IOC_NONE, 0),
		ALLOC_CMD(_IOC_NONE, full),
		ALLOC_CMD(_IOC_WRITE, full),
		ALLOC_CMD(_IOC_READ, full),
	};
	union request request;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(refused); i++) {
		request_init(&request, 0);
		expect_refused(_metadata, self->heap, refused[i], &request,
			       EINVAL);
	}
}

/* Programs built against an older or a newer version of the struct */
TEST_HEAP(size_negotiation)
{
	static const size_t sizes[] = { 12, 16, 24, 32, 48, LONG_STRUCT };
	union request request, expected;
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		/* What is not sent counts as zero, what is unknown as nothing */
		request_init(&request, 0xa5);
		expected = request;
		ret = ioctl(self->heap, ALLOC_CMD(READ_WRITE, sizes[i]),
			    &request);
		ASSERT_EQ(0, ret)
			TH_LOG("struct of %zu bytes: %s", sizes[i],
			       strerror(errno));
		EXPECT_EQ(self->info.granularity, dmabuf_size(request.data.fd));
		EXPECT_EQ(sizes[i] == 12 ? O_RDONLY : O_RDWR,
			  fcntl(request.data.fd, F_GETFL) & O_ACCMODE);
		close(request.data.fd);
		expected.data.fd = request.data.fd;
		EXPECT_EQ(0, memcmp(&expected, &request, sizeof(request)))
			TH_LOG("struct of %zu bytes: other bytes than the descriptor changed",
			       sizes[i]);
	}
}

TEST_HEAP(bad_pointer)
{
	struct dma_heap_allocation_data *page;

	expect_refused(_metadata, self->heap, DMA_HEAP_IOCTL_ALLOC, NULL,
		       EFAULT);
	expect_refused(_metadata, self->heap, DMA_HEAP_IOCTL_ALLOC,
		       (void *)-page_size(), EFAULT);

	page = mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, page);
	page->len = page_size();
	page->fd_flags = O_RDWR;

	/* The request can be read, the answer cannot be written */
	ASSERT_EQ(0, mprotect(page, page_size(), PROT_READ));
	expect_refused(_metadata, self->heap, DMA_HEAP_IOCTL_ALLOC, page,
		       EFAULT);
	munmap(page, page_size());
}

/* A 32-bit kernel must not cut the length down to what it can count */
TEST_HEAP(length_beyond_32_bits)
{
	const off_t len = (4LL << 30) + 4096;
	int dmabuf;

	dmabuf = heap_alloc(self->heap, len);
	if (dmabuf >= 0) {
		EXPECT_LE(len, lseek(dmabuf, 0, SEEK_END));
		close(dmabuf);
	} else {
		EXPECT_TRUE(errno == ENOMEM || errno == EINVAL);
	}
}

/* What one user left in the memory, the next one must not find */
TEST_HEAP(zeroed)
{
	const size_t sizes[] = { page_size(), 64 * KIB, big_size(self->heap) };
	struct buffer buffer;
	unsigned int i, round;

	if (!heap_is_zeroed(&self->info))
		SKIP(return, "what is in this heap's memory is up to its user");
	if (!can_look_inside(_metadata, &self->info))
		return;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (round = 0; round < 2; round++) {
			ASSERT_EQ(0, buffer_alloc(&buffer, self->heap,
						  sizes[i]));
			/* The model of a new buffer is zero */
			EXPECT_EQ(-1, buffer_differs(&buffer));
			EXPECT_EQ(0, buffer_fill(&buffer, ~round));
			buffer_free(&buffer);
		}
	}
}

TEST_HEAP(counters)
{
	const char *heap = variant->name;
	long long allocations = heap_counter(heap, "allocations");
	long long failures = heap_counter(heap, "failures");
	long long size = self->info.granularity;
	int dmabuf;

	if (allocations < 0)
		SKIP(return, "this kernel counts nothing per heap");
	dmabuf = heap_alloc(self->heap, page_size());
	ASSERT_LE(0, dmabuf);
	EXPECT_EQ(allocations + 1, heap_counter(heap, "allocations"));
	EXPECT_EQ(failures, heap_counter(heap, "failures"));
	if (self->before.buffers >= 0) {
		EXPECT_EQ(self->before.buffers + 1,
			  heap_counter(heap, "buffers"));
		EXPECT_EQ(self->before.bytes + size,
			  heap_counter(heap, "bytes"));
		EXPECT_LE(self->before.bytes + size,
			  heap_counter(heap, "bytes_peak"));
	}
	close(dmabuf);

	EXPECT_EQ(-1, heap_alloc(self->heap, ram_size()));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(allocations + 1, heap_counter(heap, "allocations"));
	EXPECT_EQ(failures + 1, heap_counter(heap, "failures"));
}

int main(int argc, char **argv)
{
	return each_heap_run(argc, argv);
}
