/*
 * See mx.h. Loop detection follows RFC 5321 section 5.1: a host that finds
 * itself in the list drops itself and all that are not strictly better; a
 * host that finds itself best refuses (5.4.6).
 */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "deliver/mx.h"

enum { TYPE_A = 1, TYPE_MX = 15, TYPE_AAAA = 28 };

/* One question about one host. */
enum ask { ASK_UNUSED, ASK_DUE, ASK_SENT, ASK_DONE };

struct host {
	char name[MX_NAME_SIZE];
	uint16_t preference;
	int own;
	int secure; /* all address answers so far were proved */
	int failed; /* an answer is missing for now */
	int refused; /* had addresses, but none that may be used */
	enum ask ask[2]; /* A, AAAA */
	uint8_t count;
	struct mx_address addresses[MX_ADDRESS_LIMIT];
};

struct mx {
	const struct mx_policy *policy;
	char destination[MX_NAME_SIZE];
	enum mx_state state;
	enum ask ask_mx;
	int implicit; /* the destination has no MX record */
	int mx_secure;
	unsigned host_count;
	struct host hosts[MX_HOST_LIMIT];
	struct mx_failure failure;
};

/* Slot 0 is the MX question; host h has 1 + 2h and 2 + 2h. */
enum { SLOT_MX = 0, SLOT_HOSTS = 1 };

int
mx_address_equal(const struct mx_address *a, const struct mx_address *b)
{
	return a->family == b->family &&
	    memcmp(a->octets, b->octets, a->family == MX_INET4 ? 4 : 16) == 0;
}

static int
is_mapped(const struct mx_address *a)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return a->family == MX_INET6 && memcmp(a->octets, prefix, 12) == 0;
}

int
mx_address_loopback(const struct mx_address *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	if (a->family == MX_INET4)
		return a->octets[0] == 127;
	return memcmp(a->octets, one, 16) == 0 ||
	    (is_mapped(a) && a->octets[12] == 127);
}

/* Unspecified, multicast, link-local, reserved, or an IPv4 address that hides
 * in an IPv6 one: no public host has these. */
static int
address_unusable(const struct mx_address *a)
{
	static const uint8_t zero[16];
	const uint8_t *o = a->octets;

	if (a->family == MX_INET4)
		return o[0] == 0 || o[0] >= 224 || (o[0] == 169 && o[1] == 254);
	return is_mapped(a) || memcmp(o, zero, 16) == 0 || o[0] == 0xff ||
	    (o[0] == 0xfe && (o[1] & 0xc0) == 0x80);
}

char *
mx_address_text(const struct mx_address *a, char *out, size_t size)
{
	int af = a->family == MX_INET4 ? AF_INET : AF_INET6;

	if (inet_ntop(af, a->octets, out, (socklen_t)size) == NULL && size > 0)
		*out = '\0';
	return out;
}

static void __attribute__((format(printf, 6, 7)))
fail(struct mx *mx, enum delivery_status status, enum route_status route,
    uint16_t code, const char *enhanced, const char *fmt, ...)
{
	va_list ap;

	mx->state = MX_FAILED;
	mx->failure.status = status;
	mx->failure.route = route;
	mx->failure.code = code;
	snprintf(
	    mx->failure.enhanced, sizeof(mx->failure.enhanced), "%s", enhanced);
	va_start(ap, fmt);
	vsnprintf(mx->failure.text, sizeof(mx->failure.text), fmt, ap);
	va_end(ap);
}

/* Lower case, without the trailing dot. -1 if it is no host name: empty, too
 * long, or with an octet that would mislead a log or a reply. */
static int
copy_name(char out[MX_NAME_SIZE], const char *name)
{
	size_t len = strlen(name);

	if (len > 0 && name[len - 1] == '.')
		len--;
	if (len == 0 || len >= MX_NAME_SIZE)
		return -1;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c <= ' ' || c >= 0x7f || strchr("\"()<>@\\,;", c) != NULL)
			return -1;
		out[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : (char)c;
	}
	out[len] = '\0';
	return 0;
}

