/*
 * See guard.h. Called by the queue's main file; owns the file `ballast` in
 * the spool, whose octets are written and not merely promised, so that they
 * are really there to be freed.
 */
#include "config.h"

#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/log.h"
#include "queue/guard.h"

enum {
	LOG_FILES = 6,
	LOG_FILES_TIGHT = 4,
	LOG_FILES_LEAST = 2,
	LOG_FILES_BALLAST = 4,
	FLIGHT_FACTOR = 3,
	/* the text of a failure, and the halves of pages that split for it */
	RECIPIENT_GROWTH = 512,
	ROOM_LEAST = 4 << 20,
	PAUSE_CHECKS = 60,
	INODES_LEFT = 1024,
	SLICE = 1 << 20
};

struct guard {
	int root_fd;
	int ballast_fd; /* -1: cannot be kept */
	uint64_t ballast; /* octets it should have */
	uint64_t filled; /* octets it has */
	/* what the file system was found to give, and what it had free then,
	 * or later */
	uint64_t granted, seen;
	int hidden; /* it gives less than it has free */
	int honest; /* it never does: it is not asked */
	int freed; /* the ballast, which alone is no room for mail */
	unsigned int pause; /* checks until the ballast is thought of again */
	enum guard_verdict verdict;
	struct guard_facts facts;
};

static uint64_t
growth(const struct guard_load *load)
{
	return FLIGHT_FACTOR * load->in_flight +
	    RECIPIENT_GROWTH * load->recipients;
}

uint64_t
guard_needed(const struct guard_facts *f)
{
	return f->cache + LOG_FILES * f->log_file + growth(&f->load);
}

/* With less mail is refused. */
static uint64_t
least(const struct guard_facts *f)
{
	uint64_t octets = LOG_FILES_TIGHT * f->log_file + growth(&f->load);

	if (f->cache > f->load.reusable)
		octets += f->cache - f->load.reusable;
	return octets;
}

/* Who has refused mail begins again with some to spare. */
static uint64_t
with_margin(uint64_t least)
{
	return least + least / 8;
}

enum guard_verdict
guard_decide(const struct guard_facts *f, enum guard_verdict before)
{
	uint64_t octets = least(f), inodes = INODES_LEFT;

	if (f->free_octets < LOG_FILES_LEAST * f->log_file)
		return GUARD_STOP;
	if (before == GUARD_NO_SPACE || before == GUARD_STOP)
		octets = with_margin(octets);
	if (before == GUARD_NO_INODES)
		inodes = with_margin(inodes);
	if (f->free_octets < octets)
		return GUARD_NO_SPACE;
	if (f->free_inodes < inodes)
		return GUARD_NO_INODES;
	return f->free_octets < guard_needed(f) ? GUARD_TIGHT : GUARD_OK;
}

int
guard_takes(enum guard_verdict verdict)
{
	return verdict == GUARD_OK || verdict == GUARD_TIGHT;
}

uint64_t
guard_room(const struct guard_facts *f, enum guard_verdict verdict)
{
	uint64_t kept = verdict == GUARD_OK ? guard_needed(f) : least(f);

	if (f->free_octets < kept + ROOM_LEAST)
		return ROOM_LEAST;
	return f->free_octets - kept;
}

/* Whether the file system gives so many octets; they are given back. One that
 * cannot tell without their being written does. */
static int
gives(const struct guard *g, uint64_t octets)
{
	int rc;

	do
		rc = fallocate(
		    g->ballast_fd, 0, (off_t)g->filled, (off_t)octets);
	while (rc == -1 && errno == EINTR);
	rc = rc == 0 || (errno != EDQUOT && errno != ENOSPC);
	if (ftruncate(g->ballast_fd, (off_t)g->filled) == -1)
		log_warn("ballast: %s", strerror(errno));
	return rc;
}

/* The quota does not give what is needed: what it gives is what is free. */
static void
ask_for_less(struct guard *g)
{
	struct guard_facts *f = &g->facts;
	uint64_t octets[] = { with_margin(least(f)), least(f),
		LOG_FILES_LEAST * f->log_file };

	for (size_t i = 0; i < sizeof(octets) / sizeof(*octets); i++)
		if (gives(g, octets[i])) {
			f->free_octets = octets[i];
			return;
		}
	f->free_octets = 0;
}

/*
 * A quota of a user, of a subvolume or of a container may end before the disk
 * does, and need not show in what is free. So what is needed is asked for, at
 * the start, whenever a good part of what was found to be there may have gone,
 * and until there is enough again.
 */
static void
ask(struct guard *g)
{
	struct guard_facts *f = &g->facts;
	uint64_t octets = guard_needed(f), gone;

	if (g->hidden)
		octets = with_margin(octets);
	if (f->free_octets < octets)
		octets = with_margin(least(f));
	if (f->free_octets < octets)
		octets = least(f);
	if (g->ballast_fd == -1 || g->honest || f->free_octets < octets)
		return;
	if (f->free_octets > g->seen)
		g->seen = f->free_octets;
	gone = g->seen - f->free_octets;
	if (!g->hidden && g->granted >= gone &&
	    g->granted - gone >= octets - octets / 4)
		return;
	g->hidden = !gives(g, octets);
	g->granted = g->hidden ? 0 : octets;
	g->seen = f->free_octets;
	if (g->hidden)
		ask_for_less(g);
}

static int
look(struct guard *g)
{
	struct statvfs v;

	if (fstatvfs(g->root_fd, &v) == -1)
		return -1;
	g->facts.free_octets = (uint64_t)v.f_bavail * v.f_frsize;
	/* a file system that makes inodes as it needs them says 0 of 0 */
	g->facts.free_inodes = v.f_files == 0 ? UINT64_MAX : v.f_favail;
	ask(g);
	return 0;
}

