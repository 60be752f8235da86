/*
 * Streams in clear over socket pairs and loopback: order, limits, back
 * pressure, deadlines, ends, and being freed from inside callbacks.
 */
#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "net_fixture.h"

struct context {
	struct loop *loop;
	struct stream_set *set;
};

static int
setup(void **state)
{
	struct context *c = calloc(1, sizeof(*c));

	c->loop = loop_new();
	c->set = stream_set_new(c->loop);
	assert_non_null(c->set);
	*state = c;
	return 0;
}

static int
teardown(void **state)
{
	struct context *c = *state;

	stream_set_free(c->set);
	loop_free(c->loop);
	free(c);
	return 0;
}

static uint8_t
pattern(size_t i)
{
	return (uint8_t)(i * 7 + i / 251);
}

static void
fill(uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = pattern(i);
}

static void
check_pattern(const struct end *e, size_t len)
{
	assert_int_equal(e->got_len, len);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(e->got[i], pattern(i));
}

static void
test_both_ways(void **state)
{
	struct context *c = *state;
	struct end a, b;

	ends_pair(c->set, SOCK_STREAM, &a, &b);
	a.want = 9;
	b.want = 6;
	assert_int_equal(stream_write_string(a.stream, "EHLO\r\n"), 0);
	assert_int_equal(stream_write_string(b.stream, "250 yes\r\n"), 0);
	assert_true(run_until(c->loop, &a.got_all, 1000));
	assert_true(run_until(c->loop, &b.got_all, 1000));
	assert_memory_equal(a.got, "250 yes\r\n", 9);
	assert_memory_equal(b.got, "EHLO\r\n", 6);
	assert_int_equal(a.drained, 1);
	assert_int_equal(b.drained, 1);
	assert_int_equal(stream_set_count(c->set), 2);
	end_free(&a);
	run_until(c->loop, &b.closed, 1000);
	assert_int_equal(b.closed, 1);
	assert_int_equal(b.why, STREAM_END_EOF);
	end_free(&b);
	run_for(c->loop, 5);
	assert_int_equal(stream_set_count(c->set), 0);
}

/* A packet a system call: what is written in a turn leaves in one. */
static void
test_one_call(void **state)
{
	struct context *c = *state;
	struct end a = { 0 };
	char got[512];
	int fd[2];

	socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd);
	a.stream = stream_new(c->set, fd[0], &end_ops, &a);
	for (int i = 0; i < 100; i++)
		assert_int_equal(stream_write_string(a.stream, "abc"), 0);
	run_until(c->loop, &a.drained, 1000);
	assert_int_equal(recv(fd[1], got, sizeof(got), MSG_DONTWAIT), 300);
	assert_int_equal(recv(fd[1], got, sizeof(got), MSG_DONTWAIT), -1);
	stream_write_string(a.stream, "now");
	stream_flush(a.stream);
	assert_int_equal(recv(fd[1], got, sizeof(got), MSG_DONTWAIT), 3);
	end_free(&a);
	close(fd[1]);
}

/* The writer is stopped by its limit, and goes on when it drains. */
static void
test_back_pressure_out(void **state)
{
	struct context *c = *state;
	static uint8_t data[3000000];
	size_t sent = 0, n;
	struct end a, b;
	int refused = 0;

	fill(data, sizeof(data));
	ends_pair(c->set, SOCK_STREAM, &a, &b);
	stream_set_limits(a.stream, 0, 100000);
	stream_pause(b.stream);
	b.want = sizeof(data);
	for (int i = 0; i < 100; i++) {
		n = stream_output_room(a.stream);
		assert_true(n <= 100000);
		assert_int_equal(stream_write(a.stream, data + sent, n), 0);
		sent += n;
		refused += stream_write(a.stream, data + sent, 1) == -1;
		run_for(c->loop, 2);
	}
	/* all that the kernel, the reader and the writer hold, no more */
	assert_true(refused > 50);
	assert_true(sent < 1000000);
	assert_int_equal(b.readable, 0);
	stream_resume(b.stream);
	while (sent < sizeof(data)) {
		run_for(c->loop, 2);
		n = stream_output_room(a.stream);
		if (n > sizeof(data) - sent)
			n = sizeof(data) - sent;
		assert_int_equal(stream_write(a.stream, data + sent, n), 0);
		sent += n;
	}
	assert_true(run_until(c->loop, &b.got_all, 5000));
	check_pattern(&b, sizeof(data));
	end_free(&a);
	end_free(&b);
}

