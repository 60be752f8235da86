/*
 * The deliver worker as it is installed: started, configured and sandboxed as
 * master does it, asked by a queue, answered by a resolver and an auth, all of
 * which are this program (deliver_fixture.h), and talking over loopback to a
 * server here. What counts is what the server received and what the queue was
 * told.
 */
#include "config.h"

#include <sys/mman.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "deliver_fixture.h"

static const char letter[] = "Subject: x\r\n\r\nhello\r\n.dot\r\n";

static void
transfer(
    struct harness *h, uint64_t id, const char *action, const char *destination)
{
	struct msg_transfer m = { .id = id,
		.msgid = 0x12,
		.session = 1,
		.action = action,
		.destination = destination,
		.sender = "a@b.test",
		.envid = "",
		.size = h->body_len };
	struct msg_transfer_rcpt r = {
		.index = 2, .address = "c@d.test", .orcpt = ""
	};
	struct ipc_buf buf = { 0 };

	if (h->body_len == 0) {
		h->body = letter;
		m.size = h->body_len = sizeof(letter) - 1;
	}
	ipc_add_transfer_rcpt(&buf, &r);
	r.index = 1;
	r.address = "e@d.test";
	ipc_add_transfer_rcpt(&buf, &r);
	m.rcpts = ipc_buf_list(&buf);
	stage_ask(&h->stage, PROC_QUEUE, transfer, &m, transfer_done);
	ipc_buf_free(&buf);
	assert_int_equal(h->results, 2);
}

static void
expect(struct harness *h, enum route_status route, enum delivery_status status,
    const char *enhanced)
{
	assert_int_equal(h->route, route);
	for (unsigned i = 1; i <= 2; i++) {
		assert_int_equal(h->status[i], status);
		assert_string_equal(h->enhanced[i], enhanced);
	}
}

/* Two messages over one session, octet for octet (dots stuffed). */
static void
test_reuse(void **state)
{
	struct harness *h = *state;

	transfer(h, 1, "host", "");
	expect(h, ROUTE_OK, DELIVERY_OK, "2.0.0");
	assert_string_equal(h->mail, "Subject: x\r\n\r\nhello\r\n..dot\r\n");
	assert_string_equal(h->envelope,
	    "MAIL FROM:<a@b.test> SIZE=27\nRCPT TO:<c@d.test>\n"
	    "RCPT TO:<e@d.test>\n");
	assert_string_equal(h->remote_name, "[127.0.0.1]");
	transfer(h, 2, "host", "");
	expect(h, ROUTE_OK, DELIVERY_OK, "2.0.0");
	assert_int_equal(h->mail_len, 2 * 28);
	assert_int_equal(h->connected, 1);
}

/* A kept session that dies at once costs a new connection, not the mail. */
static void
test_stale(void **state)
{
	struct harness *h = *state;

	h->manner = DROP_SECOND;
	transfer(h, 1, "host", "");
	expect(h, ROUTE_OK, DELIVERY_OK, "2.0.0");
	transfer(h, 2, "host", "");
	expect(h, ROUTE_OK, DELIVERY_OK, "2.0.0");
	assert_int_equal(h->connected, 2);
}

static void
test_file(void **state)
{
	struct harness *h = *state;
	static char part[100];
	size_t n = 0;

	h->body_fd = memfd_create("body", MFD_CLOEXEC);
	for (; n < 700000; n += sizeof(part)) {
		memset(part, 'a' + (int)(n / 100 % 26), sizeof(part));
		memcpy(part + 98, "\r\n", 2);
		assert_int_equal(write(h->body_fd, part, 100), 100);
	}
	h->body_len = n;
	transfer(h, 1, "host", "");
	expect(h, ROUTE_OK, DELIVERY_OK, "2.0.0");
	assert_int_equal(h->mail_len, n);
	for (size_t i = 0; i < n; i += 100)
		assert_int_equal(h->mail[i], 'a' + (int)(i / 100 % 26));
}

/* A file that is shorter than was said is never sent as if it were whole. */
static void
test_short_file(void **state)
{
	struct harness *h = *state;

	h->body_fd = memfd_create("body", MFD_CLOEXEC);
	assert_int_equal(write(h->body_fd, "half\r\n", 6), 6);
	h->body_len = 100;
	transfer(h, 1, "host", "");
	expect(h, ROUTE_CANCELLED, DELIVERY_TEMPFAIL, "4.3.0");
	for (unsigned i = 0; i < CONNECTIONS; i++)
		assert_false(h->connections[i].stream != NULL &&
		    !h->connections[i].in_data);
}

/* The best host is dead, the next one takes it. */
static void
test_next_host(void **state)
{
	struct harness *h = *state;

	h->zone = "d.test MX 10 dead.test;d.test MX 20 live.test;"
		  "dead.test A 0 127.0.0.99;live.test A 0 127.0.0.1";
	transfer(h, 1, "mx", "d.test");
	expect(h, ROUTE_OK, DELIVERY_OK, "2.0.0");
	assert_int_equal(h->connected, 1);
	/* by the name that it was asked for by, whatever it calls itself */
	assert_string_equal(h->remote_name, "live.test");
}

