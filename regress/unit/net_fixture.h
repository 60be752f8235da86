/*
 * What the tests of streams, TLS and keys share: certificates made on the
 * spot, a loop that is run until something happens, the two ends of a stream,
 * and a keys process that holds the private keys.
 */
#ifndef REGRESS_NET_FIXTURE_H
#define REGRESS_NET_FIXTURE_H

#include <sys/types.h>

#include <openssl/ssl.h>
#include <stdint.h>

#include "ipc/enums.h"
#include "net/key_client.h"
#include "net/key_name.h"
#include "net/loop.h"
#include "net/stream.h"
#include "net/tls.h"

/* ---- certificates ----------------------------------------------------- */

enum cert_kind { CERT_RSA, CERT_P256, CERT_P384, CERT_ED25519, CERT_RSA1024 };

struct cert {
	char name[64]; /* subject, SAN, and name of the pki */
	char *pem;
	char *key_pem;
	X509 *x509;
	EVP_PKEY *key;
};

/* A certificate for `name`, signed by itself and an authority of its own. */
void cert_make(struct cert *, enum cert_kind, const char *name);
/* After a change of x509. */
void cert_sign_anew(struct cert *);
void cert_free(struct cert *);
struct tls_pki cert_pki(const struct cert *);

/* ---- the loop --------------------------------------------------------- */

/* Runs turns until *flag is set: 1, or 0 when `ms` passed before. */
int run_until(struct loop *, const int *flag, int ms);
void run_for(struct loop *, int ms);
/* Milliseconds of the monotonic clock. */
int64_t now_ms(void);

/* ---- ends of streams -------------------------------------------------- */

enum free_in {
	FREE_NOWHERE,
	FREE_IN_READABLE,
	FREE_IN_DRAINED,
	FREE_IN_CONNECTED,
	FREE_IN_TLS,
	FREE_IN_CLOSED
};

struct end {
	struct stream *stream; /* NULL once freed */
	enum free_in free_in;
	int keep_input; /* do not consume */
	uint8_t *got;
	size_t got_len;
	int readable; /* calls of each callback */
	int drained;
	int connected;
	int tls; /* 1 established, -1 failed */
	int tls_ended;
	int closed;
	enum stream_end why;
	size_t want; /* got_all is set when so much has come */
	int got_all;
};

extern const struct stream_ops end_ops;
/* Both ends of a socket pair of that type, as streams. */
void ends_pair(struct stream_set *, int type, struct end *, struct end *);
void end_free(struct end *);

/* ---- the keys process ------------------------------------------------- */

struct keyholder {
	pid_t pid;
	struct channel *channel;
	struct key_client *client;
};

/* Forks a process that holds the keys of certs and answers `peer`. Keys whose
 * name begins with "slow" take delay_ms, without keeping others waiting. */
void keyholder_start(struct keyholder *, struct loop *, enum process_kind peer,
    const struct cert *const *certs, size_t count, int delay_ms);
/* Kills it, as a crash would; the client learns that from its channel. */
void keyholder_stop(struct keyholder *);

#endif
