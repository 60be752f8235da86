/*
 * See wide.h. An expression cannot be asked for all that it matches, so its
 * shape is looked at: groups are spread out, one alternative after the other,
 * until each way through it is a row of octets that are given and of others
 * that are not. Where the shape says nothing the expression counts as wide.
 */
#include "config.h"

#include <netinet/in.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/conf.h"
#include "conf/url.h"
#include "conf/wide.h"

enum {
	/* shorter prefixes than these are no network of anyone's */
	NARROW_INET4 = 8,
	NARROW_INET6 = 17,
	/* of unique local and of link-local addresses */
	NARROW_ULA = 7,
	NARROW_LINK = 10,
	/* no expression that a person reads has more */
	WAYS_MAX = 1000,
	WAY_MAX = 1100,
	ANY = 256 /* an octet, or several, or none, which may be others */
};

/* ---- networks ------------------------------------------------------------ */

static int
narrowest(const struct conf_address *a)
{
	if (a->family == CONF_INET4)
		return NARROW_INET4;
	if ((a->octets[0] & 0xfe) == 0xfc)
		return NARROW_ULA;
	if (a->octets[0] == 0xfe && (a->octets[1] & 0xc0) == 0x80)
		return NARROW_LINK;
	return NARROW_INET6;
}

bool
wide_network(const char *text)
{
	struct conf_address a;
	struct in6_addr six;
	int prefix;

	if (url_address_parse(text, &a, &prefix) == -1)
		return false;
	memcpy(&six, a.octets, sizeof(six));
	/* the rest of IPv6 holds no address of IPv4 */
	if (a.family == CONF_INET6 && prefix >= 96 &&
	    IN6_IS_ADDR_V4MAPPED(&six))
		return prefix - 96 < NARROW_INET4;
	return prefix < narrowest(&a);
}

/* ---- names --------------------------------------------------------------- */

/* RFC 6762 appendix G, RFC 8375, ICANN's reservation of internal */
const char *const wide_private[] = { "corp", "home", "home.arpa", "internal",
	"intranet", "lan", "local", "localdomain", "private", NULL };

static bool
is_among(const char *domain, const char *const *list)
{
	for (; *list != NULL; list++)
		if (strcasecmp(domain, *list) == 0)
			return true;
	return false;
}

/* Whether what lies below a domain is in one hand. */
static bool
is_owned(const char *domain)
{
	/* RFC 6761 */
	static const char *const special[] = { "example", "invalid",
		"localhost", "test", NULL };
	size_t first;

	domain += strspn(domain, ".");
	first = strcspn(domain, ".");
	if (domain[first] == '.' && domain[first + 1] != '\0')
		return true;
	return is_among(domain, special) || is_among(domain, wide_private);
}

/* Whether a name that ends so is owned, whatever stands ahead of it: that may
 * be the rest of a label. */
static bool
end_is_owned(const char *end)
{
	const char *dot = strchr(end, '.');

	/* an address literal is owned from its left */
	return dot != NULL && end[strlen(end) - 1] != ']' && is_owned(dot);
}

bool
wide_domain(const char *domain)
{
	const char *star = strrchr(domain, '*');

	if (star == NULL)
		return domain[strspn(domain, ".")] == '\0';
	return !end_is_owned(star + 1);
}

bool
wide_mailbox(const char *text)
{
	const char *at = strrchr(text, '@');

	return at == NULL || wide_domain(at + 1);
}

/* ---- expressions --------------------------------------------------------- */

/* One way through an expression, without groups. */
struct way {
	int octets[WAY_MAX]; /* in lower case, or ANY */
	size_t len;
	bool begins; /* anchored there */
	bool ends;
};

typedef bool way_is_closed(const struct way *);

/* Octets of a bracket expression. */
static size_t
bracket_length(const char *s)
{
	size_t n = 1;
	const char *end;
	char close[3] = "?]";

	n += s[n] == '^';
	n += s[n] == ']';
	while (s[n] != '\0' && s[n] != ']') {
		if (s[n] == '[' && s[n + 1] != '\0' &&
		    strchr(".:=", s[n + 1]) != NULL) {
			close[0] = s[n + 1];
			end = strstr(s + n + 2, close);
			n = end != NULL ? (size_t)(end - s) + 1 : n;
		}
		n++;
	}
	return s[n] == ']' ? n + 1 : n;
}

/* Octets of what stands for one octet of a key, or of an operator. */
static size_t
atom_length(const char *s)
{
	if (*s == '[')
		return bracket_length(s);
	return *s == '\\' && s[1] != '\0' ? 2 : 1;
}

/* Octets up to the first c outside of groups, or to the end. */
static size_t
find_outside(const char *s, char c)
{
	size_t n = 0, depth = 0;

	while (s[n] != '\0' && (depth > 0 || s[n] != c)) {
		if (s[n] == '(')
			depth++;
		else if (s[n] == ')' && depth > 0)
			depth--;
		n += atom_length(s + n);
	}
	return n;
}

static size_t
quantifier_length(const char *s)
{
	size_t n = 0;

	for (; s[n] != '\0' && strchr("*+?{", s[n]) != NULL; n++)
		while (s[n] == '{' && s[n + 1] != '\0' && s[n + 1] != '}')
			n++;
	return n > 0 && s[n] == '}' ? n + 1 : n;
}

