/*
 * A walk through all recipients of the queue, for the questions that filters
 * go with. A step is bounded by recipients, since one message may have many
 * thousands, and it ends in the middle of a message when the asker is behind.
 * The next step goes on behind the last recipient.
 */
#include "config.h"

#include "ipc/worker.h"
#include "net/loop.h"
#include "queue/control_private.h"
#include "queue/store.h"

struct walk {
	struct control_conn *c;
	control_visit *visit;
	uint32_t looked; /* recipients that were looked at */
	uint32_t read; /* recipients of the messages that were read */
	int is_over; /* --limit is reached */
	int is_inside; /* the step ended inside a message */
};

static void
look(struct walk *w, const struct envelope *env, uint32_t index)
{
	struct control_conn *c = w->c;
	const struct envelope_rcpt *r = &env->rcpts[index];
	int64_t now = loop_time(worker_loop(c->control->env.worker));
	int64_t next, expiry;
	const char *state;

	if (r->state == ENVELOPE_DONE)
		return;
	state = control_state(c, env->msgid, index, r, &next, &expiry);
	if (!control_match(&c->filter, env, r, state, now))
		return;
	c->matched++;
	w->visit(c, env, index, state, next, expiry);
}

/* Whether the step must end before the next recipient. */
static int
must_pause(const struct walk *w)
{
	struct channel *ch = w->c->channel;

	return w->looked >= CONTROL_STEP || !channel_is_open(ch) ||
	    channel_busy(ch);
}

static int
visit_envelope(void *arg, const struct envelope *env)
{
	struct walk *w = arg;
	struct control_conn *c = w->c;
	uint32_t i = env->msgid == c->next ? c->next_rcpt : 0;

	w->read += env->rcpt_count;
	if (!control_may_see(c, env))
		i = env->rcpt_count;
	for (; i < env->rcpt_count; i++) {
		w->is_over =
		    c->filter.limit != 0 && c->matched >= c->filter.limit;
		w->is_inside = must_pause(w);
		if (w->is_over || w->is_inside) {
			c->next = env->msgid;
			c->next_rcpt = i;
			return 1;
		}
		w->looked++;
		look(w, env, i);
	}
	return w->read >= CONTROL_STEP;
}

int
control_walk(struct control_conn *c, control_visit *visit)
{
	struct walk w = { .c = c, .visit = visit };
	enum store_status status;
	uint32_t next;

	status = store_iterate(c->control->env.store, c->next, CONTROL_STEP,
	    visit_envelope, &w, &next);
	if (status != STORE_OK && status != STORE_NOTFOUND) {
		control_end(c, store_strstatus(status));
		return -1;
	}
	if (w.is_over || w.is_inside)
		return !w.is_over;
	c->next = next;
	c->next_rcpt = 0;
	return next != 0;
}