static int
is_own_name(const struct mx *mx, const char *name)
{
	for (size_t i = 0; i < mx->policy->own_names_count; i++)
		if (strcasecmp(mx->policy->own_names[i], name) == 0)
			return 1;
	return 0;
}

static int
is_own_address(const struct mx *mx, const struct mx_address *a)
{
	for (size_t i = 0; i < mx->policy->own_addresses_count; i++)
		if (mx_address_equal(&mx->policy->own_addresses[i], a))
			return 1;
	return 0;
}

/* Adds a host in order of preference; the worst falls out of a full list. A
 * name that is listed twice counts once, at its best preference. */
static void
add_host(struct mx *mx, const char *name, uint16_t preference)
{
	struct host host = { .preference = preference, .secure = 1 };
	unsigned at, i;

	if (copy_name(host.name, name) == -1)
		return;
	for (i = 0; i < mx->host_count; i++)
		if (strcmp(mx->hosts[i].name, host.name) == 0)
			break;
	if (i < mx->host_count) {
		if (mx->hosts[i].preference <= preference)
			return;
		mx->host_count--;
		memmove(&mx->hosts[i], &mx->hosts[i + 1],
		    (mx->host_count - i) * sizeof(host));
	}
	for (at = 0; at < mx->host_count; at++)
		if (mx->hosts[at].preference > preference)
			break;
	if (at == MX_HOST_LIMIT)
		return;
	if (mx->host_count == MX_HOST_LIMIT)
		mx->host_count--;
	memmove(&mx->hosts[at + 1], &mx->hosts[at],
	    (mx->host_count - at) * sizeof(host));
	mx->host_count++;
	host.own = is_own_name(mx, host.name);
	host.ask[0] = mx->policy->use_inet4 ? ASK_DUE : ASK_UNUSED;
	host.ask[1] = mx->policy->use_inet6 ? ASK_DUE : ASK_UNUSED;
	mx->hosts[at] = host;
}

static void
add_address(struct mx *mx, struct host *host, const struct mx_address *a)
{
	const struct mx_policy *policy = mx->policy;

	if (!policy->explicit_host && is_own_address(mx, a))
		host->own = 1;
	if (!policy->explicit_host &&
	    (address_unusable(a) ||
		(mx_address_loopback(a) && !policy->allow_loopback))) {
		host->refused = 1;
		return;
	}
	for (unsigned i = 0; i < host->count; i++)
		if (mx_address_equal(&host->addresses[i], a))
			return;
	if (host->count < MX_ADDRESS_LIMIT)
		host->addresses[host->count++] = *a;
}

/* The preference from which on hosts are no use to us: our own. */
static unsigned
preference_bound(const struct mx *mx)
{
	for (unsigned i = 0; i < mx->host_count; i++)
		if (mx->hosts[i].own && !mx->policy->explicit_host)
			return mx->hosts[i].preference;
	return UINT16_MAX + 1u;
}

static void
fail_without_address(struct mx *mx, int failed, int refused)
{
	const char *dest = mx->destination;

	if (failed)
		fail(mx, DELIVERY_TEMPFAIL, ROUTE_DNS, 451, "4.4.3",
		    "the addresses of the hosts of %s cannot be looked up "
		    "now",
		    dest);
	else if (refused)
		fail(mx, DELIVERY_PERMFAIL, ROUTE_BAD, 550, "5.4.4",
		    "%s leads to addresses that mail is not sent to", dest);
	else if (mx->implicit)
		fail(mx, DELIVERY_PERMFAIL, ROUTE_BAD, 550, "5.1.2",
		    "%s has neither a mail exchanger nor an address", dest);
	else
		fail(mx, DELIVERY_PERMFAIL, ROUTE_BAD, 550, "5.4.4",
		    "no mail exchanger of %s has an address", dest);
}

/* A backup waits for the primary to come back to the list: it must not bounce
 * mail that it took because somebody else's zone is wrong for an hour. */
static void
fail_loop(struct mx *mx)
{
	if (mx->policy->backup)
		fail(mx, DELIVERY_TEMPFAIL, ROUTE_DNS, 451, "4.4.6",
		    "%s lists no mail exchanger that is preferred to this "
		    "host",
		    mx->destination);
	else
		fail(mx, DELIVERY_PERMFAIL, ROUTE_BAD, 554, "5.4.6",
		    "mail for %s loops back to this host", mx->destination);
}

