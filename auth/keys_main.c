/*
 * The keys process: holds the private keys and signs for the TLS handshakes of
 * smtpd and deliver. It opens no file, has no network and parses nothing but
 * its configuration and key_sign; what it signs is decided in keys.c.
 */
#include "config.h"

#include <event2/event.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth/expiry.h"
#include "conf/codec.h"
#include "ipc/worker.h"
#include "keys.h"
#include "net/key_name.h"
#include "net/loop.h"
#include "os/log.h"

enum {
	/* locked memory for two sets of a thousand keys of 4096 bits */
	SECURE_HEAP = 1 << 22,
	SECURE_MIN = 32
};

struct context {
	struct keys *former; /* for sessions older than the last reload */
	struct keys *keys;
	struct keys *next;
	struct expiry *expiry;
	struct expiry *next_expiry;
	struct event *daily;
	struct loop *loop;
};

/* The text of a key is of no use once it is parsed. */
static void
wipe_pem(struct conf *conf)
{
	char *pem;

	for (uint32_t i = 0; i < conf->npkis; i++)
		if ((pem = conf->pkis[i].key_pem) != NULL)
			OPENSSL_cleanse(pem, strlen(pem));
}

/* NULL if there is none; of one that cannot be read those tell who show it. */
static X509 *
read_certificate(const char *pem)
{
	BIO *bio = pem != NULL ? BIO_new_mem_buf(pem, -1) : NULL;
	X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	ERR_clear_error();
	return x;
}

/* What is wrong with the two, or NULL. The key, which has been read before, has
 * to belong to the certificate: with another no handshake would ever succeed.
 */
static const char *
pair_fault(const X509 *x, const char *key_pem)
{
	BIO *bio = BIO_new_mem_buf(key_pem, -1);
	EVP_PKEY *pkey =
	    bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
	const char *fault = NULL;

	if (pkey == NULL)
		fault = "there is no room for so many private keys: write "
			"fewer `pki`, or keys of fewer bits";
	else if (X509_check_private_key(x, pkey) != 1)
		fault = "the key is not that of the certificate: write `cert` "
			"and `key` of one pair, and see that the file of "
			"`cert` begins with its own certificate";
	EVP_PKEY_free(pkey);
	BIO_free(bio);
	ERR_clear_error();
	return fault;
}

static int
add_key(struct keys *keys, struct expiry *expiry, const struct conf_pki *pki,
    char *error, size_t size)
{
	const char *pem = pki->key_pem;
	char name[KEY_NAME_SIZE];
	const char *fault;
	int rc = 0;
	X509 *x;

	if (pem == NULL)
		return 0; /* certificate and ca use only */
	x = read_certificate(pki->cert_pem);
	key_name(name, pki->name, X509_get0_pubkey(x));
	if (keys_add(keys, name, pem, strlen(pem), error, size) == -1)
		/* again, for a message with the name that its owner knows */
		rc = keys_add(keys, pki->name, pem, strlen(pem), error, size);
	else if (x != NULL && (fault = pair_fault(x, pem)) != NULL) {
		snprintf(error, size, "pki %s: %s", pki->name, fault);
		rc = -1;
	} else if (x != NULL && expiry_add(expiry, pki->name, x) == -1) {
		snprintf(error, size, "out of memory");
		rc = -1;
	}
	X509_free(x);
	return rc;
}

static struct keys *
load_keys(
    const struct conf *conf, struct expiry *expiry, char *error, size_t size)
{
	struct keys *keys = keys_new();

	if (keys == NULL || expiry == NULL) {
		keys_free(keys);
		snprintf(error, size, "out of memory");
		return NULL;
	}
	for (uint32_t i = 0; i < conf->npkis; i++)
		if (add_key(keys, expiry, &conf->pkis[i], error, size) == -1) {
			keys_free(keys);
			return NULL;
		}
	return keys;
}

