/*
 * How a message is taken: DATA and BDAT come through one decoder into one
 * buffer, behind the Received field that we add. What fits in the buffer
 * travels inside submit; a longer body goes ahead in body_data, piece by
 * piece. A message with a fault is read to its end and then refused as a
 * whole: bare CR or LF, NUL, too many hops, a header or a size over the
 * limits. RFC 5321 section 4.4 for the trace, RFC 6409 section 8 for what is
 * added to the mail of our own.
 */
#include <stdio.h>
#include <string.h>

#include "session_private.h"

enum {
	/* kept back from body_data until the header section is over: what its
	 * end may have to be found in again */
	HEADER_KEEP = 256,
	/* for the fields that we may add at the end of the section */
	HEADER_ROOM = 4096
};

/* Other servers call it so, too. */
static const char mailbox_line[] = "X-Mailbox-Line: ";

/* ---- the trace -------------------------------------------------------- */

static const char *
only_recipient(const struct transaction *txn)
{
	struct ipc_list list = ipc_buf_list(&txn->rcpts);
	struct msg_rcpt_spec spec;

	if (list.count != 1 || !ipc_next_rcpt_spec(&list, &spec))
		return NULL;
	return spec.address;
}

static unsigned
trace_flags(const struct session *s)
{
	unsigned flags = 0;

	if (s->extended)
		flags |= TRACE_EXTENDED;
	if (s->lmtp)
		flags |= TRACE_LMTP;
	if (s->tls)
		flags |= TRACE_TLS_USED;
	if (*s->user != '\0')
		flags |= TRACE_AUTHENTICATED;
	if (s->txn->smtputf8)
		flags |= TRACE_UTF8;
	if (s->local)
		flags |= TRACE_LOCAL;
	return flags;
}

static void
name_client(const struct session *s, struct trace_received *r)
{
	if (s->local) {
		r->local_user = s->local_user;
		return;
	}
	r->helo = s->helo;
	r->client_addr = s->client_addr;
	r->client_name = s->rdns == RDNS_CONFIRMED ? s->client_name : NULL;
}

static int
put_received(struct session *s, struct session_turn *t)
{
	struct transaction *txn = s->txn;
	unsigned options = s->conf->options;
	char id[16];
	struct trace_received r = {
		.by = s->hostname,
		.tls = s->tls_text,
		.id = id,
		.recipient = only_recipient(txn),
		.flags = trace_flags(s),
		.when = t->time,
	};

	snprintf(id, sizeof(id), "%08x", txn->msgid);
	if (!(options & OPT_MASK_SRC))
		name_client(s, &r);
	if (options & OPT_RECEIVED_AUTH)
		r.auth_user = s->user;
	txn->len = trace_received(txn->data, sizeof(txn->data), &r);
	txn->trace = txn->len;
	return txn->len > 0 ? 0 : -1;
}

enum reply_id
body_begin(struct session *s, struct session_turn *t, enum body_mode mode)
{
	struct transaction *txn = s->txn;

	if (t->queue == NULL || t->ids->count == 0)
		return REPLY_TEMPORARY;
	txn->msgid = t->ids->first++;
	t->ids->count--;
	txn->id = session_question_id(s, t);
	txn->deadline = t->now + s->conf->data_time;
	if (put_received(s, t) == -1)
		return REPLY_TEMPORARY;
	body_decoder_init(&txn->decoder, mode, s->conf->max_line);
	header_init(&txn->header, &s->conf->header);
	return REPLY_NONE;
}

/* ---- the buffer ------------------------------------------------------- */

void
body_flushed(struct transaction *txn)
{
	if (txn->pending_flush == 0)
		return;
	txn->len -= txn->pending_flush;
	memmove(txn->data, txn->data + txn->pending_flush, txn->len);
	txn->flushed += txn->pending_flush;
	txn->pending_flush = 0;
}

static void
send_body(struct session_turn *t, struct transaction *txn, size_t len, int last)
{
	struct msg_body_data *m =
	    &session_send(t, MSG_body_data, PROC_QUEUE)->body_data;

	m->id = txn->id;
	m->last = (uint8_t)last;
	m->data = ipc_blob(txn->data, len);
	txn->sent = txn->streamed = 1;
	txn->pending_flush = len;
}

static size_t
buffer_room(const struct transaction *txn)
{
	size_t size = sizeof(txn->data);

	if (!txn->header_over)
		size -= HEADER_ROOM;
	return size > txn->len ? size - txn->len : 0;
}

