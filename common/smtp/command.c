/*
 * See command.h. One function reads the argument of each verb; the table at
 * the end says which.
 */
#include <string.h>
#include <strings.h>

#include "smtp/command.h"
#include "smtp/decimal.h"
#include "smtp/parameter.h"
#include "smtp/utf8.h"

/* What the session said, for the parsers of arguments. */
struct context {
	unsigned extensions;
	unsigned options; /* enum command_option */
};

typedef void parse_function(const struct context *, struct smtp_command *);

void
command_refuse(
    struct smtp_command *out, enum reply_id error, const char *arg, size_t len)
{
	if (len >= sizeof(out->error_arg))
		len = sizeof(out->error_arg) - 1;
	if (len > 0)
		memcpy(out->error_arg, arg, len);
	out->error_arg[len] = '\0';
	out->error = error;
}

static void
refuse(struct smtp_command *out, enum reply_id error, const char *arg)
{
	command_refuse(out, error, arg, strlen(arg));
}

/* RSET, DATA, QUIT, STARTTLS. */
static void
parse_none(const struct context *ctx, struct smtp_command *out)
{
	if (out->arg_len > 0)
		refuse(out, REPLY_NO_ARGUMENT_WANTED, command_name(out->verb));
}

/* NOOP, HELP: whatever is there. */
static void
parse_any(const struct context *ctx, struct smtp_command *out)
{
}

static int
is_host_octet(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	    (c >= 'a' && c <= 'z') ||
	    (c != '\0' && strchr("-._:[]", c) != NULL);
}

/* Clients call themselves many things; only a missing name and one that is
 * too long for any use are refused. */
static void
parse_helo(const struct context *ctx, struct smtp_command *out)
{
	struct smtp_helo *helo = &out->helo;
	char domain[ADDRESS_DOMAIN_SIZE];

	if (out->arg_len == 0 || out->arg_len >= sizeof(helo->name)) {
		refuse(out, REPLY_SYNTAX_HELO, "");
		return;
	}
	for (size_t i = 0; i < out->arg_len; i++)
		helo->name[i] = is_host_octet(out->arg[i]) ? out->arg[i] : '?';
	helo->name[out->arg_len] = '\0';
	helo->valid = address_parse_domain(out->arg, out->arg_len, 0, domain) ==
	    ADDRESS_OK;
}

/*
 * Finds the path behind `FROM:` or `TO:`, spaces between them permitted as
 * many clients need. Devices and scripts leave its brackets out: such a mailbox
 * ends at a space. Returns its octets, 0 if there is none.
 */
static size_t
find_path(
    const struct smtp_command *out, const char *keyword, const char **path)
{
	const char *end = out->arg + out->arg_len, *space;
	size_t n = strlen(keyword);

	if (out->arg_len < n || strncasecmp(out->arg, keyword, n) != 0)
		return 0;
	while (n < out->arg_len && out->arg[n] == ' ')
		n++;
	*path = out->arg + n;
	n = (size_t)(end - *path);
	if (n == 0 || **path == '<')
		return address_path_length(*path, n);
	space = memchr(*path, ' ', n);
	return space != NULL ? (size_t)(space - *path) : n;
}

/*
 * MAIL and RCPT alike: the path, then parameters, which begin with a space.
 * 0, or -1 when refused.
 */
static int
parse_envelope(const struct context *ctx, struct smtp_command *out,
    const char *keyword, unsigned flags, struct address *address)
{
	int mail = out->verb == VERB_MAIL;
	enum address_error error;
	const char *path, *rest;
	size_t n, rest_len;

	if ((n = find_path(out, keyword, &path)) == 0) {
		refuse(out, mail ? REPLY_SYNTAX_MAIL : REPLY_SYNTAX_RCPT, "");
		return -1;
	}
	flags |= ADDRESS_LONG;
	error = *path == '<' ? address_parse_path(path, n, flags, address)
			     : address_parse(path, n, flags, address);
	if (error == ADDRESS_ERR_NEEDS_UTF8 && !mail &&
	    (ctx->extensions & EXT_SMTPUTF8) != 0)
		refuse(out, REPLY_RCPT_NEEDS_UTF8, "");
	else if (error != ADDRESS_OK)
		refuse(out, mail ? REPLY_SENDER_SYNTAX : REPLY_RCPT_SYNTAX,
		    address_strerror(error));
	if (error != ADDRESS_OK)
		return -1;
	rest = path + n;
	rest_len = out->arg_len - (size_t)(rest - out->arg);
	if (rest_len > 0 && *rest != ' ')
		refuse(out, mail ? REPLY_SYNTAX_MAIL : REPLY_SYNTAX_RCPT, "");
	else
		parameter_parse(rest, rest_len, ctx->extensions,
		    (ctx->options & COMMAND_SMTPUTF8) != 0, out);
	return out->error == REPLY_NONE ? 0 : -1;
}

