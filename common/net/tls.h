/*
 * TLS settings for servers and clients: which protocols, ciphers and
 * certificates, and what to say of a session in the log. Used by smtpd and
 * deliver; trusts the configuration, nothing from the network.
 *
 * TLS 1.2 (RFC 5246) and 1.3 (RFC 8446) only; no renegotiation, compression,
 * early data or static RSA. Private keys stay in the keys process: see
 * net/key_provider.h. After tls_init no file is ever opened, so the process
 * can enter its sandbox.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <openssl/types.h>
#include <stddef.h>
#include <stdint.h>

struct key_signer;
struct tls_server;
struct tls_client;
struct tls_tickets;

/* Loads what OpenSSL reads from files, and seeds its generator. Call before
 * the sandbox. -1 with a message when OpenSSL is unusable. */
int tls_init(char *error, size_t error_size);

/* ---- session tickets --------------------------------------------------- */

/* Name, encryption key and authentication key of tickets, as one string. */
#define TLS_TICKET_KEY_LEN 80

/* Holds the keys that master hands to all smtpd workers, so that a session
 * begun with one can be resumed with another. NULL when memory is out. */
struct tls_tickets *tls_tickets_new(void);
void tls_tickets_free(struct tls_tickets *);
/* Each key has TLS_TICKET_KEY_LEN octets, or none, which means that no ticket
 * is issued (current) or taken (previous). -1 for any other length. */
int tls_tickets_set(struct tls_tickets *, const void *current,
    size_t current_len, const void *previous, size_t previous_len);
/* Fresh key; for master. -1 when the generator fails. */
int tls_ticket_key(uint8_t key[TLS_TICKET_KEY_LEN]);

/* ---- servers ----------------------------------------------------------- */

/* A certificate with its chain, leaf first, as PEM. */
struct tls_pki {
	const char
	    *name; /* as the configuration and the keys process know it */
	const char *pem;
	size_t pem_len;
};

enum tls_verify {
	TLS_VERIFY_NONE, /* whatever comes is fine */
	TLS_VERIFY_OPTIONAL, /* checked, told, not enforced */
	TLS_VERIFY_REQUIRED /* the handshake fails when the check does */
};

struct tls_server_options {
	const char *listener; /* names the listener; sessions do not pass
				 from one name to another */
	const struct tls_pki *pki; /* the first is the default */
	size_t pki_count; /* at least 1 */
	const char *protocols; /* "tlsv1.3", "tlsv1.2:tlsv1.3", "all,!tlsv1.2";
				  NULL for 1.2 and 1.3. Older ones may be
				  named and are passed over */
	const char *ciphers; /* OpenSSL's list, or libtls's words "secure",
				"compat", "legacy", "insecure"; NULL for ours */
	int dhe; /* offer finite field Diffie-Hellman too */
	enum tls_verify verify; /* of client certificates */
	const char *ca_pem; /* who may have signed those; NULL if none */
	size_t ca_pem_len;
	struct tls_tickets *tickets; /* NULL: no resumption */
	const struct key_signer *keys; /* signs for every pki */
};

/*
 * NULL with a message, which names the pki, when a certificate, cipher list or
 * protocol cannot be used. Nothing of the options but tickets and keys is
 * needed afterwards; these must outlive every session. Sessions keep what else
 * they need when the server is freed.
 */
struct tls_server *tls_server_new(
    const struct tls_server_options *, char *error, size_t error_size);
void tls_server_free(struct tls_server *);
/* For stream_start_tls. NULL when memory is out. */
SSL *tls_server_session(struct tls_server *);

/* ---- clients ----------------------------------------------------------- */

struct tls_client_options {
	const char *protocols; /* as above */
	const char *ciphers;
	const char *ca_pem; /* the bundle of trusted authorities */
	size_t ca_pem_len;
	const struct tls_pki *pki; /* client certificate; NULL if none */
	const struct key_signer *keys; /* needed with pki */
};

/* A bundle may hold many certificates; those that do not parse are skipped,
 * but a bundle without any is an error. */
struct tls_client *tls_client_new(
    const struct tls_client_options *, char *error, size_t error_size);
void tls_client_free(struct tls_client *);

/*
 * For stream_start_tls with STREAM_CLIENT. `name` is sent as SNI (unless it is
 * an address) and is what the certificate must be for; may be NULL only with
 * TLS_VERIFY_NONE. NULL when memory is out or the name is not one.
 */
SSL *tls_client_session(
    struct tls_client *, const char *name, enum tls_verify verify);

/*
 * DANE (RFC 7672): adds a TLSA record, after which the chain must match one of
 * them and the authorities of the bundle no longer count. Returns 1 when the
 * record is usable, 0 when it is not (unknown numbers), -1 without memory. If
 * no record of a set is usable the caller decides on the policy again.
 */
int tls_client_add_tlsa(SSL *, uint8_t usage, uint8_t selector,
    uint8_t matching, const uint8_t *data, size_t len);
/* Another name that the certificate may be for, as the next-hop domain under
 * DANE-TA. -1 without memory. */
int tls_client_add_name(SSL *, const char *name);

/* Frees a session of either kind; a stream does so with what it was given. */
void tls_session_free(SSL *);

/* ---- both -------------------------------------------------------------- */

struct tls_info {
	char version[16]; /* "TLSv1.3" */
	char cipher[64];
	int bits; /* of the cipher */
	int verified; /* chain and, for a client, name are good */
	int resumed;
	int peer_certificate; /* whether the peer showed one */
	char verify_error[96]; /* why verified is 0; "" if not asked */
	char subject[256]; /* common name of the peer's certificate; its odd
			      octets are escaped, yet quote it for a log */
	char fingerprint[72]; /* SHA-256 of the certificate, hexadecimal */
};

/* What there is to say of an established session. */
void tls_describe(const SSL *, struct tls_info *);
/* As it stands in a Received field and in the log:
 * "TLSv1.3 cipher TLS_AES_256_GCM_SHA384 bits 256 verify NO". Returns out. */
char *tls_describe_string(const struct tls_info *, char *out, size_t size);

/* RFC 9266 tls-exporter, for SCRAM-PLUS. -1 where it is not defined (TLS 1.2
 * without extended master secret). */
#define TLS_BINDING_LEN 32
int tls_channel_binding(SSL *, uint8_t out[TLS_BINDING_LEN]);

#endif
