/*
 * What the files of the Berkeley DB store share; nobody else includes this.
 *
 * Keys are two integers of 32 bits in network order: message id and record
 * number in the database of envelopes, message id and chunk number in that of
 * bodies. Thus a message's records lie together and new messages at the end.
 *
 * There is no lock table: one thread makes all calls, so nothing can conflict
 * and nothing can deadlock. Beside it run only the checkpoint thread, which
 * takes no locks of records, and the writer of bodies, which never sees the
 * database.
 */
#ifndef QUEUE_STORE_BDB_H
#define QUEUE_STORE_BDB_H

#include <sys/queue.h>
#include <sys/types.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include <db.h>

#include "queue/store.h"

enum {
	/* a larger page can be torn by a power cut, and the environment is
	 * then lost */
	STORE_PAGE = 4096,
	STORE_CHUNK = 65536,
	STORE_KEY = 8,
	STORE_BODY_FOLDERS = 256
};

/* Message ids that wait for something. */
struct store_ids {
	uint32_t *id;
	size_t count;
	size_t size;
};

/* The thread that checkpoints, and what it may touch. */
struct store_ticker {
	DB_ENV *env;
	pthread_t thread;
	int running;
	pthread_mutex_t lock; /* of stop and wanted */
	pthread_cond_t wake;
	int stop;
	int wanted;
	uint32_t interval_ms;
	/* Held while pages are written by a checkpoint, or copied by a
	 * backup: never both. */
	pthread_mutex_t writing;
	atomic_int failed; /* the error of a checkpoint */
	atomic_ullong checkpoints;
};

/* The threads that write bodies on their way in; see store_spool.c. */
enum { STORE_WRITERS = 2 };
struct store_job;
STAILQ_HEAD(store_jobs, store_job);
struct store_writer_thread {
	struct store *st;
	pthread_t thread;
	pthread_cond_t wake; /* there are jobs */
	struct store_jobs jobs;
	int busy;
};
struct store_writer {
	struct store_writer_thread threads[STORE_WRITERS];
	unsigned running; /* of them */
	int fd; /* an eventfd: somebody is in told */
	pthread_mutex_t syncing; /* held over a sync of folders */
	pthread_mutex_t lock; /* of all below, and of jobs and busy above */
	pthread_cond_t done; /* some were done */
	struct store_jobs spare; /* chunks to be used again */
	unsigned spare_count;
	size_t gathered; /* octets that no job has yet */
	size_t behind; /* octets that wait for the disk */
	TAILQ_HEAD(, store_spool) told; /* they got on */
	int stop;
	const char *broken; /* what no spool can help */
};

struct store {
	DB_ENV *env;
	DB *envelopes;
	DB *bodies;
	DB *meta;
	DB_TXN *txn; /* the open batch */
	int root_fd;
	int db_fd;
	int bodies_fd;
	int incoming_fd;
	int body_folder[STORE_BODY_FOLDERS]; /* -1: not open yet */
	pthread_mutex_t folder_lock; /* of body_folder */
	uint64_t spool_number;
	uint64_t next_id; /* counts on past 2^32 */
	uint64_t id_limit; /* reserved up to, exclusive */
	struct store_ids moved; /* body files of the open batch */
	struct store_ids doomed; /* body files to unlink after it */
	size_t doomed_before; /* the open batch */
	int backup_running; /* doomed files wait for its end */
	uint64_t batch_bytes; /* of log, about, in the open batch */
	uint64_t held; /* octets of the database, at most, that bodies have */
	uint64_t batch_held; /* the same with the open batch */
	uint64_t since_checkpoint;
	int tight;
	struct store_options options;
	struct store_ticker ticker;
	struct store_writer writer;
	struct store_stats stats;
	struct envelope *scratch;
	struct envelope_buf record;
	char last_error[256]; /* what Berkeley DB said last */
	pthread_mutex_t error_lock;
};

/* store_bdb.c */
void store_key(uint8_t key[STORE_KEY], uint32_t msgid, uint32_t n);
int store_key_parse(const DBT *, uint32_t *msgid, uint32_t *n);
/* Logs that `what` failed with a code of Berkeley DB, panics if the database
 * must be recovered, and returns STORE_FAILED. */
enum store_status store_fail(struct store *, const char *what, int code);
enum store_status store_meta_get(
    struct store *, const char *name, uint64_t *value);
/* In the open batch, or in a transaction of its own. */
enum store_status store_meta_put(
    struct store *, const char *name, uint64_t value);
#define STORE_META_HELD "bodies-held"

/* store_spare.c: descriptors that only Berkeley DB gets, from before it opens
 * an environment until after it closed it. */
void store_spare_keep(void);
void store_spare_drop(void);

/* store_ticker.c */
int store_ticker_start(struct store_ticker *, DB_ENV *, uint32_t interval_ms);
void store_ticker_stop(struct store_ticker *);
void store_ticker_wake(struct store_ticker *);

/* store_files.c */
int store_ids_add(struct store_ids *, uint32_t msgid);
int store_files_open(struct store *, const char *path, char *, size_t);
void store_files_close(struct store *);
/* Before recovery: what is read of the files in this folder, the database's,
 * is on the disk. -1 and errno. */
int store_settle(int folder);
/* Which of the folders of bodies is a message's. */
unsigned store_folder_of(uint32_t msgid);
/* A file under incoming/, by its number: a new one, -1 and errno; its end;
 * and its final name, -1 and errno. For any thread. */
int store_files_create(struct store *, uint64_t number);
void store_files_discard(struct store *, uint64_t number);
int store_files_name(struct store *, uint64_t number, uint32_t msgid);
/* Makes the names in a folder durable. -1 and errno. For any thread. */
int store_files_sync(struct store *, unsigned folder);
/* 0 also when there is none. -1 and errno: the next start sweeps it away. For
 * any thread. */
int store_files_unlink(struct store *, uint32_t msgid);
/* A body's file for reading, -1 and errno. */
int store_files_read(struct store *, uint32_t msgid);
/* An empty file in memory that can be sealed, for a body to go out in. */
int store_files_memory(struct store *);
/* What was on its way in, which nobody knows: before recovery, whose room it
 * may have taken. -1 and errno. */
int store_files_empty(struct store *);
enum store_status store_files_sweep(struct store *);

/* store_spool.c */
int store_writer_start(struct store *);
void store_writer_stop(struct store *);
/* Panics when the thread cannot go on. */
void store_writer_check(struct store *);
/* The file becomes a message's, which may still be undone by an abort: -1 when
 * it is not safe. */
int store_spool_take(struct store_spool *, uint32_t msgid);

/* store_bdb_batch.c */
/* Octets of the database that a body of so many has at most. */
uint64_t store_cost(uint64_t size);
void store_unlink_doomed(struct store *);

/* store_bdb_read.c */
/* One record into store->record: 0 or Berkeley DB's code. */
int store_get_record(struct store *, DB *, uint32_t msgid, uint32_t n);

#endif
