// SPDX-License-Identifier: GPL-2.0
/* dmaheap alloc: a buffer, held for as long as somebody wants it */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dmaheap.h"
#include "heaps.h"

/* What a command finds the buffer's descriptor by */
#define FD_VARIABLE	"DMABUF_FD"

/* By the shell's conventions for a command that is not run */
#define NOT_FOUND	127
#define NOT_RUN		126

struct request {
	/* NULL for standard input */
	const char *heap;
	__u64 size;
	bool fill;
	bool hold;
	/* NULL for none */
	char **command;
};

static const char *heap_text(const struct request *request)
{
	return request->heap ? node_path(request->heap) :
			       "standard input";
}

/* Says which part of it the heap has, as far as it tells */
static int complain_no_memory(const struct request *request, int heap)
{
	char wanted[SIZE_TEXT], most[SIZE_TEXT] = "?", left[SIZE_TEXT] = "?";
	struct dma_heap_info info;

	if (!heap_get_info(heap, &info)) {
		if (info.mask & DMA_HEAP_INFO_MAX_ALLOC)
			size_text(most, info.max_alloc);
		if (info.mask & DMA_HEAP_INFO_FREE)
			size_text(left, info.free);
	}
	return complain(STATUS_NO_MEMORY,
			"%s: it cannot give %s (free: %s; at most at once: %s). Ask for less, or another heap",
			heap_text(request), size_text(wanted, request->size),
			left, most);
}

static int complain_alloc(const struct request *request, int heap, int err)
{
	switch (err) {
	case ENOMEM:
		return complain_no_memory(request, heap);
	case ENODEV:
		return complain(STATUS_GONE,
				"%s: the heap was removed since it was opened. Open it again once its driver is back",
				heap_text(request));
	case ENOTTY:
	case EBADF:
		return complain(STATUS_NO_HEAP, "%s: it is no heap%s",
				heap_text(request), request->heap ? "" :
				". Redirect it, as in <" HEAP_DIR "/system");
	default:
		return complain(STATUS_FAILED, "%s: it does not give %llu bytes: %s",
				heap_text(request),
				(unsigned long long)request->size,
				strerror(err));
	}
}

/* The mapping stays, as it would with a program that uses the buffer */
static int fill(const struct request *request, int dmabuf)
{
	size_t size = dmabuf_size(dmabuf);
	void *mem = dmabuf_map(dmabuf, size, 0);
	int ret;

	if (mem == MAP_FAILED)
		return complain(STATUS_FAILED,
				"%s: the buffer cannot be mapped, and so not filled: %s",
				heap_text(request), strerror(errno));
	ret = dmabuf_sync(dmabuf, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE);
	if (!ret) {
		pattern(mem, 0, size, 0);
		ret = dmabuf_sync(dmabuf, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);
	}
	if (ret)
		return complain(STATUS_FAILED,
				"%s: DMA_BUF_IOCTL_SYNC of the buffer failed: %s",
				heap_text(request), strerror(errno));
	return STATUS_OK;
}

/* Becomes the command, which inherits the buffer */
static int run_command(const struct request *request, int dmabuf)
{
	char text[16];
	int err;

	snprintf(text, sizeof(text), "%d", dmabuf);
	setenv(FD_VARIABLE, text, 1);
	execvp(request->command[0], request->command);
	err = errno;
	complain(STATUS_FAILED, "%s: the command cannot be run: %s",
		 request->command[0], strerror(err));
	return err == ENOENT ? NOT_FOUND : NOT_RUN;
}

static void wait_for_signal(void)
{
	sigset_t signals;
	int number;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	printf("process %d holds it until a signal ends it\n", getpid());
	fflush(stdout);
	sigwait(&signals, &number);
}

static void report(const struct request *request, int dmabuf)
{
	size_t size = dmabuf_size(dmabuf);
	char text[SIZE_TEXT];

	printf("%s gave %s (%zu bytes)\n", heap_text(request),
	       size_text(text, size), size);
}

/* Does all that is to be done with an open heap */
static int serve(const struct request *request, int heap)
{
	/* Without O_CLOEXEC, for the command */
	int dmabuf = heap_alloc_flags(heap, request->size, O_RDWR);
	int ret;

	if (dmabuf < 0)
		return complain_alloc(request, heap, errno);
	if (request->fill) {
		ret = fill(request, dmabuf);
		if (ret)
			return ret;
	}
	if (request->command)
		return run_command(request, dmabuf);
	report(request, dmabuf);
	if (request->hold)
		wait_for_signal();
	return STATUS_OK;
}

/* Returns -1, or what was found instead of a request, such as 'h' */
static int read_request(int argc, char **argv, struct request *request)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "fill", no_argument, NULL, 'f' },
		{ "hold", no_argument, NULL, 'o' },
		{ 0 }
	};
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'f')
			request->fill = true;
		else if (option == 'o')
			request->hold = true;
		else
			return option;
	}
	argv += optind;
	if (argc - optind < 2 || (argv[2] && request->hold))
		return '?';
	request->heap = strcmp(argv[0], "-") ? heap_name(argv[0]) : NULL;
	if (argv[2])
		request->command = argv + 2;
	return -1;
}

int cmd_alloc(int argc, char **argv)
{
	struct request request = { 0 };
	enum status status;
	int option = read_request(argc, argv, &request);
	int heap = STDIN_FILENO;

	if (option != -1)
		return show_usage(argv[0], option);
	if (!parse_size(argv[optind + 1], &request.size))
		return STATUS_USAGE;
	if (request.heap) {
		heap = open_heap(request.heap, &status);
		if (heap < 0)
			return status;
	}
	return serve(&request, heap);
}
