/*
 * The fields of every message of messages.tbl, and how they stand in a
 * payload: for mutators that change a message field by field.
 */
#ifndef FUZZ_MESSAGES_FIELDS_H
#define FUZZ_MESSAGES_FIELDS_H

#include "ipc/messages.h"
#include "regress/fuzz/fuzz.h"

enum message_field_kind {
	FIELD_END,
	FIELD_U8 = 1, /* the value is the width */
	FIELD_U16 = 2,
	FIELD_U32 = 4,
	FIELD_U64 = 8,
	FIELD_STR,
	FIELD_BLOB,
	FIELD_LIST
};

struct message_field {
	enum message_field_kind kind;
	uint32_t limit;
	const struct message_field *record; /* of a list */
};

/* The fields of a message, ended by FIELD_END; NULL for no such message. */
const struct message_field *message_fields(enum msg_type);
/* Octets of the field that begins at p, of `left`; 0 if it does not fit. */
size_t message_field_length(
    const struct message_field *, const uint8_t *p, size_t left);
/* Changes a field of len octets, which may grow to room; its new length. */
size_t message_field_change(const struct message_field *, struct dice *,
    uint8_t *field, size_t len, size_t room);
/* The same for one of the fields of a whole payload. */
size_t message_change(const struct message_field *, struct dice *,
    uint8_t *payload, size_t len, size_t room);
/* Writes the least payload that has these fields; 0 if there is no room. */
size_t message_empty(const struct message_field *, uint8_t *, size_t room);

#endif
