/*
 * The smtpd worker as a process, in its sandbox, with a master, an auth, a
 * queue and a keys process made of channels, and clients over TCP: messages
 * short and long, peers that die or are silent, TLS, a new configuration, and
 * the stop.
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>
#include <openssl/rsa.h>

#include "blocking_client.h"
#include "net_fixture.h"
#include "os/log.h"
#include "worker_fixture.h"

enum { BIG = 3 << 20 };

struct world {
	struct cert cert;
	in_port_t port;
	int listen_fd;
	unsigned id_requests;
	uint32_t next_id;
	/* what the queue was given */
	uint64_t body_len;
	uint32_t body_sum;
	char body[8192]; /* its beginning */
	char sender[256];
	unsigned aborts;
	unsigned submits;
	/* how it behaves */
	int queue_dies;
	uint16_t queue_code;
};

static struct world world = { .next_id = 0x1000, .queue_code = 250 };
static struct stage stage;

static struct conf_pki pki = { .name = S("mx.example") };
static struct conf_listener listeners[] = {
	{ .family = CONF_INET4, .port = 25, .tls = CONF_LISTEN_TLS },
};
static struct conf conf = { .server_name = S("mx.example"),
	.smtp = { .max_message_size = 8 << 20 },
	.pkis = &pki,
	.npkis = 1,
	.listeners = listeners,
	.nlisteners = 1 };

/* ---- the peers -------------------------------------------------------- */

/* The recipient says what becomes of it. */
static void
on_rcpt_check(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct msg_rcpt_verdict v = { .id = m->rcpt_check.id,
		.code = 250,
		.enhanced = "2.1.5",
		.text = "",
		.action = "out" };

	if (strncmp(m->rcpt_check.recipient, "die", 3) == 0) {
		stage_add_peer(&stage, PROC_AUTH);
		return;
	}
	if (strncmp(m->rcpt_check.recipient, "no", 2) == 0) {
		v.code = 550;
		v.enhanced = "5.1.1";
		v.text = "No such recipient";
		v.action = "";
	}
	ipc_send(ch, rcpt_verdict, &v);
}

static void
on_id_request(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct world *w = arg;
	struct msg_id_block b = { .first = w->next_id,
		.count = m->id_request.count };

	/* the first time there are none: it must ask again */
	if (w->id_requests++ == 0)
		b.count = 0;
	w->next_id += b.count;
	ipc_send(ch, id_block, &b);
	stage_got(&stage, MSG_id_request);
}

static void
take_body(struct world *w, const struct ipc_blob *data)
{
	for (size_t i = 0; i < data->len; i++) {
		if (w->body_len < sizeof(w->body) - 1)
			w->body[w->body_len] = (char)data->data[i];
		w->body_len++;
		w->body_sum = w->body_sum * 31 + data->data[i];
	}
}

static void
on_body_data(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	take_body(arg, &m->body_data.data);
}

static void
on_body_abort(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct world *w = arg;

	w->aborts++;
}

static void
on_submit(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct world *w = arg;
	struct msg_submitted s = { .id = m->submit.id,
		.msgid = m->submit.msgid,
		.code = w->queue_code,
		.enhanced = "4.3.1",
		.text = "as the test wants" };

	w->submits++;
	if (w->queue_dies) {
		w->queue_dies = 0;
		stage_add_peer(&stage, PROC_QUEUE);
		return;
	}
	take_body(w, &m->submit.body);
	assert_int_equal(m->submit.size, w->body_len);
	snprintf(w->sender, sizeof(w->sender), "%s", m->submit.sender);
	ipc_send(ch, submitted, &s);
}

static void
on_key_sign(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	const struct msg_key_sign *q = &m->key_sign;
	struct world *w = arg;
	struct msg_key_signed a = { .id = q->id };
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	char name[KEY_NAME_SIZE];
	uint8_t out[512];
	size_t len = sizeof(out);

	key_name(name, "mx.example", w->cert.key);
	assert_string_equal(q->pki, name);
	assert_int_equal(
	    EVP_DigestSignInit(
		ctx, NULL, EVP_get_digestbyname(q->digest), NULL, w->cert.key),
	    1);
	assert_int_equal(
	    EVP_DigestSign(ctx, out, &len, q->data.data, q->data.len), 1);
	EVP_MD_CTX_free(ctx);
	a.signature = ipc_blob(out, len);
	ipc_send(ch, key_signed, &a);
}

