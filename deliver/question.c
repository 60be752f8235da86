/*
 * See question.h. Ids are never used twice in the life of a process, so a late
 * answer cannot meet another question.
 */
#include "config.h"

#include <stdlib.h>
#include <sys/tree.h>

#include "deliver/question.h"
#include "ipc/worker.h"
#include "net/loop.h"

enum {
	TIMEOUT = 60 * 1000 /* milliseconds */
};

struct question {
	RB_ENTRY(question) entry;
	uint64_t id;
	enum process_kind peer;
	enum msg_type kind; /* of the message that asked */
	int64_t deadline;
	question_done *done;
	void *arg;
};

RB_HEAD(question_tree, question);

struct questions {
	struct deliver *deliver;
	struct question_tree tree;
	uint64_t next_id;
};

static int
compare(const struct question *a, const struct question *b)
{
	return a->id < b->id ? -1 : a->id > b->id;
}

RB_GENERATE_INTERNAL(
    question_tree, question, entry, compare, __attribute__((unused)) static)

struct questions *
questions_new(struct deliver *deliver)
{
	struct questions *qs;

	if ((qs = calloc(1, sizeof(*qs))) == NULL)
		return NULL;
	qs->deliver = deliver;
	qs->next_id = 1;
	RB_INIT(&qs->tree);
	return qs;
}

static void
forget(struct questions *qs, struct question *q)
{
	RB_REMOVE(question_tree, &qs->tree, q);
	free(q);
}

void
questions_free(struct questions *qs)
{
	struct question *q;

	if (qs == NULL)
		return;
	while ((q = RB_MIN(question_tree, &qs->tree)) != NULL)
		forget(qs, q);
	free(qs);
}

static struct channel *
peer(struct questions *qs, enum process_kind kind)
{
	return worker_peer(qs->deliver->worker, kind, 0);
}

/* Sends a message whose id is the new question's. */
static struct question *
ask(struct questions *qs, enum process_kind kind, enum msg_type type,
    const void *msg, uint64_t *id, question_done *done, void *arg)
{
	struct channel *ch = peer(qs, kind);
	struct question *q;

	if (ch == NULL || (q = calloc(1, sizeof(*q))) == NULL)
		return NULL;
	*id = q->id = qs->next_id++;
	q->peer = kind;
	q->kind = type;
	q->deadline = loop_now(qs->deliver->loop) + TIMEOUT;
	q->done = done;
	q->arg = arg;
	if (channel_send(ch, type, msg, -1) == -1) {
		free(q);
		return NULL;
	}
	RB_INSERT(question_tree, &qs->tree, q);
	return q;
}

struct question *
question_dns(struct questions *qs, uint16_t type, const char *name,
    question_done *done, void *arg)
{
	struct msg_dns_query m = { .type = type, .name = name };

	return ask(qs, PROC_RESOLVER, MSG_dns_query, &m, &m.id, done, arg);
}

struct question *
question_table(struct questions *qs, const char *table,
    enum conf_service service, const char *key, question_done *done, void *arg)
{
	struct msg_table_query m = {
		.table = table, .service = (uint8_t)service, .key = key
	};

	return ask(qs, PROC_AUTH, MSG_table_query, &m, &m.id, done, arg);
}

struct question *
question_sasl(struct questions *qs, const struct msg_client_sasl_begin *begin,
    question_done *done, void *arg)
{
	struct msg_client_sasl_begin m = *begin;

	return ask(qs, PROC_AUTH, MSG_client_sasl_begin, &m, &m.id, done, arg);
}

int
question_sasl_step(
    struct questions *qs, struct question *q, const void *data, size_t len)
{
	struct msg_client_sasl_step m = { .id = q->id,
		.challenge = ipc_blob(data, len) };
	struct channel *ch = peer(qs, PROC_AUTH);

	q->deadline = loop_now(qs->deliver->loop) + TIMEOUT;
	return ch == NULL ? -1 : ipc_send(ch, client_sasl_step, &m);
}

void
question_cancel(struct questions *qs, struct question *q)
{
	struct channel *ch;

	if (q == NULL)
		return;
	if ((ch = peer(qs, q->peer)) != NULL) {
		struct msg_dns_cancel dns = { .id = q->id };
		struct msg_client_sasl_abort sasl = { .id = q->id };

		if (q->kind == MSG_dns_query)
			ipc_send(ch, dns_cancel, &dns);
		else if (q->kind == MSG_client_sasl_begin)
			ipc_send(ch, client_sasl_abort, &sasl);
	}
	forget(qs, q);
}

void
questions_answer(struct questions *qs, struct channel *ch, enum msg_type type,
    uint64_t id, const union ipc_msg *answer)
{
	static const enum msg_type answers[MSG_MAX] = {
		[MSG_dns_query] = MSG_dns_answer,
		[MSG_table_query] = MSG_table_answer,
		[MSG_client_sasl_begin] = MSG_client_sasl_reply,
	};
	struct question key = { .id = id }, *q;
	question_done *done;
	void *arg;

	if ((q = RB_FIND(question_tree, &qs->tree, &key)) == NULL)
		return;
	/* each kind of answer has members of its own in the union */
	if (answers[q->kind] != type || q->peer != channel_peer(ch)) {
		channel_refuse(ch, "an answer to what it was not asked");
		return;
	}
	done = q->done;
	arg = q->arg;
	if (q->kind != MSG_client_sasl_begin)
		forget(qs, q);
	done(arg, answer);
}

/* A callback may ask and cancel, so the tree is searched anew each time. */
static void
give_up(struct questions *qs, int (*match)(const struct question *, int64_t),
    int64_t value)
{
	struct question *q;
	question_done *done;
	void *arg;

	do {
		RB_FOREACH (q, question_tree, &qs->tree)
			if (match(q, value))
				break;
		if (q == NULL)
			return;
		done = q->done;
		arg = q->arg;
		question_cancel(qs, q);
		done(arg, NULL);
	} while (1);
}

static int
is_for_peer(const struct question *q, int64_t kind)
{
	return (int64_t)q->peer == kind;
}

static int
is_late(const struct question *q, int64_t now)
{
	return q->deadline <= now;
}

void
questions_peer_down(struct questions *qs, enum process_kind kind)
{
	give_up(qs, is_for_peer, kind);
}

void
questions_tick(struct questions *qs)
{
	give_up(qs, is_late, loop_now(qs->deliver->loop));
}
