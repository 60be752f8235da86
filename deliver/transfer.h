/*
 * Transfers: what the queue (or, for a call-ahead, auth) has asked for, from
 * the route over one or more sessions to one result a recipient. Each ends
 * with exactly one transfer_done or callahead_done, unless who asked is gone.
 */
#ifndef DELIVER_TRANSFER_H
#define DELIVER_TRANSFER_H

#include "deliver/deliver.h"

struct transfers *transfers_new(struct deliver *);
void transfers_free(struct transfers *);
size_t transfers_count(const struct transfers *);

void transfer_begin(struct transfers *, const struct msg_transfer *);
void transfer_begin_probe(struct transfers *, const struct msg_callahead *);
void transfer_cancel(struct transfers *, uint64_t id);
void transfer_body_data(struct transfers *, const struct msg_body_data *);
/* Takes fd. */
void transfer_body_file(
    struct transfers *, const struct msg_body_file *, int fd);

/* Who asked is gone: gives up what may be given up without the risk of a
 * second delivery, and lets the rest end unheard. */
void transfers_peer_down(struct transfers *, enum process_kind);
/* Gives up the same, for the end of the process. */
void transfers_stop(struct transfers *);
/* Ends call-aheads whose time is over; called once a second. */
void transfers_tick(struct transfers *);

#endif
