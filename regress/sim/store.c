/*
 * queue/store.h in memory, over a log on the simulated disk. A batch is one
 * entry of the log with a checksum: after a crash it is there or it is not.
 * The envelopes are the real ones, record by record, through their codec.
 * Linked into the queue worker.
 */
#include "config.h"

#include <sys/tree.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libdeflate.h>

#include "calls.h"
#include "ipc/enums.h"
#include "os/log.h"
#include "queue/store.h"
#include "sim.h"

enum { RECORDS_MAX = 64, ENTRY_HEAD = 8 };

enum operation { OP_RECORD, OP_BODY, OP_REMOVE, OP_IDS };

struct record {
	uint8_t *data;
	uint32_t len;
};

struct message {
	RB_ENTRY(message) entry;
	uint32_t msgid;
	struct record records[RECORDS_MAX];
	struct record body;
};

RB_HEAD(message_tree, message);

struct store {
	struct message_tree tree;
	uint32_t next_id;
	int open; /* a batch is */
	struct envelope_buf entry; /* of the log, being made */
	uint32_t *changed; /* in this batch: message ids */
	size_t nchanged;
	struct envelope *scratch;
	struct store_stats stats;
};

struct store_body {
	const struct message *message;
	size_t at;
};

static int
compare(const struct message *a, const struct message *b)
{
	return a->msgid < b->msgid ? -1 : a->msgid > b->msgid;
}

RB_GENERATE_INTERNAL(
    message_tree, message, entry, compare, __attribute__((unused)) static)

/* The store that is open now, for the hooks. */
static struct store *open_store;

static struct message *
find(struct store *st, uint32_t msgid)
{
	struct message key = { .msgid = msgid };

	return RB_FIND(message_tree, &st->tree, &key);
}

static void
forget(struct store *st, struct message *m)
{
	RB_REMOVE(message_tree, &st->tree, m);
	for (size_t i = 0; i < RECORDS_MAX; i++)
		free(m->records[i].data);
	free(m->body.data);
	free(m);
}

/* ---- the log ---------------------------------------------------------- */

static void
set(struct record *r, const uint8_t *data, uint32_t len)
{
	free(r->data);
	r->data = malloc(len + 1);
	if (r->data == NULL)
		fail("out of memory");
	memcpy(r->data, data, len);
	r->len = len;
}

static void
apply(struct store *st, enum operation op, uint32_t msgid, uint32_t n,
    const uint8_t *data, uint32_t len)
{
	struct message *m = find(st, msgid);

	if (op == OP_IDS) {
		st->next_id = msgid;
		return;
	}
	if (op == OP_REMOVE) {
		if (m != NULL)
			forget(st, m);
		return;
	}
	if (m == NULL) {
		if ((m = calloc(1, sizeof(*m))) == NULL)
			fail("out of memory");
		m->msgid = msgid;
		RB_INSERT(message_tree, &st->tree, m);
	}
	set(op == OP_BODY ? &m->body : &m->records[n], data, len);
}

