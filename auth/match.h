/*
 * How one key is held against one entry of a table: domains with wildcards,
 * mail addresses, networks. Pure; letter case never counts. See table(5).
 */
#ifndef AUTH_MATCH_H
#define AUTH_MATCH_H

#include <netinet/in.h>
#include <stddef.h>

/* A network; IPv4 stands in its mapped form, bits counted accordingly. */
struct match_net {
	struct in6_addr addr;
	unsigned int bits; /* 0 to 128 */
};

/* `*` stands for any part of one label, at the end of the pattern for all
 * that is left. */
int match_domain(const char *pattern, const char *domain);

/*
 * An address against `user`, `@domain`, `user@domain` or `@`, domains with
 * wildcards. A tag (what follows delim in the local part) is ignored unless
 * the pattern has one. delim is one character, or 0 for none.
 */
int match_mailaddr(const char *pattern, const char *addr, char delim);

/* An address with or without brackets, `IPv6:` and zone, as 128 bits. */
int match_parse_address(const char *text, struct in6_addr *);
/* 127.0.0.0/8, whose addresses are mapped, or ::1. */
int match_is_loopback(const struct in6_addr *);
/* An address or address/bits. 0 if it is neither. */
int match_parse_net(const char *text, struct match_net *);
int match_in_net(const struct match_net *, const struct in6_addr *);

#endif
