// SPDX-License-Identifier: GPL-2.0
/* What programs that try out DMA-BUF heaps share; the header tells what each does */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heaps.h"

size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

size_t ram_size(void)
{
	struct sysinfo info;

	return sysinfo(&info) ? 0 : (size_t)info.totalram * info.mem_unit;
}

static int not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

void names_read(struct names *names, const char *dir)
{
	struct dirent **entries;
	size_t size;
	int found, i;

	names->count = 0;
	found = scandir(dir, &entries, not_hidden, alphasort);
	if (found < 0)
		return;
	for (i = 0; i < found; i++) {
		size = strlen(entries[i]->d_name) + 1;
		if (names->count < NAMES_MAX && size <= NAME_SIZE)
			memcpy(names->name[names->count++], entries[i]->d_name,
			       size);
		free(entries[i]);
	}
	free(entries);
}

static int node_open(const char *dir, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return open(path, O_RDWR | O_CLOEXEC);
}

int heap_open(const char *heap)
{
	return node_open(HEAP_DIR, heap);
}

int heap_alloc_flags(int heap, __u64 len, __u32 fd_flags)
{
	struct dma_heap_allocation_data data = {
		.len = len,
		.fd_flags = fd_flags,
	};

	return ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data) ? -1 : (int)data.fd;
}

int heap_alloc(int heap, __u64 len)
{
	return heap_alloc_flags(heap, len, O_RDWR | O_CLOEXEC);
}

int heap_get_info(int heap, struct dma_heap_info *info)
{
	memset(info, 0, sizeof(*info));
	return ioctl(heap, DMA_HEAP_IOCTL_GET_INFO, info);
}

/* What a buffer of one byte is rounded up to */
static size_t observed_granularity(int heap)
{
	int dmabuf = heap_alloc(heap, 1);
	size_t size = dmabuf_size(dmabuf);

	close(dmabuf);
	return size ? size : page_size();
}

void heap_info(int heap, struct dma_heap_info *info)
{
	heap_get_info(heap, info);
	if (!(info->mask & DMA_HEAP_INFO_PROPERTIES))
		info->properties = DMA_HEAP_PROP_CPU_MAPPABLE |
				   DMA_HEAP_PROP_CACHED | DMA_HEAP_PROP_ZEROED;
	if (!(info->mask & DMA_HEAP_INFO_GRANULARITY))
		info->granularity = observed_granularity(heap);
	if (!(info->mask & DMA_HEAP_INFO_SIZE))
		info->size = ram_size();
	if (!(info->mask & DMA_HEAP_INFO_FREE))
		info->free = info->size;
	if (!(info->mask & DMA_HEAP_INFO_MAX_ALLOC))
		info->max_alloc = info->size;
}

bool heap_is_cpu_mappable(const struct dma_heap_info *info)
{
	return info->properties & DMA_HEAP_PROP_CPU_MAPPABLE;
}

bool heap_is_cached(const struct dma_heap_info *info)
{
	return info->properties & DMA_HEAP_PROP_CACHED;
}

bool heap_is_zeroed(const struct dma_heap_info *info)
{
	return info->properties & DMA_HEAP_PROP_ZEROED;
}

size_t heap_fit(int heap, size_t most)
{
	struct dma_heap_info info;
	size_t size;
	int dmabuf;

	heap_info(heap, &info);
	if (most > info.max_alloc)
		most = info.max_alloc;
	if (most < info.granularity)
		most = info.granularity;
	for (; most; most = size / 2) {
		size = most - most % info.granularity;
		if (!size)
			break;
		dmabuf = heap_alloc(heap, size);
		if (dmabuf >= 0) {
			close(dmabuf);
			return size;
		}
	}
	return 0;
}

int forget_memory(void)
{
	return write_file("/proc/sys/vm/drop_caches", "2");
}

bool heap_is_private(int heap)
{
	long long before, runs, pages;
	size_t size;

	/* Not what is kept from there of former buffers */
	forget_memory();
	before = vm_events("pgalloc_");
	runs = vm_events("cma_alloc_success");
	size = heap_fit(heap, MIB);
	if (!before || !size || vm_events("cma_alloc_success") != runs)
		return false;
	/* What is allocated beside the memory itself is much less than it */
	pages = vm_events("pgalloc_") - before;
	return pages < (long long)(size / page_size() / 2);
}

