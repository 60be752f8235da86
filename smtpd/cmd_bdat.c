/*
 * BDAT: RFC 3030. The octets of a chunk follow its command whether it is
 * taken or not, so a refusal comes after them; only a chunk that is far too
 * big ends the session. One refused chunk spoils its message: what comes of it
 * later is refused too, until LAST or RSET.
 */
#include <stdio.h>

#include "session_private.h"

/* Octets over the limit that are still read, to say 552 in peace. */
enum { CHUNK_GRACE = 1 << 20 };

static enum reply_id
begin_chunk(
    struct session *s, struct session_turn *t, const struct smtp_bdat *bdat)
{
	static const enum reply_id by_stage[STAGE_COUNT] = {
		[STAGE_START] = REPLY_SAY_HELO,
		[STAGE_READY] = REPLY_SAY_MAIL,
		[STAGE_MAIL] = REPLY_NO_RCPT_TAKEN,
	};
	enum reply_id refusal = by_stage[s->stage];

	if (refusal != REPLY_NONE)
		return refusal;
	/* what has no beginning has no end either: the next chunk may come when
	 * the queue is back */
	if (s->stage == STAGE_RCPT &&
	    (refusal = body_begin(s, t, BODY_CHUNKS)) != REPLY_NONE)
		body_refuse(s, t, refusal);
	s->stage = STAGE_CHUNKS;
	/* txn->octets is at most max_size, so nothing here wraps */
	if (s->txn->refusal == REPLY_NONE &&
	    bdat->size > s->conf->max_size - s->txn->octets)
		body_refuse(s, t, REPLY_TOO_BIG);
	return REPLY_NONE;
}

void
cmd_bdat(
    struct session *s, struct session_turn *t, const struct smtp_command *cmd)
{
	const struct smtp_bdat *bdat = &cmd->bdat;

	s->chunk_refusal = begin_chunk(s, t, bdat);
	s->chunk_size = s->chunk_left = bdat->size;
	s->chunk_last = bdat->last != 0;
	if (bdat->size > s->conf->max_size + CHUNK_GRACE) {
		session_reply(s, t, REPLY_TOO_BIG,
		    session_text(
			t, "%llu", (unsigned long long)s->conf->max_size));
		session_hang_up(s, t, "chunk too big", 1);
		return;
	}
	s->input = INPUT_CHUNK;
	s->deadline = t->now + s->conf->data_time;
	if (s->chunk_left == 0)
		cmd_bdat_end(s, t);
}

void
cmd_bdat_end(struct session *s, struct session_turn *t)
{
	enum reply_id refusal = s->chunk_refusal;

	if (s->input == INPUT_OVER)
		return;
	session_expect_command(s, t);
	if (refusal == REPLY_NONE && s->chunk_last) {
		body_end(s, t);
		return;
	}
	if (refusal == REPLY_NONE)
		refusal = s->txn->refusal;
	if (refusal != REPLY_NONE)
		session_refuse(s, t, refusal,
		    session_text(
			t, "%llu", (unsigned long long)s->conf->max_size));
	else
		session_reply(s, t, REPLY_CHUNK_OK,
		    session_text(t, "%llu", (unsigned long long)s->chunk_size));
}
