// SPDX-License-Identifier: GPL-2.0
/* A heap's buffer as a dma-buf: passed on, synchronised, named, waited for */

#include "each_heap.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define SEED	0x5a5e

/* What the other process needs to know */
struct peer {
	int sock;
	struct buffer *model;
};

/*
 * Receives a buffer, and as somebody who may not open the heap finds in it what
 * the sender's model says and writes something else into both. Returns which
 * step failed.
 */
static int receive(void *arg)
{
	struct peer *peer = arg;
	struct buffer buffer;
	int dmabuf;

	if (setuid(65534))
		return 1;
	dmabuf = fd_receive(peer->sock);
	if (dmabuf < 0)
		return 2;
	if (buffer_from_fd(&buffer, dmabuf))
		return 3;
	memcpy(buffer.model, peer->model->model, buffer.size);
	if (buffer_differs(&buffer) != -1)
		return 4;
	if (buffer_fill(&buffer, ~SEED))
		return 5;
	memcpy(peer->model->model, buffer.model, buffer.size);
	return 0;
}

TEST_HEAP(pass_to_process)
{
	struct buffer buffer;
	struct peer peer;
	int socks[2];

	if (!cpu_can_map(_metadata, &self->info))
		return;
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks));
	ASSERT_EQ(0, buffer_alloc(&buffer, self->heap,
				  odd_size(self->heap, MEDIUM_MOST)));
	ASSERT_EQ(0, buffer_fill(&buffer, SEED));
	ASSERT_EQ(0, fd_send(socks[0], buffer.fd));
	peer = (struct peer){ .sock = socks[1], .model = &buffer };
	EXPECT_EQ(0, in_child(receive, &peer));
	EXPECT_EQ(-1, buffer_differs(&buffer));
	buffer_free(&buffer);
	close(socks[0]);
	close(socks[1]);
}

/* On its way through a socket the buffer belongs to no process */
TEST_HEAP(in_flight)
{
	struct buffer buffer;
	int socks[2], dmabuf;

	if (!can_look_inside(_metadata, &self->info))
		return;
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks));
	ASSERT_EQ(0, buffer_alloc(&buffer, self->heap,
				  odd_size(self->heap, MEDIUM_MOST)));
	ASSERT_EQ(0, buffer_fill(&buffer, SEED));
	ASSERT_EQ(0, fd_send(socks[0], buffer.fd));
	buffer_close(&buffer);

	dmabuf = fd_receive(socks[1]);
	ASSERT_LE(0, dmabuf);
	ASSERT_EQ(0, buffer_reopen(&buffer, dmabuf));
	EXPECT_EQ(-1, buffer_differs(&buffer));
	buffer_free(&buffer);
	close(socks[0]);
	close(socks[1]);
}

TEST_HEAP(sync)
{
	static const __u64 access[] = {
		DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE, DMA_BUF_SYNC_RW,
	};
	unsigned int i;
	int dmabuf;

	if (!cpu_can_map(_metadata, &self->info))
		return;
	dmabuf = heap_alloc(self->heap, big_size(self->heap));
	ASSERT_LE(0, dmabuf);
	for (i = 0; i < ARRAY_SIZE(access); i++) {
		EXPECT_EQ(0, dmabuf_sync(dmabuf,
					 DMA_BUF_SYNC_START | access[i]));
		/* Calls need not be paired */
		EXPECT_EQ(0, dmabuf_sync(dmabuf,
					 DMA_BUF_SYNC_START | access[i]));
		EXPECT_EQ(0, dmabuf_sync(dmabuf,
					 DMA_BUF_SYNC_END | access[i]));
	}
	close(dmabuf);
}

