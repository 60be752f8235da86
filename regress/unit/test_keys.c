/*
 * What the keys process signs and what it refuses, and which keys it takes.
 */
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/keys.h"
#include "auth/tls_shape.h"
#include "net_fixture.h"

enum { SPACES = 64, DATA_MAX = 4096 };

struct text {
	uint8_t data[DATA_MAX];
	size_t len;
};

/* ---- what TLS has signed ---------------------------------------------- */

static void
add(struct text *t, const void *data, size_t len)
{
	assert_true(t->len + len <= sizeof(t->data));
	memcpy(t->data + t->len, data, len);
	t->len += len;
}

static void
add_octets(struct text *t, int octet, size_t len)
{
	assert_true(t->len + len <= sizeof(t->data));
	memset(t->data + t->len, octet, len);
	t->len += len;
}

static struct text
text_13(const char *who, size_t hash)
{
	struct text t = { .len = 0 };

	add_octets(&t, ' ', SPACES);
	add(&t, "TLS 1.3, ", 9);
	add(&t, who, strlen(who));
	add(&t, " CertificateVerify", 19);
	add_octets(&t, 0xaa, hash);
	return t;
}

static struct text
text_ecdhe(int group, size_t point)
{
	struct text t = { .len = 0 };
	uint8_t head[4] = { 3, (uint8_t)(group >> 8), (uint8_t)group,
		(uint8_t)point };

	add_octets(&t, 0x55, 64);
	add(&t, head, 4);
	add_octets(&t, 4, point);
	return t;
}

static struct text
text_dhe(size_t prime, size_t generator, size_t public)
{
	size_t lens[3] = { prime, generator, public };
	struct text t = { .len = 0 };

	add_octets(&t, 0x55, 64);
	for (int i = 0; i < 3; i++) {
		uint8_t head[2] = { (uint8_t)(lens[i] >> 8), (uint8_t)lens[i] };

		add(&t, head, 2);
		add_octets(&t, 7, lens[i]);
	}
	return t;
}

/* Messages of a handshake by their types, each with a body. */
static struct text
text_transcript(const char *types)
{
	struct text t = { .len = 0 };

	for (const char *p = types; *p != '\0'; p++) {
		uint8_t head[6] = { (uint8_t)*p, 0, 0, 40, 3, 3 };

		add(&t, head, 6);
		add_octets(&t, 0x11, 38);
	}
	return t;
}

static void
test_shape(void **state)
{
	struct {
		struct text text;
		int cut; /* octets less, or more when negative */
		enum tls_shape shape;
	} rows[] = {
		{ text_13("server", 32), 0, TLS_SHAPE_13_SERVER },
		{ text_13("server", 48), 0, TLS_SHAPE_13_SERVER },
		{ text_13("client", 32), 0, TLS_SHAPE_13_CLIENT },
		{ text_13("server", 20), 0, TLS_SHAPE_NONE },
		{ text_13("server", 64), 0, TLS_SHAPE_NONE },
		{ text_13("server", 32), 1, TLS_SHAPE_NONE },
		{ text_13("Server", 32), 0, TLS_SHAPE_NONE },
		{ text_ecdhe(23, 65), 0, TLS_SHAPE_12_SERVER },
		{ text_ecdhe(24, 97), 0, TLS_SHAPE_12_SERVER },
		{ text_ecdhe(29, 32), 0, TLS_SHAPE_12_SERVER },
		{ text_ecdhe(29, 33), 0, TLS_SHAPE_NONE },
		{ text_ecdhe(23, 65), 1, TLS_SHAPE_NONE },
		{ text_ecdhe(23, 65), -1, TLS_SHAPE_NONE },
		{ text_ecdhe(1, 65), 0, TLS_SHAPE_NONE },
		{ text_dhe(256, 1, 256), 0, TLS_SHAPE_12_SERVER },
		{ text_dhe(256, 1, 257), 0, TLS_SHAPE_NONE },
		{ text_dhe(64, 1, 64), 0, TLS_SHAPE_NONE },
		{ text_dhe(256, 0, 256), 0, TLS_SHAPE_NONE },
		{ text_dhe(256, 1, 256), 1, TLS_SHAPE_NONE },
		{ text_transcript("\x01\x02\x0b\x0c\x0d\x0e\x0b\x10"), 0,
		    TLS_SHAPE_12_CLIENT },
		{ text_transcript("\x01\x10"), 1, TLS_SHAPE_NONE },
		{ text_transcript("\x01\x02"), 0, TLS_SHAPE_NONE },
		{ text_transcript("\x02\x10"), 0, TLS_SHAPE_NONE },
		{ text_transcript("\x01\x10\x0f"), 0, TLS_SHAPE_NONE },
		{ { "From: me\r\nTo: you\r\n", 19 }, 0, TLS_SHAPE_NONE },
		{ { "", 0 }, 0, TLS_SHAPE_NONE },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = rows[i].text.len - (size_t)rows[i].cut;
		/* in memory of its own, where a sanitizer sees its end */
		uint8_t *copy = malloc(len + 1);

		memcpy(copy, rows[i].text.data, len);
		copy = realloc(copy, len > 0 ? len : 1);
		if (tls_shape(copy, len) != rows[i].shape)
			fail_msg("row %zu", i);
		free(copy);
	}
}

