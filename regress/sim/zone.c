/*
 * The DNS of the simulated world: what the resolver answers. It fails, as a
 * whole, for a domain or for a host, and sometimes says more than it was
 * asked.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sim.h"

enum { TYPE_A = 1, TYPE_PTR = 12, TYPE_MX = 15, TYPE_TXT = 16 };

struct domain *
zone_find(const char *name)
{
	for (size_t i = 0; i < world.ndomains; i++)
		if (strcasecmp(world.domains[i].name, name) == 0)
			return &world.domains[i];
	return NULL;
}

static struct host *
find_host(const char *name)
{
	for (size_t i = 0; i < world.nhosts; i++)
		if (strcasecmp(world.hosts[i].name, name) == 0)
			return &world.hosts[i];
	return NULL;
}

static void
add(struct ipc_buf *records, uint16_t type, uint16_t preference,
    const char *name, const void *data, size_t len)
{
	struct msg_dns_record r = { .type = type,
		.preference = preference,
		.name = name,
		.data = ipc_blob(data, len) };

	ipc_add_dns_record(records, &r);
}

static enum dns_status
answer_mx(const struct domain *d, struct ipc_buf *records)
{
	size_t at;

	if (d->kind == DOMAIN_NULL_MX)
		add(records, TYPE_MX, 0, "", NULL, 0);
	if (d->kind != DOMAIN_MX && d->kind != DOMAIN_BACKUP)
		return d->kind == DOMAIN_NULL_MX ? DNS_OK : DNS_NODATA;
	/* in any order */
	at = dice_under((uint32_t)d->nhosts);
	for (size_t i = 0; i < d->nhosts; i++, at = (at + 1) % d->nhosts)
		add(records, TYPE_MX, d->hosts[at]->preference,
		    d->hosts[at]->name, NULL, 0);
	return DNS_OK;
}

static enum dns_status
answer_a(struct host *h, const struct domain *d, int instance,
    struct ipc_buf *records)
{
	if (h == NULL && d != NULL && d->kind == DOMAIN_PLAIN)
		h = d->hosts[0];
	if (h == NULL)
		return d != NULL ? DNS_NODATA : DNS_NXDOMAIN;
	if (h->dns_broken && !sim.calm) {
		if (instance >= 0)
			h->answered[instance] = 0;
		return DNS_TEMPFAIL;
	}
	if (instance >= 0)
		h->answered[instance] = 1;
	add(records, TYPE_A, 0, h->name, h->address, sizeof(h->address));
	return DNS_OK;
}

void
zone_given_up(uint16_t type, const char *name, int instance)
{
	struct host *h = find_host(name);

	if (h != NULL && type == TYPE_A && instance >= 0)
		h->failed_at[instance] = sim.now;
}

void
zone_cut(uint16_t instance)
{
	for (size_t i = 0; i < world.nhosts; i++)
		world.hosts[i].failed_at[instance] = sim.now;
}

void
zone_death(void)
{
	sim.questions = 0;
	for (uint16_t n = 0; n < SIM_DELIVERS; n++)
		zone_cut(n);
}

void
zone_answer(uint16_t type, const char *name, int instance,
    struct msg_dns_answer *m, struct ipc_buf *records)
{
	struct domain *d = zone_find(name);
	struct host *h = find_host(name);

	m->status = DNS_NXDOMAIN;
	if (!sim.calm && (world.dns_down || (d != NULL && d->dns_broken))) {
		m->status = DNS_TEMPFAIL;
		if (h != NULL && instance >= 0)
			h->answered[instance] = 0;
	} else if (d != NULL && d->kind == DOMAIN_MISSING)
		m->status = DNS_NXDOMAIN;
	else if (type == TYPE_MX && d != NULL)
		m->status = (uint8_t)answer_mx(d, records);
	else if (type == TYPE_A)
		m->status = (uint8_t)answer_a(h, d, instance, records);
	else if (d != NULL || h != NULL)
		m->status = DNS_NODATA;
	if (m->status == DNS_OK && dice_one_in(20))
		add(records, TYPE_TXT, 7, "nobody.asked", "v=spf1 -all", 11);
	say("dns: %s type %u: %u (%u records)", name, type, m->status,
	    records->count);
}