TEST_HEAP(sync_errors)
{
	static const __u64 invalid[] = {
		0, DMA_BUF_SYNC_END, 8 | DMA_BUF_SYNC_RW, ~0ULL,
		1ULL << 32 | DMA_BUF_SYNC_RW,
	};
	int dmabuf = heap_alloc(self->heap, page_size());
	unsigned int i;

	ASSERT_LE(0, dmabuf);
	for (i = 0; i < ARRAY_SIZE(invalid); i++) {
		EXPECT_EQ(-1, dmabuf_sync(dmabuf, invalid[i]));
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_EQ(-1, ioctl(dmabuf, DMA_BUF_IOCTL_SYNC, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(dmabuf, _IO(DMA_BUF_BASE, 0x7f), NULL));
	EXPECT_EQ(ENOTTY, errno);
	/* A buffer is no heap */
	EXPECT_EQ(-1, heap_alloc(dmabuf, page_size()));
	EXPECT_EQ(ENOTTY, errno);
	close(dmabuf);
}

/* Whether fdinfo, the only place that tells, has this line */
static bool fdinfo_has(int fd, const char *key, const char *value)
{
	char path[64], line[256], wanted[256];
	bool found = false;
	FILE *fdinfo;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	snprintf(wanted, sizeof(wanted), "%s:\t%s\n", key, value);
	fdinfo = fopen(path, "re");
	if (!fdinfo)
		return false;
	while (!found && fgets(line, sizeof(line), fdinfo))
		found = !strcmp(line, wanted);
	fclose(fdinfo);
	return found;
}

TEST_HEAP(names)
{
	static const char too_long[] = "a name of thirty-three characters";
	int dmabuf = heap_alloc(self->heap, page_size());

	ASSERT_LE(0, dmabuf);
	EXPECT_TRUE(fdinfo_has(dmabuf, "exp_name", variant->name));
	EXPECT_EQ(0, ioctl(dmabuf, DMA_BUF_SET_NAME_A, "first"));
	EXPECT_TRUE(fdinfo_has(dmabuf, "name", "first"));
	EXPECT_EQ(0, ioctl(dmabuf, DMA_BUF_SET_NAME_B, "second"));
	EXPECT_TRUE(fdinfo_has(dmabuf, "name", "second"));

	EXPECT_EQ(-1, ioctl(dmabuf, DMA_BUF_SET_NAME_A, too_long));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(dmabuf, DMA_BUF_SET_NAME_A, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_TRUE(fdinfo_has(dmabuf, "name", "second"));
	close(dmabuf);
}

/* Nothing is under way on a buffer that no driver uses */
static void expect_idle(struct __test_metadata *_metadata, int fd, short events)
{
	struct pollfd pollfd = { .fd = fd, .events = events };

	EXPECT_EQ(1, poll(&pollfd, 1, 0));
	EXPECT_EQ(events, pollfd.revents);
}

TEST_HEAP(poll)
{
	int dmabuf = heap_alloc(self->heap, page_size());

	ASSERT_LE(0, dmabuf);
	expect_idle(_metadata, dmabuf, POLLIN | POLLOUT);
	close(dmabuf);
}

TEST_HEAP(sync_file)
{
	struct dma_buf_export_sync_file export = {
		.flags = DMA_BUF_SYNC_RW,
	};
	struct dma_buf_import_sync_file import = {
		.flags = DMA_BUF_SYNC_WRITE,
	};
	int dmabuf = heap_alloc(self->heap, page_size());

	ASSERT_LE(0, dmabuf);
	ASSERT_EQ(0, ioctl(dmabuf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &export));
	expect_idle(_metadata, export.fd, POLLIN);
	import.fd = export.fd;
	EXPECT_EQ(0, ioctl(dmabuf, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &import));
	expect_idle(_metadata, dmabuf, POLLIN | POLLOUT);
	close(export.fd);

	import.fd = dmabuf;
	EXPECT_EQ(-1, ioctl(dmabuf, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &import));
	EXPECT_EQ(EINVAL, errno);
	export.flags = 0;
	EXPECT_EQ(-1, ioctl(dmabuf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &export));
	EXPECT_EQ(EINVAL, errno);
	close(dmabuf);
}

TEST_HEAP(outlives_heap_descriptor)
{
	struct buffer buffer;
	int heap;

	if (!can_look_inside(_metadata, &self->info))
		return;
	heap = heap_open(variant->name);
	ASSERT_LE(0, heap);
	ASSERT_EQ(0, buffer_alloc(&buffer, heap, page_size()));
	close(heap);
	EXPECT_EQ(0, buffer_fill(&buffer, SEED));
	EXPECT_EQ(-1, buffer_differs(&buffer));
	buffer_free(&buffer);
}

int main(int argc, char **argv)
{
	return each_heap_run(argc, argv);
}