long long heap_counter(const char *heap, const char *counter)
{
	long long value = -1;
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/dma_heap/%s/%s", heap,
		 counter);
	file = fopen(path, "re");
	if (!file)
		return -1;
	if (fscanf(file, "%lld", &value) != 1)
		value = -1;
	fclose(file);
	return value;
}

static int open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	if (!dir)
		return -1;
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* Whether there is such a file that begins with Y, as one of a boolean parameter */
static bool is_on(const char *path)
{
	FILE *file = fopen(path, "re");
	int value = 0;

	if (file) {
		value = fgetc(file);
		fclose(file);
	}
	return value == 'Y';
}

bool heaps_keep_mappings(void)
{
	return is_on("/sys/module/dma_heap_helpers/parameters/keep_mappings");
}

bool heaps_map_huge(void)
{
	return is_on("/sys/module/dma_heap_helpers/parameters/huge_mappings");
}

void usage_read(struct usage *usage, const char *heap)
{
	usage->fds = open_fds();
	usage->buffers = heap_counter(heap, "buffers");
	usage->bytes = heap_counter(heap, "bytes");
	usage->free = heap_counter(heap, "free");
}

bool usage_equal(const struct usage *a, const struct usage *b)
{
	return a->fds == b->fds && a->buffers == b->buffers &&
	       a->bytes == b->bytes && a->free == b->free;
}

size_t dmabuf_size(int dmabuf)
{
	off_t size = lseek(dmabuf, 0, SEEK_END);

	return size < 0 ? 0 : size;
}

void *dmabuf_map(int dmabuf, size_t len, off_t offset)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf,
		    offset);
}

int dmabuf_sync(int dmabuf, __u64 flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	return ioctl(dmabuf, DMA_BUF_IOCTL_SYNC, &sync);
}

void pattern(void *mem, size_t offset, size_t len, __u32 seed)
{
	__u32 *word = mem;
	size_t i;

	/* An odd factor maps different places to different words */
	for (i = 0; i < len / 4; i++)
		word[i] = ((__u32)(offset / 4 + i) ^ seed << 24) * 2654435761U +
			  seed;
}

/* Where @a and @b differ first, -1 if nowhere */
static ssize_t first_difference(const __u8 *a, const __u8 *b, size_t len)
{
	size_t i = 0;

	if (!memcmp(a, b, len))
		return -1;
	while (i < len - 1 && a[i] == b[i])
		i++;
	return i;
}

/* Opens a test device that moves any number of bytes, to and from anywhere */
static int stand_in_open(void)
{
	struct dma_buf_testdev_info info;
	struct names devs;
	int dev, i;

	names_read(&devs, TESTDEV_DIR);
	for (i = 0; i < devs.count; i++) {
		dev = testdev_open(devs.name[i]);
		if (dev < 0)
			continue;
		if (!testdev_info(dev, &info) && !info.max_copy &&
		    info.dma_mask == ~0ULL)
			return dev;
		close(dev);
	}
	errno = ENODEV;
	return -1;
}

/* What the CPU would do if it could: moves all bytes of the buffer */
static int stand_in_copy(const struct buffer *buffer, __u32 flags, void *data)
{
	struct span all = { .len = buffer->size };
	int dev = stand_in_open();
	struct import import;
	int ret;

	if (dev < 0)
		return -1;
	ret = import_begin(&import, dev, buffer->fd,
			   DMA_BUF_TESTDEV_BIDIRECTIONAL);
	if (!ret)
		ret = import_copy(&import, flags, all, data);
	/* With what is attached to it */
	close(dev);
	return ret;
}

int buffer_reopen(struct buffer *buffer, int dmabuf)
{
	buffer->fd = dmabuf;
	buffer->mem = dmabuf_map(dmabuf, buffer->size, 0);
	if (buffer->mem != MAP_FAILED)
		return 0;
	buffer->mem = NULL;
	return errno == EPERM ? 0 : -1;
}

void buffer_close(struct buffer *buffer)
{
	if (buffer->mem)
		munmap(buffer->mem, buffer->size);
	if (buffer->fd >= 0)
		close(buffer->fd);
	buffer->mem = NULL;
	buffer->fd = -1;
}

