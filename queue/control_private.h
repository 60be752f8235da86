/*
 * What the files of the control socket share: a connection, the question it
 * has pending, and how rows are made.
 */
#ifndef QUEUE_CONTROL_PRIVATE_H
#define QUEUE_CONTROL_PRIVATE_H

#include <sys/queue.h>

#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "os/spare.h"
#include "queue/control.h"
#include "queue/envelope.h"

#define CONTROL_WORDS 64
#define CONTROL_NAME_MAX 64 /* octets of the name of a backup */
/* Recipients that a step looks at: their rows, or changes, are a few
 * milliseconds of work, for which mail waits. */
#define CONTROL_STEP 1000

/* ---- words (pure) ----------------------------------------------------- */

/* Which filters a question takes. */
enum control_filters {
	CONTROL_NO_FILTER,
	CONTROL_DOMAIN, /* --domain alone */
	CONTROL_FILTERS /* all */
};

/* Which recipients a question is about. Globs know `*` alone and no case. */
struct control_filter {
	const char *from;
	const char *to;
	const char *domain;
	const char *state; /* as rows show it */
	int64_t older; /* seconds since arrival, 0: any */
	uint32_t limit; /* recipients, 0: any */
	uint32_t begin; /* --after: the message to begin with, 0: any, ... */
	uint32_t begin_rcpt; /* ... and the index, maybe of no recipient */
	/* by enum control_filters: one given that this leaves out, or NULL */
	const char *beyond[CONTROL_FILTERS + 1];
};

/* Takes the filters out of words from *count on; what is left of words are
 * the others. -1 with the reason in error. */
int control_parse_filter(const char **words, size_t *count,
    struct control_filter *, char *error, size_t size);
/* 8 digits name a message, 16 one recipient of it. 0 or -1. */
int control_parse_id(const char *, uint32_t *msgid, uint32_t *rcpt);
/* 90, 15m, 4h, 5d as seconds; -1 if it is nothing like it. */
int64_t control_parse_age(const char *);
int control_glob(const char *pattern, const char *text);
/* Whether this may be the name of a backup: letters, digits and `.`, `_`, `-`,
 * the first of them no dot, and no `.part` at its end, which one has that is
 * not complete. */
int control_valid_name(const char *);
/* The recipient's address before what a table or .forward made of it. */
const char *control_given(
    const struct envelope *, const struct envelope_rcpt *);
int control_match(const struct control_filter *, const struct envelope *,
    const struct envelope_rcpt *, const char *state, int64_t now);

/* ---- connections ------------------------------------------------------ */

struct control_conn;

/* Goes on with an answer: 1 while there is more, 0 when it has ended itself
 * with control_end. Called whenever the asker has room. */
typedef int control_step(struct control_conn *);

struct control_conn {
	TAILQ_ENTRY(control_conn) entry;
	struct control *control;
	uint64_t id; /* names it to master and deliver */
	char user[65];
	int admin;
	char tag[CONF_TAG_MAX + 1]; /* of sessions that he opens */
	int has_session; /* he opened one, and may not have fetched it */
	int fd; /* until the channel has it, else -1 */
	struct channel *channel;
	int64_t deadline; /* loop_now; 0: none */

	/* the question under way */
	int busy;
	uint32_t request;
	const char **words; /* lead into text */
	char *text; /* all words with their NULs */
	size_t word_count;
	size_t arg; /* the first word after those of the verb */
	struct control_filter filter;
	control_step *step; /* NULL: waits for somebody's answer */
	uint32_t next; /* message id to go on from ... */
	uint32_t next_rcpt; /* ... and the recipient, if it is still there */
	uint64_t cursor;
	uint32_t matched; /* recipients that a walk was about so far */
	uint32_t lost; /* rows that found no room in a message */
	uint32_t changed;
	void *state; /* of the step */
	void (*state_free)(void *);
	unsigned waiting; /* peers of kind `asked` yet to answer */
	enum process_kind asked;
	int64_t wake; /* loop_now of monitor's next row */
};

struct control {
	struct control_env env;
	struct event *accept_event;
	struct event *accept_pause;
	int must_wait; /* the last accept found no descriptor */
	struct spare spare; /* for a connection and what asks whose it is */
	struct event *timer;
	int listen_fd;
	TAILQ_HEAD(control_conns, control_conn) conns;
	unsigned count;
	uint64_t next_id;
	uint16_t next_smtpd;
	int backing_up; /* one backup at a time */
};

/* A row under construction; strings are lent until control_row_send. */
struct control_row {
	struct ipc_buf fields;
};
void control_field(struct control_row *, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void control_row_send(struct control_conn *, struct control_row *);
/* Ends the answer; NULL is success. */
void control_end(struct control_conn *, const char *error);
/* Ends it with a row that counts what was changed. */
void control_end_count(struct control_conn *, uint32_t count);
/* Whether this asker may see the message. */
int control_may_see(const struct control_conn *, const struct envelope *);
/* Whether a question with an id has no filter; ends it if it has. */
int control_is_unfiltered(struct control_conn *);
/* The envelope that the first argument names, and which recipient of it, or
 * UINT32_MAX. NULL after ending. */
struct envelope *control_read_named(struct control_conn *, uint32_t *rcpt);
/* What becomes of a recipient, as rows show it. */
const char *control_state(const struct control_conn *, uint32_t msgid,
    uint32_t rcpt, const struct envelope_rcpt *, int64_t *next,
    int64_t *expiry);

/* Why a recipient is held, and what to do; id is how the operator names it. */
void control_held_text(const struct control_conn *,
    const struct envelope_rcpt *, const char *id, char *text, size_t size);
/* What `show routes` waits for: the hosts of actions. */
void control_relays(struct control_conn *, const struct msg_relay_answer *);
/* A recipient that is not done and that the filters of the question match,
 * with what control_state says of it. The store must not be changed. */
typedef void control_visit(struct control_conn *, const struct envelope *,
    uint32_t index, const char *state, int64_t next, int64_t expiry);
/* One step through all recipients from c->next and c->next_rcpt on, which then
 * say where the next step begins. 1 while there is more, 0 at the end, -1
 * after ending the answer. */
int control_walk(struct control_conn *, control_visit *);

/* The answer to explain, as rows. */
void control_explain_rows(struct control_conn *, const struct msg_explained *);

/* One verb: words separated by spaces. start either answers at once with
 * control_end, or sets step, or waits for an answer of somebody. */
struct control_verb {
	const char *words;
	int admin;
	unsigned min_args;
	unsigned max_args;
	void (*start)(struct control_conn *);
	enum control_filters filters; /* those that it takes */
};
extern const struct control_verb control_show_verbs[];
extern const struct control_verb control_act_verbs[];
extern const struct control_verb control_care_verbs[];
extern const struct control_verb control_explain_verbs[];

#endif
