// SPDX-License-Identifier: GPL-2.0
/* Imports into drivers of displays and GPUs, by PRIME */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <drm/drm.h>

#include "drm.h"

int drm_open(const char *node)
{
	struct drm_get_cap cap = { .capability = DRM_CAP_PRIME };
	char path[256];
	int drm;

	snprintf(path, sizeof(path), DRM_DIR "/%s", node);
	drm = open(path, O_RDWR | O_CLOEXEC);
	if (drm < 0)
		return -1;
	if (!ioctl(drm, DRM_IOCTL_GET_CAP, &cap) &&
	    cap.value & DRM_PRIME_CAP_IMPORT)
		return drm;
	close(drm);
	errno = EOPNOTSUPP;
	return -1;
}

void drm_driver(int drm, char *name, size_t size)
{
	struct drm_version version = { .name = name, .name_len = size - 1 };

	memset(name, 0, size);
	ioctl(drm, DRM_IOCTL_VERSION, &version);
}

unsigned long long drm_device(int drm)
{
	struct stat node, device;
	char path[64];

	if (fstat(drm, &node))
		return 0;
	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/device/drm",
		 major(node.st_rdev), minor(node.st_rdev));
	return stat(path, &device) ? node.st_rdev : device.st_ino;
}

int drm_import(int drm, int dmabuf, __u32 *handle)
{
	struct drm_prime_handle prime = { .fd = dmabuf };

	if (ioctl(drm, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime))
		return -1;
	*handle = prime.handle;
	return 0;
}

int drm_export(int drm, __u32 handle)
{
	struct drm_prime_handle prime = {
		.handle = handle,
		.flags = DRM_CLOEXEC,
	};

	return ioctl(drm, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime) ? -1 : prime.fd;
}

int drm_release(int drm, __u32 handle)
{
	struct drm_gem_close gem = { .handle = handle };

	return ioctl(drm, DRM_IOCTL_GEM_CLOSE, &gem);
}
