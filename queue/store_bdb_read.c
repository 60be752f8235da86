/*
 * Reading from the Berkeley DB store: envelopes one by one and all in order,
 * and bodies. Reads belong to the open batch if there is one, for without
 * a lock table nothing else may see pages that it has changed.
 */
#include "config.h"

#include <sys/mman.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libdeflate.h>

#include "os/log.h"
#include "queue/store_bdb.h"

enum {
	RECORD_FIRST = 4096,
	BULK_OCTETS = 1 << 20,
	BULK_PAGE_OCTETS = 1 << 16, /* for a caller who wants few */
	BULK_FEW = 100,
	BULK_UNIT = 4096
};

static int
reserve_record(struct store *st, size_t size)
{
	uint8_t *data;

	if (st->record.size >= size)
		return 0;
	if ((data = realloc(st->record.data, size)) == NULL)
		return ENOMEM;
	st->record.data = data;
	st->record.size = size;
	return 0;
}

int
store_get_record(struct store *st, DB *db, uint32_t msgid, uint32_t n)
{
	uint8_t name[STORE_KEY];
	DBT key = { 0 }, data = { 0 };
	int rc;

	store_key(name, msgid, n);
	key.data = name;
	key.size = sizeof(name);
	data.flags = DB_DBT_USERMEM;
	if ((rc = reserve_record(st, RECORD_FIRST)) != 0)
		return rc;
	do {
		data.data = st->record.data;
		data.ulen = (uint32_t)st->record.size;
		rc = db->get(db, st->txn, &key, &data, 0);
	} while (
	    rc == DB_BUFFER_SMALL && (rc = reserve_record(st, data.size)) == 0);
	st->record.len = rc == 0 ? data.size : 0;
	return rc;
}

static enum store_status
damaged(struct store *st, const char *why)
{
	log_error("store: %s", why);
	st->stats.damaged++;
	return STORE_DAMAGED;
}

/* Without memory nothing can be said of a record. The process ends, and begins
 * again with all that is durable: what was set aside would wait for ever. */
static void
memory_or_end(int code)
{
	if (code == ENOMEM)
		log_fatal("out of memory");
}

/* A record that could not be decoded. */
static enum store_status
undecoded(struct store *st, const char *why)
{
	memory_or_end(errno);
	return damaged(st, why);
}

enum store_status
store_read_envelope(struct store *st, uint32_t msgid, struct envelope *env)
{
	char why[256];
	int rc;

	envelope_reset(env, msgid);
	for (uint32_t n = 0; n == 0 || !envelope_complete(env); n++) {
		rc = store_get_record(st, st->envelopes, msgid, n);
		if (rc == DB_NOTFOUND && n == 0)
			return STORE_NOTFOUND;
		if (rc == DB_NOTFOUND) {
			snprintf(why, sizeof(why), "%08x: record %u is missing",
			    msgid, n);
			return damaged(st, why);
		}
		memory_or_end(rc);
		if (rc != 0) {
			st->stats.unreadable++;
			return store_fail(st, "read envelope", rc);
		}
		if (envelope_decode(env, n, st->record.data, st->record.len,
			why, sizeof(why)) == -1)
			return undecoded(st, why);
	}
	return STORE_OK;
}

/* ---- walking through ---------------------------------------------------- */

/* A walk over all records, which puts envelopes together. */
struct walk {
	struct store *st;
	store_visit *fn;
	void *arg;
	size_t limit; /* envelopes still to visit, 0: all */
	struct envelope *env;
	int begun; /* env holds records of a message */
	int bad; /* one of them did not check */
	uint32_t next_record;
	uint32_t stop_at; /* where the walk ended early, 0 if not */
};

/* The message whose records came is over. */
static int
finish_message(struct walk *w)
{
	char why[64];

	if (!w->begun)
		return 0;
	w->begun = 0;
	if (w->bad)
		return 0;
	if (!envelope_complete(w->env)) {
		snprintf(why, sizeof(why), "%08x: records are missing",
		    w->env->msgid);
		damaged(w->st, why);
		return 0;
	}
	if (w->fn(w->arg, w->env) != 0)
		return 1;
	return w->limit > 0 && --w->limit == 0;
}

