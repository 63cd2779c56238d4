// SPDX-License-Identifier: GPL-2.0
/*
 * Whether errors of the memory of DMA-BUF heaps are corrected, as the device
 * tree tells
 */

#include <linux/dma-heap.h>
#include <linux/export.h>
#include <linux/minmax.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <uapi/linux/dma-heap.h>

#include "heap-helpers.h"

/* The flag that @np's memory meets, 0 if it does not say */
static u64 heap_ecc_flag_of(const struct device_node *np)
{
	u32 bits;

	if (of_property_read_u32(np, "ecc-correction-bits", &bits))
		return 0;

	return bits ? DMA_HEAP_FLAG_ECC_PROTECTED :
		      DMA_HEAP_FLAG_ECC_UNPROTECTED;
}

/* How many bytes from @start to @last, which is included, @memory has */
static u64 heap_ecc_overlap(struct device_node *memory, u64 start, u64 last)
{
	struct resource res;
	u64 bytes = 0;
	int i;

	for (i = 0; !of_address_to_resource(memory, i, &res); i++) {
		u64 first = max_t(u64, start, res.start);
		u64 end = min_t(u64, last, res.end);

		if (first <= end)
			bytes += end - first + 1;
	}
	return bytes;
}

/*
 * The flag that all memory nodes agree on that have a part of the range, 0 if
 * they do not; sets how many bytes of it they have.
 */
static u64 heap_ecc_flags_of_nodes(u64 start, u64 last, u64 *bytes)
{
	struct device_node *memory;
	u64 flags = DMA_HEAP_VALID_HEAP_FLAGS;

	*bytes = 0;
	for_each_node_by_type(memory, "memory") {
		u64 overlap = 0;

		if (of_device_is_available(memory))
			overlap = heap_ecc_overlap(memory, start, last);
		if (overlap)
			flags &= heap_ecc_flag_of(memory);
		*bytes += overlap;
	}
	return *bytes ? flags : 0;
}

/**
 * heap_ecc_flags - which request about ECC some memory meets
 * @region:	its node in the device tree's reserved memory, or NULL
 * @start:	physical address
 * @size:	in bytes
 *
 * The property ecc-correction-bits of the region decides, else that of the
 * memory nodes which the range lies in. A range that is not all in memory
 * nodes, or in such as do not agree or do not say, meets no request.
 *
 * Context: process context, may sleep.
 *
 * Return: DMA_HEAP_FLAG_ECC_PROTECTED, DMA_HEAP_FLAG_ECC_UNPROTECTED, or 0; for
 * &dma_heap_export_info.heap_flags.
 */
u64 heap_ecc_flags(const struct device_node *region, phys_addr_t start,
		   size_t size)
{
	u64 flags = heap_ecc_flag_of(region);
	u64 bytes;

	if (flags)
		return flags;

	flags = heap_ecc_flags_of_nodes(start, (u64)start + size - 1, &bytes);
	return bytes == size ? flags : 0;
}
EXPORT_SYMBOL_NS_GPL(heap_ecc_flags, "DMA_BUF_HEAP");

/**
 * heap_ecc_flags_of_ram - which request about ECC any page of RAM meets
 *
 * Context: process context, may sleep.
 *
 * Return: as heap_ecc_flags(), for all memory of the system.
 */
u64 heap_ecc_flags_of_ram(void)
{
	u64 bytes;

	return heap_ecc_flags_of_nodes(0, U64_MAX, &bytes);
}
EXPORT_SYMBOL_NS_GPL(heap_ecc_flags_of_ram, "DMA_BUF_HEAP");
