/*
 * See callahead.h. A hash table of chains, and two lists in order of last use:
 * of bad words and of good ones.
 */
#include <sys/types.h>
#include <sys/queue.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "auth/callahead.h"

enum { BUCKETS = 16384 };

struct entry {
	TAILQ_ENTRY(entry) use; /* oldest first */
	LIST_ENTRY(entry) chain;
	char *action;
	char *recipient;
	int good;
	int64_t when;
};

struct callahead {
	TAILQ_HEAD(, entry) uses[2]; /* by `good` */
	LIST_HEAD(, entry) buckets[BUCKETS];
	size_t count;
	size_t max;
};

/* Letter case counts for no primary that anyone runs. FNV-1a: a chain that
 * someone makes long costs him as many names that the primary took. */
static size_t
bucket_of(const char *action, const char *recipient)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *action != '\0'; action++)
		h = (h ^ (unsigned char)*action) * 0x100000001b3u;
	for (; *recipient != '\0'; recipient++)
		h = (h ^ (unsigned char)tolower((unsigned char)*recipient)) *
		    0x100000001b3u;
	return (size_t)(h % BUCKETS);
}

static struct entry *
entry_find(const struct callahead *c, const char *action, const char *recipient)
{
	struct entry *e;

	LIST_FOREACH (e, &c->buckets[bucket_of(action, recipient)], chain)
		if (strcmp(e->action, action) == 0 &&
		    strcasecmp(e->recipient, recipient) == 0)
			return e;
	return NULL;
}

static void
entry_remove(struct callahead *c, struct entry *e)
{
	TAILQ_REMOVE(&c->uses[e->good], e, use);
	LIST_REMOVE(e, chain);
	c->count--;
	free(e->action);
	free(e->recipient);
	free(e);
}

static void
entry_touch(struct callahead *c, struct entry *e, int good)
{
	TAILQ_REMOVE(&c->uses[e->good], e, use);
	e->good = good;
	TAILQ_INSERT_TAIL(&c->uses[good], e, use);
}

/* Strangers bring as many bad words as they care to guess, so a good one makes
 * room for good ones only, and when no bad one is left. */
static int
make_room(struct callahead *c, int good)
{
	struct entry *e = TAILQ_FIRST(&c->uses[0]);

	if (c->count < c->max)
		return 0;
	if (e == NULL && good)
		e = TAILQ_FIRST(&c->uses[1]);
	if (e == NULL)
		return -1;
	entry_remove(c, e);
	return 0;
}

/* -1 when it cannot be remembered. */
static int
entry_put(struct callahead *c, const char *action, const char *recipient,
    int good, int64_t when)
{
	struct entry *e = entry_find(c, action, recipient);

	if (e != NULL) {
		entry_touch(c, e, good);
		e->when = when;
		return 0;
	}
	if (make_room(c, good) == -1 || (e = calloc(1, sizeof(*e))) == NULL)
		return -1;
	e->action = strdup(action);
	e->recipient = strdup(recipient);
	if (e->action == NULL || e->recipient == NULL) {
		free(e->action);
		free(e->recipient);
		free(e);
		return -1;
	}
	e->good = good;
	e->when = when;
	TAILQ_INSERT_TAIL(&c->uses[good], e, use);
	LIST_INSERT_HEAD(&c->buckets[bucket_of(action, recipient)], e, chain);
	c->count++;
	return 0;
}

struct callahead *
callahead_new(size_t max)
{
	struct callahead *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	TAILQ_INIT(&c->uses[0]);
	TAILQ_INIT(&c->uses[1]);
	for (size_t i = 0; i < BUCKETS; i++)
		LIST_INIT(&c->buckets[i]);
	c->max = max > 0 ? max : 1;
	return c;
}

void
callahead_free(struct callahead *c)
{
	struct entry *e;

	if (c == NULL)
		return;
	for (int good = 0; good < 2; good++)
		while ((e = TAILQ_FIRST(&c->uses[good])) != NULL)
			entry_remove(c, e);
	free(c);
}

enum callahead_advice
callahead_look(
    struct callahead *c, const char *action, const char *recipient, int64_t now)
{
	struct entry *e = entry_find(c, action, recipient);
	int64_t age;

	if (e == NULL)
		return CALLAHEAD_ASK;
	entry_touch(c, e, e->good);
	/* a clock that went back makes everything fresh */
	age = now > e->when ? now - e->when : 0;
	if (e->good)
		return age < CALLAHEAD_FRESH ? CALLAHEAD_ACCEPT : CALLAHEAD_ASK;
	return age < CALLAHEAD_BAD_LIFE ? CALLAHEAD_REFUSE : CALLAHEAD_ASK;
}

enum callahead_advice
callahead_answer(struct callahead *c, const char *action, const char *recipient,
    enum callahead_status status, enum conf_unknown unknown, int64_t now)
{
	struct entry *e;

	if (status == CALLAHEAD_GOOD || status == CALLAHEAD_BAD) {
		entry_put(c, action, recipient, status == CALLAHEAD_GOOD, now);
		return status == CALLAHEAD_GOOD ? CALLAHEAD_ACCEPT
						: CALLAHEAD_REFUSE;
	}
	e = entry_find(c, action, recipient);
	if (e != NULL && e->good && now - e->when < CALLAHEAD_GOOD_LIFE)
		return CALLAHEAD_ACCEPT;
	return unknown == CONF_UNKNOWN_ACCEPT ? CALLAHEAD_ACCEPT
					      : CALLAHEAD_TEMPFAIL;
}

int
callahead_worth(const struct callahead *c, const char *action,
    const char *recipient, enum callahead_status status)
{
	const struct entry *e;

	if (status != CALLAHEAD_BAD)
		return status == CALLAHEAD_GOOD;
	e = entry_find(c, action, recipient);
	return e != NULL && e->good;
}

int
callahead_import(struct callahead *c, const char *action, const char *recipient,
    int good, int64_t when)
{
	struct entry *e = entry_find(c, action, recipient);

	if (e != NULL && e->when > when)
		return 0;
	return entry_put(c, action, recipient, good != 0, when);
}
