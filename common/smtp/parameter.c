/*
 * See parameter.h. A parameter is known when its extension was offered; each
 * may stand once.
 */
#include <string.h>
#include <strings.h>

#include "smtp/decimal.h"
#include "smtp/parameter.h"
#include "smtp/utf8.h"

/* A parameter as it stands in the line. */
struct parameter {
	const char *keyword, *value; /* value is NULL without `=` */
	size_t keyword_len, value_len;
	unsigned extensions;
	int smtputf8;
};

struct word {
	const char *name;
	int value;
};

/* The value of a word of a table that ends with NULL, -1 if it has none. */
static int
find_word(const struct word *table, const char *s, size_t len)
{
	for (; table->name != NULL; table++)
		if (strlen(table->name) == len &&
		    strncasecmp(table->name, s, len) == 0)
			return table->value;
	return -1;
}

static int
parse_size(const struct parameter *p, struct smtp_command *out)
{
	out->mail.has_size = 1;
	return decimal_parse(
	    p->value, p->value_len, UINT64_MAX, &out->mail.size);
}

static int
parse_body(const struct parameter *p, struct smtp_command *out)
{
	static const struct word words[] = { { "7BIT", BODY_7BIT },
		{ "8BITMIME", BODY_8BITMIME },
		{ "BINARYMIME", BODY_BINARYMIME }, { NULL, 0 } };
	int body = find_word(words, p->value, p->value_len);

	if (body == -1 ||
	    (body == BODY_BINARYMIME && (p->extensions & EXT_BINARYMIME) == 0))
		return -1;
	out->mail.body = (enum smtp_body)body;
	return 0;
}

static int
parse_smtputf8(const struct parameter *p, struct smtp_command *out)
{
	out->mail.smtputf8 = 1;
	return p->value == NULL ? 0 : -1;
}

static int
parse_auth(const struct parameter *p, struct smtp_command *out)
{
	if (p->value_len > XTEXT_AUTH_MAX)
		return -1;
	return xtext_decode(p->value, p->value_len, out->mail.auth,
		   sizeof(out->mail.auth)) > 0
	    ? 0
	    : -1;
}

static int
parse_ret(const struct parameter *p, struct smtp_command *out)
{
	static const struct word words[] = { { "FULL", RET_FULL },
		{ "HDRS", RET_HDRS }, { NULL, 0 } };
	int ret = find_word(words, p->value, p->value_len);

	if (ret == -1)
		return -1;
	out->mail.ret = (enum smtp_ret)ret;
	return 0;
}

static int
parse_envid(const struct parameter *p, struct smtp_command *out)
{
	if (p->value_len > XTEXT_ENVID_MAX)
		return -1;
	return xtext_decode(p->value, p->value_len, out->mail.envid,
		   sizeof(out->mail.envid)) > 0
	    ? 0
	    : -1;
}

static int
parse_notify(const struct parameter *p, struct smtp_command *out)
{
	static const struct word words[] = { { "NEVER", NOTIFY_NEVER },
		{ "SUCCESS", NOTIFY_SUCCESS }, { "FAILURE", NOTIFY_FAILURE },
		{ "DELAY", NOTIFY_DELAY }, { NULL, 0 } };
	const char *s = p->value, *end = p->value + p->value_len, *comma;
	unsigned notify = 0;
	int bit;

	for (;; s = comma + 1) {
		comma = memchr(s, ',', (size_t)(end - s));
		bit = find_word(
		    words, s, (size_t)((comma != NULL ? comma : end) - s));
		if (bit == -1)
			return -1;
		notify |= (unsigned)bit;
		if (comma == NULL)
			break;
	}
	if ((notify & NOTIFY_NEVER) != 0 && notify != NOTIFY_NEVER)
		return -1;
	out->rcpt.notify = notify;
	return 0;
}