/* Takes the next record. 1 when the walk stops before it. */
static int
take_record(struct walk *w, const DBT *key, const uint8_t *data, size_t len)
{
	char why[256];
	uint32_t msgid, n;

	if (store_key_parse(key, &msgid, &n) == -1) {
		damaged(w->st, "a key of wrong length");
		return 0;
	}
	if (!w->begun || msgid != w->env->msgid) {
		if (finish_message(w)) {
			w->stop_at = msgid;
			return 1;
		}
		envelope_reset(w->env, msgid);
		w->begun = 1;
		w->bad = 0;
		w->next_record = 0;
	}
	if (w->bad)
		return 0;
	if (n != w->next_record++) {
		snprintf(why, sizeof(why), "%08x: records are missing", msgid);
		damaged(w->st, why);
		w->bad = 1;
	} else if (envelope_decode(w->env, n, data, len, why, sizeof(why)) ==
	    -1) {
		undecoded(w->st, why);
		w->bad = 1;
	}
	return 0;
}

/* One buffer full of records. 1 when the walk stops. */
static int
take_bulk(struct walk *w, DBT *bulk)
{
	uint8_t *name, *data;
	size_t name_len, len;
	DBT key = { 0 };
	void *at;

	DB_MULTIPLE_INIT(at, bulk);
	for (;;) {
		DB_MULTIPLE_KEY_NEXT(at, bulk, name, name_len, data, len);
		if (at == NULL)
			return 0;
		key.data = name;
		key.size = (uint32_t)name_len;
		if (take_record(w, &key, data, len))
			return 1;
	}
}

static int
grow_bulk(DBT *bulk, size_t need)
{
	size_t size = (need + BULK_UNIT) / BULK_UNIT * BULK_UNIT;
	void *data;

	if ((data = realloc(bulk->data, size)) == NULL)
		return ENOMEM;
	bulk->data = data;
	bulk->ulen = (uint32_t)size;
	return 0;
}

static int
walk_cursor(struct walk *w, DBC *cursor, uint32_t from, DBT *bulk)
{
	uint8_t octets[STORE_KEY];
	uint32_t move = DB_SET_RANGE;
	DBT key = { 0 };
	int rc;

	store_key(octets, from, 0);
	key.data = octets;
	key.size = key.ulen = sizeof(octets);
	key.flags = DB_DBT_USERMEM;
	for (;;) {
		rc = cursor->get(cursor, &key, bulk, move | DB_MULTIPLE_KEY);
		if (rc == DB_BUFFER_SMALL) {
			if ((rc = grow_bulk(bulk, bulk->size)) != 0)
				return rc;
			continue;
		}
		if (rc == DB_NOTFOUND) {
			finish_message(w);
			return 0;
		}
		if (rc != 0 || take_bulk(w, bulk))
			return rc;
		move = DB_NEXT;
	}
}

enum store_status
store_iterate(struct store *st, uint32_t from, size_t limit, store_visit *fn,
    void *arg, uint32_t *next)
{
	struct walk w = { .st = st, .fn = fn, .arg = arg, .limit = limit };
	DBT bulk = { 0 };
	DBC *cursor = NULL;
	int rc;

	bulk.flags = DB_DBT_USERMEM;
	if ((w.env = envelope_new(0)) == NULL)
		return STORE_FAILED;
	rc = grow_bulk(&bulk,
	    limit > 0 && limit <= BULK_FEW ? BULK_PAGE_OCTETS - 1
					   : BULK_OCTETS - 1);
	if (rc == 0)
		rc = st->envelopes->cursor(st->envelopes, st->txn, &cursor, 0);
	if (rc == 0)
		rc = walk_cursor(&w, cursor, from, &bulk);
	if (cursor != NULL)
		cursor->close(cursor);
	free(bulk.data);
	envelope_free(w.env);
	*next = w.stop_at;
	return rc == 0 ? STORE_OK : store_fail(st, "iterate", rc);
}

/* ---- bodies ------------------------------------------------------------- */

struct store_body {
	struct store *st;
	uint32_t msgid;
	enum store_status status;
	int is_file;
	int fd; /* of a file, once it is read; else -1 */
	uint64_t size;
	uint64_t done; /* octets handed out */
	uint32_t crc; /* expected */
	uint32_t sum; /* of what was handed out */
	uint32_t next_chunk;
	uint8_t *chunk;
	size_t chunk_len;
	size_t chunk_at;
};

/* A file that is not there, or is none, is damage; all else may pass. */
static enum store_status
body_failed(struct store *st, uint32_t msgid, int code)
{
	memory_or_end(code);
	log_error("store: body %08x: %s", msgid, strerror(code));
	if (code == ENOENT || code == ELOOP || code == EINVAL) {
		st->stats.damaged++;
		return STORE_DAMAGED;
	}
	st->stats.unreadable++;
	return STORE_FAILED;
}