int
body_streams(const struct transaction *txn)
{
	return txn->refusal == REPLY_NONE &&
	    (txn->sent || buffer_room(txn) == 0);
}

void
body_refuse(struct session *s, struct session_turn *t, enum reply_id reply)
{
	struct transaction *txn = s->txn;

	if (txn->refusal == REPLY_NONE)
		txn->refusal = reply;
	txn->len = txn->pending_flush = 0;
	if (txn->sent)
		session_send(t, MSG_body_abort, PROC_QUEUE)->body_abort.id =
		    txn->id;
	txn->sent = 0;
}

/* ---- the header section ----------------------------------------------- */

/* Inserts text where the header section ends. -1 when that place has left for
 * the queue, which only a line without a colon can do. */
static int
insert_at_end(struct transaction *txn, const char *text, size_t len)
{
	uint64_t at = txn->trace + txn->header.end;
	size_t offset;

	if (len == 0)
		return 0;
	if (at < txn->flushed || len > sizeof(txn->data) - txn->len)
		return -1;
	offset = (size_t)(at - txn->flushed);
	memmove(
	    txn->data + offset + len, txn->data + offset, txn->len - offset);
	memcpy(txn->data + offset, text, len);
	txn->len += len;
	return 0;
}

/* The fields that a message of our own lacks: of our users, and of programs on
 * this machine, for which we do not answer who they are. */
static size_t
missing_fields(const struct session *s, const struct session_turn *t, char *out,
    size_t size)
{
	const struct transaction *txn = s->txn;
	const uint32_t *count = txn->header.count;
	char unique[64];
	size_t len = 0;

	if (count[HEADER_DATE] == 0)
		len += trace_date(out + len, size - len, &t->time);
	if (count[HEADER_MESSAGE_ID] == 0) {
		snprintf(unique, sizeof(unique), "%llx.%08x.%llx",
		    (unsigned long long)t->time.seconds, txn->msgid,
		    (unsigned long long)s->id);
		len += trace_message_id(
		    out + len, size - len, unique, s->hostname);
	}
	if (!session_is_submission(s))
		return len;
	if (count[HEADER_FROM] == 0 && *txn->sender != '\0')
		len += (size_t)snprintf(
		    out + len, size - len, "From: %s\r\n", txn->sender);
	else if (count[HEADER_FROM] == 0 && s->local)
		len += (size_t)snprintf(out + len, size - len,
		    "From: %s@%s\r\n", s->local_user, s->hostname);
	return len;
}

/*
 * The section is over. A line that is no field ended it where malformed is
 * set: an empty line then makes the end the same for every reader.
 */
static enum reply_id
end_header(struct session *s, const struct session_turn *t)
{
	struct transaction *txn = s->txn;
	char added[HEADER_ROOM];
	size_t len = 0;

	txn->header_over = 1;
	if (txn->header.bare)
		return REPLY_HEADER_BAD;
	if (session_is_submission(s) || s->inside)
		len = missing_fields(s, t, added, sizeof(added) - 2);
	if (txn->header.malformed) {
		memcpy(added + len, "\r\n", 2);
		len += 2;
	}
	return insert_at_end(txn, added, len) == -1 ? REPLY_HEADER_BAD
						    : REPLY_NONE;
}

/* Whether the message begins with the line that separates those of a mailbox,
 * which programs leave there. */
static int
has_mailbox_line(const struct transaction *txn)
{
	const char *p = txn->data + txn->trace;
	const char *end = txn->data + txn->len;

	if (!txn->header.malformed || txn->header.end != 0 || txn->flushed > 0)
		return 0;
	while (p < end && *p == '>')
		p++;
	return end - p >= 5 && memcmp(p, "From ", 5) == 0;
}

