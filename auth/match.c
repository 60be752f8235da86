/*
 * See match.h. Called by tables and policy; keys come from clients, patterns
 * from the administrator.
 */
#include <sys/socket.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "auth/match.h"

static int
same_letter(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

int
match_domain(const char *pattern, const char *domain)
{
	const char *star = NULL, *resume = NULL;

	/* A star cannot take a dot, so each label stands for itself and it is
	 * enough to go back to the last star. */
	while (*domain != '\0') {
		if (*pattern == '*') {
			while (*pattern == '*')
				pattern++;
			if (*pattern == '\0')
				return 1;
			star = pattern;
			resume = domain;
		} else if (same_letter(*pattern, *domain)) {
			pattern++;
			domain++;
		} else {
			if (star == NULL || *resume == '.')
				return 0;
			pattern = star;
			domain = ++resume;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

/* Octets of the local part up to its tag. */
static size_t
untagged_length(const char *local, size_t len, char delim)
{
	const char *tag;

	if (delim == '\0' || len == 0)
		return len;
	tag = memchr(local + 1, delim, len - 1);
	return tag == NULL ? len : (size_t)(tag - local);
}

int
match_mailaddr(const char *pattern, const char *addr, char delim)
{
	const char *pattern_at = strrchr(pattern, '@');
	const char *addr_at = strrchr(addr, '@');
	size_t plen, alen;

	plen = pattern_at != NULL ? (size_t)(pattern_at - pattern)
				  : strlen(pattern);
	alen = addr_at != NULL ? (size_t)(addr_at - addr) : strlen(addr);
	if (pattern_at != NULL && pattern_at[1] != '\0' &&
	    (addr_at == NULL || !match_domain(pattern_at + 1, addr_at + 1)))
		return 0;
	if (plen == 0)
		return pattern_at != NULL;
	if (untagged_length(pattern, plen, delim) == plen)
		alen = untagged_length(addr, alen, delim);
	return plen == alen && strncasecmp(pattern, addr, plen) == 0;
}

static void
map_four(const struct in_addr *four, struct in6_addr *out)
{
	memset(out, 0, sizeof(*out));
	memset(&out->s6_addr[10], 0xff, 2);
	memcpy(&out->s6_addr[12], four, 4);
}

/* Copies text without brackets, tag and zone. */
static int
bare_address(const char *text, size_t len, char out[INET6_ADDRSTRLEN])
{
	const char *zone;

	if (len > 0 && *text == '[') {
		if (len < 2 || text[len - 1] != ']')
			return 0;
		text++;
		len -= 2;
	}
	if (len > 5 && strncasecmp(text, "IPv6:", 5) == 0) {
		text += 5;
		len -= 5;
	}
	/* a zone names an interface of ours and is no part of the address */
	if ((zone = memchr(text, '%', len)) != NULL)
		len = (size_t)(zone - text);
	if (len >= INET6_ADDRSTRLEN)
		return 0;
	memcpy(out, text, len);
	out[len] = '\0';
	return 1;
}

/* 4 or 6, or 0 if it is no address. */
static int
parse_family(const char *text, size_t len, struct in6_addr *out)
{
	char bare[INET6_ADDRSTRLEN];
	struct in_addr four;

	if (!bare_address(text, len, bare))
		return 0;
	if (inet_pton(AF_INET, bare, &four) == 1) {
		map_four(&four, out);
		return 4;
	}
	return inet_pton(AF_INET6, bare, out) == 1 ? 6 : 0;
}

int
match_parse_address(const char *text, struct in6_addr *out)
{
	return parse_family(text, strlen(text), out) != 0;
}

int
match_is_loopback(const struct in6_addr *addr)
{
	return IN6_IS_ADDR_LOOPBACK(addr) ||
	    (IN6_IS_ADDR_V4MAPPED(addr) && addr->s6_addr[12] == 127);
}

int
match_parse_net(const char *text, struct match_net *net)
{
	const char *slash = strrchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	unsigned long bits, most;
	char *end;
	int family;

	/* [2001:db8::/32] is written as well as [2001:db8::]/32 */
	if (slash != NULL && *text == '[' && text[strlen(text) - 1] == ']' &&
	    len > 0 && text[len - 1] != ']') {
		text++;
		len--;
	}
	if ((family = parse_family(text, len, &net->addr)) == 0)
		return 0;
	most = family == 4 ? 32 : 128;
	bits = most;
	if (slash != NULL) {
		if (!isdigit((unsigned char)slash[1]))
			return 0;
		bits = strtoul(slash + 1, &end, 10);
		if ((*end != '\0' && strcmp(end, "]") != 0) || bits > most)
			return 0;
	}
	net->bits = (unsigned int)(bits + (family == 4 ? 96 : 0));
	return 1;
}

int
match_in_net(const struct match_net *net, const struct in6_addr *addr)
{
	unsigned int octets = net->bits / 8, rest = net->bits % 8;

	/* ::/0 is all of IPv6, and nothing of IPv4 */
	if (IN6_IS_ADDR_V4MAPPED(addr) && net->bits < 96)
		return 0;
	if (memcmp(&net->addr, addr, octets) != 0)
		return 0;
	if (rest == 0)
		return 1;
	return ((net->addr.s6_addr[octets] ^ addr->s6_addr[octets]) >>
		   (8 - rest)) == 0;
}
