/*
 * The envelope: all that the queue remembers of one message but its body, and
 * the codec of its records. Pure.
 *
 * An envelope is stored as one or more records. Record 0 holds the message
 * and its first ENVELOPE_SEGMENT recipients, each further record the next
 * ENVELOPE_SEGMENT: so the usual message is one record, and what happens to
 * one of 10,000 recipients rewrites a small part and not the whole. Each
 * record is versioned and carries a CRC. The decoder takes any octets: it
 * refuses what is torn, damaged or newer than itself, and never guesses.
 *
 * Strings are never NULL ("" says absent), hold no NUL, and live as long as
 * the envelope. Times are seconds since 1970.
 */
#ifndef QUEUE_ENVELOPE_H
#define QUEUE_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

#define ENVELOPE_VERSION 1
#define ENVELOPE_SEGMENT 32 /* recipients a record */
#define ENVELOPE_RCPTS_MAX (1u << 20) /* as SCHED_RCPT_MAX */
#define ENVELOPE_STRING_MAX 4096
#define ENVELOPE_NO_PARENT UINT32_MAX

/* Where a recipient stands. In flight is not stored: after a crash such a
 * recipient is ready again. */
enum envelope_state {
	ENVELOPE_INCOMING, /* accepted, not expanded yet */
	ENVELOPE_READY, /* to be delivered: next is 0 or past */
	ENVELOPE_WAITING, /* for its next attempt */
	ENVELOPE_HELD, /* by the operator */
	ENVELOPE_DONE,
	ENVELOPE_STATES
};

/* How a recipient was done. */
enum envelope_outcome {
	ENVELOPE_PENDING, /* it is not */
	ENVELOPE_DELIVERED, /* which may have children too, by a .forward */
	ENVELOPE_RELAYED, /* to a host that does not speak DSN */
	ENVELOPE_EXPANDED, /* its children carry on */
	ENVELOPE_BOUNCED,
	ENVELOPE_EXPIRED,
	ENVELOPE_DROPPED, /* failed, nobody may be told */
	/* by the operator; where it is not done that waits for the end of the
	 * transaction that was under way then, see envelope_removing */
	ENVELOPE_REMOVED,
	ENVELOPE_OUTCOMES
};

/*
 * The parts of a recipient's notify: what its sender asked for, which may go on
 * to others, and what is ours alone: the report that is owed of it since it is
 * done, as its enum dsn_action + 1, or 0. See owed.c.
 */
enum envelope_notify {
	ENVELOPE_ASKED = 0x0f,
	ENVELOPE_OWED = 0x70,
	ENVELOPE_OWED_ONE = 0x10
};

enum envelope_body {
	ENVELOPE_BODY_CHUNKS, /* in the database */
	ENVELOPE_BODY_FILE, /* in a file of its own */
	ENVELOPE_BODIES
};

struct envelope_rcpt {
	uint8_t state; /* enum envelope_state */
	uint8_t outcome; /* enum envelope_outcome */
	uint8_t kind; /* enum dest_kind, once expanded */
	uint8_t notify; /* enum smtp_notify bits, and ENVELOPE_OWED */
	uint8_t routed; /* its destination is known: READY, and not
			 * INCOMING, when nothing holds it */
	/* came out of a .forward, or is told as a sender whom we know */
	uint8_t forwarded;
	uint8_t warned; /* delay warnings sent */
	uint8_t depth; /* of expansion, 0 as accepted */
	uint16_t code; /* last reply, 0 for none */
	uint32_t parent; /* index it came from, or ENVELOPE_NO_PARENT */
	uint32_t attempts; /* that failed */
	uint32_t entry; /* with alias, see alias_item.h; of a DEST_USER enum
			 * user_entry, and once it is done ENTRY_MAILBOX if the
			 * mailbox has it */
	int64_t next; /* next attempt, 0: at once */
	int64_t last; /* last attempt, 0: none */
	const char *address;
	const char *orcpt;
	const char *action;
	const char *user;
	const char *alias;
	const char *owner; /* reverse-path instead of the sender, or "" */
	const char *enhanced; /* last status, "5.1.1" */
	const char *text; /* last reply or diagnostic */
	const char *remote; /* name of the host that said it */
};