/* Looks at octets of the section, the last len in the buffer. */
static enum reply_id
scan_header(struct session *s, const struct session_turn *t, const char *data,
    size_t len)
{
	struct transaction *txn = s->txn;
	struct header_field field;
	enum header_status status;
	size_t used;

	do {
		status = header_scan(&txn->header, data, len, &used, &field);
		data += used;
		len -= used;
		if (status == HEADER_TOO_LONG)
			return REPLY_HEADER_TOO_BIG;
		if (txn->header.count[HEADER_RECEIVED] > s->conf->max_received)
			return REPLY_LOOP;
	} while (status == HEADER_FIELD);
	if (status != HEADER_END)
		return REPLY_NONE;
	if (!has_mailbox_line(txn))
		return end_header(s, t);
	/* as a field it hides none of the others, which the end of the section
	 * in their place would */
	if (insert_at_end(txn, mailbox_line, sizeof(mailbox_line) - 1) == -1)
		return REPLY_HEADER_BAD;
	header_init(&txn->header, &s->conf->header);
	return scan_header(s, t, txn->data + txn->trace, txn->len - txn->trace);
}

/* ---- octets ----------------------------------------------------------- */

static enum reply_id
fault_reply(enum body_fault fault)
{
	static const enum reply_id replies[] = {
		[BODY_OK] = REPLY_NONE,
		[BODY_BARE_CR] = REPLY_BODY_BARE,
		[BODY_BARE_LF] = REPLY_BODY_BARE,
		[BODY_NUL] = REPLY_BODY_NUL,
		[BODY_LONG_LINE] = REPLY_BODY_LONG_LINE,
	};

	return replies[fault];
}

/* A body that is refused for its size or form is read on, but not for ever. */
static void
end_patience(struct session *s, struct session_turn *t)
{
	if (s->txn->refusal == REPLY_NONE ||
	    s->txn->taken / 2 <= s->conf->max_size)
		return;
	session_reply(s, t, s->txn->refusal,
	    session_text(t, "%llu", (unsigned long long)s->conf->max_size));
	session_hang_up(s, t, "endless message", 1);
}

/* Keeps octets of the message, for which the buffer has room, and heeds the
 * fault that the decoder may have found behind them. */
static void
keep(struct session *s, struct session_turn *t, const struct smtp_span *span)
{
	struct transaction *txn = s->txn;
	enum reply_id reply = REPLY_NONE;

	txn->octets += span->len;
	if (txn->octets > s->conf->max_size)
		reply = REPLY_TOO_BIG;
	else if (span->len > 0) {
		memcpy(txn->data + txn->len, span->data, span->len);
		txn->len += span->len;
		if (!txn->header_over)
			reply = scan_header(s, t, span->data, span->len);
	}
	if (reply == REPLY_NONE && txn->body_type != BODY_BINARYMIME)
		reply = fault_reply(txn->decoder.fault);
	if (reply != REPLY_NONE)
		body_refuse(s, t, reply);
}

/*
 * How much may be looked at in one step, so that each limit is met at the very
 * octet, however the client cuts what it sends: the octet that makes a message
 * too big is looked at alone.
 */
static size_t
step_octets(const struct session *s, size_t len)
{
	const struct transaction *txn = s->txn;
	uint64_t left = s->conf->max_size -
	    (txn->refusal == REPLY_NONE ? txn->octets : txn->taken / 2);

	if (left == 0)
		left = 1;
	return len < left ? len : (size_t)left;
}

/* Makes room when the buffer is full; 0 when the turn has to end for it. */
static size_t
make_room(struct session_turn *t, struct transaction *txn)
{
	size_t room = buffer_room(txn);

	if (room > 0)
		return room;
	send_body(
	    t, txn, txn->header_over ? txn->len : txn->len - HEADER_KEEP, 0);
	return 0;
}

/* Milliseconds that a message has earned by what came of it. What is refused
 * may come in chunk after chunk, and earns no more than stuffed dots could. */
static int64_t
time_earned(const struct session *s)
{
	uint64_t most = 2 * s->conf->max_size, taken = s->txn->taken;

	return (int64_t)((taken < most ? taken : most) / 1024 * 1000);
}

/*
 * Octets have come. A KiB earns a second, so that a slow line can pass a big
 * message, and a trickle cannot hold us. But it is no time to be silent in: a
 * few large bodies whose clients say no more would keep all others from the
 * disk for hours.
 */
static void
count_taken(struct session *s, const struct session_turn *t, size_t len)
{
	struct transaction *txn = s->txn;
	int64_t latest = t->now + s->conf->data_time;

	if (txn->msgid != 0)
		txn->deadline -= time_earned(s);
	txn->taken += len;
	if (txn->msgid == 0)
		return;
	txn->deadline += time_earned(s);
	if (txn->deadline > latest)
		txn->deadline = latest;
}

