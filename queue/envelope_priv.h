/*
 * What envelope.c and envelope_codec.c share; nobody else includes this.
 */
#ifndef QUEUE_ENVELOPE_PRIV_H
#define QUEUE_ENVELOPE_PRIV_H

#include <stddef.h>
#include <stdint.h>

#include "queue/envelope.h"

struct envelope_block {
	struct envelope_block *next;
	size_t size;
	size_t used;
	char data[];
};

struct envelope_priv {
	struct envelope_block *blocks; /* newest first */
	struct envelope_rcpt *rcpts;
	size_t rcpt_size; /* room in rcpts */
	uint8_t *changed; /* one mark a record */
	size_t changed_size;
	uint8_t touched; /* the message itself changed */
	uint8_t unfit; /* memory ran out */
	uint32_t decoded; /* records decoded */
	uint32_t expected; /* recipients that record 0 announced */
};

char *envelope_alloc(struct envelope *, size_t);
struct envelope_rcpt *envelope_append(struct envelope *);

#endif