static unsigned
bare_flag(const struct context *ctx)
{
	return ctx->options & COMMAND_BARE ? ADDRESS_BARE : 0;
}

static void
parse_mail(const struct context *ctx, struct smtp_command *out)
{
	unsigned flags = ADDRESS_NULL | bare_flag(ctx);

	/* whether SMTPUTF8 was said is known only behind the path */
	if ((ctx->extensions & EXT_SMTPUTF8) != 0)
		flags |= ADDRESS_UTF8;
	if (parse_envelope(ctx, out, "FROM:", flags, &out->mail.sender) == -1)
		return;
	if (out->mail.sender.utf8_given && !out->mail.smtputf8)
		refuse(out, REPLY_SENDER_NEEDS_UTF8, "");
}

static void
parse_rcpt(const struct context *ctx, struct smtp_command *out)
{
	unsigned flags = ADDRESS_POSTMASTER | bare_flag(ctx);

	if (ctx->options & COMMAND_SMTPUTF8)
		flags |= ADDRESS_UTF8;
	parse_envelope(ctx, out, "TO:", flags, &out->rcpt.recipient);
}

/* A chunk whose size is not known cannot be told from commands: its sender
 * has to go. */
static void
parse_bdat(const struct context *ctx, struct smtp_command *out)
{
	const char *space = memchr(out->arg, ' ', out->arg_len);
	const char *last, *end = out->arg + out->arg_len;
	size_t n = space != NULL ? (size_t)(space - out->arg) : out->arg_len;

	if (decimal_parse(out->arg, n, INT64_MAX, &out->bdat.size) == -1)
		goto bad;
	if (space == NULL)
		return;
	for (last = space; *last == ' '; last++)
		continue;
	if (end - last != 4 || strncasecmp(last, "LAST", 4) != 0)
		goto bad;
	out->bdat.last = 1;
	return;
bad:
	out->close = 1;
	refuse(out, REPLY_SYNTAX_BDAT, "");
}

static int
is_base64(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!(s[i] >= '0' && s[i] <= '9') &&
		    !((s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'z') &&
		    s[i] != '+' && s[i] != '/' && s[i] != '=')
			return 0;
	return 1;
}

