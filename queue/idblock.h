/*
 * Which message ids each smtpd worker may still use. An id is given to one
 * worker and used once, so that a worker that was taken over can neither
 * touch another message nor store its own twice. Pure.
 */
#ifndef QUEUE_IDBLOCK_H
#define QUEUE_IDBLOCK_H

#include <stdint.h>

#define IDBLOCK_MAX 1024 /* ids of one block */

struct idblocks;

/* NULL without memory. */
struct idblocks *idblock_new(void);
void idblock_free(struct idblocks *);
/* Ids first to first + count - 1 now belong to a worker. 0, or -1 without
 * memory or when count is not 1 to IDBLOCK_MAX. Of a worker that hoards
 * blocks the oldest are forgotten. */
int idblock_give(
    struct idblocks *, uint32_t worker, uint32_t first, uint32_t count);
/* 0 when the id was the worker's to use, which it then is no longer. */
int idblock_use(struct idblocks *, uint32_t worker, uint32_t msgid);
/* The worker is gone: so are its ids. */
void idblock_drop(struct idblocks *, uint32_t worker);

#endif
