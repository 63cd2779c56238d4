// SPDX-License-Identifier: GPL-2.0
/*
 * v4l2loop HEAP OUTPUT CAPTURE
 *
 * Sends frames from a buffer of the heap to the V4L2 device OUTPUT, receives
 * them in another from CAPTURE, which must be connected to it and have the same
 * format, and compares the two. Both are imported as V4L2_MEMORY_DMABUF. The
 * exit status is 0 if all frames came back as they were, the errno with which a
 * driver refused a buffer, or 255.
 *
 * Memory that the CPU cannot map is only imported: vivid, for which this is
 * made, has no hardware that could fill it.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <linux/videodev2.h>

/* Shared with the selftests; included so that this is one file to compile */
#include "../../testing/selftests/dmabuf-heaps/heaps.c"

#define FRAMES		4
#define PATIENCE_MS	60000
#define PIECES_MOST	2048
#define FAULT		255

/* A device, and the buffer that it sends from or receives in */
struct stream {
	int fd;
	enum v4l2_buf_type type;
	size_t frame_size;
	struct buffer buffer;
};

/* Says which step failed and why, and returns errno */
static int failed(const char *step)
{
	int error = errno;

	printf("# %s: %s\n", step, strerror(error));
	return error;
}

/* The same, if it is no driver's verdict on a buffer */
static int broken(const char *step)
{
	failed(step);
	return FAULT;
}

/*
 * Takes all that the heap gives in its smallest pieces, and gives every other of
 * them back, so that memory which need not be contiguous is not so by chance
 */
static int scatter(int heap)
{
	static int pieces[PIECES_MOST];
	struct rlimit files;
	int i, count = 0;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return broken("asking for the limit of files");
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files))
		return broken("raising the limit of files");
	while (count < PIECES_MOST &&
	       (pieces[count] = heap_alloc(heap, 1)) >= 0)
		count++;
	for (i = 0; i < count; i += 2)
		close(pieces[i]);
	return 0;
}

static int allocate(struct stream *from, struct stream *to, const char *name)
{
	int heap = heap_open(name);
	struct dma_heap_info info;
	int ret = 0;

	if (heap < 0)
		return broken("opening the heap");
	heap_info(heap, &info);
	if (!(info.properties & DMA_HEAP_PROP_CONTIGUOUS))
		ret = scatter(heap);
	if (!ret && (buffer_alloc(&from->buffer, heap, from->frame_size) ||
		     buffer_alloc(&to->buffer, heap, to->frame_size)))
		ret = broken("allocating");
	close(heap);
	return ret;
}

static int stream_open(struct stream *stream, const char *path,
		       enum v4l2_buf_type type)
{
	struct v4l2_format format = { .type = type };
	struct v4l2_requestbuffers request = {
		.count = 1,
		.type = type,
		.memory = V4L2_MEMORY_DMABUF,
	};

	stream->type = type;
	stream->fd = open(path, O_RDWR | O_CLOEXEC);
	if (stream->fd < 0)
		return broken(path);
	if (ioctl(stream->fd, VIDIOC_G_FMT, &format))
		return broken("asking for the format");
	stream->frame_size = format.fmt.pix.sizeimage;
	if (ioctl(stream->fd, VIDIOC_REQBUFS, &request))
		return broken("asking for a queue of dma-bufs");
	return 0;
}

/* Gives the driver the buffer; this is where it imports it */
static int queue(const struct stream *stream)
{
	struct v4l2_buffer buf = {
		.type = stream->type,
		.memory = V4L2_MEMORY_DMABUF,
		.field = V4L2_FIELD_NONE,
		.bytesused = stream->frame_size,
		.length = stream->buffer.size,
		.m.fd = stream->buffer.fd,
	};

	if (ioctl(stream->fd, VIDIOC_QBUF, &buf))
		return failed("queueing the buffer");
	return 0;
}

/* Waits until the driver is done with the buffer */
static int dequeue(const struct stream *stream)
{
	struct v4l2_buffer buf = {
		.type = stream->type,
		.memory = V4L2_MEMORY_DMABUF,
	};
	struct pollfd poll_fd = { .fd = stream->fd, .events = POLLIN };

	if (poll(&poll_fd, 1, PATIENCE_MS) != 1)
		return broken("waiting for a frame");
	if (ioctl(stream->fd, VIDIOC_DQBUF, &buf))
		return broken("taking the frame");
	if (buf.flags & V4L2_BUF_FLAG_ERROR) {
		errno = EIO;
		return broken("the frame");
	}
	return 0;
}

/*
 * Sends a picture and compares what arrives. It is drawn while nobody reads, which
 * is as long as the other queue is empty.
 */
static int send_frame(struct stream *from, struct stream *to, __u32 seed)
{
	ssize_t where;
	int ret;

	if (buffer_fill(&from->buffer, seed))
		return broken("drawing");
	memcpy(to->buffer.model, from->buffer.model, to->frame_size);
	ret = queue(to);
	if (!ret)
		ret = dequeue(to);
	if (ret)
		return ret;
	where = buffer_differs(&to->buffer);
	if (where == -1)
		return 0;
	printf("# frame %u: byte %zd is not what was sent\n", seed, where);
	return FAULT;
}

/* The driver shows the only buffer that it has until it gets another */
static int stream_frames(struct stream *from, struct stream *to)
{
	__u32 seed;
	int ret;

	if (ioctl(from->fd, VIDIOC_STREAMON, &from->type) ||
	    ioctl(to->fd, VIDIOC_STREAMON, &to->type))
		return broken("starting");
	for (seed = 0; seed < FRAMES; seed++) {
		ret = send_frame(from, to, seed);
		if (ret)
			return ret;
	}
	if (ioctl(to->fd, VIDIOC_STREAMOFF, &to->type) ||
	    ioctl(from->fd, VIDIOC_STREAMOFF, &from->type))
		return broken("stopping");
	return 0;
}

static int run(struct stream *from, struct stream *to, const char *heap)
{
	int ret;

	if (from->frame_size != to->frame_size) {
		errno = EINVAL;
		return broken("the formats are not the same");
	}
	ret = allocate(from, to, heap);
	if (ret)
		return ret;
	ret = queue(from);
	if (ret)
		return ret;
	if (!from->buffer.mem)
		return queue(to);
	return stream_frames(from, to);
}

int main(int argc, char **argv)
{
	struct stream from, to;
	int ret;

	if (argc != 4) {
		fputs("usage: v4l2loop HEAP OUTPUT-DEVICE CAPTURE-DEVICE\n",
		      stderr);
		return FAULT;
	}
	ret = stream_open(&from, argv[2], V4L2_BUF_TYPE_VIDEO_OUTPUT);
	if (!ret)
		ret = stream_open(&to, argv[3], V4L2_BUF_TYPE_VIDEO_CAPTURE);
	return ret ? ret : run(&from, &to, argv[1]);
}
