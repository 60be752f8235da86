/*
 * What TLS servers and clients have in common: start, protocols, ciphers,
 * certificates, trust. See tls.h.
 */
#include "config.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "net/key_name.h"
#include "net/key_provider.h"
#include "net/tls_internal.h"

enum { LIST_SIZE = 2048 };

/* Digests that the key provider signs; SHA-1 is not among them. */
static const char signature_algorithms[] =
    "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:"
    "RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:"
    "RSA+SHA256:RSA+SHA384:RSA+SHA512";

/*
 * AES-128 first: its suite has SHA-256 instead of SHA-384, which makes a
 * handshake cheaper on both sides, and the key exchange, whose X25519 has 128
 * bits of security as well, leaves nothing that a longer key could add.
 */
static const char default_suites[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
    "TLS_CHACHA20_POLY1305_SHA256";

void
tls_error(char *error, size_t size, const char *what)
{
	unsigned long code = ERR_peek_error();
	const char *reason = ERR_reason_error_string(code);

	if (code == 0)
		snprintf(error, size, "%s", what);
	else
		snprintf(error, size, "%s: %s", what,
		    reason != NULL ? reason : "unknown error");
	ERR_clear_error();
}

int
tls_init(char *error, size_t error_size)
{
	uint8_t seed[16];

	if (OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG |
		    OPENSSL_INIT_LOAD_SSL_STRINGS |
		    OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
		NULL) != 1 ||
	    RAND_bytes(seed, sizeof(seed)) != 1 ||
	    RAND_priv_bytes(seed, sizeof(seed)) != 1) {
		tls_error(error, error_size, "OpenSSL does not start");
		return -1;
	}
	return key_provider_load(error, error_size);
}

/* ---- protocols and ciphers -------------------------------------------- */

enum { P12 = 1, P13 = 2, POLD = 4 };

static const struct {
	const char *word;
	int versions;
} protocol_words[] = {
	{ "tlsv1.3", P13 },
	{ "tlsv1.2", P12 },
	{ "tlsv1.1", POLD },
	{ "tlsv1.0", POLD },
	{ "tlsv1", P12 | P13 | POLD },
	{ "all", P12 | P13 | POLD },
	{ "legacy", P12 | P13 | POLD },
	{ "default", P12 | P13 },
	{ "secure", P12 | P13 },
};

static int
word_versions(const char *word, size_t len)
{
	size_t n = sizeof(protocol_words) / sizeof(protocol_words[0]);

	for (size_t i = 0; i < n; i++)
		if (strlen(protocol_words[i].word) == len &&
		    strncasecmp(word, protocol_words[i].word, len) == 0)
			return protocol_words[i].versions;
	return 0;
}

/* The versions that a list leaves, or -1 with a message. */
static int
parse_protocols(const char *list, char *error, size_t error_size)
{
	int versions = 0, v, not ;
	size_t len;

	for (const char *p = list; *p != '\0'; p += len) {
		p += strspn(p, " ,:");
		not = *p == '!';
		p += not ;
		len = strcspn(p, " ,:");
		if (len == 0)
			continue;
		if ((v = word_versions(p, len)) == 0) {
			snprintf(error, error_size,
			    "protocol \"%.*s\" is unknown: use tlsv1.2 or "
			    "tlsv1.3",
			    (int)(len < 32 ? len : 32), p);
			return -1;
		}
		versions = not ? versions & ~v : versions | v;
	}
	if ((versions &= P12 | P13) == 0) {
		snprintf(error, error_size,
		    "protocols \"%.64s\" leave none that is safe: use "
		    "tlsv1.2 or tlsv1.3",
		    list);
		return -1;
	}
	return versions;
}

/* libtls names sets of ciphers by a word; the weaker sets allow what OpenSSL
 * thinks is still sound, for old peers. */
