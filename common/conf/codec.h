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

/* The whole tree. 0 and an allocated *data of *len octets that the caller
 * frees, or -1 when memory is short. */
int conf_encode(const struct conf *, uint8_t **data, size_t *len);

/* The part of the tree that `process` may see; else like conf_encode(). */
int conf_slice(const struct conf *, enum conf_process, uint8_t **data,
    size_t *len);

/* A new tree from all `len` octets, or NULL with the reason in `error`. */
struct conf *conf_decode(const uint8_t *data, size_t len, char *error,
    size_t errorlen);

#endif
