/*
 * Batches of the Berkeley DB store: one transaction from begin to commit. A
 * commit that fails leaves it unknown what is on the disk, so it ends the
 * process; any failure before it is undone by abort.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libdeflate.h>

#include "os/log.h"
#include "queue/store_bdb.h"

/* What a record costs in the log beyond its octets, about. */
enum { LOG_OVERHEAD = 128, TIGHT_OCTETS = 1 << 20, PAGE_HEADER = 64 };

/* A page of the tree beside those of the octets: it is freed with the last of
 * its bodies only. */
uint64_t
store_cost(uint64_t size)
{
	uint64_t chunks = size / STORE_CHUNK + 1;

	return (size / (STORE_PAGE - PAGE_HEADER) + 2 * chunks) * STORE_PAGE;
}

enum store_status
store_batch_begin(struct store *st)
{
	int rc;

	if (st->txn != NULL)
		return STORE_FAILED;
	if ((rc = st->env->txn_begin(st->env, NULL, &st->txn, 0)) != 0) {
		st->txn = NULL;
		return store_fail(st, "begin", rc);
	}
	st->moved.count = 0;
	st->doomed_before = st->doomed.count;
	st->batch_bytes = 0;
	st->batch_held = st->held;
	return STORE_OK;
}

static int
put_record(struct store *st, DB *db, uint32_t msgid, uint32_t n,
    const void *octets, size_t len, uint32_t flags)
{
	uint8_t name[STORE_KEY];
	DBT key = { 0 }, data = { 0 };

	store_key(name, msgid, n);
	key.data = name;
	key.size = sizeof(name);
	data.data = (void *)(uintptr_t)octets;
	data.size = (uint32_t)len;
	st->batch_bytes += len + LOG_OVERHEAD;
	return db->put(db, st->txn, &key, &data, flags);
}

/* Writes the records that changed, or all of a message that must be new. */
static enum store_status
put_envelope(struct store *st, struct envelope *env, int is_new)
{
	uint32_t flags, total = envelope_records(env);
	int rc;

	for (uint32_t n = 0; n < total; n++) {
		if (!is_new && !envelope_changed(env, n))
			continue;
		st->record.len = 0;
		if (envelope_encode(env, n, &st->record) == -1) {
			log_error("store: %08x: out of memory", env->msgid);
			return STORE_FAILED;
		}
		flags = is_new && n == 0 ? DB_NOOVERWRITE : 0;
		rc = put_record(st, st->envelopes, env->msgid, n,
		    st->record.data, st->record.len, flags);
		if (rc == DB_KEYEXIST)
			return STORE_EXISTS;
		if (rc != 0)
			return store_fail(st, "put envelope", rc);
	}
	return STORE_OK;
}

static enum store_status
put_chunks(struct store *st, uint32_t msgid, const struct store_content *body)
{
	uint64_t at = 0;
	uint32_t n = 0;
	size_t len;
	int rc;

	for (; at < body->size; at += len, n++) {
		len = body->size - at < STORE_CHUNK ? body->size - at
						    : STORE_CHUNK;
		rc = put_record(
		    st, st->bodies, msgid, n, body->data + at, len, 0);
		if (rc != 0)
			return store_fail(st, "put body", rc);
	}
	return STORE_OK;
}

/* The file is named before the commit, and unlinked if there is none. */
static enum store_status
take_spool(struct store *st, uint32_t msgid, struct store_spool *sp)
{
	if (store_spool_state(sp) == STORE_SPOOL_OPEN) {
		store_spool_seal(sp, msgid);
		store_spool_wait(sp);
	}
	if (store_ids_add(&st->moved, msgid) == -1) {
		log_error("store: body %08x: out of memory", msgid);
		return STORE_FAILED;
	}
	if (store_spool_take(sp, msgid) == 0)
		return STORE_OK;
	st->moved.count--;
	return STORE_FAILED;
}

enum store_status
store_put_message(
    struct store *st, struct envelope *env, struct store_content *body)
{
	enum store_status status;
	int is_data = body->data != NULL;

	if (st->txn == NULL || env->msgid == 0)
		return STORE_FAILED;
	env->body = is_data ? ENVELOPE_BODY_CHUNKS : ENVELOPE_BODY_FILE;
	env->body_size = body->size;
	env->body_crc = body->crc;
	envelope_touch(env);
	/* the envelope first: it tells whether the id is free. What counts is
	 * the order on the disk, and the commit comes last. */
	if ((status = put_envelope(st, env, 1)) != STORE_OK)
		return status;
	status = is_data ? put_chunks(st, env->msgid, body)
			 : take_spool(st, env->msgid, body->spool);
	if (status != STORE_OK)
		return status;
	if (is_data)
		st->batch_held += store_cost(body->size);
	envelope_clean(env);
	st->stats.puts++;
	return STORE_OK;
}

