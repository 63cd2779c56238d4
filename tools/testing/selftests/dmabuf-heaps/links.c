// SPDX-License-Identifier: GPL-2.0
/* The links from devices to heaps, as they are on this machine */

#include <dirent.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "heaps.h"

#define CLASS_DIR	"/sys/class/dma_heap"
#define PLATFORM_DIR	"/sys/bus/platform/devices"

#define REGIONS_MAX	16

/* What a test has found; each runs in a process of its own */
static int directories;
static int bad;

/* Whether a link leads to a heap of the class */
static bool leads_to_heap(const char *link)
{
	char target[PATH_MAX], expected[PATH_MAX], path[128];

	if (!realpath(link, target))
		return false;
	snprintf(path, sizeof(path), CLASS_DIR "/%.63s",
		 strrchr(target, '/') + 1);
	return realpath(path, expected) && !strcmp(target, expected);
}

/* Whether a name is a number as the kernel writes it */
static bool is_number(const char *name)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", strtoul(name, NULL, 10));
	return !strcmp(name, text);
}

/* Checks one directory dma_heaps, which is the working directory */
static void check_links(const char *dir)
{
	struct names names;
	int i;

	directories++;
	names_read(&names, ".");
	if (!names.count) {
		bad++;
		printf("# %s is empty\n", dir);
	}
	for (i = 0; i < names.count; i++) {
		if (is_number(names.name[i]) && leads_to_heap(names.name[i]))
			continue;
		bad++;
		printf("# %s/%s leads to no heap, or is no number\n", dir,
		       names.name[i]);
	}
}

static int visit(const char *path, const struct stat *st, int type,
		 struct FTW *ftw)
{
	if (type != FTW_D || strcmp(path + ftw->base, "dma_heaps"))
		return 0;
	if (chdir(path))
		return -1;
	check_links(path);
	return 0;
}

TEST(links_lead_to_heaps)
{
	ASSERT_EQ(0, nftw("/sys/devices", visit, 32, FTW_PHYS));
	if (!directories)
		SKIP(return, "no device has links to heaps");
	EXPECT_EQ(0, bad);
}

/* Returns how many bytes there are in a file, at most @size; 0 without it */
static size_t read_bytes(const char *path, void *to, size_t size)
{
	FILE *f = fopen(path, "r");

	if (!f)
		return 0;
	size = fread(to, 1, size, f);
	fclose(f);
	return size;
}

/* By what the device tree refers to a heap's region; 0 if it has none */
static __u32 heap_region(const char *dir, const char *heap)
{
	__u32 phandle = 0;
	char path[128];

	snprintf(path, sizeof(path), "%.24s/%.63s/of_node/phandle", dir, heap);
	read_bytes(path, &phandle, sizeof(phandle));
	return phandle;
}

static bool region_has_heap(__u32 region)
{
	struct names heaps;
	int i;

	names_read(&heaps, CLASS_DIR);
	for (i = 0; i < heaps.count; i++) {
		if (heap_region(CLASS_DIR, heaps.name[i]) == region)
			return true;
	}
	return false;
}

/* Whether the device in the working directory makes a heap of its region */
static bool makes_heap(void)
{
	char compatible[64] = "";

	read_bytes("of_node/compatible", compatible, sizeof(compatible) - 1);
	return !strcmp(compatible, "dma_heap,chunk");
}

/* Checks a device, in its directory. Returns how many regions it uses */
static int check_regions(const char *device)
{
	__u32 regions[REGIONS_MAX], linked;
	char number[16];
	int count, i;

	if (makes_heap())
		return 0;

	count = read_bytes("of_node/memory-region", regions, sizeof(regions)) /
		sizeof(regions[0]);
	for (i = 0; i < count; i++) {
		snprintf(number, sizeof(number), "%d", i);
		linked = heap_region("dma_heaps", number);
		if (linked == (region_has_heap(regions[i]) ? regions[i] : 0))
			continue;
		bad++;
		printf("# %s: not the heap of memory-region %d\n", device, i);
	}
	return count;
}

/* What makes a heap of a region is no user of it. Returns 1 if it does */
static int check_makes_heap(const char *device)
{
	if (!makes_heap())
		return 0;

	if (!access("dma_heaps", F_OK)) {
		bad++;
		printf("# %s has links\n", device);
	}
	return 1;
}

/* Returns the sum of what @fn returns in each platform device's directory */
static int each_device(int (*fn)(const char *device))
{
	DIR *dir = opendir(PLATFORM_DIR);
	struct dirent *entry;
	int sum = 0;

	if (!dir)
		return -1;
	while ((entry = readdir(dir))) {
		if (fchdir(dirfd(dir)) || chdir(entry->d_name))
			continue;
		sum += fn(entry->d_name);
	}
	closedir(dir);
	return sum;
}

TEST(memory_regions_are_linked)
{
	int regions = each_device(check_regions);

	ASSERT_LE(0, regions);
	if (!regions)
		SKIP(return, "no device has a memory-region");
	EXPECT_EQ(0, bad);
}

TEST(makers_of_heaps_have_no_links)
{
	int makers = each_device(check_makes_heap);

	ASSERT_LE(0, makers);
	if (!makers)
		SKIP(return, "no device makes a heap of its memory-region");
	EXPECT_EQ(0, bad);
}

TEST_HARNESS_MAIN
