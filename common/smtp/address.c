/*
 * See address.h. Text is first checked for characters that no address may
 * hold, so that the grammar behind it only looks at structure.
 */
#include <string.h>
#include <strings.h>

#include "smtp/address.h"
#include "smtp/utf8.h"

const char *
address_strerror(enum address_error error)
{
	static const char *const texts[] = { [ADDRESS_OK] = "valid",
		[ADDRESS_ERR_BRACKETS] = "enclose it in < and >",
		[ADDRESS_ERR_NULL] = "empty",
		[ADDRESS_ERR_ROUTE] = "malformed source route",
		[ADDRESS_ERR_LOCAL] = "malformed local part",
		[ADDRESS_ERR_LOCAL_LONG] = "local part too long",
		[ADDRESS_ERR_NO_DOMAIN] = "no domain",
		[ADDRESS_ERR_DOMAIN] = "malformed domain",
		[ADDRESS_ERR_DOMAIN_LONG] = "domain too long",
		[ADDRESS_ERR_DOT] = "dot at the end of the domain",
		[ADDRESS_ERR_LITERAL] = "malformed address literal",
		[ADDRESS_ERR_PATH_LONG] = "too long",
		[ADDRESS_ERR_CONTROL] = "control or hiding character",
		[ADDRESS_ERR_UTF8] = "octets that are not UTF-8",
		[ADDRESS_ERR_NEEDS_UTF8] = "characters outside US-ASCII",
		[ADDRESS_ERR_IDNA] = "no valid internationalized domain" };

	return texts[error];
}

static enum address_error
check_characters(const char *text, size_t len, unsigned flags, int *utf8)
{
	uint32_t c;
	size_t n;

	for (; len > 0; text += n, len -= n) {
		if ((n = utf8_decode(text, len, &c)) == 0)
			return flags & ADDRESS_UTF8 ? ADDRESS_ERR_UTF8
						    : ADDRESS_ERR_NEEDS_UTF8;
		if (!utf8_is_safe(c))
			return ADDRESS_ERR_CONTROL;
		if (c >= 0x80) {
			if ((flags & ADDRESS_UTF8) == 0)
				return ADDRESS_ERR_NEEDS_UTF8;
			*utf8 = 1;
		}
	}
	return ADDRESS_OK;
}

