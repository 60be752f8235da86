/*
 * See messages_fields.h.
 */
#include <string.h>

#include "regress/fuzz/messages_fields.h"

#define RECORD(name) static const struct message_field fields_##name[] = {
#define END_RECORD(name)           \
	{                          \
		FIELD_END, 0, NULL \
	}                          \
	}                          \
	;
#define MESSAGE(name, edges, fd) RECORD(name)
#define END(name) END_RECORD(name)
#define U8(f) { FIELD_U8, 0, NULL },
#define U16(f) { FIELD_U16, 0, NULL },
#define U32(f) { FIELD_U32, 0, NULL },
#define U64(f) { FIELD_U64, 0, NULL },
#define STR(f, limit) { FIELD_STR, limit, NULL },
#define BLOB(f, limit) { FIELD_BLOB, limit, NULL },
#define LIST(f, record, limit) { FIELD_LIST, limit, fields_##record },
#include "ipc/messages.tbl"

const struct message_field *
message_fields(enum msg_type type)
{
	static const struct message_field *const table[MSG_MAX] = {
#define MESSAGE(name, edges, fd) [MSG_##name] = fields_##name,
#include "ipc/messages.tbl"
	};

	return type < MSG_MAX ? table[type] : NULL;
}

static uint32_t
get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3];
}

size_t
message_field_length(
    const struct message_field *f, const uint8_t *p, size_t left)
{
	size_t len;

	if (f->kind <= FIELD_U64)
		len = f->kind;
	else if (left < 4)
		return 0;
	else if (f->kind == FIELD_STR)
		len = 4 + (size_t)get_u32(p) + 1;
	else
		len = (f->kind == FIELD_BLOB ? 4 : 8) + (size_t)get_u32(p);
	return len <= left ? len : 0;
}

/* ---- changes ---------------------------------------------------------- */

static size_t
change_octets(const struct message_field *f, struct dice *d, uint8_t *p,
    size_t len, size_t room)
{
	size_t behind = f->kind == FIELD_STR, want = len - 4 - behind;

	switch (dice_roll(d, 4)) {
	case 0: /* at its limit, or one over */
		want = f->limit + dice_roll(d, 2);
		if (4 + want + behind > room)
			want = room - 4 - behind;
		memset(p + 4, 'a' + (int)dice_roll(d, 26), want);
		break;
	case 1: /* a length that is not its own */
		fuzz_put_number(p, 4, dice_number(d));
		return len;
	default:
		want = fuzz_octets(p + 4, want, room - 4 - behind);
	}
	fuzz_put_number(p, 4, want);
	/* a NUL inside is for libFuzzer's own mutations to make */
	if (behind) {
		for (size_t i = 0; i < want; i++)
			p[4 + i] |= p[4 + i] == 0;
		p[4 + want] = 0;
	}
	return 4 + want + behind;
}

static size_t
record_length(const struct message_field *f, const uint8_t *p, size_t left)
{
	size_t len = 0, n;

	for (; f->kind != FIELD_END; f++, len += n)
		if ((n = message_field_length(f, p + len, left - len)) == 0)
			return 0;
	return len;
}

size_t
message_empty(const struct message_field *f, uint8_t *p, size_t room)
{
	size_t len = 0, n;

	for (; f->kind != FIELD_END; f++, len += n) {
		n = f->kind <= FIELD_U64    ? f->kind
		    : f->kind == FIELD_STR  ? 5
		    : f->kind == FIELD_BLOB ? 4
					    : 8;
		if (n > room - len)
			return 0;
		memset(p + len, 0, n);
	}
	return len;
}

/* Finds any of the records: where it begins, and its length. */
static size_t
any_record(const struct message_field *f, struct dice *d, const uint8_t *p,
    size_t len, size_t *at)
{
	size_t n, found = 0, pos = 8;
	uint32_t seen = 0;

	for (; pos < len && (n = record_length(f->record, p + pos, len - pos));
	     pos += n)
		if (dice_roll(d, ++seen) == 0) {
			*at = pos;
			found = n;
		}
	return found;
}

static size_t
change_list(const struct message_field *f, struct dice *d, uint8_t *p,
    size_t len, size_t room)
{
	uint32_t count = get_u32(p + 4);
	size_t at = 8, n = any_record(f, d, p, len, &at), now = n;

	switch (n == 0 ? 1 : dice_roll(d, 4)) {
	case 0: /* once more */
		if (n > room - len)
			return len;
		memmove(p + at + n, p + at, len - at);
		now = 2 * n;
		count++;
		break;
	case 1: /* one more at the end */
		at = len;
		n = 0;
		now = message_empty(f->record, p + len, room - len);
		count += now > 0;
		break;
	case 2:
		memmove(p + at, p + at + n, len - at - n);
		now = 0;
		count--;
		break;
	default: /* a change inside, with what is behind it kept */
		memmove(p + room - (len - at - n), p + at + n, len - at - n);
		now = message_change(
		    f->record, d, p + at, n, room - at - (len - at - n));
		memmove(p + at + now, p + room - (len - at - n), len - at - n);
	}
	len = len - n + now;
	fuzz_put_number(p, 4, len - 8);
	fuzz_put_number(
	    p + 4, 4, dice_roll(d, 16) == 0 ? dice_number(d) : count);
	return len;
}

size_t
message_field_change(const struct message_field *f, struct dice *d,
    uint8_t *field, size_t len, size_t room)
{
	if (f->kind == FIELD_LIST)
		return change_list(f, d, field, len, room);
	if (f->kind == FIELD_STR || f->kind == FIELD_BLOB)
		return change_octets(f, d, field, len, room);
	fuzz_put_number(field, (unsigned)f->kind, dice_number(d));
	return len;
}

size_t
message_change(const struct message_field *f, struct dice *d, uint8_t *payload,
    size_t len, size_t room)
{
	const struct message_field *chosen = NULL;
	size_t at = 0, where = 0, n, chosen_len = 0, behind, now;
	uint32_t seen = 0;
	uint8_t *tail;

	for (; f->kind != FIELD_END; f++, at += n) {
		if ((n = message_field_length(f, payload + at, len - at)) == 0)
			break;
		if (dice_roll(d, ++seen) == 0) {
			chosen = f;
			where = at;
			chosen_len = n;
		}
	}
	if (chosen == NULL)
		return fuzz_octets(payload, len, room);
	behind = len - where - chosen_len;
	if ((tail = malloc(behind + 1)) == NULL)
		return len;
	memcpy(tail, payload + where + chosen_len, behind);
	now = message_field_change(
	    chosen, d, payload + where, chosen_len, room - where - behind);
	memcpy(payload + where + now, tail, behind);
	free(tail);
	return where + now + behind;
}
