/*
 * See lookup.h. All questions that are known go out at once; the end is told
 * from the end of a turn, so that no caller meets it half-way.
 */
#include "config.h"

#include <stdlib.h>

#include "deliver/lookup.h"
#include "deliver/question.h"
#include "net/loop.h"

enum { PENDING_MAX = 1 + 2 * MX_HOST_LIMIT };

struct pending {
	struct lookup *lookup;
	struct question *question;
	unsigned slot;
};

struct lookup {
	struct deliver *deliver;
	struct mx_policy policy;
	struct mx *mx;
	int broken; /* the resolver is not there */
	lookup_done *done;
	void *arg;
	struct loop_deferred end;
	struct pending pending[PENDING_MAX]; /* by slot */
};

static void
free_lookup(struct lookup *l)
{
	for (unsigned i = 0; i < PENDING_MAX; i++)
		question_cancel(l->deliver->questions, l->pending[i].question);
	loop_undefer(l->deliver->loop, &l->end);
	mx_free(l->mx);
	free(l);
}

static void
end(void *arg)
{
	struct lookup *l = arg;

	l->done(l->arg, l->broken ? NULL : l->mx);
	free_lookup(l);
}

static void ask(struct lookup *);

static void
on_answer(void *arg, const union ipc_msg *answer)
{
	struct pending *p = arg;
	struct lookup *l = p->lookup;

	p->question = NULL;
	if (answer != NULL)
		mx_answer(l->mx, p->slot, &answer->dns_answer);
	else
		l->broken = 1;
	ask(l);
}

static void
ask(struct lookup *l)
{
	const char *name;
	unsigned slot;
	uint16_t type;

	while (!l->broken && mx_query(l->mx, &slot, &type, &name)) {
		struct pending *p = &l->pending[slot];

		p->lookup = l;
		p->slot = slot;
		p->question = question_dns(
		    l->deliver->questions, type, name, on_answer, p);
		l->broken = p->question == NULL;
	}
	if (l->broken || mx_state(l->mx) != MX_WAIT)
		loop_defer(l->deliver->loop, &l->end);
}

struct lookup *
lookup_begin(struct deliver *deliver, const struct mx_policy *policy,
    const char *destination, lookup_done *done, void *arg)
{
	struct lookup *l;

	if ((l = calloc(1, sizeof(*l))) == NULL)
		return NULL;
	l->deliver = deliver;
	l->policy = *policy;
	l->done = done;
	l->arg = arg;
	loop_deferred_init(&l->end, end, l);
	if ((l->mx = mx_new(&l->policy, destination)) == NULL) {
		free_lookup(l);
		return NULL;
	}
	ask(l);
	return l;
}

void
lookup_cancel(struct lookup *l)
{
	if (l != NULL)
		free_lookup(l);
}
