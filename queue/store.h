/*
 * The durable store of the queue: messages go in, are updated, read, walked
 * through and removed. What is behind it (Berkeley DB, store_bdb*.c) shows
 * nowhere here, so that other stores can take its place.
 *
 * One process owns a store, and one thread of it makes all calls. Changes are
 * made in batches: between store_batch_begin and store_batch_commit they are
 * one transaction, durable when commit returns 0 and absent otherwise. Reads
 * see the open batch. Nothing is acknowledged before its batch is committed.
 *
 * A failure that leaves the store's state in doubt (a commit or a sync that
 * failed, a database that asks for recovery) ends the process through
 * store_panic: master starts it again, and opening the store recovers it.
 *
 * Everything lies under one folder, the spool:
 *	db/			the database and its log
 *	bodies/XX/ID		bodies that came in a file
 *	incoming/		bodies on their way in; emptied at start
 * and is opened relative to it, so a store opened after chroot and before the
 * system call filter works on inside both. store_open starts threads: the
 * filter must be set for all of them (TSYNC).
 */
#ifndef QUEUE_STORE_H
#define QUEUE_STORE_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include "queue/envelope.h"

struct store;

#define STORE_SCHEMA 1
#define STORE_INLINE 65536 /* octets of a body that may be taken in memory */

enum store_status {
	STORE_OK,
	STORE_NOTFOUND,
	STORE_EXISTS, /* the message id is taken; nothing was changed */
	STORE_DAMAGED, /* a record or body does not check; logged */
	/* no memory, no space, I/O error, which may pass; logged */
	STORE_FAILED
};
const char *store_strstatus(enum store_status);

/* 0 takes the default. */
struct store_options {
	size_t cache; /* octets: 32 MiB */
	size_t log_file; /* octets: 10 MiB */
	uint32_t checkpoint_ms; /* 1000 */
	size_t checkpoint_bytes; /* of log: 16 MiB */
	uint32_t lock_ms; /* 30000: patience, see store_open */
	/* The first descriptor that is left to the database, which ends when it
	 * finds none: bodies get none from there on. 0: there is no such. */
	int reserve;
};
void store_options_default(struct store_options *);

/*
 * Opens the store in the folder `path`, which must exist, belong to the
 * caller and be writable by nobody else; creates what is missing, recovers
 * what a crash left, sweeps what no envelope knows. The folder is locked while
 * the store is open: another process that still has it, such as one that
 * outlived its master, is waited for. NULL with the reason in error (size
 * octets). options may be NULL.
 */
struct store *store_open(
    const char *path, const struct store_options *, char *error, size_t size);
/* Commits nothing: an open batch is dropped. Checkpoints. NULL is fine. */
void store_close(struct store *);
/* The one way out when the store can no longer be trusted. */
void store_panic(const char *fmt, ...)
    __attribute__((format(printf, 1, 2), noreturn));

/*
 * Reserves `count` (1 to 65536) message ids, durably, so that none is given
 * twice, also after a crash: *first to *first + count - 1. Ids rise; after
 * 2^32 they start again, past those still in the store. Never 0. Must not be
 * called with a batch open.
 */
enum store_status store_id_block(
    struct store *, uint32_t count, uint32_t *first);

/* ---- bodies on their way in -------------------------------------------- */

/*
 * A body that is too large for memory, in a file under incoming/. A thread of
 * the store does what is asked, in that order, and no call waits for it, but
 * for the one that says so.
 */
struct store_spool;
enum store_spool_state {
	STORE_SPOOL_OPEN,
	STORE_SPOOL_SAFE, /* all of it, its name and its folder are durable */
	STORE_SPOOL_FAILED /* only to be closed now */
};
/* arg is for store_progress. NULL without memory. */
struct store_spool *store_spool_open(struct store *, void *arg);
/* Copies the octets. -1 without memory. */
int store_spool_write(struct store_spool *, const void *, size_t);
/* All is there: makes it durable as the body of that message. Once. */
void store_spool_seal(struct store_spool *, uint32_t msgid);
enum store_spool_state store_spool_state(struct store_spool *);
/* Octets for which its sender should wait: the disk is behind. */
size_t store_spool_behind(struct store_spool *);
/* Waits until all that was asked is done. */
void store_spool_wait(struct store_spool *);
/* Removes the file, unless a message took it over. NULL is fine. */
void store_spool_close(struct store_spool *);
/* Readable when a spool got on, -1 if that is never to be waited for; then
 * fn is to be called, with ctx and the arg of each that did. */
typedef void store_progress(void *ctx, void *arg);
int store_spool_fd(const struct store *);
void store_spool_progress(struct store *, store_progress *fn, void *ctx);

/* A body to be stored: data, or a spool file if data is NULL. crc is the
 * crc32 of gzip over it, size its octets. */
struct store_content {
	const uint8_t *data;
	struct store_spool *spool;
	uint64_t size;
	uint32_t crc;
};

/* ---- batches ------------------------------------------------------------ */

