/*
 * See rdns.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rdns.h"

enum {
	TYPE_A = 1,
	TYPE_PTR = 12,
	TYPE_AAAA = 28,
	/* seconds: no answer is asked again at once, none is kept for long */
	TTL_MIN = 30,
	TTL_MAX = 3600,
	TTL_OPEN = 60
};

struct cached {
	int64_t until;
	struct rdns found;
};

struct rdns_cache {
	size_t size;
	struct cached *entries;
};

/* The name below in-addr.arpa or ip6.arpa. */
static void
reverse_name(const uint8_t *octets, size_t len, char *out, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;

	if (len == 4) {
		snprintf(out, size, "%u.%u.%u.%u.in-addr.arpa", octets[3],
		    octets[2], octets[1], octets[0]);
		return;
	}
	for (size_t i = len; i-- > 0;) {
		out[n++] = digits[octets[i] & 15];
		out[n++] = '.';
		out[n++] = digits[octets[i] >> 4];
		out[n++] = '.';
	}
	snprintf(out + n, size - n, "ip6.arpa");
}

void
rdns_begin(
    struct rdns *r, const uint8_t *octets, size_t len, struct rdns_question *q)
{
	memset(r, 0, sizeof(*r));
	memcpy(r->octets, octets, len);
	r->len = len;
	r->asking_name = 1;
	r->ttl = TTL_MAX;
	q->type = TYPE_PTR;
	reverse_name(octets, len, q->name, sizeof(q->name));
}

/* The first PTR that is a name. One is enough: who has many has a choice. */
static int
take_name(struct rdns *r, const struct msg_dns_answer *m)
{
	struct ipc_list list = m->records;
	struct msg_dns_record record;

	while (ipc_next_dns_record(&list, &record))
		if (record.type == TYPE_PTR && record.name[0] != '[' &&
		    address_parse_domain(record.name, strlen(record.name), 0,
			r->name) == ADDRESS_OK)
			return 1;
	r->name[0] = '\0';
	return 0;
}

static int
leads_back(const struct rdns *r, const struct msg_dns_answer *m)
{
	struct ipc_list list = m->records;
	struct msg_dns_record record;
	uint16_t type = r->len == 4 ? TYPE_A : TYPE_AAAA;

	while (ipc_next_dns_record(&list, &record))
		if (record.type == type && record.data.len == r->len &&
		    memcmp(record.data.data, r->octets, r->len) == 0)
			return 1;
	return 0;
}

int
rdns_answer(
    struct rdns *r, const struct msg_dns_answer *m, struct rdns_question *q)
{
	int found = m->status == DNS_OK;

	if (m->status == DNS_TEMPFAIL)
		return 0;
	if (m->ttl < r->ttl)
		r->ttl = m->ttl > TTL_MIN ? m->ttl : TTL_MIN;
	if (r->asking_name && found && take_name(r, m)) {
		r->asking_name = 0;
		q->type = r->len == 4 ? TYPE_A : TYPE_AAAA;
		snprintf(q->name, sizeof(q->name), "%s", r->name);
		return 1;
	}
	r->state = !r->asking_name && found && leads_back(r, m)
	    ? RDNS_CONFIRMED
	    : RDNS_UNCONFIRMED;
	return 0;
}

/* ---- the cache -------------------------------------------------------- */

struct rdns_cache *
rdns_cache_new(size_t entries)
{
	struct rdns_cache *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->size = entries;
	if ((c->entries = calloc(entries, sizeof(*c->entries))) == NULL) {
		free(c);
		return NULL;
	}
	return c;
}

void
rdns_cache_free(struct rdns_cache *c)
{
	if (c == NULL)
		return;
	free(c->entries);
	free(c);
}

/* One place for each address: who aims at it costs its neighbour a question,
 * no more. */
static struct cached *
place(const struct rdns_cache *c, const uint8_t *octets, size_t len)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ octets[i]) * 16777619u;
	return &c->entries[(h ^ h >> 16) & (c->size - 1)];
}

const struct rdns *
rdns_cache_find(
    const struct rdns_cache *c, const uint8_t *octets, size_t len, int64_t now)
{
	const struct cached *e = place(c, octets, len);

	if (e->found.len != len || now >= e->until ||
	    memcmp(e->found.octets, octets, len) != 0)
		return NULL;
	return &e->found;
}

void
rdns_cache_add(struct rdns_cache *c, const struct rdns *r, int64_t now)
{
	struct cached *e = place(c, r->octets, r->len);

	e->found = *r;
	e->until = now + (r->state == RDNS_OPEN ? TTL_OPEN : r->ttl);
}
