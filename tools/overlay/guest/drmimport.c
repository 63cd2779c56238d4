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

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <drm/drm.h>
#include <drm/drm_fourcc.h>
#include <drm/drm_mode.h>
#include <drm/vgem_drm.h>

/* Shared with the selftests; included so that this is one file to compile */
#include "../../testing/selftests/dmabuf-heaps/heaps.c"

/* A mode that both displays have */
#define WIDTH	640
#define HEIGHT	480

#define CARDS	16
#define MODES	64
#define FRAMES	20
#define FAULT	255

struct card;

struct driver {
	const char *name;
	/* What is done with an import */
	int (*use)(const struct card *card, struct buffer *buffer, __u32 handle);
	/* For a display: its format, and what is on it in one number */
	__u32 format;
	__u32 bytes;
	int (*digest)(const struct card *card, __u64 *digest);
};

/* An open /dev/dri/card, and the display that it has */
struct card {
	int fd;
	int number;
	const struct driver *driver;
	__u32 crtc;
	__u32 connector;
	struct drm_mode_modeinfo mode;
};

/* Says which step failed and why, and returns errno */
static int failed(const char *step)
{
	int error = errno;

	printf("# %s: %s\n", step, strerror(error));
	return error;
}

/* The same for what is no error of a call */
static int fault(const char *what)
{
	printf("# %s\n", what);
	return FAULT;
}

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
static int use_fence(const struct card *card, struct buffer *buffer,
		     __u32 handle)
{
	struct drm_vgem_fence_attach attach = {
		.handle = handle, .flags = VGEM_FENCE_WRITE,
	};
	struct drm_vgem_fence_signal signal = { 0 };

	if (!is_ready(buffer->fd))
		return fault("the buffer is not ready though nobody uses it");
	if (ioctl(card->fd, DRM_IOCTL_VGEM_FENCE_ATTACH, &attach))
		return failed("attaching a fence");
	if (is_ready(buffer->fd))
		return fault("the buffer is ready before the fence is signalled");
	signal.fence = attach.out_fence;
	if (ioctl(card->fd, DRM_IOCTL_VGEM_FENCE_SIGNAL, &signal))
		return failed("signalling the fence");
	if (!is_ready(buffer->fd))
		return fault("the buffer is not ready after the fence is signalled");
	return 0;
}

/*
 * Drivers with a display
 */

static int find_mode(struct card *card)
{
	static struct drm_mode_modeinfo modes[MODES];
	struct drm_mode_get_connector get = {
		.connector_id = card->connector,
	};
	__u32 i;

	/* First the driver looks what is connected */
	if (ioctl(card->fd, DRM_IOCTL_MODE_GETCONNECTOR, &get))
		return failed("asking for the modes");
	get.count_props = 0;
	get.count_encoders = 0;
	get.modes_ptr = (uintptr_t)modes;
	if (get.count_modes > MODES)
		return fault("the display has too many modes");
	if (ioctl(card->fd, DRM_IOCTL_MODE_GETCONNECTOR, &get))
		return failed("reading the modes");
	for (i = 0; i < get.count_modes; i++) {
		if (modes[i].hdisplay == WIDTH && modes[i].vdisplay == HEIGHT) {
			card->mode = modes[i];
			return 0;
		}
	}
	return fault("the display has not the mode");
}

static int find_display(struct card *card)
{
	struct drm_mode_card_res res = {
		.crtc_id_ptr = (uintptr_t)&card->crtc,
		.count_crtcs = 1,
		.connector_id_ptr = (uintptr_t)&card->connector,
		.count_connectors = 1,
	};

	if (ioctl(card->fd, DRM_IOCTL_MODE_GETRESOURCES, &res))
		return failed("asking for the display");
	return find_mode(card);
}