/* All answers are in: decide whether anybody is left. A host whose addresses
 * are unknown for now makes the failure temporary. */
static void
conclude(struct mx *mx)
{
	unsigned bound = preference_bound(mx), usable = 0, better = 0;
	int failed = 0, refused = 0;

	for (unsigned i = 0; i < mx->host_count; i++) {
		const struct host *host = &mx->hosts[i];

		if (host->preference >= bound)
			break;
		better++;
		usable += host->count;
		failed |= host->failed;
		refused |= host->refused;
	}
	if (usable > 0)
		mx->state = MX_READY;
	else if (better == 0 && mx->host_count > 0)
		fail_loop(mx);
	else
		fail_without_address(mx, failed, refused);
}

static enum mx_state
look_for_end(struct mx *mx)
{
	for (unsigned i = 0; i < mx->host_count; i++)
		for (unsigned k = 0; k < 2; k++)
			if (mx->hosts[i].ask[k] == ASK_DUE ||
			    mx->hosts[i].ask[k] == ASK_SENT)
				return mx->state;
	conclude(mx);
	return mx->state;
}

/* Hosts that are not better than ourselves by name need no lookup. */
static void
drop_worse(struct mx *mx)
{
	unsigned bound = preference_bound(mx);

	for (unsigned i = 0; i < mx->host_count; i++)
		if (mx->hosts[i].preference >= bound)
			mx->hosts[i].ask[0] = mx->hosts[i].ask[1] = ASK_UNUSED;
}

static void
use_domain_itself(struct mx *mx)
{
	mx->implicit = 1;
	add_host(mx, mx->destination, 0);
}

static void
take_mx(struct mx *mx, const struct msg_dns_answer *answer)
{
	struct ipc_list records = answer->records;
	struct msg_dns_record r;
	unsigned seen = 0, null = 0;

	mx->mx_secure = answer->secure;
	while (ipc_next_dns_record(&records, &r)) {
		if (r.type != TYPE_MX)
			continue;
		seen++;
		if (r.name[0] == '\0' || strcmp(r.name, ".") == 0)
			null++;
		else
			add_host(mx, r.name, r.preference);
	}
	/* an MX of no use is one all the same: the domain's own address is only
	 * for those that have none (RFC 5321 section 5.1) */
	if (seen > 0 && null == seen)
		fail(mx, DELIVERY_PERMFAIL, ROUTE_BAD, MX_NULL, "5.1.10",
		    "%s accepts no mail (null MX)", mx->destination);
	else if (mx->host_count == 0)
		fail(mx, DELIVERY_PERMFAIL, ROUTE_BAD, 550, "5.4.4",
		    "no mail exchanger of %s has a usable name",
		    mx->destination);
}

static enum mx_state
answer_mx(struct mx *mx, const struct msg_dns_answer *answer)
{
	mx->ask_mx = ASK_DONE;
	switch (answer->status) {
	case DNS_OK:
		take_mx(mx, answer);
		break;
	case DNS_NODATA:
		mx->mx_secure = answer->secure;
		use_domain_itself(mx);
		break;
	case DNS_NXDOMAIN:
		fail(mx, DELIVERY_PERMFAIL, ROUTE_BAD, 550, "5.1.2",
		    "the domain %s does not exist", mx->destination);
		break;
	default:
		fail(mx, DELIVERY_TEMPFAIL, ROUTE_DNS, 451, "4.4.3",
		    "the mail exchangers of %s cannot be looked up now",
		    mx->destination);
		break;
	}
	if (mx->state != MX_WAIT)
		return mx->state;
	drop_worse(mx);
	return look_for_end(mx);
}

