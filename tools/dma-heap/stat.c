// SPDX-License-Identifier: GPL-2.0
/* dmaheap stat: which buffers there are, and who holds them */

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dmaheap.h"
#include "heaps.h"

#define BUFINFO	"/sys/kernel/debug/dma_buf/bufinfo"

/* A dma-buf, of whatever exporter; as far as it is known, else 0 or empty */
struct dmabuf {
	unsigned long inode;
	unsigned long long size;
	char exporter[NAME_SIZE];
	/* As a program gave it */
	char name[NAME_SIZE];
};

/* What one process has of a dma-buf */
struct holder {
	int pid;
	char command[NAME_SIZE];
	unsigned long inode;
	int descriptors;
	unsigned long long mapped;
};

/* All that there is at one time; a reader of /proc adds to it */
struct state {
	struct dmabuf *dmabufs;
	int dmabuf_count;
	struct holder *holders;
	int holder_count;
	/* Processes that we may not look into */
	int unseen;
	/* Buffers are known that no process holds */
	bool complete;
};

/* Makes room for one more of @size bytes behind @count; ends if there is none */
static void *grow(void *list, int count, size_t size)
{
	/* Powers of two, so that it is done seldom */
	if (count & (count - 1))
		return list;
	list = realloc(list, (count ? 2 * count : 1) * size);
	if (!list)
		exit(complain(STATUS_FAILED, "there is no memory for the list"));
	return list;
}

/* The buffer of that inode, made if it is new */
static struct dmabuf *find_dmabuf(struct state *state, unsigned long inode)
{
	struct dmabuf *dmabuf;
	int i;

	for (i = 0; i < state->dmabuf_count; i++) {
		if (state->dmabufs[i].inode == inode)
			return &state->dmabufs[i];
	}
	state->dmabufs = grow(state->dmabufs, state->dmabuf_count,
			      sizeof(*dmabuf));
	dmabuf = &state->dmabufs[state->dmabuf_count++];
	*dmabuf = (struct dmabuf){ .inode = inode };
	return dmabuf;
}

/* What the process has of that buffer, made if it is new */
static struct holder *find_holder(struct state *state, int pid,
				  unsigned long inode)
{
	struct holder *holder;
	int i;

	/* What there is of a process comes in a row */
	for (i = state->holder_count - 1; i >= 0; i--) {
		holder = &state->holders[i];
		if (holder->pid != pid)
			break;
		if (holder->inode == inode)
			return holder;
	}
	state->holders = grow(state->holders, state->holder_count,
			      sizeof(*holder));
	holder = &state->holders[state->holder_count++];
	*holder = (struct holder){ .pid = pid, .inode = inode };
	return holder;
}

/*
 * Copies the rest of a line, without what would be a command to a terminal: any
 * process can give such a name
 */
static void copy_line(char text[NAME_SIZE], const char *line)
{
	snprintf(text, NAME_SIZE, "%.*s", (int)strcspn(line, "\n"), line);
	for (; *text; text++) {
		if (iscntrl(*text))
			*text = '?';
	}
}

/*
 * /proc/PID/fdinfo
 */

/* Takes in a line such as "size:", a tab and "4096"; changes it */
static void read_field(struct dmabuf *dmabuf, char *line)
{
	char *value = strchr(line, ':');

	if (!value)
		return;
	*value++ = '\0';
	value += strspn(value, "\t");
	if (!strcmp(line, "ino"))
		dmabuf->inode = strtoul(value, NULL, 10);
	else if (!strcmp(line, "size"))
		dmabuf->size = strtoull(value, NULL, 10);
	else if (!strcmp(line, "exp_name"))
		copy_line(dmabuf->exporter, value);
	else if (!strcmp(line, "name"))
		copy_line(dmabuf->name, value);
}

/* What a file of fdinfo tells of a dma-buf; false if it is about another file */
static bool read_fdinfo(const char *path, struct dmabuf *dmabuf)
{
	FILE *file = fopen(path, "re");
	char line[256];

	*dmabuf = (struct dmabuf){ 0 };
	if (!file)
		return false;
	while (fgets(line, sizeof(line), file))
		read_field(dmabuf, line);
	fclose(file);
	return dmabuf->exporter[0];
}

/* Returns -1 with errno if the process cannot be looked into */
static int read_descriptors(struct state *state, int pid)
{
	struct dmabuf dmabuf;
	struct dirent *entry;
	char path[512];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo", pid);
	dir = opendir(path);
	if (!dir)
		return -1;
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", pid,
			 entry->d_name);
		if (!isdigit(entry->d_name[0]) || !read_fdinfo(path, &dmabuf))
			continue;
		*find_dmabuf(state, dmabuf.inode) = dmabuf;
		find_holder(state, pid, dmabuf.inode)->descriptors++;
	}
	closedir(dir);
	return 0;
}

/*
 * /proc/PID/maps
 */

