/*
 * See ingest.h. A submit comes from smtpd, which may have been taken over:
 * its form is checked by the decoder, what it says is checked here.
 */
#include <sys/tree.h>

#include <stdlib.h>
#include <string.h>

#include <libdeflate.h>

#include "os/log.h"
#include "queue/ingest.h"
#include "smtp/address.h"

const struct msg_queue_status ingest_no_room = {
	.code = 452, .enhanced = "4.3.1", .text = "Insufficient system storage"
};

static void
answer(struct ingest *in, uint32_t sender, uint64_t id, uint32_t msgid,
    uint16_t code, const char *enhanced, const char *text)
{
	struct msg_submitted m = { .id = id,
		.msgid = msgid,
		.code = code,
		.enhanced = enhanced,
		.text = text };

	in->ops->answer(in->arg, sender, &m);
}

/* A recipient of a message that comes in. */
struct named {
	RB_ENTRY(named) entry;
	struct msg_rcpt_spec spec;
};

/* Two are one if the reports that are asked for are the same, too. */
static int
named_compare(const struct named *a, const struct named *b)
{
	int order = address_order(a->spec.address, b->spec.address);

	if (order == 0)
		order = strcmp(a->spec.orcpt, b->spec.orcpt);
	return order != 0 ? order : a->spec.notify - b->spec.notify;
}

RB_HEAD(named_tree, named);
RB_GENERATE_INTERNAL(
    named_tree, named, entry, named_compare, static __attribute__((unused)))

static void
add_rcpt(
    struct ingest *in, struct envelope *env, const struct msg_rcpt_spec *spec)
{
	struct envelope_rcpt r;

	envelope_rcpt_init(&r);
	r.address = spec->address;
	r.orcpt = spec->orcpt;
	r.notify = spec->notify & ENVELOPE_ASKED;
	r.action = spec->action;
	r.state = (uint8_t)in->ops->first_state(in->arg, spec->action);
	r.routed = r.state == ENVELOPE_READY;
	envelope_add(env, &r);
}

/* Who is named twice, in To and in Cc say, gets one message. -1 when there is
 * no memory. */
static int
add_rcpts(struct ingest *in, struct envelope *env, struct ipc_list list)
{
	struct named_tree tree = RB_INITIALIZER(&tree);
	struct named *all = calloc(list.count, sizeof(*all));

	if (all == NULL)
		return -1;
	for (struct named *n = all; list.count > 0; n++) {
		ipc_next_rcpt_spec(&list, &n->spec);
		if (RB_INSERT(named_tree, &tree, n) == NULL)
			add_rcpt(in, env, &n->spec);
	}
	free(all);
	return 0;
}

static struct envelope *
make_envelope(struct ingest *in, const struct msg_submit *m, int64_t now)
{
	struct envelope *env;

	if ((env = envelope_new(m->msgid)) == NULL)
		return NULL;
	env->session = m->session;
	/* what only the queue itself may claim */
	env->flags = m->flags & ~(uint32_t)MAIL_DSN;
	env->ret = m->ret;
	env->size = m->size;
	env->arrival = now;
	envelope_set(env, &env->sender, m->sender);
	envelope_set(env, &env->envid, m->envid);
	envelope_set(env, &env->client_addr, m->client_addr);
	envelope_set(env, &env->client_name, m->client_name);
	envelope_set(env, &env->helo, m->helo);
	envelope_set(env, &env->auth_user, m->auth_user);
	envelope_set(env, &env->tag, m->tag);
	if (add_rcpts(in, env, m->rcpts) == -1) {
		envelope_free(env);
		return NULL;
	}
	return env;
}

/* Copies the body that came inside the submit. */
static int
take_inline(struct batch_message *bm, const struct ipc_blob *body)
{
	if ((bm->data = malloc(body->len + 1)) == NULL)
		return -1;
	if (body->len > 0)
		memcpy(bm->data, body->data, body->len);
	bm->size = body->len;
	bm->crc = libdeflate_crc32(0, bm->data, body->len);
	return 0;
}

/* A message whose body is on its way to the disk. */
struct ingest_wait {
	LIST_ENTRY(ingest_wait) entry;
	struct batch_message bm;
};

static void
refuse_for_memory(
    struct ingest *in, const struct batch_message *bm, uint32_t msgid)
{
	answer(in, bm->sender, bm->id, msgid, 451, "4.3.0", "Out of memory");
}

