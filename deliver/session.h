/*
 * One connection to one host: the client core (client.h) joined to a stream,
 * to auth for credentials, and to whoever owns it at the time: a transfer, or
 * the pool while it is idle.
 */
#ifndef DELIVER_SESSION_H
#define DELIVER_SESSION_H

#include "conf/url.h"
#include "deliver/client.h"
#include "deliver/deliver.h"

struct route;
struct session;
struct settings;

/* What the owner is told. No call but closed may be followed by another about
 * the same session once the owner gave it away. */
struct session_events {
	/* A transaction may begin. */
	void (*ready)(void *owner, struct session *);
	/* The transaction has a result for each recipient. */
	void (*results)(void *owner, struct session *);
	/* The body is about to be read from its beginning. */
	void (*body_begin)(void *owner, struct session *);
	/* The next octets of the body: as body_read, or SESSION_BODY_WAIT;
	 * session_body_ready then. */
	ssize_t (*body)(void *owner, char *out, size_t size, int *last);
	/* The session is over; it is freed after the call. */
	void (*closed)(void *owner, struct session *);
};
enum { SESSION_BODY_WAIT = -2 };

struct session_options {
	struct settings *settings; /* held for the life of the session */
	const struct conf_action *action;
	struct route *route;
	const struct mx_candidate *candidate;
	uint16_t port;
	enum url_protocol protocol;
	enum client_tls tls;
	int fallen_back; /* as in client.h */
	const char *label; /* of the credentials, "" for none */
	int explicit_host;
	uint32_t transactions_max;
	uint32_t rcpt_max; /* of a batch; 0: no limit of ours */
	const struct mx_address *source; /* NULL: the kernel's choice */
	uint64_t log_id; /* of who opens it, for the log */
};

/* NULL without memory. ready or closed follows, not from inside the call. */
struct session *session_open(struct deliver *, const struct session_options *,
    const struct session_events *, void *owner);
/* For an idle session that changes hands; events NULL: nobody's. */
void session_set_owner(
    struct session *, const struct session_events *, void *owner);
/* mail is borrowed until results or closed; log_id is of who sends it. */
void session_begin(
    struct session *, const struct client_mail *, uint64_t log_id);
void session_body_ready(struct session *);
void session_body_failed(struct session *, const char *);
/* Says QUIT to an idle session; it goes away by itself. */
void session_quit(struct session *);
/* Breaks off; closed follows, not from inside the call. */
void session_abort(struct session *, const char *);

struct client *session_client(struct session *);
struct route *session_route(struct session *);
struct settings *session_settings(struct session *);
const char *session_host(const struct session *);
const char *session_address(const struct session *);
const struct mx_address *session_peer(const struct session *);
uint16_t session_port(const struct session *);
/* The TLS of the session in words, "" without. */
const char *session_tls(const struct session *);

#endif
