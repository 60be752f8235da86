/*
 * What can be done to any store through store.h alone: the portable stream
 * of export and import, and the check of everything.
 *
 * The stream: 16 octets "relais-queue 1\n\0", then parts, each a letter, its
 * length in 4 octets of network order, the octets, and their crc32:
 *	M	msgid, 4 octets: a message begins
 *	E	the next record of its envelope
 *	B	the next piece of its body
 *	X	nothing: the message is complete
 *	Z	the number of messages, 8 octets: the stream is complete
 * Import trusts nothing of it: every part is checked, and a message is put
 * only when it is whole.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libdeflate.h>

#include "os/log.h"
#include "queue/store.h"

enum {
	PART_HEAD = 5,
	PART_MAX = 16 << 20,
	PIECE_OCTETS = 65536,
	IMPORT_BATCH = 64,
	IMPORT_BATCH_OCTETS = 4 << 20
};

static const char magic[16] = "relais-queue 1\n";

/* ---- export ------------------------------------------------------------- */

struct exporter {
	struct store *st;
	FILE *out;
	struct envelope_buf record;
	uint64_t count;
	int failed;
};

static int
put_part(FILE *out, char letter, const void *octets, uint32_t len)
{
	uint32_t be = htobe32(len);
	uint32_t crc = htobe32(libdeflate_crc32(0, octets, len));

	return putc(letter, out) != EOF && fwrite(&be, 4, 1, out) == 1 &&
		(len == 0 || fwrite(octets, len, 1, out) == 1) &&
		fwrite(&crc, 4, 1, out) == 1
	    ? 0
	    : -1;
}

static int
export_body(struct exporter *e, const struct envelope *env)
{
	static uint8_t piece[PIECE_OCTETS];
	struct store_body *body;
	ssize_t n;

	if (store_body_open(e->st, env, &body) != STORE_OK)
		return -1;
	while ((n = store_body_read(body, piece, sizeof(piece))) > 0)
		if (put_part(e->out, 'B', piece, (uint32_t)n) == -1) {
			n = -1;
			break;
		}
	store_body_close(body);
	return n == -1 ? -1 : 0;
}

static int
export_message(void *arg, const struct envelope *env)
{
	uint32_t msgid = htobe32(env->msgid);
	struct exporter *e = arg;

	e->failed = 1;
	if (put_part(e->out, 'M', &msgid, 4) == -1)
		return 1;
	for (uint32_t n = 0; n < envelope_records(env); n++) {
		e->record.len = 0;
		if (envelope_encode(env, n, &e->record) == -1 ||
		    put_part(e->out, 'E', e->record.data,
			(uint32_t)e->record.len) == -1)
			return 1;
	}
	/* a damaged body stops nothing: without its X the message does not
	 * count, and the log has said why */
	if (export_body(e, env) == 0) {
		if (put_part(e->out, 'X', "", 0) == -1)
			return 1;
		e->count++;
	}
	e->failed = ferror(e->out) != 0;
	return e->failed;
}

int64_t
store_export(struct store *st, int fd, char *error, size_t size)
{
	struct exporter e = { .st = st };
	enum store_status status;
	uint64_t total;
	uint32_t next;
	int copy;

	if ((copy = dup(fd)) == -1 || (e.out = fdopen(copy, "w")) == NULL) {
		snprintf(error, size, "export: %s", strerror(errno));
		if (copy != -1)
			close(copy);
		return -1;
	}
	if (fwrite(magic, sizeof(magic), 1, e.out) != 1)
		e.failed = 1;
	status = store_iterate(st, 0, 0, export_message, &e, &next);
	total = htobe64(e.count);
	if (!e.failed)
		e.failed = put_part(e.out, 'Z', &total, 8) == -1;
	if (fclose(e.out) == EOF)
		e.failed = 1;
	envelope_buf_free(&e.record);
	if (e.failed || status != STORE_OK) {
		snprintf(error, size, "export: %s",
		    status != STORE_OK ? store_strstatus(status)
				       : strerror(errno));
		return -1;
	}
	return (int64_t)e.count;
}

/* ---- import ------------------------------------------------------------- */

struct importer {
	struct store *st;
	FILE *in;
	char *error;
	size_t size;
	int changes_nothing; /* only looks whether all could be taken */
	struct envelope *env;
	struct envelope *there; /* what has its id already */
	int begun; /* a message */
	int decoded; /* records of it */
	uint8_t *small; /* its body while it fits the database */
	size_t small_len;
	struct store_spool *spool;
	uint64_t body_size;
	uint32_t crc;
	uint8_t *part;
	size_t part_size;
	uint64_t count;
	uint64_t skipped;
	uint32_t highest;
	size_t in_batch;
	uint64_t batch_octets;
};

static int
refuse(struct importer *im, const char *why)
{
	snprintf(im->error, im->size, "import: after %llu messages: %s",
	    (unsigned long long)(im->count + im->skipped), why);
	return -1;
}

