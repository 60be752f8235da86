/*
 * Call-aheads: what auth asks about recipients. Whoever connects brings as many
 * as he likes, and is gone before a silent primary has answered one. So few are
 * under way to a destination, some more wait in line behind these, and each has
 * its time; of who finds no place nothing is known, and it is said at once.
 * Called by transfer.c, which owns the transfers; trusts nothing of who asks.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deliver/pool.h"
#include "deliver/transfer_private.h"
#include "ipc/worker.h"
#include "net/loop.h"

enum {
	AT_ONCE = 20, /* to one destination */
	OF_ROUTE = 200, /* with those that wait */
	OF_ALL = 2000, /* with those to other destinations */
	/* milliseconds; less than smtpd waits for auth (session.c) */
	ANSWER_TIME = 45 * 1000
};

struct probes {
	struct deliver *deliver;
	TAILQ_HEAD(, transfer) all; /* oldest first */
	size_t count;
	struct loop_deferred turn;
};

/* Begins those whose turn it is. One that ends at once asks for another turn,
 * and takes nobody with it. */
static void
take_turns(void *arg)
{
	struct probes *p = arg;
	struct transfer *t, *next;
	struct route_probes *of_route;

	TAILQ_FOREACH_SAFE (t, &p->all, of_probes, next) {
		of_route = pool_probes(t->route);
		if (t->begun || of_route->begun >= AT_ONCE)
			continue;
		t->begun = 1;
		of_route->begun++;
		transfer_find_session(t);
	}
}

struct probes *
probes_new(struct deliver *deliver)
{
	struct probes *p;

	if ((p = calloc(1, sizeof(*p))) == NULL)
		return NULL;
	p->deliver = deliver;
	TAILQ_INIT(&p->all);
	loop_deferred_init(&p->turn, take_turns, p);
	return p;
}

void
probes_free(struct probes *p)
{
	free(p);
}

void
probes_add(struct probes *p, struct transfer *t)
{
	struct route_probes *of_route = pool_probes(t->route);

	if (p->count >= OF_ALL || of_route->count >= OF_ROUTE) {
		transfer_fail(t, ROUTE_CANCELLED, DELIVERY_TEMPFAIL, 451,
		    "4.3.2", "too many ask for recipients");
		return;
	}
	t->give_up = loop_now(p->deliver->loop) + ANSWER_TIME;
	TAILQ_INSERT_TAIL(&p->all, t, of_probes);
	p->count++;
	of_route->count++;
	loop_defer(p->deliver->loop, &p->turn);
}

void
probes_remove(struct probes *p, struct transfer *t)
{
	struct route_probes *of_route;

	if (t->give_up == 0)
		return;
	of_route = pool_probes(t->route);
	TAILQ_REMOVE(&p->all, t, of_probes);
	p->count--;
	of_route->count--;
	of_route->begun -= (uint32_t)t->begun;
	loop_defer(p->deliver->loop, &p->turn);
}

void
probes_tick(struct probes *p)
{
	int64_t now = loop_now(p->deliver->loop);
	struct transfer *t, *next;

	TAILQ_FOREACH_SAFE (t, &p->all, of_probes, next) {
		if (t->give_up > now)
			return;
		transfer_give_up(t, "the primary does not answer in time");
	}
}

/*
 * Whether the primary itself has said, of the recipient, that there is none: by
 * the codes that RFC 5321 section 4.2.3 has for that, and with no enhanced code
 * (RFC 3463) that speaks of anything else, such as the sender, the address that
 * we come from, a full mailbox or a policy.
 */
static int
denies_recipient(const struct transfer_result *r)
{
	const char *e = r->enhanced;

	if (r->status != DELIVERY_PERMFAIL || !r->said ||
	    r->scope != CLIENT_SCOPE_RECIPIENT ||
	    (r->code != 550 && r->code != 551 && r->code != 553))
		return 0;
	if (strncmp(e, "5.1.", 4) == 0)
		return strcmp(e, "5.1.7") != 0 && strcmp(e, "5.1.8") != 0;
	return strcmp(e, "5.0.0") == 0 || strcmp(e, "5.2.1") == 0;
}

/* A no is remembered and told to clients; whatever else was said only means
 * that the recipient is not known for now. */
void
probes_answer(const struct transfer *t, struct channel *ch)
{
	const struct transfer_result *r = &t->results[0];
	struct msg_callahead_done m = { .id = t->id,
		.status = CALLAHEAD_NONE,
		.code = r->code,
		.text = r->text != NULL ? r->text : "" };
	char text[400];

	if (r->done && r->status == DELIVERY_OK)
		m.status = CALLAHEAD_GOOD;
	else if (denies_recipient(r))
		m.status = CALLAHEAD_BAD;
	snprintf(text, sizeof(text), "%s", m.text);
	m.text = text;
	ipc_send(ch, callahead_done, &m);
}
