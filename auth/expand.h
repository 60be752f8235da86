/*
 * The expansion of one recipient under a local action into what is behind it,
 * and the look at RCPT TO whether there is anything. What comes out are
 * mailboxes, addresses that are relayed, and commands, files and lists that
 * only master and the recipient's own process may open. Pure: tables and
 * accounts are asked through struct policy_host, and what is pending makes
 * the whole run void, to be made again.
 *
 * Addresses out of an alias pass the rules as from local, with the tag and the
 * HELO of the message's session. A destination that
 * can never be (an account that is not there, an address that no rule takes,
 * a loop) comes out as DEST_ERROR, so that the others are not held up and the
 * sender hears of it. The whole fails when nothing else comes out, or when
 * anything could not be looked up: then all of it is tried again.
 *
 * `:include:` is not read here: a DEST_INCLUDE goes the way of a local
 * delivery, and the addresses in the file come back as those of a .forward.
 */
#ifndef AUTH_EXPAND_H
#define AUTH_EXPAND_H

#include <stddef.h>
#include <stdint.h>

#include "auth/policy.h"
#include "auth/recipient.h"

enum {
	EXPAND_DEPTH_MAX = 10, /* aliases of aliases */
	EXPAND_DESTS_MAX = 10000,
	EXPAND_LOOK_MAX = 100 /* items of aliases, see expand_check */
};

struct expand_request {
	const char *tag; /* of the session that brought the message */
	const char *helo;
	const char *sender;
	const char
	    *recipient; /* canonical; or a bare user name of a .forward */
	const char *action; /* "": let the rules choose */
	const char *user; /* whose .forward the recipient comes from, or "" */
	unsigned int depth; /* expansions behind it already */
	int forwarded; /* one of ours gave it, in a .forward or as a sender */
};

struct expand_entry {
	enum dest_kind kind; /* never DEST_ADDRESS: the rules have spoken */
	char *address;
	const char *action; /* lives as long as the configuration */
	char user[RECIPIENT_NAME_SIZE]; /* DEST_USER */
	char alias[RECIPIENT_KEY_SIZE]; /* DEST_COMMAND, _FILE, _INCLUDE */
	uint32_t entry; /* the mark of the item there, see alias_item.h */
	struct recipient_reply reply; /* DEST_ERROR */
};

struct expand_result {
	/* code 0: an answer is pending; 250; or the failure of the whole */
	struct recipient_reply reply;
	int lacking; /* there is no such action: the rules have spoken */
	char *owner; /* owner-ALIAS as an address, or NULL */
	struct expand_entry *dests;
	size_t count;
};

/* Fills *result, which expand_free releases whatever came out. */
void expand_run(const struct policy_host *, const struct expand_request *,
    struct expand_result *result);
void expand_free(struct expand_result *);

/*
 * Whether mail for the recipient of the facts is taken under the action: 250,
 * the reply that expand_run would have, or 451. code 0: an answer is pending.
 * 250 also where something comes out and the rest cannot be told now, and
 * where aliases hold more than a look is worth. Of these `error:` is seen in
 * any case. Postmaster is always there, unless an `error:` is.
 */
void expand_check(const struct policy_host *, const struct policy_facts *,
    const struct conf_action *, struct recipient_reply *);

#endif
