/* SPDX-License-Identifier: GPL-2.0 */
/* A node of a DRM driver and the display that it has, for programs of the guest */
#ifndef _GUEST_CARD_H
#define _GUEST_CARD_H

#include "program.h"

#include <drm/drm_fourcc.h>
#include <drm/drm_mode.h>

#include "../../dma-heap/drm.c"

/* A mode that all displays have */
#define WIDTH		640
#define HEIGHT		480

#define MODES_MAX	64

struct card {
	int drm;
	char node[NAME_SIZE];
	__u32 crtc;
	__u32 connector;
	struct drm_mode_modeinfo mode;
	/* On display */
	__u32 fb;
};

static void card_call(const struct card *card, unsigned long request, void *arg,
		      const char *step)
{
	if (ioctl(card->drm, request, arg))
		failed(step);
}

/* Opens the first node of the driver */
static void card_open(struct card *card, const char *driver)
{
	struct names nodes;
	char name[32];
	int i;

	names_read(&nodes, DRM_DIR);
	for (i = 0; i < nodes.count; i++) {
		snprintf(card->node, sizeof(card->node), "%s", nodes.name[i]);
		card->drm = drm_open(card->node);
		if (card->drm < 0)
			continue;
		drm_driver(card->drm, name, sizeof(name));
		if (!strcmp(name, driver))
			return;
		close(card->drm);
	}
	fault("%s has no node in " DRM_DIR, driver);
}

static void card_find_mode(struct card *card)
{
	static struct drm_mode_modeinfo modes[MODES_MAX];
	struct drm_mode_get_connector get = {
		.connector_id = card->connector,
	};
	__u32 i;

	/* The first time, without room, has the driver look what is connected */
	card_call(card, DRM_IOCTL_MODE_GETCONNECTOR, &get,
		  "looking what is connected");
	get.count_props = 0;
	get.count_encoders = 0;
	get.modes_ptr = (uintptr_t)modes;
	if (get.count_modes > MODES_MAX)
		fault("the display has more than %d modes", MODES_MAX);
	card_call(card, DRM_IOCTL_MODE_GETCONNECTOR, &get, "asking for modes");
	for (i = 0; i < get.count_modes; i++) {
		card->mode = modes[i];
		if (modes[i].hdisplay == WIDTH && modes[i].vdisplay == HEIGHT)
			return;
	}
	fault("the display has no mode of %d x %d", WIDTH, HEIGHT);
}

static void card_find_display(struct card *card)
{
	struct drm_mode_card_res res = {
		.count_crtcs = 1,
		.count_connectors = 1,
		.crtc_id_ptr = (uintptr_t)&card->crtc,
		.connector_id_ptr = (uintptr_t)&card->connector,
	};

	card_call(card, DRM_IOCTL_MODE_GETRESOURCES, &res,
		  "asking for the display's parts");
	card_find_mode(card);
}

/*
 * Puts the memory of that handle on the display; -1 with errno if the driver does
 * not take it
 */
static int card_show(struct card *card, __u32 handle, __u32 format,
		     unsigned int bytes_per_pixel)
{
	struct drm_mode_fb_cmd2 fb = {
		.width = WIDTH,
		.height = HEIGHT,
		.pixel_format = format,
		.handles = { handle },
		.pitches = { WIDTH * bytes_per_pixel },
	};
	struct drm_mode_crtc crtc = {
		.set_connectors_ptr = (uintptr_t)&card->connector,
		.count_connectors = 1,
		.crtc_id = card->crtc,
		.mode_valid = 1,
		.mode = card->mode,
	};

	if (ioctl(card->drm, DRM_IOCTL_MODE_ADDFB2, &fb))
		return -1;
	card->fb = fb.fb_id;
	crtc.fb_id = fb.fb_id;
	return ioctl(card->drm, DRM_IOCTL_MODE_SETCRTC, &crtc);
}

#endif /* _GUEST_CARD_H */
