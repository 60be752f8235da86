/*
 * Joins both sides of SASL to the channels: finds what is stored for a user,
 * lets the thread hash, counts failures. Secrets stay in here.
 */
#include "config.h"

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "auth/auth.h"
#include "auth/credentials.h"
#include "auth/sasl_client.h"
#include "os/log.h"

enum {
	LOGINS_MAX = 20000,
	/* of an address of this machine the thread has so many at a time, each
	 * of another user: nobody's failures there count for another, and a
	 * webmail's users must not pass one by one between others' guesses */
	INSIDE_AT_ONCE = 16,
	/* of a network: who has 65,536 addresses, as they are counted, must
	 * not fill the thread's line */
	NETWORK_AT_ONCE = 16
};

struct login {
	TAILQ_ENTRY(login) entry;
	TAILQ_ENTRY(login) hash_entry; /* while the thread has it */
	struct auth *auth;
	struct channel *channel; /* NULL: nobody waits any more */
	uint64_t id;
	uint64_t question; /* to master, or 0 */
	int waiting; /* for others of its network that the thread has */
	int hashing; /* the thread has it */
	struct sasl *sasl;
	char *mechanism;
	char *table; /* "" for the system's accounts */
	char *client_addr;
	char address[HISTORY_ADDRESS_SIZE]; /* the same as it is counted */
	char network[HISTORY_ADDRESS_SIZE]; /* and where it belongs */
	int inside; /* it is this machine's */
};

struct client_login {
	TAILQ_ENTRY(client_login) entry;
	struct channel *channel;
	uint64_t id;
	struct sasl_client *sasl;
};

/* ---- towards clients -------------------------------------------------- */

static void
login_free(struct login *l)
{
	TAILQ_REMOVE(&l->auth->logins, l, entry);
	l->auth->nlogins--;
	sasl_free(l->sasl);
	free(l->mechanism);
	free(l->table);
	free(l->client_addr);
	free(l);
}

static struct login *
login_find(struct auth *auth, const struct channel *ch, uint64_t id)
{
	struct login *l;

	TAILQ_FOREACH (l, &auth->logins, entry)
		if (l->channel == ch && l->id == id)
			return l;
	return NULL;
}

/* Drops a login; one that the thread has goes when it comes back. */
static void
login_drop(struct login *l)
{
	l->channel = NULL;
	if (!l->hashing)
		login_free(l);
}

static void
send_reply(struct channel *ch, uint64_t id, enum sasl_status status,
    const struct sasl *sasl)
{
	struct msg_sasl_reply r = { .id = id, .status = (uint8_t)status };
	const uint8_t *octets;
	size_t len;

	if (sasl != NULL) {
		r.user = sasl_user(sasl);
		if (status == SASL_CONTINUE || status == SASL_OK) {
			octets = sasl_challenge(sasl, &len);
			r.challenge = ipc_blob(octets, len);
		}
	}
	if (ipc_send(ch, sasl_reply, &r) == -1)
		log_warn("an answer to a login could not be sent");
}

static void
login_end(struct login *l, enum sasl_status status)
{
	if (l->channel != NULL)
		send_reply(l->channel, l->id, status, l->sasl);
	else if (status == SASL_DENIED)
		/* smtpd, which would say so, has the client no more */
		log_event(0, "authentication-failed", "user",
		    sasl_user(l->sasl), "mechanism", l->mechanism, "address",
		    l->client_addr, NULL);
	login_free(l);
}

/* The entry whose kind of hash one who does not exist is held against. */
static const char *
table_model(const struct auth *auth, const char *table, const char *user)
{
	size_t count = tables_count(auth->now.tables, table);
	size_t n = credentials_model(user, auth->secret, count);
	const char *value = NULL;

	if (tables_entry(auth->now.tables, table, n, NULL, &value) !=
	    LOOKUP_FOUND)
		return NULL;
	return value;
}

static void login_go_on(struct login *, enum sasl_state);

/* How many logins of this network the thread has. */
static unsigned int
network_hashes(const struct auth *auth, const char *network)
{
	const struct login *l;
	unsigned int n = 0;

	TAILQ_FOREACH (l, &auth->hashing, hash_entry)
		n += strcmp(l->network, network) == 0;
	return n;
}

/* Whether what the thread has may count for this one, or is all that its
 * network may have. */
