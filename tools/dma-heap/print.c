// SPDX-License-Identifier: GPL-2.0
/* How the commands show things, to people and as JSON */

#include <stdio.h>
#include <string.h>

#include "dmaheap.h"
#include "heaps.h"

const char *size_text(char text[SIZE_TEXT], __u64 size)
{
	static const char * const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double value = size;
	size_t i = 0;

	while (value >= 1024 && i < sizeof(units) / sizeof(*units) - 1) {
		value /= 1024;
		i++;
	}
	snprintf(text, SIZE_TEXT, "%.*f %s", value == (__u64)value ? 0 : 1,
		 value, units[i]);
	return text;
}

const char *memory_text(const struct dma_heap_info *info)
{
	static char text[64];
	const char *access = "uncached";

	if (!(info->mask & DMA_HEAP_INFO_PROPERTIES))
		return "?";
	if (info->properties & DMA_HEAP_PROP_PROTECTED)
		access = "protected";
	else if (heap_is_cached(info))
		access = "cached";
	snprintf(text, sizeof(text), "%s%s%s",
		 info->properties & DMA_HEAP_PROP_CONTIGUOUS ?
		 "contiguous " : "", access,
		 info->properties & DMA_HEAP_PROP_ECC ? " ECC" : "");
	return text;
}

int name_width(const struct names *names, int least)
{
	int i, len, width = least;

	for (i = 0; i < names->count; i++) {
		len = strlen(names->name[i]);
		if (len > width)
			width = len;
	}
	return width;
}

void json_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < ' ')
			printf("\\u%04x", *text);
		else
			putchar(*text);
	}
	putchar('"');
}

void json_number(const char *key, bool known, __u64 value)
{
	printf(", \"%s\": ", key);
	if (known)
		printf("%llu", (unsigned long long)value);
	else
		printf("null");
}

const char *json_between(int index)
{
	return index ? ",\n " : "\n ";
}
