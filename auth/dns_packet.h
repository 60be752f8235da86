/*
 * Reading a DNS reply: from octets of the network to the records that were
 * asked for. Pure. Called by the resolver; trusts nothing in the packet.
 */
#ifndef AUTH_DNS_PACKET_H
#define AUTH_DNS_PACKET_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/messages.h"

/* The types that may be asked for (RFC 1035, 3596, 6698). */
enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_TLSA = 52
};

enum {
	DNS_CLASS_IN = 1, /* the Internet: no other is asked for */
	DNS_HEADER_SIZE = 12, /* octets */
	DNS_NAME_SIZE = 256,
	DNS_RECORDS_MAX = 512
};

struct dns_reply {
	uint8_t rcode;
	char owner[DNS_NAME_SIZE]; /* the name asked for, behind its CNAMEs */
	uint32_t ttl; /* the least of all records used, in seconds */
	uint32_t count;
	uint32_t left_out; /* of the type asked for, and of no use */
};

/*
 * Appends the records of `type` that answer `name` to `records`, following
 * CNAMEs inside the reply. Names come out in lower case without the last dot.
 * A record whose name holds an octet that no host name has is left out, for
 * it could only be an attack on who prints or compares it; so is one whose data
 * are malformed. At most DNS_RECORDS_MAX records are taken. 0, or -1 if the
 * packet is malformed.
 */
int dns_packet_parse(const uint8_t *packet, size_t len, const char *name,
    uint16_t type, struct ipc_buf *records, struct dns_reply *);

#endif