static int
parse_orcpt(const struct parameter *p, struct smtp_command *out)
{
	if (p->value_len > XTEXT_ORCPT_MAX)
		return -1;
	return xtext_decode_orcpt(p->value, p->value_len, p->smtputf8,
		   out->rcpt.orcpt, sizeof(out->rcpt.orcpt)) > 0
	    ? 0
	    : -1;
}

static const struct kind {
	enum smtp_verb verb;
	const char *keyword;
	unsigned extension;
	int has_value;
	int (*parse)(const struct parameter *, struct smtp_command *);
} kinds[] = {
	{ VERB_MAIL, "SIZE", EXT_SIZE, 1, parse_size },
	{ VERB_MAIL, "BODY", EXT_8BITMIME, 1, parse_body },
	{ VERB_MAIL, "SMTPUTF8", EXT_SMTPUTF8, 0, parse_smtputf8 },
	{ VERB_MAIL, "AUTH", EXT_AUTH, 1, parse_auth },
	{ VERB_MAIL, "RET", EXT_DSN, 1, parse_ret },
	{ VERB_MAIL, "ENVID", EXT_DSN, 1, parse_envid },
	{ VERB_RCPT, "NOTIFY", EXT_DSN, 1, parse_notify },
	{ VERB_RCPT, "ORCPT", EXT_DSN, 1, parse_orcpt },
};

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

/*
 * esmtp-param of RFC 5321 4.1.2: a keyword of letters, digits and hyphens,
 * and a value without `=`; UTF-8 in it by RFC 6531.
 */
static int
split(const char *s, size_t len, struct parameter *p)
{
	const char *equal = memchr(s, '=', len);
	char c;

	p->keyword = s;
	p->keyword_len = equal != NULL ? (size_t)(equal - s) : len;
	p->value = NULL;
	p->value_len = 0;
	if (p->keyword_len == 0 || s[0] == '-')
		return -1;
	for (size_t i = 0; i < p->keyword_len; i++) {
		c = s[i];
		if (!(c >= '0' && c <= '9') && c != '-' &&
		    !((c | 0x20) >= 'a' && (c | 0x20) <= 'z'))
			return -1;
	}
	if (equal == NULL)
		return 0;
	p->value = equal + 1;
	p->value_len = len - p->keyword_len - 1;
	if (p->value_len == 0 || memchr(p->value, '=', p->value_len) != NULL)
		return -1;
	return utf8_is_text(p->value, p->value_len) ? 0 : -1;
}

static void
apply(const struct parameter *p, unsigned *seen, struct smtp_command *out)
{
	enum reply_id error = REPLY_PARAMETER_UNKNOWN;

	for (size_t i = 0; i < NITEMS(kinds); i++) {
		const struct kind *k = &kinds[i];

		if (k->verb != out->verb ||
		    (p->extensions & k->extension) == 0 ||
		    strlen(k->keyword) != p->keyword_len ||
		    strncasecmp(k->keyword, p->keyword, p->keyword_len) != 0)
			continue;
		if ((*seen & 1u << i) != 0)
			error = REPLY_PARAMETER_TWICE;
		else if (k->has_value != (p->value != NULL) ||
		    k->parse(p, out) == -1)
			error = REPLY_PARAMETER_VALUE;
		else {
			*seen |= 1u << i;
			return;
		}
		break;
	}
	command_refuse(out, error, p->keyword, p->keyword_len);
}

void
parameter_parse(const char *text, size_t len, unsigned extensions, int smtputf8,
    struct smtp_command *out)
{
	struct parameter p = { .extensions = extensions, .smtputf8 = smtputf8 };
	unsigned seen = 0;
	const char *space;
	size_t n;

	while (len > 0 && out->error == REPLY_NONE) {
		if (*text == ' ') {
			text++;
			len--;
			continue;
		}
		space = memchr(text, ' ', len);
		n = space != NULL ? (size_t)(space - text) : len;
		if (split(text, n, &p) == -1)
			command_refuse(out, REPLY_PARAMETER_SYNTAX, NULL, 0);
		else
			apply(&p, &seen, out);
		text += n;
		len -= n;
	}
}