static int
must_wait(const struct login *l)
{
	const struct login *o;
	unsigned int n = 0;

	if (!l->inside &&
	    network_hashes(l->auth, l->network) >= NETWORK_AT_ONCE)
		return 1;
	TAILQ_FOREACH (o, &l->auth->hashing, hash_entry) {
		if (strcmp(o->address, l->address) != 0)
			continue;
		if (!l->inside || ++n == INSIDE_AT_ONCE ||
		    strcasecmp(sasl_user(o->sasl), sasl_user(l->sasl)) == 0)
			return 1;
	}
	return 0;
}

/* The thread is done with a login of this network: the next one's turn. */
static void
next_turn(struct auth *auth, const char *network)
{
	unsigned int n = network_hashes(auth, network);
	struct login *l, *next;

	for (l = TAILQ_FIRST(&auth->logins); l != NULL; l = next) {
		next = TAILQ_NEXT(l, entry);
		if (!l->waiting || strcmp(l->network, network) != 0)
			continue;
		login_go_on(l, SASL_WANT_VERDICT);
		if (network_hashes(auth, network) > n)
			return;
	}
}

static void
on_verdict(void *arg, int fits)
{
	char network[HISTORY_ADDRESS_SIZE];
	struct login *l = arg;
	struct auth *auth = l->auth;

	memcpy(network, l->network, sizeof(network));
	l->hashing = 0;
	TAILQ_REMOVE(&auth->hashing, l, hash_entry);
	/* a guess counts though nobody waits for its verdict */
	login_go_on(l, sasl_verdict(l->sasl, fits));
	next_turn(auth, network);
}

/* Whether too many of the client's logins have failed. */
static int
login_locked(const struct login *l)
{
	struct auth *auth = l->auth;
	const char *name = sasl_user(l->sasl);

	if (history_wait(auth->history, l->client_addr, name, auth_now(auth)) ==
	    0)
		return 0;
	log_event(
	    0, "login-locked", "user", name, "address", l->client_addr, NULL);
	return 1;
}

/* Has the password hashed. 0 when the verdict will come later. One login of an
 * address at a time, or of a user: what became of it counts before the next is
 * tried, and nobody's guesses fill the thread's line. */
static int
login_verify(struct login *l)
{
	const char *stored, *password;

	l->waiting = must_wait(l);
	if (l->waiting)
		return 0;
	if (login_locked(l))
		return -1;
	sasl_question(l->sasl, &stored, &password);
	if (hasher_verify(l->auth->hasher, stored, password, on_verdict, l) ==
	    -1)
		return -1;
	l->hashing = 1;
	TAILQ_INSERT_TAIL(&l->auth->hashing, l, hash_entry);
	return 0;
}

/* Finds what is stored. 0 when the answer will come later. */
static int
login_look_up(struct login *l, enum sasl_state *state)
{
	struct auth *auth = l->auth;
	const char *name = sasl_user(l->sasl), *stored = NULL;
	struct msg_user_query q = { .name = name, .want_hash = 1 };

	if (login_locked(l)) {
		*state = SASL_FAULT;
		return 1;
	}
	if (*l->table != '\0') {
		switch (tables_lookup(auth->now.tables, l->table,
		    CONF_SERVICE_CREDENTIALS, name, &stored)) {
		case LOOKUP_FOUND:
		case LOOKUP_NONE:
			*state = sasl_stored(l->sasl,
			    stored != NULL && *stored != '\0' ? stored : NULL,
			    table_model(auth, l->table, name));
			return 1;
		default:
			*state = SASL_FAULT;
			return 1;
		}
	}
	q.id = l->question = ++auth->last_id | LOGIN_QUESTION;
	if (ipc_send(worker_master(auth->worker), user_query, &q) == 0)
		return 0;
	/* no account has a name that fits no question */
	l->question = 0;
	*state = sasl_stored(l->sasl, NULL, NULL);
	return 1;
}

static void
login_count(struct login *l, enum sasl_state state)
{
	struct auth *auth = l->auth;
	const char *name = sasl_user(l->sasl);

	if (state == SASL_ACCEPTED)
		history_success(
		    auth->history, l->client_addr, name, auth_now(auth));
	else if (*name != '\0')
		history_failure(auth->history, l->client_addr, l->inside, name,
		    auth_now(auth));
}

static void
login_go_on(struct login *l, enum sasl_state state)
{
	if (state == SASL_WANT_STORED && !login_look_up(l, &state))
		return;
	if (state == SASL_WANT_VERDICT) {
		if (login_verify(l) == 0)
			return;
		state = SASL_FAULT;
	}
	switch (state) {
	case SASL_WANT_RESPONSE:
		send_reply(l->channel, l->id, SASL_CONTINUE, l->sasl);
		break;
	case SASL_ACCEPTED:
		login_count(l, state);
		login_end(l, SASL_OK);
		break;
	case SASL_REFUSED:
		login_count(l, state);
		login_end(l, SASL_DENIED);
		break;
	case SASL_BROKEN:
		login_count(l, state);
		login_end(l, SASL_MALFORMED);
		break;
	default:
		login_end(l, SASL_TEMPFAIL);
		break;
	}
}