enum store_status
store_body_open(
    struct store *st, const struct envelope *env, struct store_body **out)
{
	enum store_status status;
	struct store_body *body;

	if ((body = calloc(1, sizeof(*body))) == NULL)
		log_fatal("out of memory");
	body->st = st;
	body->msgid = env->msgid;
	body->is_file = env->body == ENVELOPE_BODY_FILE;
	body->fd = -1;
	body->size = env->body_size;
	body->crc = env->body_crc;
	body->sum = libdeflate_crc32(0, NULL, 0);
	if (body->is_file &&
	    (body->fd = store_files_read(st, env->msgid)) == -1) {
		status = body_failed(st, env->msgid, errno);
		free(body);
		return status;
	}
	*out = body;
	return STORE_OK;
}

uint64_t
store_body_size(const struct store_body *body)
{
	return body->size;
}

enum store_status
store_body_status(const struct store_body *body)
{
	return body->status;
}

/* The next chunk of the database into body->chunk: 0, or -1 with the status
 * set if the database failed. */
static int
load_chunk(struct store_body *body)
{
	struct store *st = body->st;
	int rc;

	rc = store_get_record(st, st->bodies, body->msgid, body->next_chunk);
	memory_or_end(rc);
	if (rc != 0) {
		if (rc != DB_NOTFOUND) {
			st->stats.unreadable++;
			body->status = store_fail(st, "read body", rc);
		}
		return -1;
	}
	free(body->chunk);
	body->chunk_len = body->chunk_at = 0;
	if ((body->chunk = malloc(st->record.len + 1)) == NULL)
		log_fatal("out of memory");
	memcpy(body->chunk, st->record.data, st->record.len);
	body->chunk_len = st->record.len;
	body->next_chunk++;
	return body->chunk_len > 0 ? 0 : -1;
}

static ssize_t
read_chunks(struct store_body *body, void *to, size_t n)
{
	size_t left;

	if (body->chunk_at == body->chunk_len && load_chunk(body) == -1)
		return -1;
	left = body->chunk_len - body->chunk_at;
	n = n < left ? n : left;
	memcpy(to, body->chunk + body->chunk_at, n);
	body->chunk_at += n;
	return (ssize_t)n;
}

ssize_t
store_body_read(struct store_body *body, void *to, size_t n)
{
	uint64_t left = body->size - body->done;
	ssize_t got;

	if (left == 0 || n == 0)
		return 0;
	if (n > left)
		n = left;
	if (body->is_file) {
		while ((got = read(body->fd, to, n)) == -1 && errno == EINTR)
			;
		if (got == -1)
			body->status =
			    body_failed(body->st, body->msgid, errno);
	} else
		got = read_chunks(body, to, n);
	if (got > 0) {
		body->sum = libdeflate_crc32(body->sum, to, (size_t)got);
		body->done += (uint64_t)got;
		if (body->done < body->size || body->sum == body->crc)
			return got;
	}
	if (body->status != STORE_OK)
		return -1;
	log_error("store: body %08x: damaged after %llu of %llu octets",
	    body->msgid, (unsigned long long)body->done,
	    (unsigned long long)body->size);
	body->st->stats.damaged++;
	body->status = STORE_DAMAGED;
	return -1;
}

static int
copy_body(struct store_body *body, int fd)
{
	uint8_t data[16384];
	ssize_t n;

	while ((n = store_body_read(body, data, sizeof(data))) > 0)
		if (write(fd, data, (size_t)n) != n)
			break;
	if (n == 0 && lseek(fd, 0, SEEK_SET) == 0 &&
	    fcntl(fd, F_ADD_SEALS,
		F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0)
		return 0;
	if (body->status == STORE_OK) {
		log_error("store: a copy of body %08x: %s", body->msgid,
		    strerror(errno));
		body->status = STORE_FAILED;
	}
	return -1;
}

int
store_body_fd(struct store_body *body, int memory_ok)
{
	int fd;

	if (body->is_file) {
		if ((fd = store_files_read(body->st, body->msgid)) == -1)
			body->status =
			    body_failed(body->st, body->msgid, errno);
		return fd;
	}
	if (!memory_ok)
		return -1;
	if ((fd = store_files_memory(body->st)) == -1)
		body->status = body_failed(body->st, body->msgid, errno);
	else if (copy_body(body, fd) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

void
store_body_close(struct store_body *body)
{
	if (body == NULL)
		return;
	if (body->fd != -1)
		close(body->fd);
	free(body->chunk);
	free(body);
}
