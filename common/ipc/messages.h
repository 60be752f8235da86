/*
 * What processes say to each other: the structs of messages.tbl and their
 * codec. Pure: no socket, no event loop.
 *
 * Wire form: integers in network order; STR and BLOB as a u32 length and the
 * octets, a STR with its NUL behind; LIST as a u32 octet length, a u32 count
 * and the encoded records. The decoder checks every length against its limit,
 * every terminator, and that nothing follows the last field, so a decoded
 * struct may be used without further checks of form. Its pointers lead into
 * the buffer that was decoded and live as long as that.
 */
#ifndef IPC_MESSAGES_H
#define IPC_MESSAGES_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/enums.h"

/* The largest payload of one message. */
#define IPC_MAX_PAYLOAD (16u << 20)
/* Octets of the recipients of a submit that leave room for the largest body
 * inside it and for all other fields. */
#define SUBMIT_RCPTS_OCTETS (IPC_MAX_PAYLOAD - BODY_INLINE - 4096)

struct ipc_blob {
	const uint8_t *data;
	size_t len;
};

/* Encoded records, valid by the time anyone sees them. */
struct ipc_list {
	const uint8_t *data;
	size_t len;
	uint32_t count;
};

/* A growable octet buffer. `failed` is set once memory ran out, and then
 * stays: check it once after the last put. */
struct ipc_buf {
	uint8_t *data;
	size_t len;
	size_t cap;
	size_t limit; /* octets; 0: twice IPC_MAX_PAYLOAD */
	uint32_t count; /* records added, when used for a list */
	int failed;
	int no_memory; /* why it failed */
};

void ipc_buf_free(struct ipc_buf *);
void ipc_buf_reset(struct ipc_buf *);
void ipc_buf_put(struct ipc_buf *, const void *, size_t);
/* The list that the records added to buf form; borrows buf. */
struct ipc_list ipc_buf_list(const struct ipc_buf *);
struct ipc_blob ipc_blob(const void *, size_t);

enum msg_type {
	MSG_NONE,
#define MESSAGE(name, edges, fd) MSG_##name,
#include "ipc/messages.tbl"
	MSG_MAX
};

/* struct msg_NAME for each message and record */
#define RECORD(name) struct msg_##name {
#define END_RECORD(name) \
	}                \
	;
#define MESSAGE(name, edges, fd) struct msg_##name {
#define END(name) \
	}         \
	;
#define U8(f) uint8_t f;
#define U16(f) uint16_t f;
#define U32(f) uint32_t f;
#define U64(f) uint64_t f;
#define STR(f, limit) const char *f;
#define BLOB(f, limit) struct ipc_blob f;
#define LIST(f, record, limit) struct ipc_list f;
#include "ipc/messages.tbl"

/* Any decoded message, one member for each. */
union ipc_msg {
#define MESSAGE(name, edges, fd) struct msg_##name name;
#include "ipc/messages.tbl"
};

/*
 * ipc_add_RECORD(buf, record) appends a record to a list under construction.
 * ipc_next_RECORD(list, record) takes the next record off a decoded list,
 * advancing it; 0 at the end.
 */
#define RECORD(name)                                                      \
	void ipc_add_##name(struct ipc_buf *, const struct msg_##name *); \
	int ipc_next_##name(struct ipc_list *, struct msg_##name *);
#include "ipc/messages.tbl"

const char *msg_name(enum msg_type);
/* Whether a descriptor must travel with the message (and otherwise may not).*/
int msg_carries_fd(enum msg_type);
/* Whether the message may go from one kind of process to the other. */
int msg_may_travel(enum msg_type, enum process_kind, enum process_kind);
/* Whether any message may go between the two, in one direction or both: they
 * need a channel. */
int msg_are_peers(enum process_kind, enum process_kind);

/* Appends the payload of a message, `msg` being its struct. A string or list
 * over its limit is an error of the caller: -1, and buf is as before. */
int msg_encode(enum msg_type, const void *msg, struct ipc_buf *buf);
/* Fills *msg from a payload. -1 if it is malformed. */
int msg_decode(enum msg_type, const uint8_t *, size_t, union ipc_msg *msg);

#endif
