/*
 * Session tickets (RFC 5077, and 4.6.1 of RFC 8446) under keys that master
 * makes, rotates and hands to every smtpd worker. What is inside a ticket
 * binds it to one listener and certificate; see tls_server.c.
 */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "net/tls_internal.h"

enum { NAME_LEN = 16, SECRET_LEN = 32, CURRENT = 0, PREVIOUS = 1 };

struct ticket_key {
	uint8_t name[NAME_LEN];
	uint8_t encrypt[SECRET_LEN];
	uint8_t mac[SECRET_LEN];
};
_Static_assert(sizeof(struct ticket_key) == TLS_TICKET_KEY_LEN,
    "a ticket key travels as its octets");

struct tls_tickets {
	struct ticket_key key[2];
	int have[2];
	EVP_CIPHER *cipher;
};

struct tls_tickets *
tls_tickets_new(void)
{
	struct tls_tickets *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	if ((t->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL)) == NULL) {
		free(t);
		return NULL;
	}
	return t;
}

void
tls_tickets_free(struct tls_tickets *t)
{
	if (t == NULL)
		return;
	EVP_CIPHER_free(t->cipher);
	OPENSSL_cleanse(t, sizeof(*t));
	free(t);
}

int
tls_tickets_set(struct tls_tickets *t, const void *current, size_t current_len,
    const void *previous, size_t previous_len)
{
	if ((current_len != 0 && current_len != TLS_TICKET_KEY_LEN) ||
	    (previous_len != 0 && previous_len != TLS_TICKET_KEY_LEN))
		return -1;
	OPENSSL_cleanse(t->key, sizeof(t->key));
	if (current_len != 0)
		memcpy(&t->key[CURRENT], current, current_len);
	if (previous_len != 0)
		memcpy(&t->key[PREVIOUS], previous, previous_len);
	t->have[CURRENT] = current_len != 0;
	t->have[PREVIOUS] = previous_len != 0;
	return 0;
}

int
tls_ticket_key(uint8_t key[TLS_TICKET_KEY_LEN])
{
	return RAND_priv_bytes(key, TLS_TICKET_KEY_LEN) == 1 ? 0 : -1;
}

static int
set_mac(EVP_MAC_CTX *mac, struct ticket_key *k)
{
	char sha256[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(
		    OSSL_MAC_PARAM_KEY, k->mac, sizeof(k->mac)),
		OSSL_PARAM_construct_utf8_string(
		    OSSL_MAC_PARAM_DIGEST, sha256, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params);
}

static int
seal(struct tls_tickets *t, uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac)
{
	struct ticket_key *k = &t->key[CURRENT];

	if (!t->have[CURRENT])
		return 0; /* no ticket, and no error */
	if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(t->cipher)) != 1 ||
	    EVP_EncryptInit_ex2(cipher, t->cipher, k->encrypt, iv, NULL) != 1 ||
	    set_mac(mac, k) != 1)
		return -1;
	memcpy(name, k->name, NAME_LEN);
	return 1;
}

/* What OpenSSL is told of a ticket that was read. In TLS 1.3 a client uses one
 * only once (RFC 8446, C.4), so it needs another to come back again. */
static int
verdict(const SSL *ssl, int which)
{
	enum { RESUME = 1, RESUME_AND_RENEW = 2 };

	return which == CURRENT && SSL_version(ssl) < TLS1_3_VERSION
	    ? RESUME
	    : RESUME_AND_RENEW;
}

static int
unseal(const SSL *ssl, struct tls_tickets *t, const uint8_t *name,
    const uint8_t *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	struct ticket_key *k;

	for (int i = CURRENT; i <= PREVIOUS; i++) {
		k = &t->key[i];
		if (!t->have[i] || CRYPTO_memcmp(name, k->name, NAME_LEN) != 0)
			continue;
		if (EVP_DecryptInit_ex2(
			cipher, t->cipher, k->encrypt, iv, NULL) != 1 ||
		    set_mac(mac, k) != 1)
			return -1;
		return verdict(ssl, i);
	}
	return 0; /* a full handshake follows */
}

static int
on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv,
    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int sealing)
{
	struct tls_tickets *t = tls_server_tickets(SSL_get_SSL_CTX(ssl));

	if (t == NULL)
		return 0;
	return sealing ? seal(t, name, iv, cipher, mac)
		       : unseal(ssl, t, name, iv, cipher, mac);
}

void
tls_tickets_attach(SSL_CTX *ctx, struct tls_tickets *tickets)
{
	if (tickets == NULL) {
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(ctx, 0);
		return;
	}
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
	/* one is enough for a peer that comes back, and costs less */
	SSL_CTX_set_num_tickets(ctx, 1);
}