static void
parse_auth(const struct context *ctx, struct smtp_command *out)
{
	struct smtp_auth *auth = &out->auth;
	const char *end = out->arg + out->arg_len, *s = out->arg;
	size_t n = 0;

	for (; s < end && *s != ' '; s++, n++) {
		char c = *s;

		if (c >= 'a' && c <= 'z')
			c = (char)(c - 0x20);
		if ((!(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z') &&
			c != '-' && c != '_') ||
		    n + 1 >= sizeof(auth->mechanism)) {
			refuse(out, REPLY_SYNTAX_AUTH, "");
			return;
		}
		auth->mechanism[n] = c;
	}
	auth->mechanism[n] = '\0';
	while (s < end && *s == ' ')
		s++;
	if (n == 0 || memchr(s, ' ', (size_t)(end - s)) != NULL) {
		refuse(out, REPLY_SYNTAX_AUTH, "");
		return;
	}
	auth->initial = s < end ? s : NULL;
	auth->initial_len = (size_t)(end - s);
	if (!is_base64(s, auth->initial_len))
		refuse(out, REPLY_AUTH_BASE64, "");
	else if (auth->initial_len == 1 && *s == '=')
		auth->initial_len = 0;
}

/* Whether the argument ends with the parameter SMTPUTF8, which has to be
 * offered. */
static int
ends_with_smtputf8(const struct context *ctx, const struct smtp_command *out)
{
	static const char word[] = " SMTPUTF8";
	size_t n = sizeof(word) - 1;

	return (ctx->extensions & EXT_SMTPUTF8) != 0 && out->arg_len > n &&
	    strncasecmp(out->arg + out->arg_len - n, word, n) == 0;
}

/* RFC 6531 section 3.7.4.2 for what is not US-ASCII. */
static void
parse_vrfy(const struct context *ctx, struct smtp_command *out)
{
	if (out->arg_len == 0 || !utf8_is_text(out->arg, out->arg_len))
		refuse(out, REPLY_SYNTAX_VRFY, "");
	else if (!utf8_is_ascii(out->arg, out->arg_len) &&
	    !(ctx->options & COMMAND_SMTPUTF8) && !ends_with_smtputf8(ctx, out))
		refuse(out, REPLY_SENDER_NEEDS_UTF8, "");
}

/* RFC 1985; its `#queue` has no meaning here. */
static void
parse_etrn(const struct context *ctx, struct smtp_command *out)
{
	const char *name = out->arg;
	size_t len = out->arg_len;

	if (len > 0 && *name == '@') {
		out->etrn.subdomains = 1;
		name++;
		len--;
	}
	if (address_parse_domain(name, len, 0, out->etrn.domain) != ADDRESS_OK)
		refuse(out, REPLY_SYNTAX_ETRN, "");
}

static const struct verb {
	const char *name;
	parse_function *parse;
} verbs[VERB_COUNT] = {
	[VERB_UNKNOWN] = { "?", parse_any },
	[VERB_HELO] = { "HELO", parse_helo },
	[VERB_EHLO] = { "EHLO", parse_helo },
	[VERB_LHLO] = { "LHLO", parse_helo },
	[VERB_MAIL] = { "MAIL", parse_mail },
	[VERB_RCPT] = { "RCPT", parse_rcpt },
	[VERB_DATA] = { "DATA", parse_none },
	[VERB_BDAT] = { "BDAT", parse_bdat },
	[VERB_RSET] = { "RSET", parse_none },
	[VERB_NOOP] = { "NOOP", parse_any },
	[VERB_QUIT] = { "QUIT", parse_none },
	[VERB_HELP] = { "HELP", parse_any },
	[VERB_VRFY] = { "VRFY", parse_vrfy },
	[VERB_EXPN] = { "EXPN", parse_vrfy },
	[VERB_ETRN] = { "ETRN", parse_etrn },
	[VERB_AUTH] = { "AUTH", parse_auth },
	[VERB_STARTTLS] = { "STARTTLS", parse_none },
	[VERB_FOREIGN] = { "?", parse_any },
};

const char *
command_name(enum smtp_verb verb)
{
	return verbs[verb].name;
}

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

static int
is_http_method(const char *s, size_t len)
{
	static const char *const methods[] = { "GET", "POST", "PUT", "HEAD",
		"OPTIONS", "CONNECT", "DELETE", "PATCH", "TRACE", "PRI" };

	for (size_t i = 0; i < NITEMS(methods); i++)
		if (strlen(methods[i]) == len &&
		    memcmp(methods[i], s, len) == 0)
			return 1;
	return 0;
}

int
command_is_foreign(const char *data, size_t len)
{
	const char *space = memchr(data, ' ', len);

	/* a TLS record of the handshake */
	if (len >= 2 && data[0] == 0x16 && data[1] == 0x03)
		return 1;
	if (len >= 4 && memcmp(data, "SSH-", 4) == 0)
		return 1;
	return space != NULL && is_http_method(data, (size_t)(space - data));
}

/* A header field, as HTTP has it behind its request, or a message that lost
 * its DATA. */
static int
is_field(const char *word, size_t len)
{
	return len > 1 && word[len - 1] == ':';
}

static enum smtp_verb
find_verb(const char *line, size_t len, size_t word)
{
	if (command_is_foreign(line, len) || is_field(line, word) ||
	    is_http_method(line, word))
		return VERB_FOREIGN;
	for (size_t i = VERB_UNKNOWN + 1; i < VERB_FOREIGN; i++)
		if (strlen(verbs[i].name) == word &&
		    strncasecmp(verbs[i].name, line, word) == 0)
			return (enum smtp_verb)i;
	return VERB_UNKNOWN;
}

static int
has_control(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
			return 1;
	return 0;
}

enum reply_id
command_parse(const char *line, size_t len, unsigned extensions,
    unsigned options, struct smtp_command *out)
{
	const struct context ctx = { extensions, options };
	size_t word = 0;

	memset(out, 0, sizeof(*out));
	while (word < len && line[word] != ' ')
		word++;
	out->verb = find_verb(line, len, word);
	if (out->verb == VERB_FOREIGN) {
		out->close = 1;
		refuse(out, REPLY_FOREIGN_PROTOCOL, "");
	} else if (has_control(line, len)) {
		out->close = out->verb == VERB_BDAT;
		refuse(out, REPLY_CONTROL_CHARACTER, "");
	} else if (out->verb == VERB_UNKNOWN)
		refuse(out, REPLY_UNKNOWN_COMMAND, "");
	if (out->error != REPLY_NONE)
		return out->error;
	while (len > word && line[len - 1] == ' ')
		len--;
	while (word < len && line[word] == ' ')
		word++;
	out->arg = line + word;
	out->arg_len = len - word;
	verbs[out->verb].parse(&ctx, out);
	return out->error;
}

size_t
command_refusal(const struct smtp_command *command, char *out, size_t size)
{
	return reply_format(
	    out, size, command->error, command->error_arg, NULL);
}