/* Whether a listener lets its clients log in by this table. An smtpd that was
 * taken over must not learn by guesses what no listener would tell. */
static int
table_is_offered(const struct auth *auth, const char *table)
{
	const struct conf *conf = auth->now.conf;

	for (uint32_t i = 0; i < conf->nlisteners; i++) {
		const struct conf_listener *l = &conf->listeners[i];

		if (l->auth != CONF_AUTH_NONE &&
		    strcmp(table, l->auth_table != NULL ? l->auth_table : "") ==
			0)
			return 1;
	}
	return 0;
}

void
on_sasl_begin(void *arg, struct channel *ch, const union ipc_msg *msg, int fd)
{
	const struct msg_sasl_begin *m = &msg->sasl_begin;
	struct auth *auth = arg;
	struct login *l;

	/* an id that is in use ends what it stood for */
	if ((l = login_find(auth, ch, m->id)) != NULL)
		login_drop(l);
	if (auth->nlogins >= LOGINS_MAX || !table_is_offered(auth, m->table) ||
	    (l = calloc(1, sizeof(*l))) == NULL) {
		send_reply(ch, m->id, SASL_TEMPFAIL, NULL);
		return;
	}
	l->auth = auth;
	l->channel = ch;
	l->id = m->id;
	l->mechanism = strdup(m->mechanism);
	l->table = strdup(m->table);
	l->client_addr = strdup(m->client_addr);
	history_address(l->address, m->client_addr);
	history_network(l->network, m->client_addr);
	l->inside = m->inside;
	l->sasl = sasl_new(m->mechanism, m->channel_binding.data,
	    m->channel_binding.len, auth->secret);
	TAILQ_INSERT_TAIL(&auth->logins, l, entry);
	auth->nlogins++;
	if (l->mechanism == NULL || l->table == NULL || l->client_addr == NULL)
		login_end(l, SASL_TEMPFAIL);
	else if (l->sasl == NULL)
		login_end(l, SASL_UNSUPPORTED);
	else
		login_go_on(l,
		    sasl_begin(l->sasl,
			m->has_initial ? m->initial.len > 0
				? m->initial.data
				: (const uint8_t *)""
				       : NULL,
			m->initial.len));
}

void
on_sasl_step(void *arg, struct channel *ch, const union ipc_msg *msg, int fd)
{
	const struct msg_sasl_step *m = &msg->sasl_step;
	struct login *l = login_find(arg, ch, m->id);

	if (l == NULL)
		send_reply(ch, m->id, SASL_TEMPFAIL, NULL);
	else if (l->waiting || l->hashing || l->question != 0)
		/* an answer before the challenge */
		login_drop(l);
	else if (*sasl_user(l->sasl) != '\0' && login_locked(l))
		/* others may have failed since its challenge */
		login_end(l, SASL_TEMPFAIL);
	else
		login_go_on(l,
		    sasl_respond(l->sasl,
			m->response.len > 0 ? m->response.data
					    : (const uint8_t *)"",
			m->response.len));
}

void
on_sasl_abort(void *arg, struct channel *ch, const union ipc_msg *msg, int fd)
{
	struct login *l = login_find(arg, ch, msg->sasl_abort.id);

	if (l != NULL)
		login_drop(l);
}

int
logins_account(struct auth *auth, const struct msg_user_answer *m)
{
	struct login *l;

	if ((m->id & LOGIN_QUESTION) == 0)
		return 0;
	TAILQ_FOREACH (l, &auth->logins, entry)
		if (l->question == m->id)
			break;
	if (l == NULL)
		return 1;
	l->question = 0;
	if (m->status == LOOKUP_TEMPFAIL)
		login_end(l, SASL_TEMPFAIL);
	else
		login_go_on(l,
		    sasl_stored(l->sasl,
			m->status == LOOKUP_FOUND && *m->hash != '\0' ? m->hash
								      : NULL,
			NULL));
	return 1;
}

/* ---- towards smarthosts ----------------------------------------------- */

static void
client_login_free(struct auth *auth, struct client_login *l)
{
	TAILQ_REMOVE(&auth->client_logins, l, entry);
	auth->nlogins--;
	sasl_client_free(l->sasl);
	free(l);
}

