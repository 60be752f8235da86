/*
 * See batch.h. Called by whoever changes the queue; the only place that opens
 * and commits a batch of the store while mail flows.
 */
#include <sys/tree.h>

#include <stdlib.h>
#include <string.h>

#include "os/log.h"
#include "queue/batch.h"

struct change {
	RB_ENTRY(change) entry;
	uint32_t msgid;
	struct envelope *env; /* NULL: not read, only removed */
	int removed;
};

static int
change_compare(const struct change *a, const struct change *b)
{
	return a->msgid < b->msgid ? -1 : a->msgid > b->msgid;
}

RB_HEAD(change_tree, change);
RB_GENERATE_INTERNAL(
    change_tree, change, entry, change_compare, static __attribute__((unused)))

struct new_message {
	struct batch_message m;
	enum store_status status;
};

struct batch {
	struct store *st;
	struct bodies *bodies;
	batch_done *done;
	void *arg;
	struct change_tree changes;
	struct new_message *messages;
	uint32_t count;
	uint32_t size;
	uint64_t octets;
};

struct batch *
batch_new(struct store *st, struct bodies *bodies, batch_done *done, void *arg)
{
	struct batch *b;

	if ((b = calloc(1, sizeof(*b))) == NULL)
		return NULL;
	b->st = st;
	b->bodies = bodies;
	b->done = done;
	b->arg = arg;
	RB_INIT(&b->changes);
	return b;
}

static void
free_message(struct batch *b, const struct batch_message *m)
{
	envelope_free(m->env);
	free(m->data);
	body_free(b->bodies, m->body);
}

static void
free_changes(struct batch *b)
{
	struct change *c;

	while ((c = RB_MIN(change_tree, &b->changes)) != NULL) {
		RB_REMOVE(change_tree, &b->changes, c);
		envelope_free(c->env);
		free(c);
	}
}

void
batch_free(struct batch *b)
{
	if (b == NULL)
		return;
	for (uint32_t i = 0; i < b->count; i++)
		free_message(b, &b->messages[i].m);
	free(b->messages);
	free_changes(b);
	free(b);
}

static int
reserve(struct batch *b)
{
	uint32_t size = b->size ? b->size * 2 : BATCH_MESSAGES;
	struct new_message *messages;

	if (b->count < b->size)
		return 0;
	messages = reallocarray(b->messages, size, sizeof(*messages));
	if (messages == NULL)
		return -1;
	b->messages = messages;
	b->size = size;
	return 0;
}

int
batch_put(struct batch *b, const struct batch_message *message)
{
	if (message->env == NULL || !envelope_fit(message->env) ||
	    reserve(b) == -1) {
		free_message(b, message);
		return -1;
	}
	b->messages[b->count++].m = *message;
	if (message->data != NULL)
		b->octets += message->size;
	return 0;
}

static struct change *
find_change(struct batch *b, uint32_t msgid)
{
	struct change key = { .msgid = msgid };

	return RB_FIND(change_tree, &b->changes, &key);
}

static struct change *
new_change(struct batch *b, uint32_t msgid)
{
	struct change *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->msgid = msgid;
	RB_INSERT(change_tree, &b->changes, c);
	return c;
}

struct envelope *
batch_envelope(struct batch *b, uint32_t msgid, enum store_status *status)
{
	struct envelope *env;
	struct change *c;

	*status = STORE_OK;
	if ((c = find_change(b, msgid)) != NULL) {
		if (c->removed)
			*status = STORE_NOTFOUND;
		return c->removed ? NULL : c->env;
	}
	if ((env = envelope_new(msgid)) == NULL)
		log_fatal("out of memory");
	*status = store_read_envelope(b->st, msgid, env);
	if (*status != STORE_OK) {
		envelope_free(env);
		return NULL;
	}
	/* a message is not to be set aside for that */
	if ((c = new_change(b, msgid)) == NULL)
		log_fatal("out of memory");
	c->env = env;
	return env;
}

int
batch_remove(struct batch *b, uint32_t msgid)
{
	struct change *c = find_change(b, msgid);

	if (c == NULL && (c = new_change(b, msgid)) == NULL)
		return -1;
	c->removed = 1;
	return 0;
}

static int
has_changed(const struct change *c)
{
	if (c->removed)
		return 1;
	for (uint32_t n = 0; n < envelope_records(c->env); n++)
		if (envelope_changed(c->env, n))
			return 1;
	return 0;
}

enum batch_need
batch_need(const struct batch *b)
{
	struct change_tree *changes =
	    (struct change_tree *)(uintptr_t)&b->changes;
	struct change *c;

	if (b->count >= BATCH_MESSAGES || b->octets >= BATCH_OCTETS)
		return BATCH_FULL;
	if (b->count > 0)
		return BATCH_MAIL;
	RB_FOREACH (c, change_tree, changes)
		if (has_changed(c))
			return BATCH_CHANGES;
	return BATCH_EMPTY;
}

static enum store_status
write_message(struct batch *b, const struct batch_message *m)
{
	struct store_content content;

	if (m->body == NULL) {
		memset(&content, 0, sizeof(content));
		content.data = m->data;
		content.size = m->size;
		content.crc = m->crc;
	} else if (body_content(m->body, &content) == -1) {
		/* that one is refused; the store has done nothing wrong */
		return STORE_DAMAGED;
	}
	return store_put_message(b->st, m->env, &content);
}

/* New messages, or only the vital ones, into the open batch of the store. -1
 * when it must be aborted. */
static int
write_messages(struct batch *b, int only_vital)
{
	struct new_message *n = b->messages;

	for (uint32_t i = 0; i < b->count; i++, n++) {
		n->status = STORE_FAILED;
		if (only_vital && !n->m.vital)
			continue;
		n->status = write_message(b, &n->m);
		if (n->status == STORE_OK)
			continue;
		if (n->m.vital && (only_vital || n->status != STORE_FAILED))
			store_panic("report %08x cannot be written: %s",
			    n->m.env->msgid, store_strstatus(n->status));
		if (n->status == STORE_FAILED)
			return -1;
	}
	return 0;
}

static void
write_changes(struct batch *b)
{
	enum store_status status = STORE_OK;
	struct change *c;

	RB_FOREACH (c, change_tree, &b->changes) {
		if (c->removed)
			status = store_remove(b->st, c->msgid);
		else if (has_changed(c))
			status = store_put_envelope(b->st, c->env);
		if (status != STORE_OK && status != STORE_NOTFOUND)
			store_panic("a change of %08x cannot be written: %s",
			    c->msgid, store_strstatus(status));
	}
}

static void
begin(struct batch *b)
{
	enum store_status status;

	if ((status = store_batch_begin(b->st)) != STORE_OK)
		store_panic("no batch can begin: %s", store_strstatus(status));
}

void
batch_flush(struct batch *b)
{
	struct new_message *told = b->messages;
	uint32_t count = b->count;

	if (batch_need(b) == BATCH_EMPTY) {
		free_changes(b);
		return;
	}
	begin(b);
	/* messages first, while an abort has nothing else to undo */
	if (write_messages(b, 0) == -1) {
		store_batch_abort(b->st);
		begin(b);
		write_messages(b, 1);
	}
	write_changes(b);
	store_batch_commit(b->st);
	free_changes(b);
	/* the callback may already fill the next batch */
	b->messages = NULL;
	b->count = b->size = 0;
	b->octets = 0;
	for (uint32_t i = 0; i < count; i++) {
		b->done(b->arg, &told[i].m, told[i].status);
		free_message(b, &told[i].m);
	}
	free(told);
}