static enum mx_state
answer_host(struct mx *mx, unsigned slot, const struct msg_dns_answer *answer)
{
	struct host *host = &mx->hosts[(slot - SLOT_HOSTS) / 2];
	unsigned k = (slot - SLOT_HOSTS) % 2;
	uint16_t type = k == 0 ? TYPE_A : TYPE_AAAA;
	size_t len = k == 0 ? 4 : 16;
	struct ipc_list records = answer->records;
	struct mx_address a = { .family = k == 0 ? MX_INET4 : MX_INET6 };
	struct msg_dns_record r;

	if (host->ask[k] != ASK_SENT)
		return mx->state;
	host->ask[k] = ASK_DONE;
	host->secure &= answer->secure;
	if (answer->status != DNS_OK) {
		host->failed |= answer->status != DNS_NODATA &&
		    answer->status != DNS_NXDOMAIN;
		return look_for_end(mx);
	}
	/* an MX that is an alias of ours is we ourselves */
	if (*answer->name != '\0' && is_own_name(mx, answer->name))
		host->own = 1;
	while (ipc_next_dns_record(&records, &r)) {
		if (r.type != type || r.data.len != len)
			continue;
		memcpy(a.octets, r.data.data, len);
		add_address(mx, host, &a);
	}
	return look_for_end(mx);
}

/* An address literal of RFC 5321 section 4.1.3. */
static void
begin_literal(struct mx *mx)
{
	char text[MX_NAME_SIZE];
	struct mx_address a = { .family = MX_INET4 };
	size_t len = strlen(mx->destination);
	int ok;

	if (mx->destination[len - 1] != ']')
		len++;
	snprintf(
	    text, sizeof(text), "%.*s", (int)(len - 2), mx->destination + 1);
	if (strncasecmp(text, "IPv6:", 5) == 0) {
		a.family = MX_INET6;
		ok = inet_pton(AF_INET6, text + 5, a.octets) == 1;
	} else
		ok = inet_pton(AF_INET, text, a.octets) == 1;
	if (!ok || mx->destination[strlen(mx->destination) - 1] != ']') {
		fail(mx, DELIVERY_PERMFAIL, ROUTE_BAD, 550, "5.1.2",
		    "%s is not an address literal", mx->destination);
		return;
	}
	mx->host_count = 1;
	memcpy(mx->hosts[0].name, mx->destination, MX_NAME_SIZE);
	add_address(mx, &mx->hosts[0], &a);
	conclude(mx);
}

/* A host of the configuration may be a bare address. */
static int
begin_bare_address(struct mx *mx)
{
	struct mx_address a = { .family = MX_INET4 };

	if (inet_pton(AF_INET, mx->destination, a.octets) != 1) {
		a.family = MX_INET6;
		if (inet_pton(AF_INET6, mx->destination, a.octets) != 1)
			return 0;
	}
	mx->host_count = 1;
	memcpy(mx->hosts[0].name, mx->destination, MX_NAME_SIZE);
	add_address(mx, &mx->hosts[0], &a);
	conclude(mx);
	return 1;
}

struct mx *
mx_new(const struct mx_policy *policy, const char *destination)
{
	struct mx *mx;

	if ((mx = calloc(1, sizeof(*mx))) == NULL)
		return NULL;
	mx->policy = policy;
	mx->state = MX_WAIT;
	if (*destination == '[') {
		snprintf(mx->destination, sizeof(mx->destination), "%s",
		    destination);
		begin_literal(mx);
		return mx;
	}
	if (copy_name(mx->destination, destination) == -1) {
		fail(mx, DELIVERY_PERMFAIL, ROUTE_BAD, 550, "5.1.2",
		    "the destination is not a domain name");
		return mx;
	}
	if (!policy->explicit_host)
		mx->ask_mx = ASK_DUE;
	else if (!begin_bare_address(mx)) {
		use_domain_itself(mx);
		look_for_end(mx);
	}
	return mx;
}

void
mx_free(struct mx *mx)
{
	free(mx);
}

enum mx_state
mx_state(const struct mx *mx)
{
	return mx->state;
}

