// SPDX-License-Identifier: GPL-2.0
/*
 * picture HEAP FORMAT PORT [FIRST LAST]: shows memory of a heap on the screen
 *
 * A frame is drawn by the CPU into a buffer of HEAP, imported into the display
 * driver, and scanned out from where it is. After each step every pixel of the
 * screen is compared with the drawing. FORMAT is XR24 or RG16. PORT answers each
 * line with a picture of the screen. FIRST and LAST are the addresses that the
 * heap's memory lies between.
 *
 * picture --refused HEAP: the driver does not take a frame from this heap, since
 * it must be contiguous
 *
 * The exit status is 0 if all of it held; if not, a line says what did not.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <drm/drm.h>
#include <drm/drm_fourcc.h>
#include <drm/drm_mode.h>

/* Shared with the selftests; included so that this is one file to compile */
#include "../../testing/selftests/dmabuf-heaps/heaps.c"

#define WIDTH	640
#define HEIGHT	480

/* Where the PL111 is on this board, and in it the address that it scans out */
#define PL111		0x1c1f0000
#define PL111_UPBASE	0x10

struct picture {
	__u32 format;
	unsigned int bytes_per_pixel;
	__u32 mask;
	int dmabuf;
	__u8 *pixels;
};

struct screen {
	int drm;
	__u32 crtc;
	__u32 connector;
	__u32 gem;
	__u32 fb;
	struct drm_mode_modeinfo mode;
	FILE *shots;
};

/* Says why, with errno, and ends the program: nothing outlives it */
static void failed(const char *what)
{
	printf("# %s: %s\n", what, strerror(errno));
	exit(1);
}

static void drm_call(const struct screen *screen, unsigned long request,
		     void *arg, const char *what)
{
	if (ioctl(screen->drm, request, arg))
		failed(what);
}

/*
 * The drawing
 */

static __u32 bars(int x)
{
	static const __u32 bar[] = {
		0xffffff, 0xffff00, 0x00ffff, 0x00ff00,
		0xff00ff, 0xff0000, 0x0000ff, 0x000000,
	};

	return bar[x * 8 / WIDTH];
}

static __u32 ramp(int x, int y)
{
	__u32 level = x * 256 / WIDTH;
	int shift = (y / 20) % 4 * 8;

	return shift == 24 ? level * 0x010101 : level << shift;
}

/* Rings, which show any pixel that is not in its place */
static __u32 rings(int x, int y)
{
	int dx = x - WIDTH / 2, dy = y - HEIGHT * 3 / 4;
	__u32 level = ((dx * dx + dy * dy) / 32) & 0x1ff;

	if (level > 0xff)
		level = 0x1ff - level;
	return level << 16 | (0xff - level) << 8 | x * 255 / WIDTH;
}

/* Red, green and blue of a pixel. No pixel is the same in the next frame. */
static __u32 drawing(int x, int y, int frame)
{
	__u32 color;

	if (x == 0 || y == 0 || x == WIDTH - 1 || y == HEIGHT - 1)
		color = 0xffffff;
	else if (y < HEIGHT / 3)
		color = bars(x);
	else if (y < HEIGHT / 2)
		color = ramp(x, y);
	else
		color = rings(x, y);
	return frame % 2 ? color ^ 0xffffff : color;
}

static void put_pixel(const struct picture *picture, int x, int y, __u32 color)
{
	size_t i = (size_t)y * WIDTH + x;

	if (picture->format == DRM_FORMAT_XRGB8888)
		((__u32 *)picture->pixels)[i] = color;
	else
		((__u16 *)picture->pixels)[i] = (color >> 8 & 0xf800) |
			(color >> 5 & 0x07e0) | (color >> 3 & 0x001f);
}

static void draw(const struct picture *picture, int frame)
{
	int x, y;

	if (dmabuf_sync(picture->dmabuf,
			DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE))
		failed("begin of access");
	for (y = 0; y < HEIGHT; y++)
		for (x = 0; x < WIDTH; x++)
			put_pixel(picture, x, y, drawing(x, y, frame));
	if (dmabuf_sync(picture->dmabuf, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE))
		failed("end of access");
}

static size_t frame_size(const struct picture *picture)
{
	return (size_t)WIDTH * HEIGHT * picture->bytes_per_pixel;
}

/* Takes a frame's memory from @heap and maps it */
static void get_memory(struct picture *picture, const char *name)
{
	int heap = heap_open(name);

	if (heap < 0)
		failed("opening the heap");
	picture->dmabuf = heap_alloc(heap, frame_size(picture));
	if (picture->dmabuf < 0)
		failed("allocating a frame");
	close(heap);
	picture->pixels = dmabuf_map(picture->dmabuf, frame_size(picture), 0);
	if (picture->pixels == MAP_FAILED)
		failed("mapping the frame");
}

