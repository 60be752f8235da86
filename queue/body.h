/*
 * Bodies on their way in: what smtpd sends ahead of a submit in body_data.
 * Up to STORE_INLINE octets stay in memory, more go to a spool file of the
 * store as they come, which is durable some time after body_seal. A body is
 * named by its sender, a number the queue gives to each channel, and by the
 * sender's id.
 */
#ifndef QUEUE_BODY_H
#define QUEUE_BODY_H

#include <stddef.h>
#include <stdint.h>

#include "queue/store.h"

struct bodies;
struct body;

/* So many more octets of a sender wait for the disk than were told before, or
 * fewer: it is to be slowed down by them. */
typedef void bodies_hold(void *arg, uint32_t sender, int64_t octets);

enum body_status {
	BODY_OK,
	BODY_FAILED, /* our fault: the submit will be refused for now */
	BODY_FORBIDDEN /* the sender breaks the rules: close it */
};

/* The store must outlive it. `limit` is of the bodies of one sender under way
 * at once; hold may be NULL. NULL without memory. */
struct bodies *bodies_new(
    struct store *, size_t limit, bodies_hold *hold, void *arg);
void bodies_free(struct bodies *);

enum body_status bodies_data(struct bodies *, uint32_t sender, uint64_t id,
    const uint8_t *, size_t, int last);
/* No such body is fine. */
void bodies_abort(struct bodies *, uint32_t sender, uint64_t id);
/* The sender is gone, and so is what it sent. */
void bodies_drop(struct bodies *, uint32_t sender);
/* Octets of all bodies under way, for the disk guard. */
uint64_t bodies_octets(const struct bodies *);
/* Octets that files may take until it is set again; what has none left of it
 * has failed. Without end at first. */
void bodies_set_room(struct bodies *, uint64_t room);

/* To be called when store_spool_fd is readable. */
void bodies_progress(struct bodies *);

/* Takes out a complete body, to be freed with body_free. NULL when there is
 * none or its last octet has not come. */
struct body *bodies_take(struct bodies *, uint32_t sender, uint64_t id);
/* Whether all that was sent came; true of one that could not be kept, which
 * body_content tells. */
int body_is_whole(const struct body *, uint64_t size);
/* It is to be this message's: once, before body_content. */
void body_seal(struct body *, uint32_t msgid);
/* Whether it is not known yet if the body could be kept. */
int body_is_pending(const struct body *);
/* -1 when the body could not be kept. content borrows from the body. */
int body_content(struct body *, struct store_content *);
void body_free(struct bodies *, struct body *);

#endif
