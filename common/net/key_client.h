/*
 * The signer that asks the keys process: turns the key_request of the provider
 * into key_sign and matches key_signed to it. Owned by smtpd and deliver;
 * trusts the keys process for nothing but the signature, which the TLS peer
 * checks.
 */
#ifndef NET_KEY_CLIENT_H
#define NET_KEY_CLIENT_H

#include "net/key_provider.h"

struct channel;
struct key_client;
struct loop;
struct msg_key_signed;

/* A request is given up after this many milliseconds. */
#define KEY_CLIENT_TIMEOUT 30000

/* NULL when memory is out. There is no channel at first. */
struct key_client *key_client_new(struct loop *);
/* Refuses what waits. The signer must not be used any more. */
void key_client_free(struct key_client *);
/* For tls_server_options and tls_client_options; lives as long as the client.*/
const struct key_signer *key_client_signer(struct key_client *);

/* The channel to keys, NULL while there is none. What was asked through an
 * earlier one is refused, so its handshakes fail and can be tried again. */
void key_client_set_channel(struct key_client *, struct channel *);
/* The handler of key_signed hands the message on. Unknown ids are of requests
 * given up, and are passed over. */
void key_client_signed(struct key_client *, const struct msg_key_signed *);
/* Requests that wait. */
size_t key_client_pending(const struct key_client *);

#endif