static channel_handler *const handlers[MSG_MAX] = {
	[MSG_rcpt_check] = on_rcpt_check,
	[MSG_id_request] = on_id_request,
	[MSG_body_data] = on_body_data,
	[MSG_body_abort] = on_body_abort,
	[MSG_submit] = on_submit,
	[MSG_key_sign] = on_key_sign,
};
static struct stage stage = {
	.kind = PROC_SMTPD, .patience = 20, .handlers = handlers, .ctx = &world
};

/* ---- the stage -------------------------------------------------------- */

/* A new configuration comes with sockets to listen on. */
static void
configure(void)
{
	struct msg_listen_socket listener = { 0 };

	stage_configure(&stage, &conf);
	assert_string_equal(stage.error, "");
	listener.generation = stage.generation;
	ipc_send_fd(
	    stage.master, listen_socket, &listener, dup(world.listen_fd));
}

static void
open_port(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	world.listen_fd =
	    socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(
	    bind(world.listen_fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(listen(world.listen_fd, 128), 0);
	getsockname(world.listen_fd, (struct sockaddr *)&sin, &len);
	world.port = sin.sin_port;
}

static int
setup(void **state)
{
	static const char *const argv[] = { "smtpd", "-d", NULL };

	log_init("test", LOG_TO_STDERR);
	open_port();
	cert_make(&world.cert, CERT_P256, "mx.example");
	pki.cert_pem = world.cert.pem;
	stage.loop = loop_new();
	stage_start(&stage, "smtpd/smtpd", argv);
	configure();
	stage_add_peer(&stage, PROC_AUTH);
	stage_add_peer(&stage, PROC_QUEUE);
	stage_add_peer(&stage, PROC_KEYS);
	stage_swap(&stage);
	return 0;
}

static int
teardown(void **state)
{
	stage_close(&stage);
	close(world.listen_fd);
	cert_free(&world.cert);
	loop_free(stage.loop);
	return 0;
}

/* ---- clients ---------------------------------------------------------- */

static void
on_client_end(evutil_socket_t fd, short what, void *arg)
{
	stage_got(&stage, MSG_MAX);
}

/* Runs a client to its end, while the loop serves the worker. */
static void
run_client(void (*client)(void))
{
	struct event *event;
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	if ((pid = fork()) == 0) {
		close(fds[0]);
		alarm(20);
		client();
		_exit(0);
	}
	close(fds[1]);
	event = event_new(
	    loop_base(stage.loop), fds[0], EV_READ, on_client_end, NULL);
	event_add(event, NULL);
	world.body_len = world.body_sum = 0;
	world.aborts = world.submits = 0;
	memset(world.body, 0, sizeof(world.body));
	stage_await(&stage, MSG_MAX);
	event_free(event);
	close(fds[0]);
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
client_greeted(void)
{
	int fd = client_connect(world.port);

	hear(fd, "220 ");
	say(fd, "QUIT\r\n");
	hear(fd, "221 ");
	hear_end(fd);
}

/* The queue had no ids to give: it is asked again, and mail is taken after
 * that. */
static void
test_no_ids(void **state)
{
	run_client(client_greeted);
	while (world.id_requests < 2)
		stage_await(&stage, MSG_id_request);
}

static void
client_message(void)
{
	int fd = client_connect(world.port);

	hear(fd, "220 mx.example");
	say(fd, "EHLO c.example\r\n");
	hear(fd, "250 ");
	say(fd,
	    "MAIL FROM:<a@b.example>\r\nRCPT TO:<no@y.example>\r\n"
	    "RCPT TO:<ok@y.example>\r\nDATA\r\n");
	hear(fd, "250 2.1.0");
	hear(fd, "550 5.1.1");
	hear(fd, "250 2.1.5");
	hear(fd, "354 ");
	say(fd, "Subject: x\r\n\r\n..hello\r\n.\r\nQUIT\r\n");
	hear(fd, "250 2.0.0 00001000 is in the queue");
	hear(fd, "221 ");
	hear_end(fd);
}

static void
test_message(void **state)
{
	run_client(client_message);
	assert_string_equal(world.sender, "a@b.example");
	assert_non_null(strstr(world.body, "<ok@y.example>;"));
	assert_non_null(strstr(world.body,
	    "from c.example (localhost "
	    "[127.0.0.1])"));
	assert_non_null(strstr(world.body, "\r\n\r\n.hello\r\n"));
}

static void
start_message(int fd)
{
	hear(fd, "220 ");
	say(fd, "HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<ok@y>\r\nDATA\r\n");
	hear(fd, "250 ");
	hear(fd, "250 ");
	hear(fd, "250 ");
	hear(fd, "354 ");
}

/* All at once, and the client's side closed: every reply comes. */
static void
client_half_closed(void)
{
	int fd = client_connect(world.port);

	say(fd,
	    "HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<ok@y>\r\nDATA\r\n"
	    "A: 1\r\n.\r\n");
	shutdown(fd, SHUT_WR);
	hear(fd, "220 ");
	hear(fd, "250 ");
	hear(fd, "250 ");
	hear(fd, "250 ");
	hear(fd, "354 ");
	hear(fd, "250 2.0.0");
	hear_end(fd);
}

static void
test_half_closed(void **state)
{
	run_client(client_half_closed);
	assert_int_equal(world.submits, 1);
}

/* Nothing is to be added to it. */
#define BIG_HEAD "Date: x\r\nMessage-ID: <1@c>\r\n\r\n"

static uint32_t
big_line(char *line, size_t size, unsigned i, uint32_t sum)
{
	int n = snprintf(line, size, "%08u %060u\r\n", i, i * 7919);

	for (int k = 0; k < n; k++)
		sum = sum * 31 + (uint8_t)line[k];
	return sum;
}

static void
client_big(void)
{
	int fd = client_connect(world.port);
	char *text = malloc(BIG + 4096), *at = text;

	start_message(fd);
	at += sprintf(at, "%s", BIG_HEAD);
	for (unsigned i = 0; at - text < BIG; i++) {
		big_line(at, 128, i, 0);
		at += strlen(at);
	}
	strcpy(at, ".\r\nQUIT\r\n");
	say(fd, text);
	hear(fd, "250 2.0.0");
	hear(fd, "221 ");
	free(text);
}

static void
test_big(void **state)
{
	char line[128], *end;
	uint32_t sum = 0;
	size_t len = strlen(BIG_HEAD);

	run_client(client_big);
	end = strstr(world.body, BIG_HEAD);
	assert_non_null(end);
	for (char *p = world.body; p < end + len; p++)
		sum = sum * 31 + (uint8_t)*p;
	for (unsigned i = 0; len < BIG; i++) {
		sum = big_line(line, sizeof(line), i, sum);
		len += strlen(line);
	}
	assert_int_equal(world.body_len, (size_t)(end - world.body) + len);
	assert_int_equal(world.body_sum, sum);
}

static void
client_big_gone(void)
{
	int fd = client_connect(world.port);
	static char text[200000];

	start_message(fd);
	memset(text, 'x', sizeof(text) - 1);
	memcpy(text, "A: 1\r\n\r\n", 8);
	say(fd, text);
	/* so much must have been read that a part went ahead */
	usleep(200000);
	close(fd);
	usleep(200000);
}

static void
test_big_gone(void **state)
{
	run_client(client_big_gone);
	assert_true(world.body_len > 0);
	assert_int_equal(world.aborts, 1);
	assert_int_equal(world.submits, 0);
}

static void
client_after_death(void)
{
	int fd = client_connect(world.port);

	start_message(fd);
	say(fd, "A: 1\r\n.\r\n");
	hear(fd, "451 4.3.0");
	/* until the next queue is there, there is none */
	usleep(300000);
	say(fd, "MAIL FROM:<a@b>\r\nRCPT TO:<die@y>\r\n");
	hear(fd, "250 ");
	hear(fd, "451 4.3.0");
	usleep(300000);
	say(fd, "RCPT TO:<ok@y>\r\n");
	hear(fd, "250 ");
	say(fd, "DATA\r\nA: 1\r\n.\r\n");
	hear(fd, "354 ");
	hear(fd, "250 ");
}

static void
test_deaths(void **state)
{
	world.queue_dies = 1;
	run_client(client_after_death);
	assert_int_equal(world.submits, 2);
}

static void
client_full(void)
{
	int fd = client_connect(world.port);

	start_message(fd);
	say(fd, "A: 1\r\n.\r\n");
	hear(fd, "452 4.3.1 as the test wants");
}

static void
test_full(void **state)
{
	world.queue_code = 452;
	run_client(client_full);
	world.queue_code = 250;
}

/* ---- TLS -------------------------------------------------------------- */

static void
client_tls(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	int fd = client_connect(world.port);

	hear(fd, "220 ");
	say(fd, "EHLO c.example\r\n");
	hear(fd, "250 ");
	say(fd, "STARTTLS\r\n");
	hear(fd, "220 2.0.0");
	SSL_set_fd(ssl, fd);
	if (SSL_connect(ssl) != 1)
		client_fail("a handshake", "an error");
	tls_say(ssl, "MAIL FROM:<a@b>\r\n");
	tls_hear(ssl, "503 ");
	tls_say(ssl, "EHLO c.example\r\n");
	tls_hear(ssl, "250 ");
	tls_say(ssl, "MAIL FROM:<a@b>\r\n");
	tls_hear(ssl, "250 ");
	tls_say(ssl, "RCPT TO:<ok@y>\r\n");
	tls_hear(ssl, "250 ");
	tls_say(ssl, "DATA\r\n");
	tls_hear(ssl, "354 ");
	tls_say(ssl, "A: 1\r\n.\r\n");
	tls_hear(ssl, "250 ");
	tls_say(ssl, "QUIT\r\n");
	tls_hear(ssl, "221 ");
	SSL_free(ssl);
	SSL_CTX_free(ctx);
}

static void
test_tls(void **state)
{
	run_client(client_tls);
	assert_int_equal(world.submits, 1);
	assert_non_null(strstr(world.body, "ESMTPS"));
	assert_non_null(strstr(world.body, "TLSv1.3:"));
}

/* ---- a new configuration, and the end --------------------------------- */

static int old_session = -1;

static void
client_new_name(void)
{
	int fd = client_connect(world.port);

	hear(fd, "220 new.example");
	/* who came before stays with what he was told */
	say(old_session, "HELO c\r\n");
	hear(old_session, "250 mx.example");
}

static void
test_reload(void **state)
{
	char *before = conf.server_name;

	old_session = client_connect(world.port);
	hear(old_session, "2");
	conf.server_name = S("new.example");
	pki.name = S("mx.example");
	configure();
	stage_swap(&stage);
	run_for(stage.loop, 300);
	run_client(client_new_name);
	conf.server_name = before;
	close(old_session);
}

static void
client_stopped(void)
{
	char octet;

	(void)!read(old_session, &octet, 0);
	hear(old_session, "421 4.3.2");
	hear_end(old_session);
}

static void
test_stop(void **state)
{
	int status;
	pid_t pid;

	old_session = client_connect(world.port);
	if ((pid = fork()) == 0) {
		alarm(20);
		hear(old_session, "220 ");
		client_stopped();
		_exit(0);
	}
	run_for(stage.loop, 200);
	stage_stop(&stage);
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_ids),
		cmocka_unit_test(test_message),
		cmocka_unit_test(test_half_closed),
		cmocka_unit_test(test_big),
		cmocka_unit_test(test_big_gone),
		cmocka_unit_test(test_deaths),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_tls),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_stop),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, setup, teardown);
}
