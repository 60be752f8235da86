/*
 * See walk.h.
 */
#include "queue/walk.h"

struct walk {
	struct walk_at *at;
	walk_visit *visit;
	void *arg;
	uint32_t looked; /* recipients that were visited */
	uint32_t read; /* recipients of the messages that were read */
	int is_inside; /* the step ended inside a message */
};

static int
visit_envelope(void *arg, const struct envelope *env)
{
	struct walk *w = arg;
	uint32_t i = env->msgid == w->at->msgid ? w->at->rcpt : 0;

	w->read += env->rcpt_count;
	for (; i < env->rcpt_count; i++) {
		if (w->looked == WALK_STEP || w->visit(w->arg, env, i)) {
			*w->at = (struct walk_at){ env->msgid, i };
			w->is_inside = 1;
			return 1;
		}
		w->looked++;
	}
	return w->read >= WALK_STEP;
}

int
walk_step(struct store *st, struct walk_at *at, walk_visit *visit, void *arg,
    enum store_status *status)
{
	struct walk w = { .at = at, .visit = visit, .arg = arg };
	uint32_t next;

	*status =
	    store_iterate(st, at->msgid, WALK_STEP, visit_envelope, &w, &next);
	if (*status != STORE_OK && *status != STORE_NOTFOUND)
		return -1;
	if (w.is_inside)
		return 1;
	*at = (struct walk_at){ next, 0 };
	return next != 0;
}