/* ---- signing ---------------------------------------------------------- */

struct context {
	struct cert rsa, ec, p384;
	struct keys *keys;
};

static int
setup(void **state)
{
	struct context *c = calloc(1, sizeof(*c));
	struct cert *all[] = { &c->rsa, &c->ec, &c->p384 };
	char error[256];

	cert_make(&c->rsa, CERT_RSA, "rsa");
	cert_make(&c->ec, CERT_P256, "ec");
	cert_make(&c->p384, CERT_P384, "p384");
	c->keys = keys_new();
	for (int i = 0; i < 3; i++)
		assert_int_equal(
		    keys_add(c->keys, all[i]->name, all[i]->key_pem,
			strlen(all[i]->key_pem), error, sizeof(error)),
		    0);
	assert_int_equal(keys_count(c->keys), 3);
	*state = c;
	return 0;
}

static int
teardown(void **state)
{
	struct context *c = *state;

	keys_free(c->keys);
	cert_free(&c->rsa);
	cert_free(&c->ec);
	cert_free(&c->p384);
	free(c);
	return 0;
}

static int
verifies(EVP_PKEY *key, const char *digest, int padding,
    const struct text *text, const uint8_t *signature, size_t len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	int ok;

	ok = EVP_DigestVerifyInit_ex(
		 ctx, &pctx, digest, NULL, NULL, key, NULL) == 1 &&
	    (padding == 0 ||
		EVP_PKEY_CTX_set_rsa_padding(pctx, padding) == 1) &&
	    (padding != RSA_PKCS1_PSS_PADDING ||
		EVP_PKEY_CTX_set_rsa_pss_saltlen(
		    pctx, RSA_PSS_SALTLEN_DIGEST) == 1) &&
	    EVP_DigestVerify(ctx, signature, len, text->data, text->len) == 1;
	EVP_MD_CTX_free(ctx);
	return ok;
}

static void
test_sign(void **state)
{
	struct context *c = *state;
	struct text s13 = text_13("server", 32), c13 = text_13("client", 48);
	struct text s12 = text_ecdhe(23, 65);
	struct text c12 = text_transcript("\x01\x02\x10");
	struct text mail = { "From: me\r\n", 10 };
	const struct {
		enum process_kind peer;
		const char *pki;
		const char *digest;
		int padding;
		const struct text *text;
		const char *refused; /* NULL: signed */
	} rows[] = {
		{ PROC_SMTPD, "rsa", "SHA256", RSA_PKCS1_PSS_PADDING, &s13,
		    NULL },
		{ PROC_SMTPD, "RSA", "SHA512", RSA_PKCS1_PSS_PADDING, &s13,
		    NULL },
		{ PROC_SMTPD, "rsa", "SHA384", RSA_PKCS1_PADDING, &s12, NULL },
		{ PROC_SMTPD, "ec", "SHA256", 0, &s13, NULL },
		{ PROC_SMTPD, "p384", "SHA384", 0, &s12, NULL },
		{ PROC_DELIVER, "ec", "SHA256", 0, &c13, NULL },
		{ PROC_DELIVER, "rsa", "SHA256", RSA_PKCS1_PADDING, &c12,
		    NULL },
		{ PROC_SMTPD, "none", "SHA256", 0, &s13, "no such pki" },
		{ PROC_SMTPD, "", "SHA256", 0, &s13, "no such pki" },
		{ PROC_SMTPD, "ec", "SHA1", 0, &s13, "digest is not allowed" },
		{ PROC_SMTPD, "ec", "MD5", 0, &s13, "digest is not allowed" },
		{ PROC_SMTPD, "ec", "", 0, &s13, "digest is not allowed" },
		{ PROC_SMTPD, "ec", "sha256", 0, &s13,
		    "digest is not allowed" },
		{ PROC_SMTPD, "ec", "SHA256", 0, &c13, "not what a TLS" },
		{ PROC_SMTPD, "ec", "SHA256", 0, &c12, "not what a TLS" },
		{ PROC_SMTPD, "ec", "SHA256", 0, &mail, "not what a TLS" },
		{ PROC_DELIVER, "ec", "SHA256", 0, &s13, "not what a TLS" },
		{ PROC_DELIVER, "ec", "SHA256", 0, &s12, "not what a TLS" },
		{ PROC_QUEUE, "ec", "SHA256", 0, &s13, "not what a TLS" },
		{ PROC_AUTH, "ec", "SHA256", 0, &c13, "not what a TLS" },
		{ PROC_SMTPD, "rsa", "SHA256", RSA_PKCS1_PADDING, &s13,
		    "padding does not fit" },
		{ PROC_SMTPD, "rsa", "SHA256", RSA_NO_PADDING, &s12,
		    "padding does not fit" },
		{ PROC_SMTPD, "rsa", "SHA256", 0, &s12,
		    "padding does not fit" },
		{ PROC_SMTPD, "ec", "SHA256", RSA_PKCS1_PADDING, &s12,
		    "padding does not fit" },
	};
	struct cert *all[] = { &c->rsa, &c->ec, &c->p384 };
	uint8_t out[KEYS_SIGNATURE_MAX];
	struct msg_key_sign m;
	const char *reason;
	struct cert *cert;
	size_t len;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		m = (struct msg_key_sign){
			.pki = rows[i].pki,
			.digest = rows[i].digest,
			.padding = (uint8_t)rows[i].padding,
			.data = ipc_blob(rows[i].text->data, rows[i].text->len),
		};
		reason = NULL;
		len = keys_sign(c->keys, rows[i].peer, &m, out, &reason);
		if (rows[i].refused != NULL) {
			if (len != 0 || strstr(reason, rows[i].refused) == NULL)
				fail_msg("row %zu: %s", i, reason);
			continue;
		}
		if (len == 0)
			fail_msg("row %zu: %s", i, reason);
		for (int k = 0; k < 3; k++) {
			cert = all[k];
			assert_int_equal(
			    verifies(cert->key, rows[i].digest, rows[i].padding,
				rows[i].text, out, len),
			    strcasecmp(cert->name, rows[i].pki) == 0);
		}
	}
}