int buffer_from_fd(struct buffer *buffer, int dmabuf)
{
	buffer->size = dmabuf_size(dmabuf);
	/* All at once, which takes less time than page by page */
	buffer->model = mmap(NULL, buffer->size, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (buffer->model == MAP_FAILED)
		return -1;
	if (!buffer_reopen(buffer, dmabuf))
		return 0;
	munmap(buffer->model, buffer->size);
	return -1;
}

int buffer_alloc(struct buffer *buffer, int heap, size_t size)
{
	int dmabuf = heap_alloc(heap, size);

	if (dmabuf < 0)
		return -1;
	if (buffer_from_fd(buffer, dmabuf)) {
		close(dmabuf);
		return -1;
	}
	return 0;
}

void buffer_free(struct buffer *buffer)
{
	buffer_close(buffer);
	munmap(buffer->model, buffer->size);
}

int buffer_fill(struct buffer *buffer, __u32 seed)
{
	pattern(buffer->model, 0, buffer->size, seed);
	if (!buffer->mem)
		return stand_in_copy(buffer, DMA_BUF_TESTDEV_COPY_WRITE,
				     buffer->model);
	if (dmabuf_sync(buffer->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE))
		return -1;
	memcpy(buffer->mem, buffer->model, buffer->size);
	return dmabuf_sync(buffer->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);
}

/* As buffer_differs(), where the CPU cannot look */
static ssize_t stand_in_differs(const struct buffer *buffer)
{
	__u8 *scratch = malloc(buffer->size);
	ssize_t where = -2;

	if (!scratch)
		return -2;
	/* So that a copy of nothing is no success */
	memset(scratch, ~buffer->model[0], buffer->size);
	if (!stand_in_copy(buffer, 0, scratch))
		where = first_difference(scratch, buffer->model, buffer->size);
	free(scratch);
	return where;
}

ssize_t buffer_differs(const struct buffer *buffer)
{
	ssize_t where;

	if (!buffer->mem)
		return stand_in_differs(buffer);
	dmabuf_sync(buffer->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
	where = first_difference(buffer->mem, buffer->model, buffer->size);
	dmabuf_sync(buffer->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
	return where;
}

int testdev_open(const char *name)
{
	return node_open(TESTDEV_DIR, name);
}

int testdev_device(const char *name, char *device)
{
	char path[128], link[256];
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/class/misc/dma_buf_testdev!%s/device",
		 name);
	len = readlink(path, link, sizeof(link) - 1);
	if (len < 0)
		return -1;
	link[len] = '\0';
	snprintf(device, NAME_SIZE, "%s", strrchr(link, '/') + 1);
	return 0;
}

int testdev_info(int dev, struct dma_buf_testdev_info *info)
{
	return ioctl(dev, DMA_BUF_TESTDEV_INFO, info);
}

/* Whether the kernel was told to give devices copies only */
static bool copies_always(void)
{
	FILE *file = fopen("/proc/cmdline", "re");
	bool found = false;
	char arg[256];

	while (file && fscanf(file, "%255s", arg) == 1)
		found |= !strncmp(arg, "swiotlb=", 8) && strstr(arg, "force");
	if (file)
		fclose(file);
	return found;
}

/* The highest address of memory, 0 if it is not known */
static unsigned long long highest_address(void)
{
	unsigned long long end, highest = 0;
	char line[128];
	FILE *file = fopen("/proc/iomem", "re");

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		/* The second is what the kernel does not map */
		if ((strstr(line, "System RAM") || strstr(line, "reserved")) &&
		    sscanf(line, "%*x-%llx", &end) == 1 && end > highest)
			highest = end;
	}
	fclose(file);
	return highest;
}

bool testdev_is_short(const struct dma_buf_testdev_info *info)
{
	if (info->flags & DMA_BUF_TESTDEV_IOMMU)
		return false;
	return copies_always() || highest_address() > info->dma_mask;
}

int import_attach(struct import *import, int dev, int dmabuf)
{
	struct dma_buf_testdev_attach attach = { .fd = dmabuf };

	memset(import, 0, sizeof(*import));
	import->dev = dev;
	if (testdev_info(dev, &import->info) ||
	    ioctl(dev, DMA_BUF_TESTDEV_ATTACH, &attach))
		return -1;
	import->map.handle = attach.handle;
	return 0;
}

int import_map(struct import *import, __u32 direction)
{
	import->map.direction = direction;
	return ioctl(import->dev, DMA_BUF_TESTDEV_MAP, &import->map);
}

int import_unmap(struct import *import)
{
	return ioctl(import->dev, DMA_BUF_TESTDEV_UNMAP, &import->map.handle);
}

int import_detach(struct import *import)
{
	return ioctl(import->dev, DMA_BUF_TESTDEV_DETACH, &import->map.handle);
}

int import_begin(struct import *import, int dev, int dmabuf, __u32 direction)
{
	int err;

	if (import_attach(import, dev, dmabuf))
		return -1;
	if (!import_map(import, direction))
		return 0;
	err = errno;
	import_detach(import);
	errno = err;
	return -1;
}

int import_entry(const struct import *import, __u32 index,
		 struct dma_buf_testdev_entry *entry)
{
	struct dma_buf_testdev_entries entries = {
		.handle = import->map.handle,
		.first = index,
		.count = 1,
		.entries = (uintptr_t)entry,
	};

	if (ioctl(import->dev, DMA_BUF_TESTDEV_ENTRIES, &entries))
		return -1;
	if (entries.count != 1) {
		errno = ENOENT;
		return -1;
	}
	return 0;
}

int import_copy(const struct import *import, __u32 flags, struct span span,
		void *data)
{
	struct dma_buf_testdev_copy copy = {
		.handle = import->map.handle,
		.flags = flags,
		.offset = span.offset,
		.len = span.len,
		.data = (uintptr_t)data,
	};

	return ioctl(import->dev, DMA_BUF_TESTDEV_COPY, &copy);
}

/* A run of @len bytes with @middle in the middle, as far as @size allows */
static struct span span_around(size_t middle, size_t len, size_t size)
{
	struct span span = { .len = len < size ? len : size };

	if (middle > span.len / 2)
		span.offset = middle - span.len / 2;
	if (span.offset > size - span.len)
		span.offset = size - span.len;
	return span;
}

int import_spans(const struct import *import, struct span *spans)
{
	size_t size = import->map.size, len = import->info.max_copy;
	struct dma_buf_testdev_entry entry;
	size_t boundary = 0;
	int count = 0;
	__u32 i;

	if (!len) {
		spans[0] = (struct span){ .offset = 0, .len = size };
		return 1;
	}
	spans[count++] = span_around(0, len, size);
	for (i = 0; i + 1 < import->map.nents && count < SPANS_MAX - 1; i++) {
		if (import_entry(import, i, &entry))
			break;
		boundary += entry.len;
		spans[count++] = span_around(boundary, len, size);
	}
	spans[count++] = span_around(size, len, size);
	return count;
}

int import_fill(const struct import *import, struct buffer *buffer, __u32 seed)
{
	struct span spans[SPANS_MAX];
	int count = import_spans(import, spans);
	__u8 *data;
	int i;

	for (i = 0; i < count; i++) {
		data = buffer->model + spans[i].offset;
		pattern(data, spans[i].offset, spans[i].len, seed);
		if (import_copy(import, DMA_BUF_TESTDEV_COPY_WRITE, spans[i],
				data))
			return -1;
	}
	return 0;
}

/* Lets the device read @span into @scratch and compares; as import_differs() */
static ssize_t span_differs(const struct import *import, struct span span,
			    const struct buffer *buffer, void *scratch)
{
	ssize_t where;

	/* So that a copy of nothing is no success */
	memset(scratch, ~buffer->model[span.offset], span.len);
	if (import_copy(import, 0, span, scratch))
		return -2;
	where = first_difference(scratch, buffer->model + span.offset,
				 span.len);
	return where < 0 ? where : where + (ssize_t)span.offset;
}

ssize_t import_differs(const struct import *import, const struct buffer *buffer)
{
	struct span spans[SPANS_MAX];
	int count = import_spans(import, spans);
	ssize_t where = -1;
	void *scratch;
	int i;

	scratch = malloc(buffer->size);
	if (!scratch)
		return -2;
	for (i = 0; i < count && where == -1; i++)
		where = span_differs(import, spans[i], buffer, scratch);
	free(scratch);
	return where;
}

long dma_api_errors(void)
{
	FILE *file = fopen("/sys/kernel/debug/dma-api/error_count", "re");
	long count;

	if (!file)
		return -1;
	/* Hexadecimal in some kernels, with the prefix that %li knows */
	if (fscanf(file, "%li", &count) != 1)
		count = -1;
	fclose(file);
	return count;
}

long long vm_events(const char *prefix)
{
	FILE *file = fopen("/proc/vmstat", "re");
	long long sum = 0, value;
	char name[64];

	if (!file)
		return 0;
	while (fscanf(file, "%63s %lld", name, &value) == 2) {
		if (!strncmp(name, prefix, strlen(prefix)))
			sum += value;
	}
	fclose(file);
	return sum;
}

size_t mem_line(const char *name)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long kib, found = 0;
	char line[128], key[64];

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%63[^:]: %lu", key, &kib) == 2 &&
		    !strcmp(key, name))
			found = kib;
	}
	fclose(file);
	return found * KIB;
}