/* Opens the ballast and frees it when recovery could not do without. */
static int
prepare_ballast(struct guard *g)
{
	struct statfs fs;
	struct stat st;

	g->ballast_fd = openat(g->root_fd, "ballast",
	    O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (g->ballast_fd == -1 || fstat(g->ballast_fd, &st) == -1)
		return -1;
	g->filled = (uint64_t)st.st_size;
	/* who was killed while it asked may have left it larger */
	if (g->filled > g->ballast)
		g->filled = g->ballast;
	/* there, what is asked for would be taken from memory */
	g->honest = fstatfs(g->ballast_fd, &fs) == 0 &&
	    ((unsigned long)fs.f_type == TMPFS_MAGIC ||
		(unsigned long)fs.f_type == RAMFS_MAGIC);
	ask(g);
	if (g->filled == 0 || g->facts.free_octets >= guard_needed(&g->facts))
		return 0;
	log_warn("the spool's disk%s is nearly full: the ballast is freed for "
		 "the recovery of the queue",
	    g->hidden ? ", or a quota on it," : "");
	g->filled = 0;
	g->freed = 1;
	return ftruncate(g->ballast_fd, 0) == -1 ? -1 : fsync(g->ballast_fd);
}

struct guard *
guard_open(const char *path, uint64_t cache, uint64_t log_file, char *error,
    size_t size)
{
	struct guard *g;

	if ((g = calloc(1, sizeof(*g))) == NULL) {
		snprintf(error, size, "out of memory");
		return NULL;
	}
	g->facts.cache = cache;
	g->facts.log_file = log_file;
	g->ballast = cache + LOG_FILES_BALLAST * log_file;
	g->ballast_fd = -1;
	g->root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (g->root_fd == -1 || look(g) == -1) {
		snprintf(error, size, "%s: %s", path, strerror(errno));
		guard_close(g);
		return NULL;
	}
	/* on a disk that has no room for even an empty file the guard still
	 * works; it only has nothing to free */
	if (prepare_ballast(g) == -1)
		log_warn("%s/ballast: %s", path, strerror(errno));
	return g;
}

void
guard_close(struct guard *g)
{
	if (g == NULL)
		return;
	if (g->ballast_fd != -1)
		close(g->ballast_fd);
	if (g->root_fd != -1)
		close(g->root_fd);
	free(g);
}

/* One slice of ballast, if the disk can spare all that is missing. */
static void
fill_ballast(struct guard *g)
{
	static const uint8_t zeros[SLICE];
	uint64_t missing, octets;
	ssize_t n;

	if (g->ballast_fd == -1 || g->filled >= g->ballast)
		return;
	if (g->pause > 0) {
		g->pause--;
		return;
	}
	missing = g->ballast - g->filled;
	octets = 2 * guard_needed(&g->facts) + missing;
	if (g->facts.free_octets < octets)
		return;
	if (!g->honest && !gives(g, octets)) {
		g->pause = PAUSE_CHECKS;
		return;
	}
	n = pwrite(g->ballast_fd, zeros, missing < SLICE ? missing : SLICE,
	    (off_t)g->filled);
	if (n > 0)
		g->filled += (uint64_t)n;
}

static unsigned int
mebibytes(uint64_t octets)
{
	return (unsigned int)(octets >> 20);
}

static void
tell(const struct guard *g)
{
	const struct guard_facts *f = &g->facts;
	unsigned int left = mebibytes(f->free_octets);
	unsigned int wanted = mebibytes(with_margin(least(f))) + 1;

	if (g->hidden && !guard_takes(g->verdict)) {
		log_warn("the spool has too little room: mail is refused%s: "
			 "its disk has more, but a quota ends before: raise "
			 "it, or make room under it: %u MiB are needed",
		    g->verdict == GUARD_STOP ? ", deliveries wait" : "",
		    wanted);
		return;
	}
	switch (g->verdict) {
	case GUARD_OK:
	case GUARD_TIGHT:
		log_warn("the spool has room again: mail is taken");
		break;
	case GUARD_NO_SPACE:
		log_warn("the spool has too little room: mail is refused: make "
			 "room on its disk, which has %u MiB left and needs %u",
		    left, wanted);
		break;
	case GUARD_NO_INODES:
		log_warn("the spool has too few inodes: mail is refused: "
			 "remove files on its disk, which has %" PRIu64
			 " inodes left and needs %" PRIu64,
		    f->free_inodes, with_margin(INODES_LEFT));
		break;
	case GUARD_STOP:
		log_warn("the spool is full: mail is refused, deliveries wait: "
			 "make room on its disk, which has %u MiB left and "
			 "needs %u",
		    left, wanted);
		break;
	}
}

enum guard_verdict
guard_check(struct guard *g, const struct guard_load *load)
{
	enum guard_verdict before = g->verdict;

	g->facts.load = *load;
	if (look(g) == -1) {
		/* unknown is not free */
		g->facts.free_octets = 0;
		log_error("statvfs of the spool: %s", strerror(errno));
	}
	g->verdict =
	    guard_decide(&g->facts, g->freed ? GUARD_NO_SPACE : before);
	g->freed = 0;
	if (g->verdict == GUARD_OK)
		fill_ballast(g);
	if (g->verdict != before &&
	    !(guard_takes(g->verdict) && guard_takes(before)))
		tell(g);
	return g->verdict;
}

const struct guard_facts *
guard_facts(const struct guard *g)
{
	return &g->facts;
}
