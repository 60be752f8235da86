/*
 * What a client's address is called, and whether that name leads back to the
 * address (forward-confirmed reverse DNS). One struct rdns is one search, a
 * pure state machine over the answers of the resolver; struct rdns_cache
 * remembers what was found. Names come from strangers: only what is a domain
 * name goes further, in its canonical form.
 *
 * Times are seconds of a clock that does not go back.
 */
#ifndef SMTPD_RDNS_H
#define SMTPD_RDNS_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/messages.h"
#include "smtp/address.h"

/* What has come of a search so far. */
enum rdns_state {
	RDNS_OPEN, /* the DNS has not told; its silence is no answer */
	RDNS_UNCONFIRMED, /* no name, or one that does not lead back */
	RDNS_CONFIRMED
};

struct rdns {
	uint8_t octets[16];
	size_t len; /* 4 or 16 */
	int asking_name; /* PTR; else A or AAAA */
	uint32_t ttl; /* seconds that an answer holds */
	enum rdns_state state;
	/* "" if there is none; one that is there holds in every state */
	char name[ADDRESS_DOMAIN_SIZE];
};

/* What to ask next. */
struct rdns_question {
	uint16_t type;
	char name[ADDRESS_DOMAIN_SIZE];
};

/* Begins with an address of 4 or 16 octets, and says what to ask. */
void rdns_begin(
    struct rdns *, const uint8_t *octets, size_t len, struct rdns_question *);
/* An answer. 1 with what to ask next; 0 when name and state hold. Whoever does
 * not ask leaves it open. */
int rdns_answer(
    struct rdns *, const struct msg_dns_answer *, struct rdns_question *);

struct rdns_cache;

/* For `entries` addresses, a power of two. NULL when memory is out. */
struct rdns_cache *rdns_cache_new(size_t entries);
void rdns_cache_free(struct rdns_cache *);
/* What was found for the address and still holds; NULL if nothing. */
const struct rdns *rdns_cache_find(
    const struct rdns_cache *, const uint8_t *octets, size_t len, int64_t now);
void rdns_cache_add(struct rdns_cache *, const struct rdns *, int64_t now);

#endif
