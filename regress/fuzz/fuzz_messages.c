/*
 * Messages between processes, had anyone tampered with them. Input: the type
 * in two octets, then the payload. What decodes has only good records in its
 * lists, and encodes to the same octets again.
 *
 * The mutator knows the fields of messages.tbl: it changes one and keeps the
 * lengths around it true, since few random changes get past the decoder.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);
size_t LLVMFuzzerMutate(uint8_t *, size_t, size_t);
size_t LLVMFuzzerCustomMutator(uint8_t *, size_t, size_t, unsigned);

/* ---- the property ----------------------------------------------------- */

static void
must_equal(const struct ipc_buf *again, const uint8_t *data, size_t len)
{
	if (again->failed || again->len != len ||
	    (len > 0 && memcmp(again->data, data, len) != 0))
		abort();
}

#define RECORD(name)                                        \
	static void check_list_##name(struct ipc_list list) \
	{                                                   \
		struct ipc_list rest = list;                \
		struct ipc_buf again = { 0 };               \
		struct msg_##name r;                        \
		while (ipc_next_##name(&rest, &r))          \
			ipc_add_##name(&again, &r);         \
		if (again.count != list.count)              \
			abort();                            \
		must_equal(&again, list.data, list.len);    \
		ipc_buf_free(&again);                       \
	}
#define END_RECORD(name)
#define MESSAGE(name, edges, fd)
#define END(name)
#define U8(f)
#define U16(f)
#define U32(f)
#define U64(f)
#define STR(f, limit)
#define BLOB(f, limit)
#define LIST(f, record, limit)
#include "ipc/messages.tbl"

/* Lists of records stand in messages only, so `m` is the message's own. */
#define RECORD(name)                                                          \
	static inline void check_fields_of_##name(const struct msg_##name *m) \
	{
#define END_RECORD(name) \
	(void)m;         \
	}
#define MESSAGE(name, edges, fd)                  \
	static void check_##name(const void *msg) \
	{                                         \
		const struct msg_##name *m = msg;
#define END(name) \
	(void)m;  \
	}
#define U8(f)
#define U16(f)
#define U32(f)
#define U64(f)
#define STR(f, limit)               \
	if (strlen(m->f) > (limit)) \
		abort();
#define BLOB(f, limit)          \
	if (m->f.len > (limit)) \
		abort();
#define LIST(f, record, limit)    \
	if (m->f.count > (limit)) \
		abort();          \
	check_list_##record(m->f);
#include "ipc/messages.tbl"

static void (*const checks[MSG_MAX])(const void *) = {
#define RECORD(name)
#define END_RECORD(name)
#define MESSAGE(name, edges, fd) [MSG_##name] = check_##name,
#define END(name)
#define U8(f)
#define U16(f)
#define U32(f)
#define U64(f)
#define STR(f, limit)
#define BLOB(f, limit)
#define LIST(f, record, limit)
#include "ipc/messages.tbl"
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ipc_buf again = { 0 };
	union ipc_msg m;
	unsigned type;

	if (size < 2)
		return 0;
	type = (unsigned)data[0] << 8 | data[1];
	data += 2;
	size -= 2;
	if (type == MSG_NONE || type >= MSG_MAX ||
	    msg_decode((enum msg_type)type, data, size, &m) == -1)
		return 0;
	checks[type](&m);
	if (msg_encode((enum msg_type)type, &m, &again) == -1)
		abort();
	must_equal(&again, data, size);
	ipc_buf_free(&again);
	return 0;
}

/* ---- the mutator ------------------------------------------------------ */

enum kind { A_MESSAGE, A_RECORD, NUMBER, TEXT, OCTETS, RECORDS };

/* The table in one row: each message and record, its fields behind it. */
static const struct field {
	enum kind kind;
	unsigned size; /* octets of a number, the type of a message */
	const char *name; /* of the record */
} fields[] = {
#define RECORD(name) { A_RECORD, 0, #name },
#define END_RECORD(name)
#define MESSAGE(name, edges, fd) { A_MESSAGE, MSG_##name, NULL },
#define END(name)
#define U8(f) { NUMBER, 1, NULL },
#define U16(f) { NUMBER, 2, NULL },
#define U32(f) { NUMBER, 4, NULL },
#define U64(f) { NUMBER, 8, NULL },
#define STR(f, limit) { TEXT, 0, NULL },
#define BLOB(f, limit) { OCTETS, 0, NULL },
#define LIST(f, record, limit) { RECORDS, 0, #record },
#include "ipc/messages.tbl"
	{ A_MESSAGE, MSG_MAX, NULL } /* the end of the last one */
};

enum { ROOM = 1 << 16 };

struct rewrite {
	const uint8_t *in, *end;
	uint8_t *out; /* ROOM octets */
	size_t len;
	unsigned target; /* the field to change, counted from 0 */
	unsigned seen;
	uint32_t dice;
	int bad;
};

static uint32_t
roll(struct rewrite *w)
{
	w->dice = w->dice * 1664525 + 1013904223;
	return w->dice >> 8;
}

static uint32_t
take_u32(struct rewrite *w)
{
	uint32_t n = 0;

	if (w->end - w->in < 4) {
		w->bad = 1;
		return 0;
	}
	for (int i = 0; i < 4; i++)
		n = n << 8 | *w->in++;
	return n;
}

static void
put(struct rewrite *w, const void *data, size_t len)
{
	if (len > ROOM - w->len) {
		w->bad = 1;
		return;
	}
	memcpy(w->out + w->len, data, len);
	w->len += len;
}

static void
put_u32(uint8_t *p, size_t n)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(n >> (24 - 8 * i));
}

