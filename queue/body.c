/*
 * See body.h. Called for each body_data by the queue's main file; what
 * arrives comes from smtpd, which may have been taken over: so it is counted
 * and may only be what the rules allow.
 */
#include <sys/tree.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

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
	struct store_spool spool;
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
	uint64_t octets;
};

struct bodies *
bodies_new(struct store *st, size_t limit)
{
	struct bodies *b;

	if ((b = calloc(1, sizeof(*b))) == NULL)
		return NULL;
	b->st = st;
	b->limit = limit;
	RB_INIT(&b->tree);
	return b;
}

void
body_free(struct bodies *b, struct body *body)
{
	if (body == NULL)
		return;
	b->octets -= body->size;
	store_spool_close(b->st, &body->spool);
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
	body->spool.fd = -1;
	body->crc = (uint32_t)crc32_z(0, NULL, 0);
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
write_all(int fd, const uint8_t *data, size_t len)
{
	ssize_t n;

	for (; len > 0; data += n, len -= (size_t)n) {
		n = write(fd, data, len);
		if (n == -1 && errno == EINTR)
			n = 0;
		else if (n == -1) {
			log_error("incoming: write: %s", strerror(errno));
			return -1;
		}
	}
	return 0;
}

static int
keep_in_file(
    struct bodies *b, struct body *body, const uint8_t *data, size_t len)
{
	if (body->spool.fd == -1) {
		if (store_spool_open(b->st, &body->spool) != STORE_OK) {
			body->spool.fd = -1;
			return -1;
		}
		if (write_all(body->spool.fd, body->data, (size_t)body->size) ==
		    -1)
			return -1;
		free(body->data);
		body->data = NULL;
		body->data_size = 0;
	}
	return write_all(body->spool.fd, data, len);
}

/* What cannot be kept leaves nothing but the mark that it failed. */
static void
give_up(struct bodies *b, struct body *body)
{
	body->failed = 1;
	b->octets -= body->size;
	body->size = 0;
	store_spool_close(b->st, &body->spool);
	free(body->data);
	body->data = NULL;
	body->data_size = 0;
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
		if ((body = new_body(b, sender, id)) == NULL)
			return BODY_FAILED;
	}
	if (body->last || (len == 0 && !last))
		return BODY_FORBIDDEN;
	body->last = last;
	if (body->failed)
		return BODY_FAILED;
	if (body->spool.fd == -1 && body->size + len <= STORE_INLINE)
		rc = keep_in_memory(body, data, len);
	else
		rc = keep_in_file(b, body, data, len);
	if (rc == -1) {
		give_up(b, body);
		return BODY_FAILED;
	}
	body->crc = (uint32_t)crc32_z(body->crc, data, len);
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
body_content(struct body *body, struct store_content *content)
{
	static const uint8_t nothing[1];

	if (body->failed)
		return -1;
	memset(content, 0, sizeof(*content));
	content->size = body->size;
	content->crc = body->crc;
	if (body->spool.fd != -1)
		content->spool = &body->spool;
	else
		content->data = body->data != NULL ? body->data : nothing;
	return 0;
}