static struct client_login *
client_login_find(struct auth *auth, const struct channel *ch, uint64_t id)
{
	struct client_login *l;

	TAILQ_FOREACH (l, &auth->client_logins, entry)
		if (l->channel == ch && l->id == id)
			return l;
	return NULL;
}

/* The secret that the action has for a label of its relay URLs; LOOKUP_NONE
 * when the configuration names none. */
static enum lookup_status
find_credentials(const struct auth *auth, const char *action_name,
    const char *label, const char **credentials)
{
	const struct conf_action *action =
	    conf_find_action(auth->now.conf, action_name);

	if (action == NULL || action->kind != CONF_ACTION_RELAY ||
	    action->relay.auth == NULL || *label == '\0')
		return LOOKUP_NONE;
	return tables_lookup(auth->now.tables, action->relay.auth,
	    CONF_SERVICE_RELAY_AUTH, label, credentials);
}

static void
client_reply(struct channel *ch, uint64_t id, enum sasl_status status,
    const char *mechanism, const uint8_t *response, size_t len)
{
	struct msg_client_sasl_reply r = { .id = id,
		.status = (uint8_t)status,
		.mechanism = mechanism,
		.response = ipc_blob(response, len) };

	if (ipc_send(ch, client_sasl_reply, &r) == -1)
		log_warn("a response to a smarthost could not be sent");
}

static void
client_login_step(struct auth *auth, struct client_login *l,
    const uint8_t *challenge, size_t challenge_len)
{
	const uint8_t *response;
	size_t len;
	enum sasl_status status = sasl_client_step(
	    l->sasl, challenge, challenge_len, &response, &len);

	client_reply(l->channel, l->id, status, sasl_client_mechanism(l->sasl),
	    response, len);
	if (status != SASL_CONTINUE)
		client_login_free(auth, l);
}

void
on_client_sasl_begin(
    void *arg, struct channel *ch, const union ipc_msg *msg, int fd)
{
	const struct msg_client_sasl_begin *m = &msg->client_sasl_begin;
	enum sasl_status status = SASL_TEMPFAIL;
	const char *credentials = NULL;
	struct client_login *l = NULL;
	struct auth *auth = arg;

	if ((l = client_login_find(auth, ch, m->id)) != NULL)
		client_login_free(auth, l);
	/* one side of a reload, which may have given the label to another host:
	 * its password is not for this one */
	if (m->generation != worker_generation(auth->worker) ||
	    find_credentials(auth, m->action, m->label, &credentials) !=
		LOOKUP_FOUND ||
	    auth->nlogins >= LOGINS_MAX ||
	    (l = calloc(1, sizeof(*l))) == NULL) {
		client_reply(ch, m->id, status, "", NULL, 0);
		return;
	}
	l->sasl = sasl_client_new(m->mechanisms, m->channel_binding.data,
	    m->channel_binding.len, credentials, &status);
	if (l->sasl == NULL) {
		free(l);
		client_reply(ch, m->id, status, "", NULL, 0);
		return;
	}
	l->channel = ch;
	l->id = m->id;
	TAILQ_INSERT_TAIL(&auth->client_logins, l, entry);
	auth->nlogins++;
	client_login_step(auth, l, NULL, 0);
}

void
on_client_sasl_step(
    void *arg, struct channel *ch, const union ipc_msg *msg, int fd)
{
	const struct msg_client_sasl_step *m = &msg->client_sasl_step;
	struct client_login *l = client_login_find(arg, ch, m->id);

	if (l != NULL)
		client_login_step(arg, l, m->challenge.data, m->challenge.len);
	else
		client_reply(ch, m->id, SASL_TEMPFAIL, "", NULL, 0);
}

void
on_client_sasl_abort(
    void *arg, struct channel *ch, const union ipc_msg *msg, int fd)
{
	struct client_login *l =
	    client_login_find(arg, ch, msg->client_sasl_abort.id);

	if (l != NULL)
		client_login_free(arg, l);
}

void
logins_peer_down(struct auth *auth, const struct channel *ch)
{
	struct client_login *c, *next_c;
	struct login *l, *next_l;

	for (l = TAILQ_FIRST(&auth->logins); l != NULL; l = next_l) {
		next_l = TAILQ_NEXT(l, entry);
		if (l->channel == ch)
			login_drop(l);
	}
	for (c = TAILQ_FIRST(&auth->client_logins); c != NULL; c = next_c) {
		next_c = TAILQ_NEXT(c, entry);
		if (c->channel == ch)
			client_login_free(auth, c);
	}
}