/* A reader who does not consume stops the peer, and loses nothing. */
static void
test_back_pressure_in(void **state)
{
	struct context *c = *state;
	static uint8_t data[200000];
	struct end a, b;
	size_t len;

	fill(data, sizeof(data));
	ends_pair(c->set, SOCK_STREAM, &a, &b);
	stream_set_limits(b.stream, 1000, 0);
	b.keep_input = 1;
	b.want = sizeof(data);
	assert_int_equal(stream_write(a.stream, data, sizeof(data)), 0);
	run_for(c->loop, 20);
	stream_input(b.stream, &len);
	assert_int_equal(len, 1000);
	assert_true(b.readable >= 1);
	b.keep_input = 0;
	stream_resume(b.stream);
	assert_true(run_until(c->loop, &b.got_all, 5000));
	check_pattern(&b, sizeof(data));
	end_free(&a);
	end_free(&b);
}

static void
test_pause(void **state)
{
	struct context *c = *state;
	struct end a, b;
	size_t len;

	ends_pair(c->set, SOCK_STREAM, &a, &b);
	stream_pause(b.stream);
	stream_write_string(a.stream, "DATA\r\n");
	run_for(c->loop, 10);
	end_free(&a);
	run_for(c->loop, 10);
	/* neither the octets nor the end behind them */
	assert_int_equal(b.readable, 0);
	assert_int_equal(b.closed, 0);
	stream_resume(b.stream);
	assert_true(run_until(c->loop, &b.closed, 1000));
	assert_int_equal(b.got_len, 6);
	assert_int_equal(b.why, STREAM_END_EOF);
	stream_input(b.stream, &len);
	assert_int_equal(len, 0);
	end_free(&b);
}

/* A stream that is paused inside on_readable with octets left gets them when
 * it is resumed. */
static void
test_left_over(void **state)
{
	struct context *c = *state;
	struct end a, b;

	ends_pair(c->set, SOCK_STREAM, &a, &b);
	b.keep_input = 1;
	stream_write_string(a.stream, "A\r\nB\r\n");
	run_for(c->loop, 10);
	assert_int_equal(b.readable, 1);
	stream_consume(b.stream, 3);
	run_for(c->loop, 10);
	assert_int_equal(b.readable, 1);
	b.keep_input = 0;
	stream_resume(b.stream);
	run_for(c->loop, 10);
	assert_int_equal(b.got_len, 3);
	assert_memory_equal(b.got, "B\r\n", 3);
	end_free(&a);
	end_free(&b);
}

/* ---- deadlines -------------------------------------------------------- */

/* One octet every few milliseconds does not help. */
static void
test_deadline_is_total(void **state)
{
	struct context *c = *state;
	int64_t start = now_ms();
	struct end a, b;

	ends_pair(c->set, SOCK_STREAM, &a, &b);
	stream_set_deadline(b.stream, start + 60);
	while (!b.closed && now_ms() < start + 1000) {
		stream_write_string(a.stream, "x");
		run_for(c->loop, 4);
	}
	assert_int_equal(b.closed, 1);
	assert_int_equal(b.why, STREAM_END_TIMEOUT);
	assert_true(now_ms() - start >= 60);
	assert_true(now_ms() - start < 500);
	assert_true(b.got_len > 3);
	/* the last word still goes out */
	stream_write_string(b.stream, "421 too slow\r\n");
	a.want = 14;
	stream_finish(b.stream, now_ms() + 1000, 0);
	b.stream = NULL;
	assert_true(run_until(c->loop, &a.got_all, 1000));
	assert_true(run_until(c->loop, &a.closed, 1000));
	assert_memory_equal(a.got, "421 too slow\r\n", 14);
	end_free(&a);
	end_free(&b);
	run_for(c->loop, 5);
	assert_int_equal(stream_set_count(c->set), 0);
}

