// SPDX-License-Identifier: GPL-2.0
/*
 * Random sequences of what programs, the kernel and devices do with a buffer, in
 * which caches must be synchronised when that is owed, and are not when nobody
 * can have touched the buffer
 *
 * Beside what the buffer should hold, a model tells what the caches may hold
 * that memory has not, and the other way round: once for an exporter that
 * always synchronises, and once for this one, as the events of the DMA API tell.
 * Only such steps are taken as are right with the first; then they must be so
 * with the second. Whether there really are caches does not matter to that. All
 * that is read is compared with what was written, in any case.
 *
 * Devices that are given copies of memory which they do not reach take no part.
 */

#include "each_heap.h"

#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#define STEPS		3000
/* Of an action */
#define CHANCES		8
/* On average a phase ends after so many looks for a step */
#define PHASE		64
/* A device that takes its time is chosen so many times less often */
#define SLOW		8
#define SLOTS_MAX	8
#define VIEWS_MAX	2
#define SPAN_MOST	2048UL

#define SEED_VARIABLE	"DMABUF_HEAPS_SEED"

/* A device that the buffer may be attached to */
struct slot {
	int dev;
	char device[NAME_SIZE];
	bool past_caches;	/* and there are caches to pass by */
	bool slow;
	enum { FREE, ATTACHED, MAPPED } state;
	/* For an attachment: direction that it was mapped in last, -1 if never */
	int direction;
	struct import import;
};

/* A mapping in this process; none if @len is 0 */
struct view {
	__u8 *mem;
	size_t offset;
	size_t len;
};

/* What may be in them, as far as that matters to anybody */
struct caches {
	bool dirty;		/* what memory has not */
	bool stale;		/* what memory had before a device wrote */
	bool lost;		/* that only they had, and do not have any more */
};

struct sequence {
	unsigned int random;
	bool quiet;
	unsigned int some_actions, some_slots;
	FILE *events;		/* NULL if no device goes past the caches */
	bool mappable;		/* by the CPU */
	bool lazy;		/* heaps do no more than is owed */
	struct buffer buffer;
	struct slot slots[SLOTS_MAX];
	unsigned int nslots;
	struct view views[VIEWS_MAX];
	pid_t child;		/* that has views as well, or 0 */
	__u64 access;		/* that SYNC has begun, or 0 */
	struct caches always, told;
	/* Since it was last synchronised for a device, or for the CPU */
	bool maybe_dirty, maybe_stale;
	/* This step, and the events that it made */
	int step;
	const char *action;
	int for_cpu, for_device;
	bool given_up;		/* a mapping in some direction, for good */
	/* What is wrong, first of all */
	char wrong[200];
};

static void __printf(2, 3) wrong(struct sequence *s, const char *format, ...)
{
	va_list args;

	if (s->wrong[0])
		return;
	va_start(args, format);
	vsnprintf(s->wrong, sizeof(s->wrong), format, args);
	va_end(args);
}

static unsigned int any(struct sequence *s, unsigned int count)
{
	return rand_r(&s->random) % count;
}

/* Some whole words within @size bytes */
static struct span any_span(struct sequence *s, size_t size)
{
	struct span span;

	span.len = 4 + 4 * any(s, (size < SPAN_MOST ? size : SPAN_MOST) / 4);
	span.offset = 4 * any(s, (size - span.len) / 4 + 1);
	return span;
}

/*
 * The caches
 */

static bool writes(const struct slot *slot)
{
	return slot->direction != DMA_BUF_TESTDEV_TO_DEVICE;
}

/* The first view that is mapped, or is not; past the end if there is none */
static unsigned int find_view(const struct sequence *s, bool mapped)
{
	unsigned int i = 0;

	while (i < VIEWS_MAX && !s->views[i].len == mapped)
		i++;
	return i;
}

static bool has_view(const struct sequence *s, bool mapped)
{
	return find_view(s, mapped) < VIEWS_MAX;
}

/* Whether a device may go past the caches now: and write, if @writing */
static bool past_caches(const struct sequence *s, bool writing)
{
	unsigned int i;

	for (i = 0; i < s->nslots; i++) {
		if (s->slots[i].state == MAPPED && s->slots[i].past_caches &&
		    (!writing || writes(&s->slots[i])))
			return true;
	}
	return false;
}

/* Whether somebody may go through the caches now */
static bool through_caches(const struct sequence *s)
{
	unsigned int i;

	for (i = 0; i < s->nslots; i++) {
		if (s->slots[i].state == MAPPED && !s->slots[i].past_caches)
			return true;
	}
	return s->access || s->child || has_view(s, true);
}