/* Puts the buffer with this handle on the display */
static int scan_out(const struct card *card, __u32 handle)
{
	const struct driver *driver = card->driver;
	struct drm_mode_fb_cmd2 fb = {
		.width = WIDTH,
		.height = HEIGHT,
		.pixel_format = driver->format,
		.handles = { handle },
		.pitches = { WIDTH * driver->bytes },
	};
	struct drm_mode_crtc crtc = {
		.crtc_id = card->crtc,
		.set_connectors_ptr = (uintptr_t)&card->connector,
		.count_connectors = 1,
		.mode_valid = 1,
		.mode = card->mode,
	};

	if (ioctl(card->fd, DRM_IOCTL_MODE_ADDFB2, &fb))
		return failed("making a framebuffer of the buffer");
	crtc.fb_id = fb.fb_id;
	if (ioctl(card->fd, DRM_IOCTL_MODE_SETCRTC, &crtc))
		return failed("scanning the buffer out");
	return 0;
}

/* What vkms puts together for the next frame; it reads the memory each time */
static int vkms_digest(const struct card *card, __u64 *digest)
{
	char path[64], line[256];
	int data;
	ssize_t len;

	snprintf(path, sizeof(path),
		 "/sys/kernel/debug/dri/%d/crtc-0/crc/data", card->number);
	data = open(path, O_RDONLY);
	if (data < 0)
		return failed(path);
	len = read(data, line, sizeof(line) - 1);
	close(data);
	if (len <= 0)
		return failed("reading the CRC of a frame");
	line[len] = '\0';
	*digest = strtoull(strchr(line, ' ') ?: "", NULL, 16);
	return 0;
}

/* Has bochs copy the picture into the memory of its device once more */
static int bochs_update(const struct card *card)
{
	struct drm_mode_crtc crtc = { .crtc_id = card->crtc };
	struct drm_mode_fb_dirty_cmd dirty = { 0 };

	if (ioctl(card->fd, DRM_IOCTL_MODE_GETCRTC, &crtc))
		return failed("asking what is on display");
	dirty.fb_id = crtc.fb_id;
	if (ioctl(card->fd, DRM_IOCTL_MODE_DIRTYFB, &dirty))
		return failed("telling that the picture changed");
	return 0;
}

/* What is in the memory of the device, from which it makes the picture */
static int bochs_digest(const struct card *card, __u64 *digest)
{
	size_t size = picture_size(card->driver), i;
	char path[64];
	__u8 *vram;
	int bar, ret;

	ret = bochs_update(card);
	if (ret)
		return ret;
	snprintf(path, sizeof(path), "/sys/class/drm/card%d/device/resource0",
		 card->number);
	bar = open(path, O_RDONLY);
	if (bar < 0)
		return failed(path);
	vram = mmap(NULL, size, PROT_READ, MAP_SHARED, bar, 0);
	close(bar);
	if (vram == MAP_FAILED)
		return failed("mapping the device's memory");
	*digest = 0;
	for (i = 0; i < size; i++)
		*digest = *digest * 31 + vram[i];
	munmap(vram, size);
	return 0;
}

/* Memory of the driver's own */
static int dumb_map(const struct card *card, __u32 *handle, void **mem)
{
	const struct driver *driver = card->driver;
	struct drm_mode_create_dumb dumb = {
		.width = WIDTH,
		.height = HEIGHT,
		.bpp = 8 * driver->bytes,
	};
	struct drm_mode_map_dumb map = { 0 };

	if (ioctl(card->fd, DRM_IOCTL_MODE_CREATE_DUMB, &dumb))
		return failed("allocating the driver's own memory");
	if (dumb.pitch != WIDTH * driver->bytes)
		return fault("the driver's own memory has another pitch");
	map.handle = dumb.handle;
	if (ioctl(card->fd, DRM_IOCTL_MODE_MAP_DUMB, &map))
		return failed("asking for the driver's own memory");
	*mem = mmap(NULL, picture_size(driver), PROT_READ | PROT_WRITE,
		    MAP_SHARED, card->fd, map.offset);
	if (*mem == MAP_FAILED)
		return failed("mapping the driver's own memory");
	*handle = dumb.handle;
	return 0;
}

