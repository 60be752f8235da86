/*
 * See overlap.h. The any address of a family takes all addresses of it.
 */
#include <stdio.h>
#include <string.h>

#include "conf/overlap.h"

static bool
is_any(const struct conf_address *address)
{
	static const uint8_t none[sizeof(address->octets)];

	return memcmp(address->octets, none, sizeof(none)) == 0;
}

bool
conf_addresses_overlap(
    const struct conf_address *a, const struct conf_address *b)
{
	if (a->family != b->family)
		return false;
	return is_any(a) || is_any(b) ||
	    (a->scope == b->scope &&
		memcmp(a->octets, b->octets, sizeof(a->octets)) == 0);
}

static bool
names_overlap(const struct conf_listener *a, const struct conf_listener *b)
{
	if (a->family != CONF_FAMILY_ANY && b->family != CONF_FAMILY_ANY &&
	    a->family != b->family)
		return false;
	return strcmp(a->interface, b->interface) == 0;
}

static bool
listeners_overlap(const struct conf_listener *a, const struct conf_listener *b)
{
	uint32_t i, j;

	if (a->is_socket || b->is_socket || a->port != b->port)
		return false;
	if (a->naddresses == 0 || b->naddresses == 0)
		return names_overlap(a, b);
	for (i = 0; i < a->naddresses; i++)
		for (j = 0; j < b->naddresses; j++)
			if (conf_addresses_overlap(
				&a->addresses[i], &b->addresses[j]))
				return true;
	return false;
}

unsigned int
conf_check_overlap(const struct conf *conf, conf_report *report, void *arg)
{
	const struct conf_listener *later, *first;
	char at[512], what[1024];
	unsigned int found = 0;

	for (later = conf->listeners;
	     later < conf->listeners + conf->nlisteners; later++) {
		for (first = conf->listeners; first < later; first++)
			if (listeners_overlap(first, later))
				break;
		if (first == later)
			continue;
		found++;
		conf_where_text(conf, &first->where, at, sizeof(at));
		snprintf(what, sizeof(what),
		    "port %u of `%s` is taken by `listen on %s` at %s; write "
		    "another port, or leave one of them out",
		    later->port, later->interface, first->interface, at);
		report(arg, &later->where, what);
	}
	return found;
}