struct envelope {
	uint32_t msgid;
	uint64_t session;
	uint32_t flags; /* enum mail_flag */
	uint8_t ret; /* enum smtp_ret */
	uint8_t hold; /* the whole message is held */
	uint8_t body; /* enum envelope_body */
	uint32_t body_crc; /* crc32 of gzip, over the body */
	uint64_t body_size; /* octets stored */
	uint64_t size; /* as SIZE counts it */
	int64_t arrival;
	uint32_t lifetime; /* seconds, 0: as the action says */
	const char *sender; /* "" is the null sender */
	const char *envid;
	const char *client_addr;
	const char *client_name;
	const char *helo;
	const char *auth_user;
	const char *tag;
	/* The recipients, by their stable index. To change one ask
	 * envelope_edit, or the change would not be stored. */
	const struct envelope_rcpt *rcpts;
	uint32_t rcpt_count;
	struct envelope_priv *priv;
};

/* A growing buffer of the encoder; all zero is empty. */
struct envelope_buf {
	uint8_t *data;
	size_t len;
	size_t size;
};
void envelope_buf_free(struct envelope_buf *);

/* NULL without memory. All strings are "", parent-less, no recipients. */
struct envelope *envelope_new(uint32_t msgid);
void envelope_free(struct envelope *);
/* As new, but keeps its memory for the next message. */
void envelope_reset(struct envelope *, uint32_t msgid);

/* Points *field, of this envelope or of a recipient of it, to a copy of value
 * (cut at ENVELOPE_STRING_MAX octets; NULL is ""). Without memory the
 * envelope becomes unfit: see envelope_fit. */
void envelope_set(struct envelope *, const char **field, const char *value);
/* What all recipients start as. */
void envelope_rcpt_init(struct envelope_rcpt *);
/* Appends a copy of a recipient and of its strings. Returns its index, or
 * ENVELOPE_NO_PARENT when there are ENVELOPE_RCPTS_MAX or memory is out. */
uint32_t envelope_add(struct envelope *, const struct envelope_rcpt *);
/* A recipient to be changed; valid until the next envelope_add. */
struct envelope_rcpt *envelope_edit(struct envelope *, uint32_t index);
/* Says that fields of the message itself were changed. */
void envelope_touch(struct envelope *);
/* 0 once memory ran out for it: it must not be stored then. */
int envelope_fit(const struct envelope *);
/* 1 when no recipient is left that is not done. */
int envelope_finished(const struct envelope *);
/* 1 when the operator removed it while it was under way. */
int envelope_removing(const struct envelope_rcpt *);

/* How many records the envelope takes, and which must be written since it
 * was decoded, created or marked clean. */
uint32_t envelope_records(const struct envelope *);
int envelope_changed(const struct envelope *, uint32_t record);
void envelope_clean(struct envelope *);

/* Appends record n to out. -1 without memory or when the envelope is unfit,
 * out is then as before. */
int envelope_encode(
    const struct envelope *, uint32_t n, struct envelope_buf *out);
/*
 * Decodes record n of a message; records are given in order, the first one
 * into an envelope fresh from new or reset. -1 with the reason in error (size
 * octets): the envelope is then only fit for reset and free, and errno is
 * ENOMEM if it was not the record's fault. After the last record
 * envelope_complete tells whether all came.
 */
int envelope_decode(struct envelope *, uint32_t n, const uint8_t *, size_t,
    char *error, size_t size);
int envelope_complete(const struct envelope *);

/* The account whose mailbox the recipient is; "" for another kind, and before
 * it is expanded. */
const char *envelope_account(const struct envelope_rcpt *);

/* The id that people see of one recipient: print as %016llx. */
uint64_t envelope_evpid(uint32_t msgid, uint32_t index);

#endif