size_t
body_data(
    struct session *s, struct session_turn *t, const char *data, size_t len)
{
	struct transaction *txn = s->txn;
	struct smtp_span span;
	size_t room, used = 0, n;

	while (used < len && s->input == INPUT_DATA && !txn->decoder.done) {
		room = step_octets(s, len - used);
		if (txn->refusal == REPLY_NONE) {
			if ((n = make_room(t, txn)) == 0)
				return used;
			room = room < n ? room : n;
		}
		body_decode(&txn->decoder, data + used, room, &n, &span);
		used += n;
		count_taken(s, t, n);
		if (txn->refusal == REPLY_NONE)
			keep(s, t, &span);
		end_patience(s, t);
	}
	if (txn->decoder.done && s->input == INPUT_DATA)
		body_end(s, t);
	return used;
}

/* Whether what was declared binary is text after all is known at its end. */
static void
look_for_binary(struct body_decoder *decoder, const char *data, size_t len)
{
	struct smtp_span span;
	size_t n;

	for (; len > 0; data += n, len -= n)
		body_decode(decoder, data, len, &n, &span);
}

/* Octets of a chunk that are to be kept. */
static size_t
chunk_octets(
    struct session *s, struct session_turn *t, const char *data, size_t len)
{
	struct transaction *txn = s->txn;
	struct smtp_span span = { data, len };
	size_t n = make_room(t, txn);

	if (n == 0)
		return 0;
	if (len > n)
		span.len = len = n;
	if (txn->body_type != BODY_BINARYMIME) {
		body_decode(&txn->decoder, data, len, &n, &span);
		len = n;
	} else
		look_for_binary(&txn->decoder, data, len);
	keep(s, t, &span);
	return len;
}

size_t
body_chunk(
    struct session *s, struct session_turn *t, const char *data, size_t len)
{
	size_t used = 0, n;

	if (len > s->chunk_left)
		len = (size_t)s->chunk_left;
	while (used < len && s->input == INPUT_CHUNK) {
		n = len - used;
		if (s->chunk_refusal == REPLY_NONE &&
		    s->txn->refusal == REPLY_NONE) {
			n = chunk_octets(s, t, data + used, n);
			if (n == 0)
				break;
		}
		used += n;
	}
	s->chunk_left -= used;
	if (s->txn != NULL)
		count_taken(s, t, used);
	if (s->chunk_left == 0)
		cmd_bdat_end(s, t);
	return used;
}

/* ---- the end ---------------------------------------------------------- */

/* What is in a message decides what a next hop must offer, declared or not:
 * octets over 127, or what is no text. */
static uint32_t
mail_flags(const struct session *s)
{
	const struct transaction *txn = s->txn;
	uint32_t flags = 0;

	if (txn->body_type == BODY_8BITMIME || txn->decoder.eightbit)
		flags |= MAIL_8BIT;
	if (txn->body_type == BODY_BINARYMIME && txn->decoder.fault != BODY_OK)
		flags |= MAIL_8BIT | MAIL_BINARY;
	if (txn->smtputf8)
		flags |= MAIL_UTF8;
	if (txn->header.eight_bit)
		flags |= MAIL_8BIT_HEADER;
	if (*s->user != '\0')
		flags |= MAIL_AUTHENTICATED;
	if (s->local)
		flags |= MAIL_LOCAL;
	if (txn->known)
		flags |= MAIL_KNOWN;
	if (s->tls)
		flags |= MAIL_TLS;
	return flags;
}

static void
submit(struct session *s, struct session_turn *t)
{
	struct transaction *txn = s->txn;
	struct msg_submit *m;

	if (txn->streamed)
		send_body(t, txn, txn->len, 1);
	m = &session_send(t, MSG_submit, PROC_QUEUE)->submit;
	m->id = txn->id;
	m->msgid = txn->msgid;
	m->session = s->id;
	m->sender = txn->sender;
	m->envid = txn->envid;
	m->ret = txn->ret;
	m->flags = mail_flags(s);
	m->client_addr = s->client_addr;
	m->client_name = s->client_name;
	m->helo = s->helo;
	m->auth_user = s->local ? s->local_user : s->user;
	m->tag = s->conf->tag;
	m->size = txn->flushed + txn->len;
	m->body_sent = txn->streamed;
	m->body = ipc_blob(txn->data, txn->streamed ? 0 : txn->len);
	m->rcpts = ipc_buf_list(&txn->rcpts);
	txn->sent = 0; /* from here on it is the queue's */
	session_ask(s, t, ASK_SUBMIT, txn->id, s->conf->submit_time);
}

