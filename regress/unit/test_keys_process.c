/*
 * The keys executable itself, in its sandbox, with this test as its master and
 * its peers: configured, asked, configured anew, and lied to.
 */
#include <sys/socket.h>
#include <sys/wait.h>

#include <fcntl.h>
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

#include "conf/codec.h"
#include "ipc/channel.h"
#include "net_fixture.h"

struct process {
	struct loop *loop;
	pid_t pid;
	struct channel *master;
	struct channel *peer;
	int ready; /* config_ready has come */
	char error[256]; /* with this reason */
	int serving; /* worker_ready has come */
	int answered;
	size_t signature_len;
	uint8_t signature[2048];
	int closed;
	int accused;
	uint32_t generation;
};

static void
on_config_ready(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct process *p = arg;

	assert_int_equal(m->config_ready.generation, p->generation);
	snprintf(p->error, sizeof(p->error), "%s", m->config_ready.error);
	p->ready = 1;
}

static void
on_worker_ready(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	((struct process *)arg)->serving = 1;
}

static void
on_peer_fault(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	((struct process *)arg)->accused = 1;
}

static void
on_log_line(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	/* the log may say why, but nothing of what was to be signed */
	assert_null(strstr(m->log_line.line, "CertificateVerify"));
	assert_null(strstr(m->log_line.line, "From: me"));
}

static void
on_key_signed(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct process *p = arg;

	assert_int_equal(m->key_signed.id, 7);
	p->signature_len = m->key_signed.signature.len;
	assert_true(p->signature_len <= sizeof(p->signature));
	if (p->signature_len > 0)
		memcpy(p->signature, m->key_signed.signature.data,
		    p->signature_len);
	p->answered = 1;
}

static void
on_closed(void *arg, struct channel *ch, const char *reason)
{
	struct process *p = arg;

	if (ch == p->master)
		p->master = NULL;
	else
		p->peer = NULL;
	channel_free(ch);
	p->closed = 1;
}

static channel_handler *const handlers[MSG_MAX] = {
	[MSG_config_ready] = on_config_ready,
	[MSG_worker_ready] = on_worker_ready,
	[MSG_log_line] = on_log_line,
	[MSG_peer_fault] = on_peer_fault,
	[MSG_key_signed] = on_key_signed,
};
static const struct channel_ops ops = { handlers, on_closed, NULL };

static void
start(struct process *p)
{
	int fd[2];

	memset(p, 0, sizeof(*p));
	p->loop = loop_new();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	p->pid = fork();
	if (p->pid == 0) {
		dup2(fd[1], 3);
		if (fd[1] != 3)
			close(fd[1]);
		if (fd[0] != 3)
			close(fd[0]);
		execl("auth/keys", "keys", (char *)NULL);
		_exit(127);
	}
	close(fd[1]);
	p->master =
	    channel_new(p->loop, fd[0], PROC_MASTER, PROC_KEYS, 0, &ops, p);
	assert_non_null(p->master);
}

static void
stop(struct process *p, int expect_exit)
{
	int status = 0;

	if (p->peer != NULL)
		channel_free(p->peer);
	if (p->master != NULL)
		channel_free(p->master);
	/* it ends by itself when master is gone */
	for (int i = 0; i < 500; i++) {
		if (waitpid(p->pid, &status, WNOHANG) == p->pid)
			break;
		usleep(10000);
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), expect_exit);
	loop_free(p->loop);
}

/* Sends a configuration with these keys; 1 when it was accepted. */
static int
configure(struct process *p, const struct cert *const *certs, size_t count,
    const char *bad_pem)
{
	struct msg_config_begin begin = { .generation = ++p->generation };
	struct msg_config_end end = { .generation = p->generation };
	struct msg_config_chunk chunk;
	struct conf *conf = conf_new();
	struct conf_pki *pki;
	uint8_t *slice;
	size_t len;

	for (size_t i = 0; i < count; i++) {
		pki = conf_append(&conf->pkis, &conf->npkis, sizeof(*pki));
		pki->name = strdup(certs[i]->name);
		pki->cert_path = strdup("/cert");
		pki->key_path = strdup("/key");
		pki->cert_pem = strdup(certs[i]->pem);
		pki->key_pem =
		    strdup(bad_pem != NULL ? bad_pem : certs[i]->key_pem);
	}
	assert_int_equal(conf_slice(conf, PROC_KEYS, &slice, &len), 0);
	begin.total = (uint32_t)len;
	chunk.data = ipc_blob(slice, len);
	p->ready = 0;
	assert_int_equal(ipc_send(p->master, config_begin, &begin), 0);
	assert_int_equal(ipc_send(p->master, config_chunk, &chunk), 0);
	assert_int_equal(ipc_send(p->master, config_end, &end), 0);
	conf_free(conf);
	free(slice);
	assert_true(run_until(p->loop, &p->ready, 10000));
	return p->error[0] == '\0';
}

static void
swap(struct process *p)
{
	struct msg_config_swap m = { .generation = p->generation };

	assert_int_equal(ipc_send(p->master, config_swap, &m), 0);
	if (!p->serving)
		assert_true(run_until(p->loop, &p->serving, 10000));
}

