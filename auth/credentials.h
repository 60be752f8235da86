/*
 * Passwords as they are stored: what a credentials table or the password
 * database holds for a user, held against what a client says.
 *
 *	{SCRAM-SHA-256}iterations,salt,StoredKey,ServerKey	(base64)
 *	{SCRAM-SHA-1}iterations,salt,StoredKey,ServerKey
 *	{PLAIN}password
 *	{CRYPT}hash, or a hash of crypt(3) alone
 *
 * Only crypt(3) works for PLAIN and LOGIN alone; all others serve every
 * mechanism of their kind. Pure but for the time that it takes.
 */
#ifndef AUTH_CREDENTIALS_H
#define AUTH_CREDENTIALS_H

#include <stddef.h>
#include <stdint.h>

enum {
	CREDENTIALS_PASSWORD_MAX = 511, /* what crypt(3) takes */
	CREDENTIALS_KEY_MAX = 32,
	CREDENTIALS_SALT_MAX = 64,
	CREDENTIALS_ITERATIONS = 4096 /* for a salt of our own */
};

enum credentials_hash { CREDENTIALS_SHA1, CREDENTIALS_SHA256 };

/* What a SCRAM server must know of a user. */
struct credentials_scram {
	enum credentials_hash hash;
	uint32_t iterations;
	uint8_t salt[CREDENTIALS_SALT_MAX];
	size_t salt_len;
	uint8_t stored_key[CREDENTIALS_KEY_MAX];
	uint8_t server_key[CREDENTIALS_KEY_MAX];
	size_t key_len;
};

/*
 * Whether the password is the stored one. stored NULL or "" is never it. The
 * time depends on the kind of what is stored and not on how much is right.
 */
int credentials_verify(const char *stored, const char *password);

/*
 * What a password is held against when there is no such user, so that it
 * takes as long as for the others: `model`, the stored value of one of them,
 * or a hash of the usual kind if that is NULL. It may fit: the verdict must
 * be ignored.
 */
const char *credentials_stand_in(const char *model);

/* Which of `count` users is the model of one who does not exist: always the
 * same for one name, so that he costs what some user costs, where the hashes of
 * a table are of several kinds. */
size_t credentials_model(
    const char *user, const uint8_t secret[32], size_t count);

/*
 * The SCRAM keys of a stored value. A {PLAIN} one, and one that cannot serve
 * (-1 then, with keys that nobody can prove), gets a salt made of secret and
 * user, which stays the same from one attempt to the next. model as above:
 * iterations of one who does not exist look like those of the others.
 * `secret` are 32 octets. Costs the same whatever is stored.
 */
int credentials_scram(enum credentials_hash, const char *stored,
    const char *model, const char *user, const uint8_t secret[32],
    struct credentials_scram *);

#endif
