/*
 * Command lines: RFC 5321 section 4.1.1 with the parameters of RFC 1870, 3030,
 * 3461, 4954, 6152 and 6531. Grammar only: whether a command is in order or
 * permitted is for the session to say. Called by the server session; trusts
 * nothing.
 */
#ifndef SMTP_COMMAND_H
#define SMTP_COMMAND_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipc/enums.h"
#include "smtp/address.h"
#include "smtp/extension.h"
#include "smtp/reply.h"
#include "smtp/xtext.h"

enum smtp_verb {
	VERB_UNKNOWN,
	VERB_HELO,
	VERB_EHLO,
	VERB_LHLO,
	VERB_MAIL,
	VERB_RCPT,
	VERB_DATA,
	VERB_BDAT,
	VERB_RSET,
	VERB_NOOP,
	VERB_QUIT,
	VERB_HELP,
	VERB_VRFY,
	VERB_EXPN,
	VERB_ETRN,
	VERB_AUTH,
	VERB_STARTTLS,
	VERB_FOREIGN, /* HTTP and the like, or a header field: close */
	VERB_COUNT
};

enum smtp_body { BODY_UNSAID, BODY_7BIT, BODY_8BITMIME, BODY_BINARYMIME };

/* MAIL. Texts are decoded, terminated, without control characters; "" when
 * the parameter was not given. */
struct smtp_mail {
	struct address sender;
	int has_size;
	uint64_t size; /* octets */
	enum smtp_body body;
	enum smtp_ret ret;
	int smtputf8;
	char envid[XTEXT_ENVID_MAX + 1];
	char auth[XTEXT_AUTH_MAX + 1]; /* "<>" or a mailbox, as given */
};

/* RCPT. */
struct smtp_rcpt {
	struct address recipient;
	unsigned notify; /* enum smtp_notify */
	/* `type;address`, decoded (xtext_encode_orcpt encodes it); "" if none
	 */
	char orcpt[XTEXT_ORCPT_MAX + 1];
};

struct smtp_helo {
	/* what the client calls itself, fit for a header, a log and a helper's
	 * protocol: octets that no host name or literal holds are `?` */
	char name[ADDRESS_DOMAIN_SIZE];
	/* a domain, underscores permitted, or an address literal */
	int valid;
};

struct smtp_bdat {
	uint64_t size; /* octets, at most INT64_MAX */
	int last;
};

struct smtp_auth {
	char mechanism[21]; /* upper case */
	/* the initial response in base64, in the line, not terminated; NULL if
	 * none; empty (`=` on the wire) when initial is not NULL and
	 * initial_len is 0 */
	const char *initial;
	size_t initial_len;
};

struct smtp_etrn {
	char domain[ADDRESS_DOMAIN_SIZE]; /* canonical */
	int subdomains; /* @domain */
};

struct smtp_command {
	enum smtp_verb verb;
	/* REPLY_NONE, or the refusal, its %s being error_arg ("" if none);
	 * then the union has nothing of use */
	enum reply_id error;
	char error_arg[64];
	/* the stream behind this line cannot be trusted to be commands: reply
	 * and close (a BDAT that cannot be read, another protocol) */
	int close;
	/* the line's text behind the verb, in the line, not terminated,
	 * without spaces at both ends; holds no control character */
	const char *arg;
	size_t arg_len;
	union {
		struct smtp_helo helo;
		struct smtp_mail mail;
		struct smtp_rcpt rcpt;
		struct smtp_bdat bdat;
		struct smtp_auth auth;
		struct smtp_etrn etrn;
	};
};

enum command_option {
	/* the transaction has it (for RCPT, VRFY and EXPN) */
	COMMAND_SMTPUTF8 = 1 << 0,
	/* the client is one whose addresses we complete: a local part alone is
	 * taken in MAIL and RCPT (RFC 5321 section 6.4, RFC 6409 section 6.2)
	 */
	COMMAND_BARE = 1 << 1
};

/*
 * Parses a line without its CRLF. *out is about 2 KiB: keep it on the stack.
 * extensions (enum smtp_extension) are those that were offered: a parameter
 * of another one is refused with 555; verbs are known regardless. options are
 * of enum command_option. Returns out->error.
 */
enum reply_id command_parse(const char *line, size_t len, unsigned extensions,
    unsigned options, struct smtp_command *out);

/* Writes the reply to a refused command; as reply_format. */
size_t command_refusal(const struct smtp_command *, char *out, size_t size);

/* The verb's name, "?" for VERB_UNKNOWN and VERB_FOREIGN. */
const char *command_name(enum smtp_verb);

/*
 * 1 when the first octets of a connection are those of another protocol: a
 * TLS ClientHello, HTTP, or SSH. 0 when not, or when too few to say.
 */
int command_is_foreign(const char *data, size_t len);

/*
 * For the client: writes the line of MAIL or RCPT with CRLF, terminated, with
 * those parameters that are set and whose extension is in extensions. Length,
 * or -1 when it does not fit.
 */
ssize_t command_format_mail(
    const struct smtp_mail *, unsigned extensions, char *out, size_t size);
ssize_t command_format_rcpt(
    const struct smtp_rcpt *, unsigned extensions, char *out, size_t size);

#endif
