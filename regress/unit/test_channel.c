/*
 * Channels over a real socket pair in one process: order, descriptors,
 * credit, and what closes a channel.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "ipc/channel.h"
#include "net/loop.h"

struct side {
	struct channel *ch;
	int received;
	uint64_t last_id;
	int fd;
	const char *reason;
	int writable;
	size_t hold;
};

struct pair {
	struct loop *loop;
	struct side master;
	struct side queue;
};

static void
on_user_query(void *ctx, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct side *s = ctx;

	s->received++;
	s->last_id = m->peer_user_query.id;
	s->fd = fd;
}

static void
on_master_request(void *ctx, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct side *s = ctx;

	assert_int_equal(fd, -1);
	/* order holds among all messages of the channel */
	assert_int_equal(m->master_request.id, s->last_id + 1);
	s->received++;
	s->last_id = m->master_request.id;
}

static void
on_log_line(void *ctx, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct side *s = ctx;

	s->received++;
	if (s->hold > 0)
		channel_hold(ch, strlen(m->log_line.line));
}

static channel_handler *const master_handlers[MSG_MAX] = {
	[MSG_peer_user_query] = on_user_query,
	[MSG_master_request] = on_master_request,
	[MSG_log_line] = on_log_line,
};
static channel_handler *const queue_handlers[MSG_MAX] = { NULL };

static void
on_closed(void *ctx, struct channel *ch, const char *reason)
{
	struct side *s = ctx;

	s->reason = reason;
	s->ch = NULL;
	channel_free(ch);
}

static void
on_writable(void *ctx, struct channel *ch)
{
	((struct side *)ctx)->writable++;
}

static const struct channel_ops master_ops = { master_handlers, on_closed,
	on_writable };
static const struct channel_ops queue_ops = { queue_handlers, on_closed,
	on_writable };

static void
setup_peer(struct pair *p, enum process_kind peer)
{
	int sv[2];

	memset(p, 0, sizeof(*p));
	p->master.fd = p->queue.fd = -1;
	p->loop = loop_new();
	assert_non_null(p->loop);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	p->master.ch = channel_new(
	    p->loop, sv[0], PROC_MASTER, peer, 0, &master_ops, &p->master);
	p->queue.ch = channel_new(
	    p->loop, sv[1], PROC_QUEUE, PROC_MASTER, 0, &queue_ops, &p->queue);
}

static void
setup(struct pair *p)
{
	setup_peer(p, PROC_QUEUE);
}

static void
teardown(struct pair *p)
{
	if (p->master.fd != -1)
		close(p->master.fd);
	channel_free(p->master.ch);
	channel_free(p->queue.ch);
	loop_free(p->loop);
}

static void
stop(evutil_socket_t fd, short what, void *loop)
{
	loop_stop(loop);
}

static void
run_for(struct pair *p, int ms)
{
	struct timeval tv = { 0, ms * 1000 };
	struct loop *loop = p->loop;

	/* loop_stop is for good, so a turn at a time is driven here */
	event_base_once(loop_base(loop), -1, EV_TIMEOUT, stop, loop, &tv);
	loop_run(loop);
}

static void
order_and_descriptors(void **state)
{
	struct pair p;
	int pipefd[2];
	char c;

	setup(&p);
	for (uint64_t id = 1; id < 40; id++) {
		struct msg_master_request r = { .id = id };
		struct msg_peer_user_query q = { .id = id };

		if (id % 7 != 0) {
			assert_int_equal(
			    ipc_send(p.queue.ch, master_request, &r), 0);
			continue;
		}
		assert_int_equal(pipe(pipefd), 0);
		assert_int_equal(
		    ipc_send_fd(p.queue.ch, peer_user_query, &q, pipefd[0]), 0);
		close(p.queue.fd);
		p.queue.fd = pipefd[1];
	}
	run_for(&p, 50);
	assert_int_equal(p.master.received, 39);
	/* the last descriptor that arrived is the last pipe's reader */
	assert_int_equal(write(p.queue.fd, "z", 1), 1);
	assert_int_equal(read(p.master.fd, &c, 1), 1);
	assert_int_equal(c, 'z');
	assert_null(p.master.reason);
	close(p.queue.fd);
	teardown(&p);
}

static void
credit_bounds_the_producer(void **state)
{
	struct pair p;
	char line[2048];
	struct msg_log_line m = { .line = line };
	int sent = 0;

	setup(&p);
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	p.master.hold = 1;
	while (!channel_congested(p.queue.ch) || sent < 4000) {
		assert_int_equal(ipc_send(p.queue.ch, log_line, &m), 0);
		sent++;
	}
	run_for(&p, 200);
	/* held back: no more than the window came through */
	assert_true(p.master.received < sent);
	assert_true((size_t)p.master.received * 2048 <= CHANNEL_WINDOW + 4096);
	assert_int_equal(p.queue.writable, 0);
	teardown(&p);

	setup(&p);
	for (int i = 0; i < 4000; i++)
		assert_int_equal(ipc_send(p.queue.ch, log_line, &m), 0);
	assert_true(channel_congested(p.queue.ch));
	run_for(&p, 400);
	assert_int_equal(p.master.received, 4000);
	assert_int_equal(p.queue.writable, 1);
	teardown(&p);
}

static void
ask(evutil_socket_t fd, short what, void *arg)
{
	(void)channel_busy(arg);
}

