/*
 * The rules: which `match` of the configuration decides about one recipient
 * in one session, exactly in the order and with the defaults of
 * smtpd.conf(5). Pure: tables are asked through a function.
 *
 * A rule matches when all its conditions hold, and the first that matches
 * decides. Nothing is accepted without a rule.
 */
#ifndef AUTH_POLICY_H
#define AUTH_POLICY_H

#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "ipc/enums.h"

/* What is known of the session and the transaction. Strings are never NULL;
 * an unknown one is "". */
struct policy_facts {
	const char *tag; /* of the listener */
	const char *client_addr; /* as text, without brackets */
	const char *client_name; /* reverse name; see SESSION_NAME_OPEN */
	const char *helo;
	const char *auth_user;
	const char *sender; /* "" is the null sender */
	const char *recipient;
	uint32_t flags; /* enum session_flag */
	/* An address that came out of an alias or a .forward: it is from
	 * local, whoever sent the message, and nobody has logged in. */
	int internal;
};

/* The answer of a table or of the password database. PENDING is for what has
 * to be asked elsewhere first: whoever decides gives up, and is run again
 * from the start once the answer is there. */
enum policy_answer { POLICY_NO, POLICY_YES, POLICY_ERROR, POLICY_PENDING };

struct policy_host {
	const struct conf *conf;
	/* *value (may be NULL) is that of the entry; it lives until the
	 * decision is made. */
	enum policy_answer (*lookup)(void *arg, const char *table,
	    enum conf_service, const char *key, const char **value);
	/* Whether there is such an account; only expand and recipient ask. */
	enum policy_answer (*user)(void *arg, const char *name);
	void *arg;
	/* Told of each rule tried: the condition that failed, or NULL if the
	 * rule matched. May be NULL. */
	void (*trace)(
	    void *arg, uint32_t rule, const struct conf_condition *failed);
};

enum policy_kind {
	POLICY_ACTION, /* take it, under `action` */
	POLICY_REJECT, /* a rule says no */
	POLICY_NO_RULE,
	POLICY_TEMPFAIL, /* a table or, of the client's name, the DNS is mute */
	POLICY_WAIT /* lookup said PENDING */
};

struct policy_verdict {
	enum policy_kind kind;
	uint32_t rule; /* index in conf.matches, if a rule decided */
	const struct conf_action *action; /* for POLICY_ACTION */
	/* For POLICY_ACTION: which recipients would come to the same verdict,
	 * all else being the same. More than one only under an action that
	 * relays without looking at who they are. */
	enum rcpt_reach reach;
	/* For POLICY_ACTION: it hangs on a rule that names its sources. */
	bool known;
};

struct policy_verdict policy_decide(
    const struct policy_host *, const struct policy_facts *);

/*
 * Whether a relay would be open after all to the recipient of a verdict: the
 * next hop, which trusts us, may read his local part as the way to another
 * domain, as a Postfix does, and send the mail of a stranger there. Whoever a
 * rule lets in by name is no stranger, be it one behind that of the verdict,
 * on which this then hangs, for the one recipient. And whose whole address
 * `rcpt-to` has is known.
 */
enum policy_answer policy_refuses_route(const struct policy_host *,
    const struct policy_facts *, struct policy_verdict *);

/* Whether any rule gives this recipient to a backup action, whoever the
 * client is. */
enum policy_answer policy_backup(
    const struct policy_host *, const char *recipient);

/* The word for a condition as the configuration has it ("from src"). */
const char *policy_condition_name(enum conf_condition_kind);

#endif