static void
way_add(struct way *w, const char *atom, size_t len)
{
	unsigned char c = (unsigned char)atom[0];
	int octet = tolower(c);

	if (len == 3) /* [.] */
		octet = atom[1] == '^' ? ANY : tolower((unsigned char)atom[1]);
	else if (len == 2 && c == '\\')
		/* of letters, and of these, GNU makes classes and places */
		octet = ispunct((unsigned char)atom[1]) &&
			strchr("<>`'", atom[1]) == NULL
		    ? atom[1]
		    : ANY;
	else if (len > 1 || c == '.' || c == '^' || c == '$')
		octet = ANY;
	w->octets[w->len++] = octet;
}

/* -1 if it is too long to tell. */
static int
way_read(struct way *w, const char *s)
{
	size_t len;

	memset(w, 0, sizeof(*w));
	if (*s == '^') {
		w->begins = true;
		s++;
	}
	for (; *s != '\0'; s += len) {
		if (strcmp(s, "$") == 0) {
			w->ends = true;
			break;
		}
		if ((len = quantifier_length(s)) > 0) {
			w->octets[w->len > 0 ? w->len - 1 : w->len++] = ANY;
			continue;
		}
		if (w->len == WAY_MAX)
			return -1;
		len = atom_length(s);
		way_add(w, s, len);
	}
	return 0;
}

static bool any_way_is_wide(const char *, way_is_closed *, unsigned *left);

static bool
joined_is_wide(const char *head, size_t headlen, const char *part,
    size_t partlen, bool repeated, const char *rest, way_is_closed *closed,
    unsigned *left)
{
	char *joined;
	bool wide;

	if (asprintf(&joined, "%.*s%s%.*s%s", (int)headlen, head,
		repeated ? ".*" : "", (int)partlen, part, rest) == -1)
		return true;
	wide = any_way_is_wide(joined, closed, left);
	free(joined);
	return wide;
}

/* Each alternative of the group that begins at `open` in its place. Of one
 * that is repeated the last turn counts, behind others. */
static bool
spread_is_wide(
    const char *s, size_t open, way_is_closed *closed, unsigned *left)
{
	const char *part = s + open + 1;
	size_t inside = find_outside(part, ')');
	const char *close = part + inside, *rest;
	size_t quantifier, len;
	bool repeated;

	if (*close == '\0')
		return true;
	quantifier = quantifier_length(close + 1);
	rest = close + 1 + quantifier;
	repeated = quantifier > 0 && strncmp(close + 1, "?", quantifier) != 0;
	/* it may be left out */
	if (quantifier > 0 && strncmp(close + 1, "+", quantifier) != 0 &&
	    joined_is_wide(s, open, "", 0, false, rest, closed, left))
		return true;
	for (;; part += len + 1) {
		len = find_outside(part, '|');
		if (len > (size_t)(close - part))
			len = (size_t)(close - part);
		if (joined_is_wide(
			s, open, part, len, repeated, rest, closed, left))
			return true;
		if (part + len == close)
			return false;
	}
}

static bool
any_way_is_wide(const char *s, way_is_closed *closed, unsigned *left)
{
	size_t bar = find_outside(s, '|'), open;
	struct way w;

	if ((*left)-- == 0) {
		*left = 0;
		return true;
	}
	if (s[bar] == '|')
		return joined_is_wide(s, bar, "", 0, false, "", closed, left) ||
		    any_way_is_wide(s + bar + 1, closed, left);
	open = find_outside(s, '(');
	if (s[open] == '(')
		return spread_is_wide(s, open, closed, left);
	return way_read(&w, s) == -1 || !closed(&w);
}

static bool
expression_is_wide(const char *s, way_is_closed *closed)
{
	unsigned left = WAYS_MAX;

	/* as auth reads it */
	if (strncmp(s, "(?i)", 4) == 0)
		s += 4;
	return any_way_is_wide(s, closed, &left);
}

static bool
way_names_domain(const struct way *w)
{
	char end[WAY_MAX + 1];
	size_t from = w->len, len = 0;
	const char *at;

	while (from > 0 && w->octets[from - 1] != ANY)
		from--;
	for (size_t i = from; i < w->len; i++)
		end[len++] = (char)w->octets[i];
	end[len] = '\0';
	if (!w->ends)
		return false;
	if ((at = strrchr(end, '@')) != NULL)
		return !wide_domain(at + 1);
	return from == 0 && w->begins ? len > 0 : end_is_owned(end);
}

static bool
way_names_client(const struct way *w)
{
	char begin[WAY_MAX + 1];
	size_t len, digits, more;

	for (len = 0; len < w->len && w->octets[len] != ANY; len++)
		begin[len] = (char)w->octets[len];
	begin[len] = '\0';
	if (!w->begins)
		return false;
	if (len == w->len && w->ends)
		return len > 0;
	digits = strspn(begin, "0123456789abcdef");
	if (digits == 0 || begin[digits] != ':')
		return digits > 0 && begin[digits] == '.';
	/* unique local and link-local ones */
	if (digits == 4 && begin[0] == 'f' &&
	    (strchr("cd", begin[1]) != NULL ||
		(begin[1] == 'e' && strchr("89ab", begin[2]) != NULL)))
		return true;
	/* the first number of others is nobody's alone */
	more = strspn(begin + digits + 1, "0123456789abcdef");
	return more > 0 && begin[digits + 1 + more] == ':';
}

bool
wide_name_expression(const char *expression)
{
	return expression_is_wide(expression, way_names_domain);
}

bool
wide_client_expression(const char *expression)
{
	return expression_is_wide(expression, way_names_client);
}