static const char *
cipher_word(const char *list, const char *ours)
{
	static const char *const weaker[] = { "compat", "legacy", "insecure",
		"all" };

	if (list == NULL || strcmp(list, "secure") == 0 ||
	    strcmp(list, "default") == 0)
		return ours;
	for (size_t i = 0; i < sizeof(weaker) / sizeof(weaker[0]); i++)
		if (strcmp(list, weaker[i]) == 0)
			return "HIGH:MEDIUM";
	return list;
}

/* Splits off the suites of TLS 1.3, which OpenSSL wants apart. -1 when the
 * list is too long. */
static int
split_ciphers(const char *list, char *old, char *suites)
{
	char *to;
	size_t len;

	*old = *suites = '\0';
	if (strlen(list) >= LIST_SIZE)
		return -1;
	for (const char *p = list; *p != '\0'; p += len) {
		p += strspn(p, " ,:");
		if ((len = strcspn(p, " ,:")) == 0)
			continue;
		to = strncmp(p, "TLS_", 4) == 0 ? suites : old;
		if (*to != '\0')
			strcat(to, ":");
		strncat(to, p, len);
	}
	return 0;
}

static int
set_ciphers(SSL_CTX *ctx, const struct tls_context_options *o, char *error,
    size_t error_size)
{
	char old[LIST_SIZE], suites[LIST_SIZE], all[LIST_SIZE + 128];
	const char *list = cipher_word(o->ciphers, o->default_ciphers);
	char what[128];

	snprintf(what, sizeof(what), "ciphers \"%.80s\"", list);
	if (split_ciphers(list, old, suites) == -1) {
		snprintf(error, error_size, "%s: list is too long", what);
		return -1;
	}
	if (*old == '\0' && *suites != '\0')
		strcpy(old, o->default_ciphers);
	if (*suites == '\0')
		strcpy(suites, default_suites);
	snprintf(all, sizeof(all), "%s:%s", old, o->never);
	if (SSL_CTX_set_cipher_list(ctx, all) != 1 ||
	    SSL_CTX_set_ciphersuites(ctx, suites) != 1) {
		tls_error(error, error_size, what);
		return -1;
	}
	return 0;
}

/*
 * What is recorded today may be read once there are quantum computers: the
 * hybrid key exchange goes first, with a share of X25519 beside it, so that who
 * does not know it is not asked twice. OpenSSL knows both from 3.5 on.
 */
static int
set_groups(SSL_CTX *ctx)
{
	static const char *const lists[] = {
		"*X25519MLKEM768:*X25519:P-256:P-384:P-521",
		"X25519:P-256:P-384:P-521"
	};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		ERR_clear_error();
		if (SSL_CTX_set1_groups_list(ctx, lists[i]) == 1)
			return 0;
	}
	return -1;
}

