/*
 * A walk through all recipients of the queue, for the questions that filters
 * go with. A step ends early when the asker is behind.
 */
#include "config.h"

#include "ipc/worker.h"
#include "net/loop.h"
#include "queue/control_private.h"

struct look {
	struct control_conn *c;
	control_visit *visit;
	int is_over; /* --limit is reached */
};

static int
look(void *arg, const struct envelope *env, uint32_t index)
{
	struct look *l = arg;
	struct control_conn *c = l->c;
	const struct envelope_rcpt *r = &env->rcpts[index];
	int64_t now = loop_time(worker_loop(c->control->env.worker));
	int64_t next, expiry;
	const char *state;

	l->is_over = c->filter.limit != 0 && c->matched >= c->filter.limit;
	if (l->is_over || !channel_is_open(c->channel) ||
	    channel_busy(c->channel))
		return 1;
	if (r->state == ENVELOPE_DONE || !control_may_see(c, env))
		return 0;
	state = control_state(c, env->msgid, index, r, &next, &expiry);
	if (control_match(&c->filter, env, r, state, now)) {
		c->matched++;
		l->visit(c, env, index, state, next, expiry);
	}
	return 0;
}

int
control_walk(struct control_conn *c, control_visit *visit)
{
	struct look l = { .c = c, .visit = visit };
	struct walk_at at = { c->next, c->next_rcpt };
	enum store_status status;
	int more;

	more = walk_step(c->control->env.store, &at, look, &l, &status);
	if (more == -1) {
		control_end(c, store_strstatus(status));
		return -1;
	}
	c->next = at.msgid;
	c->next_rcpt = at.rcpt;
	return more && !l.is_over;
}
