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

#include "program.h"

#include <poll.h>
#include <sys/resource.h>

#include <linux/videodev2.h>

#define FRAMES		4
#define PATIENCE_MS	60000
#define PIECES_MOST	2048

/* A device, and the buffer that it sends from or receives in */
struct stream {
	int fd;
	enum v4l2_buf_type type;
	size_t frame_size;
	struct buffer buffer;
};

/*
 * Takes all that the heap gives in its smallest pieces, and gives every other of
 * them back, so that memory which need not be contiguous is not so by chance
 */
static void scatter(int heap)
{
	static int pieces[PIECES_MOST];
	struct rlimit files;
	int i, count = 0;

	if (getrlimit(RLIMIT_NOFILE, &files))
		failed("asking for the limit of files");
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files))
		failed("raising the limit of files");
	while (count < PIECES_MOST &&
	       (pieces[count] = heap_alloc(heap, 1)) >= 0)
		count++;
	for (i = 0; i < count; i += 2)
		close(pieces[i]);
}

static void allocate(struct stream *from, struct stream *to, const char *name)
{
	int heap = heap_open(name);
	struct dma_heap_info info;

	if (heap < 0)
		failed("opening the heap");
	heap_info(heap, &info);
	if (!(info.properties & DMA_HEAP_PROP_CONTIGUOUS))
		scatter(heap);
	if (buffer_alloc(&from->buffer, heap, from->frame_size) ||
	    buffer_alloc(&to->buffer, heap, to->frame_size))
		failed("allocating");
	close(heap);
}

static void stream_open(struct stream *stream, const char *path,
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
		failed(path);
	if (ioctl(stream->fd, VIDIOC_G_FMT, &format))
		failed("asking for the format");
	stream->frame_size = format.fmt.pix.sizeimage;
	if (ioctl(stream->fd, VIDIOC_REQBUFS, &request))
		failed("asking for a queue of dma-bufs");
}

/* Gives the driver the buffer; this is where it imports it */
static void queue(const struct stream *stream)
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
		refused("queueing the buffer");
}

/* Waits until the driver is done with the buffer */
static void dequeue(const struct stream *stream)
{
	struct v4l2_buffer buf = {
		.type = stream->type,
		.memory = V4L2_MEMORY_DMABUF,
	};
	struct pollfd poll_fd = { .fd = stream->fd, .events = POLLIN };

	if (poll(&poll_fd, 1, PATIENCE_MS) != 1)
		fault("no frame came");
	if (ioctl(stream->fd, VIDIOC_DQBUF, &buf))
		failed("taking the frame");
	if (buf.flags & V4L2_BUF_FLAG_ERROR)
		fault("the driver says that the frame is damaged");
}

/*
 * Sends a picture and compares what arrives. It is drawn while nobody reads, which
 * is as long as the other queue is empty.
 */
static void send_frame(struct stream *from, struct stream *to, __u32 seed)
{
	ssize_t where;

	if (buffer_fill(&from->buffer, seed))
		failed("drawing");
	memcpy(to->buffer.model, from->buffer.model, to->frame_size);
	queue(to);
	dequeue(to);
	where = buffer_differs(&to->buffer);
	if (where != -1)
		fault("frame %u: byte %zd is not what was sent", seed, where);
}

/* The driver shows the only buffer that it has until it gets another */
static void stream_frames(struct stream *from, struct stream *to)
{
	__u32 seed;

	if (ioctl(from->fd, VIDIOC_STREAMON, &from->type) ||
	    ioctl(to->fd, VIDIOC_STREAMON, &to->type))
		failed("starting");
	for (seed = 0; seed < FRAMES; seed++)
		send_frame(from, to, seed);
	if (ioctl(to->fd, VIDIOC_STREAMOFF, &to->type) ||
	    ioctl(from->fd, VIDIOC_STREAMOFF, &from->type))
		failed("stopping");
}

int main(int argc, char **argv)
{
	struct stream from, to;

	if (argc != 4) {
		fputs("usage: v4l2loop HEAP OUTPUT-DEVICE CAPTURE-DEVICE\n",
		      stderr);
		return FAULT;
	}
	stream_open(&from, argv[2], V4L2_BUF_TYPE_VIDEO_OUTPUT);
	stream_open(&to, argv[3], V4L2_BUF_TYPE_VIDEO_CAPTURE);
	if (from.frame_size != to.frame_size)
		fault("the formats are not the same");
	allocate(&from, &to, argv[1]);
	queue(&from);
	if (from.buffer.mem)
		stream_frames(&from, &to);
	else
		queue(&to);
	return 0;
}
