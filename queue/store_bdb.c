/*
 * The Berkeley DB store: opening with recovery, the meta records, message
 * ids, checkpoints, closing. See store.h for what it promises and
 * store_bdb.h for how it is laid out; batches and reads have files of their
 * own. Trusts nothing of what lies on the disk but the database's page
 * checksums.
 */
#include <sys/stat.h>

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/log.h"
#include "queue/store_bdb.h"

enum {
	LOG_BUFFER = 2 << 20,
	/* a checkpoint writes so many pages, then pauses: commits go on */
	CHECKPOINT_PAGES = 64,
	CHECKPOINT_PAUSE_US = 200,
	ID_RESERVE = 4096,
	ID_BLOCK_MAX = 65536
};

/* Left in the folder of a backup, whose pages are of different ages: the
 * first recovery must replay the whole log. */
static const char backup_mark[] = "BACKUP";

const char *
store_strstatus(enum store_status status)
{
	static const char *const names[] = {
		[STORE_OK] = "ok",
		[STORE_NOTFOUND] = "no such message",
		[STORE_EXISTS] = "message id is taken",
		[STORE_DAMAGED] = "damaged",
		[STORE_FAILED] = "the spool fails: the log says how",
	};

	return names[status];
}

void
store_options_default(struct store_options *o)
{
	memset(o, 0, sizeof(*o));
	o->cache = 32u << 20;
	o->log_file = 10u << 20;
	o->checkpoint_ms = 1000;
	o->checkpoint_bytes = 16u << 20;
	o->lock_ms = 30 * 1000;
}

