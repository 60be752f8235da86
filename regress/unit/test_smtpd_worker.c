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
#include "conf/codec.h"
#include "ipc/channel.h"
#include "net_fixture.h"
#include "os/log.h"

#define S(text)      \
	(char[])     \
	{            \
		text \
	}

enum { MASTER_CHANNEL = 3, BIG = 3 << 20 };

struct world {
	struct loop *loop;
	pid_t pid;
	struct channel *master;
	struct channel *auth;
	struct channel *queue;
	struct channel *keys;
	enum msg_type wanted;
	char error[512];
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

static struct world world;

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

static void
got(struct world *w, enum msg_type type)
{
	if (w->wanted == type)
		loop_stop(w->loop);
}

/* ---- the peers -------------------------------------------------------- */

static struct channel *add_peer(enum process_kind kind);

static void
on_config_ready(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	snprintf(world.error, sizeof(world.error), "%s", m->config_ready.error);
	got(arg, MSG_config_ready);
}

static void
on_worker_ready(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	got(arg, MSG_worker_ready);
}

static void
on_log_line(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
}

/* The recipient says what becomes of it. */
static void
on_rcpt_check(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct world *w = arg;
	struct msg_rcpt_verdict v = { .id = m->rcpt_check.id,
		.code = 250,
		.enhanced = "2.1.5",
		.text = "",
		.action = "out" };

	if (strncmp(m->rcpt_check.recipient, "die", 3) == 0) {
		channel_free(ch);
		w->auth = add_peer(PROC_AUTH);
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
	got(arg, MSG_id_request);
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
		channel_free(ch);
		w->queue = add_peer(PROC_QUEUE);
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
	uint8_t out[512];
	size_t len = sizeof(out);

	assert_string_equal(q->pki, "mx.example");
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

static void
on_closed(void *arg, struct channel *ch, const char *reason)
{
	struct world *w = arg;

	if (ch == w->master) {
		w->master = NULL;
		loop_stop(w->loop);
	} else if (ch == w->auth)
		w->auth = NULL;
	else if (ch == w->queue)
		w->queue = NULL;
	else if (ch == w->keys)
		w->keys = NULL;
	channel_free(ch);
}

static channel_handler *const handlers[MSG_MAX] = {
	[MSG_config_ready] = on_config_ready,
	[MSG_worker_ready] = on_worker_ready,
	[MSG_log_line] = on_log_line,
	[MSG_rcpt_check] = on_rcpt_check,
	[MSG_id_request] = on_id_request,
	[MSG_body_data] = on_body_data,
	[MSG_body_abort] = on_body_abort,
	[MSG_submit] = on_submit,
	[MSG_key_sign] = on_key_sign,
};
static const struct channel_ops ops = { handlers, on_closed, NULL };

/* ---- the stage -------------------------------------------------------- */

static void
await(enum msg_type type)
{
	world.wanted = type;
	alarm(20);
	assert_int_equal(loop_run(world.loop), 0);
	alarm(0);
	if (world.master == NULL && type != MSG_NONE)
		fail_msg("the worker has died");
}

static void
send_configuration(uint32_t generation)
{
	struct msg_config_begin begin = { .generation = generation };
	struct msg_config_end end = { .generation = generation };
	struct msg_listen_socket listener = { .generation = generation };
	struct msg_config_swap swap = { .generation = generation };
	struct msg_config_chunk chunk;
	uint8_t *slice;
	size_t len;

	assert_int_equal(conf_slice(&conf, PROC_SMTPD, &slice, &len), 0);
	begin.total = (uint32_t)len;
	chunk.data = ipc_blob(slice, len);
	ipc_send(world.master, config_begin, &begin);
	ipc_send(world.master, config_chunk, &chunk);
	ipc_send(world.master, config_end, &end);
	free(slice);
	await(MSG_config_ready);
	assert_string_equal(world.error, "");
	ipc_send_fd(
	    world.master, listen_socket, &listener, dup(world.listen_fd));
	if (generation == 1) {
		world.auth = add_peer(PROC_AUTH);
		world.queue = add_peer(PROC_QUEUE);
		world.keys = add_peer(PROC_KEYS);
	}
	ipc_send(world.master, config_swap, &swap);
}

static struct channel *
add_peer(enum process_kind kind)
{
	struct msg_peer peer = { .kind = (uint8_t)kind };
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ipc_send_fd(world.master, peer, &peer, fds[1]);
	return channel_new(
	    world.loop, fds[0], kind, PROC_SMTPD, 0, &ops, &world);
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
	int fds[2];

	log_init("test", LOG_TO_STDERR);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == -1)
		return -1;
	if ((world.pid = fork()) == 0) {
		dup2(fds[1], MASTER_CHANNEL);
		if (fds[0] != MASTER_CHANNEL)
			close(fds[0]);
		/* the sandbox does not let the leak checker trace */
		setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
		execl("smtpd/smtpd", "smtpd", "-d", (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	open_port();
	cert_make(&world.cert, CERT_P256, "mx.example");
	pki.cert_pem = world.cert.pem;
	world.loop = loop_new();
	world.next_id = 0x1000;
	world.queue_code = 250;
	world.master = channel_new(
	    world.loop, fds[0], PROC_MASTER, PROC_SMTPD, 0, &ops, &world);
	send_configuration(1);
	await(MSG_worker_ready);
	return 0;
}

static int
teardown(void **state)
{
	int status;

	if (world.master != NULL)
		channel_free(world.master);
	if (world.auth != NULL)
		channel_free(world.auth);
	if (world.queue != NULL)
		channel_free(world.queue);
	if (world.keys != NULL)
		channel_free(world.keys);
	waitpid(world.pid, &status, 0);
	close(world.listen_fd);
	cert_free(&world.cert);
	loop_free(world.loop);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* ---- clients ---------------------------------------------------------- */

static void
on_client_end(evutil_socket_t fd, short what, void *arg)
{
	struct world *w = arg;

	loop_stop(w->loop);
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
	    loop_base(world.loop), fds[0], EV_READ, on_client_end, &world);
	event_add(event, NULL);
	world.body_len = world.body_sum = 0;
	world.aborts = world.submits = 0;
	memset(world.body, 0, sizeof(world.body));
	await(MSG_MAX);
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
		await(MSG_id_request);
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
	at += sprintf(at, "A: 1\r\n\r\n");
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
	size_t len = 8;

	run_client(client_big);
	end = strstr(world.body, "A: 1\r\n\r\n");
	assert_non_null(end);
	for (char *p = world.body; p < end + 8; p++)
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
	send_configuration(2);
	run_for(world.loop, 300);
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
	struct msg_worker_stop stop = { 0 };
	int status;
	pid_t pid;

	old_session = client_connect(world.port);
	if ((pid = fork()) == 0) {
		alarm(20);
		hear(old_session, "220 ");
		client_stopped();
		_exit(0);
	}
	run_for(world.loop, 200);
	ipc_send(world.master, worker_stop, &stop);
	await(MSG_NONE);
	assert_null(world.master);
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
