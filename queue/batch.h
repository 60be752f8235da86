/*
 * What is to be written to the store, gathered over a turn of the loop and
 * made durable in one transaction: new messages, changed envelopes, removals.
 *
 * A changed envelope is read once and written once a batch, however many
 * changes it sees; everyone who wants it meanwhile gets the same one. When
 * new messages cannot be stored they are refused and the changes are written
 * without them; when changes cannot be stored the process ends, for what it
 * remembers is then no longer what the disk says.
 */
#ifndef QUEUE_BATCH_H
#define QUEUE_BATCH_H

#include <stdint.h>

#include "queue/body.h"
#include "queue/store.h"

#define BATCH_MESSAGES 128
#define BATCH_OCTETS (1u << 20)

struct batch;

/* A new message. The batch owns env, data and body, and frees them. */
struct batch_message {
	struct envelope *env;
	uint8_t *data; /* body_size octets, or NULL: see body */
	uint64_t size;
	uint32_t crc;
	struct body *body;
	/* Changes of this batch rest on it (a report, and the recipient it
	 * is about): it is written with them or the process ends. */
	int vital;
	/* of whoever gave it, for the callback */
	uint32_t sender;
	uint64_t id;
};

/* Told once the fate of a message is certain: STORE_OK means durable. */
typedef void batch_done(
    void *arg, const struct batch_message *, enum store_status);

/* store and bodies must outlive it. NULL without memory. */
struct batch *batch_new(
    struct store *, struct bodies *, batch_done *done, void *arg);
/* Drops what was not flushed. */
void batch_free(struct batch *);

/* Takes over all that message points to. 0, or -1 without memory: it is then
 * freed, and done is not called. Never flushes: envelopes stay valid. */
int batch_put(struct batch *, const struct batch_message *);
/* The envelope of a stored message, to be looked at or changed until the next
 * flush. NULL when there is none, or it is being removed: *status says. */
struct envelope *batch_envelope(
    struct batch *, uint32_t msgid, enum store_status *status);
/* Removes a message with the next flush. 0, or -1 without memory. */
int batch_remove(struct batch *, uint32_t msgid);

enum batch_need {
	BATCH_EMPTY,
	BATCH_CHANGES, /* nobody waits for it */
	BATCH_MAIL, /* somebody waits: flush at the end of the turn */
	BATCH_FULL /* flush now */
};
enum batch_need batch_need(const struct batch *);
/* Commits and tells. Returns when all is durable, or refused. */
void batch_flush(struct batch *);

#endif
