/*
 * What only sockets, system calls and event loops share.
 */
#ifndef SIM_TAP_H
#define SIM_TAP_H

#include <sys/types.h>

#include "sim.h"

/* Octets that a socket takes before its reader has read. */
#define SOCKET_ROOM ((size_t)128 << 10)

ssize_t socket_send(
    struct object *, const void *, size_t, struct object *passed);
ssize_t socket_take(
    struct object *, void *, size_t, int peek, struct object **passed);
void socket_shut(struct object *);
/* A call to a channel, at which it may break: what came and was not read is
 * lost, what was sent from this end still arrives, and then both have an
 * error. */
void socket_point(struct object *);

/* Listens to the frames of a channel on their way from one process to
 * another. */
struct tap *tap_new(
    enum process_kind from, enum process_kind to, uint16_t instance);
void tap_hear(struct tap *, const void *, size_t);

/* The base of a process that is gone. */
void event_forget(struct event_base *);

#endif