static void
rewrite_number(struct rewrite *w, unsigned size, int hit)
{
	static const uint8_t edges[] = { 0, 1, 0x7f, 0x80, 0xff };
	uint8_t raw[8];

	if ((size_t)(w->end - w->in) < size) {
		w->bad = 1;
		return;
	}
	memcpy(raw, w->in, size);
	w->in += size;
	if (hit && roll(w) % 2)
		memset(raw, edges[roll(w) % sizeof(edges)], size);
	else if (hit)
		raw[size - 1] = (uint8_t)roll(w);
	put(w, raw, size);
}

/* A text keeps its NUL behind and gets none inside. */
static void
rewrite_octets(struct rewrite *w, int is_text, int hit)
{
	uint8_t raw[4096 + 1];
	size_t len = take_u32(w), behind = is_text ? 1 : 0;

	if (w->bad || (size_t)(w->end - w->in) < len + behind ||
	    len > sizeof(raw) - 1) {
		w->bad = 1;
		return;
	}
	memcpy(raw, w->in, len);
	w->in += len + behind;
	if (hit)
		len = LLVMFuzzerMutate(raw, len, sizeof(raw) - 1);
	for (size_t i = 0; is_text && i < len; i++)
		if (raw[i] == 0)
			raw[i] = '0';
	raw[len] = 0;
	put(w, "\0\0\0\0", 4);
	if (!w->bad)
		put_u32(w->out + w->len - 4, len);
	put(w, raw, len + behind);
}

static void rewrite_fields(struct rewrite *, const struct field *);

static const struct field *
record_named(const char *name)
{
	const struct field *f = fields;

	while (f->kind != A_RECORD || strcmp(f->name, name) != 0)
		f++;
	return f;
}

/* A list that is hit loses a record or has one twice; else the field may lie
 * in a record. */
static void
rewrite_list(struct rewrite *w, const struct field *list, int hit)
{
	const struct field *record = record_named(list->name);
	uint32_t len = take_u32(w), count = take_u32(w), n = count;
	uint32_t which = count > 0 ? roll(w) % count : 0;
	size_t head = w->len, at;
	const uint8_t *end;

	if (w->bad || (size_t)(w->end - w->in) < len) {
		w->bad = 1;
		return;
	}
	end = w->in + len;
	put(w, "\0\0\0\0\0\0\0\0", 8);
	for (uint32_t i = 0; i < count && !w->bad && w->in < end; i++) {
		at = w->len;
		rewrite_fields(w, record);
		if (!hit || i != which || w->bad)
			continue;
		if (roll(w) % 2) {
			w->len = at;
			n--;
		} else if (w->len - at <= ROOM - w->len) {
			put(w, w->out + at, w->len - at);
			n++;
		}
	}
	if (w->bad || w->in != end) {
		w->bad = 1;
		return;
	}
	put_u32(w->out + head, w->len - head - 8);
	put_u32(w->out + head + 4, n);
}

static void
rewrite_fields(struct rewrite *w, const struct field *f)
{
	for (f++; f->kind != A_MESSAGE && f->kind != A_RECORD && !w->bad; f++) {
		int hit = w->seen++ == w->target;

		if (f->kind == NUMBER)
			rewrite_number(w, f->size, hit);
		else if (f->kind == RECORDS)
			rewrite_list(w, f, hit);
		else
			rewrite_octets(w, f->kind == TEXT, hit);
	}
}

static const struct field *
message_of(unsigned type)
{
	const struct field *f = fields;

	while (f->kind != A_MESSAGE || (f->size != type && f->size != MSG_MAX))
		f++;
	return f;
}

/* Each field of a message with nothing in it. */
static size_t
make_empty(uint8_t *data, size_t max, unsigned type)
{
	const struct field *f = message_of(type);
	size_t len = 2, n;

	data[0] = (uint8_t)(type >> 8);
	data[1] = (uint8_t)type;
	for (f++; f->kind != A_MESSAGE && f->kind != A_RECORD; f++) {
		n = f->kind == NUMBER    ? f->size
		    : f->kind == TEXT    ? 5
		    : f->kind == RECORDS ? 8
					 : 4;
		if (n > max - len)
			return len;
		memset(data + len, 0, n);
		len += n;
	}
	return len;
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	static uint8_t out[ROOM];
	struct rewrite w = { .out = out, .dice = seed };
	unsigned type = size >= 2 ? (unsigned)data[0] << 8 | data[1] : 0;

	if (max < 2 || roll(&w) % 8 == 0)
		return LLVMFuzzerMutate(data, size, max);
	if (type == MSG_NONE || type >= MSG_MAX || roll(&w) % 64 == 0)
		return make_empty(data, max, 1 + roll(&w) % (MSG_MAX - 1));
	w.in = data + 2;
	w.end = data + size;
	w.target = roll(&w) % 24;
	rewrite_fields(&w, message_of(type));
	if (w.bad || w.in != w.end || w.len > max - 2)
		return LLVMFuzzerMutate(data, size, max);
	memcpy(data + 2, out, w.len);
	return w.len + 2;
}
