/*
 * The keys process: holds the private keys and signs for the TLS handshakes of
 * smtpd and deliver. It opens no file, has no network and parses nothing but
 * its configuration and key_sign; what it signs is decided in keys.c.
 */
#include "config.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/codec.h"
#include "ipc/worker.h"
#include "keys.h"
#include "os/log.h"

enum {
	SECURE_HEAP = 1 << 18, /* a key of 4096 bits takes about 3 KiB */
	SECURE_MIN = 32
};

struct context {
	struct keys *keys;
	struct keys *next;
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

/* Whether the key, which has been read before, belongs to the certificate:
 * with another no handshake would ever succeed. Of a certificate that cannot
 * be read those tell who show it. */
static bool
is_pair(const struct conf_pki *pki)
{
	BIO *cert = BIO_new_mem_buf(pki->cert_pem, -1);
	BIO *key = BIO_new_mem_buf(pki->key_pem, -1);
	X509 *x = cert ? PEM_read_bio_X509(cert, NULL, NULL, NULL) : NULL;
	EVP_PKEY *pkey =
	    key ? PEM_read_bio_PrivateKey(key, NULL, NULL, NULL) : NULL;
	bool pair =
	    x == NULL || (pkey != NULL && X509_check_private_key(x, pkey) == 1);

	EVP_PKEY_free(pkey);
	X509_free(x);
	BIO_free(key);
	BIO_free(cert);
	ERR_clear_error();
	return pair;
}

static int
add_key(struct keys *keys, const struct conf_pki *pki, char *error, size_t size)
{
	if (pki->key_pem == NULL)
		return 0; /* certificate and ca use only */
	if (keys_add(keys, pki->name, pki->key_pem, strlen(pki->key_pem), error,
		size) == -1)
		return -1;
	if (pki->cert_pem == NULL || is_pair(pki))
		return 0;
	snprintf(error, size,
	    "pki %s: the key is not that of the certificate: write `cert` and "
	    "`key` of one pair, and see that the file of `cert` begins with "
	    "its own certificate",
	    pki->name);
	return -1;
}

static struct keys *
load_keys(const struct conf *conf, char *error, size_t size)
{
	struct keys *keys = keys_new();

	if (keys == NULL) {
		snprintf(error, size, "out of memory");
		return NULL;
	}
	for (uint32_t i = 0; i < conf->npkis; i++)
		if (add_key(keys, &conf->pkis[i], error, size) == -1) {
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
	keys_free(c->next);
	c->next = load_keys(conf, error, size);
	wipe_pem(conf);
	conf_free(conf);
	return c->next != NULL ? 0 : -1;
}

static void
swap(void *arg)
{
	struct context *c = arg;

	keys_free(c->keys);
	c->keys = c->next;
	c->next = NULL;
	log_debug("holding %zu private keys", keys_count(c->keys));
}

static void
on_key_sign(void *arg, struct channel *ch, const union ipc_msg *msg, int fd)
{
	struct context *c = arg;
	const struct msg_key_sign *m = &msg->key_sign;
	struct msg_key_signed answer = { .id = m->id };
	uint8_t signature[KEYS_SIGNATURE_MAX];
	const char *reason = "";
	char name[300];
	size_t len;

	/* peers may ask before the first swap, while nothing is held */
	len = c->keys == NULL
	    ? 0
	    : keys_sign(c->keys, channel_peer(ch), m, signature, &reason);
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
	struct context context = { NULL, NULL };
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
	if (CRYPTO_secure_malloc_init(SECURE_HEAP, SECURE_MIN) == 0)
		fprintf(stderr, "keys: no memory that is locked\n");
	rc = worker_main(argc, argv, &ops, &context);
	keys_free(context.next);
	keys_free(context.keys);
	return rc;
}
