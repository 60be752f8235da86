/*
 * The channels between workers: each loss is made good once, whoever tells of
 * it and when, and what is lost again and again comes ever later. Two children
 * stand for all; what they are sent is read at the other end of their channel
 * to master.
 */
#include "config.h"

#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "master/backoff.h"
#include "master/master.h"
#include "net/loop.h"

enum { QUEUE, SMTPD, CHILDREN };

struct fixture;

struct worker {
	struct fixture *f;
	struct channel *ch; /* its end */
	unsigned count; /* of ends that it got */
	uint32_t pair; /* the last */
	int loses; /* tells at once of each that it is lost */
};

struct fixture {
	struct master m;
	struct child children[CHILDREN];
	struct worker workers[CHILDREN];
};

static struct fixture fixture;

static void
on_peer(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct worker *w = arg;
	struct fixture *f = w->f;

	w->count++;
	w->pair = m->peer.pair;
	close(fd);
	if (w->loses)
		assert_int_equal(pairs_lost(f->m.pairs, &f->children[QUEUE],
				     &f->children[SMTPD], w->pair),
		    1);
}

static void
on_closed(void *arg, struct channel *ch, const char *reason)
{
	fail_msg("a channel to master ended: %s", reason);
}

static channel_handler *const no_handlers[MSG_MAX];
static channel_handler *const handlers[MSG_MAX] = { [MSG_peer] = on_peer };
static const struct channel_ops master_ops = { no_handlers, on_closed, NULL };
static const struct channel_ops worker_ops = { handlers, on_closed, NULL };

static int
setup(void **state)
{
	static const enum process_kind kinds[] = { PROC_QUEUE, PROC_SMTPD };
	struct fixture *f = *state = &fixture;
	int sv[2];

	memset(f, 0, sizeof(*f));
	f->m.loop = loop_new();
	assert_non_null(f->m.loop);
	f->m.children = f->children;
	f->m.child_count = CHILDREN;
	for (int i = 0; i < CHILDREN; i++) {
		struct child *c = &f->children[i];
		struct worker *w = &f->workers[i];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
		c->master = &f->m;
		c->kind = kinds[i];
		c->state = CHILD_SERVING;
		c->channel = channel_new(
		    f->m.loop, sv[0], PROC_MASTER, kinds[i], 0, &master_ops, c);
		w->f = f;
		w->ch = channel_new(
		    f->m.loop, sv[1], kinds[i], PROC_MASTER, 0, &worker_ops, w);
	}
	f->m.pairs = pairs_new(&f->m);
	assert_non_null(f->m.pairs);
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	pairs_free(f->m.pairs);
	for (int i = 0; i < CHILDREN; i++) {
		channel_free(f->children[i].channel);
		channel_free(f->workers[i].ch);
	}
	loop_free(f->m.loop);
	return 0;
}

static void
stop(evutil_socket_t fd, short what, void *loop)
{
	loop_stop(loop);
}

static void
run_for(struct fixture *f, int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_base_once(
	    loop_base(f->m.loop), -1, EV_TIMEOUT, stop, f->m.loop, &tv);
	loop_run(f->m.loop);
}

static int
lost(struct fixture *f, int a, int b, uint32_t pair)
{
	return pairs_lost(f->m.pairs, &f->children[a], &f->children[b], pair);
}

/* Both get so many ends, the last of them of the same pair. */
static void
expect(struct fixture *f, unsigned count)
{
	for (int i = 0; i < 500 && f->workers[QUEUE].count < count; i++)
		run_for(f, 20);
	run_for(f, 20);
	for (int i = 0; i < CHILDREN; i++)
		assert_int_equal(f->workers[i].count, count);
	assert_int_equal(f->workers[QUEUE].pair, f->workers[SMTPD].pair);
}

static void
told_by_both(void **state)
{
	struct fixture *f = *state;
	uint32_t pair;

	pairs_connect(f->m.pairs, &f->children[SMTPD]);
	expect(f, 1);
	pair = f->workers[QUEUE].pair;
	assert_int_equal(lost(f, QUEUE, SMTPD, pair), 1);
	assert_int_equal(lost(f, SMTPD, QUEUE, pair), 1);
	expect(f, 2);
	assert_int_not_equal(f->workers[QUEUE].pair, pair);
	/* news of the old one, late */
	assert_int_equal(lost(f, QUEUE, SMTPD, pair), 1);
	run_for(f, 2 * BACKOFF_MIN_MS);
	expect(f, 2);
}

/* What is between two lives that are no more is nobody's concern. */
static void
told_of_the_dead(void **state)
{
	struct fixture *f = *state;
	uint32_t pair;

	pairs_connect(f->m.pairs, &f->children[SMTPD]);
	expect(f, 1);
	pair = f->workers[QUEUE].pair;
	/* the queue hears of it first */
	assert_int_equal(lost(f, QUEUE, SMTPD, pair), 1);
	f->children[SMTPD].state = CHILD_DOWN;
	run_for(f, 2 * BACKOFF_MIN_MS);
	expect(f, 1);
	assert_int_equal(lost(f, QUEUE, SMTPD, pair), 0);
	f->children[SMTPD].state = CHILD_RELEASED;
	pairs_connect(f->m.pairs, &f->children[SMTPD]);
	assert_int_equal(lost(f, QUEUE, SMTPD, pair), 0);
	run_for(f, 2 * BACKOFF_MIN_MS);
	expect(f, 2);
	/* nor can one be told of that there never was */
	assert_int_equal(lost(f, QUEUE, SMTPD, pair + 2), 0);
	assert_int_equal(lost(f, QUEUE, QUEUE, pair), -1);
}

static void
lost_again_and_again(void **state)
{
	struct fixture *f = *state;
	int64_t began = loop_now(f->m.loop);

	f->workers[QUEUE].loses = f->workers[SMTPD].loses = 1;
	pairs_connect(f->m.pairs, &f->children[SMTPD]);
	/* after waits of 1, 1, 2 and 4 times that */
	expect(f, 5);
	assert_true(loop_now(f->m.loop) - began >= 8 * BACKOFF_MIN_MS);
}

static void
backoff(void **state)
{
	static const struct {
		int64_t lived;
		uint32_t wait;
	} rows[] = { { 5, 0 }, { 5, 100 }, { 5, 200 }, { 5, 400 }, { 5, 800 },
		{ 5, 1600 }, { 5, 3200 }, { 5, 5000 }, { 5, 5000 },
		{ 10000, 5000 }, { 10001, 0 }, { 0, 100 } };
	uint32_t next = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
		    backoff_wait(&next, rows[i].lived), rows[i].wait);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(told_by_both),
		TEST(told_of_the_dead),
		TEST(lost_again_and_again),
		cmocka_unit_test(backoff),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
