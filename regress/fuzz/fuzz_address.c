/*
 * Addresses: what is taken has a canonical form that parses to itself, holds
 * no control character, and whose parts make up the whole. The first octet
 * of the input is the flags.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "smtp/address.h"
#include "smtp/utf8.h"

static void
require(int condition)
{
	if (!condition)
		abort();
}

static void
check(const struct address *a, unsigned flags)
{
	char text[ADDRESS_SIZE], again[ADDRESS_SIZE], local[ADDRESS_LOCAL_SIZE];
	char domain[ADDRESS_DOMAIN_SIZE], user[ADDRESS_LOCAL_LONG + 1];
	struct address b;

	address_format(a, text);
	require(utf8_is_text(text, strlen(text)));
	require(utf8_is_ascii(a->domain, strlen(a->domain)));
	require(a->utf8 == address_needs_utf8(text));
	require(!a->utf8 || a->utf8_given);
	require(!a->utf8_given || (flags & ADDRESS_UTF8));
	require(address_parse(text, strlen(text), ADDRESS_CANONICAL, &b) ==
	    ADDRESS_OK);
	require(strcmp(address_format(&b, again), text) == 0);
	require(a->kind == b.kind && a->utf8 == b.utf8);
	require(address_equal(text, again));
	require(address_split(
		    text, local, sizeof(local), domain, sizeof(domain)) == 0);
	require(strcmp(local, a->local) == 0);
	require(strcmp(domain, a->domain) == 0);
	require(address_user(text, user, sizeof(user)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char domain[ADDRESS_DOMAIN_SIZE], again[ADDRESS_DOMAIN_SIZE];
	const char *text = (const char *)data + 1;
	struct address a;
	unsigned flags;

	if (size == 0)
		return 0;
	flags = data[0];
	size--;
	require(address_path_length(text, size) <= size);
	if (address_parse_path(text, size, flags, &a) == ADDRESS_OK) {
		require(address_path_length(text, size) == size);
		check(&a, flags);
	}
	if (address_parse(text, size, flags, &a) == ADDRESS_OK)
		check(&a, flags);
	if (address_parse_domain(text, size, flags, domain) == ADDRESS_OK) {
		require(utf8_is_ascii(domain, strlen(domain)));
		require(strpbrk(domain, "@<>\" ") == NULL);
		require(address_parse_domain(
			    domain, strlen(domain), 0, again) == ADDRESS_OK);
		require(strcmp(domain, again) == 0);
	}
	return 0;
}
