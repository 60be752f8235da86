/*
 * The auth worker: what its files share. rules.c answers rcpt_check, expand,
 * table_query and sender_check; explain.c smtpctl's explain; logins.c both
 * sides of SASL; main.c holds the life of the worker. Nothing outside auth/
 * includes this.
 */
#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include <sys/queue.h>

#include <stddef.h>
#include <stdint.h>

#include "auth/accounts.h"
#include "auth/callahead.h"
#include "auth/hasher.h"
#include "auth/history.h"
#include "auth/policy.h"
#include "auth/sasl.h"
#include "auth/tables.h"
#include "conf/conf.h"
#include "ipc/worker.h"

/* The bit that tells a login's question to master from one of the rules. */
#define LOGIN_QUESTION (UINT64_C(1) << 63)

struct job;
struct login;
struct client_login;

/* One configuration with its tables, swapped as a whole. */
struct generation {
	struct conf *conf;
	struct tables *tables;
};

struct auth {
	struct worker *worker;
	struct generation now;
	struct generation next;
	struct policy_host host;
	struct accounts *accounts;
	struct callahead *callahead;
	struct history *history;
	struct hasher *hasher;
	uint8_t secret[SASL_SECRET_OCTETS];
	TAILQ_HEAD(, job) jobs; /* questions that wait for something */
	size_t njobs;
	struct job *running; /* the one whose rules run now */
	TAILQ_HEAD(, login) logins;
	TAILQ_HEAD(, login) hashing; /* few of them: the thread has these */
	TAILQ_HEAD(, client_login) client_logins;
	size_t nlogins; /* of both sides */
	uint64_t last_id; /* of questions about hashes, and of call-aheads */
};

/* Seconds of the monotonic clock. */
int64_t auth_now(const struct auth *);

extern channel_handler on_rcpt_check, on_expand, on_table_query,
    on_sender_check, on_callahead_done, on_callahead_keep, on_explain,
    on_backup_query;
/* The reply of a verdict that is no action; 0 as its code for POLICY_WAIT. */
struct recipient_reply;
void rules_refusal(enum policy_kind, struct recipient_reply *);
/* That of policy_refuses_route; 0 if it refuses nothing. */
struct policy_facts;
struct policy_verdict;
int rules_refuse_route(const struct policy_host *, const struct policy_facts *,
    struct policy_verdict *, struct recipient_reply *);
/* Whether an answer was sent; if not, it waits for an account. */
int explain_run(struct auth *, struct channel *, const struct msg_explain *);
/* What master said about an account; a hash is for a login. */
void rules_account(struct auth *, const struct msg_user_answer *);
void rules_peer_down(struct auth *, const struct channel *);
/* Sets up host.lookup and host.user for the generation that holds now. */
void rules_swap(struct auth *);

extern channel_handler on_sasl_begin, on_sasl_step, on_sasl_abort,
    on_client_sasl_begin, on_client_sasl_step, on_client_sasl_abort;
/* Whether the answer was for a login. */
int logins_account(struct auth *, const struct msg_user_answer *);
void logins_peer_down(struct auth *, const struct channel *);

#endif
