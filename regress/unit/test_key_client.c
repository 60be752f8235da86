/*
 * Signatures by another process while handshakes go on: nobody waits for
 * another's, and nothing is lost or used after its end when a stream, the
 * channel or the keys process goes away in between.
 */
#include <sys/socket.h>

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/messages.h"
#include "tls_fixture.h"

enum { MANY = 20, SLOW = 0, DELAY_MS = 300 };

/* A server whose only key takes DELAY_MS to answer, or is quick. */
static struct tls_server *
server_named(
    struct tls_context *c, struct key_client *client, const struct cert *cert)
{
	struct tls_pki pki = cert_pki(cert);
	struct tls_server_options o = {
		.listener = "many",
		.pki = &pki,
		.pki_count = 1,
		.keys = key_client_signer(client),
	};
	struct tls_server *server;
	char error[256] = "";

	server = tls_server_new(&o, error, sizeof(error));
	assert_string_equal(error, "");
	return server;
}

struct pair {
	struct end a, b;
	int64_t done;
};

static void
begin(struct tls_context *c, struct tls_server *server,
    struct tls_client *client, struct pair *p)
{
	ends_pair(c->set, SOCK_STREAM, &p->a, &p->b);
	assert_int_equal(stream_start_tls(p->a.stream,
			     tls_server_session(server), STREAM_SERVER),
	    0);
	assert_int_equal(stream_start_tls(p->b.stream,
			     tls_client_session(client, NULL, TLS_VERIFY_NONE),
			     STREAM_CLIENT),
	    0);
}

/* Twenty handshakes at once, one of whose signatures is slow: the others
 * are all done before it. */
static void
test_nobody_waits(void **state)
{
	struct tls_context *c = *state;
	const struct cert *certs[2];
	struct tls_server *slow, *quick;
	struct tls_client *client;
	struct keyholder holder;
	struct pair pair[MANY];
	struct cert slow_cert;
	int64_t start, slow_done;

	memset(pair, 0, sizeof(pair));
	cert_make(&slow_cert, CERT_P256, "slow.example.org");
	certs[0] = &slow_cert;
	certs[1] = &c->cert[RSA2048];
	keyholder_start(&holder, c->loop, PROC_SMTPD, certs, 2, DELAY_MS);
	slow = server_named(c, holder.client, certs[0]);
	quick = server_named(c, holder.client, certs[1]);
	client = client_for(certs[1], NULL);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MANY; i++)
			begin(c, i == SLOW ? slow : quick, client, &pair[i]);
		start = now_ms();
		while (!pair[SLOW].a.tls_ended && now_ms() < start + 5000) {
			run_for(c->loop, 1);
			for (int i = 0; i < MANY; i++)
				if (!pair[i].done && pair[i].a.tls_ended)
					pair[i].done = loop_now(c->loop);
		}
		slow_done = pair[SLOW].done;
		assert_true(slow_done - start >= DELAY_MS);
		for (int i = 0; i < MANY; i++) {
			assert_int_equal(pair[i].a.tls, 1);
			if (i != SLOW)
				assert_true(pair[i].done > 0 &&
				    pair[i].done <= slow_done);
			assert_true(
			    run_until(c->loop, &pair[i].b.tls_ended, 1000));
			assert_int_equal(pair[i].b.tls, 1);
			ends_free(&pair[i].a, &pair[i].b);
			pair[i].done = 0;
		}
	}
	run_for(c->loop, 5);
	assert_int_equal(stream_set_count(c->set), 0);
	assert_int_equal(key_client_pending(holder.client), 0);
	tls_server_free(slow);
	tls_server_free(quick);
	tls_client_free(client);
	keyholder_stop(&holder);
	cert_free(&slow_cert);
}

/* Begins one handshake and runs until its signature has been asked for. */
static void
begin_and_wait(struct tls_context *c, struct keyholder *holder,
    struct cert *cert, struct pair *p)
{
	const struct cert *certs[1] = { cert };
	struct tls_server *server;
	struct tls_client *client;

	cert_make(cert, CERT_P256, "slow.example.org");
	keyholder_start(holder, c->loop, PROC_SMTPD, certs, 1, 500);
	server = server_named(c, holder->client, cert);
	client = client_for(cert, NULL);
	begin(c, server, client, p);
	for (int i = 0; i < 500 && !key_client_pending(holder->client); i++)
		run_for(c->loop, 1);
	assert_int_equal(key_client_pending(holder->client), 1);
	assert_int_equal(p->a.tls_ended, 0);
	tls_server_free(server);
	tls_client_free(client);
}

/* A stream that is freed while its fibre waits stays until the answer. */
static void
test_freed_while_waiting(void **state)
{
	struct tls_context *c = *state;
	struct keyholder holder;
	struct cert cert;
	struct pair p;

	begin_and_wait(c, &holder, &cert, &p);
	end_free(&p.a);
	end_free(&p.b);
	run_for(c->loop, 20);
	assert_int_equal(stream_set_count(c->set), 1);
	for (int i = 0; i < 1000 && key_client_pending(holder.client); i++)
		run_for(c->loop, 2);
	run_for(c->loop, 5);
	assert_int_equal(stream_set_count(c->set), 0);
	assert_int_equal(p.a.tls_ended, 0);
	keyholder_stop(&holder);
	cert_free(&cert);
}

