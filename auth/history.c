/*
 * See history.h. A set-associative table of leaky buckets, keyed by an HMAC
 * of what is counted. Pure: time comes as an argument.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "auth/history.h"
#include "auth/match.h"

enum {
	WAYS = 8, /* entries that one key may occupy */
	DIGEST_OCTETS = 12,
	USER_MAX = 255,
	SUBJECT_MAX = HISTORY_ADDRESS_SIZE + 2 + USER_MAX + 1
};

struct entry {
	uint8_t digest[DIGEST_OCTETS];
	uint16_t level; /* failures counted at `stamp` */
	uint8_t locks; /* locks that followed one another */
	uint8_t used;
	int64_t stamp;
	int64_t until; /* locked until then */
};

struct history {
	uint8_t key[HISTORY_KEY_OCTETS];
	struct history_limits limits;
	size_t sets;
	struct entry *entries;
};

const struct history_limits history_default_limits = {
	.user_failures = 6,
	.addr_failures = 20,
	.leak = 300,
	.lock = 60,
	.lock_max = 3600,
};

/* The first octets of an address, of IPv4 behind the twelve that map it. */
static void
first_octets(
    char out[HISTORY_ADDRESS_SIZE], const char *addr, size_t ipv4, size_t ipv6)
{
	struct in6_addr bits;
	size_t keep;

	if (!match_parse_address(addr, &bits)) {
		snprintf(out, HISTORY_ADDRESS_SIZE, "%s", addr);
		return;
	}
	keep = IN6_IS_ADDR_V4MAPPED(&bits) ? 12 + ipv4 : ipv6;
	memset(&bits.s6_addr[keep], 0, sizeof(bits.s6_addr) - keep);
	inet_ntop(AF_INET6, &bits, out, HISTORY_ADDRESS_SIZE);
}

void
history_address(char out[HISTORY_ADDRESS_SIZE], const char *addr)
{
	first_octets(out, addr, 4, 8);
}

void
history_network(char out[HISTORY_ADDRESS_SIZE], const char *addr)
{
	first_octets(out, addr, 3, 6);
}

/* The subject of an entry: the address alone, or the address and the user,
 * whose letters count alike in both cases as in every table. */
static void
subject_digest(const struct history *h, const char *addr, const char *user,
    uint8_t digest[EVP_MAX_MD_SIZE])
{
	char subject[SUBJECT_MAX];
	unsigned int len = 0;
	size_t n;

	history_address(subject, addr);
	n = strlen(subject) + 1;
	/* so that the empty user is not the address itself */
	subject[n++] = user != NULL;
	if (user != NULL) {
		for (size_t i = 0; user[i] != '\0' && i < USER_MAX; i++)
			subject[n++] = (char)tolower((unsigned char)user[i]);
	}
	memset(digest, 0, EVP_MAX_MD_SIZE);
	HMAC(EVP_sha256(), h->key, sizeof(h->key),
	    (const unsigned char *)subject, n, digest, &len);
}

static uint32_t
level_now(const struct history *h, const struct entry *e, int64_t now)
{
	int64_t leaked;

	if (now <= e->stamp || h->limits.leak == 0)
		return e->level;
	leaked = (now - e->stamp) / h->limits.leak;
	return leaked >= e->level ? 0 : e->level - (uint32_t)leaked;
}

static struct entry *
entry_set(const struct history *h, const uint8_t *digest)
{
	uint32_t place;

	memcpy(&place, digest + DIGEST_OCTETS, sizeof(place));
	return &h->entries[(place & (h->sets - 1)) * WAYS];
}

static struct entry *
entry_find(const struct history *h, const char *addr, const char *user)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	struct entry *set;

	subject_digest(h, addr, user, digest);
	set = entry_set(h, digest);
	for (size_t i = 0; i < WAYS; i++)
		if (set[i].used &&
		    memcmp(set[i].digest, digest, DIGEST_OCTETS) == 0)
			return &set[i];
	return NULL;
}

/* Whether a may make room rather than b. */
static int
entry_lesser(const struct history *h, const struct entry *a,
    const struct entry *b, int64_t now)
{
	uint32_t la = level_now(h, a, now), lb = level_now(h, b, now);

	if (a->used != b->used)
		return !a->used;
	if ((a->until > now) != (b->until > now))
		return b->until > now;
	if (la != lb)
		return la < lb;
	return a->stamp < b->stamp;
}

static struct entry *
entry_make(struct history *h, const char *addr, const char *user, int64_t now)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	struct entry *e, *set;

	if ((e = entry_find(h, addr, user)) != NULL)
		return e;
	subject_digest(h, addr, user, digest);
	set = e = entry_set(h, digest);
	for (size_t i = 1; i < WAYS; i++)
		if (entry_lesser(h, &set[i], e, now))
			e = &set[i];
	memset(e, 0, sizeof(*e));
	memcpy(e->digest, digest, DIGEST_OCTETS);
	e->used = 1;
	e->stamp = now;
	return e;
}

static void
entry_count(struct history *h, struct entry *e, uint32_t allowed, int64_t now)
{
	uint32_t level = level_now(h, e, now);
	int64_t lock;

	if (level == 0 && e->until <= now)
		e->locks = 0;
	if (level < UINT16_MAX)
		level++;
	/* what has begun to leak of the next failure goes on leaking */
	if (h->limits.leak > 0 && now > e->stamp && level > 1)
		e->stamp += (now - e->stamp) / h->limits.leak * h->limits.leak;
	else
		e->stamp = now;
	e->level = (uint16_t)level;
	if (level < allowed)
		return;
	lock = (int64_t)h->limits.lock << (e->locks < 16 ? e->locks : 16);
	if (lock > h->limits.lock_max)
		lock = h->limits.lock_max;
	if (e->locks < UINT8_MAX)
		e->locks++;
	e->until = now + lock;
}

struct history *
history_new(const uint8_t key[HISTORY_KEY_OCTETS],
    const struct history_limits *limits, size_t entries)
{
	struct history *h;

	if ((h = calloc(1, sizeof(*h))) == NULL)
		return NULL;
	memcpy(h->key, key, sizeof(h->key));
	h->limits = *limits;
	for (h->sets = 1; h->sets * WAYS < entries; h->sets *= 2)
		;
	h->entries = calloc(h->sets * WAYS, sizeof(*h->entries));
	if (h->entries == NULL) {
		free(h);
		return NULL;
	}
	return h;
}

void
history_free(struct history *h)
{
	if (h == NULL)
		return;
	free(h->entries);
	free(h);
}

static uint32_t
entry_wait(const struct entry *e, int64_t now)
{
	if (e == NULL || e->until <= now)
		return 0;
	return (uint32_t)(e->until - now);
}

uint32_t
history_wait(
    const struct history *h, const char *addr, const char *user, int64_t now)
{
	uint32_t byaddr = entry_wait(entry_find(h, addr, NULL), now);
	uint32_t byuser = entry_wait(entry_find(h, addr, user), now);

	return byaddr > byuser ? byaddr : byuser;
}

void
history_failure(struct history *h, const char *addr, int shared,
    const char *user, int64_t now)
{
	if (!shared)
		entry_count(h, entry_make(h, addr, NULL, now),
		    h->limits.addr_failures, now);
	entry_count(
	    h, entry_make(h, addr, user, now), h->limits.user_failures, now);
}

void
history_success(
    struct history *h, const char *addr, const char *user, int64_t now)
{
	struct entry *e = entry_find(h, addr, user);

	if (e != NULL && e->until <= now)
		memset(e, 0, sizeof(*e));
}
