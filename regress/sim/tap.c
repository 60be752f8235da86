/*
 * Listens to a channel: puts the frames together and shows the judge what
 * matters to him.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "tap.h"

enum { HEAD = 8 };

struct tap {
	enum process_kind from;
	enum process_kind to;
	uint16_t instance;
	struct ipc_buf buf;
};

struct tap *
tap_new(enum process_kind from, enum process_kind to, uint16_t instance)
{
	struct tap *t = calloc(1, sizeof(*t));

	if (t == NULL)
		fail("out of memory");
	t->from = from;
	t->to = to;
	t->instance = instance;
	return t;
}

static int
matters(unsigned type)
{
	return type == MSG_transfer || type == MSG_transfer_done ||
	    type == MSG_local_delivery || type == MSG_local_done;
}

static size_t
length(const uint8_t *p)
{
	return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 |
	    p[3];
}

void
tap_hear(struct tap *t, const void *data, size_t len)
{
	union ipc_msg msg;
	size_t at = 0, n;
	unsigned type;

	ipc_buf_put(&t->buf, data, len);
	while (t->buf.len - at >= HEAD) {
		const uint8_t *p = t->buf.data + at;

		n = length(p);
		if (t->buf.len - at < HEAD + n)
			break;
		type = (unsigned)p[4] << 8 | p[5];
		if (matters(type)) {
			if (msg_decode(
				(enum msg_type)type, p + HEAD, n, &msg) == -1)
				fail("a malformed %s",
				    msg_name((enum msg_type)type));
			check_message(t->from, t->to, t->instance,
			    (enum msg_type)type, &msg);
		}
		at += HEAD + n;
	}
	t->buf.len -= at;
	memmove(t->buf.data, t->buf.data + at, t->buf.len);
}