/* Reads a part into im->part. Its letter, or -1. */
static int
get_part(struct importer *im, uint32_t *len)
{
	uint8_t head[PART_HEAD], *grown;
	uint32_t be, crc;

	if (fread(head, sizeof(head), 1, im->in) != 1)
		return refuse(im, "the stream is cut off");
	memcpy(&be, head + 1, 4);
	if ((*len = be32toh(be)) > PART_MAX)
		return refuse(im, "a part is too long");
	if (*len > im->part_size) {
		if ((grown = realloc(im->part, *len)) == NULL)
			return refuse(im, "out of memory");
		im->part = grown;
		im->part_size = *len;
	}
	if ((*len > 0 && fread(im->part, *len, 1, im->in) != 1) ||
	    fread(&crc, 4, 1, im->in) != 1)
		return refuse(im, "the stream is cut off");
	if (be32toh(crc) != libdeflate_crc32(0, im->part, *len))
		return refuse(im, "a part's checksum is wrong");
	return head[0];
}

static void
close_spool(struct importer *im)
{
	store_spool_close(im->spool);
	im->spool = NULL;
}

static int
begin_message(struct importer *im, uint32_t len)
{
	uint32_t msgid;

	if (len != 4)
		return refuse(im, "a message begins badly");
	memcpy(&msgid, im->part, 4);
	/* one before may lack its end: its body was damaged */
	close_spool(im);
	envelope_reset(im->env, be32toh(msgid));
	im->begun = 1;
	im->decoded = 0;
	im->small_len = 0;
	im->body_size = 0;
	im->crc = libdeflate_crc32(0, NULL, 0);
	return 0;
}

static int
take_envelope(struct importer *im, uint32_t len)
{
	char why[256];

	if (!im->begun || im->body_size > 0)
		return refuse(im, "an envelope out of place");
	if (envelope_decode(im->env, (uint32_t)im->decoded, im->part, len, why,
		sizeof(why)) == -1)
		return refuse(im, why);
	im->decoded++;
	return 0;
}

/* The body outgrows memory: what there is goes into a file. */
static int
spill(struct importer *im)
{
	if (im->spool != NULL)
		return 0;
	if ((im->spool = store_spool_open(im->st, NULL)) == NULL ||
	    store_spool_write(im->spool, im->small, im->small_len) == -1)
		return refuse(im, "a body cannot be written");
	return 0;
}

static int
take_body(struct importer *im, uint32_t len)
{
	if (!im->begun || !envelope_complete(im->env))
		return refuse(im, "a body out of place");
	im->crc = libdeflate_crc32(im->crc, im->part, len);
	im->body_size += len;
	if (im->body_size <= STORE_INLINE) {
		memcpy(im->small + im->small_len, im->part, len);
		im->small_len += len;
		return 0;
	}
	if (im->changes_nothing)
		return 0;
	if (spill(im) == -1)
		return -1;
	if (store_spool_write(im->spool, im->part, len) == -1)
		return refuse(im, "a body cannot be written");
	/* the stream may come faster than the disk takes it */
	store_spool_wait(im->spool);
	return 0;
}

static int
commit_some(struct importer *im, int all)
{
	if (im->in_batch == 0 ||
	    (!all && im->in_batch < IMPORT_BATCH &&
		im->batch_octets < IMPORT_BATCH_OCTETS))
		return 0;
	im->in_batch = 0;
	im->batch_octets = 0;
	return store_batch_commit(im->st) == STORE_OK
	    ? 0
	    : refuse(im, "commit failed");
}

static int
is_same(const struct envelope *a, const struct envelope *b)
{
	return a->session == b->session && a->arrival == b->arrival &&
	    a->body_size == b->body_size && a->body_crc == b->body_crc &&
	    strcmp(a->sender, b->sender) == 0;
}

/* Whether the store has the message: STORE_EXISTS, or STORE_NOTFOUND if it is
 * to be put; else it is refused. */
static enum store_status
look_up(struct importer *im)
{
	enum store_status status;

	status = store_read_envelope(im->st, im->env->msgid, im->there);
	if (status == STORE_OK && is_same(im->env, im->there))
		return STORE_EXISTS;
	if (status == STORE_OK || status == STORE_DAMAGED)
		refuse(im,
		    "the spool has another message of the next one's id: "
		    "import into an empty spool");
	else if (status != STORE_NOTFOUND)
		refuse(im, "the spool cannot be read");
	return status;
}

static int
store_message(struct importer *im)
{
	struct store_content content = { .size = im->body_size,
		.crc = (uint32_t)im->crc };

	if (im->spool != NULL)
		content.spool = im->spool;
	else
		content.data = im->small;
	if (im->in_batch == 0 && store_batch_begin(im->st) != STORE_OK)
		return refuse(im, "no batch can begin");
	im->in_batch++;
	im->batch_octets += im->body_size;
	if (store_put_message(im->st, im->env, &content) != STORE_OK)
		return refuse(im, "a message cannot be stored");
	return 0;
}

