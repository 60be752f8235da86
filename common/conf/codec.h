/*
 * A configuration on its way from master to a worker. One field table
 * (fields.c) drives both directions and says which process sees what.
 * The decoder trusts nothing: a malformed slice is an error.
 */
#ifndef CONF_CODEC_H
#define CONF_CODEC_H

#include <sys/types.h>
#include <stdint.h>

#include "conf/conf.h"
#include "ipc/enums.h"

/* The whole tree. 0 and an allocated *data of *len octets, or -1 with errno:
 * ENOMEM, or EMSGSIZE when a field is over its limit. It holds private keys:
 * the caller wipes it before it frees it. */
int conf_encode(const struct conf *, uint8_t **data, size_t *len);

/* The part of the tree that a process may see; else like conf_encode(). */
int conf_slice(
    const struct conf *, enum process_kind, uint8_t **data, size_t *len);

/* A new tree from exactly `len` octets, or NULL with the reason in `error`. */
struct conf *conf_decode(
    const uint8_t *data, size_t len, char *error, size_t errorlen);

#endif