/* Which drops what they alone have */
static void synced_for_cpu(struct caches *caches)
{
	caches->lost |= caches->dirty;
	caches->stale = false;
}

static void synced_for_device(struct caches *caches)
{
	caches->dirty = false;
}

/* An exporter that always synchronises does so by every mapping that there is */
static void always_for_cpu(struct sequence *s)
{
	if (past_caches(s, true))
		synced_for_cpu(&s->always);
}

static void always_for_device(struct sequence *s)
{
	if (past_caches(s, false))
		synced_for_device(&s->always);
}

/*
 * What tells of maintenance for all of a buffer: for a device, or for the CPU
 * after a device may have written
 */
static const struct event {
	const char *name;
	const char *filter;
	bool for_cpu;
} events[] = {
	/* 32 is DMA_ATTR_SKIP_CPU_SYNC, and 1 is DMA_TO_DEVICE */
	{ "dma/dma_map_sg", "!(attrs & 32)" },
	{ "dma/dma_sync_sg_for_device", "dir >= 0" },
	{ "dma/dma_unmap_sg", "!(attrs & 32) && dir != 1", .for_cpu = true },
	{ "dma/dma_sync_sg_for_cpu", "dir != 1", .for_cpu = true },
};

/* The kind of event that a line of the trace is about, NULL if it is unknown */
static const struct event *find_event(const char *line)
{
	char name[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(events); i++) {
		snprintf(name, sizeof(name), " %s: ",
			 strchr(events[i].name, '/') + 1);
		if (strstr(line, name))
			return &events[i];
	}
	return NULL;
}

static void learn(struct sequence *s, const char *line)
{
	const struct event *event = find_event(line);

	if (!event) {
		wrong(s, "no event that was asked for: %s", line);
	} else if (event->for_cpu) {
		s->for_cpu++;
		synced_for_cpu(&s->told);
	} else {
		s->for_device++;
		synced_for_device(&s->told);
	}
}

/* Reads what events there are since the last time */
static void settle(struct sequence *s)
{
	char *line = NULL;
	size_t room = 0;

	if (!s->events)
		return;
	while (getline(&line, &room, s->events) > 0)
		learn(s, line);
	clearerr(s->events);
	free(line);
}

static bool may_read(const struct sequence *s)
{
	return !s->always.stale &&
	       (!s->access || s->access & DMA_BUF_SYNC_READ);
}

/* Without SYNC, only as long as no device writes past the caches */
static bool may_write(const struct sequence *s)
{
	return !s->always.stale &&
	       (s->access ? s->access & DMA_BUF_SYNC_WRITE :
			    !past_caches(s, true));
}

/* Whether caches can be dropped without a loss */
static bool may_drop(const struct sequence *s)
{
	return !s->always.dirty || !past_caches(s, true);
}

/* The CPU, or a device that sees its caches, has read or written */
static void went_through(struct sequence *s, bool write)
{
	if (s->told.stale)
		wrong(s, "the caches were not synchronised with what a device wrote");
	s->always.dirty |= write;
	s->told.dirty |= write;
}

static void went_past(struct sequence *s, bool write)
{
	if (s->told.dirty)
		wrong(s, "memory was not synchronised with what the caches may have");
	s->always.stale |= write;
	s->told.stale |= write;
}

/*
 * Steps. An action is taken if it can be, with any slot; it returns -1 with errno
 * if the kernel refused.
 */

static __u8 *expected(const struct sequence *s, struct span span)
{
	return s->buffer.model + span.offset;
}

/* The same, after changing it */
static __u8 *changed(const struct sequence *s, struct span span)
{
	pattern(expected(s, span), span.offset, span.len, s->step);
	return expected(s, span);
}

static void compare(struct sequence *s, const void *seen, struct span span)
{
	if (memcmp(seen, expected(s, span), span.len))
		wrong(s, "%zu bytes from %zu on are not what they should be",
		      span.len, span.offset);
}

static bool is_free(const struct sequence *s, const struct slot *slot)
{
	return slot->state == FREE;
}

static bool is_attached(const struct sequence *s, const struct slot *slot)
{
	return slot->state == ATTACHED;
}

static int attach(struct sequence *s, struct slot *slot)
{
	slot->state = ATTACHED;
	slot->direction = -1;
	return import_attach(&slot->import, slot->dev, s->buffer.fd);
}

