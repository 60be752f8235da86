/*
 * See envelope.h. Owns the memory of an envelope: an arena for its strings,
 * one array for its recipients, and the marks of which records changed.
 * Trusts its caller, who is the queue process; envelope_codec.c deals with
 * octets that nobody vouches for.
 */
#include <stdlib.h>
#include <string.h>

#include "ipc/enums.h"
#include "queue/envelope.h"
#include "queue/envelope_priv.h"

enum { ARENA_FIRST = 1024, ARENA_LARGEST = 1 << 20 };

static const char absent[] = "";

/* n octets that live as long as the envelope, NULL without memory. */
char *
envelope_alloc(struct envelope *env, size_t n)
{
	struct envelope_priv *priv = env->priv;
	struct envelope_block *block = priv->blocks;
	size_t size;

	if (block == NULL || block->size - block->used < n) {
		size = block == NULL ? ARENA_FIRST : block->size * 2;
		if (size > ARENA_LARGEST)
			size = ARENA_LARGEST;
		if (size < n)
			size = n;
		if ((block = malloc(sizeof(*block) + size)) == NULL) {
			priv->unfit = 1;
			return NULL;
		}
		block->size = size;
		block->used = 0;
		block->next = priv->blocks;
		priv->blocks = block;
	}
	block->used += n;
	return block->data + block->used - n;
}

static void
set_message_defaults(struct envelope *env, uint32_t msgid)
{
	struct envelope_priv *priv = env->priv;

	memset(env, 0, sizeof(*env));
	env->priv = priv;
	env->rcpts = priv->rcpts;
	env->msgid = msgid;
	env->sender = env->envid = env->client_addr = env->client_name =
	    env->helo = env->auth_user = env->tag = absent;
}

struct envelope *
envelope_new(uint32_t msgid)
{
	struct envelope *env;

	if ((env = calloc(1, sizeof(*env))) == NULL)
		return NULL;
	if ((env->priv = calloc(1, sizeof(*env->priv))) == NULL) {
		free(env);
		return NULL;
	}
	set_message_defaults(env, msgid);
	envelope_touch(env);
	return env;
}

/* Frees all blocks but the first, which is kept for the next message. */
static void
drop_blocks(struct envelope_priv *priv, int keep_first)
{
	struct envelope_block *block, *next;

	for (block = priv->blocks; block != NULL; block = next) {
		next = block->next;
		if (next == NULL && keep_first) {
			block->used = 0;
			break;
		}
		free(block);
	}
	priv->blocks = block;
}

void
envelope_free(struct envelope *env)
{
	if (env == NULL)
		return;
	drop_blocks(env->priv, 0);
	free(env->priv->rcpts);
	free(env->priv->changed);
	free(env->priv);
	free(env);
}

void
envelope_reset(struct envelope *env, uint32_t msgid)
{
	struct envelope_priv *priv = env->priv;

	drop_blocks(priv, 1);
	if (priv->changed != NULL)
		memset(priv->changed, 0, priv->changed_size);
	priv->unfit = 0;
	priv->decoded = 0;
	priv->expected = 0;
	set_message_defaults(env, msgid);
	envelope_touch(env);
}

void
envelope_set(struct envelope *env, const char **field, const char *value)
{
	size_t len;
	char *copy;

	if (value == NULL || *value == '\0') {
		*field = absent;
		return;
	}
	len = strnlen(value, ENVELOPE_STRING_MAX);
	if ((copy = envelope_alloc(env, len + 1)) == NULL) {
		*field = absent;
		return;
	}
	memcpy(copy, value, len);
	copy[len] = '\0';
	*field = copy;
}

void
envelope_rcpt_init(struct envelope_rcpt *rcpt)
{
	memset(rcpt, 0, sizeof(*rcpt));
	rcpt->parent = ENVELOPE_NO_PARENT;
	rcpt->address = rcpt->orcpt = rcpt->action = rcpt->user = rcpt->alias =
	    rcpt->owner = rcpt->enhanced = rcpt->text = rcpt->remote = absent;
}

