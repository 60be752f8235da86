/*
 * How many connections a worker serves, in all and of one client address, and
 * how fast new ones of an address may come. IPv6 clients count by their /64.
 * Pure and of fixed memory: when it is full, the address that has been silent
 * longest is forgotten.
 *
 * Times are milliseconds of a clock that does not go back.
 */
#ifndef SMTPD_LIMITS_H
#define SMTPD_LIMITS_H

#include <stddef.h>
#include <stdint.h>

struct limits;

struct limits_settings {
	uint32_t total; /* connections at one time, at least 1 */
	uint32_t per_address; /* of one address at one time */
	uint32_t rate; /* new ones of one address in a window */
	int64_t window;
};

extern const struct limits_settings limits_default_settings;

enum limits_verdict { LIMITS_OK, LIMITS_TOTAL, LIMITS_ADDRESS, LIMITS_RATE };

struct limits_address {
	uint64_t high;
	uint64_t low;
};

/* What an address counts as: 4 octets of IPv4 or 16 of IPv6, network order. */
struct limits_address limits_address(const uint8_t *octets, size_t len);

/* key: random, so that nobody can aim at one place of the table. NULL when
 * memory is out. */
struct limits *limits_new(
    const struct limits_settings *, const uint64_t key[2]);
void limits_free(struct limits *);
/* Other settings from now on; connections that are there stay. -1 when memory
 * is out, and all is as before. */
int limits_configure(struct limits *, const struct limits_settings *);

/* A new connection. After LIMITS_OK it counts until limits_close; a refused
 * one counts for the rate only. address NULL: only the total holds. */
enum limits_verdict limits_open(
    struct limits *, const struct limits_address *, int64_t now);
void limits_close(struct limits *, const struct limits_address *);
/* Connections that count now. */
uint32_t limits_count(const struct limits *);

#endif
