/*
 * See body.h. Called for each body_data by the queue's main file; what
 * arrives comes from smtpd, which may have been taken over: so it is counted
 * and may only be what the rules allow.
 */
#include <sys/tree.h>

#include <stdlib.h>
#include <string.h>

#include <libdeflate.h>

#include "os/log.h"
#include "queue/body.h"

struct body {
	RB_ENTRY(body) entry;
	uint32_t sender;
	uint64_t id;
	uint64_t size;
	uint32_t crc;
	int last; /* all of it is here */
	int failed; /* it could not be kept */
	uint8_t *data; /* while it is small */
	size_t data_size;
	struct store_spool *spool;
	size_t held; /* of spool, as the sender was told */
	struct bodies *owner;
};

static int
body_compare(const struct body *a, const struct body *b)
{
	if (a->sender != b->sender)
		return a->sender < b->sender ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

RB_HEAD(body_tree, body);
RB_GENERATE_INTERNAL(
    body_tree, body, entry, body_compare, static __attribute__((unused)))

struct bodies {
	struct store *st;
	struct body_tree tree;
	size_t limit;
	bodies_hold *hold;
	void *arg;
	uint64_t octets;
	uint64_t room; /* that files may take until this is set again */
};

struct bodies *
bodies_new(struct store *st, size_t limit, bodies_hold *hold, void *arg)
{
	struct bodies *b;

	if ((b = calloc(1, sizeof(*b))) == NULL)
		return NULL;
	b->st = st;
	b->limit = limit;
	b->hold = hold;
	b->arg = arg;
	b->room = UINT64_MAX;
	RB_INIT(&b->tree);
	return b;
}

/* What waits for the disk is held back from the sender. */
static void
settle_hold(struct body *body)
{
	size_t behind = 0;

	if (body->spool != NULL)
		behind = store_spool_behind(body->spool);
	if (body->owner->hold != NULL && behind != body->held)
		body->owner->hold(body->owner->arg, body->sender,
		    (int64_t)behind - (int64_t)body->held);
	body->held = behind;
}

static void
close_spool(struct body *body)
{
	store_spool_close(body->spool);
	body->spool = NULL;
	settle_hold(body);
}

void
body_free(struct bodies *b, struct body *body)
{
	if (body == NULL)
		return;
	b->octets -= body->size;
	close_spool(body);
	free(body->data);
	free(body);
}

void
bodies_free(struct bodies *b)
{
	struct body *body;

	if (b == NULL)
		return;
	while ((body = RB_MIN(body_tree, &b->tree)) != NULL) {
		RB_REMOVE(body_tree, &b->tree, body);
		body_free(b, body);
	}
	free(b);
}

static struct body *
find_body(struct bodies *b, uint32_t sender, uint64_t id)
{
	struct body key = { .sender = sender, .id = id };

	return RB_FIND(body_tree, &b->tree, &key);
}

/* The first body of a sender, NULL if it has none. */
static struct body *
first_body(struct bodies *b, uint32_t sender)
{
	struct body key = { .sender = sender, .id = 0 };
	struct body *body = RB_NFIND(body_tree, &b->tree, &key);

	return body != NULL && body->sender == sender ? body : NULL;
}

static size_t
count_bodies(struct bodies *b, uint32_t sender)
{
	struct body *body = first_body(b, sender);
	size_t n = 0;

	for (; body != NULL && body->sender == sender;
	     body = RB_NEXT(body_tree, &b->tree, body))
		n++;
	return n;
}

static struct body *
new_body(struct bodies *b, uint32_t sender, uint64_t id)
{
	struct body *body;

	if ((body = calloc(1, sizeof(*body))) == NULL)
		return NULL;
	body->sender = sender;
	body->id = id;
	body->owner = b;
	body->crc = libdeflate_crc32(0, NULL, 0);
	RB_INSERT(body_tree, &b->tree, body);
	return body;
}

static int
keep_in_memory(struct body *body, const uint8_t *data, size_t len)
{
	size_t need = (size_t)body->size + len, size;
	uint8_t *grown;

	if (need > body->data_size) {
		size = need < STORE_INLINE / 2 ? need * 2 : STORE_INLINE;
		if ((grown = realloc(body->data, size)) == NULL)
			return -1;
		body->data = grown;
		body->data_size = size;
	}
	if (len > 0)
		memcpy(body->data + body->size, data, len);
	return 0;
}

static int
keep_in_file(
    struct bodies *b, struct body *body, const uint8_t *data, size_t len)
{
	int rc;

	if (len > b->room)
		return -1;
	b->room -= len;
	if (body->spool == NULL) {
		if ((body->spool = store_spool_open(b->st, body)) == NULL ||
		    store_spool_write(
			body->spool, body->data, (size_t)body->size) == -1)
			return -1;
		free(body->data);
		body->data = NULL;
		body->data_size = 0;
	}
	rc = store_spool_write(body->spool, data, len);
	settle_hold(body);
	return rc;
}

/* What cannot be kept leaves nothing but the mark that it failed. */
static void
give_up(struct bodies *b, struct body *body)
{
	body->failed = 1;
	b->octets -= body->size;
	body->size = 0;
	close_spool(body);
	free(body->data);
	body->data = NULL;
	body->data_size = 0;
}

static void
on_progress(void *ctx, void *arg)
{
	struct body *body = arg;

	if (store_spool_state(body->spool) == STORE_SPOOL_FAILED)
		give_up(ctx, body);
	else
		settle_hold(body);
}

void
bodies_progress(struct bodies *b)
{
	store_spool_progress(b->st, on_progress, b);
}

enum body_status
bodies_data(struct bodies *b, uint32_t sender, uint64_t id, const uint8_t *data,
    size_t len, int last)
{
	struct body *body = find_body(b, sender, id);
	int rc;

	if (body == NULL) {
		if (count_bodies(b, sender) >= b->limit)
			return BODY_FORBIDDEN;
		/* without the mark the rest would pass for the whole */
		if ((body = new_body(b, sender, id)) == NULL)
			log_fatal("out of memory");
	}
	if (body->last || (len == 0 && !last))
		return BODY_FORBIDDEN;
	body->last = last;
	if (body->failed)
		return BODY_FAILED;
	if (body->spool == NULL && body->size + len <= STORE_INLINE)
		rc = keep_in_memory(body, data, len);
	else
		rc = keep_in_file(b, body, data, len);
	if (rc == -1) {
		give_up(b, body);
		return BODY_FAILED;
	}
	if (len > 0) /* of no data it begins anew */
		body->crc = libdeflate_crc32(body->crc, data, len);
	body->size += len;
	b->octets += len;
	return BODY_OK;
}

void
bodies_abort(struct bodies *b, uint32_t sender, uint64_t id)
{
	struct body *body;

	if ((body = find_body(b, sender, id)) == NULL)
		return;
	RB_REMOVE(body_tree, &b->tree, body);
	body_free(b, body);
}

void
bodies_drop(struct bodies *b, uint32_t sender)
{
	struct body *body;

	while ((body = first_body(b, sender)) != NULL) {
		RB_REMOVE(body_tree, &b->tree, body);
		body_free(b, body);
	}
}

void
bodies_set_room(struct bodies *b, uint64_t room)
{
	b->room = room;
}

uint64_t
bodies_octets(const struct bodies *b)
{
	return b->octets;
}

struct body *
bodies_take(struct bodies *b, uint32_t sender, uint64_t id)
{
	struct body *body;

	if ((body = find_body(b, sender, id)) == NULL || !body->last)
		return NULL;
	RB_REMOVE(body_tree, &b->tree, body);
	return body;
}

int
body_is_whole(const struct body *body, uint64_t size)
{
	return body->failed || body->size == size;
}

void
body_seal(struct body *body, uint32_t msgid)
{
	if (body->spool != NULL)
		store_spool_seal(body->spool, msgid);
}

int
body_is_pending(const struct body *body)
{
	return body->spool != NULL &&
	    store_spool_state(body->spool) == STORE_SPOOL_OPEN;
}

int
body_content(struct body *body, struct store_content *content)
{
	static const uint8_t nothing[1];

	if (body->failed ||
	    (body->spool != NULL &&
		store_spool_state(body->spool) == STORE_SPOOL_FAILED))
		return -1;
	memset(content, 0, sizeof(*content));
	content->size = body->size;
	content->crc = body->crc;
	if (body->spool != NULL)
		content->spool = body->spool;
	else
		content->data = body->data != NULL ? body->data : nothing;
	return 0;
}