long long mem_kept(void)
{
	/* Each processor keeps part of the sum to itself otherwise */
	write_file("/proc/sys/vm/stat_refresh", "1");
	/* Hardly anybody else counts here */
	return vm_events("nr_kernel_misc_reclaimable") * page_size();
}

void be_the_first_victim(void)
{
	write_file("/proc/self/oom_score_adj", "1000");
}

int mem_take(void *size)
{
	size_t len = *(size_t *)size, i;
	char *mem;

	be_the_first_victim();
	mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED)
		return 1;
	for (i = 0; i < len; i += page_size())
		__atomic_store_n(mem + i, 1, __ATOMIC_RELAXED);
	return 0;
}

void read_line(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "re");

	if (!file || !fgets(text, size, file))
		text[0] = '\0';
	if (file)
		fclose(file);
}

int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t ret;

	if (fd < 0)
		return -1;
	ret = write(fd, text, strlen(text));
	close(fd);
	return ret < 0 ? -1 : 0;
}

/* Names a file of the part of tracing that is for @event alone */
static char *trace_path(char *path, size_t size, const char *event,
			const char *file)
{
	snprintf(path, size, "/sys/kernel/tracing/instances/dmabuf-heaps-%s%s",
		 strchr(event, '/') + 1, file);
	return path;
}

