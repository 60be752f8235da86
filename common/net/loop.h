/*
 * The event loop of a process: libevent's, with a hook at the end of each
 * turn. What must happen once a turn rather than once an event (flushing a
 * channel, committing a batch) is deferred to that hook, which is what keeps
 * system calls per message few.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <sys/queue.h>

#include <stdint.h>

struct event_base;
struct loop;

/* A call to make at the end of this turn. Embedded in its owner and set up
 * once with loop_deferred_init. */
struct loop_deferred {
	TAILQ_ENTRY(loop_deferred) entry;
	void (*fn)(void *);
	void *arg;
	int queued;
};

/* NULL when the kernel refuses an epoll descriptor. */
struct loop *loop_new(void);
void loop_free(struct loop *);
struct event_base *loop_base(struct loop *);
/* Runs until loop_stop, and may be run again. -1 if the kernel's poll fails. */
int loop_run(struct loop *);
void loop_stop(struct loop *);
/* Milliseconds of the monotonic clock, read once a turn. */
int64_t loop_now(struct loop *);
/* Seconds since 1970, read once a turn. */
int64_t loop_time(struct loop *);

void loop_deferred_init(struct loop_deferred *, void (*fn)(void *), void *arg);
/* Queues the call; a call that is queued already stays where it is. One that
 * is queued from inside the end of a turn still runs in the same turn. */
void loop_defer(struct loop *, struct loop_deferred *);
/* Needed before the owner is freed. */
void loop_undefer(struct loop *, struct loop_deferred *);

#endif