/* ---- loading ---------------------------------------------------------- */

static char *
encrypted_pem(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	unsigned char pass[] = "secret";
	char *data, *copy;
	long len;

	assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key,
			     EVP_aes_128_cbc(), (char *)pass, 6, NULL, NULL),
	    1);
	len = BIO_get_mem_data(bio, &data);
	copy = strndup(data, (size_t)len);
	BIO_free(bio);
	return copy;
}

static void
test_load(void **state)
{
	struct context *c = *state;
	char *locked = encrypted_pem(c->ec.key), *traditional, half[400];
	struct keys *keys = keys_new();
	struct cert ed, weak;
	char both[8192], error[256];
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	long len;

	cert_make(&ed, CERT_ED25519, "ed");
	cert_make(&weak, CERT_RSA1024, "weak");
	snprintf(half, sizeof(half), "%.300s", c->rsa.key_pem);
	snprintf(both, sizeof(both), "%s%s", c->ec.pem, c->ec.key_pem);
	PEM_write_bio_PrivateKey_traditional(
	    bio, c->rsa.key, NULL, NULL, 0, NULL, NULL);
	len = BIO_get_mem_data(bio, &data);
	traditional = strndup(data, (size_t)len);
	BIO_free(bio);

	const struct {
		const char *name;
		const char *pem;
		const char *error; /* NULL: loaded */
	} rows[] = {
		{ "a", c->rsa.key_pem, NULL },
		{ "b", traditional, NULL },
		{ "c", both, NULL },
		{ "A", c->rsa.key_pem, "pki A: is there twice" },
		{ "x", "", "pki x: there is no private key" },
		{ "x", "hello", "pki x: there is no private key" },
		{ "x", half, "pki x: there is no private key" },
		{ "x", c->rsa.pem, "pki x: there is no private key" },
		{ "x", locked, "pki x: private key is encrypted" },
		{ "x", ed.key_pem, "pki x: key is neither" },
		{ "x", weak.key_pem, "shorter than 2048" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc = keys_add(keys, rows[i].name, rows[i].pem,
		    strlen(rows[i].pem), error, sizeof(error));

		if (rc != (rows[i].error == NULL ? 0 : -1) ||
		    (rc == -1 && strstr(error, rows[i].error) == NULL))
			fail_msg("row %zu: %s", i, error);
	}
	assert_int_equal(keys_count(keys), 3);
	keys_free(keys);
	cert_free(&ed);
	cert_free(&weak);
	free(locked);
	free(traditional);
}

#define TEST(f) cmocka_unit_test(f)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_shape),
		TEST(test_sign),
		TEST(test_load),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
