/*
 * auth/hasher.h without a thread: the password is verified at the end of the
 * turn. Linked into the auth worker.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "auth/credentials.h"
#include "auth/hasher.h"
#include "net/loop.h"
#include "sim.h"

struct hasher {
	struct loop *loop;
};

struct task {
	struct loop_deferred end;
	int fits;
	void (*done)(void *arg, int fits);
	void *arg;
};

struct hasher *
hasher_new(struct loop *loop)
{
	struct hasher *h = calloc(1, sizeof(*h));

	if (h != NULL)
		h->loop = loop;
	return h;
}

static void
tell(void *arg)
{
	struct task *t = arg;

	t->done(t->arg, t->fits);
	free(t);
}

int
hasher_verify(struct hasher *h, const char *stored, const char *password,
    void (*done)(void *arg, int fits), void *arg)
{
	struct task *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return -1;
	t->fits = credentials_verify(stored, password);
	t->done = done;
	t->arg = arg;
	loop_deferred_init(&t->end, tell, t);
	loop_defer(h->loop, &t->end);
	return 0;
}
