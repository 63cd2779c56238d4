/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the programs of the guest share: how they end if something does not hold,
 * and all that the selftests have for heaps and buffers. Included first.
 */
#ifndef _GUEST_PROGRAM_H
#define _GUEST_PROGRAM_H

#define _GNU_SOURCE
#include <stdarg.h>

/* Included so that each program is one file to compile */
#include "../../testing/selftests/dmabuf-heaps/heaps.c"

#define FAULT	255

/*
 * Each of these says what was wrong and ends the program, which leaves nothing
 * behind that would have to be undone
 */

__attribute__((noreturn, format(printf, 1, 2)))
static void fault(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("# ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
	exit(FAULT);
}

/* For a step that failed with errno */
__attribute__((noreturn))
static void failed(const char *step)
{
	fault("%s: %s", step, strerror(errno));
}

/* The same, if that is a driver's verdict on a buffer: errno is the exit status */
__attribute__((noreturn))
static void refused(const char *step)
{
	int error = errno;

	printf("# %s: %s\n", step, strerror(error));
	exit(error);
}

#endif /* _GUEST_PROGRAM_H */
