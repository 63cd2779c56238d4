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

#include "card.h"

#include <limits.h>

#define DRIVER		"pl111"

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
	struct card card;
	__u32 gem;
	FILE *shots;
};

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

static void show(struct screen *screen, const struct picture *picture)
{
	card_open(&screen->card, DRIVER);
	card_find_display(&screen->card);
	if (drm_import(screen->card.drm, picture->dmabuf, &screen->gem))
		refused("importing the frame");
	if (card_show(&screen->card, screen->gem, picture->format,
		      picture->bytes_per_pixel))
		refused("showing the frame");
}

static void hide(struct screen *screen)
{
	struct card *card = &screen->card;
	struct drm_mode_crtc crtc = { .crtc_id = card->crtc };

	card_call(card, DRM_IOCTL_MODE_SETCRTC, &crtc, "ending the display");
	card_call(card, DRM_IOCTL_MODE_RMFB, &card->fb,
		  "removing the framebuffer");
	if (drm_release(card->drm, screen->gem))
		failed("giving up the import");
	close(card->drm);
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
	if (width != WIDTH || height != HEIGHT || most != 255)
		fault("the screen has %d x %d pixels of %d steps", width,
		      height, most + 1);
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
	if (wrong)
		fault("%s: %d pixels of the screen are wrong, first at %d, %d: %06x and not %06x",
		      name, wrong, first_x, first_y, first_seen, first_wanted);
}

static void check_address(const struct picture *picture, unsigned long first,
			  unsigned long last)
{
	unsigned long start = scanout_address();

	printf("# the display reads %d x %d pixels from %#lx\n", WIDTH, HEIGHT,
	       start);
	if (start < first || start + frame_size(picture) - 1 > last)
		fault("which is not in the heap's memory, %#lx to %#lx", first,
		      last);
}

/* The whole life of a frame. Pictures of the screen are named after the @heap. */
static void live(struct screen *screen, struct picture *picture,
		 const char *heap, unsigned long first, unsigned long last)
{
	char name[NAME_SIZE + 16];

	get_memory(picture, heap);
	draw(picture, 0);
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

static void expect_refusal(const char *heap)
{
	struct picture picture = { .bytes_per_pixel = 4 };
	struct card card;
	__u32 gem;

	get_memory(&picture, heap);
	card_open(&card, DRIVER);
	if (!drm_import(card.drm, picture.dmabuf, &gem))
		fault("the display driver took it");
	if (errno != EINVAL)
		failed("importing what is not contiguous");
}

int main(int argc, char **argv)
{
	struct picture picture = {
		.format = DRM_FORMAT_XRGB8888,
		.bytes_per_pixel = 4,
		.mask = 0xffffff,
	};
	struct screen screen;

	if (argc == 3 && !strcmp(argv[1], "--refused")) {
		expect_refusal(argv[2]);
		return 0;
	}
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