int
mx_query(struct mx *mx, unsigned *slot, uint16_t *type, const char **name)
{
	if (mx->state != MX_WAIT)
		return 0;
	if (mx->ask_mx == ASK_DUE) {
		mx->ask_mx = ASK_SENT;
		*slot = SLOT_MX;
		*type = TYPE_MX;
		*name = mx->destination;
		return 1;
	}
	for (unsigned i = 0; i < 2 * mx->host_count; i++) {
		struct host *host = &mx->hosts[i / 2];

		if (host->ask[i % 2] != ASK_DUE)
			continue;
		host->ask[i % 2] = ASK_SENT;
		*slot = SLOT_HOSTS + i;
		*type = i % 2 == 0 ? TYPE_A : TYPE_AAAA;
		*name = host->name;
		return 1;
	}
	return 0;
}

enum mx_state
mx_answer(struct mx *mx, unsigned slot, const struct msg_dns_answer *answer)
{
	if (mx->state != MX_WAIT)
		return mx->state;
	if (slot == SLOT_MX)
		return mx->ask_mx == ASK_SENT ? answer_mx(mx, answer)
					      : mx->state;
	if (slot - SLOT_HOSTS >= 2 * mx->host_count)
		return mx->state;
	return answer_host(mx, slot, answer);
}

const struct mx_failure *
mx_failure(const struct mx *mx)
{
	return &mx->failure;
}

int
mx_is_partial(const struct mx *mx)
{
	unsigned bound = preference_bound(mx);

	for (unsigned i = 0; i < mx->host_count; i++)
		if (mx->hosts[i].failed && mx->hosts[i].count == 0 &&
		    mx->hosts[i].preference < bound)
			return 1;
	return 0;
}

/* splitmix64: each call one number, all from the caller's seed. */
static uint64_t
next_random(uint64_t *seed)
{
	uint64_t z = (*seed += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Writes order[] so that hosts of one preference come in a random order. */
static void
shuffle_hosts(const struct mx *mx, uint64_t *seed, unsigned *order)
{
	unsigned first, end, i, j, swap;

	for (i = 0; i < mx->host_count; i++)
		order[i] = i;
	for (first = 0; first < mx->host_count; first = end) {
		end = first + 1;
		while (end < mx->host_count &&
		    mx->hosts[end].preference == mx->hosts[first].preference)
			end++;
		for (i = end - 1; i > first; i--) {
			j = first +
			    (unsigned)(next_random(seed) % (i - first + 1));
			swap = order[i];
			order[i] = order[j];
			order[j] = swap;
		}
	}
}

/* Adds the addresses of one host: IPv6 first (RFC 6724), then in turns, so
 * that one broken family costs one attempt and not all of them. */
static size_t
put_host(const struct mx *mx, const struct host *host, uint64_t *seed,
    struct mx_candidate *out, size_t room)
{
	unsigned order[MX_ADDRESS_LIMIT], i, j, swap, want = MX_INET6;
	size_t n = 0;

	for (i = 0; i < host->count; i++)
		order[i] = i;
	for (i = host->count; i > 1; i--) {
		j = (unsigned)(next_random(seed) % i);
		swap = order[i - 1];
		order[i - 1] = order[j];
		order[j] = swap;
	}
	for (; n < room && n < host->count; n++) {
		for (i = (unsigned)n; i < host->count; i++)
			if (host->addresses[order[i]].family == want)
				break;
		if (i == host->count)
			i = (unsigned)n;
		swap = order[i];
		order[i] = order[n];
		order[n] = swap;
		memcpy(out[n].host, host->name, MX_NAME_SIZE);
		out[n].preference = host->preference;
		out[n].secure = host->secure &&
		    (mx->mx_secure || mx->policy->explicit_host);
		out[n].address = host->addresses[order[n]];
		want = out[n].address.family == MX_INET6 ? MX_INET4 : MX_INET6;
	}
	return n;
}

size_t
mx_candidates(
    const struct mx *mx, uint64_t seed, struct mx_candidate *out, size_t limit)
{
	unsigned order[MX_HOST_LIMIT], bound = preference_bound(mx);
	size_t n = 0;

	if (mx->state != MX_READY)
		return 0;
	shuffle_hosts(mx, &seed, order);
	for (unsigned i = 0; i < mx->host_count && n < limit; i++) {
		const struct host *host = &mx->hosts[order[i]];

		if (host->preference < bound)
			n += put_host(mx, host, &seed, out + n, limit - n);
	}
	return n;
}