/* Adds the mapping of a line, if it is of a dma-buf */
static void read_mapping(struct state *state, int pid, const char *line)
{
	unsigned long long start, end;
	struct dmabuf *dmabuf;
	unsigned long inode;
	int path = 0;

	if (sscanf(line, "%llx-%llx %*s %*x %*x:%*x %lu %n", &start, &end,
		   &inode, &path) != 3 || !path ||
	    strncmp(line + path, "/dmabuf:", strlen("/dmabuf:")))
		return;
	dmabuf = find_dmabuf(state, inode);
	if (!dmabuf->name[0])
		copy_line(dmabuf->name, line + path + strlen("/dmabuf:"));
	find_holder(state, pid, inode)->mapped += end - start;
}

static void read_mappings(struct state *state, int pid)
{
	char path[64], line[512];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	file = fopen(path, "re");
	if (!file)
		return;
	while (fgets(line, sizeof(line), file))
		read_mapping(state, pid, line);
	fclose(file);
}

/*
 * All of it
 */

static void read_command(int pid, char command[NAME_SIZE])
{
	char path[64], line[NAME_SIZE];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(line, sizeof(line), file))
		copy_line(command, line);
	fclose(file);
}

static void read_process(struct state *state, int pid)
{
	int i, first = state->holder_count;

	if (read_descriptors(state, pid))
		/* Or it ended meanwhile */
		state->unseen += errno == EACCES || errno == EPERM;
	read_mappings(state, pid);
	for (i = first; i < state->holder_count; i++)
		read_command(pid, state->holders[i].command);
}

static void read_processes(struct state *state)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (isdigit(entry->d_name[0]))
			read_process(state, atoi(entry->d_name));
	}
	if (dir)
		closedir(dir);
}

/* All buffers of the system, for who may read debugfs */
static void read_bufinfo(struct state *state)
{
	FILE *file = fopen(BUFINFO, "re");
	struct dmabuf *dmabuf, found;
	char line[512];
	int name;

	if (!file)
		return;
	state->complete = true;
	while (fgets(line, sizeof(line), file)) {
		name = 0;
		if (sscanf(line, "%llu %*x %*x %*d %63s %lu %n", &found.size,
			   found.exporter, &found.inode, &name) != 3 || !name)
			continue;
		dmabuf = find_dmabuf(state, found.inode);
		dmabuf->size = found.size;
		memcpy(dmabuf->exporter, found.exporter, NAME_SIZE);
		if (strncmp(line + name, "<none>", strlen("<none>")))
			copy_line(dmabuf->name, line + name);
	}
	fclose(file);
}

/* The buffers of one exporter in a row */
static int compare(const void *a, const void *b)
{
	const struct dmabuf *left = a, *right = b;
	int order = strcmp(left->exporter, right->exporter);

	return order ? order : (left->inode > right->inode) -
			       (left->inode < right->inode);
}

static void read_state(struct state *state)
{
	*state = (struct state){ 0 };
	/* First, so that what processes hold by then is not missing there */
	read_bufinfo(state);
	read_processes(state);
	if (state->dmabuf_count)
		qsort(state->dmabufs, state->dmabuf_count,
		      sizeof(*state->dmabufs), compare);
}

static void free_state(struct state *state)
{
	free(state->dmabufs);
	free(state->holders);
}

/*
 * For people
 */

static void print_count(int width, long long value)
{
	if (value < 0)
		printf("  %*s", width, "?");
	else
		printf("  %*lld", width, value);
}

static void print_bytes(int width, long long value)
{
	char text[SIZE_TEXT];

	printf("  %*s", width, value < 0 ? "?" : size_text(text, value));
}

static void print_heaps(const struct names *heaps)
{
	int i, width = name_width(heaps, 18);
	bool unknown = false;
	const char *heap;

	printf("%-*s  %7s  %9s  %9s  %11s  %8s\n", width, "heap", "buffers",
	       "size", "peak", "allocations", "failures");
	for (i = 0; i < heaps->count; i++) {
		heap = heaps->name[i];
		printf("%-*s", width, heap);
		print_count(7, heap_counter(heap, "buffers"));
		print_bytes(9, heap_counter(heap, "bytes"));
		print_bytes(9, heap_counter(heap, "bytes_peak"));
		print_count(11, heap_counter(heap, "allocations"));
		print_count(8, heap_counter(heap, "failures"));
		putchar('\n');
		unknown |= heap_counter(heap, "buffers") < 0;
	}
	if (unknown)
		puts("? This kernel, or the driver of the heap, does not count.");
}

static void print_buffer(int width, const struct dmabuf *dmabuf)
{
	const char *exporter = dmabuf->exporter[0] ? dmabuf->exporter : "?";

	printf("%-*s  %7lu", width, exporter, dmabuf->inode);
	/* A size of 0 does not exist */
	print_bytes(9, dmabuf->size ? (long long)dmabuf->size : -1);
}

/* Ends the line, with the name that the buffer may have */
static void print_name(const struct dmabuf *dmabuf)
{
	printf("%s%s\n", dmabuf->name[0] ? "  " : "", dmabuf->name);
}

