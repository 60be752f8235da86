/*
 * See net_fixture.h.
 */
#include <sys/socket.h>
#include <sys/wait.h>

#include <event2/event.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/keys.h"
#include "ipc/channel.h"
#include "net_fixture.h"

/* ---- certificates ----------------------------------------------------- */

static EVP_PKEY *
make_key(enum cert_kind kind)
{
	switch (kind) {
	case CERT_RSA:
		return EVP_RSA_gen(2048);
	case CERT_RSA1024:
		return EVP_RSA_gen(1024);
	case CERT_P256:
		return EVP_EC_gen("P-256");
	case CERT_P384:
		return EVP_EC_gen("P-384");
	case CERT_ED25519:
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	}
	return NULL;
}

static void
add_extension(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

static char *
bio_string(BIO *bio)
{
	char *data, *copy;
	long len = BIO_get_mem_data(bio, &data);

	copy = strndup(data, (size_t)len);
	BIO_free(bio);
	return copy;
}

void
cert_sign_anew(struct cert *c)
{
	int whole = EVP_PKEY_is_a(c->key, "ED25519");
	BIO *bio = BIO_new(BIO_s_mem());

	assert_true(
	    X509_sign(c->x509, c->key, whole ? NULL : EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509(bio, c->x509), 1);
	free(c->pem);
	c->pem = bio_string(bio);
}

void
cert_make(struct cert *c, enum cert_kind kind, const char *name)
{
	X509_NAME *subject;
	char san[96];
	BIO *bio;

	memset(c, 0, sizeof(*c));
	snprintf(c->name, sizeof(c->name), "%s", name);
	c->key = make_key(kind);
	c->x509 = X509_new();
	assert_non_null(c->key);
	X509_set_version(c->x509, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(c->x509), (long)rand() + 1);
	X509_gmtime_adj(X509_getm_notBefore(c->x509), -3600);
	X509_gmtime_adj(X509_getm_notAfter(c->x509), 86400);
	subject = X509_get_subject_name(c->x509);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
	    (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(c->x509, subject);
	X509_set_pubkey(c->x509, c->key);
	add_extension(c->x509, NID_basic_constraints, "critical,CA:TRUE");
	snprintf(san, sizeof(san), "DNS:%s", name);
	add_extension(c->x509, NID_subject_alt_name, san);
	cert_sign_anew(c);
	bio = BIO_new(BIO_s_mem());
	assert_int_equal(
	    PEM_write_bio_PrivateKey(bio, c->key, NULL, NULL, 0, NULL, NULL),
	    1);
	c->key_pem = bio_string(bio);
}

void
cert_free(struct cert *c)
{
	X509_free(c->x509);
	EVP_PKEY_free(c->key);
	free(c->pem);
	free(c->key_pem);
	memset(c, 0, sizeof(*c));
}

struct tls_pki
cert_pki(const struct cert *c)
{
	return (struct tls_pki){ c->name, c->pem, strlen(c->pem) };
}

/* ---- the loop --------------------------------------------------------- */

int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void
stop(evutil_socket_t fd, short what, void *loop)
{
	loop_stop(loop);
}

void
run_for(struct loop *loop, int ms)
{
	int never = 0;

	run_until(loop, &never, ms);
}

int
run_until(struct loop *loop, const int *flag, int ms)
{
	int64_t end = now_ms() + ms;
	struct timeval tv = { 0, 2000 };

	while (!*flag && now_ms() < end) {
		event_base_once(
		    loop_base(loop), -1, EV_TIMEOUT, stop, loop, &tv);
		assert_int_equal(loop_run(loop), 0);
	}
	return *flag != 0;
}

/* ---- ends of streams -------------------------------------------------- */

static int
maybe_free(struct end *e, enum free_in where)
{
	if (e->free_in != where)
		return 0;
	stream_free(e->stream);
	e->stream = NULL;
	return 1;
}

static void
on_readable(struct stream *s, void *arg)
{
	struct end *e = arg;
	const uint8_t *data;
	size_t len;

	e->readable++;
	assert_ptr_equal(s, e->stream);
	if (maybe_free(e, FREE_IN_READABLE) || e->keep_input)
		return;
	data = stream_input(s, &len);
	assert_true(len > 0);
	e->got = realloc(e->got, e->got_len + len);
	assert_non_null(e->got);
	memcpy(e->got + e->got_len, data, len);
	e->got_len += len;
	stream_consume(s, len);
	e->got_all = e->want > 0 && e->got_len >= e->want;
}

static void
on_drained(struct stream *s, void *arg)
{
	struct end *e = arg;

	e->drained++;
	maybe_free(e, FREE_IN_DRAINED);
}

static void
on_connected(struct stream *s, void *arg)
{
	struct end *e = arg;

	e->connected++;
	maybe_free(e, FREE_IN_CONNECTED);
}

static void
on_tls(struct stream *s, int established, void *arg)
{
	struct end *e = arg;

	assert_int_equal(e->tls_ended, 0);
	e->tls_ended = 1;
	e->tls = established ? 1 : -1;
	maybe_free(e, FREE_IN_TLS);
}

static void
on_closed(struct stream *s, enum stream_end why, void *arg)
{
	struct end *e = arg;

	assert_int_equal(e->closed, 0);
	e->closed = 1;
	e->why = why;
	maybe_free(e, FREE_IN_CLOSED);
}

const struct stream_ops end_ops = { on_readable, on_drained, on_connected,
	on_tls, on_closed };

void
ends_pair(struct stream_set *set, int type, struct end *a, struct end *b)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, type, 0, fd), 0);
	memset(a, 0, sizeof(*a));
	memset(b, 0, sizeof(*b));
	a->stream = stream_new(set, fd[0], &end_ops, a);
	b->stream = stream_new(set, fd[1], &end_ops, b);
	assert_non_null(a->stream);
	assert_non_null(b->stream);
}