enum store_status
store_put_envelope(struct store *st, struct envelope *env)
{
	enum store_status status;

	if (st->txn == NULL)
		return STORE_FAILED;
	if ((status = put_envelope(st, env, 0)) != STORE_OK)
		return status;
	envelope_clean(env);
	st->stats.updates++;
	return STORE_OK;
}

/* Deletes all records of a message in one database: 0 or an error. */
static int
delete_all(struct store *st, DB *db, uint32_t msgid)
{
	uint8_t octets[STORE_KEY];
	DBT key = { 0 }, none = { 0 };
	uint32_t at, n, move = DB_SET_RANGE;
	DBC *cursor;
	int rc;

	store_key(octets, msgid, 0);
	key.data = octets;
	key.size = key.ulen = sizeof(octets);
	key.flags = DB_DBT_USERMEM;
	none.flags = DB_DBT_USERMEM | DB_DBT_PARTIAL;
	if ((rc = db->cursor(db, st->txn, &cursor, 0)) != 0)
		return rc;
	while ((rc = cursor->get(cursor, &key, &none, move)) == 0) {
		if (store_key_parse(&key, &at, &n) == -1 || at != msgid)
			break;
		if ((rc = cursor->del(cursor, 0)) != 0)
			break;
		st->batch_bytes += LOG_OVERHEAD;
		move = DB_NEXT;
	}
	cursor->close(cursor);
	return rc == DB_NOTFOUND ? 0 : rc;
}

static void
let_go(struct store *st, uint64_t size)
{
	uint64_t cost = store_cost(size);

	st->batch_bytes += size;
	st->batch_held -= cost < st->batch_held ? cost : st->batch_held;
}

enum store_status
store_remove(struct store *st, uint32_t msgid)
{
	enum store_status status;
	int rc, chunks = 1, file = 1;

	if (st->txn == NULL)
		return STORE_FAILED;
	status = store_read_envelope(st, msgid, st->scratch);
	if (status == STORE_NOTFOUND || status == STORE_FAILED)
		return status;
	/* a damaged envelope may have either kind of body */
	if (status == STORE_OK) {
		file = st->scratch->body == ENVELOPE_BODY_FILE;
		chunks = !file;
	}
	if (file && store_ids_add(&st->doomed, msgid) == -1)
		return STORE_FAILED;
	if ((rc = delete_all(st, st->envelopes, msgid)) != 0 ||
	    (chunks && (rc = delete_all(st, st->bodies, msgid)) != 0))
		return store_fail(st, "remove", rc);
	if (status == STORE_OK && chunks)
		let_go(st, st->scratch->body_size);
	st->stats.removes++;
	return STORE_OK;
}

static void
unlink_all(struct store *st, struct store_ids *ids)
{
	for (size_t i = 0; i < ids->count; i++)
		if (store_files_unlink(st, ids->id[i]) == -1)
			log_warn("body %08x: unlink: %s", ids->id[i],
			    strerror(errno));
	ids->count = 0;
}

/* A backup still wants the bodies that its copy of the log knows. */
void
store_unlink_doomed(struct store *st)
{
	if (!st->backup_running)
		unlink_all(st, &st->doomed);
}

enum store_status
store_batch_commit(struct store *st)
{
	int rc;

	if (st->txn == NULL)
		return STORE_FAILED;
	store_check(st);
	if (st->batch_held != st->held &&
	    store_meta_put(st, STORE_META_HELD, st->batch_held) != STORE_OK)
		store_panic("commit: what bodies have cannot be written");
	st->held = st->batch_held;
	rc = st->txn->commit(st->txn, DB_TXN_SYNC);
	st->txn = NULL;
	if (rc != 0)
		store_panic("commit: %s (%s)", db_strerror(rc), st->last_error);
	store_unlink_doomed(st);
	st->stats.batches++;
	st->stats.log_bytes += st->batch_bytes;
	st->since_checkpoint += st->batch_bytes;
	if (st->tight && st->since_checkpoint >= TIGHT_OCTETS) {
		st->since_checkpoint = 0;
		if (store_checkpoint(st) != STORE_OK)
			store_panic("no checkpoint on a disk without room");
	} else if (st->since_checkpoint >= st->options.checkpoint_bytes) {
		st->since_checkpoint = 0;
		store_ticker_wake(&st->ticker);
	}
	return STORE_OK;
}

void
store_batch_abort(struct store *st)
{
	int rc;

	if (st->txn == NULL)
		return;
	rc = st->txn->abort(st->txn);
	st->txn = NULL;
	if (rc != 0)
		store_panic("abort: %s", db_strerror(rc));
	unlink_all(st, &st->moved);
	st->doomed.count = st->doomed_before;
}