static int detach(struct sequence *s, struct slot *slot)
{
	slot->state = FREE;
	s->given_up = true;
	return import_detach(&slot->import);
}

/*
 * The direction says that the device writes all of the buffer, so what only the
 * caches have may be dropped
 */
static int overwrite(struct sequence *s, struct slot *slot)
{
	settle(s);
	went_past(s, true);
	return import_fill(&slot->import, &s->buffer, s->step);
}

static int map(struct sequence *s, struct slot *slot)
{
	int last = slot->direction;
	bool drops;

	slot->direction = any(s, 3);
	drops = slot->past_caches && s->always.dirty &&
		slot->direction == DMA_BUF_TESTDEV_FROM_DEVICE;
	if (drops && slot->import.info.max_copy)
		slot->direction = DMA_BUF_TESTDEV_BIDIRECTIONAL;
	s->given_up = last >= 0 && last != slot->direction;

	if (import_map(&slot->import, slot->direction))
		return -1;
	slot->state = MAPPED;
	if (slot->past_caches)
		synced_for_device(&s->always);
	return drops && slot->direction == DMA_BUF_TESTDEV_FROM_DEVICE ?
	       overwrite(s, slot) : 0;
}

static bool can_unmap(const struct sequence *s, const struct slot *slot)
{
	return slot->state == MAPPED && (!slot->past_caches || may_drop(s));
}

static int unmap(struct sequence *s, struct slot *slot)
{
	if (slot->past_caches && writes(slot))
		synced_for_cpu(&s->always);
	slot->state = ATTACHED;
	return import_unmap(&slot->import);
}

static bool can_dma_read(const struct sequence *s, const struct slot *slot)
{
	return slot->state == MAPPED &&
	       slot->direction != DMA_BUF_TESTDEV_FROM_DEVICE &&
	       (slot->past_caches ? !s->always.dirty : may_read(s));
}

static int dma_read(struct sequence *s, struct slot *slot)
{
	struct span span = any_span(s, s->buffer.size);
	__u8 seen[SPAN_MOST];

	if (import_copy(&slot->import, 0, span, seen))
		return -1;
	compare(s, seen, span);
	if (slot->past_caches)
		went_past(s, false);
	else
		went_through(s, false);
	return 0;
}

static bool can_dma_write(const struct sequence *s, const struct slot *slot)
{
	return slot->state == MAPPED && writes(slot) &&
	       (slot->past_caches ? !s->always.dirty : may_write(s));
}

static int dma_write(struct sequence *s, struct slot *slot)
{
	struct span span = any_span(s, s->buffer.size);

	if (slot->past_caches)
		went_past(s, true);
	else
		went_through(s, true);
	return import_copy(&slot->import, DMA_BUF_TESTDEV_COPY_WRITE, span,
			   changed(s, span));
}

static bool can_mmap(const struct sequence *s, const struct slot *slot)
{
	return s->mappable && has_view(s, false);
}

/* Any pages in a row */
static int map_view(struct sequence *s, struct slot *slot)
{
	size_t pages = s->buffer.size / page_size(), first = any(s, pages);
	struct view *view = &s->views[find_view(s, false)];
	size_t len = (1 + any(s, pages - first)) * page_size();

	view->offset = first * page_size();
	view->mem = dmabuf_map(s->buffer.fd, len, view->offset);
	if (view->mem == MAP_FAILED)
		return -1;
	view->len = len;
	return 0;
}

static bool is_viewed(const struct sequence *s, const struct slot *slot)
{
	return has_view(s, true);
}

/* All of it, or any pages of its beginning */
static int unmap_view(struct sequence *s, struct slot *slot)
{
	struct view *view = &s->views[find_view(s, true)];
	size_t len = (1 + any(s, view->len / page_size())) * page_size();

	if (any(s, 2))
		len = view->len;
	if (munmap(view->mem, len))
		return -1;
	view->mem += len;
	view->offset += len;
	view->len -= len;
	return 0;
}

