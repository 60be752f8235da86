/*
 * Mailboxes and paths: RFC 5321 section 4.1.2 with the characters of RFC 6531.
 * Owns the one canonical form in which an address travels between processes,
 * is stored, compared and looked up. Called by every process; trusts nothing.
 * No function here allocates for its caller or keeps state.
 *
 * The canonical form is `local@domain`, "" for the null sender, and `local`
 * alone for a Postmaster without domain until address_qualify gave it one.
 *   local    octets as given, letter case kept, quoted only if it is no
 *            dot-string; then only `"` and `\` are escaped
 *   domain   lower case, U-labels as A-labels (IDNA2008, non-transitional),
 *            without a dot at the end; or an address literal as inet_ntop
 *            writes it: [192.0.2.1], [IPv6:2001:db8::1]
 * A dot may stand anywhere in a local part that is parsed; one that is no
 * dot-string for that is quoted from then on.
 * It holds no control character, no malformed UTF-8 and no `<` or `>` outside
 * a quoted local part. Shell and lookup characters may stand in a local part:
 * whoever hands it to a program or a query must treat it as a literal.
 */
#ifndef SMTP_ADDRESS_H
#define SMTP_ADDRESS_H

#include <stddef.h>

/* Sizes in octets, those of arrays with the terminating NUL. */
enum {
	ADDRESS_LOCAL_RFC = 64, /* RFC 5321 4.5.3.1.1, before quoting */
	ADDRESS_LOCAL_LONG = 255, /* with ADDRESS_LONG, before quoting */
	ADDRESS_DOMAIN_MAX = 255,
	ADDRESS_PATH_RFC = 256,
	ADDRESS_LOCAL_SIZE = 2 * ADDRESS_LOCAL_LONG + 2 + 1,
	ADDRESS_DOMAIN_SIZE = ADDRESS_DOMAIN_MAX + 1,
	/* room for any canonical address; 1024 in messages.tbl */
	ADDRESS_SIZE = 1025
};

enum address_flag {
	/* U-labels and UTF-8 local parts are taken */
	ADDRESS_UTF8 = 1 << 0,
	/* <> is taken (the reverse-path of MAIL) */
	ADDRESS_NULL = 1 << 1,
	/* Postmaster without domain is taken (the forward-path of RCPT) */
	ADDRESS_POSTMASTER = 1 << 2,
	/* any local part without domain is taken (sendmail, aliases) */
	ADDRESS_BARE = 1 << 3,
	/* local part up to 255 octets and path up to 1024: bounce addresses of
	 * mailing lists and SRS are often over the 64 that the RFC warrants */
	ADDRESS_LONG = 1 << 4,
	/* what takes every canonical address */
	ADDRESS_CANONICAL =
	    ADDRESS_UTF8 | ADDRESS_NULL | ADDRESS_BARE | ADDRESS_LONG
};

enum address_kind {
	ADDRESS_IS_NULL, /* <> */
	ADDRESS_IS_BARE, /* local part alone */
	ADDRESS_IS_DOMAIN, /* local@domain */
	ADDRESS_IS_LITERAL /* local@[address] */
};

struct address {
	enum address_kind kind;
	/* the local part holds UTF-8: its next hop must offer SMTPUTF8 */
	int utf8;
	/* the text given held UTF-8, in the local part or the domain: the
	 * client must have said SMTPUTF8 */
	int utf8_given;
	char local[ADDRESS_LOCAL_SIZE]; /* canonical */
	char domain[ADDRESS_DOMAIN_SIZE]; /* canonical, "" if there is none */
};

/* What is wrong with an address; address_strerror has a clause for each, in
 * plain words that may stand in a reply. */
enum address_error {
	ADDRESS_OK,
	ADDRESS_ERR_BRACKETS, /* not enclosed in < and > */
	ADDRESS_ERR_NULL, /* <> where a mailbox is wanted */
	ADDRESS_ERR_ROUTE, /* malformed source route */
	ADDRESS_ERR_LOCAL, /* malformed local part */
	ADDRESS_ERR_LOCAL_LONG,
	ADDRESS_ERR_NO_DOMAIN, /* no @domain */
	ADDRESS_ERR_DOMAIN, /* malformed domain */
	ADDRESS_ERR_DOMAIN_LONG,
	ADDRESS_ERR_DOT, /* dot at the end of the domain */
	ADDRESS_ERR_LITERAL, /* malformed or unknown address literal */
	ADDRESS_ERR_PATH_LONG,
	ADDRESS_ERR_CONTROL, /* control or hiding character */
	ADDRESS_ERR_UTF8, /* octets that are not UTF-8 */
	ADDRESS_ERR_NEEDS_UTF8, /* UTF-8 without ADDRESS_UTF8 */
	ADDRESS_ERR_IDNA /* no valid internationalized domain name */
};

const char *address_strerror(enum address_error);

/*
 * Octets of the path that begins text: from `<` to its `>`, quoted strings
 * skipped. 0 when text does not begin with `<` or the path has no end.
 */
size_t address_path_length(const char *text, size_t len);

/*
 * Parses a path with its angle brackets: <local@domain>, with a source route
 * ahead (<@a,@b:local@domain>) ignored, <> and <Postmaster> by flags. All of
 * text must be the path. *out is filled only on ADDRESS_OK.
 */
enum address_error address_parse_path(
    const char *text, size_t len, unsigned flags, struct address *out);

/* The same for a mailbox without brackets: local@domain. "" is the null
 * sender with ADDRESS_NULL. With ADDRESS_CANONICAL it takes each canonical
 * address, and address_format gives back the same string. */
enum address_error address_parse(
    const char *text, size_t len, unsigned flags, struct address *out);

/*
 * Writes a domain or an address literal in canonical form. flags: only
 * ADDRESS_UTF8 matters. For ETRN, EHLO names, configuration and routes.
 */
enum address_error address_parse_domain(const char *text, size_t len,
    unsigned flags, char out[ADDRESS_DOMAIN_SIZE]);

/* Gives a bare address its domain, which must be canonical and shorter than
 * ADDRESS_DOMAIN_SIZE; others stay as they are. */
void address_qualify(struct address *, const char *domain);

/* Writes the canonical form; returns out, which holds ADDRESS_SIZE octets. */
char *address_format(const struct address *, char out[ADDRESS_SIZE]);

/*
 * The following take canonical strings, as they stand in messages and the
 * queue.
 */

/* The domain, a pointer into the string; "" when it has none. */
const char *address_domain(const char *canonical);

/* Copies both parts, the local part still quoted. 0, or -1 when one does not
 * fit; then both are "". */
int address_split(const char *canonical, char *local, size_t local_size,
    char *domain, size_t domain_size);

/*
 * Writes the local part without quotes and escapes, as a user name or a key
 * of an alias table. 0, or -1 when it does not fit (out is "" then).
 */
int address_user(const char *canonical, char *out, size_t size);

/* 1 when a host may read the local part as the way to another domain: it holds
 * `%` or `!`, or an `@` in quotes. */
int address_is_routed(const char *canonical);

/* 1 when both name one mailbox: local parts octet by octet (RFC 5321 2.4),
 * domains without letter case. */
int address_equal(const char *a, const char *b);

/* Less than, equal to or greater than 0; 0 for those that are equal. */
int address_order(const char *a, const char *b);

/* 1 when the local part holds UTF-8, so that a next hop needs SMTPUTF8. */
int address_needs_utf8(const char *canonical);

#endif
