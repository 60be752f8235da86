/*
 * When the certificates of the configuration end, and whether that is worth a
 * word. Of each the first of its file counts, which is the one that is renewed.
 */
#ifndef AUTH_EXPIRY_H
#define AUTH_EXPIRY_H

#include <openssl/types.h>
#include <stddef.h>
#include <stdint.h>

struct expiry;

/* NULL when memory is out. */
struct expiry *expiry_new(void);
void expiry_free(struct expiry *);
/* One without an end that can be read is passed over. -1 when memory is out. */
int expiry_add(struct expiry *, const char *pki, const X509 *);
/* Warns of those that are over at `now`, seconds since 1970, or will be before
 * long. */
void expiry_tell(const struct expiry *, int64_t now);

/* When a certificate ends, in seconds since 1970; 0, or -1 when it does not
 * tell. */
int expiry_end(const X509 *, int64_t *end);
/* What there is to say of one: 0 if nothing. */
int expiry_text(
    const char *pki, int64_t end, int64_t now, char *out, size_t size);

#endif
