/*
 * Delivery status notifications: RFC 3461 (who is told), 3464 and 6522 (the
 * report), 6533 (addresses in UTF-8). The builder is pure: what it reports is
 * given, the original is read through one function and the report written
 * through another, so an original of any size streams.
 *
 * Texts of remote servers and addresses are hostile: they never make a line
 * of their own.
 */
#ifndef MAIL_DSN_H
#define MAIL_DSN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipc/enums.h"
#include "mail/trace.h"

/* What happened to a recipient: the Action field. */
enum dsn_action {
	DSN_FAILED,
	DSN_DELAYED,
	DSN_DELIVERED,
	DSN_RELAYED, /* to a server that does not speak DSN */
	DSN_EXPANDED, /* to several, who are not told of */
	DSN_ACTIONS
};

/* Recipients of one report share its kind. */
enum dsn_kind { DSN_KIND_FAILURE, DSN_KIND_DELAY, DSN_KIND_SUCCESS, DSN_KINDS };

enum dsn_kind dsn_kind(enum dsn_action);
/* 1 if this event of a recipient with this NOTIFY (enum smtp_notify) is to be
 * reported. Never to the null sender. */
int dsn_wanted(enum dsn_action, unsigned notify, const char *sender);

/* "" or NULL is "not known", and leaves the field out where it may. */
struct dsn_rcpt {
	const char *address; /* Final-Recipient */
	const char *orcpt; /* "rfc822;a@b", xtext decoded */
	enum dsn_action action;
	const char *status; /* "5.1.1"; by the action when not known */
	uint16_t code; /* SMTP reply, 0 when there was none */
	const char *enhanced; /* of that reply, which text does not repeat */
	const char *text; /* its text, or our own explanation */
	const char *remote_name;
	const char *remote_addr;
	int64_t last_attempt; /* seconds, 0 not known */
	int64_t retry_until;
};

struct dsn_report {
	enum dsn_kind kind;
	const char *host; /* Reporting-MTA, and the From address */
	const char *sender; /* who is told; never "" */
	const char *envid; /* xtext decoded */
	const char *id; /* our id of the original */
	const char *unique; /* of the report's Message-ID */
	const uint8_t *random; /* 16 octets for the boundary */
	struct trace_time now;
	int64_t arrival; /* seconds */
	enum smtp_ret ret;
	uint64_t size; /* of the original */
	uint64_t full_max; /* a larger one goes back as header */
	uint64_t header_max; /* of the returned header section */
	unsigned utf8 : 1; /* the sender takes SMTPUTF8 */
	unsigned eight_bit : 1; /* the original has octets over 127 */
	const struct dsn_rcpt *rcpts;
	size_t nrcpts;
};

struct dsn_io {
	/* Fills buf with the original's next octets: their number, 0 at its
	 * end, -1 on failure. */
	ssize_t (*read)(void *arg, void *buf, size_t size);
	/* Takes octets of the report; -1 on failure. */
	int (*write)(void *arg, const void *buf, size_t len);
	void *arg;
};

/* Writes the whole report, header first, no trace field: 0, or -1 when a
 * function of io failed. */
int dsn_build(const struct dsn_report *, const struct dsn_io *);

#endif