static void
put(struct envelope_buf *b, const void *data, size_t len)
{
	if (b->len + len > b->size) {
		b->size = 2 * (b->len + len);
		if ((b->data = realloc(b->data, b->size)) == NULL)
			fail("out of memory");
	}
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

/* Does it, and notes it for the log. */
static void
operate(struct store *st, enum operation op, uint32_t msgid, uint32_t n,
    const uint8_t *data, uint32_t len)
{
	uint32_t head[4] = { op, msgid, n, len };

	put(&st->entry, head, sizeof(head));
	if (len > 0)
		put(&st->entry, data, len);
	apply(st, op, msgid, n, data, len);
}

static void
write_entry(struct store *st, int sync)
{
	uint32_t head[2] = { (uint32_t)st->entry.len,
		libdeflate_crc32(0, st->entry.data, st->entry.len) };

	process_point();
	/* a crash in the middle of the write: half an entry */
	disk_append(head, sizeof(head));
	disk_append(st->entry.data, st->entry.len / 2);
	process_point();
	disk_append(st->entry.data + st->entry.len / 2,
	    st->entry.len - st->entry.len / 2);
	process_point();
	if (sync)
		disk_sync();
	sim.busy_at = sim.now;
	st->entry.len = 0;
}

static void
replay_entry(struct store *st, const uint8_t *p, size_t len)
{
	uint32_t head[4];

	for (const uint8_t *end = p + len; p < end;) {
		memcpy(head, p, sizeof(head));
		p += sizeof(head);
		apply(
		    st, (enum operation)head[0], head[1], head[2], p, head[3]);
		p += head[3];
	}
}

/* What is whole counts, what follows never was. */
static void
replay(struct store *st)
{
	const uint8_t *log;
	size_t len, at = 0;
	uint32_t head[2];

	log = disk_octets(&len);
	while (at + ENTRY_HEAD <= len) {
		memcpy(head, log + at, sizeof(head));
		if (head[0] > len - at - ENTRY_HEAD ||
		    libdeflate_crc32(0, log + at + ENTRY_HEAD, head[0]) !=
			head[1])
			break;
		replay_entry(st, log + at + ENTRY_HEAD, head[0]);
		at += ENTRY_HEAD + head[0];
	}
	disk_truncate(at);
	disk_sync();
}

/* ---- what the judge hears --------------------------------------------- */

static size_t
list_rcpts(const struct envelope *env, struct stored_rcpt *list, size_t max)
{
	size_t n = env->rcpt_count < max ? env->rcpt_count : max;

	for (size_t i = 0; i < n; i++)
		list[i] = (struct stored_rcpt){ .address =
						    env->rcpts[i].address,
			.user = env->rcpts[i].routed &&
				env->rcpts[i].kind == DEST_USER
			    ? env->rcpts[i].user
			    : "",
			.done = env->rcpts[i].state == ENVELOPE_DONE,
			.held =
			    env->rcpts[i].state == ENVELOPE_HELD || env->hold,
			.expanded = env->rcpts[i].outcome == ENVELOPE_EXPANDED,
			.owed = (env->rcpts[i].notify & ENVELOPE_OWED) != 0,
			.parent = env->rcpts[i].parent == ENVELOPE_NO_PARENT
			    ? -1
			    : (int)env->rcpts[i].parent };
	return n;
}

static void
tell_stored(struct store *st, uint32_t msgid)
{
	static struct stored_rcpt list[64];
	struct message *m = find(st, msgid);
	struct envelope *env = st->scratch;
	size_t n;

	if (m == NULL) {
		judge_remove(msgid);
		return;
	}
	if (store_read_envelope(st, msgid, env) != STORE_OK)
		fail("%08x is stored and cannot be read", msgid);
	n = list_rcpts(env, list, 64);
	judge_put(msgid, env->sender, (env->flags & MAIL_DSN) != 0, list, n,
	    m->body.data, m->body.len);
}

/* New messages first: a report may be the reason of a removal. */
static void
tell_changes(struct store *st)
{
	for (int removed = 0; removed < 2; removed++)
		for (size_t i = 0; i < st->nchanged; i++)
			if ((find(st, st->changed[i]) == NULL) == removed)
				tell_stored(st, st->changed[i]);
	st->nchanged = 0;
}

static void
note_change(struct store *st, uint32_t msgid)
{
	st->changed =
	    reallocarray(st->changed, st->nchanged + 1, sizeof(*st->changed));
	if (st->changed == NULL)
		fail("out of memory");
	st->changed[st->nchanged++] = msgid;
}

static void
each(void (*fn)(uint32_t, const struct stored_rcpt *, size_t))
{
	static struct stored_rcpt list[64];
	struct store *st = open_store;
	struct message *m;

	RB_FOREACH (m, message_tree, &st->tree)
		if (store_read_envelope(st, m->msgid, st->scratch) == STORE_OK)
			fn(m->msgid, list, list_rcpts(st->scratch, list, 64));
}

/* ---- life ------------------------------------------------------------- */

const char *
store_strstatus(enum store_status status)
{
	static const char *const words[] = { "done", "not found", "exists",
		"damaged", "failed" };

	return words[status];
}

void
store_options_default(struct store_options *o)
{
	*o = (struct store_options){ .cache = 32 << 20,
		.log_file = 10 << 20,
		.checkpoint_ms = 1000,
		.checkpoint_bytes = 16 << 20 };
}

struct store *
store_open(const char *path, const struct store_options *options, char *error,
    size_t size)
{
	struct store *st = calloc(1, sizeof(*st));
	uint32_t *ids;
	struct message *m;
	size_t n = 0;

	if (st == NULL || (st->scratch = envelope_new(0)) == NULL)
		fail("out of memory");
	RB_INIT(&st->tree);
	st->next_id = 1;
	replay(st);
	open_store = st;
	queue_hooks.each = each;
	RB_FOREACH (m, message_tree, &st->tree) {
		tell_stored(st, m->msgid);
		n++;
	}
	ids = reallocarray(NULL, n + 1, sizeof(*ids));
	n = 0;
	RB_FOREACH (m, message_tree, &st->tree)
		ids[n++] = m->msgid;
	judge_recovered(ids, n);
	free(ids);
	return st;
}

void
store_close(struct store *st)
{
}

void
store_panic(const char *format, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	fail("the store panics: %s", text);
}

enum store_status
store_id_block(struct store *st, uint32_t count, uint32_t *first)
{
	*first = st->next_id;
	operate(st, OP_IDS, st->next_id + count, 0, NULL, 0);
	write_entry(st, 1);
	return STORE_OK;
}

/* ---- bodies on their way in: a thread that is always done ------------- */

struct store_spool {
	struct envelope_buf body;
};

struct store_spool *
store_spool_open(struct store *st, void *arg)
{
	return calloc(1, sizeof(struct store_spool));
}

int
store_spool_write(struct store_spool *spool, const void *data, size_t len)
{
	put(&spool->body, data, len);
	return 0;
}

void
store_spool_seal(struct store_spool *spool, uint32_t msgid)
{
}

enum store_spool_state
store_spool_state(struct store_spool *spool)
{
	return STORE_SPOOL_SAFE;
}

size_t
store_spool_behind(struct store_spool *spool)
{
	return 0;
}

void
store_spool_close(struct store_spool *spool)
{
	if (spool == NULL)
		return;
	envelope_buf_free(&spool->body);
	free(spool);
}

int
store_spool_fd(const struct store *st)
{
	return -1;
}

void
store_spool_progress(struct store *st, store_progress *fn, void *ctx)
{
}

/* ---- batches ---------------------------------------------------------- */

enum store_status
store_batch_begin(struct store *st)
{
	if (st->open)
		return STORE_FAILED;
	st->open = 1;
	return STORE_OK;
}

static void
put_records(struct store *st, struct envelope *env, int all)
{
	struct envelope_buf b = { 0 };

	for (uint32_t n = 0; n < envelope_records(env); n++) {
		if (!all && !envelope_changed(env, n))
			continue;
		b.len = 0;
		if (n >= RECORDS_MAX || envelope_encode(env, n, &b) == -1)
			fail("%08x cannot be encoded", env->msgid);
		operate(st, OP_RECORD, env->msgid, n, b.data, (uint32_t)b.len);
	}
	envelope_buf_free(&b);
	envelope_clean(env);
	note_change(st, env->msgid);
}

enum store_status
store_put_message(
    struct store *st, struct envelope *env, struct store_content *content)
{
	const uint8_t *data = content->data;

	if (find(st, env->msgid) != NULL)
		return STORE_EXISTS;
	env->body = data != NULL ? ENVELOPE_BODY_CHUNKS : ENVELOPE_BODY_FILE;
	if (data == NULL) {
		if (content->spool->body.len != content->size)
			fail("%08x: a body of %zu octets is said to have %llu",
			    env->msgid, content->spool->body.len,
			    (unsigned long long)content->size);
		data = content->spool->body.data;
	}
	if (libdeflate_crc32(0, data, content->size) != content->crc)
		fail("%08x: the checksum of the body is wrong", env->msgid);
	env->body_size = content->size;
	env->body_crc = content->crc;
	envelope_touch(env);
	put_records(st, env, 1);
	operate(st, OP_BODY, env->msgid, 0, data, (uint32_t)content->size);
	return STORE_OK;
}

enum store_status
store_put_envelope(struct store *st, struct envelope *env)
{
	if (find(st, env->msgid) == NULL)
		return STORE_NOTFOUND;
	put_records(st, env, 0);
	return STORE_OK;
}

enum store_status
store_remove(struct store *st, uint32_t msgid)
{
	if (find(st, msgid) == NULL)
		return STORE_NOTFOUND;
	if (sim.plant == PLANT_LOST_REMOVAL && dice_one_in(5))
		return STORE_OK;
	operate(st, OP_REMOVE, msgid, 0, NULL, 0);
	note_change(st, msgid);
	return STORE_OK;
}

enum store_status
store_batch_commit(struct store *st)
{
	st->open = 0;
	write_entry(st, sim.plant != PLANT_EARLY_ACK);
	tell_changes(st);
	process_point();
	return STORE_OK;
}

void
store_batch_abort(struct store *st)
{
	fail("a batch is aborted");
}

/* ---- reading ---------------------------------------------------------- */

enum store_status
store_read_envelope(struct store *st, uint32_t msgid, struct envelope *env)
{
	struct message *m = find(st, msgid);
	char error[256];

	envelope_reset(env, msgid);
	if (m == NULL)
		return STORE_NOTFOUND;
	for (uint32_t n = 0; n == 0 || !envelope_complete(env); n++)
		if (n == RECORDS_MAX || m->records[n].data == NULL ||
		    envelope_decode(env, n, m->records[n].data,
			m->records[n].len, error, sizeof(error)) == -1)
			return STORE_DAMAGED;
	return STORE_OK;
}

enum store_status
store_body_open(
    struct store *st, const struct envelope *env, struct store_body **body)
{
	struct message *m = find(st, env->msgid);

	if (m == NULL)
		return STORE_NOTFOUND;
	if ((*body = calloc(1, sizeof(**body))) == NULL)
		return STORE_FAILED;
	(*body)->message = m;
	return STORE_OK;
}

uint64_t
store_body_size(const struct store_body *body)
{
	return body->message->body.len;
}

int
store_body_fd(struct store_body *body, int memory_ok)
{
	const struct record *r = &body->message->body;

	if (!memory_ok && r->len <= STORE_INLINE)
		return -1;
	return object_install(process_current(), file_new(r->data, r->len));
}

ssize_t
store_body_read(struct store_body *body, void *data, size_t len)
{
	const struct record *r = &body->message->body;

	if (len > r->len - body->at)
		len = r->len - body->at;
	memcpy(data, r->data + body->at, len);
	body->at += len;
	return (ssize_t)len;
}

enum store_status
store_body_status(const struct store_body *body)
{
	return STORE_OK;
}

void
store_body_close(struct store_body *body)
{
	free(body);
}

enum store_status
store_iterate(struct store *st, uint32_t from, size_t limit, store_visit *fn,
    void *arg, uint32_t *next)
{
	struct message key = { .msgid = from }, *m;
	struct envelope *env = envelope_new(0);

	*next = 0;
	for (m = RB_NFIND(message_tree, &st->tree, &key); m != NULL;
	     m = RB_NEXT(message_tree, &st->tree, m)) {
		if (store_read_envelope(st, m->msgid, env) != STORE_OK)
			fail("%08x is stored and damaged", m->msgid);
		if (fn(arg, env) != 0 || (limit > 0 && --limit == 0)) {
			m = RB_NEXT(message_tree, &st->tree, m);
			*next = m != NULL ? m->msgid : 0;
			break;
		}
	}
	envelope_free(env);
	return STORE_OK;
}

void
store_stats(struct store *st, struct store_stats *stats)
{
	*stats = st->stats;
}

/* ---- care: there is nothing to care for ------------------------------- */

void
store_check(struct store *st)
{
}

enum store_status
store_checkpoint(struct store *st)
{
	return STORE_OK;
}

void
store_tight(struct store *st, int tight)
{
}

uint64_t
store_reusable(const struct store *st)
{
	return 0;
}

int64_t
store_verify(struct store *st, uint64_t *checked)
{
	*checked = 0;
	return 0;
}

/* Backups are not simulated: none can begin. */
struct store_backup *
store_backup_begin(struct store *st, int dirfd)
{
	return NULL;
}

int
store_backup_step(struct store_backup *b, size_t octets)
{
	return -1;
}

void
store_backup_end(struct store_backup *b)
{
}

/* Nor are export and import, which no daemon does. */
int64_t
store_export(struct store *st, int fd, char *error, size_t size)
{
	return -1;
}

int64_t
store_import_check(
    struct store *st, int fd, uint64_t *skipped, char *error, size_t size)
{
	return -1;
}

int64_t
store_import(
    struct store *st, int fd, uint64_t *skipped, char *error, size_t size)
{
	return -1;
}
