/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Imports into drivers of displays and GPUs, by PRIME. A function returns -1 with
 * errno set unless it says otherwise.
 */
#ifndef _DMAHEAP_DRM_H
#define _DMAHEAP_DRM_H

#include <stddef.h>

#include <linux/types.h>

#define DRM_DIR		"/dev/dri"

/* Opens a node whose driver imports dma-bufs; EOPNOTSUPP if it does not */
int drm_open(const char *node);
/* Writes the name of the driver, empty if it has none */
void drm_driver(int drm, char *name, size_t size);
/* What two nodes of the same device have in common */
unsigned long long drm_device(int drm);

int drm_import(int drm, int dmabuf, __u32 *handle);
/* Returns a descriptor of the dma-buf that was imported */
int drm_export(int drm, __u32 handle);
int drm_release(int drm, __u32 handle);

#endif /* _DMAHEAP_DRM_H */
