/*
 * See address.h: the domain of an address, a host name, or an address literal
 * in canonical form. U-labels go through libidn2, and what it returns is
 * checked anew, since its mapping can turn one character into several, a dot
 * among them.
 */
#include <sys/socket.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <idn2.h>

#include "smtp/address.h"
#include "smtp/utf8.h"

enum { LABEL_MAX = 63 };

/* RFC 5321 4.1.3. */
static enum address_error
parse_literal(const char *text, size_t len, char out[ADDRESS_DOMAIN_SIZE])
{
	static const char tag[] = "IPv6:";
	const size_t tag_len = sizeof(tag) - 1;
	char plain[64], numeric[INET6_ADDRSTRLEN];
	unsigned char octets[sizeof(struct in6_addr)];
	const char *prefix = "";
	int family = AF_INET;

	if (len < 3 || text[len - 1] != ']' || len - 2 >= sizeof(plain))
		return ADDRESS_ERR_LITERAL;
	text++;
	len -= 2;
	if (len > tag_len && strncasecmp(text, tag, tag_len) == 0) {
		family = AF_INET6;
		prefix = tag;
		text += tag_len;
		len -= tag_len;
	}
	if (memchr(text, '\0', len) != NULL)
		return ADDRESS_ERR_LITERAL;
	memcpy(plain, text, len);
	plain[len] = '\0';
	if (inet_pton(family, plain, octets) != 1 ||
	    inet_ntop(family, octets, numeric, sizeof(numeric)) == NULL)
		return ADDRESS_ERR_LITERAL;
	snprintf(out, ADDRESS_DOMAIN_SIZE, "[%s%s]", prefix, numeric);
	return ADDRESS_OK;
}

/*
 * Checks names of letters, digits and hyphens, and writes them in lower case.
 * The underscore is taken too: it is no host name (RFC 952), but such domains
 * receive mail. A top-level domain of digits is an IP address without its
 * brackets.
 */
static enum address_error
parse_ascii(const char *text, size_t len, char out[ADDRESS_DOMAIN_SIZE])
{
	size_t label = 0, digits = 0;

	if (len > ADDRESS_DOMAIN_MAX)
		return ADDRESS_ERR_DOMAIN_LONG;
	if (len == 0)
		return ADDRESS_ERR_DOMAIN;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c | 0x20);
		out[i] = c;
		if (c == '.') {
			if (label == 0 || text[i - 1] == '-')
				return ADDRESS_ERR_DOMAIN;
			if (i + 1 == len)
				return ADDRESS_ERR_DOT;
			label = digits = 0;
			continue;
		}
		if (++label > LABEL_MAX)
			return ADDRESS_ERR_DOMAIN_LONG;
		if (c >= '0' && c <= '9')
			digits++;
		else if (!(c >= 'a' && c <= 'z') && c != '_' &&
		    (c != '-' || label == 1))
			return ADDRESS_ERR_DOMAIN;
	}
	if (out[len - 1] == '-' || label == digits)
		return ADDRESS_ERR_DOMAIN;
	out[len] = '\0';
	return ADDRESS_OK;
}

static size_t
count_dots(const char *s, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += s[i] == '.';
	return n;
}

/* Only the characters of host names and safe ones outside US-ASCII may reach
 * libidn2. */
static enum address_error
check_labels(const char *text, size_t len)
{
	uint32_t c;
	size_t n;

	for (; len > 0; text += n, len -= n) {
		if ((n = utf8_decode(text, len, &c)) == 0)
			return ADDRESS_ERR_UTF8;
		if (!utf8_is_safe(c))
			return ADDRESS_ERR_CONTROL;
		if (c < 0x80 && !(c >= '0' && c <= '9') &&
		    !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && c != '-' &&
		    c != '.' && c != '_')
			return ADDRESS_ERR_DOMAIN;
	}
	return ADDRESS_OK;
}

static enum address_error
parse_idna(const char *text, size_t len, char out[ADDRESS_DOMAIN_SIZE])
{
	char plain[ADDRESS_SIZE], *ascii = NULL;
	enum address_error error;

	if (len >= sizeof(plain))
		return ADDRESS_ERR_DOMAIN_LONG;
	if ((error = check_labels(text, len)) != ADDRESS_OK)
		return error;
	memcpy(plain, text, len);
	plain[len] = '\0';
	if (idn2_to_ascii_8z(plain, &ascii,
		IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return ADDRESS_ERR_IDNA;
	error = ADDRESS_ERR_IDNA;
	/* U+3002, U+FF0E and the like would become dots, and change which
	 * domain a reader sees */
	if (count_dots(ascii, strlen(ascii)) == count_dots(text, len))
		error = parse_ascii(ascii, strlen(ascii), out);
	idn2_free(ascii);
	return error;
}

enum address_error
address_parse_domain(
    const char *text, size_t len, unsigned flags, char out[ADDRESS_DOMAIN_SIZE])
{
	if (len > 0 && text[0] == '[')
		return parse_literal(text, len, out);
	if (utf8_is_ascii(text, len))
		return parse_ascii(text, len, out);
	if ((flags & ADDRESS_UTF8) == 0)
		return ADDRESS_ERR_NEEDS_UTF8;
	return parse_idna(text, len, out);
}
