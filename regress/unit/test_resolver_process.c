/*
 * The resolver executable itself, in its sandbox, with this test as its master,
 * as an smtpd that was broken into and asks for all it can, as the deliver that
 * mail waits for, and as the name server.
 */
#include <sys/socket.h>
#include <sys/wait.h>

#include <arpa/inet.h>
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/messages.h"
#include "worker_fixture.h"

enum {
	FLOOD = 25000, /* questions, more than the resolver takes of one */
	PART = 250,
	SLOW_MS = 2500, /* until the slow name is answered */
	TYPE_A = 1,
	DNSKEY = 48,
	HEADER = 12 /* octets of a DNS packet, before the name */
};

static const char anchor[] =
    ". IN DS 20326 8 2 "
    "E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n";
static struct stage stage;
static struct event *server;
static int server_fd;
static in_port_t port;
static uint64_t flooded; /* names asked for so far */
static unsigned asked_for; /* of the silent names, by the resolver */
static int64_t slow_since;
static uint8_t status;
/* What the name server makes of the questions for DNSSEC: it has none. */
static enum { STRIPS, DROPS_KEYS, FAILS_ROOT, DEAD } server_is;
static unsigned given_up; /* times, on validation */

/* ---- the name server -------------------------------------------------- */

/* The first label decides: `silent` and a number has no answer ever, `slow`
 * has none at first, all others have 127.0.0.1. */
static int
is_answered(const uint8_t *name, unsigned type)
{
	if (server_is == DEAD || (server_is == DROPS_KEYS && type == DNSKEY))
		return 0;
	if (memcmp(name + 1, "silent", 6) == 0) {
		asked_for++;
		return 0;
	}
	if (memcmp(name, "\4slow", 5) != 0)
		return 1;
	if (slow_since == 0)
		slow_since = loop_now(stage.loop);
	return loop_now(stage.loop) - slow_since >= SLOW_MS;
}

static void
on_query(evutil_socket_t fd, short what, void *arg)
{
	static const uint8_t answer[] = { 0xc0, HEADER, 0, 1, 0, 1, 0, 0, 0, 60,
		0, 4, 127, 0, 0, 1 };
	uint8_t packet[512 + sizeof(answer)];
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	size_t end = HEADER;
	ssize_t n = recvfrom(
	    fd, packet, 512, MSG_DONTWAIT, (struct sockaddr *)&from, &size);

	if (n <= HEADER)
		return;
	while (end < (size_t)n && packet[end] != 0)
		end += packet[end] + 1U;
	end += 5; /* the root, type and class */
	if (!is_answered(
		packet + HEADER, packet[end - 4] << 8U | packet[end - 3]))
		return;
	packet[2] = 0x84;
	packet[3] = server_is == FAILS_ROOT && packet[HEADER] == 0 ? 2 : 0;
	/* of any other type there is nothing */
	memcpy(packet + 4, "\0\1\0\1\0\0\0\0", 8);
	if (packet[end - 3] != TYPE_A)
		packet[7] = 0;
	memcpy(packet + end, answer, sizeof(answer));
	if (packet[7] == 1)
		end += sizeof(answer);
	sendto(fd, packet, end, 0, (struct sockaddr *)&from, size);
}

static void
serve_names(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(sin);

	server_fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(
	    bind(server_fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(
	    getsockname(server_fd, (struct sockaddr *)&sin, &size), 0);
	server = event_new(loop_base(stage.loop), server_fd,
	    EV_READ | EV_PERSIST, on_query, NULL);
	event_add(server, NULL);
	port = ntohs(sin.sin_port);
}

/* ---- the askers ------------------------------------------------------- */

static void
flood(struct channel *ch, int count)
{
	char name[64];
	struct msg_dns_query m = { .type = 1, .name = name };

	for (int i = 0; i < count; i++) {
		m.id = ++flooded;
		snprintf(name, sizeof(name), "silent%llu.test.",
		    (unsigned long long)flooded);
		assert_int_equal(ipc_send(ch, dns_query, &m), 0);
	}
}

/* What smtpd loses it asks for again, under another name; not while deliver
 * has no word on its own question, lest the two of us do nothing else. */
static void
on_dns_answer(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	if (ch == stage.peer[PROC_DELIVER]) {
		status = m->dns_answer.status;
		stage_got(&stage, MSG_dns_answer);
	} else if (flooded < FLOOD * 2)
		flood(ch, 1);
}

static channel_handler *const handlers[MSG_MAX] = {
	[MSG_dns_answer] = on_dns_answer,
};

static void
on_log_line(const char *line)
{
	given_up += strstr(line, "DNSSEC is off") != NULL;
}

static struct stage stage = { .kind = PROC_RESOLVER,
	.patience = 30,
	.handlers = handlers,
	.log_line = on_log_line };

static void
on_pause(evutil_socket_t fd, short what, void *arg)
{
	loop_stop(stage.loop);
}

static void
pause_for(int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };
	struct event *e = evtimer_new(loop_base(stage.loop), on_pause, NULL);

	event_add(e, &tv);
	loop_run(stage.loop);
	event_free(e);
}

/* Milliseconds until deliver had its answer. */
static int64_t
ask(const char *name)
{
	struct msg_dns_query m = { .id = 1, .type = 1, .name = name };
	int64_t begun = loop_now(stage.loop);

	stage_ask(&stage, PROC_DELIVER, dns_query, &m, dns_answer);
	return loop_now(stage.loop) - begun;
}

static void
configure(const char *trusted)
{
	struct conf *conf = conf_new();
	struct conf_address *a;

	a = conf_append(
	    &conf->resolver.servers, &conf->resolver.nservers, sizeof(*a));
	a->family = CONF_INET4;
	memcpy(a->octets, "\177\0\0\1", 4);
	a->port = port;
	conf->resolver.insecure = calloc(1, sizeof(struct conf_string));
	conf->resolver.insecure->text = strdup("split.example");
	conf->resolver.ninsecure = 1;
	if (trusted != NULL)
		conf->resolver.trust_anchor = strdup(trusted);
	stage_configure(&stage, conf);
	conf_free(conf);
	assert_string_equal(stage.error, "");
	stage_swap(&stage);
}

static int
setup(void **state)
{
	static const char *const argv[] = { "resolver", NULL };

	stage.loop = loop_new();
	stage_start(&stage, "auth/resolver", argv);
	serve_names();
	configure(NULL);
	stage_add_peer(&stage, PROC_SMTPD);
	stage_add_peer(&stage, PROC_DELIVER);
	return 0;
}

static int
teardown(void **state)
{
	int ended = stage_close(&stage);

	event_free(server);
	close(server_fd);
	loop_free(stage.loop);
	flooded = asked_for = given_up = 0;
	server_is = STRIPS;
	slow_since = 0;
	return WIFEXITED(ended) && WEXITSTATUS(ended) == 0 ? 0 : -1;
}

static void
fill(void)
{
	for (int i = 0; i < FLOOD / PART; i++) {
		flood(stage.peer[PROC_SMTPD], PART);
		pause_for(2);
	}
	while (asked_for < 400)
		pause_for(10);
}

/* It asks for more than there is room for, without end: another that asks has
 * its answers, a place being lent for a second. */
static void
others_are_served(void **state)
{
	char name[32];
	int64_t took;

	fill();
	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "loud%d.test.", i);
		took = ask(name);
		print_message("%s after %d ms\n", name, (int)took);
		assert_int_equal(status, DNS_OK);
		assert_true(took < 3000);
	}
}