/* Makes room for one recipient more and for the mark of its record. */
static int
reserve_rcpt(struct envelope *env)
{
	struct envelope_priv *priv = env->priv;
	struct envelope_rcpt *rcpts;
	size_t size, marks;
	uint8_t *changed;

	if (env->rcpt_count < priv->rcpt_size)
		return 0;
	size = priv->rcpt_size == 0 ? 2 : priv->rcpt_size * 2;
	rcpts = reallocarray(priv->rcpts, size, sizeof(*rcpts));
	if (rcpts == NULL)
		return -1;
	priv->rcpts = rcpts;
	env->rcpts = rcpts;
	marks = size / ENVELOPE_SEGMENT + 1;
	if (marks > priv->changed_size) {
		if ((changed = realloc(priv->changed, marks)) == NULL)
			return -1;
		memset(changed + priv->changed_size, 0,
		    marks - priv->changed_size);
		priv->changed = changed;
		priv->changed_size = marks;
	}
	priv->rcpt_size = size;
	return 0;
}

/* One recipient more at the end, its strings not yet copied. NULL without
 * memory or room. */
struct envelope_rcpt *
envelope_append(struct envelope *env)
{
	struct envelope_rcpt *rcpt;

	if (env->rcpt_count >= ENVELOPE_RCPTS_MAX || reserve_rcpt(env) == -1)
		return NULL;
	rcpt = &env->priv->rcpts[env->rcpt_count++];
	envelope_rcpt_init(rcpt);
	return rcpt;
}

uint32_t
envelope_add(struct envelope *env, const struct envelope_rcpt *template)
{
	struct envelope_rcpt *rcpt, from = *template;

	if ((rcpt = envelope_append(env)) == NULL) {
		env->priv->unfit = 1;
		return ENVELOPE_NO_PARENT;
	}
	*rcpt = from;
	envelope_set(env, &rcpt->address, from.address);
	envelope_set(env, &rcpt->orcpt, from.orcpt);
	envelope_set(env, &rcpt->action, from.action);
	envelope_set(env, &rcpt->user, from.user);
	envelope_set(env, &rcpt->alias, from.alias);
	envelope_set(env, &rcpt->owner, from.owner);
	envelope_set(env, &rcpt->enhanced, from.enhanced);
	envelope_set(env, &rcpt->text, from.text);
	envelope_set(env, &rcpt->remote, from.remote);
	envelope_touch(env);
	env->priv->changed[(env->rcpt_count - 1) / ENVELOPE_SEGMENT] = 1;
	return env->rcpt_count - 1;
}

struct envelope_rcpt *
envelope_edit(struct envelope *env, uint32_t index)
{
	if (index >= env->rcpt_count)
		return NULL;
	env->priv->changed[index / ENVELOPE_SEGMENT] = 1;
	return &env->priv->rcpts[index];
}

void
envelope_touch(struct envelope *env)
{
	env->priv->touched = 1;
}

int
envelope_fit(const struct envelope *env)
{
	return !env->priv->unfit;
}

int
envelope_finished(const struct envelope *env)
{
	for (uint32_t i = 0; i < env->rcpt_count; i++)
		if (env->rcpts[i].state != ENVELOPE_DONE)
			return 0;
	return 1;
}

int
envelope_removing(const struct envelope_rcpt *rcpt)
{
	return rcpt->state != ENVELOPE_DONE &&
	    rcpt->outcome == ENVELOPE_REMOVED;
}

uint32_t
envelope_records(const struct envelope *env)
{
	if (env->rcpt_count == 0)
		return 1;
	return (env->rcpt_count + ENVELOPE_SEGMENT - 1) / ENVELOPE_SEGMENT;
}

int
envelope_changed(const struct envelope *env, uint32_t record)
{
	if (record == 0 && env->priv->touched)
		return 1;
	return record < env->priv->changed_size && env->priv->changed[record];
}

void
envelope_clean(struct envelope *env)
{
	env->priv->touched = 0;
	if (env->priv->changed != NULL)
		memset(env->priv->changed, 0, env->priv->changed_size);
}

const char *
envelope_account(const struct envelope_rcpt *r)
{
	return r->kind == DEST_USER ? r->user : "";
}

uint64_t
envelope_evpid(uint32_t msgid, uint32_t index)
{
	return (uint64_t)msgid << 32 | index;
}