static void
test_deadline_moves(void **state)
{
	struct context *c = *state;
	int64_t start = now_ms();
	struct end a, b;

	ends_pair(c->set, SOCK_STREAM, &a, &b);
	stream_set_deadline(b.stream, start + 30);
	run_for(c->loop, 10);
	stream_set_deadline(b.stream, start + 120);
	run_for(c->loop, 60);
	assert_int_equal(b.closed, 0);
	stream_set_deadline(b.stream, 0);
	run_for(c->loop, 100);
	assert_int_equal(b.closed, 0);
	/* and a nearer one after a farther one */
	stream_set_deadline(b.stream, now_ms() + 100000);
	start = now_ms();
	stream_set_deadline(b.stream, start + 20);
	assert_true(run_until(c->loop, &b.closed, 1000));
	assert_true(now_ms() - start < 500);
	assert_int_equal(b.why, STREAM_END_TIMEOUT);
	end_free(&a);
	end_free(&b);
}

/* Who does not read what we write is no better than who does not write. */
static void
test_slow_reader(void **state)
{
	struct context *c = *state;
	static uint8_t data[STREAM_OUTPUT_LIMIT];
	struct end a = { 0 };
	int fd[2], small = 4096;
	char octet;

	socketpair(AF_UNIX, SOCK_STREAM, 0, fd);
	setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	a.stream = stream_new(c->set, fd[0], &end_ops, &a);
	assert_int_equal(stream_write(a.stream, data, sizeof(data)), 0);
	stream_set_deadline(a.stream, now_ms() + 50);
	for (int i = 0; i < 200 && !a.closed; i++) {
		run_for(c->loop, 4);
		assert_int_equal(recv(fd[1], &octet, 1, MSG_DONTWAIT), 1);
	}
	assert_int_equal(a.closed, 1);
	assert_int_equal(a.why, STREAM_END_TIMEOUT);
	assert_int_equal(a.drained, 0);
	assert_true(stream_output_pending(a.stream) > 0);
	/* nor does it keep a stream that finishes */
	stream_finish(a.stream, now_ms() + 20, 1);
	a.stream = NULL;
	run_for(c->loop, 60);
	assert_int_equal(stream_set_count(c->set), 0);
	close(fd[1]);
	end_free(&a);
}

/* ---- ends ------------------------------------------------------------- */

/* Everything that was written arrives, then the end. */
static void
test_finish(void **state)
{
	struct context *c = *state;
	static uint8_t data[STREAM_OUTPUT_LIMIT];
	struct end a, b;

	fill(data, sizeof(data));
	ends_pair(c->set, SOCK_STREAM, &a, &b);
	b.want = sizeof(data);
	assert_int_equal(stream_write(a.stream, data, sizeof(data)), 0);
	stream_finish(a.stream, now_ms() + 5000, 0);
	assert_int_equal(stream_write(a.stream, "x", 1), -1);
	a.stream = NULL;
	assert_true(run_until(c->loop, &b.closed, 5000));
	check_pattern(&b, sizeof(data));
	assert_int_equal(a.drained, 0);
	end_free(&a);
	end_free(&b);
}

static void
loopback(struct sockaddr_in *sin, int *listener, int backlog)
{
	socklen_t len = sizeof(*sin);

	memset(sin, 0, sizeof(*sin));
	sin->sin_family = AF_INET;
	sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(
	    bind(*listener, (struct sockaddr *)sin, sizeof(*sin)), 0);
	assert_int_equal(listen(*listener, backlog), 0);
	getsockname(*listener, (struct sockaddr *)sin, &len);
}

/* A reply that refuses reaches a client that is still sending. */
static void
test_linger(void **state)
{
	struct context *c = *state;
	struct sockaddr_in sin;
	struct end a = { 0 };
	char got[64], flood[10000] = { 0 };
	ssize_t n;
	int listener, client;

	loopback(&sin, &listener, 5);
	client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(
	    connect(client, (struct sockaddr *)&sin, sizeof(sin)), 0);
	a.stream =
	    stream_new(c->set, accept(listener, NULL, NULL), &end_ops, &a);
	assert_int_equal(write(client, flood, sizeof(flood)), sizeof(flood));
	stream_write_string(a.stream, "554 go away\r\n");
	stream_finish(a.stream, now_ms() + 2000, 1);
	a.stream = NULL;
	run_for(c->loop, 20);
	assert_int_equal(stream_set_count(c->set), 1);
	assert_int_equal(write(client, flood, sizeof(flood)), sizeof(flood));
	run_for(c->loop, 20);
	n = recv(client, got, sizeof(got), MSG_DONTWAIT);
	assert_int_equal(n, 13);
	assert_memory_equal(got, "554 go away\r\n", 13);
	assert_int_equal(recv(client, got, sizeof(got), MSG_DONTWAIT), 0);
	close(client);
	run_for(c->loop, 20);
	assert_int_equal(stream_set_count(c->set), 0);
	close(listener);
}