/*
 * The display
 */

static bool is_display(int drm)
{
	char name[8] = "";
	struct drm_version version = {
		.name = name,
		.name_len = sizeof(name) - 1,
	};

	return !ioctl(drm, DRM_IOCTL_VERSION, &version) &&
	       !strcmp(name, "pl111");
}

static int open_display(void)
{
	struct names cards;
	char path[NAME_SIZE + 16];
	int i, drm;

	names_read(&cards, "/dev/dri");
	for (i = 0; i < cards.count; i++) {
		snprintf(path, sizeof(path), "/dev/dri/%s", cards.name[i]);
		drm = open(path, O_RDWR | O_CLOEXEC);
		if (drm >= 0 && is_display(drm))
			return drm;
		close(drm);
	}
	errno = ENODEV;
	failed("looking for the display in /dev/dri");
	return -1;
}

/* Finds the connector and its mode of our size */
static void find_mode(struct screen *screen)
{
	struct drm_mode_modeinfo modes[64];
	struct drm_mode_get_connector connector = {
		.connector_id = screen->connector,
	};
	__u32 i;

	/* The first time, without room, has the driver look what is connected */
	drm_call(screen, DRM_IOCTL_MODE_GETCONNECTOR, &connector,
		 "looking what is connected");
	connector.count_props = 0;
	connector.count_encoders = 0;
	connector.modes_ptr = (uintptr_t)modes;
	if (connector.count_modes > 64)
		connector.count_modes = 64;
	drm_call(screen, DRM_IOCTL_MODE_GETCONNECTOR, &connector,
		 "asking for modes");
	for (i = 0; i < connector.count_modes; i++) {
		screen->mode = modes[i];
		if (modes[i].hdisplay == WIDTH && modes[i].vdisplay == HEIGHT)
			return;
	}
	errno = ENOENT;
	failed("looking for a mode of 640x480");
}

static void open_screen(struct screen *screen)
{
	struct drm_mode_card_res res = {
		.count_crtcs = 1,
		.count_connectors = 1,
		.crtc_id_ptr = (uintptr_t)&screen->crtc,
		.connector_id_ptr = (uintptr_t)&screen->connector,
	};

	screen->drm = open_display();
	drm_call(screen, DRM_IOCTL_MODE_GETRESOURCES, &res,
		 "asking for the display's parts");
	find_mode(screen);
}

static int import_frame(struct screen *screen, const struct picture *picture)
{
	struct drm_prime_handle prime = { .fd = picture->dmabuf };
	int ret = ioctl(screen->drm, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime);

	screen->gem = prime.handle;
	return ret;
}

static void show(struct screen *screen, const struct picture *picture)
{
	struct drm_mode_fb_cmd2 fb = {
		.width = WIDTH,
		.height = HEIGHT,
		.pixel_format = picture->format,
		.pitches = { WIDTH * picture->bytes_per_pixel },
	};
	struct drm_mode_crtc crtc = {
		.set_connectors_ptr = (uintptr_t)&screen->connector,
		.count_connectors = 1,
		.crtc_id = screen->crtc,
		.mode_valid = 1,
		.mode = screen->mode,
	};

	if (import_frame(screen, picture))
		failed("importing the frame");
	fb.handles[0] = screen->gem;
	drm_call(screen, DRM_IOCTL_MODE_ADDFB2, &fb, "making a framebuffer");
	screen->fb = fb.fb_id;
	crtc.fb_id = fb.fb_id;
	drm_call(screen, DRM_IOCTL_MODE_SETCRTC, &crtc, "showing the frame");
}

static void hide(struct screen *screen)
{
	struct drm_mode_crtc crtc = { .crtc_id = screen->crtc };
	struct drm_gem_close gem = { .handle = screen->gem };

	drm_call(screen, DRM_IOCTL_MODE_SETCRTC, &crtc, "ending the display");
	drm_call(screen, DRM_IOCTL_MODE_RMFB, &screen->fb,
		 "removing the framebuffer");
	drm_call(screen, DRM_IOCTL_GEM_CLOSE, &gem, "giving up the import");
	close(screen->drm);
}

/* What the display controller reads the pixels from, as its register says */
static unsigned long scanout_address(void)
{
	__u32 *registers;
	int mem = open("/dev/mem", O_RDONLY | O_SYNC);

	if (mem < 0)
		failed("opening /dev/mem");
	registers = mmap(NULL, page_size(), PROT_READ, MAP_SHARED, mem, PL111);
	if (registers == MAP_FAILED)
		failed("mapping the display controller");
	close(mem);
	return registers[PL111_UPBASE / 4];
}

/*
 * What is on the screen
 */