enum store_status store_batch_begin(struct store *);
/*
 * A new message. Sets body, body_size and body_crc of the envelope. A spool
 * file belongs to the store from then on; one that was not sealed is sealed
 * here, with a wait. Data stay in the database whatever their size: a report
 * needs neither an inode nor a descriptor.
 * STORE_EXISTS leaves the batch usable; STORE_FAILED means: abort the batch.
 */
enum store_status store_put_message(
    struct store *, struct envelope *, struct store_content *);
/* Writes those records of the envelope that changed. The message must exist.
 * The envelope is clean afterwards. */
enum store_status store_put_envelope(struct store *, struct envelope *);
/* Envelope and body. STORE_NOTFOUND changes nothing. */
enum store_status store_remove(struct store *, uint32_t msgid);
/* Durable when it returns STORE_OK. Panics when that cannot be known. */
enum store_status store_batch_commit(struct store *);
void store_batch_abort(struct store *);

/* ---- reading ------------------------------------------------------------ */

/* Fills envelope (which is reset first). */
enum store_status store_read_envelope(
    struct store *, uint32_t msgid, struct envelope *);

/* The body of a message, read from its start to its end. */
struct store_body;
enum store_status store_body_open(
    struct store *, const struct envelope *, struct store_body **);
uint64_t store_body_size(const struct store_body *);
/* A descriptor of its own for reading, whose offset is 0 and whose content
 * never changes: the body's file, or a sealed memory file. -1 on failure, and
 * when memory_ok is 0 also for a body that is no file. */
int store_body_fd(struct store_body *, int memory_ok);
/* Octets read, 0 at the end, -1 when the body is damaged or unreadable. */
ssize_t store_body_read(struct store_body *, void *, size_t);
/* What a -1 of the two meant: STORE_DAMAGED or STORE_FAILED. STORE_OK as long
 * as the store did not fail. */
enum store_status store_body_status(const struct store_body *);
void store_body_close(struct store_body *);

/*
 * Calls fn for each envelope from msgid `from` on, in rising order, at most
 * `limit` of them (0: all), until fn returns non-zero. Damaged envelopes are
 * logged, counted and left in place. *next is where to go on, 0 at the end.
 * fn must not change the store; the envelope is only lent.
 */
typedef int store_visit(void *arg, const struct envelope *);
enum store_status store_iterate(struct store *, uint32_t from, size_t limit,
    store_visit *fn, void *arg, uint32_t *next);

struct store_stats {
	uint64_t batches; /* committed since the start */
	uint64_t puts;
	uint64_t updates;
	uint64_t removes;
	uint64_t damaged; /* records met that do not check */
	uint64_t unreadable; /* reads that the disk refused */
	uint64_t checkpoints;
	uint64_t log_bytes; /* written since the start */
	uint64_t swept; /* orphans removed at start */
	uint64_t cache; /* octets: for the disk guard */
	uint64_t log_file;
	uint64_t next_id; /* ids given out since the store was made */
};
void store_stats(struct store *, struct store_stats *);

/* ---- care --------------------------------------------------------------- */

/* Once a second or so: panics when the checkpoint thread has failed. */
void store_check(struct store *);
enum store_status store_checkpoint(struct store *);
/* On a disk with little room: each MiB of log is followed by a checkpoint
 * before anything else, so that the log stays short and removals, which are
 * logged too, make room instead of taking it. */
void store_tight(struct store *, int tight);
/* Octets, at least, that the database has for bodies without getting larger:
 * those that are gone left them. It never gets smaller. */
uint64_t store_reusable(const struct store *);
/* Reads everything. Returns how many messages are damaged, or -1; reports
 * each in the log. *checked gets the number of messages. */
int64_t store_verify(struct store *, uint64_t *checked);

/*
 * Backup while mail flows: begin, then step between batches until it no
 * longer returns 1 (0: complete, -1: failed, logged), then end. dirfd is an
 * empty folder that becomes a spool, to be opened with store_open. A step
 * copies about `octets` octets. Meanwhile log files and removed bodies are
 * kept.
 */
struct store_backup;
struct store_backup *store_backup_begin(struct store *, int dirfd);
int store_backup_step(struct store_backup *, size_t octets);
void store_backup_end(struct store_backup *);
/* All steps at once. 0 or -1. */
int store_backup(struct store *, int dirfd);

/*
 * The portable stream, made through this interface alone: any release and any
 * store behind it can read it. Returns the number of messages, or -1 with the
 * reason in error; a message that is damaged is logged and left out. Import
 * adds to what is there; a message that is there already is skipped and
 * counted in *skipped, and one whose id another has is refused. Ids given out
 * later are past those imported. What a failed import has taken stays, and is
 * skipped by the next one; the check returns -1 for all that would be refused,
 * and changes nothing.
 */
int64_t store_export(struct store *, int fd, char *error, size_t size);
int64_t store_import_check(
    struct store *, int fd, uint64_t *skipped, char *error, size_t size);
int64_t store_import(
    struct store *, int fd, uint64_t *skipped, char *error, size_t size);
/* For import: ids up to this one are taken. */
enum store_status store_id_floor(struct store *, uint32_t msgid);

#endif