static void
test_reset(void **state)
{
	struct context *c = *state;
	struct linger hard = { 1, 0 };
	struct sockaddr_in sin;
	struct end a = { 0 };
	int listener, client;

	loopback(&sin, &listener, 5);
	client = socket(AF_INET, SOCK_STREAM, 0);
	connect(client, (struct sockaddr *)&sin, sizeof(sin));
	a.stream =
	    stream_new(c->set, accept(listener, NULL, NULL), &end_ops, &a);
	setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(client);
	assert_true(run_until(c->loop, &a.closed, 1000));
	assert_int_equal(a.why, STREAM_END_ERROR);
	assert_string_equal(stream_error(a.stream), strerror(ECONNRESET));
	assert_int_equal(stream_write(a.stream, "x", 1), -1);
	/* a stream that is dead finishes at once */
	stream_finish(a.stream, now_ms() + 100000, 1);
	a.stream = NULL;
	run_for(c->loop, 5);
	assert_int_equal(stream_set_count(c->set), 0);
	close(listener);
}

/* What a server said before it closed is heard, though it read no more of what
 * it was sent: the reset is met by the next write. */
static void
test_last_words(void **state)
{
	struct context *c = *state;
	struct sockaddr_in sin;
	struct end a = { 0 };
	int listener, server;

	loopback(&sin, &listener, 5);
	a.stream = stream_connect(c->set, (struct sockaddr *)&sin, sizeof(sin),
	    NULL, 0, 0, &end_ops, &a);
	assert_true(run_until(c->loop, &a.connected, 1000));
	stream_write_string(a.stream, "DATA\r\n");
	assert_true(run_until(c->loop, &a.drained, 1000));
	server = accept(listener, NULL, NULL);
	assert_int_equal(write(server, "552 too big\r\n", 13), 13);
	close(server);
	stream_write_string(a.stream, "more");
	stream_flush(a.stream);
	assert_true(run_until(c->loop, &a.closed, 1000));
	assert_int_equal(a.got_len, 13);
	assert_memory_equal(a.got, "552 too big\r\n", 13);
	/* nor does what cannot leave keep it */
	stream_finish(a.stream, now_ms() + 100000, 0);
	a.stream = NULL;
	run_for(c->loop, 5);
	assert_int_equal(stream_set_count(c->set), 0);
	free(a.got);
	close(listener);
}

/* Writing to a peer that is gone is an end, not a signal. */
static void
test_broken_pipe(void **state)
{
	struct context *c = *state;
	struct end a = { 0 };
	int fd[2];

	socketpair(AF_UNIX, SOCK_STREAM, 0, fd);
	a.stream = stream_new(c->set, fd[0], &end_ops, &a);
	stream_pause(a.stream);
	close(fd[1]);
	stream_write_string(a.stream, "250 ok\r\n");
	stream_flush(a.stream);
	assert_int_equal(a.closed, 0); /* never from inside a call */
	assert_true(run_until(c->loop, &a.closed, 1000));
	assert_int_equal(a.why, STREAM_END_ERROR);
	end_free(&a);
}

/* ---- freeing ---------------------------------------------------------- */

static void
test_free_inside(void **state)
{
	static const enum free_in where[] = { FREE_IN_READABLE, FREE_IN_DRAINED,
		FREE_IN_CLOSED };
	struct context *c = *state;
	struct end a, b;

	for (size_t i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
		ends_pair(c->set, SOCK_STREAM, &a, &b);
		a.free_in = where[i];
		stream_write_string(a.stream, "one");
		stream_write_string(b.stream, "two");
		run_for(c->loop, 10);
		end_free(&b);
		run_for(c->loop, 10);
		assert_null(a.stream);
		assert_int_equal(stream_set_count(c->set), 0);
		end_free(&a);
	}
	/* and outside, before a turn has begun */
	ends_pair(c->set, SOCK_STREAM, &a, &b);
	stream_write_string(a.stream, "one");
	end_free(&a);
	run_for(c->loop, 10);
	assert_int_equal(b.closed, 1);
	assert_int_equal(b.got_len, 0);
	end_free(&b);
	/* what is left goes with the set: teardown */
	ends_pair(c->set, SOCK_STREAM, &a, &b);
}

/* ---- connecting ------------------------------------------------------- */

