/*
 * Builders of the fields that a mail system adds on the way: Received (RFC
 * 5321 section 4.4), Return-Path, Delivered-To, Date and Message-ID (RFC
 * 5322). Every value may come from a stranger: CR, LF, NUL and other controls
 * never pass, comments are escaped, octets that are not UTF-8 become `?`, and
 * a line is folded before column 78 where it can be.
 *
 * All builders write to out (size octets, terminated) one field, CRLF at its
 * end, and return its length; 0 when it did not fit, then out is "". Time is
 * an argument: seconds since 1970 and the offset from UTC in minutes.
 */
#ifndef MAIL_TRACE_H
#define MAIL_TRACE_H

#include <stddef.h>
#include <stdint.h>

/* Always enough for any field of this file, since long values are cut. */
#define TRACE_FIELD_MAX 6144
/* "Tue, 24 Nov 2026 16:04:05 +0100" and its terminator. */
#define TRACE_DATE_MAX 40

struct trace_time {
	int64_t seconds;
	int32_t offset; /* minutes east of UTC */
};

/* How the message came: the `with` keyword of RFC 3848 and RFC 6531. */
enum trace_flag {
	TRACE_EXTENDED = 1 << 0, /* EHLO */
	TRACE_TLS_USED = 1 << 1,
	TRACE_AUTHENTICATED = 1 << 2,
	TRACE_UTF8 = 1 << 3, /* MAIL had SMTPUTF8 */
	TRACE_LMTP = 1 << 4, /* LHLO */
	TRACE_LOCAL = 1 << 5 /* handed in on this machine */
};

/* "ESMTPSA"; "local" where no protocol was spoken. */
const char *trace_with(unsigned flags);

/* A NULL or empty member is left out; `by` must be there. */
struct trace_received {
	const char *helo; /* as the client gave it */
	const char *client_name; /* the verified name of its address */
	const char *client_addr; /* "192.0.2.1", "2001:db8::1" */
	const char *auth_user; /* only where it is to be shown */
	const char *local_user; /* TRACE_LOCAL: who handed it in */
	const char *by;
	const char *tls; /* "TLSv1.3:TLS_AES_256_GCM_SHA384:256" */
	const char *id;
	const char *recipient; /* where there is only one */
	unsigned flags; /* enum trace_flag */
	struct trace_time when;
};
size_t trace_received(char *out, size_t size, const struct trace_received *);

/* "" is the null sender: <>. */
size_t trace_return_path(char *out, size_t size, const char *sender);
size_t trace_delivered_to(char *out, size_t size, const char *address);
size_t trace_date(char *out, size_t size, const struct trace_time *);
/* unique is made of letters, digits, `.` and `-`; others are left out. */
size_t trace_message_id(
    char *out, size_t size, const char *unique, const char *host);

/* The date alone, as RFC 5322 writes it; out has TRACE_DATE_MAX octets. */
const char *trace_date_text(char *out, const struct trace_time *);

#endif
