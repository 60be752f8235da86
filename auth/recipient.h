/*
 * Who is behind a recipient under a local action: an entry of its alias or
 * virtual table, or an account. expand asks. Pure: tables and accounts are
 * asked through struct policy_host.
 */
#ifndef AUTH_RECIPIENT_H
#define AUTH_RECIPIENT_H

#include <stddef.h>
#include <stdint.h>

#include "auth/policy.h"

enum {
	RECIPIENT_NAME_SIZE = 65, /* of an account, with its NUL */
	RECIPIENT_KEY_SIZE = 256 /* of an alias, with its NUL */
};

/* A reply in parts; text is "" in a zeroed one. */
struct recipient_reply {
	uint16_t code; /* 250 or a failure */
	char enhanced[12];
	char text[256];
};

/* Sets all three. */
void recipient_set_reply(struct recipient_reply *, uint16_t code,
    const char *enhanced, const char *text);
/* The reply that `error:CODE text` of an alias asks for. */
void recipient_error_reply(struct recipient_reply *, const char *text);

/*
 * The entry of the action's alias table for a user name, or of its virtual
 * table for an address; with its tag, then without. YES: key is the key as it
 * stands in the table and *value its destinations. NO too when the action has
 * no such table.
 */
enum policy_answer recipient_alias(const struct policy_host *,
    const struct conf_action *, const char *name, char key[RECIPIENT_KEY_SIZE],
    const char **value);
enum policy_answer recipient_virtual(const struct policy_host *,
    const struct conf_action *, const char *address,
    char key[RECIPIENT_KEY_SIZE], const char **value);

/*
 * The account behind a user name, without the tag, in lower case: one of the
 * action's userbase or of the system.
 */
enum policy_answer recipient_account(const struct policy_host *,
    const struct conf_action *, const char *name,
    char account[RECIPIENT_NAME_SIZE]);

/* Mail for him is always taken (RFC 5321, 4.5.1). */
int recipient_is_postmaster(const char *address);

#endif