static void
test_connect(void **state)
{
	struct context *c = *state;
	struct sockaddr_in sin, from = { .sin_family = AF_INET }, peer;
	socklen_t len = sizeof(peer);
	struct end a = { 0 };
	int listener, fd;
	char got[8];

	loopback(&sin, &listener, 5);
	inet_pton(AF_INET, "127.0.0.2", &from.sin_addr);
	from.sin_port = htons(25); /* must be ignored */
	a.stream = stream_connect(c->set, (struct sockaddr *)&sin, sizeof(sin),
	    (struct sockaddr *)&from, sizeof(from), now_ms() + 1000, &end_ops,
	    &a);
	assert_non_null(a.stream);
	assert_int_equal(a.connected, 0);
	stream_write_string(a.stream, "early");
	assert_true(run_until(c->loop, &a.connected, 1000));
	fd = accept(listener, (struct sockaddr *)&peer, &len);
	assert_int_equal(peer.sin_addr.s_addr, from.sin_addr.s_addr);
	assert_int_not_equal(peer.sin_port, from.sin_port);
	run_for(c->loop, 10);
	assert_int_equal(read(fd, got, sizeof(got)), 5);
	close(fd);
	assert_true(run_until(c->loop, &a.closed, 1000));
	assert_int_equal(a.why, STREAM_END_EOF);
	end_free(&a);

	a = (struct end){ .free_in = FREE_IN_CONNECTED };
	a.stream = stream_connect(c->set, (struct sockaddr *)&sin, sizeof(sin),
	    NULL, 0, now_ms() + 1000, &end_ops, &a);
	assert_true(run_until(c->loop, &a.connected, 1000));
	assert_null(a.stream);
	close(listener);
}

static void
test_connect_refused(void **state)
{
	struct context *c = *state;
	struct sockaddr_in sin, from = { .sin_family = AF_INET };
	struct end a = { 0 };
	int listener;

	loopback(&sin, &listener, 5);
	close(listener);
	a.stream = stream_connect(c->set, (struct sockaddr *)&sin, sizeof(sin),
	    NULL, 0, now_ms() + 1000, &end_ops, &a);
	assert_non_null(a.stream);
	assert_int_equal(a.closed, 0);
	assert_true(run_until(c->loop, &a.closed, 1000));
	assert_int_equal(a.why, STREAM_END_CONNECT);
	assert_int_equal(a.connected, 0);
	assert_string_equal(stream_error(a.stream), strerror(ECONNREFUSED));
	end_free(&a);

	/* an address that is not ours */
	inet_pton(AF_INET, "192.0.2.1", &from.sin_addr);
	errno = 0;
	assert_null(stream_connect(c->set, (struct sockaddr *)&sin, sizeof(sin),
	    (struct sockaddr *)&from, sizeof(from), now_ms() + 1000, &end_ops,
	    &a));
	assert_int_equal(errno, EADDRNOTAVAIL);
}

/* A host that does not answer: its queue of connections is full. */
static void
test_connect_deadline(void **state)
{
	struct context *c = *state;
	struct sockaddr_in sin;
	struct end a[4];
	int listener, timeouts = 0;

	loopback(&sin, &listener, 0);
	memset(a, 0, sizeof(a));
	for (int i = 0; i < 4; i++)
		a[i].stream = stream_connect(c->set, (struct sockaddr *)&sin,
		    sizeof(sin), NULL, 0, now_ms() + 60, &end_ops, &a[i]);
	run_for(c->loop, 150);
	for (int i = 0; i < 4; i++) {
		if (!a[i].connected) {
			assert_int_equal(a[i].closed, 1);
			assert_int_equal(a[i].why, STREAM_END_TIMEOUT);
			timeouts++;
		}
		end_free(&a[i]);
	}
	assert_true(timeouts > 0);
	close(listener);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_both_ways),
		TEST(test_one_call),
		TEST(test_back_pressure_out),
		TEST(test_back_pressure_in),
		TEST(test_pause),
		TEST(test_left_over),
		TEST(test_deadline_is_total),
		TEST(test_deadline_moves),
		TEST(test_slow_reader),
		TEST(test_finish),
		TEST(test_linger),
		TEST(test_reset),
		TEST(test_last_words),
		TEST(test_broken_pipe),
		TEST(test_free_inside),
		TEST(test_connect),
		TEST(test_connect_refused),
		TEST(test_connect_deadline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
