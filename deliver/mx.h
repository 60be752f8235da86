/*
 * From the answers of the DNS to the hosts that may take a destination's mail
 * (RFC 5321 section 5, RFC 7505). Pure: the caller asks the questions that
 * mx_query gives, hands in the answers, and takes the candidates; randomness
 * is an argument. What an answer holds is never trusted: names, counts and
 * addresses are bounded and checked here.
 *
 * A lookup is one of three, told by the destination:
 *	[192.0.2.1], [IPv6:2001:db8::1]   no question at all
 *	a host named by the configuration address records only
 *	a domain                          MX, then the addresses of each host;
 *	                                  the domain's own where it has no MX
 */
#ifndef DELIVER_MX_H
#define DELIVER_MX_H

#include "ipc/messages.h"

enum {
	MX_HOST_LIMIT = 50, /* hosts looked at, best preference first */
	MX_ADDRESS_LIMIT = 16, /* addresses kept of one host */
	MX_CANDIDATE_LIMIT = 100,
	MX_NAME_SIZE = 256
};

enum { MX_NULL = 556 };
enum mx_family { MX_INET4 = 4, MX_INET6 = 6 };

/* A value of IPv4 uses the first 4 octets; network order. */
struct mx_address {
	uint8_t family; /* enum mx_family */
	uint8_t octets[16];
};

/* What the host knows of itself, and what the action allows. Borrowed for
 * the life of the lookup. */
struct mx_policy {
	const char *const *own_names; /* in lower case */
	size_t own_names_count;
	const struct mx_address *own_addresses;
	size_t own_addresses_count;
	int explicit_host; /* the configuration names the host: any address
			      and our own are fine, and there is no MX */
	int backup; /* wait rather than bounce where we are the best MX */
	int allow_loopback; /* 127/8 and ::1 are fine too */
	int use_inet4;
	int use_inet6;
};

enum mx_state {
	MX_WAIT, /* answers are outstanding */
	MX_READY, /* mx_candidates has at least one */
	MX_FAILED /* mx_failure says why */
};

struct mx_failure {
	enum delivery_status status; /* for the recipients */
	enum route_status route;
	uint16_t code; /* of its own, MX_NULL, for a null MX (RFC 7505) */
	char enhanced[12];
	char text[400];
};

struct mx_candidate {
	char host[MX_NAME_SIZE]; /* as the MX record has it */
	uint16_t preference;
	int secure; /* DNSSEC proved the way to the address */
	struct mx_address address;
};

struct mx;

/* Begins the lookup of `destination`, lower case, without trailing dot. NULL
 * when memory is out. */
struct mx *mx_new(const struct mx_policy *, const char *destination);
void mx_free(struct mx *);

enum mx_state mx_state(const struct mx *);
/*
 * The next question to ask: fills type and name, which lives as long as the
 * lookup, and slot, which goes with the answer. 0 when there is none to ask
 * now.
 */
int mx_query(struct mx *, unsigned *slot, uint16_t *type, const char **name);
/* Takes the answer to a slot's question; a second answer is ignored. */
enum mx_state mx_answer(
    struct mx *, unsigned slot, const struct msg_dns_answer *);

const struct mx_failure *mx_failure(const struct mx *);
/* Whether a host is missing from the candidates for now. */
int mx_is_partial(const struct mx *);
/*
 * The candidates in the order in which to try them: by preference, hosts of
 * one preference shuffled by seed, families alternating inside a host.
 * Returns how many were written to out.
 */
size_t mx_candidates(
    const struct mx *, uint64_t seed, struct mx_candidate *out, size_t limit);

/* Writes an address as text, IPv6 without brackets; out takes 46 octets. */
char *mx_address_text(const struct mx_address *, char *out, size_t size);
int mx_address_equal(const struct mx_address *, const struct mx_address *);
int mx_address_loopback(const struct mx_address *);

#endif