/* To another place */
static int move_view(struct sequence *s, struct slot *slot)
{
	struct view *view = &s->views[find_view(s, true)];
	void *place = mmap(NULL, view->len, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (place == MAP_FAILED ||
	    mremap(view->mem, view->len, view->len,
		   MREMAP_MAYMOVE | MREMAP_FIXED, place) == MAP_FAILED)
		return -1;
	view->mem = place;
	return 0;
}

static bool can_fork(const struct sequence *s, const struct slot *slot)
{
	return has_view(s, true) && !s->child;
}

static int fork_views(struct sequence *s, struct slot *slot)
{
	s->child = fork();
	if (!s->child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return s->child < 0 ? -1 : 0;
}

static bool has_child(const struct sequence *s, const struct slot *slot)
{
	return s->child;
}

static int kill_child(struct sequence *s, struct slot *slot)
{
	pid_t child = s->child;

	s->child = 0;
	kill(child, SIGKILL);
	return waitpid(child, NULL, 0) == child ? 0 : -1;
}

static bool can_cpu_read(const struct sequence *s, const struct slot *slot)
{
	return has_view(s, true) && may_read(s);
}

static int cpu_read(struct sequence *s, struct slot *slot)
{
	struct view *view = &s->views[find_view(s, true)];
	struct span span = any_span(s, view->len);
	__u8 *seen = view->mem + span.offset;

	span.offset += view->offset;
	compare(s, seen, span);
	settle(s);
	went_through(s, false);
	return 0;
}

static bool can_cpu_write(const struct sequence *s, const struct slot *slot)
{
	return has_view(s, true) && may_write(s);
}

static int cpu_write(struct sequence *s, struct slot *slot)
{
	struct view *view = &s->views[find_view(s, true)];
	struct span span = any_span(s, view->len);
	__u8 *to = view->mem + span.offset;

	span.offset += view->offset;
	memcpy(to, changed(s, span), span.len);
	settle(s);
	went_through(s, true);
	return 0;
}

static bool can_start(const struct sequence *s, const struct slot *slot)
{
	return s->mappable && !s->access && may_drop(s);
}

static int start(struct sequence *s, struct slot *slot)
{
	static const __u64 accesses[] = {
		DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE, DMA_BUF_SYNC_RW,
	};

	s->access = accesses[any(s, ARRAY_SIZE(accesses))];
	always_for_cpu(s);
	return dmabuf_sync(s->buffer.fd, DMA_BUF_SYNC_START | s->access);
}

static bool can_end(const struct sequence *s, const struct slot *slot)
{
	return s->access;
}

static int end(struct sequence *s, struct slot *slot)
{
	int ret = dmabuf_sync(s->buffer.fd, DMA_BUF_SYNC_END | s->access);

	s->access = 0;
	always_for_device(s);
	return ret;
}

/* By the kernel's mapping, between a start and an end of its own */
static bool can_vmap(const struct sequence *s, const struct slot *slot)
{
	return s->mappable && slot->state != FREE && !s->access && may_drop(s);
}

static int vmap_read(struct sequence *s, struct slot *slot)
{
	struct span span = any_span(s, s->buffer.size);
	__u8 seen[SPAN_MOST];

	if (import_copy(&slot->import, DMA_BUF_TESTDEV_COPY_VMAP, span, seen))
		return -1;
	compare(s, seen, span);
	always_for_cpu(s);
	settle(s);
	went_through(s, false);
	always_for_device(s);
	return 0;
}

static int vmap_write(struct sequence *s, struct slot *slot)
{
	struct span span = any_span(s, s->buffer.size);

	if (import_copy(&slot->import, DMA_BUF_TESTDEV_COPY_VMAP |
			DMA_BUF_TESTDEV_COPY_WRITE, span, changed(s, span)))
		return -1;
	always_for_cpu(s);
	settle(s);
	went_through(s, true);
	always_for_device(s);
	/* That came last, and all events have been read */
	if (s->for_device)
		synced_for_device(&s->told);
	return 0;
}

static const struct action {
	const char *name;
	unsigned int chances;		/* to be taken if it can be */
	bool (*can)(const struct sequence *s, const struct slot *slot);
	int (*act)(struct sequence *s, struct slot *slot);
	/* Somebody may go through the caches until it is done */
	bool touches;
} actions[] = {
	{ "attach", 8, is_free, attach },
	{ "detach", 2, is_attached, detach },
	{ "map", 8, is_attached, map },
	{ "unmap", 8, can_unmap, unmap },
	{ "DMA out of it", 8, can_dma_read, dma_read },
	{ "DMA into it", 8, can_dma_write, dma_write },
	{ "mmap", 2, can_mmap, map_view },
	{ "munmap", 4, is_viewed, unmap_view },
	{ "mremap", 1, is_viewed, move_view },
	{ "fork", 1, can_fork, fork_views },
	{ "kill", 8, has_child, kill_child },
	{ "read", 4, can_cpu_read, cpu_read },
	{ "write", 8, can_cpu_write, cpu_write },
	{ "SYNC start", 1, can_start, start },
	{ "SYNC end", 4, can_end, end, .touches = true },
	{ "read by vmap", 1, can_vmap, vmap_read, .touches = true },
	{ "write by vmap", 1, can_vmap, vmap_write, .touches = true },
};

/* Whether the events of this step were owed to anybody; @near: who may look */
static void judge(struct sequence *s, bool near)
{
	if (s->for_device && !s->maybe_dirty)
		wrong(s, "synchronised for a device though nobody can have touched it");
	if (s->for_cpu && !s->maybe_stale)
		wrong(s, "synchronised for the CPU though no device can have written");
	if (s->for_cpu && !near && !s->given_up)
		wrong(s, "synchronised for the CPU though nobody can look");
}

static void take_step(struct sequence *s, const struct action *action,
		      struct slot *slot)
{
	bool near = action->touches || through_caches(s);

	s->for_cpu = 0;
	s->for_device = 0;
	s->given_up = false;
	s->maybe_dirty |= action->touches;
	if (action->act(s, slot))
		wrong(s, "%s", strerror(errno));
	settle(s);
	if (s->told.lost)
		wrong(s, "what only the caches had was dropped");
	if (s->lazy)
		judge(s, near || through_caches(s));

	if (s->for_device)
		s->maybe_dirty = false;
	if (s->for_cpu)
		s->maybe_stale = false;
	s->maybe_dirty |= action->touches || through_caches(s);
	s->maybe_stale |= past_caches(s, true);
}

/* Whether somebody comes by it who goes through the caches */
static bool brings(const struct action *action, const struct slot *slot)
{
	return action->touches || action->act == map_view ||
	       action->act == start ||
	       (action->act == map && !slot->past_caches);
}

/* Or one of them goes */
static bool ends(const struct action *action, const struct slot *slot)
{
	return action->act == unmap_view || action->act == kill_child ||
	       action->act == end ||
	       (action->act == unmap && !slot->past_caches);
}

/* Each action and each slot is in it or not. The last slot is the one of two. */
static void next_phase(struct sequence *s)
{
	s->quiet = s->slots[s->nslots - 1].past_caches && !any(s, 3);
	s->some_actions = any(s, 1 << ARRAY_SIZE(actions));
	s->some_slots = any(s, 1 << SLOTS_MAX);
}

static bool in_phase(const struct sequence *s, unsigned int action,
		     unsigned int slot)
{
	if (s->quiet && through_caches(s))
		return ends(&actions[action], &s->slots[slot]);
	if (s->quiet)
		return !brings(&actions[action], &s->slots[slot]);
	return s->some_actions >> action & 1 && s->some_slots >> slot & 1;
}

/*
 * Finds what can be done next, and with which slot: for a while without those
 * who go through the caches, or with some of all that there is, so that more
 * comes about than by equal chances
 */
static const struct action *choose(struct sequence *s, struct slot **slot)
{
	unsigned int i, j;

	for (;;) {
		if (!any(s, PHASE))
			next_phase(s);
		i = any(s, ARRAY_SIZE(actions));
		j = any(s, s->nslots);
		*slot = &s->slots[j];
		if (any(s, CHANCES) >= actions[i].chances ||
		    ((*slot)->slow && any(s, SLOW)))
			continue;
		if (in_phase(s, i, j) && actions[i].can(s, *slot))
			return &actions[i];
	}
}

/* Takes any steps until one is wrong */
static void take_steps(struct sequence *s)
{
	const struct action *action;
	struct slot *slot;

	next_phase(s);
	for (s->step = 0; s->step < STEPS && !s->wrong[0]; s->step++) {
		action = choose(s, &slot);
		s->action = action->name;
		take_step(s, action, slot);
	}
}

/*
 * Beginning and end
 */

static void add_slot(struct sequence *s, const char *name, bool cached)
{
	struct slot *slot = &s->slots[s->nslots++];
	struct dma_buf_testdev_info info = { 0 };

	slot->dev = testdev_open(name);
	testdev_info(slot->dev, &info);
	testdev_device(name, slot->device);
	slot->slow = info.max_copy;
	slot->past_caches = cached && !(info.flags & DMA_BUF_TESTDEV_COHERENT);
}

static bool reaches(int heap, const char *name)
{
	struct dma_buf_testdev_info info;
	int dev = testdev_open(name);
	bool ret;

	ret = dev >= 0 && !testdev_info(dev, &info) &&
	      !testdev_is_short(&info) && can_import(heap, dev);
	close(dev);
	return ret;
}

/* A slot for each device that reaches the memory, and two for one of them */
static void add_slots(struct sequence *s, int heap,
		      const struct dma_heap_info *info)
{
	struct names devs;
	int i, again = -1;

	names_read(&devs, TESTDEV_DIR);
	for (i = 0; i < devs.count && s->nslots < SLOTS_MAX - 1; i++) {
		if (!reaches(heap, devs.name[i]))
			continue;
		add_slot(s, devs.name[i], heap_is_cached(info));
		if (again < 0 || s->slots[s->nslots - 1].past_caches)
			again = i;
	}
	if (again >= 0)
		add_slot(s, devs.name[again], heap_is_cached(info));
}

/* A new buffer, which nobody has mapped */
static int get_buffer(struct sequence *s, int heap)
{
	if (buffer_alloc(&s->buffer, heap, heap_fit(heap, MEDIUM_MOST)))
		return -1;
	if (!s->mappable)
		return buffer_fill(&s->buffer, 0);
	munmap(s->buffer.mem, s->buffer.size);
	s->buffer.mem = NULL;
	/* It was zeroed by way of the caches */
	s->always.dirty = true;
	s->told.dirty = true;
	s->maybe_dirty = true;
	return 0;
}

/* Gives all back but the buffer */
static void let_go(struct sequence *s)
{
	unsigned int i;

	if (s->child)
		kill_child(s, NULL);
	if (s->access)
		end(s, NULL);
	for (i = 0; i < s->nslots; i++)
		close(s->slots[i].dev);
	for (i = 0; i < VIEWS_MAX; i++)
		munmap(s->views[i].mem, s->views[i].len);
}

static unsigned int seed(void)
{
	const char *given = getenv(SEED_VARIABLE);
	struct timespec now;

	if (given)
		return strtoul(given, NULL, 0);
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec ^ now.tv_nsec;
}

/* Traces one kind of event of the devices that go past the caches */
static int trace_event(const struct sequence *s, const struct event *event)
{
	char filter[SLOTS_MAX * (NAME_SIZE + 16) + 64] = "(";
	unsigned int i;

	for (i = 0; i < s->nslots; i++) {
		if (s->slots[i].past_caches)
			sprintf(filter + strlen(filter), "device == \"%s\" || ",
				s->slots[i].device);
	}
	/* In place of the last "or" */
	sprintf(filter + strlen(filter) - 4, ") && %s", event->filter);
	return event == events ? trace_start(event->name, filter) :
				 trace_add(events->name, event->name, filter);
}

/* Returns 0 also if there is nothing to trace */
static int trace_begin(struct sequence *s)
{
	unsigned int i;

	if (!s->slots[s->nslots - 1].past_caches)
		return 0;
	for (i = 0; i < ARRAY_SIZE(events); i++) {
		if (trace_event(s, &events[i]))
			return -1;
	}
	s->events = trace_open(events->name);
	return s->events ? 0 : -1;
}

static void trace_end(struct sequence *s)
{
	if (!s->events)
		return;
	fclose(s->events);
	trace_stop(events->name);
}

TEST_HEAP(random)
{
	unsigned int random = seed();
	struct sequence s = {
		.random = random,
		.mappable = heap_is_cpu_mappable(&self->info),
		.lazy = heaps_keep_mappings(),
	};

	add_slots(&s, self->heap, &self->info);
	if (!s.nslots)
		SKIP(return, "no test device reaches the memory (CONFIG_DMABUF_TESTDEV)");
	ASSERT_EQ(0, get_buffer(&s, self->heap));
	if (trace_begin(&s)) {
		let_go(&s);
		buffer_free(&s.buffer);
		SKIP(return, "no events of the DMA API in this kernel");
	}

	TH_LOG("seed %u", random);
	take_steps(&s);
	EXPECT_STREQ("", s.wrong)
		TH_LOG("step %d, %s; " SEED_VARIABLE "=%u repeats it", s.step,
		       s.action, random);
	let_go(&s);
	trace_end(&s);
	EXPECT_EQ(0, buffer_reopen(&s.buffer, s.buffer.fd));
	EXPECT_EQ(-1, buffer_differs(&s.buffer));
	buffer_free(&s.buffer);
}

int main(int argc, char **argv)
{
	return each_heap_run(argc, argv);
}
