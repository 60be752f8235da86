/*
 * The disk guard: mail is refused for now (452) long before the disk is full,
 * since the database must never meet a full disk. What it needs free: its
 * cache, which may all have to be written, six files of its log, three times
 * the octets of the bodies under way, and what the failures of each recipient
 * will add to its record.
 *
 * With less it goes on as long as it can do with four files of log. A
 * database never gets smaller: what was removed leaves pages to what comes, so
 * these count as room for the cache. Else a disk that the queue alone has
 * filled would stay too full for mail when the queue is empty.
 *
 * What is free may be more than a quota lets us have: so that much is also
 * asked for, and given back.
 *
 * A ballast file keeps some space back that only recovery may use: when the
 * queue starts on a disk too full to recover, the ballast goes first. It is
 * large enough to recover and then to deliver and remove what is queued.
 */
#ifndef QUEUE_GUARD_H
#define QUEUE_GUARD_H

#include <stddef.h>
#include <stdint.h>

/* What the decision rests on. Pure. */
struct guard_facts {
	uint64_t free_octets; /* for us: without what root alone may use */
	uint64_t free_inodes; /* UINT64_MAX when the file system has none */
	uint64_t cache;
	uint64_t log_file;
	struct guard_load {
		uint64_t in_flight; /* octets of bodies under way */
		uint64_t reusable; /* octets of the database */
		uint64_t recipients; /* that are queued */
	} load;
};
enum guard_verdict {
	GUARD_OK,
	/* mail is taken, and the log has to be kept short */
	GUARD_TIGHT,
	GUARD_NO_SPACE,
	GUARD_NO_INODES,
	/* less than two files of log are free: deliveries wait too, since
	 * even a removal is logged */
	GUARD_STOP
};
/* Octets to be free with nothing to mind. */
uint64_t guard_needed(const struct guard_facts *);
/* To be taken again after a refusal there must be an eighth more than what is
 * refused for. */
enum guard_verdict guard_decide(
    const struct guard_facts *, enum guard_verdict before);
/* Whether mail is taken. */
int guard_takes(enum guard_verdict);
/* Octets that may be taken under that verdict before the next look: what comes
 * faster would go past the rule. */
uint64_t guard_room(const struct guard_facts *, enum guard_verdict);

struct guard;

/*
 * Before store_open: looks at the spool at `path`, and frees the ballast if
 * the database has no room to recover.
 * NULL with the reason in error.
 */
struct guard *guard_open(const char *path, uint64_t cache, uint64_t log_file,
    char *error, size_t size);
void guard_close(struct guard *);
/* Now and then, once a second: looks again. Also fills the ballast again, a
 * slice a call, when there is room for it. */
enum guard_verdict guard_check(struct guard *, const struct guard_load *);
/* What the last check found. */
const struct guard_facts *guard_facts(const struct guard *);

#endif
