/*
 * Lists of addresses as people type them: on sendmail's command line and in
 * To, Cc and Bcc (RFC 5322 section 3.4). Pure.
 */
#ifndef SMTPCTL_ADDRESSES_H
#define SMTPCTL_ADDRESSES_H

#include <stddef.h>

#define ADDRESSES_MAX 100000

/* All zero is empty. Each is canonical (smtp/address.h), or has no domain
 * yet, and stands once. */
struct addresses {
	char **list;
	size_t count;
	size_t room;
};

/* Adds what text (len octets) lists. What is no address is left out, and -1
 * returned with a line for each of such behind what error holds. */
int addresses_parse(
    struct addresses *, const char *text, size_t len, char *error, size_t size);
/* Adds one canonical address; -1 when memory or ADDRESSES_MAX is reached. */
int addresses_add(struct addresses *, const char *);
/* Gives those without a domain this one; each stands once then, too. -1
 * without memory. */
int addresses_qualify(struct addresses *, const char *domain);
/* Leaves out those whose octet of done, one for each, is 1. */
void addresses_leave_out(struct addresses *, const char *done);
/* The octets of a header field's body up to and with the first address that
 * has no domain, 0 if none is left. What is no address is passed over. */
size_t addresses_next_bare(const char *, size_t len);
void addresses_free(struct addresses *);

#endif