static void print_holder(const struct holder *holder)
{
	print_count(7, holder->pid);
	printf("  %-15s", holder->command);
	print_count(11, holder->descriptors);
	print_bytes(9, holder->mapped);
}

/* A line for each process that holds the buffer, or one for nobody */
static void print_holders(const struct state *state, int width,
			  const struct dmabuf *dmabuf)
{
	bool held = false;
	int i;

	for (i = 0; i < state->holder_count; i++) {
		if (state->holders[i].inode != dmabuf->inode)
			continue;
		print_buffer(width, dmabuf);
		print_holder(&state->holders[i]);
		print_name(dmabuf);
		held = true;
	}
	if (held)
		return;
	print_buffer(width, dmabuf);
	printf("  %7s  %-15s  %11s  %9s", "-", "no process", "-", "-");
	print_name(dmabuf);
}

static void print_dmabufs(const struct state *state, int width)
{
	int i;

	if (!state->dmabuf_count) {
		puts("\nNo buffer was found.");
		return;
	}
	printf("\n%-*s  %7s  %9s  %7s  %-15s  %11s  %9s  %s\n", width,
	       "exporter", "inode", "size", "process", "command", "descriptors",
	       "mapped", "name");
	for (i = 0; i < state->dmabuf_count; i++)
		print_holders(state, width, &state->dmabufs[i]);
}

static void print_limits(const struct state *state)
{
	if (state->complete && !state->unseen)
		return;
	putchar('\n');
	if (state->unseen)
		printf("%d processes are not yours to look into. Root sees all.\n",
		       state->unseen);
	if (!state->complete)
		puts("Buffers that no process holds, but a driver, are not shown: that needs\n"
		     BUFINFO " (root, CONFIG_DEBUG_FS).");
}

static void print_state(const struct state *state, const struct names *heaps)
{
	print_heaps(heaps);
	print_dmabufs(state, name_width(heaps, 18));
	print_limits(state);
}

/*
 * For programs
 */

static void json_holders(const struct state *state, const struct dmabuf *dmabuf)
{
	const struct holder *holder = state->holders;
	const char *between = "";
	int i;

	for (i = 0; i < state->holder_count; i++, holder++) {
		if (holder->inode != dmabuf->inode)
			continue;
		printf("%s{\"process\": %d, \"command\": ", between, holder->pid);
		json_string(holder->command);
		json_number("descriptors", true, holder->descriptors);
		json_number("mapped", true, holder->mapped);
		putchar('}');
		between = ", ";
	}
}

static void json_state(const struct state *state, const struct names *heaps)
{
	const struct dmabuf *dmabuf = state->dmabufs;
	int i;

	printf("{\"heaps\": ");
	json_heaps(heaps);
	printf(",\n\"buffers\": [");
	for (i = 0; i < state->dmabuf_count; i++, dmabuf++) {
		printf("%s{\"exporter\": ", json_between(i));
		if (dmabuf->exporter[0])
			json_string(dmabuf->exporter);
		else
			printf("null");
		json_number("inode", true, dmabuf->inode);
		json_number("size", dmabuf->size, dmabuf->size);
		printf(", \"name\": ");
		json_string(dmabuf->name);
		printf(", \"holders\": [");
		json_holders(state, dmabuf);
		printf("]}");
	}
	printf("\n]");
	json_number("unseen_processes", true, state->unseen);
	printf(", \"complete\": %s}\n", state->complete ? "true" : "false");
}

/* Looks and shows once; how many heaps there are */
static int show(bool json)
{
	struct names heaps;
	struct state state;

	names_read(&heaps, HEAP_DIR);
	read_state(&state);
	if (json)
		json_state(&state, &heaps);
	else
		print_state(&state, &heaps);
	free_state(&state);
	return heaps.count;
}

/* Until a signal ends it, or nobody reads any more */
static int watch(bool json, unsigned int seconds)
{
	while (1) {
		if (isatty(STDOUT_FILENO))
			printf("\033[H\033[J");
		show(json);
		if (!json)
			putchar('\n');
		if (fflush(stdout))
			return STATUS_FAILED;
		sleep(seconds);
	}
}

/* If it is no number of seconds, says so and returns false */
static bool parse_seconds(const char *text, unsigned int *seconds)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	*seconds = value;
	if (isdigit(*text) && !*end && value >= 1 && value <= 86400)
		return true;
	complain(STATUS_USAGE,
		 "--watch=%s: give a number of seconds from 1 to 86400", text);
	return false;
}

int cmd_stat(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "json", no_argument, NULL, 'j' },
		{ "watch", optional_argument, NULL, 'w' },
		{ 0 }
	};
	unsigned int seconds = 0;
	bool json = false;
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'j')
			json = true;
		else if (option != 'w')
			return show_usage(argv[0], option);
		else if (!parse_seconds(optarg ? optarg : "1", &seconds))
			return STATUS_USAGE;
	}
	if (optind != argc)
		return show_usage(argv[0], '?');
	if (seconds)
		return watch(json, seconds);
	return show(json) ? STATUS_OK : complain_no_heap(NULL);
}