void
store_panic(const char *fmt, ...)
{
	char why[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	log_fatal("store: %s: ending, to be recovered by the next start", why);
}

void
store_key(uint8_t key[STORE_KEY], uint32_t msgid, uint32_t n)
{
	uint32_t parts[2] = { htobe32(msgid), htobe32(n) };

	memcpy(key, parts, sizeof(parts));
}

int
store_key_parse(const DBT *dbt, uint32_t *msgid, uint32_t *n)
{
	uint32_t parts[2];

	if (dbt->size != sizeof(parts))
		return -1;
	memcpy(parts, dbt->data, sizeof(parts));
	*msgid = be32toh(parts[0]);
	*n = be32toh(parts[1]);
	return 0;
}

/* Called by Berkeley DB in any thread, hence only a note. */
static void
note_error(const DB_ENV *env, const char *prefix, const char *message)
{
	struct store *st = env->app_private;

	pthread_mutex_lock(&st->error_lock);
	strlcpy(st->last_error, message, sizeof(st->last_error));
	pthread_mutex_unlock(&st->error_lock);
}

enum store_status
store_fail(struct store *st, const char *what, int code)
{
	char note[sizeof(st->last_error)];

	pthread_mutex_lock(&st->error_lock);
	memcpy(note, st->last_error, sizeof(note));
	st->last_error[0] = '\0';
	pthread_mutex_unlock(&st->error_lock);
	if (code == DB_RUNRECOVERY)
		store_panic("%s: %s (%s)", what, db_strerror(code), note);
	log_error("store: %s: %s (%s)", what, db_strerror(code), note);
	return STORE_FAILED;
}

/* ---- meta --------------------------------------------------------------- */

enum store_status
store_meta_get(struct store *st, const char *name, uint64_t *value)
{
	DBT key = { 0 }, data = { 0 };
	uint64_t stored = 0;
	int rc;

	key.data = (void *)(uintptr_t)name;
	key.size = (uint32_t)strlen(name);
	data.data = &stored;
	data.ulen = sizeof(stored);
	data.flags = DB_DBT_USERMEM;
	rc = st->meta->get(st->meta, st->txn, &key, &data, 0);
	if (rc == DB_NOTFOUND)
		return STORE_NOTFOUND;
	if (rc != 0)
		return store_fail(st, name, rc);
	if (data.size != sizeof(stored))
		return STORE_DAMAGED;
	*value = be64toh(stored);
	return STORE_OK;
}

enum store_status
store_meta_put(struct store *st, const char *name, uint64_t value)
{
	DBT key = { 0 }, data = { 0 };
	uint64_t stored = htobe64(value);
	int rc;

	key.data = (void *)(uintptr_t)name;
	key.size = (uint32_t)strlen(name);
	data.data = &stored;
	data.size = sizeof(stored);
	rc = st->meta->put(st->meta, st->txn, &key, &data, 0);
	return rc == 0 ? STORE_OK : store_fail(st, name, rc);
}

/* The id of the last message; 0 if there is none, or if it cannot be read. */
static uint32_t
last_message(struct store *st)
{
	uint8_t octets[STORE_KEY];
	DBT key = { 0 }, none = { 0 };
	uint32_t msgid = 0, n;
	DBC *cursor;
	int rc;

	key.data = octets;
	key.ulen = sizeof(octets);
	key.flags = DB_DBT_USERMEM;
	none.flags = DB_DBT_USERMEM | DB_DBT_PARTIAL;
	rc = st->envelopes->cursor(st->envelopes, NULL, &cursor, 0);
	if (rc == 0) {
		rc = cursor->get(cursor, &key, &none, DB_LAST);
		if (rc == 0 && store_key_parse(&key, &msgid, &n) == -1)
			rc = EINVAL;
		cursor->close(cursor);
	}
	if (rc != 0 && rc != DB_NOTFOUND)
		store_fail(st, "last message", rc);
	return msgid;
}

/* An import that was killed has left messages with ids that nobody gave out,
 * and until the ids come round it is not looked whether one is taken. */
static enum store_status
load_next_id(struct store *st)
{
	enum store_status status = store_meta_get(st, "next-id", &st->next_id);
	uint32_t last;

	if (status == STORE_NOTFOUND)
		st->next_id = 1;
	else if (status != STORE_OK)
		return status;
	last = last_message(st);
	if (st->next_id <= last)
		st->next_id = (uint64_t)last + 1;
	st->id_limit = st->next_id;
	return STORE_OK;
}

static uint64_t
database_octets(const struct store *st)
{
	struct stat sb;

	if (fstatat(st->db_fd, "bodies.db", &sb, AT_SYMLINK_NOFOLLOW) == -1)
		return 0;
	return (uint64_t)sb.st_size;
}

uint64_t
store_reusable(const struct store *st)
{
	uint64_t octets = database_octets(st);

	return octets > st->held ? octets - st->held : 0;
}

static int
count_held(void *arg, const struct envelope *env)
{
	struct store *st = arg;

	if (env->body == ENVELOPE_BODY_CHUNKS)
		st->held += store_cost(env->body_size);
	return 0;
}

/* A release that kept no count may have had the spool. */
static enum store_status
load_held(struct store *st)
{
	enum store_status status =
	    store_meta_get(st, STORE_META_HELD, &st->held);
	uint32_t next;

	if (status == STORE_NOTFOUND)
		status = store_iterate(st, 0, 0, count_held, st, &next);
	return status;
}

static int
check_schema(struct store *st, char *error, size_t size)
{
	uint64_t schema;

	switch (store_meta_get(st, "schema", &schema)) {
	case STORE_OK:
		break;
	case STORE_NOTFOUND:
		schema = STORE_SCHEMA;
		if (store_meta_put(st, "schema", schema) == STORE_OK)
			break;
		/* FALLTHROUGH */
	default:
		snprintf(error, size, "the schema version cannot be read");
		return -1;
	}
	if (schema != STORE_SCHEMA) {
		snprintf(error, size,
		    "the spool has schema %llu, this release uses %d: write "
		    "it out with `relaisd -E file` of the release that made "
		    "it, move the spool's folder queue away, and take it in "
		    "with `relaisd -I file` of this one",
		    (unsigned long long)schema, STORE_SCHEMA);
		return -1;
	}
	if (load_next_id(st) == STORE_OK && load_held(st) == STORE_OK)
		return 0;
	snprintf(error, size, "the counts of the store cannot be read");
	return -1;
}

/* ---- opening ------------------------------------------------------------ */

static int
open_environment(struct store *st, const char *home, char *error, size_t size)
{
	uint32_t flags = DB_CREATE | DB_PRIVATE | DB_INIT_TXN | DB_INIT_LOG |
	    DB_INIT_MPOOL | DB_THREAD;
	const char *step = "create";
	DB_ENV *env;
	int rc;

	flags |= faccessat(st->db_fd, backup_mark, F_OK, 0) == 0
	    ? DB_RECOVER_FATAL
	    : DB_RECOVER;
	if ((rc = db_env_create(&env, 0)) != 0)
		goto fail;
	st->env = env;
	store_spare_keep();
	env->app_private = st;
	env->set_errcall(env, note_error);
	step = "options";
	if ((rc = env->set_cachesize(env, 0, (uint32_t)st->options.cache, 1)) !=
		0 ||
	    (rc = env->set_lg_max(env, (uint32_t)st->options.log_file)) != 0 ||
	    (rc = env->set_lg_bsize(env, LOG_BUFFER)) != 0 ||
	    (rc = env->set_mp_max_write(
		 env, CHECKPOINT_PAGES, CHECKPOINT_PAUSE_US)) != 0 ||
	    (rc = env->set_tmp_dir(env, ".")) != 0 ||
	    (rc = env->log_set_config(env, DB_LOG_AUTO_REMOVE, 1)) != 0)
		goto fail;
	step = "write the log into new files";
	if (store_settle(st->db_fd) == -1) {
		rc = errno;
		goto fail;
	}
	step = "open and recover";
	if ((rc = env->open(env, home, flags, 0600)) != 0)
		goto fail;
	return 0;
fail:
	snprintf(error, size, "%s: %s: %s (%s)", home, step, db_strerror(rc),
	    st->last_error);
	return -1;
}

static int
open_database(
    struct store *st, DB **db, const char *name, char *error, size_t size)
{
	int rc;

	if ((rc = db_create(db, st->env, 0)) != 0) {
		*db = NULL;
	} else if ((rc = (*db)->set_pagesize(*db, STORE_PAGE)) == 0 &&
	    (rc = (*db)->set_flags(*db, DB_CHKSUM)) == 0 &&
	    (rc = (*db)->open(*db, NULL, name, NULL, DB_BTREE,
		 DB_CREATE | DB_AUTO_COMMIT | DB_THREAD, 0600)) == 0)
		return 0;
	snprintf(
	    error, size, "%s: %s (%s)", name, db_strerror(rc), st->last_error);
	return -1;
}

static void
close_database(DB **db)
{
	if (*db != NULL && (*db)->close(*db, 0) != 0)
		log_warn("store: a database did not close well");
	*db = NULL;
}

static void
free_store(struct store *st)
{
	store_writer_stop(st);
	store_ticker_stop(&st->ticker);
	close_database(&st->envelopes);
	close_database(&st->bodies);
	close_database(&st->meta);
	if (st->env != NULL) {
		if (st->env->close(st->env, 0) != 0)
			log_warn("store: the environment did not close well");
		store_spare_drop();
	}
	store_files_close(st);
	envelope_free(st->scratch);
	envelope_buf_free(&st->record);
	pthread_mutex_destroy(&st->error_lock);
	pthread_mutex_destroy(&st->folder_lock);
	free(st);
}

static struct store *
new_store(const struct store_options *options)
{
	struct store_options defaults;
	struct store *st;

	if ((st = calloc(1, sizeof(*st))) == NULL)
		return NULL;
	st->root_fd = st->db_fd = st->bodies_fd = st->incoming_fd = -1;
	for (int i = 0; i < STORE_BODY_FOLDERS; i++)
		st->body_folder[i] = -1;
	store_options_default(&defaults);
	st->options = options != NULL ? *options : defaults;
	if (st->options.cache == 0)
		st->options.cache = defaults.cache;
	if (st->options.log_file == 0)
		st->options.log_file = defaults.log_file;
	/* the log's buffer must fit into a file of it four times */
	if (st->options.log_file < 4 * LOG_BUFFER)
		st->options.log_file = 4 * LOG_BUFFER;
	if (st->options.checkpoint_ms == 0)
		st->options.checkpoint_ms = defaults.checkpoint_ms;
	if (st->options.checkpoint_bytes == 0)
		st->options.checkpoint_bytes = defaults.checkpoint_bytes;
	if (st->options.lock_ms == 0)
		st->options.lock_ms = defaults.lock_ms;
	st->writer.fd = -1;
	pthread_mutex_init(&st->error_lock, NULL);
	pthread_mutex_init(&st->folder_lock, NULL);
	if ((st->scratch = envelope_new(0)) == NULL) {
		free_store(st);
		return NULL;
	}
	return st;
}

/* The mark goes once recovery is on the disk, not before. */
static int
finish_recovery(struct store *st, char *error, size_t size)
{
	int rc;

	if ((rc = st->env->txn_checkpoint(st->env, 0, 0, DB_FORCE)) != 0) {
		snprintf(error, size, "checkpoint after recovery: %s",
		    db_strerror(rc));
		return -1;
	}
	if ((unlinkat(st->db_fd, backup_mark, 0) == -1 && errno != ENOENT) ||
	    fsync(st->db_fd) == -1) {
		snprintf(error, size, "db: %s", strerror(errno));
		return -1;
	}
	return 0;
}

static int
open_parts(struct store *st, const char *path, char *error, size_t size)
{
	char home[1024];
	int n;

	n = snprintf(home, sizeof(home), "%s/db", path);
	if (n < 0 || (size_t)n >= sizeof(home)) {
		snprintf(error, size, "the name of the spool is too long");
		return -1;
	}
	if (store_files_open(st, path, error, size) == -1)
		return -1;
	if (store_files_empty(st) == -1) {
		snprintf(error, size, "incoming: %s", strerror(errno));
		return -1;
	}
	if (open_environment(st, home, error, size) == -1 ||
	    open_database(st, &st->meta, "meta.db", error, size) == -1 ||
	    open_database(st, &st->envelopes, "envelopes.db", error, size) ==
		-1 ||
	    open_database(st, &st->bodies, "bodies.db", error, size) == -1 ||
	    check_schema(st, error, size) == -1 ||
	    finish_recovery(st, error, size) == -1)
		return -1;
	if (store_files_sweep(st) != STORE_OK) {
		snprintf(error, size, "the sweep of orphans failed");
		return -1;
	}
	if (store_ticker_start(
		&st->ticker, st->env, st->options.checkpoint_ms) == -1) {
		snprintf(error, size, "the checkpoint thread does not start");
		return -1;
	}
	if (store_writer_start(st) == -1) {
		snprintf(error, size, "the writer of bodies does not start");
		return -1;
	}
	return 0;
}

struct store *
store_open(const char *path, const struct store_options *options, char *error,
    size_t size)
{
	struct store *st;

	if ((st = new_store(options)) == NULL) {
		snprintf(error, size, "out of memory");
		return NULL;
	}
	if (open_parts(st, path, error, size) == -1) {
		free_store(st);
		return NULL;
	}
	return st;
}

void
store_close(struct store *st)
{
	if (st == NULL)
		return;
	if (st->txn != NULL)
		store_batch_abort(st);
	store_ticker_stop(&st->ticker);
	store_checkpoint(st);
	free_store(st);
}

/* ---- ids ---------------------------------------------------------------- */

/* Makes durable that all ids under `limit` are given out. */
static enum store_status
reserve_ids(struct store *st, uint64_t limit)
{
	enum store_status status;

	if (limit <= st->id_limit)
		return STORE_OK;
	/* outside a batch this is a transaction of its own, with sync */
	if ((status = store_meta_put(st, "next-id", limit)) == STORE_OK)
		st->id_limit = limit;
	return status;
}

/* The first message at or after an id, 0 if none. */
static enum store_status
first_from(struct store *st, uint32_t from, uint32_t *found)
{
	uint8_t octets[STORE_KEY];
	DBT key = { 0 }, none = { 0 };
	uint32_t n;
	DBC *cursor;
	int rc;

	*found = 0;
	store_key(octets, from, 0);
	key.data = octets;
	key.size = key.ulen = sizeof(octets);
	key.flags = DB_DBT_USERMEM;
	none.flags = DB_DBT_USERMEM | DB_DBT_PARTIAL;
	rc = st->envelopes->cursor(st->envelopes, st->txn, &cursor, 0);
	if (rc != 0)
		return store_fail(st, "cursor", rc);
	rc = cursor->get(cursor, &key, &none, DB_SET_RANGE);
	if (rc == 0 && store_key_parse(&key, found, &n) == -1)
		rc = EINVAL;
	cursor->close(cursor);
	if (rc != 0 && rc != DB_NOTFOUND)
		return store_fail(st, "first message", rc);
	return STORE_OK;
}

/* Where the next `count` free ids start. */
static enum store_status
find_ids(struct store *st, uint32_t count, uint64_t *first)
{
	uint64_t at = st->next_id;
	enum store_status status;
	uint32_t taken;

	for (;;) {
		if ((uint32_t)at == 0)
			at++;
		if ((uint32_t)at + (uint64_t)count > UINT32_MAX)
			at = (at & ~(uint64_t)UINT32_MAX) + (1ULL << 32) + 1;
		*first = at;
		if (at <= UINT32_MAX)
			return STORE_OK; /* never used before */
		status = first_from(st, (uint32_t)at, &taken);
		if (status != STORE_OK || taken == 0 ||
		    taken >= (uint32_t)at + count)
			return status;
		at += taken - (uint32_t)at + 1;
	}
}

enum store_status
store_id_block(struct store *st, uint32_t count, uint32_t *first)
{
	enum store_status status;
	uint64_t start;

	if (count == 0 || count > ID_BLOCK_MAX || st->txn != NULL)
		return STORE_FAILED;
	if ((status = find_ids(st, count, &start)) != STORE_OK)
		return status;
	if (start + count > st->id_limit &&
	    (status = reserve_ids(st, start + count + ID_RESERVE)) != STORE_OK)
		return status;
	st->next_id = start + count;
	*first = (uint32_t)start;
	return STORE_OK;
}

enum store_status
store_id_floor(struct store *st, uint32_t msgid)
{
	enum store_status status;

	if (st->txn != NULL)
		return STORE_FAILED;
	if (msgid < st->next_id)
		return STORE_OK;
	status = reserve_ids(st, (uint64_t)msgid + 1);
	if (status == STORE_OK)
		st->next_id = (uint64_t)msgid + 1;
	return status;
}

/* ---- care --------------------------------------------------------------- */

void
store_check(struct store *st)
{
	int rc = atomic_load(&st->ticker.failed);

	if (rc != 0)
		store_panic(
		    "checkpoint: %s (%s)", db_strerror(rc), st->last_error);
	store_writer_check(st);
}

enum store_status
store_checkpoint(struct store *st)
{
	int rc;

	if (st->txn != NULL)
		return STORE_FAILED;
	if (st->ticker.running)
		pthread_mutex_lock(&st->ticker.writing);
	rc = st->env->txn_checkpoint(st->env, 0, 0, 0);
	if (st->ticker.running)
		pthread_mutex_unlock(&st->ticker.writing);
	return rc == 0 ? STORE_OK : store_fail(st, "checkpoint", rc);
}

void
store_tight(struct store *st, int tight)
{
	st->tight = tight;
}

void
store_stats(struct store *st, struct store_stats *out)
{
	*out = st->stats;
	out->checkpoints = atomic_load(&st->ticker.checkpoints);
	out->cache = st->options.cache;
	out->log_file = st->options.log_file;
	out->next_id = st->next_id;
}
