/*
 * See limits.h. A hash table with chains over one array of entries; those
 * without a connection are also in a list, the longest silent first.
 */
#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "limits.h"

const struct limits_settings limits_default_settings = {
	.total = 10000,
	.per_address = 100,
	.rate = 600,
	.window = 60 * 1000,
};

struct entry {
	TAILQ_ENTRY(entry) idle; /* while open is 0 */
	struct entry *next; /* in the chain */
	struct limits_address address;
	int64_t window; /* when the present window began */
	uint32_t open;
	uint32_t now; /* new ones in this window */
	uint32_t before; /* and in the one before */
};

struct limits {
	struct limits_settings settings;
	uint64_t key[2];
	uint32_t total;
	size_t used; /* entries that were ever taken */
	size_t size; /* entries, and chains: a power of two */
	struct entry *entries;
	struct entry **chains;
	TAILQ_HEAD(, entry) idle;
};

struct limits_address
limits_address(const uint8_t *octets, size_t len)
{
	struct limits_address a = { 0, 0 };

	for (size_t i = 0; i < 8 && i < len; i++)
		a.high = a.high << 8 | octets[i];
	/* no IPv6 /64 is below 2^32, so IPv4 is apart */
	a.low = len == 4 ? 4 : 6;
	return a;
}

struct limits *
limits_new(const struct limits_settings *settings, const uint64_t key[2])
{
	struct limits *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->settings = *settings;
	memcpy(l->key, key, sizeof(l->key));
	TAILQ_INIT(&l->idle);
	/* twice the connections, so that some silent ones are remembered */
	for (l->size = 64; l->size < 2 * (size_t)settings->total;)
		l->size *= 2;
	l->entries = calloc(l->size, sizeof(*l->entries));
	l->chains = calloc(l->size, sizeof(struct entry *));
	if (l->entries == NULL || l->chains == NULL) {
		limits_free(l);
		return NULL;
	}
	return l;
}

void
limits_free(struct limits *l)
{
	if (l == NULL)
		return;
	free(l->entries);
	free(l->chains);
	free(l);
}

/* The two halves of a product of 128 bits, which not every machine has, on each
 * other. */
static uint64_t
folded(uint64_t a, uint64_t b)
{
	uint64_t inner = (a >> 32) * (uint32_t)b;
	uint64_t outer = (b >> 32) * (uint32_t)a;
	uint64_t middle = ((uint64_t)(uint32_t)a * (uint32_t)b >> 32) +
	    (uint32_t)inner + (uint32_t)outer;

	return a * b ^
	    ((a >> 32) * (b >> 32) + (inner >> 32) + (outer >> 32) +
		(middle >> 32));
}

static struct entry **
chain_of(const struct limits *l, const struct limits_address *a)
{
	uint64_t h = folded(a->high ^ l->key[0], (a->low ^ l->key[1]) | 1);

	h ^= h >> 29;
	return &l->chains[h & (l->size - 1)];
}

static struct entry *
find(const struct limits *l, const struct limits_address *a)
{
	struct entry *e = *chain_of(l, a);

	while (e != NULL &&
	    (e->address.high != a->high || e->address.low != a->low))
		e = e->next;
	return e;
}

/* An entry that nothing is known of yet. There is always one: fewer than half
 * have connections. */
static struct entry *
take(struct limits *l)
{
	struct entry *e, **at;

	if (l->used < l->size)
		return &l->entries[l->used++];
	e = TAILQ_FIRST(&l->idle);
	TAILQ_REMOVE(&l->idle, e, idle);
	for (at = chain_of(l, &e->address); *at != e;)
		at = &(*at)->next;
	*at = e->next;
	return e;
}

static void
adopt(struct limits *l, const struct entry *from)
{
	struct entry *e = &l->entries[l->used++];
	struct entry **chain = chain_of(l, &from->address);

	*e = *from;
	e->next = *chain;
	*chain = e;
	if (e->open == 0)
		TAILQ_INSERT_TAIL(&l->idle, e, idle);
}

/* Moves what is known to tables that are large enough. */
static int
grow(struct limits *l, const struct limits_settings *settings)
{
	struct limits *larger = limits_new(settings, l->key);
	struct entry *e;

	if (larger == NULL)
		return -1;
	TAILQ_FOREACH (e, &l->idle, idle)
		adopt(larger, e);
	for (size_t i = 0; i < l->used; i++)
		if (l->entries[i].open > 0)
			adopt(larger, &l->entries[i]);
	free(l->entries);
	free(l->chains);
	l->entries = larger->entries;
	l->chains = larger->chains;
	l->size = larger->size;
	l->used = larger->used;
	TAILQ_INIT(&l->idle);
	TAILQ_CONCAT(&l->idle, &larger->idle, idle);
	free(larger);
	return 0;
}

int
limits_configure(struct limits *l, const struct limits_settings *settings)
{
	if (2 * (size_t)settings->total > l->size && grow(l, settings) == -1)
		return -1;
	l->settings = *settings;
	return 0;
}

static struct entry *
find_or_add(struct limits *l, const struct limits_address *a, int64_t now)
{
	struct entry *e = find(l, a), **chain;

	if (e != NULL)
		return e;
	e = take(l);
	memset(e, 0, sizeof(*e));
	e->address = *a;
	e->window = now;
	chain = chain_of(l, a);
	e->next = *chain;
	*chain = e;
	TAILQ_INSERT_TAIL(&l->idle, e, idle);
	return e;
}

/* New connections in the last window's time, the window before weighed by the
 * part of it that this time still covers. */
static uint64_t
recent(struct limits *l, struct entry *e, int64_t now)
{
	int64_t length = l->settings.window, age = now - e->window;

	if (age >= 2 * length) {
		e->before = e->now = 0;
		e->window = now;
		age = 0;
	} else if (age >= length) {
		e->before = e->now;
		e->now = 0;
		e->window += length;
		age -= length;
	}
	return e->now +
	    (uint64_t)e->before * (uint64_t)(length - age) / (uint64_t)length;
}

enum limits_verdict
limits_open(struct limits *l, const struct limits_address *a, int64_t now)
{
	struct entry *e;

	if (l->total >= l->settings.total)
		return LIMITS_TOTAL;
	if (a != NULL) {
		e = find_or_add(l, a, now);
		if (e->open == 0) {
			/* heard of now */
			TAILQ_REMOVE(&l->idle, e, idle);
			TAILQ_INSERT_TAIL(&l->idle, e, idle);
		}
		if (recent(l, e, now) >= l->settings.rate)
			return LIMITS_RATE;
		e->now++;
		if (e->open >= l->settings.per_address)
			return LIMITS_ADDRESS;
		if (e->open++ == 0)
			TAILQ_REMOVE(&l->idle, e, idle);
	}
	l->total++;
	return LIMITS_OK;
}

void
limits_close(struct limits *l, const struct limits_address *a)
{
	struct entry *e;

	l->total--;
	if (a == NULL || (e = find(l, a)) == NULL || e->open == 0)
		return;
	if (--e->open == 0)
		TAILQ_INSERT_TAIL(&l->idle, e, idle);
}

uint32_t
limits_count(const struct limits *l)
{
	return l->total;
}