SSL_CTX *
tls_context_new(
    const struct tls_context_options *o, char *error, size_t error_size)
{
	int versions = P12 | P13;
	SSL_CTX *ctx;

	ERR_clear_error();
	if (o->protocols != NULL &&
	    (versions = parse_protocols(o->protocols, error, error_size)) == -1)
		return NULL;
	if ((ctx = SSL_CTX_new(o->method)) == NULL) {
		tls_error(error, error_size, "no TLS context");
		return NULL;
	}
	SSL_CTX_set_min_proto_version(
	    ctx, versions & P12 ? TLS1_2_VERSION : TLS1_3_VERSION);
	SSL_CTX_set_max_proto_version(
	    ctx, versions & P13 ? TLS1_3_VERSION : TLS1_2_VERSION);
	/* SMTP says itself where a message ends, so a peer that hangs up
	 * without close_notify, as many do, takes nothing from us */
	SSL_CTX_set_options(ctx,
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
		SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (set_ciphers(ctx, o, error, error_size) == -1)
		goto fail;
	if (set_groups(ctx) == -1) {
		tls_error(error, error_size, "groups");
		goto fail;
	}
	return ctx;
fail:
	SSL_CTX_free(ctx);
	return NULL;
}

/* ---- certificates ----------------------------------------------------- */

/* The next certificate; NULL at the end (*bad 0) or for one that is broken. */
static X509 *
next_certificate(BIO *bio, int *bad)
{
	X509 *x;
	unsigned long code;

	ERR_clear_error();
	x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	code = ERR_peek_last_error();
	*bad = x == NULL &&
	    !(ERR_GET_LIB(code) == ERR_LIB_PEM &&
		ERR_GET_REASON(code) == PEM_R_NO_START_LINE);
	if (!*bad)
		ERR_clear_error();
	return x;
}

static int
use_chain(SSL_CTX *ctx, BIO *bio, const struct tls_pki *pki,
    const struct key_signer *keys, char *error, size_t error_size)
{
	char name[KEY_NAME_SIZE];
	EVP_PKEY *key = NULL;
	X509 *leaf, *x = NULL;
	int bad, rc = -1;

	if ((leaf = next_certificate(bio, &bad)) == NULL) {
		tls_error(error, error_size,
		    bad ? "certificate is malformed"
			: "there is no certificate in PEM form");
		return -1;
	}
	key_name(name, pki->name, X509_get0_pubkey(leaf));
	key = key_provider_key(leaf, name, keys, error, error_size);
	if (key == NULL)
		goto out;
	if (SSL_CTX_use_certificate(ctx, leaf) != 1 ||
	    SSL_CTX_use_PrivateKey(ctx, key) != 1) {
		tls_error(error, error_size, "certificate cannot be used");
		goto out;
	}
	while ((x = next_certificate(bio, &bad)) != NULL)
		if (SSL_CTX_add0_chain_cert(ctx, x) != 1) {
			X509_free(x);
			tls_error(error, error_size, "chain cannot be used");
			goto out;
		}
	if (bad)
		tls_error(error, error_size, "chain is malformed");
	rc = bad ? -1 : 0;
out:
	EVP_PKEY_free(key);
	X509_free(leaf);
	return rc;
}

int
tls_context_use_pki(SSL_CTX *ctx, const struct tls_pki *pki,
    const struct key_signer *keys, char *error, size_t error_size)
{
	char reason[200];
	BIO *bio;
	int rc;

	/* the key must not even be in the memory of this process */
	if (memmem(pki->pem, pki->pem_len, "PRIVATE KEY-----", 16) != NULL) {
		snprintf(error, error_size,
		    "pki %s: a private key came with the certificate",
		    pki->name);
		return -1;
	}
	bio = BIO_new_mem_buf(pki->pem, (int)pki->pem_len);
	if (bio == NULL) {
		snprintf(error, error_size, "out of memory");
		return -1;
	}
	rc = use_chain(ctx, bio, pki, keys, reason, sizeof(reason));
	BIO_free(bio);
	if (rc == -1) {
		snprintf(error, error_size, "pki %s: %s", pki->name, reason);
		return -1;
	}
	SSL_CTX_set1_sigalgs_list(ctx, signature_algorithms);
	SSL_CTX_set_mode(ctx, SSL_MODE_ASYNC);
	return 0;
}

int
tls_context_trust(SSL_CTX *ctx, const char *pem, size_t len,
    STACK_OF(X509_NAME) * names, char *error, size_t error_size)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	X509_NAME *name;
	int bad = 0, count = 0;
	X509 *x;

	if (bio == NULL) {
		snprintf(error, error_size, "out of memory");
		return -1;
	}
	while ((x = next_certificate(bio, &bad)) != NULL || bad) {
		if (x == NULL)
			continue; /* one bad authority does not spoil all */
		count += X509_STORE_add_cert(store, x);
		if (names != NULL &&
		    (name = X509_NAME_dup(X509_get_subject_name(x))) != NULL &&
		    sk_X509_NAME_push(names, name) <= 0)
			X509_NAME_free(name);
		X509_free(x);
	}
	BIO_free(bio);
	ERR_clear_error();
	if (count == 0) {
		snprintf(error, error_size,
		    "no certificate authority in the bundle");
		return -1;
	}
	return 0;
}

void
tls_session_free(SSL *ssl)
{
	struct tls_server *server = ssl != NULL ? SSL_get_app_data(ssl) : NULL;

	SSL_free(ssl);
	tls_server_release(server);
}
