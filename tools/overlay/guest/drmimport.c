// SPDX-License-Identifier: GPL-2.0
/*
 * drmimport HEAP DRIVER
 *
 * Has the DRM driver of that name import a buffer of the heap by PRIME. A driver
 * with a display then scans it out, and what is on display must be the same as
 * if the driver's own memory held the picture. One without puts a fence on the
 * buffer, and who has the buffer must wait. The exit status is 0 if all of that
 * held, the errno with which the driver refused the buffer, or 255.
 */

#include "card.h"

#include <poll.h>

#include <drm/vgem_drm.h>

#define FRAMES	20

struct job;

struct driver {
	const char *name;
	/* What is done with an import */
	void (*use)(struct job *job);
	/* For a display: its format, and what is on it in one number */
	__u32 format;
	__u32 bytes;
	__u64 (*digest)(const struct job *job);
};

/* The buffer, and what it is in the driver */
struct job {
	const struct driver *driver;
	struct card card;
	struct buffer buffer;
	__u32 handle;
};

static size_t picture_size(const struct driver *driver)
{
	return WIDTH * HEIGHT * driver->bytes;
}

/*
 * A driver without a display
 */

static bool is_ready(int dmabuf)
{
	struct pollfd poll_fd = { .fd = dmabuf, .events = POLLIN };

	return poll(&poll_fd, 1, 0) == 1;
}

/* Who reads the buffer waits for who writes it, which the fence stands for */
static void use_fence(struct job *job)
{
	struct drm_vgem_fence_attach attach = {
		.handle = job->handle, .flags = VGEM_FENCE_WRITE,
	};
	struct drm_vgem_fence_signal signal = { 0 };

	if (!is_ready(job->buffer.fd))
		fault("the buffer is not ready though nobody uses it");
	card_call(&job->card, DRM_IOCTL_VGEM_FENCE_ATTACH, &attach,
		  "attaching a fence");
	if (is_ready(job->buffer.fd))
		fault("the buffer is ready before the fence is signalled");
	signal.fence = attach.out_fence;
	card_call(&job->card, DRM_IOCTL_VGEM_FENCE_SIGNAL, &signal,
		  "signalling the fence");
	if (!is_ready(job->buffer.fd))
		fault("the buffer is not ready after the fence is signalled");
}

/*
 * Drivers with a display
 */

/* What vkms puts together for the next frame; it reads the memory each time */
static __u64 vkms_digest(const struct job *job)
{
	char path[64 + NAME_SIZE], line[256];
	ssize_t len;
	int data;

	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%s/crtc-0/crc/data",
		 job->card.node + strlen("card"));
	data = open(path, O_RDONLY);
	if (data < 0)
		failed(path);
	len = read(data, line, sizeof(line) - 1);
	close(data);
	if (len <= 0)
		failed("reading the CRC of a frame");
	line[len] = '\0';
	return strtoull(strchr(line, ' ') ?: "", NULL, 16);
}

/* Has bochs copy the picture into the memory of its device once more */
static void bochs_update(const struct card *card)
{
	struct drm_mode_fb_dirty_cmd dirty = { .fb_id = card->fb };

	card_call(card, DRM_IOCTL_MODE_DIRTYFB, &dirty,
		  "telling that the picture changed");
}

/* What is in the memory of the device, from which it makes the picture */
static __u64 bochs_digest(const struct job *job)
{
	size_t size = picture_size(job->driver), i;
	char path[64 + NAME_SIZE];
	__u64 digest = 0;
	__u8 *vram;
	int bar;

	bochs_update(&job->card);
	snprintf(path, sizeof(path), "/sys/class/drm/%s/device/resource0",
		 job->card.node);
	bar = open(path, O_RDONLY);
	if (bar < 0)
		failed(path);
	vram = mmap(NULL, size, PROT_READ, MAP_SHARED, bar, 0);
	close(bar);
	if (vram == MAP_FAILED)
		failed("mapping the device's memory");
	for (i = 0; i < size; i++)
		digest = digest * 31 + vram[i];
	munmap(vram, size);
	return digest;
}