void
end_free(struct end *e)
{
	stream_free(e->stream);
	e->stream = NULL;
	free(e->got);
	e->got = NULL;
}

/* ---- the keys process ------------------------------------------------- */

struct holder {
	struct loop *loop;
	struct keys *keys;
	enum process_kind peer;
	int delay_ms;
};

struct late_answer {
	struct channel *channel;
	struct msg_key_signed answer;
	uint8_t signature[KEYS_SIGNATURE_MAX];
};

static void
send_late(evutil_socket_t fd, short what, void *arg)
{
	struct late_answer *late = arg;

	ipc_send(late->channel, key_signed, &late->answer);
	channel_flush(late->channel);
	free(late);
}

static void
on_key_sign(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct holder *h = arg;
	struct late_answer *late = malloc(sizeof(*late));
	struct timeval tv = { 0, h->delay_ms * 1000 };
	const char *reason;
	size_t len;

	len =
	    keys_sign(h->keys, h->peer, &m->key_sign, late->signature, &reason);
	late->channel = ch;
	late->answer.id = m->key_sign.id;
	late->answer.signature = ipc_blob(late->signature, len);
	if (strncmp(m->key_sign.pki, "slow", 4) == 0)
		event_base_once(
		    loop_base(h->loop), -1, EV_TIMEOUT, send_late, late, &tv);
	else
		send_late(-1, 0, late);
}

static void
holder_closed(void *arg, struct channel *ch, const char *reason)
{
	_exit(0);
}

static void
hold(int fd, enum process_kind peer, const struct cert *const *certs,
    size_t count, int delay_ms)
{
	static channel_handler *const handlers[MSG_MAX] = {
		[MSG_key_sign] = on_key_sign,
	};
	static const struct channel_ops ops = { handlers, holder_closed, NULL };
	struct holder h = { loop_new(), keys_new(), peer, delay_ms };
	char name[KEY_NAME_SIZE], error[256];

	for (size_t i = 0; i < count; i++) {
		key_name(name, certs[i]->name, certs[i]->key);
		if (keys_add(h.keys, name, certs[i]->key_pem,
			strlen(certs[i]->key_pem), error,
			sizeof(error)) == -1) {
			fprintf(stderr, "%s\n", error);
			_exit(1);
		}
	}
	if (channel_new(h.loop, fd, PROC_KEYS, peer, 0, &ops, &h) == NULL)
		_exit(1);
	loop_run(h.loop);
	_exit(0);
}

static void
on_key_signed(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct keyholder *k = arg;

	key_client_signed(k->client, &m->key_signed);
}

static void
on_holder_gone(void *arg, struct channel *ch, const char *reason)
{
	struct keyholder *k = arg;

	channel_free(ch);
	k->channel = NULL;
	key_client_set_channel(k->client, NULL);
}

void
keyholder_start(struct keyholder *k, struct loop *loop, enum process_kind peer,
    const struct cert *const *certs, size_t count, int delay_ms)
{
	static channel_handler *const handlers[MSG_MAX] = {
		[MSG_key_signed] = on_key_signed,
	};
	static const struct channel_ops ops = { handlers, on_holder_gone,
		NULL };
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	k->pid = fork();
	assert_true(k->pid >= 0);
	if (k->pid == 0) {
		close(fd[0]);
		hold(fd[1], peer, certs, count, delay_ms);
	}
	close(fd[1]);
	k->client = key_client_new(loop);
	k->channel = channel_new(loop, fd[0], peer, PROC_KEYS, 0, &ops, k);
	assert_non_null(k->client);
	assert_non_null(k->channel);
	key_client_set_channel(k->client, k->channel);
}

void
keyholder_stop(struct keyholder *k)
{
	int status;

	kill(k->pid, SIGKILL);
	waitpid(k->pid, &status, 0);
	if (k->channel != NULL)
		channel_free(k->channel);
	k->channel = NULL;
	key_client_free(k->client);
	k->client = NULL;
}