/* So does one that finishes, and one whose deadline passes. */
static void
test_deadline_while_waiting(void **state)
{
	struct tls_context *c = *state;
	struct keyholder holder;
	struct cert cert;
	struct pair p;

	begin_and_wait(c, &holder, &cert, &p);
	stream_set_deadline(p.a.stream, now_ms() + 20);
	assert_true(run_until(c->loop, &p.a.closed, 1000));
	assert_int_equal(p.a.why, STREAM_END_TIMEOUT);
	assert_int_equal(p.a.tls_ended, 0);
	stream_finish(p.a.stream, now_ms() + 1000, 0);
	p.a.stream = NULL;
	/* the peer sees the end at once, the memory waits */
	assert_true(run_until(c->loop, &p.b.tls_ended, 200));
	assert_int_equal(p.b.tls, -1);
	assert_int_equal(key_client_pending(holder.client), 1);
	end_free(&p.b);
	run_for(c->loop, 5);
	assert_int_equal(stream_set_count(c->set), 1);
	/* and the end of the keys process wakes it */
	kill(holder.pid, SIGKILL);
	for (int i = 0; i < 500 && stream_set_count(c->set) > 0; i++)
		run_for(c->loop, 2);
	assert_int_equal(stream_set_count(c->set), 0);
	keyholder_stop(&holder);
	cert_free(&cert);
}

/* When the keys process dies the handshake fails, and says so. */
static void
test_keys_die(void **state)
{
	struct tls_context *c = *state;
	struct keyholder holder;
	struct cert cert;
	struct pair p;

	begin_and_wait(c, &holder, &cert, &p);
	kill(holder.pid, SIGKILL);
	assert_true(run_until(c->loop, &p.a.tls_ended, 2000));
	assert_int_equal(p.a.tls, -1);
	assert_string_equal(stream_error(p.a.stream), "failed to sign");
	assert_true(run_until(c->loop, &p.b.tls_ended, 2000));
	ends_free(&p.a, &p.b);
	run_for(c->loop, 5);
	keyholder_stop(&holder);
	cert_free(&cert);
}

/* Without a channel a handshake fails at once. */
static void
test_no_channel(void **state)
{
	struct tls_context *c = *state;
	struct key_client *none = key_client_new(c->loop);
	struct tls_server *server = server_named(c, none, &c->cert[P256]);
	struct tls_client *client = client_for(&c->cert[P256], NULL);
	struct pair p;

	begin(c, server, client, &p);
	assert_true(run_until(c->loop, &p.a.tls_ended, 1000));
	assert_int_equal(p.a.tls, -1);
	ends_free(&p.a, &p.b);
	run_for(c->loop, 5);
	tls_server_free(server);
	tls_client_free(client);
	key_client_free(none);
}

/* Answers that nobody asked for change nothing. */
static void
test_forged_answers(void **state)
{
	struct tls_context *c = *state;
	struct keyholder holder;
	struct msg_key_signed m = { .id = 0 };
	uint8_t junk[2048] = { 1 };
	struct cert cert;
	struct pair p;

	begin_and_wait(c, &holder, &cert, &p);
	m.signature = ipc_blob(junk, sizeof(junk));
	m.id = 99;
	key_client_signed(holder.client, &m);
	m.id = UINT64_MAX;
	key_client_signed(holder.client, &m);
	assert_int_equal(key_client_pending(holder.client), 1);
	/* one for this request, longer than any ECDSA signature: refused */
	m.id = 1;
	key_client_signed(holder.client, &m);
	assert_int_equal(key_client_pending(holder.client), 0);
	assert_true(run_until(c->loop, &p.a.tls_ended, 1000));
	assert_int_equal(p.a.tls, -1);
	ends_free(&p.a, &p.b);
	run_for(c->loop, 5);
	keyholder_stop(&holder);
	cert_free(&cert);
}

/* The order of the end: the client first, then the streams. */
static void
test_shutdown(void **state)
{
	struct tls_context *c = *state;
	struct keyholder holder;
	struct cert cert;
	struct pair p;

	begin_and_wait(c, &holder, &cert, &p);
	keyholder_stop(&holder);
	stream_free(p.a.stream);
	stream_free(p.b.stream);
	free(p.a.got);
	free(p.b.got);
	cert_free(&cert);
	/* the set, and with it what is left, goes in the teardown */
}

#define TEST(f) cmocka_unit_test(f)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nobody_waits),
		TEST(test_freed_while_waiting),
		TEST(test_deadline_while_waiting),
		TEST(test_keys_die),
		TEST(test_no_channel),
		TEST(test_forged_answers),
		TEST(test_shutdown),
	};

	return cmocka_run_group_tests(tests, tls_setup, tls_teardown);
}
