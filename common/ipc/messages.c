/*
 * The codec that messages.tbl generates. Called by channel.c for every
 * message; trusts nothing in what it decodes.
 */
#include <stdlib.h>
#include <string.h>

#include "ipc/messages.h"

struct reader {
	const uint8_t *p;
	const uint8_t *end;
	int bad;
};

static const char *const process_names[PROC_MAX] = {
	[PROC_MASTER] = "relaisd",
	[PROC_SMTPD] = "smtpd",
	[PROC_QUEUE] = "queue",
	[PROC_DELIVER] = "deliver",
	[PROC_AUTH] = "auth",
	[PROC_KEYS] = "keys",
	[PROC_RESOLVER] = "resolver",
	[PROC_LOCAL] = "local",
	[PROC_CONTROL] = "control",
};

const char *
process_name(enum process_kind kind)
{
	return kind < PROC_MAX ? process_names[kind] : "unknown";
}

/* ---- buffers ---------------------------------------------------------- */

void
ipc_buf_free(struct ipc_buf *b)
{
	free(b->data);
	memset(b, 0, sizeof(*b));
}

void
ipc_buf_reset(struct ipc_buf *b)
{
	b->len = 0;
	b->count = 0;
	b->failed = b->no_memory = 0;
}

void
ipc_buf_put(struct ipc_buf *b, const void *data, size_t len)
{
	size_t limit = b->limit != 0 ? b->limit : 2 * (size_t)IPC_MAX_PAYLOAD;
	uint8_t *grown;
	size_t cap;

	if (b->failed || len == 0)
		return;
	/* cap may be over the limit, len never is */
	if (len > limit - b->len) {
		b->failed = 1;
		return;
	}
	if (len > b->cap - b->len) {
		for (cap = b->cap ? b->cap : 512; cap - b->len < len;)
			cap *= 2;
		if ((grown = realloc(b->data, cap)) == NULL) {
			b->failed = b->no_memory = 1;
			return;
		}
		b->data = grown;
		b->cap = cap;
	}
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

struct ipc_list
ipc_buf_list(const struct ipc_buf *b)
{
	return (struct ipc_list){ b->data, b->len, b->count };
}

struct ipc_blob
ipc_blob(const void *data, size_t len)
{
	return (struct ipc_blob){ data, len };
}

/* ---- primitives ------------------------------------------------------- */

static void
put_uint(struct ipc_buf *b, uint64_t v, int octets)
{
	uint8_t raw[8];

	for (int i = 0; i < octets; i++)
		raw[i] = (uint8_t)(v >> (8 * (octets - 1 - i)));
	ipc_buf_put(b, raw, (size_t)octets);
}

static void
put_str(struct ipc_buf *b, const char *s, size_t limit)
{
	size_t len;

	if (s == NULL)
		s = "";
	if ((len = strlen(s)) > limit) {
		b->failed = 1;
		return;
	}
	put_uint(b, len, 4);
	ipc_buf_put(b, s, len + 1);
}

static void
put_blob(struct ipc_buf *b, const struct ipc_blob *blob, size_t limit)
{
	if (blob->len > limit) {
		b->failed = 1;
		return;
	}
	put_uint(b, blob->len, 4);
	ipc_buf_put(b, blob->data, blob->len);
}

static void
put_list(struct ipc_buf *b, const struct ipc_list *list, uint32_t limit)
{
	if (list->count > limit || list->len > IPC_MAX_PAYLOAD) {
		b->failed = 1;
		return;
	}
	put_uint(b, list->len, 4);
	put_uint(b, list->count, 4);
	ipc_buf_put(b, list->data, list->len);
}

static uint64_t
get_uint(struct reader *r, int octets)
{
	uint64_t v = 0;

	if (r->bad || r->end - r->p < octets) {
		r->bad = 1;
		return 0;
	}
	for (int i = 0; i < octets; i++)
		v = v << 8 | *r->p++;
	return v;
}

static const char *
get_str(struct reader *r, size_t limit)
{
	size_t len = get_uint(r, 4);
	const char *s = (const char *)r->p;

	if (r->bad || len > limit || (size_t)(r->end - r->p) < len + 1 ||
	    s[len] != '\0' || memchr(s, '\0', len) != NULL) {
		r->bad = 1;
		return "";
	}
	r->p += len + 1;
	return s;
}

static struct ipc_blob
get_blob(struct reader *r, size_t limit)
{
	size_t len = get_uint(r, 4);
	const uint8_t *data = r->p;

	if (r->bad || len > limit || (size_t)(r->end - r->p) < len) {
		r->bad = 1;
		return ipc_blob(NULL, 0);
	}
	r->p += len;
	return ipc_blob(data, len);
}

static struct ipc_list
get_list_frame(struct reader *r, uint32_t limit)
{
	size_t len = get_uint(r, 4);
	uint32_t count = (uint32_t)get_uint(r, 4);
	const uint8_t *data = r->p;

	if (r->bad || count > limit || (size_t)(r->end - r->p) < len) {
		r->bad = 1;
		return (struct ipc_list){ NULL, 0, 0 };
	}
	r->p += len;
	return (struct ipc_list){ data, len, count };
}

/* Walks a list with its record's decoder, so that a list which leaves this
 * file holds exactly `count` well-formed records. */
static void
check_list(struct reader *r, const struct ipc_list *list,
    void (*get)(struct reader *, void *), void *scratch)
{
	struct reader in = { list->data, list->data + list->len, r->bad };

	for (uint32_t i = 0; i < list->count && !in.bad; i++)
		get(&in, scratch);
	if (in.bad || in.p != in.end)
		r->bad = 1;
}

/* ---- generated encoders and decoders ---------------------------------- */

#define RECORD(name)                                             \
	static void put_##name(struct ipc_buf *b, const void *v) \
	{                                                        \
		const struct msg_##name *m = v;
#define END_RECORD(name) }
#define MESSAGE(name, edges, fd) RECORD(name)
#define END(name) }
#define U8(f) put_uint(b, m->f, 1);
#define U16(f) put_uint(b, m->f, 2);
#define U32(f) put_uint(b, m->f, 4);
#define U64(f) put_uint(b, m->f, 8);
#define STR(f, limit) put_str(b, m->f, limit);
#define BLOB(f, limit) put_blob(b, &m->f, limit);
#define LIST(f, record, limit) put_list(b, &m->f, limit);
#include "ipc/messages.tbl"

#define RECORD(name)                                      \
	static void get_##name(struct reader *r, void *v) \
	{                                                 \
		struct msg_##name *m = v;
#define END_RECORD(name) }
#define MESSAGE(name, edges, fd) RECORD(name)
#define END(name) }
#define U8(f) m->f = (uint8_t)get_uint(r, 1);
#define U16(f) m->f = (uint16_t)get_uint(r, 2);
#define U32(f) m->f = (uint32_t)get_uint(r, 4);
#define U64(f) m->f = get_uint(r, 8);
#define STR(f, limit) m->f = get_str(r, limit);
#define BLOB(f, limit) m->f = get_blob(r, limit);
#define LIST(f, record, limit)                                \
	do {                                                  \
		struct msg_##record scratch;                  \
		m->f = get_list_frame(r, limit);              \
		check_list(r, &m->f, get_##record, &scratch); \
	} while (0);
#include "ipc/messages.tbl"

#define RECORD(name)                                                         \
	void ipc_add_##name(struct ipc_buf *b, const struct msg_##name *m)   \
	{                                                                    \
		put_##name(b, m);                                            \
		b->count++;                                                  \
	}                                                                    \
	int ipc_next_##name(struct ipc_list *list, struct msg_##name *m)     \
	{                                                                    \
		struct reader r = { list->data, list->data + list->len, 0 }; \
                                                                             \
		if (list->count == 0)                                        \
			return 0;                                            \
		get_##name(&r, m);                                           \
		list->len -= (size_t)(r.p - list->data);                     \
		list->data = r.p;                                            \
		list->count--;                                               \
		return !r.bad;                                               \
	}
#include "ipc/messages.tbl"

/* ---- the table -------------------------------------------------------- */

#define E(a, b) (from == PROC_##a && to == PROC_##b)
#define FROM_MASTER                                                 \
	(E(MASTER, SMTPD) | E(MASTER, QUEUE) | E(MASTER, DELIVER) | \
	    E(MASTER, AUTH) | E(MASTER, KEYS) | E(MASTER, RESOLVER))
#define TO_MASTER                                                   \
	(E(SMTPD, MASTER) | E(QUEUE, MASTER) | E(DELIVER, MASTER) | \
	    E(AUTH, MASTER) | E(KEYS, MASTER) | E(RESOLVER, MASTER))
#define FD 1
#define NOFD 0

static const struct {
	const char *name;
	int fd;
	void (*put)(struct ipc_buf *, const void *);
	void (*get)(struct reader *, void *);
} table[MSG_MAX] = {
#define MESSAGE(name, edges, fd) \
	[MSG_##name] = { #name, fd, put_##name, get_##name },
#include "ipc/messages.tbl"
};

static int
type_is_known(enum msg_type type)
{
	return type > MSG_NONE && type < MSG_MAX;
}

const char *
msg_name(enum msg_type type)
{
	return type_is_known(type) ? table[type].name : "unknown";
}

int
msg_carries_fd(enum msg_type type)
{
	return type_is_known(type) && table[type].fd;
}

int
msg_may_travel(enum msg_type type, enum process_kind from, enum process_kind to)
{
	switch (type) {
#define MESSAGE(name, edges, fd) \
	case MSG_##name:         \
		return edges;
#include "ipc/messages.tbl"
	default:
		return 0;
	}
}

int
msg_are_peers(enum process_kind a, enum process_kind b)
{
	for (int type = 0; type < MSG_MAX; type++)
		if (msg_may_travel((enum msg_type)type, a, b) ||
		    msg_may_travel((enum msg_type)type, b, a))
			return 1;
	return 0;
}

int
msg_encode(enum msg_type type, const void *msg, struct ipc_buf *buf)
{
	size_t before = buf->len;

	if (!type_is_known(type) || buf->failed)
		return -1;
	table[type].put(buf, msg);
	if (buf->failed || buf->len - before > IPC_MAX_PAYLOAD) {
		buf->len = before;
		buf->failed = 0;
		return -1;
	}
	return 0;
}

int
msg_decode(
    enum msg_type type, const uint8_t *data, size_t len, union ipc_msg *msg)
{
	struct reader r = { data, data + len, 0 };

	if (!type_is_known(type))
		return -1;
	table[type].get(&r, msg);
	return r.bad || r.p != r.end ? -1 : 0;
}
