/*
 * The part of libevent that the workers use, over simulated time and sockets.
 * The events of one turn are handled in any order, as a kernel may report
 * them.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "tap.h"

/* What is pending of an event; hangs on the event while it is. */
struct pending {
	TAILQ_ENTRY(pending) entry;
	struct event *event;
	struct happening timer;
	int64_t interval;
	short ready; /* what it will be called with */
	int called; /* being called now */
};

struct event_base {
	TAILQ_HEAD(, pending) list;
	struct process *process;
	struct pending *calling;
	int broken;
};

struct event_config {
	int unused;
};

static struct pending *
pending_of(const struct event *ev)
{
	return (struct pending *)ev->ev_evcallback.evcb_active_next.tqe_next;
}

static void
set_pending(struct event *ev, struct pending *p)
{
	ev->ev_evcallback.evcb_active_next.tqe_next = (void *)p;
}

/* ---- the base --------------------------------------------------------- */

struct event_config *
event_config_new(void)
{
	return calloc(1, sizeof(struct event_config));
}

int
event_config_set_flag(struct event_config *config, int flag)
{
	return 0;
}

void
event_config_free(struct event_config *config)
{
	free(config);
}

struct event_base *
event_base_new_with_config(const struct event_config *config)
{
	struct event_base *base = calloc(1, sizeof(*base));

	if (base == NULL)
		return NULL;
	TAILQ_INIT(&base->list);
	base->process = process_current();
	base->process->base = base;
	return base;
}

void
event_base_free(struct event_base *base)
{
	free(base);
}

int
event_base_loopbreak(struct event_base *base)
{
	base->broken = 1;
	return 0;
}

void
event_forget(struct event_base *base)
{
	struct pending *p;

	if (base == NULL)
		return;
	TAILQ_FOREACH (p, &base->list, entry)
		clock_cancel(&p->timer);
}

/* ---- events ----------------------------------------------------------- */

int
event_assign(struct event *ev, struct event_base *base, evutil_socket_t fd,
    short what, event_callback_fn fn, void *arg)
{
	memset(ev, 0, sizeof(*ev));
	ev->ev_base = base;
	ev->ev_fd = fd;
	ev->ev_events = what;
	ev->ev_evcallback.evcb_cb_union.evcb_callback = fn;
	ev->ev_evcallback.evcb_arg = arg;
	return 0;
}

struct event *
event_new(struct event_base *base, evutil_socket_t fd, short what,
    event_callback_fn fn, void *arg)
{
	struct event *ev = calloc(1, sizeof(*ev));

	if (ev != NULL)
		event_assign(ev, base, fd, what, fn, arg);
	return ev;
}

static void
forget(struct pending *p)
{
	struct event_base *base = p->event->ev_base;

	clock_cancel(&p->timer);
	TAILQ_REMOVE(&base->list, p, entry);
	set_pending(p->event, NULL);
	free(p);
}

int
event_del(struct event *ev)
{
	if (pending_of(ev) != NULL)
		forget(pending_of(ev));
	return 0;
}

void
event_free(struct event *ev)
{
	event_del(ev);
	free(ev);
}

static void
on_timer(void *arg)
{
	struct pending *p = arg;

	p->ready |= EV_TIMEOUT;
	process_wake(p->event->ev_base->process);
}

static struct pending *
make_pending(struct event *ev)
{
	struct pending *p = pending_of(ev);

	if (p != NULL)
		return p;
	if ((p = calloc(1, sizeof(*p))) == NULL)
		fail("out of memory");
	p->event = ev;
	p->timer.fn = on_timer;
	p->timer.arg = p;
	p->timer.tick = ev->ev_fd == -1 && (ev->ev_events & EV_PERSIST);
	set_pending(ev, p);
	TAILQ_INSERT_TAIL(&ev->ev_base->list, p, entry);
	return p;
}

int
event_add(struct event *ev, const struct timeval *tv)
{
	struct pending *p = make_pending(ev);

	if (tv != NULL) {
		p->interval =
		    (int64_t)tv->tv_sec * SECOND + (tv->tv_usec + 999) / 1000;
		p->ready &= (short)~EV_TIMEOUT;
		clock_plan(&p->timer, p->interval);
	}
	process_wake(ev->ev_base->process);
	return 0;
}

void
event_active(struct event *ev, int what, short calls)
{
	make_pending(ev)->ready |= (short)what;
	process_wake(ev->ev_base->process);
}

int
event_pending(const struct event *ev, short what, struct timeval *tv)
{
	const struct pending *p = pending_of(ev);

	if (p == NULL)
		return 0;
	return (ev->ev_events & (EV_READ | EV_WRITE) & what) |
	    (p->timer.place != 0 ? EV_TIMEOUT & what : 0);
}

struct once {
	struct event event;
	event_callback_fn fn;
	void *arg;
};

static void
on_once(evutil_socket_t fd, short what, void *arg)
{
	struct once *o = arg;

	o->fn(fd, what, o->arg);
	free(o);
}

int
event_base_once(struct event_base *base, evutil_socket_t fd, short what,
    event_callback_fn fn, void *arg, const struct timeval *tv)
{
	struct once *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return -1;
	o->fn = fn;
	o->arg = arg;
	event_assign(&o->event, base, fd, what, on_once, o);
	return event_add(&o->event, tv);
}

/* ---- a turn ----------------------------------------------------------- */

static int
poll_one(struct pending *p)
{
	const struct event *ev = p->event;
	struct object *o = ev->ev_fd != -1 ? object_of(ev->ev_fd) : NULL;

	if (o != NULL && (ev->ev_events & EV_READ) && object_readable(o))
		p->ready |= EV_READ;
	if (o != NULL && (ev->ev_events & EV_WRITE) && object_writable(o))
		p->ready |= EV_WRITE;
	return p->ready != 0;
}

static unsigned
poll_all(struct event_base *base)
{
	struct pending *p;
	unsigned n = 0;

	TAILQ_FOREACH (p, &base->list, entry)
		n += (unsigned)poll_one(p);
	return n;
}

/* Any of those that are ready. */
static struct pending *
choose(struct event_base *base, unsigned n)
{
	unsigned skip = dice_under(n);
	struct pending *p;

	TAILQ_FOREACH (p, &base->list, entry)
		if (p->ready != 0 && !p->called && skip-- == 0)
			return p;
	return NULL;
}

static void
call(struct pending *p)
{
	struct event *ev = p->event;
	event_callback_fn fn = ev->ev_evcallback.evcb_cb_union.evcb_callback;
	evutil_socket_t fd = ev->ev_fd;
	short ready = p->ready;
	void *arg = ev->ev_evcallback.evcb_arg;

	p->ready = 0;
	if (!(ev->ev_events & EV_PERSIST))
		forget(p);
	else if ((ready & EV_TIMEOUT) && p->interval > 0)
		clock_plan(&p->timer, p->interval);
	fn(fd, ready, arg);
}

static unsigned
count_ready(struct event_base *base)
{
	struct pending *p;
	unsigned n = 0;

	TAILQ_FOREACH (p, &base->list, entry)
		n += p->ready != 0;
	return n;
}

int
event_base_loop(struct event_base *base, int flags)
{
	unsigned n;

	base->broken = 0;
	while (poll_all(base) == 0)
		process_sleep();
	/* what becomes ready meanwhile has its turn next time */
	while (!base->broken && (n = count_ready(base)) > 0)
		call(choose(base, n));
	return 0;
}

int
evutil_make_socket_nonblocking(evutil_socket_t fd)
{
	return 0;
}