/* Bulk data stops long before the window is full, and goes on. */
static void
bulk_waits_its_turn(void **state)
{
	char line[2048];
	struct msg_log_line m = { .line = line };
	struct timeval at_once = { 0, 0 };
	struct event *asker;
	size_t sent = 0;
	struct pair p;

	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	setup(&p);
	p.master.hold = 1;
	for (int i = 0; i < 10; i++) {
		for (; !channel_busy(p.queue.ch); sent += sizeof(line))
			assert_int_equal(ipc_send(p.queue.ch, log_line, &m), 0);
		run_for(&p, 20);
	}
	assert_true(sent > CHANNEL_BULK - CHANNEL_BULK / 4);
	assert_true(sent < CHANNEL_BULK + CHANNEL_BULK / 4);
	assert_false(channel_congested(p.queue.ch));
	assert_int_equal(p.queue.writable, 0);
	channel_release(p.master.ch, sent);
	/* whoever asks meanwhile takes nothing from those who wait */
	asker = event_new(loop_base(p.loop), -1, EV_PERSIST, ask, p.queue.ch);
	event_add(asker, &at_once);
	run_for(&p, 20);
	event_free(asker);
	assert_int_equal(p.queue.writable, 1);
	assert_false(channel_busy(p.queue.ch));
	teardown(&p);
}

static void
forged_octets_close(void **state)
{
	static const struct {
		const char *octets;
		size_t len;
	} rows[] = {
		{ "\xff\xff\xff\xff\0\1\0\0", 8 }, /* length beyond all */
		{ "\0\0\0\0\0\0\0\0", 8 }, /* type none */
		{ "\0\0\0\0\x7f\0\0\0", 8 }, /* type unknown */
		{ "\0\0\0\0\0\1\0\1", 8 }, /* reserved octets */
		{ "\0\0\0\4\xff\xff\0\0\xff\xff\xff\xff", 12 }, /* credit */
		{ "\0\0\0\1\xff\xff\0\0x", 9 },
	};
	struct pair p;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		setup(&p);
		assert_int_equal(
		    write(channel_fd(p.queue.ch), rows[i].octets, rows[i].len),
		    rows[i].len);
		run_for(&p, 20);
		assert_non_null(p.master.reason);
		teardown(&p);
	}
}

/* What a peer of whom nobody need trust begins and does not end is refused by
 * its length, before there is room made for it. */
static void
long_frames_close(void **state)
{
	static const struct {
		enum process_kind peer;
		size_t len;
		int refused;
	} rows[] = {
		{ PROC_CONTROL, 64 << 10, 0 },
		{ PROC_CONTROL, 200 << 10, 1 },
		{ PROC_LOCAL, 200 << 10, 0 },
		{ PROC_LOCAL, 3 << 20, 0 },
		{ PROC_LOCAL, 5 << 20, 1 },
		{ PROC_QUEUE, 5 << 20, 0 },
		{ PROC_SMTPD, 5 << 20, 0 },
		{ PROC_QUEUE, 17 << 20, 1 },
	};
	struct pair p;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = rows[i].len;
		const uint8_t header[] = { n >> 24, n >> 16 & 0xff,
			n >> 8 & 0xff, n & 0xff, MSG_log_line >> 8,
			MSG_log_line & 0xff, 0, 0 };

		setup_peer(&p, rows[i].peer);
		assert_int_equal(
		    write(channel_fd(p.queue.ch), header, sizeof(header)),
		    sizeof(header));
		run_for(&p, 20);
		assert_int_equal(p.master.reason != NULL, rows[i].refused);
		teardown(&p);
	}
}

static void
forbidden_edge(void **state)
{
	struct msg_submit m = { .id = 1 };
	struct pair p;

	setup(&p);
	assert_int_equal(ipc_send(p.queue.ch, submit, &m), -1);
	teardown(&p);
}

static int
connection(const struct sockaddr_un *to, socklen_t len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (const void *)to, len), 0);
	return fd;
}

/* A listener that a dead worker was to have goes on for the next: with whom
 * waits, and with who comes later. */
static void
unsent_listener(void **state)
{
	const struct msg_control_socket m = { 0 };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(sun);
	int l = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), waits;
	struct pair p;

	/* the kernel gives it a name that is no file */
	assert_int_equal(bind(l, (void *)&sun, sizeof(sun.sun_family)), 0);
	assert_int_equal(getsockname(l, (void *)&sun, &len), 0);
	assert_int_equal(listen(l, 2), 0);
	waits = connection(&sun, len);
	setup(&p);
	channel_free(p.queue.ch);
	p.queue.ch = NULL;
	assert_int_equal(
	    ipc_send_fd(p.master.ch, control_socket, &m, dup(l)), 0);
	run_for(&p, 20);
	assert_null(p.master.ch);
	close(connection(&sun, len));
	for (int i = 0; i < 2; i++) {
		int fd = accept(l, NULL, NULL);

		assert_int_not_equal(fd, -1);
		close(fd);
	}
	close(waits);
	close(l);
	teardown(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_and_descriptors),
		cmocka_unit_test(credit_bounds_the_producer),
		cmocka_unit_test(bulk_waits_its_turn),
		cmocka_unit_test(forged_octets_close),
		cmocka_unit_test(long_frames_close),
		cmocka_unit_test(forbidden_edge),
		cmocka_unit_test(unsent_listener),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
