/*
 * The deliver worker as it is installed: started, configured and sandboxed as
 * master does it, asked by a queue, answered by a resolver and an auth, all of
 * which are this program (deliver_fixture.h), and talking over loopback to a
 * server here. What counts is what the server received and what the queue was
 * told.
 */
#include "config.h"

#include <sys/mman.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <libdeflate.h>

#include "deliver_fixture.h"
#include "os/reserve.h"

static const char letter[] = "Subject: x\r\n\r\nhello\r\n.dot\r\n";

static void
begin(
    struct harness *h, uint64_t id, const char *action, const char *destination)
{
	struct msg_transfer m = { .id = id,
		.msgid = 0x12,
		.session = 1,
		.action = action,
		.destination = destination,
		.sender = "a@b.test",
		.delivered_to = h->delivered_to,
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
	assert_int_equal(ipc_send(h->stage.peer[PROC_QUEUE], transfer, &m), 0);
	ipc_buf_free(&buf);
}

static void
await_results(struct harness *h)
{
	stage_await(&h->stage, MSG_transfer_done);
	assert_int_equal(h->results, 2);
}

static void
transfer(
    struct harness *h, uint64_t id, const char *action, const char *destination)
{
	begin(h, id, action, destination);
	await_results(h);
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

/* Nothing was tried, which is no attempt to the queue. */
static void
await_untried(struct harness *h)
{
	stage_await(&h->stage, MSG_transfer_done);
	assert_int_equal(h->results, 0);
	assert_int_equal(h->route, ROUTE_CANCELLED);
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
	assert_string_equal(h->remote, "[127.0.0.1]");
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
make_file(struct harness *h)
{
	static char part[100];

	h->body_fd = memfd_create("body", MFD_CLOEXEC);
	for (; h->body_len < 700000; h->body_len += sizeof(part)) {
		memset(part, 'a' + (int)(h->body_len / 100 % 26), sizeof(part));
		memcpy(part + 98, "\r\n", 2);
		assert_int_equal(write(h->body_fd, part, 100), 100);
		h->body_crc = libdeflate_crc32(h->body_crc, part, sizeof(part));
	}
}

static void
test_file(void **state)
{
	struct harness *h = *state;

	make_file(h);
	transfer(h, 1, "host", "");
	expect(h, ROUTE_OK, DELIVERY_OK, "2.0.0");
	assert_int_equal(h->mail_len, h->body_len);
	for (size_t i = 0; i < h->body_len; i += 100)
		assert_int_equal(h->mail[i], 'a' + (int)(i / 100 % 26));
}

/* The server never saw the end of the data. */
static void
expect_damaged(struct harness *h)
{
	transfer(h, 1, "host", "");
	expect(h, ROUTE_CANCELLED, DELIVERY_DAMAGED, "4.3.0");
	assert_int_equal(h->ends, 0);
}

/* A file that is not what was said is never sent as if it were whole. */
static void
test_short_file(void **state)
{
	struct harness *h = *state;

	make_file(h);
	assert_int_equal(ftruncate(h->body_fd, 699999), 0);
	expect_damaged(h);
}

static void
test_damaged_file(void **state)
{
	struct harness *h = *state;

	make_file(h);
	assert_int_equal(pwrite(h->body_fd, "X", 1, 70000), 1);
	expect_damaged(h);
}

/* What cannot be read may be whole. */
static void
test_unreadable_file(void **state)
{
	struct harness *h = *state;

	h->body_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	h->body_len = 100;
	transfer(h, 1, "host", "");
	expect(h, ROUTE_CANCELLED, DELIVERY_TEMPFAIL, "4.3.0");
}

/* What is sent on tells from where, however often it is begun. */
static void
test_sent_on(void **state)
{
	static const char field[] = "Delivered-To: t@a.test\r\n";
	const size_t len = sizeof(field) - 1;
	struct harness *h = *state;

	h->delivered_to = "t@a.test";
	h->manner = DROP_SECOND;
	for (uint64_t id = 1; id <= 2; id++) {
		h->mail_len = 0;
		transfer(h, id, "host", "");
		expect(h, ROUTE_OK, DELIVERY_OK, "2.0.0");
		assert_string_equal(h->mail,
		    "Delivered-To: t@a.test\r\n"
		    "Subject: x\r\n\r\nhello\r\n..dot\r\n");
	}
	assert_non_null(strstr(h->envelope, " SIZE=51\n"));
	h->manner = PLAIN;
	h->mail_len = h->body_len = 0;
	make_file(h);
	transfer(h, 3, "host", "");
	expect(h, ROUTE_OK, DELIVERY_OK, "2.0.0");
	assert_int_equal(h->mail_len, len + h->body_len);
	assert_memory_equal(h->mail, field, len);
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
	assert_string_equal(h->remote, "live.test");
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
	/* no fault of the route, and no attempt */
	begin(h, 5, "gone", "");
	stage_await(&h->stage, MSG_transfer_done);
	assert_int_equal(h->route, ROUTE_CANCELLED);
	assert_int_equal(h->results, 0);
	assert_int_equal(h->asked_body, 0);
}

/* A host that ends the session over the message is a host all the same. */
static void
test_ended_over_it(void **state)
{
	static const struct {
		enum manner manner;
		const char *refusal, *enhanced;
	} ways[] = {
		{ REFUSE_MAIL, "421 4.7.0 not him", "4.7.0" },
		{ REFUSE_RCPT, "421 4.7.1 not there", "4.7.1" },
		{ DROP_DATA, NULL, "4.4.2" },
		{ DROP_END, NULL, "4.4.2" },
	};
	struct harness *h = *state;

	h->zone = "d.test MX 10 live.test;d.test MX 20 dead.test;"
		  "dead.test A 0 127.0.0.99;live.test A 0 127.0.0.1";
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		h->manner = ways[i].manner;
		h->refusal = ways[i].refusal;
		transfer(h, 2 * i, "host", "");
		expect(h, ROUTE_BROKEN, DELIVERY_TEMPFAIL, ways[i].enhanced);
		transfer(h, 2 * i + 1, "mx", "d.test");
		assert_int_equal(h->route, ROUTE_BROKEN);
	}
	assert_int_equal(h->mail_len, 2 * 28);
}

static void
make_server_tls(struct harness *h)
{
	h->tls = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(h->tls, h->cert.x509), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(h->tls, h->cert.key), 1);
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

/* A good certificate is known for one, inside the sandbox. */
static void
test_good_certificate(void **state)
{
	struct harness *h = *state;

	make_server_tls(h);
	h->manner = TLS;
	h->zone = "d.test MX 10 live.test;live.test A 0 127.0.0.1";
	transfer(h, 1, "mx", "d.test");
	expect(h, ROUTE_OK, DELIVERY_OK, "2.0.0");
	assert_non_null(strstr(h->tls_text, "verify YES"));
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

/* A resolver that answers what auth was asked, as if it were auth, is cut off,
 * and what it says is not heard. */
static void
test_forged_answer(void **state)
{
	struct harness *h = *state;
	struct msg_dns_answer forged = { .status = DNS_OK };
	struct msg_table_answer honest = { .status = LOOKUP_FOUND };
	char url[64];

	begin(h, 1, "asked", "");
	stage_await(&h->stage, MSG_table_query);
	forged.id = honest.id = h->asked_table;
	forged.name = "smtp://127.0.0.66:2525";
	ipc_send(h->stage.peer[PROC_RESOLVER], dns_answer, &forged);
	stage_await(&h->stage, MSG_peer_lost);
	assert_int_equal(h->stage.lost, PROC_RESOLVER);
	assert_true(h->stage.broken);
	snprintf(url, sizeof(url), "smtp://127.0.0.1:%u", h->port);
	honest.value = url;
	ipc_send(h->stage.peer[PROC_AUTH], table_answer, &honest);
	await_results(h);
	expect(h, ROUTE_OK, DELIVERY_OK, "2.0.0");
	assert_int_equal(h->connected, 1);
}

/* A table cannot take back what the action demands. */
static void
test_table_without_tls(void **state)
{
	static const char *const protocols[] = { "smtp+notls", "lmtp" };
	struct harness *h = *state;
	struct msg_table_answer a = { .status = LOOKUP_FOUND };
	char url[64];

	for (unsigned i = 0; i < 2; i++) {
		begin(h, i + 1, "sure", "d.test");
		snprintf(url, sizeof(url), "%s://127.0.0.1:%u", protocols[i],
		    h->port);
		a.value = url;
		/* any host, and then the next, which is the same */
		for (unsigned n = 0; n < 2; n++) {
			stage_await(&h->stage, MSG_table_query);
			a.id = h->asked_table;
			ipc_send(h->stage.peer[PROC_AUTH], table_answer, &a);
		}
		await_results(h);
		expect(h, ROUTE_TLS, DELIVERY_TEMPFAIL, "4.7.4");
	}
	assert_int_equal(h->connected, 0);
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

/* Only what a primary says of the recipient itself is its word on it. */
static void
test_callahead_words(void **state)
{
	static const struct {
		enum manner manner;
		const char *refusal;
		enum callahead_status status;
	} words[] = {
		{ REFUSE_RCPT, "550 who is that", CALLAHEAD_BAD },
		{ REFUSE_RCPT, "551 5.1.6 moved", CALLAHEAD_BAD },
		{ REFUSE_RCPT, "553 5.1.3 not like this", CALLAHEAD_BAD },
		{ REFUSE_RCPT, "550 5.1.10 null MX", CALLAHEAD_BAD },
		{ REFUSE_RCPT, "550 5.2.1 disabled", CALLAHEAD_BAD },
		{ REFUSE_RCPT, "550 5.1.7 a strange sender", CALLAHEAD_NONE },
		{ REFUSE_RCPT, "550 5.1.8 no such domain", CALLAHEAD_NONE },
		{ REFUSE_RCPT, "550 5.7.27 null MX", CALLAHEAD_NONE },
		{ REFUSE_RCPT, "550 5.7.1 your address is listed",
		    CALLAHEAD_NONE },
		{ REFUSE_RCPT, "552 5.2.2 full", CALLAHEAD_NONE },
		{ REFUSE_RCPT, "554 blocked", CALLAHEAD_NONE },
		{ REFUSE_RCPT, "530 5.7.0 STARTTLS first", CALLAHEAD_NONE },
		{ REFUSE_RCPT, "503 5.5.1 sequence", CALLAHEAD_NONE },
		{ REFUSE_RCPT, "450 4.2.1 later", CALLAHEAD_NONE },
		{ REFUSE_MAIL, "550 5.1.1 listed", CALLAHEAD_NONE },
	};
	struct harness *h = *state;

	h->zone = "d.test A 0 127.0.0.1";
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		h->manner = words[i].manner;
		h->refusal = words[i].refusal;
		probe(h, i + 1, "c@d.test");
		if (h->callahead_status != words[i].status)
			fail_msg("%s", words[i].refusal);
	}
	/* what is ours to say is not its word either */
	h->manner = PLAIN;
	probe(h, 99, "\xc3\xbc@d.test");
	assert_int_equal(h->callahead_status, CALLAHEAD_NONE);
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
}

/* What is not there to be asked says nothing of the route. */
static void
test_nobody_to_ask(void **state)
{
	struct harness *h = *state;

	/* it goes away before it has answered, then it is not there */
	begin(h, 1, "asked", "");
	stage_await(&h->stage, MSG_table_query);
	stage_drop_peer(&h->stage, PROC_AUTH);
	await_untried(h);
	begin(h, 2, "asked", "");
	await_untried(h);
	stage_drop_peer(&h->stage, PROC_RESOLVER);
	run_for(h->stage.loop, 100);
	begin(h, 3, "mx", "d.test");
	await_untried(h);
	assert_int_equal(h->connected, 0);
}

/* A name that auth cannot look up now is replaced by no other. */
static void
test_no_name(void **state)
{
	struct harness *h = *state;
	struct msg_table_answer a = { .status = LOOKUP_TEMPFAIL, .value = "" };

	begin(h, 1, "named", "");
	stage_await(&h->stage, MSG_table_query);
	a.id = h->asked_table;
	ipc_send(h->stage.peer[PROC_AUTH], table_answer, &a);
	await_results(h);
	expect(h, h->route, DELIVERY_TEMPFAIL, "4.3.5");
	assert_string_equal(h->envelope, "");
}

/* However few descriptors there are, one that is idle makes room. */
static void
test_few_files(void **state)
{
	uint64_t most = (uint64_t)reserve_begin(HARNESS_FILES) / 2;
	struct harness *h = *state;
	char destination[16];

	for (uint64_t id = 0; id < 2 * most; id++) {
		snprintf(
		    destination, sizeof(destination), "d%u.test", (unsigned)id);
		transfer(h, id, "host", destination);
		expect(h, ROUTE_OK, DELIVERY_OK, "2.0.0");
		run_for(h->stage.loop, 20);
	}
	assert_int_equal(h->connected, 2 * most);
}

/* Nor does it that all descriptors are taken. */
static void
test_no_files(void **state)
{
	unsigned most = (unsigned)reserve_begin(HARNESS_FILES) / 2;
	struct harness *h = *state;
	char destination[24];

	for (unsigned id = 0; id <= most; id++) {
		snprintf(destination, sizeof(destination), "d%u.test", id);
		begin(h, id, "host", destination);
	}
	await_untried(h);
	while (h->ends < most)
		run_for(h->stage.loop, 20);
	assert_int_equal(h->connected, most);
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
		TEST(damaged_file),
		TEST(unreadable_file),
		TEST(sent_on),
		TEST(next_host),
		TEST(ended_over_it),
		TEST(no_host),
		TEST(tls),
		TEST(good_certificate),
		TEST(broken_tls),
		TEST(forged_answer),
		TEST(table_without_tls),
		TEST(callahead),
		TEST(callahead_words),
		TEST(routes),
		TEST(new_queue),
		TEST(nobody_to_ask),
		TEST(no_name),
		cmocka_unit_test_setup_teardown(
		    test_few_files, harness_start_small, harness_stop),
		cmocka_unit_test_setup_teardown(
		    test_no_files, harness_start_small, harness_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
