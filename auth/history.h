/*
 * The history of failed logins: how often a client address, and a user from
 * one client address, was refused lately, and whether either is shut out now.
 *
 * A user is never counted without the address, so whoever guesses at a
 * user's password locks out himself and not the owner elsewhere. IPv6
 * clients count by their /64. Of a client on this machine only the user from it
 * counts, since a webmail there logs in for everybody. Levels leak away with
 * time. Memory is bounded: the least worrying entry makes room for a new one.
 *
 * Times are seconds of a clock that does not go back.
 */
#ifndef AUTH_HISTORY_H
#define AUTH_HISTORY_H

#include <stddef.h>
#include <stdint.h>

struct history;

enum { HISTORY_KEY_OCTETS = 32, HISTORY_ADDRESS_SIZE = 64 };

struct history_limits {
	uint32_t user_failures; /* of one user from one address */
	uint32_t addr_failures; /* from one address, whoever is meant */
	uint32_t leak; /* seconds until one failure is forgotten */
	uint32_t lock; /* seconds of a first lock; each next one doubles */
	uint32_t lock_max;
};

extern const struct history_limits history_default_limits;

/* key: random octets, so that nobody can aim at one place of the table.
 * entries is rounded up to a power of two; 32 octets each. NULL: no memory. */
struct history *history_new(const uint8_t key[HISTORY_KEY_OCTETS],
    const struct history_limits *, size_t entries);
void history_free(struct history *);

/* Writes the address as it is counted: IPv4 (also mapped) whole, the first
 * 64 bits of IPv6, anything else as it stands. */
void history_address(char out[HISTORY_ADDRESS_SIZE], const char *addr);
/* Likewise the network that is likely one owner's: the first 24 bits of IPv4,
 * the first 48 of IPv6. */
void history_network(char out[HISTORY_ADDRESS_SIZE], const char *addr);

/* Seconds until this client may try this user again, 0 if it may now. */
uint32_t history_wait(
    const struct history *, const char *addr, const char *user, int64_t now);
/* shared: a program there passes on the logins of many users, as a webmail on
 * this machine does, so that the address says nothing of who guesses. */
void history_failure(struct history *, const char *addr, int shared,
    const char *user, int64_t now);
/* A login clears what stands against the user from this address, and leaves
 * what stands against the address: a guesser may own an account himself. */
void history_success(
    struct history *, const char *addr, const char *user, int64_t now);

#endif