static int
configure(void *arg, struct worker *w, const uint8_t *slice, size_t len,
    const struct worker_file *files, size_t file_count, char *error,
    size_t size)
{
	struct context *c = arg;
	struct conf *conf = conf_decode(slice, len, error, size);

	if (conf == NULL)
		return -1;
	c->loop = worker_loop(w);
	/* before the next are read: there is room for two sets of keys */
	keys_free(c->former);
	c->former = NULL;
	keys_free(c->next);
	expiry_free(c->next_expiry);
	c->next_expiry = expiry_new();
	c->next = load_keys(conf, c->next_expiry, error, size);
	wipe_pem(conf);
	conf_free(conf);
	return c->next != NULL ? 0 : -1;
}

static void
tell_expiry(evutil_socket_t fd, short what, void *arg)
{
	struct context *c = arg;

	expiry_tell(c->expiry, loop_time(c->loop));
}

static struct timeval
day(void)
{
	struct timeval tv = { 24 * 60 * 60, 0 };
#ifdef RELAIS_TEST_HOOKS
	const char *value = getenv("RELAIS_TEST_DAY");

	if (value != NULL)
		tv.tv_sec = atoi(value);
#endif
	return tv;
}

/* A day is counted from the last start or reload, which tells as well. */
static void
swap(void *arg)
{
	const struct timeval tv = day();
	struct context *c = arg;

	c->former = c->keys;
	c->keys = c->next;
	c->next = NULL;
	expiry_free(c->expiry);
	c->expiry = c->next_expiry;
	c->next_expiry = NULL;
	log_debug("holding %zu private keys", keys_count(c->keys));
	tell_expiry(-1, 0, c);
	if (c->daily == NULL)
		c->daily = event_new(
		    loop_base(c->loop), -1, EV_PERSIST, tell_expiry, c);
	if (c->daily == NULL || event_add(c->daily, &tv) == -1)
		log_fatal("out of memory");
}

static void
on_key_sign(void *arg, struct channel *ch, const union ipc_msg *msg, int fd)
{
	struct context *c = arg;
	const struct keys *held[] = { c->former, c->keys };
	const struct msg_key_sign *m = &msg->key_sign;
	struct msg_key_signed answer = { .id = m->id };
	uint8_t signature[KEYS_SIGNATURE_MAX];
	const char *reason = "";
	char name[300];
	size_t len = 0;

	/* peers may ask before the first swap, while nothing is held */
	for (size_t i = 0; i < 2 && len == 0; i++)
		if (held[i] != NULL)
			len = keys_sign(
			    held[i], channel_peer(ch), m, signature, &reason);
	if (len == 0)
		log_warn("refused to sign for %s, pki %s: %s",
		    process_name(channel_peer(ch)),
		    log_quote(name, sizeof(name), m->pki), reason);
	answer.signature = ipc_blob(signature, len);
	if (ipc_send(ch, key_signed, &answer) == -1)
		log_fatal("out of memory");
}

static channel_handler *const handlers[MSG_MAX] = {
	[MSG_key_sign] = on_key_sign,
};

static const struct worker_ops ops = {
	.kind = PROC_KEYS,
	.handlers = handlers,
	.net = SANDBOX_NET_NONE,
	.configure = configure,
	.swap = swap,
};

int
main(int argc, char **argv)
{
	struct context context = { 0 };
	uint8_t seed[16];
	int rc;

	/* before the sandbox: OpenSSL's configuration, its generator, and
	 * memory that is neither swapped nor dumped */
	if (OPENSSL_init_crypto(
		OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
		NULL) != 1 ||
	    RAND_bytes(seed, sizeof(seed)) != 1 ||
	    RAND_priv_bytes(seed, sizeof(seed)) != 1) {
		fprintf(stderr, "keys: OpenSSL does not start\n");
		return 1;
	}
	tzset(); /* or the first date would have it open a file */
	if (CRYPTO_secure_malloc_init(SECURE_HEAP, SECURE_MIN) == 0)
		fprintf(stderr, "keys: no memory that is locked\n");
	rc = worker_main(argc, argv, &ops, &context);
	keys_free(context.next);
	keys_free(context.keys);
	keys_free(context.former);
	expiry_free(context.next_expiry);
	expiry_free(context.expiry);
	return rc;
}
