/*
 * Bodies on their way in: what smtpd sends ahead of a submit in body_data.
 * Up to STORE_INLINE octets stay in memory, more go to a spool file of the
 * store as they come. A body is named by its sender, a number the queue gives
 * to each channel, and by the sender's id.
 */
#ifndef QUEUE_BODY_H
#define QUEUE_BODY_H

#include <stddef.h>
#include <stdint.h>

#include "queue/store.h"

struct bodies;
struct body;

enum body_status {
	BODY_OK,
	BODY_FAILED, /* our fault: the submit will be refused for now */
	BODY_FORBIDDEN /* the sender breaks the rules: close it */
};

/* The store must outlive it. `limit` is of the bodies of one sender under way
 * at once. NULL without memory. */
struct bodies *bodies_new(struct store *, size_t limit);
void bodies_free(struct bodies *);

enum body_status bodies_data(struct bodies *, uint32_t sender, uint64_t id,
    const uint8_t *, size_t, int last);
/* No such body is fine. */
void bodies_abort(struct bodies *, uint32_t sender, uint64_t id);
/* The sender is gone, and so is what it sent. */
void bodies_drop(struct bodies *, uint32_t sender);
/* Octets of all bodies under way, for the disk guard. */
uint64_t bodies_octets(const struct bodies *);

/* Takes out a complete body, to be freed with body_free. NULL when there is
 * none or its last octet has not come. */
struct body *bodies_take(struct bodies *, uint32_t sender, uint64_t id);
/* -1 when the body could not be kept. content borrows from the body. */
int body_content(struct body *, struct store_content *);
void body_free(struct bodies *, struct body *);

#endif