/* Memory of the driver's own; returns its handle */
static __u32 dumb_map(const struct job *job, void **mem)
{
	const struct driver *driver = job->driver;
	struct drm_mode_create_dumb dumb = {
		.width = WIDTH,
		.height = HEIGHT,
		.bpp = 8 * driver->bytes,
	};
	struct drm_mode_map_dumb map = { 0 };

	card_call(&job->card, DRM_IOCTL_MODE_CREATE_DUMB, &dumb,
		  "allocating the driver's own memory");
	if (dumb.pitch != WIDTH * driver->bytes)
		fault("the driver's own memory has another pitch");
	map.handle = dumb.handle;
	card_call(&job->card, DRM_IOCTL_MODE_MAP_DUMB, &map,
		  "asking for the driver's own memory");
	*mem = mmap(NULL, picture_size(driver), PROT_READ | PROT_WRITE,
		    MAP_SHARED, job->card.drm, map.offset);
	if (*mem == MAP_FAILED)
		failed("mapping the driver's own memory");
	return dumb.handle;
}

static int show(struct job *job, __u32 handle)
{
	return card_show(&job->card, handle, job->driver->format,
			 job->driver->bytes);
}

/* What is on display when the driver's own memory holds a pattern */
static __u64 own_digest(struct job *job, __u32 seed)
{
	__u32 handle;
	void *mem;

	handle = dumb_map(job, &mem);
	pattern(mem, 0, picture_size(job->driver), seed);
	munmap(mem, picture_size(job->driver));
	if (show(job, handle))
		failed("showing the driver's own memory");
	return job->driver->digest(job);
}

/*
 * Draws, and looks whether that is on display. The first frames that come
 * afterwards may have been put together while it was drawn.
 */
static void draw(struct job *job, __u32 seed, __u64 wanted)
{
	__u64 digest = 0;
	int i;

	if (buffer_fill(&job->buffer, seed))
		failed("drawing");
	for (i = 0; i < FRAMES; i++) {
		digest = job->driver->digest(job);
		if (digest == wanted)
			return;
	}
	fault("after picture %u was drawn, %#llx is on display and not %#llx",
	      seed, (unsigned long long)digest, (unsigned long long)wanted);
}

static void use_display(struct job *job)
{
	__u64 wanted[2];
	int i;

	card_find_display(&job->card);
	for (i = 0; i < 2; i++)
		wanted[i] = own_digest(job, i);
	if (wanted[0] == wanted[1])
		fault("two pictures look the same");
	if (show(job, job->handle))
		refused("showing the import");
	for (i = 0; i < 2; i++)
		draw(job, i, wanted[i]);
}

static const struct driver drivers[] = {
	{ .name = "vgem", .use = use_fence },
	{ .name = "vkms", .use = use_display, .format = DRM_FORMAT_RGB565,
	  .bytes = 2, .digest = vkms_digest },
	{ .name = "bochs-drm", .use = use_display, .format = DRM_FORMAT_XRGB8888,
	  .bytes = 4, .digest = bochs_digest },
	{ .name = "virtio_gpu" },
};

static const struct driver *find_driver(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(drivers) / sizeof(*drivers); i++) {
		if (!strcmp(drivers[i].name, name))
			return &drivers[i];
	}
	return NULL;
}

/* The driver gives back the very buffer that it was given */
static void check_export(const struct job *job)
{
	int dmabuf = drm_export(job->card.drm, job->handle);
	struct stat ours, theirs;

	if (dmabuf < 0)
		failed("exporting the import");
	if (fstat(job->buffer.fd, &ours) || fstat(dmabuf, &theirs))
		failed("asking which buffer it is");
	close(dmabuf);
	if (ours.st_ino != theirs.st_ino)
		fault("what was exported is another buffer");
}

static void allocate(struct job *job, const char *name)
{
	size_t size = picture_size(job->driver) ?: page_size();
	int heap = heap_open(name);

	if (heap < 0 || buffer_alloc(&job->buffer, heap, size))
		failed("allocating");
	close(heap);
}

int main(int argc, char **argv)
{
	struct job job = { 0 };

	if (argc == 3)
		job.driver = find_driver(argv[2]);
	if (!job.driver) {
		fputs("usage: drmimport HEAP vgem|vkms|bochs-drm|virtio_gpu\n",
		      stderr);
		return FAULT;
	}
	allocate(&job, argv[1]);
	card_open(&job.card, job.driver->name);
	if (drm_import(job.card.drm, job.buffer.fd, &job.handle))
		refused("importing");
	check_export(&job);
	if (job.driver->use)
		job.driver->use(&job);
	close(job.card.drm);
	buffer_free(&job.buffer);
	return 0;
}