/* And what the other asked keeps its place while it has few, however slow. */
static void
slow_names_stay(void **state)
{
	int64_t took;

	fill();
	took = ask("slow.test.");
	print_message("slow.test. after %d ms\n", (int)took);
	assert_int_equal(status, DNS_OK);
}

/* Two ask the same; the one that asked first goes, and the other is answered.
 * So is who asked before the name servers were configured anew. */
static void
shared_question(void **state)
{
	struct msg_dns_query m = { .id = 9, .type = 1, .name = "slow.test." };

	assert_int_equal(ipc_send(stage.peer[PROC_SMTPD], dns_query, &m), 0);
	flood(stage.peer[PROC_SMTPD], 700);
	while (slow_since == 0 || asked_for < 400)
		pause_for(10);
	m.id = 1;
	status = UINT8_MAX;
	assert_int_equal(ipc_send(stage.peer[PROC_DELIVER], dns_query, &m), 0);
	pause_for(100);
	stage_drop_peer(&stage, PROC_SMTPD);
	pause_for(100);
	configure(NULL);
	if (status == UINT8_MAX)
		stage_await(&stage, MSG_dns_answer);
	assert_int_equal(status, DNS_OK);
}

/* Who asks before it is known that there is no DNSSEC waits for that, and is
 * answered. */
static void
stripped_root(void **state)
{
	configure(anchor);
	ask("early.test.");
	assert_int_equal(status, DNS_OK);
	assert_int_equal(given_up, 1);
}

/* A server that does not answer has not said that there is none; it does once
 * it answers. */
static void
dead_at_first(void **state)
{
	server_is = DEAD;
	configure(anchor);
	ask("dead.test.");
	assert_int_equal(status, DNS_TEMPFAIL);
	pause_for(3000);
	assert_int_equal(given_up, 0);
	server_is = STRIPS;
	while (given_up == 0)
		pause_for(100);
	ask("late.test.");
	assert_int_equal(status, DNS_OK);
}

/* One that answers all but what DNSSEC needs stops no mail for ever. */
static void
no_keys(void **state)
{
	server_is = DROPS_KEYS;
	configure(anchor);
	while (given_up == 0)
		pause_for(100);
	ask("keyless.test.");
	assert_int_equal(status, DNS_OK);
}

/* What the network has for itself needs no root; the first answer that does is
 * the end of DNSSEC where the server has none, and stops no mail. */
static void
private_names(void **state)
{
	static const struct {
		const char *name;
		enum dns_status status;
	} rows[] = {
		{ "mail.lan.", DNS_OK },
		{ "Mail.Branch.CORP.", DNS_OK },
		{ "mail.home.arpa.", DNS_OK },
		{ "mail.internal.", DNS_OK },
		{ "mail.split.example.", DNS_OK },
		{ "split.example.", DNS_OK },
	};
	static const char *const others[] = { "mail.example.",
		"notsplit.example.", "lan.example." };

	server_is = FAILS_ROOT;
	for (size_t n = 0; n < sizeof(others) / sizeof(others[0]); n++) {
		given_up = 0;
		configure(anchor);
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			ask(rows[i].name);
			if (status != rows[i].status)
				fail_msg("%s: %d", rows[i].name, status);
		}
		assert_int_equal(given_up, 0);
		ask(others[n]);
		assert_int_equal(status, DNS_OK);
		assert_int_equal(given_up, 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    others_are_served, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    slow_names_stay, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    shared_question, setup, teardown),
		cmocka_unit_test_setup_teardown(stripped_root, setup, teardown),
		cmocka_unit_test_setup_teardown(dead_at_first, setup, teardown),
		cmocka_unit_test_setup_teardown(no_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(private_names, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