static void
test_no_host(void **state)
{
	struct harness *h = *state;

	h->zone = "d.test MX 10 dead.test;dead.test A 0 127.0.0.99;"
		  "null.test MX 0 .;busy.test A 0 127.0.0.1";
	transfer(h, 1, "mx", "d.test");
	expect(h, ROUTE_DOWN, DELIVERY_TEMPFAIL, "4.4.1");
	transfer(h, 2, "mx", "null.test");
	expect(h, ROUTE_BAD, DELIVERY_PERMFAIL, "5.1.10");
	transfer(h, 3, "mx", "nowhere.test");
	expect(h, ROUTE_BAD, DELIVERY_PERMFAIL, "5.1.2");
	h->manner = BUSY;
	transfer(h, 4, "mx", "busy.test");
	expect(h, ROUTE_SLOW, DELIVERY_TEMPFAIL, "4.3.2");
	transfer(h, 5, "gone", "");
	expect(h, ROUTE_DNS, DELIVERY_TEMPFAIL, "4.3.5");
	assert_int_equal(h->asked_body, 0);
}

static void
make_server_tls(struct harness *h)
{
	struct cert cert;

	cert_make(&cert, CERT_P256, "127.0.0.1");
	h->tls = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(h->tls, cert.x509), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(h->tls, cert.key), 1);
	cert_free(&cert);
}

static void
test_tls(void **state)
{
	struct harness *h = *state;

	make_server_tls(h);
	h->manner = TLS;
	transfer(h, 1, "host", "");
	expect(h, ROUTE_OK, DELIVERY_OK, "2.0.0");
	assert_int_equal(h->tls_sessions, 1);
	assert_non_null(strstr(h->tls_text, "TLSv1.3"));
	transfer(h, 2, "tls", "");
	expect(h, ROUTE_OK, DELIVERY_OK, "2.0.0");
	/* a certificate of nobody does not pass where it has to */
	transfer(h, 3, "verify", "");
	expect(h, ROUTE_TLS, DELIVERY_TEMPFAIL, "4.7.5");
	h->manner = PLAIN;
	transfer(h, 4, "verify", "");
	expect(h, ROUTE_TLS, DELIVERY_TEMPFAIL, "4.7.4");
}

/* Broken TLS: in clear where the policy is opportunistic, never else. */
static void
test_broken_tls(void **state)
{
	struct harness *h = *state;

	h->manner = BROKEN_TLS;
	transfer(h, 1, "host", "");
	expect(h, ROUTE_OK, DELIVERY_OK, "2.0.0");
	assert_string_equal(h->tls_text, "");
	assert_int_equal(h->connected, 2);
	h->mail_len = 0;
	transfer(h, 2, "tls", "");
	expect(h, ROUTE_TLS, DELIVERY_TEMPFAIL, "4.7.5");
	assert_int_equal(h->mail_len, 0);
}

static void
probe(struct harness *h, uint64_t id, const char *recipient)
{
	struct msg_callahead m = {
		.id = id, .action = "mx", .recipient = recipient
	};

	stage_ask(&h->stage, PROC_AUTH, callahead, &m, callahead_done);
}

static void
test_callahead(void **state)
{
	struct harness *h = *state;

	h->zone = "d.test A 0 127.0.0.1";
	probe(h, 1, "c@d.test");
	assert_int_equal(h->callahead_status, CALLAHEAD_GOOD);
	h->manner = REFUSE_RCPT;
	probe(h, 2, "c@d.test");
	assert_int_equal(h->callahead_status, CALLAHEAD_BAD);
	assert_int_equal(h->callahead_code, 550);
	assert_int_equal(h->connected, 1);
	/* a domain that does not exist is no word of a primary */
	probe(h, 3, "c@nowhere.test");
	assert_int_equal(h->callahead_status, CALLAHEAD_NONE);
	assert_int_equal(h->mail_len, 0);
	assert_int_equal(h->asked_body, 0);
}

static void
test_routes(void **state)
{
	struct msg_route_query q = { .id = 9 };
	struct harness *h = *state;

	transfer(h, 1, "host", "");
	stage_ask(&h->stage, PROC_QUEUE, route_query, &q, route_answer);
	assert_int_equal(h->routes, 1);
}

/* The queue dies: the worker lives, and serves the next one. */
static void
test_new_queue(void **state)
{
	struct harness *h = *state;

	stage_add_peer(&h->stage, PROC_QUEUE);
	transfer(h, 1, "host", "");
	expect(h, ROUTE_OK, DELIVERY_OK, "2.0.0");
	/* without a resolver mail waits */
	stage_drop_peer(&h->stage, PROC_RESOLVER);
	run_for(h->stage.loop, 100);
	transfer(h, 2, "mx", "d.test");
	expect(h, ROUTE_DNS, DELIVERY_TEMPFAIL, "4.4.3");
}

#define TEST(name)                       \
	cmocka_unit_test_setup_teardown( \
	    test_##name, harness_start, harness_stop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reuse),
		TEST(stale),
		TEST(file),
		TEST(short_file),
		TEST(next_host),
		TEST(no_host),
		TEST(tls),
		TEST(broken_tls),
		TEST(callahead),
		TEST(routes),
		TEST(new_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