static void
discard(struct ingest *in, struct batch_message *bm)
{
	envelope_free(bm->env);
	free(bm->data);
	body_free(in->bodies, bm->body);
}

static void
put(struct ingest *in, const struct batch_message *bm)
{
	uint32_t msgid = bm->env->msgid;

	if (batch_put(in->batch, bm) == -1)
		refuse_for_memory(in, bm, msgid);
	else if (batch_need(in->batch) == BATCH_FULL)
		batch_flush(in->batch);
}

/* Small messages go by while a large one is made durable. */
static void
put_or_wait(struct ingest *in, struct batch_message *bm)
{
	struct ingest_wait *w;

	if (bm->body != NULL)
		body_seal(bm->body, bm->env->msgid);
	if (bm->body == NULL || !body_is_pending(bm->body)) {
		put(in, bm);
		return;
	}
	if ((w = malloc(sizeof(*w))) == NULL) {
		refuse_for_memory(in, bm, bm->env->msgid);
		discard(in, bm);
		return;
	}
	w->bm = *bm;
	LIST_INSERT_HEAD(&in->waits, w, entry);
}

void
ingest_progress(struct ingest *in)
{
	struct ingest_wait *w, *next;

	for (w = LIST_FIRST(&in->waits); w != NULL; w = next) {
		next = LIST_NEXT(w, entry);
		if (body_is_pending(w->bm.body))
			continue;
		LIST_REMOVE(w, entry);
		put(in, &w->bm);
		free(w);
	}
}

void
ingest_drop(struct ingest *in, uint32_t sender)
{
	struct ingest_wait *w, *next;

	for (w = LIST_FIRST(&in->waits); w != NULL; w = next) {
		next = LIST_NEXT(w, entry);
		if (w->bm.sender != sender)
			continue;
		LIST_REMOVE(w, entry);
		discard(in, &w->bm);
		free(w);
	}
}

int
ingest_is_waiting(const struct ingest *in)
{
	return !LIST_EMPTY(&in->waits);
}

/* Whether the message is taken now, and if not, how that is said. What a file
 * of its own has is on the disk already. */
static const struct msg_queue_status *
admit(struct ingest *in, const struct msg_submit *m)
{
	uint64_t octets = m->size < STORE_INLINE ? m->size : STORE_INLINE;

	octets += m->rcpts.len;
	if (!in->standing.accepting)
		return &in->standing;
	if (octets > in->room)
		return &ingest_no_room;
	in->room -= octets;
	return NULL;
}

int
ingest_submit(
    struct ingest *in, uint32_t sender, const struct msg_submit *m, int64_t now)
{
	struct batch_message bm = { .sender = sender, .id = m->id };
	const struct msg_queue_status *refusal;

	if (m->rcpts.count == 0 || m->ret >= RET_MAX || m->body_sent > 1 ||
	    m->size > INT64_MAX || (m->body_sent && m->body.len > 0) ||
	    idblock_use(in->ids, sender, m->msgid) == -1)
		return -1;
	if (m->body_sent &&
	    (bm.body = bodies_take(in->bodies, sender, m->id)) == NULL)
		return -1;
	if ((refusal = admit(in, m)) != NULL) {
		body_free(in->bodies, bm.body);
		answer(in, sender, m->id, m->msgid, refusal->code,
		    refusal->enhanced, refusal->text);
		return 0;
	}
	/* of a body in pieces none may have been lost on the way */
	if ((m->body_sent ? body_is_whole(bm.body, m->size)
			  : take_inline(&bm, &m->body) == 0) &&
	    (bm.env = make_envelope(in, m, now)) != NULL) {
		put_or_wait(in, &bm);
		return 0;
	}
	discard(in, &bm);
	refuse_for_memory(in, &bm, m->msgid);
	return 0;
}

void
ingest_done(
    struct ingest *in, const struct batch_message *bm, enum store_status status)
{
	switch (status) {
	case STORE_OK:
		in->messages++;
		answer(in, bm->sender, bm->id, bm->env->msgid, 250, "2.0.0",
		    "Message accepted");
		in->ops->accepted(in->arg, bm->env);
		return;
	case STORE_EXISTS:
		/* the queue gave out an id twice: nothing was harmed */
		log_error("message id %08x is taken", bm->env->msgid);
		break;
	default:
		break;
	}
	answer(in, bm->sender, bm->id, bm->env->msgid, 452, "4.3.1",
	    "The message cannot be stored now");
}
