/*
 * See twins.h. Users may forward to each other in any way, so that what came of
 * a recipient is a graph, of which the envelope has a tree: who is reached
 * again is left out. That is safe where his twin is not EXPANDED, or anybody
 * behind the twin is not: there the message is at its end, or will come to one.
 * A twin that is EXPANDED into nothing but others that were left out has
 * promised nothing, so it does not count, and a circle of such ones is told of.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "ipc/enums.h"
#include "queue/twins.h"
#include "smtp/address.h"

static int
newcomer_compare(const struct newcomer *x, const struct newcomer *y)
{
	const struct envelope_rcpt *a = &x->rcpt, *b = &y->rcpt;
	int order = a->kind - b->kind;

	if (order == 0)
		order = strcmp(a->action, b->action);
	if (order == 0)
		order = strcmp(a->owner, b->owner);
	if (order == 0)
		order = strcmp(a->user, b->user);
	if (order == 0)
		order = strcmp(a->alias, b->alias);
	/* whether it is the mailbox that is meant is no other place */
	if (order == 0 && a->kind != DEST_USER)
		order = (a->entry > b->entry) - (a->entry < b->entry);
	if (order == 0)
		order = x->varies - y->varies;
	return order == 0 && x->varies ? address_order(a->address, b->address)
				       : order;
}

RB_GENERATE_INTERNAL(newcomers, newcomer, entry, newcomer_compare,
    static __attribute__((unused)))

static uint32_t
origin_of(const struct envelope *env, uint32_t index)
{
	while (env->rcpts[index].parent != ENVELOPE_NO_PARENT)
		index = env->rcpts[index].parent;
	return index;
}

static int
is_behind(const struct envelope *env, uint32_t index, uint32_t ancestor)
{
	while (index != ENVELOPE_NO_PARENT && index > ancestor)
		index = env->rcpts[index].parent;
	return index == ancestor;
}

/* Of two who go to the same user: what his .forward did is not in his mailbox
 * yet. */
static int
is_twin(const struct newcomer *n, const struct envelope_rcpt *r)
{
	return n->rcpt.kind != DEST_USER || n->rcpt.entry != ENTRY_MAILBOX ||
	    r->entry == ENTRY_MAILBOX;
}

/* The newcomer that goes to the place of one who is there. */
static struct newcomer *
find_place(struct newcomers *newcomers, const struct envelope_rcpt *r)
{
	struct newcomer key = { .rcpt = *r, .varies = 1 }, *n;

	if ((n = RB_FIND(newcomers, newcomers, &key)) != NULL)
		return n;
	key.varies = 0;
	return RB_FIND(newcomers, newcomers, &key);
}

/* For each recipient whether the message comes to an end there or behind it,
 * by another way than that of one that is being expanded. */
static uint8_t *
find_ends(const struct envelope *env, uint32_t expanding)
{
	uint8_t *ends = calloc(env->rcpt_count, sizeof(*ends));

	for (uint32_t i = env->rcpt_count; ends != NULL && i-- > 0;) {
		const struct envelope_rcpt *r = &env->rcpts[i];

		if (i != expanding && r->outcome != ENVELOPE_EXPANDED)
			ends[i] = 1;
		if (ends[i] && r->parent != ENVELOPE_NO_PARENT)
			ends[r->parent] = 1;
	}
	return ends;
}

void
twins_insert(struct newcomers *newcomers, struct newcomer *n)
{
	if (RB_INSERT(newcomers, newcomers, n) != NULL)
		n->twin = TWIN_REACHED;
}

int
twins_find(
    const struct envelope *env, uint32_t parent, struct newcomers *newcomers)
{
	uint32_t origin = origin_of(env, parent);
	uint8_t *ends = find_ends(env, parent);
	struct newcomer *n;

	if (ends == NULL)
		return -1;
	for (uint32_t i = 0; i < env->rcpt_count; i++) {
		const struct envelope_rcpt *r = &env->rcpts[i];

		if (!r->routed || origin_of(env, i) != origin ||
		    (n = find_place(newcomers, r)) == NULL || !is_twin(n, r))
			continue;
		if (ends[i])
			n->twin = TWIN_REACHED;
		else if (n->twin == TWIN_NONE && is_behind(env, parent, i))
			n->twin = TWIN_LOOP;
	}
	free(ends);
	return 0;
}

uint32_t
twins_user(const struct envelope *env, uint32_t index)
{
	while (index != ENVELOPE_NO_PARENT &&
	    *envelope_account(&env->rcpts[index]) == '\0')
		index = env->rcpts[index].parent;
	return index;
}

/* Whoever has many addresses, as tags make them, has one .forward. */
uint32_t
twins_forwarded(const struct envelope *env, uint32_t index)
{
	const char *account = envelope_account(&env->rcpts[index]);
	uint32_t origin = origin_of(env, index), n = 0;

	for (uint32_t i = 0; i < env->rcpt_count; i++) {
		const struct envelope_rcpt *r = &env->rcpts[i], *by;

		if (!r->forwarded || r->parent == ENVELOPE_NO_PARENT)
			continue;
		by = &env->rcpts[r->parent];
		n += by->kind == DEST_USER &&
		    (strcmp(by->user, account) == 0 ||
			origin_of(env, i) == origin);
	}
	return n;
}