/* atext, with the UTF-8 of RFC 6531 that check_characters let through. */
static int
is_atext(char c)
{
	if ((unsigned char)c >= 0x80 || (c >= '0' && c <= '9') ||
	    (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
		return 1;
	return c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL;
}

static int
is_dot_string(const char *s, size_t len)
{
	if (len == 0 || s[0] == '.' || s[len - 1] == '.')
		return 0;
	for (size_t i = 0; i < len; i++)
		if (!is_atext(s[i]) && (s[i] != '.' || s[i - 1] == '.'))
			return 0;
	return 1;
}

/* A local part without its quotes and escapes. */
struct plain_local {
	char text[ADDRESS_LOCAL_LONG];
	size_t len;
};

/* Appends c; one octet too many makes len exceed the array, which the caller
 * looks for. */
static void
append(struct plain_local *plain, char c)
{
	if (plain->len < sizeof(plain->text))
		plain->text[plain->len] = c;
	plain->len++;
}

/* Reads the quoted string at text; returns its octets, 0 if malformed. */
static size_t
read_quoted(const char *text, size_t len, struct plain_local *plain)
{
	size_t i;

	for (i = 1; i < len && text[i] != '"'; i++) {
		if (text[i] == '\\' &&
		    (++i == len || (unsigned char)text[i] >= 0x80))
			return 0;
		append(plain, text[i]);
	}
	return i < len ? i + 1 : 0;
}

/* Reads the local part at text; *taken are its octets. */
static enum address_error
read_local(const char *text, size_t len, unsigned flags, size_t *taken,
    struct plain_local *plain)
{
	size_t n = 0, max;

	plain->len = 0;
	if (text[0] == '"') {
		if ((n = read_quoted(text, len, plain)) == 0)
			return ADDRESS_ERR_LOCAL;
	} else {
		/* dots where none may stand without quotes are in addresses
		 * that providers have given out */
		while (n < len && (is_atext(text[n]) || text[n] == '.'))
			append(plain, text[n++]);
	}
	max = flags & ADDRESS_LONG ? ADDRESS_LOCAL_LONG : ADDRESS_LOCAL_RFC;
	if (plain->len > max)
		return ADDRESS_ERR_LOCAL_LONG;
	if (plain->len == 0 || (n < len && text[n] != '@'))
		return ADDRESS_ERR_LOCAL;
	*taken = n;
	return ADDRESS_OK;
}

static void
write_local(const struct plain_local *plain, char out[ADDRESS_LOCAL_SIZE])
{
	int quoted = !is_dot_string(plain->text, plain->len);
	size_t n = 0;

	if (quoted)
		out[n++] = '"';
	for (size_t i = 0; i < plain->len; i++) {
		if (plain->text[i] == '"' || plain->text[i] == '\\')
			out[n++] = '\\';
		out[n++] = plain->text[i];
	}
	if (quoted)
		out[n++] = '"';
	out[n] = '\0';
}

static enum address_error
check_bare(const struct plain_local *plain, unsigned flags)
{
	static const char postmaster[] = "postmaster";

	if (flags & ADDRESS_BARE)
		return ADDRESS_OK;
	if ((flags & ADDRESS_POSTMASTER) &&
	    plain->len == sizeof(postmaster) - 1 &&
	    strncasecmp(plain->text, postmaster, plain->len) == 0)
		return ADDRESS_OK;
	return ADDRESS_ERR_NO_DOMAIN;
}

enum address_error
address_parse(const char *text, size_t len, unsigned flags, struct address *out)
{
	struct plain_local plain;
	enum address_error error;
	struct address a = { 0 };
	size_t n = 0;

	if (len == 0) {
		if ((flags & ADDRESS_NULL) == 0)
			return ADDRESS_ERR_NULL;
		*out = a;
		return ADDRESS_OK;
	}
	if (len + 2 >
	    (flags & ADDRESS_LONG ? ADDRESS_SIZE - 1 : ADDRESS_PATH_RFC))
		return ADDRESS_ERR_PATH_LONG;
	error = check_characters(text, len, flags, &a.utf8_given);
	if (error == ADDRESS_OK)
		error = read_local(text, len, flags, &n, &plain);
	if (error != ADDRESS_OK)
		return error;
	if (n == len) {
		a.kind = ADDRESS_IS_BARE;
		error = check_bare(&plain, flags);
	} else {
		a.kind = n + 1 < len && text[n + 1] == '[' ? ADDRESS_IS_LITERAL
							   : ADDRESS_IS_DOMAIN;
		error = address_parse_domain(
		    text + n + 1, len - n - 1, flags, a.domain);
	}
	if (error != ADDRESS_OK)
		return error;
	write_local(&plain, a.local);
	a.utf8 = !utf8_is_ascii(plain.text, plain.len);
	*out = a;
	return ADDRESS_OK;
}

/* Octets of the source route that begins text, its colon included; 0 if it
 * is malformed. RFC 5321 wants it accepted and ignored (appendix C). */
static size_t
route_length(const char *text, size_t len, unsigned flags)
{
	char domain[ADDRESS_DOMAIN_SIZE];
	size_t at = 0, n;

	for (;;) {
		if (at >= len || text[at] != '@')
			return 0;
		at++;
		/* a colon or comma ends a domain, but not within a literal */
		for (n = 0; at + n < len && text[at + n] != ','; n++) {
			if (text[at + n] == ':' && text[at] != '[')
				break;
			if (text[at + n] == ']') {
				n++;
				break;
			}
		}
		if (address_parse_domain(text + at, n, flags, domain) !=
		    ADDRESS_OK)
			return 0;
		at += n;
		if (at < len && text[at] == ':')
			return at + 1;
		if (at >= len || text[at++] != ',')
			return 0;
	}
}

size_t
address_path_length(const char *text, size_t len)
{
	int quoted = 0;

	if (len == 0 || text[0] != '<')
		return 0;
	for (size_t i = 1; i < len; i++) {
		if (quoted && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
		else if (text[i] == '>' && !quoted)
			return i + 1;
	}
	return 0;
}

enum address_error
address_parse_path(
    const char *text, size_t len, unsigned flags, struct address *out)
{
	enum address_error error;
	int utf8 = 0;
	size_t n;

	if (len < 2 || text[0] != '<' || text[len - 1] != '>')
		return ADDRESS_ERR_BRACKETS;
	if (len > (flags & ADDRESS_LONG ? ADDRESS_SIZE - 1 : ADDRESS_PATH_RFC))
		return ADDRESS_ERR_PATH_LONG;
	text++;
	len -= 2;
	if (len > 0 && *text == '@') {
		error = check_characters(text, len, flags, &utf8);
		if (error != ADDRESS_OK)
			return error;
		if ((n = route_length(text, len, flags)) == 0)
			return ADDRESS_ERR_ROUTE;
		text += n;
		len -= n;
		flags &= ~(
		    unsigned)(ADDRESS_NULL | ADDRESS_POSTMASTER | ADDRESS_BARE);
	}
	error = address_parse(text, len, flags, out);
	if (error == ADDRESS_OK)
		out->utf8_given |= utf8;
	return error;
}

void
address_qualify(struct address *a, const char *domain)
{
	if (a->kind != ADDRESS_IS_BARE || strlen(domain) >= sizeof(a->domain))
		return;
	strcpy(a->domain, domain);
	a->kind = *domain == '[' ? ADDRESS_IS_LITERAL : ADDRESS_IS_DOMAIN;
}

char *
address_format(const struct address *a, char out[ADDRESS_SIZE])
{
	size_t n = strlen(a->local);

	memcpy(out, a->local, n + 1);
	if (*a->domain != '\0') {
		out[n] = '@';
		strcpy(out + n + 1, a->domain);
	}
	return out;
}

/* Octets of the local part of a canonical string. A quoted one may hold @,
 * a domain never does. */
static size_t
local_length(const char *canonical)
{
	size_t len = strlen(canonical);
	const char *at = strrchr(canonical, '@');

	if (at == NULL || canonical[len - 1] == '"')
		return len;
	return (size_t)(at - canonical);
}

const char *
address_domain(const char *canonical)
{
	const char *end = canonical + local_length(canonical);

	return *end == '@' ? end + 1 : end;
}

int
address_split(const char *canonical, char *local, size_t local_size,
    char *domain, size_t domain_size)
{
	size_t n = local_length(canonical);
	const char *d = address_domain(canonical);

	if (local_size > 0)
		*local = '\0';
	if (domain_size > 0)
		*domain = '\0';
	if (n >= local_size || strlen(d) >= domain_size)
		return -1;
	memcpy(local, canonical, n);
	local[n] = '\0';
	strcpy(domain, d);
	return 0;
}

int
address_user(const char *canonical, char *out, size_t size)
{
	size_t len = local_length(canonical), n = 0;
	size_t i = 0;

	if (size == 0)
		return -1;
	if (len >= 2 && canonical[0] == '"') {
		i = 1;
		len--;
	}
	for (; i < len; i++) {
		if (canonical[0] == '"' && canonical[i] == '\\')
			i++;
		if (n + 1 >= size) {
			*out = '\0';
			return -1;
		}
		out[n++] = canonical[i];
	}
	out[n] = '\0';
	return 0;
}

int
address_is_routed(const char *canonical)
{
	return strcspn(canonical, "%!@") < local_length(canonical);
}

int
address_equal(const char *a, const char *b)
{
	size_t n = local_length(a);

	return n == local_length(b) && memcmp(a, b, n) == 0 &&
	    strcasecmp(address_domain(a), address_domain(b)) == 0;
}

int
address_needs_utf8(const char *canonical)
{
	return !utf8_is_ascii(canonical, local_length(canonical));
}