/* What is on display when the driver's own memory holds a pattern */
static int own_digest(const struct card *card, __u32 seed, __u64 *digest)
{
	__u32 handle = 0;
	void *mem;
	int ret;

	ret = dumb_map(card, &handle, &mem);
	if (ret)
		return ret;
	pattern(mem, 0, picture_size(card->driver), seed);
	munmap(mem, picture_size(card->driver));
	ret = scan_out(card, handle);
	return ret ? ret : card->driver->digest(card, digest);
}

/*
 * Draws, and looks whether that is on display. The first frames that come
 * afterwards may have been put together while it was drawn.
 */
static int draw(const struct card *card, struct buffer *buffer, __u32 seed,
		__u64 wanted)
{
	__u64 digest;
	int i, ret;

	if (buffer_fill(buffer, seed))
		return failed("drawing");
	for (i = 0; i < FRAMES; i++) {
		ret = card->driver->digest(card, &digest);
		if (ret || digest == wanted)
			return ret;
	}
	printf("# after picture %u was drawn, %#llx is on display and not %#llx\n",
	       seed, (unsigned long long)digest, (unsigned long long)wanted);
	return FAULT;
}

static int use_display(const struct card *opened, struct buffer *buffer,
		       __u32 handle)
{
	struct card card = *opened;
	__u64 wanted[2];
	int i, ret;

	ret = find_display(&card);
	for (i = 0; !ret && i < 2; i++)
		ret = own_digest(&card, i, &wanted[i]);
	if (!ret && wanted[0] == wanted[1])
		ret = fault("two pictures look the same");
	if (!ret)
		ret = scan_out(&card, handle);
	for (i = 0; !ret && i < 2; i++)
		ret = draw(&card, buffer, i, wanted[i]);
	return ret;
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

static bool is_of_driver(int fd, const char *name)
{
	char got[32] = "";
	struct drm_version version = {
		.name = got,
		.name_len = sizeof(got) - 1,
	};

	return !ioctl(fd, DRM_IOCTL_VERSION, &version) && !strcmp(got, name);
}

static int card_open(struct card *card)
{
	char path[32];

	for (card->number = 0; card->number < CARDS; card->number++) {
		snprintf(path, sizeof(path), "/dev/dri/card%d", card->number);
		card->fd = open(path, O_RDWR | O_CLOEXEC);
		if (card->fd < 0)
			continue;
		if (is_of_driver(card->fd, card->driver->name))
			return 0;
		close(card->fd);
	}
	return fault("the driver has no node in /dev/dri");
}

/* The driver gives back the very buffer that it was given */
static int check_export(const struct card *card, const struct buffer *buffer,
			__u32 handle)
{
	struct drm_prime_handle prime = {
		.handle = handle,
		.flags = DRM_CLOEXEC,
	};
	struct stat ours, theirs;
	int ret;

	if (ioctl(card->fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime))
		return failed("exporting the import");
	ret = fstat(buffer->fd, &ours) || fstat(prime.fd, &theirs);
	close(prime.fd);
	if (ret)
		return failed("asking which buffer it is");
	if (ours.st_ino != theirs.st_ino)
		return fault("what was exported is another buffer");
	return 0;
}

static int import(const struct card *card, struct buffer *buffer)
{
	struct drm_prime_handle prime = { .fd = buffer->fd };
	int ret;

	if (ioctl(card->fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime))
		return failed("importing");
	ret = check_export(card, buffer, prime.handle);
	if (ret || !card->driver->use)
		return ret;
	return card->driver->use(card, buffer, prime.handle);
}

int main(int argc, char **argv)
{
	struct card card = { 0 };
	struct buffer buffer;
	int heap, ret;

	if (argc == 3)
		card.driver = find_driver(argv[2]);
	if (!card.driver) {
		fputs("usage: drmimport HEAP vgem|vkms|bochs-drm|virtio_gpu\n",
		      stderr);
		return FAULT;
	}
	heap = heap_open(argv[1]);
	if (heap < 0 || buffer_alloc(&buffer, heap, picture_size(card.driver) ?:
				     page_size())) {
		failed("allocating");
		return FAULT;
	}
	close(heap);
	ret = card_open(&card);
	if (ret)
		return ret;
	ret = import(&card, &buffer);
	close(card.fd);
	buffer_free(&buffer);
	return ret;
}