static int
put_message(struct importer *im)
{
	if (!im->begun || !envelope_complete(im->env))
		return refuse(im, "a message ends early");
	if (im->env->msgid <= im->highest)
		return refuse(im, "the ids of messages do not rise from 1");
	if (im->env->body_size != im->body_size ||
	    im->env->body_crc != (uint32_t)im->crc)
		return refuse(im, "a body is not that of its envelope");
	switch (look_up(im)) {
	case STORE_EXISTS:
		im->skipped++;
		break;
	case STORE_NOTFOUND:
		if (!im->changes_nothing && store_message(im) == -1)
			return -1;
		im->count++;
		break;
	default:
		return -1;
	}
	im->highest = im->env->msgid;
	im->begun = 0;
	close_spool(im);
	return commit_some(im, 0);
}

static int
check_end(struct importer *im, uint32_t len)
{
	uint64_t total;

	if (len != 8)
		return refuse(im, "the end is malformed");
	memcpy(&total, im->part, 8);
	if (be64toh(total) != im->count + im->skipped)
		return refuse(im, "messages are missing");
	return 0;
}

static int
import_all(struct importer *im)
{
	char head[sizeof(magic)];
	uint32_t len = 0;
	int rc = 0;

	if (fread(head, sizeof(head), 1, im->in) != 1 ||
	    memcmp(head, magic, sizeof(magic)) != 0)
		return refuse(im, "this is no queue export of version 1");
	while (rc == 0) {
		switch (get_part(im, &len)) {
		case 'M':
			rc = begin_message(im, len);
			break;
		case 'E':
			rc = take_envelope(im, len);
			break;
		case 'B':
			rc = take_body(im, len);
			break;
		case 'X':
			rc = put_message(im);
			break;
		case 'Z':
			return check_end(im, len);
		case -1:
			return -1;
		default:
			return refuse(im, "a part of unknown kind");
		}
	}
	return -1;
}

static int
import_stream(struct importer *im, int fd)
{
	int copy = dup(fd), rc = -1;

	im->env = envelope_new(0);
	im->there = envelope_new(0);
	im->small = malloc(STORE_INLINE);
	if (copy == -1 || im->env == NULL || im->there == NULL ||
	    im->small == NULL || (im->in = fdopen(copy, "r")) == NULL) {
		snprintf(im->error, im->size, "import: %s", strerror(errno));
		if (copy != -1)
			close(copy);
	} else {
		rc = import_all(im);
		fclose(im->in);
		if (rc == 0)
			rc = commit_some(im, 1);
		else if (!im->changes_nothing)
			store_batch_abort(im->st);
	}
	store_spool_close(im->spool);
	envelope_free(im->env);
	envelope_free(im->there);
	free(im->small);
	free(im->part);
	return rc;
}

int64_t
store_import_check(
    struct store *st, int fd, uint64_t *skipped, char *error, size_t size)
{
	struct importer im = {
		.st = st, .error = error, .size = size, .changes_nothing = 1
	};
	int rc = import_stream(&im, fd);

	*skipped = im.skipped;
	return rc == 0 ? (int64_t)im.count : -1;
}

int64_t
store_import(
    struct store *st, int fd, uint64_t *skipped, char *error, size_t size)
{
	struct importer im = { .st = st, .error = error, .size = size };
	int rc = import_stream(&im, fd);

	*skipped = im.skipped;
	if (im.highest > 0 && store_id_floor(st, im.highest) != STORE_OK)
		rc = refuse(&im, "the ids cannot be reserved");
	return rc == 0 ? (int64_t)im.count : -1;
}

/* ---- the check of everything -------------------------------------------- */

struct verifier {
	struct store *st;
	uint64_t checked;
};

static int
verify_message(void *arg, const struct envelope *env)
{
	struct verifier *v = arg;
	struct store_body *body;
	uint8_t piece[16384];

	v->checked++;
	/* what is wrong counts itself */
	if (store_body_open(v->st, env, &body) != STORE_OK)
		return 0;
	while (store_body_read(body, piece, sizeof(piece)) > 0)
		;
	store_body_close(body);
	return 0;
}

int64_t
store_verify(struct store *st, uint64_t *checked)
{
	struct verifier v = { .st = st };
	struct store_stats before, after;
	uint32_t next;

	store_stats(st, &before);
	if (store_iterate(st, 0, 0, verify_message, &v, &next) != STORE_OK)
		return -1;
	store_stats(st, &after);
	*checked = v.checked;
	/* envelopes that did not check were never visited */
	return (int64_t)(after.damaged - before.damaged + after.unreadable -
	    before.unreadable);
}