static int trace_set(const char *first, const char *event, const char *file,
		     const char *text)
{
	char path[256], name[128];

	snprintf(name, sizeof(name), "/events/%s/%s", event, file);
	return write_file(trace_path(path, sizeof(path), first, name), text);
}

int trace_add(const char *first, const char *event, const char *filter)
{
	return trace_set(first, event, "filter", filter) ||
	       trace_set(first, event, "enable", "1") ? -1 : 0;
}

int trace_start(const char *event, const char *filter)
{
	char path[256];

	trace_path(path, sizeof(path), event, "");
	/* One may be left of a test that failed */
	rmdir(path);
	if (mkdir(path, 0700))
		return -1;
	if (!trace_add(event, event, filter))
		return 0;
	rmdir(path);
	return -1;
}

int trace_count(const char *event)
{
	char path[256], line[256];
	int count = 0;
	FILE *trace;

	trace = fopen(trace_path(path, sizeof(path), event, "/trace"), "re");
	if (!trace)
		return -1;
	while (fgets(line, sizeof(line), trace))
		count += line[0] != '#';
	fclose(trace);
	return count;
}

FILE *trace_open(const char *event)
{
	char path[256];
	int fd;

	fd = open(trace_path(path, sizeof(path), event, "/trace_pipe"),
		  O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? NULL : fdopen(fd, "r");
}

int trace_stop(const char *event)
{
	int count = trace_count(event);
	char path[256];

	rmdir(trace_path(path, sizeof(path), event, ""));
	return count;
}

/* Prepares @msg to carry one byte and one file descriptor */
static struct cmsghdr *fd_message(struct msghdr *msg, struct iovec *iov,
				  void *control, size_t control_size)
{
	static char byte;

	*iov = (struct iovec){ .iov_base = &byte, .iov_len = 1 };
	*msg = (struct msghdr){
		.msg_iov = iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = control_size,
	};
	memset(control, 0, control_size);
	return CMSG_FIRSTHDR(msg);
}

union fd_control {
	struct cmsghdr align;
	char space[CMSG_SPACE(sizeof(int))];
};

int fd_send(int sock, int fd)
{
	union fd_control control;
	struct cmsghdr *cmsg;
	struct msghdr msg;
	struct iovec iov;

	cmsg = fd_message(&msg, &iov, &control, sizeof(control));
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -1;
}

int fd_receive(int sock)
{
	union fd_control control;
	struct cmsghdr *cmsg;
	struct msghdr msg;
	struct iovec iov;
	int fd;

	fd_message(&msg, &iov, &control, sizeof(control));
	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) != 1)
		return -1;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg || cmsg->cmsg_type != SCM_RIGHTS) {
		errno = EBADMSG;
		return -1;
	}
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	return fd;
}

int in_child(int (*fn)(void *arg), void *arg)
{
	pid_t child;
	int status;

	fflush(NULL);
	child = fork();
	if (!child)
		_exit(fn(arg));
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
				     WEXITSTATUS(status);
}
