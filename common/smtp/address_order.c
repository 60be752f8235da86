/*
 * An order of addresses, for those who keep many in a tree: the queue, which
 * looks for recipients that are named twice. Trusts that they are canonical.
 */
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "smtp/address.h"

int
address_order(const char *a, const char *b)
{
	const char *a_domain = address_domain(a), *b_domain = address_domain(b);
	ptrdiff_t local = a_domain - a, other = b_domain - b;
	int order;

	if (local != other)
		return local < other ? -1 : 1;
	order = memcmp(a, b, (size_t)local);
	return order != 0 ? order : strcasecmp(a_domain, b_domain);
}