/* Asks for a picture of the screen, kept by that name, and reads its head */
static void take_shot(const struct screen *screen, const char *name)
{
	int width, height, most;

	if (dprintf(fileno(screen->shots), "%s\n", name) < 0)
		failed("asking for a picture of the screen");
	if (fscanf(screen->shots, "P6 %d %d %d", &width, &height, &most) != 3 ||
	    fgetc(screen->shots) == EOF)
		failed("reading a picture of the screen");
	if (width == WIDTH && height == HEIGHT && most == 255)
		return;
	printf("# the screen has %d x %d pixels\n", width, height);
	exit(1);
}

static __u32 shot_pixel(const struct screen *screen)
{
	__u8 rgb[3];

	if (fread(rgb, sizeof(rgb), 1, screen->shots) != 1)
		failed("reading the pixels of the screen");
	return rgb[0] << 16 | rgb[1] << 8 | rgb[2];
}

/* Compares every pixel, as far as the format has its bits */
static void compare(const struct screen *screen, const struct picture *picture,
		    int frame, const char *name)
{
	__u32 seen, wanted, first_seen = 0, first_wanted = 0;
	int x, y, wrong = 0, first_x = 0, first_y = 0;

	take_shot(screen, name);
	for (y = 0; y < HEIGHT; y++) {
		for (x = 0; x < WIDTH; x++) {
			seen = shot_pixel(screen) & picture->mask;
			wanted = drawing(x, y, frame) & picture->mask;
			if (seen == wanted || wrong++)
				continue;
			first_x = x;
			first_y = y;
			first_seen = seen;
			first_wanted = wanted;
		}
	}
	if (!wrong)
		return;
	printf("# %s: %d pixels of the screen are wrong, the first at %d, %d: %06x and not %06x\n",
	       name, wrong, first_x, first_y, first_seen, first_wanted);
	exit(1);
}

static void check_address(const struct picture *picture, unsigned long first,
			  unsigned long last)
{
	unsigned long start = scanout_address();

	printf("# the display reads %d x %d pixels from %#lx\n", WIDTH, HEIGHT,
	       start);
	if (start >= first && start + frame_size(picture) - 1 <= last)
		return;
	printf("# which is not in the heap's memory, %#lx to %#lx\n", first, last);
	exit(1);
}

/* The whole life of a frame. Pictures of the screen are named after the @heap. */
static void live(struct screen *screen, struct picture *picture,
		 const char *heap, unsigned long first, unsigned long last)
{
	char name[NAME_SIZE + 16];

	get_memory(picture, heap);
	draw(picture, 0);
	open_screen(screen);
	show(screen, picture);
	snprintf(name, sizeof(name), "%s-%.4s-drawn", heap,
		 (char *)&picture->format);
	compare(screen, picture, 0, name);
	check_address(picture, first, last);

	/* The driver is not told: it is one memory */
	draw(picture, 1);
	snprintf(name, sizeof(name), "%s-%.4s-redrawn", heap,
		 (char *)&picture->format);
	compare(screen, picture, 1, name);

	/* Now the display alone has the buffer */
	munmap(picture->pixels, frame_size(picture));
	close(picture->dmabuf);
	snprintf(name, sizeof(name), "%s-%.4s-left", heap,
		 (char *)&picture->format);
	compare(screen, picture, 1, name);
	hide(screen);
}

static int refused(const char *heap)
{
	struct picture picture = { .bytes_per_pixel = 4 };
	struct screen screen;

	get_memory(&picture, heap);
	screen.drm = open_display();
	if (!import_frame(&screen, &picture)) {
		puts("# the display driver took it");
		return 1;
	}
	if (errno != EINVAL)
		failed("importing what is not contiguous");
	return 0;
}

int main(int argc, char **argv)
{
	struct picture picture = {
		.format = DRM_FORMAT_XRGB8888,
		.bytes_per_pixel = 4,
		.mask = 0xffffff,
	};
	struct screen screen;

	if (argc == 3 && !strcmp(argv[1], "--refused"))
		return refused(argv[2]);
	if (argc != 4 && argc != 6) {
		fputs("usage: picture HEAP XR24|RG16 PORT [FIRST LAST]\n"
		      "       picture --refused HEAP\n", stderr);
		return 2;
	}
	if (!strcmp(argv[2], "RG16")) {
		picture.format = DRM_FORMAT_RGB565;
		picture.bytes_per_pixel = 2;
		picture.mask = 0xf8fcf8;
	}
	screen.shots = fopen(argv[3], "r+");
	if (!screen.shots)
		failed("opening the port for pictures of the screen");
	live(&screen, &picture, argv[1], argc == 6 ? strtoul(argv[4], NULL, 0) : 0,
	     argc == 6 ? strtoul(argv[5], NULL, 0) : ULONG_MAX);
	return 0;
}