/* The header may be all there was. */
static enum reply_id
finish_header(struct session *s, const struct session_turn *t, int open_line)
{
	struct transaction *txn = s->txn;
	struct header_field field;
	enum header_status status;
	enum reply_id reply;

	if (txn->header_over)
		return REPLY_NONE;
	/* what is added is no part of a line that BDAT left open */
	if (open_line) {
		memcpy(txn->data + txn->len, "\r\n", 2);
		txn->len += 2;
		reply = scan_header(s, t, "\r\n", 2);
		if (reply != REPLY_NONE || txn->header_over)
			return reply;
	}
	do {
		status = header_finish(&txn->header, &field);
	} while (status == HEADER_FIELD);
	if (status == HEADER_TOO_LONG)
		return REPLY_HEADER_TOO_BIG;
	if (txn->header.count[HEADER_RECEIVED] > s->conf->max_received)
		return REPLY_LOOP;
	return end_header(s, t);
}

/*
 * Whether others may see the end of this message elsewhere: DATA with a bare
 * CR or LF, or a NUL. What is a command to us may then be text to whoever sent
 * it, so nothing behind it is heard (CVE-2023-51764 and its kin).
 */
static int
end_is_doubtful(const struct session *s)
{
	enum body_fault fault = s->txn->decoder.fault;

	return fault != BODY_OK && fault != BODY_LONG_LINE &&
	    s->stage != STAGE_CHUNKS && !s->lmtp;
}

void
body_end(struct session *s, struct session_turn *t)
{
	struct transaction *txn = s->txn;
	int doubtful, open_line;
	enum body_fault fault = body_decoder_finish(&txn->decoder, &open_line);
	enum reply_id reply = txn->refusal;

	session_expect_command(s, t);
	if (reply == REPLY_NONE && txn->body_type != BODY_BINARYMIME)
		reply = fault_reply(fault);
	if (reply == REPLY_NONE)
		reply = finish_header(s, t, open_line);
	if (reply == REPLY_NONE) {
		submit(s, t);
		return;
	}
	doubtful = end_is_doubtful(s);
	body_refuse(s, t, reply);
	memset(&s->outcome, 0, sizeof(s->outcome));
	s->outcome.reply = reply;
	if (reply == REPLY_TOO_BIG)
		snprintf(s->outcome.arg, sizeof(s->outcome.arg), "%llu",
		    (unsigned long long)s->conf->max_size);
	session_log_client(s, t, "message-refused", "from",
	    session_text(t, "%s", txn->sender), "reply",
	    session_reply_text(t, reply, s->outcome.arg), NULL);
	body_outcome(s, t);
	if (doubtful)
		session_hang_up(s, t, "a message of doubtful end", 1);
}

/* One reply about the message; rcpt is "" in SMTP. */
static void
say_outcome(struct session *s, struct session_turn *t, const char *rcpt)
{
	const struct outcome *o = &s->outcome;

	if (o->reply != REPLY_NONE)
		session_reply(s, t, o->reply, o->arg, rcpt);
	else
		session_reply_peer(s, t, o->code, o->enhanced, o->text);
}

void
body_lmtp_replies(struct session *s, struct session_turn *t)
{
	struct msg_rcpt_spec spec;

	while (SESSION_OUT - t->out_len >= 4 * REPLY_SIZE &&
	    ipc_next_rcpt_spec(&s->lmtp_rcpts, &spec))
		say_outcome(s, t, spec.address);
	if (s->lmtp_rcpts.count == 0) {
		transaction_reset(s, t);
		session_expect_command(s, t);
	}
}

void
body_outcome(struct session *s, struct session_turn *t)
{
	if (s->lmtp) {
		if (s->outcome.reply == REPLY_MESSAGE_OK)
			s->outcome.reply = REPLY_MESSAGE_OK_RCPT;
		s->lmtp_rcpts = ipc_buf_list(&s->txn->rcpts);
		body_lmtp_replies(s, t);
		return;
	}
	say_outcome(s, t, "");
	transaction_reset(s, t);
	session_expect_command(s, t);
	if (s->outcome.reply == REPLY_NONE && s->outcome.code == 421)
		session_hang_up(s, t, "the queue takes none", 0);
}
