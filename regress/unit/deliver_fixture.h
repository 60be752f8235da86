/*
 * A deliver worker under test, and all that stands around it: master, queue,
 * resolver and auth, played by the test, and a server on loopback.
 */
#ifndef REGRESS_DELIVER_FIXTURE_H
#define REGRESS_DELIVER_FIXTURE_H

#include <stdint.h>

#include "net_fixture.h"
#include "worker_fixture.h"

enum {
	HARNESS_FILES = 24,
	CONNECTIONS = 8,
	RESULTS = 4,
	LINE = 4096,
	MAIL_MAX = 1 << 20
};

/* How the server differs from a good one. */
enum manner {
	PLAIN = 0,
	TLS = 1 << 0, /* offers STARTTLS */
	BROKEN_TLS = 1 << 1, /* offers it and answers the handshake with mud */
	REFUSE_RCPT = 1 << 2, /* by `refusal` */
	BUSY = 1 << 3, /* greets with 421 */
	DROP_SECOND = 1 << 4, /* ends at the second MAIL of a session */
	REFUSE_MAIL = 1 << 5, /* by `refusal` */
	DROP_DATA = 1 << 6, /* ends at DATA */
	DROP_END = 1 << 7 /* ends behind the body */
};

struct harness;

struct connection {
	struct harness *h;
	struct stream *stream;
	int in_data, mails;
};

struct harness {
	struct stage stage;
	struct stream_set *streams;
	int asked_body, routes;

	int listener;
	uint16_t port;
	struct event *accept;
	enum manner manner;
	const char *refusal; /* "550 5.1.1 nobody here" unless told */
	SSL_CTX *tls;
	struct cert cert; /* of live.test; the worker trusts it */
	struct connection connections[CONNECTIONS];
	unsigned connected; /* in all */
	int tls_sessions;
	char *mail; /* the bodies received, as they came */
	size_t mail_len;
	unsigned ends; /* of data, seen */
	char envelope[LINE]; /* MAIL and RCPT lines */

	/* the queue's answers */
	uint8_t route;
	uint8_t status[RESULTS];
	char enhanced[RESULTS][12];
	char text[RESULTS][1025];
	unsigned results;
	char remote[256]; /* of the last result */
	char tls_text[129];
	uint8_t callahead_status;
	uint16_t callahead_code;

	const char *delivered_to; /* that the queue names; NULL: "" */
	const char *body; /* sent inside body_data */
	size_t body_len;
	uint32_t body_crc; /* of a file, as it was stored */
	int body_fd; /* or as a file */
	const char *zone; /* what the resolver knows */
	uint64_t asked_table; /* auth's last question: its id */
};

/* Starts a worker, configured and serving, with the relay actions mx, host,
 * tls and verify, and with asked and sure, whose hosts auth knows and of which
 * sure demands TLS; and tells it to stop, which it must do in order. For
 * cmocka. */
int harness_start(void **state);
/* The same with no more than HARNESS_FILES descriptors. */
int harness_start_small(void **state);
int harness_stop(void **state);

#endif
