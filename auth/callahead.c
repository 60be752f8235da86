/*
 * See callahead.h. A hash table of chains, and a list in order of last use.
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
	TAILQ_HEAD(, entry) uses;
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
	TAILQ_REMOVE(&c->uses, e, use);
	LIST_REMOVE(e, chain);
	c->count--;
	free(e->action);
	free(e->recipient);
	free(e);
}

static void
entry_touch(struct callahead *c, struct entry *e)
{
	TAILQ_REMOVE(&c->uses, e, use);
	TAILQ_INSERT_TAIL(&c->uses, e, use);
}

static struct entry *
entry_make(struct callahead *c, const char *action, const char *recipient)
{
	struct entry *e = entry_find(c, action, recipient);

	if (e != NULL) {
		entry_touch(c, e);
		return e;
	}
	while (c->count >= c->max)
		entry_remove(c, TAILQ_FIRST(&c->uses));
	if ((e = calloc(1, sizeof(*e))) == NULL)
		return NULL;
	e->action = strdup(action);
	e->recipient = strdup(recipient);
	if (e->action == NULL || e->recipient == NULL) {
		free(e->action);
		free(e->recipient);
		free(e);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&c->uses, e, use);
	LIST_INSERT_HEAD(&c->buckets[bucket_of(action, recipient)], e, chain);
	c->count++;
	return e;
}

struct callahead *
callahead_new(size_t max)
{
	struct callahead *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	TAILQ_INIT(&c->uses);
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
	while ((e = TAILQ_FIRST(&c->uses)) != NULL)
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
	entry_touch(c, e);
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
		if ((e = entry_make(c, action, recipient)) != NULL) {
			e->good = status == CALLAHEAD_GOOD;
			e->when = now;
		}
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
	if ((e = entry_make(c, action, recipient)) == NULL)
		return -1;
	e->good = good;
	e->when = when;
	return 0;
}