static void
connect_as(struct process *p, enum process_kind kind)
{
	struct msg_peer m = { .kind = (uint8_t)kind };
	int fd[2];

	if (p->peer != NULL)
		channel_free(p->peer);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	assert_int_equal(ipc_send_fd(p->master, peer, &m, fd[1]), 0);
	p->peer = channel_new(p->loop, fd[0], kind, PROC_KEYS, 0, &ops, p);
	assert_non_null(p->peer);
}

/* Asks for a signature of the text; 1 when there is one and it is right. */
static int
ask(struct process *p, const struct cert *cert, const char *text, size_t len)
{
	struct msg_key_sign m = { .id = 7,
		.pki = cert->name,
		.digest = "SHA256",
		.data = ipc_blob(text, len) };
	EVP_MD_CTX *ctx;
	int good;

	p->answered = 0;
	assert_int_equal(ipc_send(p->peer, key_sign, &m), 0);
	assert_true(run_until(p->loop, &p->answered, 10000));
	if (p->signature_len == 0)
		return 0;
	ctx = EVP_MD_CTX_new();
	good = EVP_DigestVerifyInit_ex(
		   ctx, NULL, "SHA256", NULL, NULL, cert->key, NULL) == 1 &&
	    EVP_DigestVerify(ctx, p->signature, p->signature_len,
		(const unsigned char *)text, len) == 1;
	EVP_MD_CTX_free(ctx);
	assert_true(good);
	return 1;
}

#define EIGHT "        "
#define SPACES EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT
#define HASH "0123456789abcdef0123456789abcdef"
static const char server_text[] =
    SPACES "TLS 1.3, server CertificateVerify\0" HASH;
static const char client_text[] =
    SPACES "TLS 1.3, client CertificateVerify\0" HASH;
enum { TEXT_LEN = sizeof(server_text) - 1 };

static void
test_life(void **state)
{
	struct cert one, two;
	const struct cert *certs[] = { &one, &two };
	struct process p;

	cert_make(&one, CERT_P256, "one");
	cert_make(&two, CERT_P256, "two");
	start(&p);
	assert_true(configure(&p, certs, 1, NULL));
	connect_as(&p, PROC_SMTPD);
	swap(&p);
	assert_int_equal(ask(&p, &one, server_text, TEXT_LEN), 1);
	assert_int_equal(ask(&p, &one, client_text, TEXT_LEN), 0);
	assert_int_equal(ask(&p, &one, "From: me\r\n", 10), 0);
	assert_int_equal(ask(&p, &two, server_text, TEXT_LEN), 0);

	/* a configuration that cannot be used changes nothing */
	assert_false(configure(&p, certs, 2, "garbage"));
	assert_non_null(strstr(p.error, "pki one"));
	assert_int_equal(ask(&p, &one, server_text, TEXT_LEN), 1);
	/* one that can holds from the swap on, inside the sandbox too */
	assert_true(configure(&p, certs, 2, NULL));
	assert_int_equal(ask(&p, &two, server_text, TEXT_LEN), 0);
	swap(&p);
	assert_int_equal(ask(&p, &two, server_text, TEXT_LEN), 1);
	assert_true(configure(&p, certs + 1, 1, NULL));
	swap(&p);
	assert_int_equal(ask(&p, &one, server_text, TEXT_LEN), 0);

	/* another peer, other rights */
	connect_as(&p, PROC_DELIVER);
	assert_int_equal(ask(&p, &two, client_text, TEXT_LEN), 1);
	assert_int_equal(ask(&p, &two, server_text, TEXT_LEN), 0);
	stop(&p, 0);
	cert_free(&one);
	cert_free(&two);
}

/* No key at all is a configuration as well. */
static void
test_no_keys(void **state)
{
	struct process p;
	struct cert one;

	cert_make(&one, CERT_P256, "one");
	start(&p);
	assert_true(configure(&p, NULL, 0, NULL));
	swap(&p);
	connect_as(&p, PROC_SMTPD);
	assert_int_equal(ask(&p, &one, server_text, TEXT_LEN), 0);
	stop(&p, 0);
	cert_free(&one);
}

/* A peer that speaks garbage loses its channel; the next one is served. */
static void
test_garbage(void **state)
{
	static const uint8_t junk[64] = { 0xff, 0xfe, 0xfd };
	struct cert one;
	const struct cert *certs[] = { &one };
	struct process p;

	cert_make(&one, CERT_P256, "one");
	start(&p);
	assert_true(configure(&p, certs, 1, NULL));
	swap(&p);
	connect_as(&p, PROC_SMTPD);
	run_for(p.loop, 20);
	assert_int_equal(
	    write(channel_fd(p.peer), junk, sizeof(junk)), sizeof(junk));
	assert_true(run_until(p.loop, &p.closed, 5000));
	assert_true(run_until(p.loop, &p.accused, 5000));
	assert_null(p.peer);
	assert_non_null(p.master);
	connect_as(&p, PROC_SMTPD);
	assert_int_equal(ask(&p, &one, server_text, TEXT_LEN), 1);
	stop(&p, 0);
	cert_free(&one);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_no_keys),
		cmocka_unit_test(test_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
