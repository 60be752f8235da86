/*
 * The server session against any order of events. The input is two octets of
 * configuration, then events: an octet that says which, an octet of length,
 * that many octets. Each input is played twice, with the client's octets whole
 * and one by one.
 *
 * Checked: replies are lines of printable octets that end with CRLF; there is
 * one question at a time, and a deadline always; nothing is submitted without
 * a recipient that was accepted, by a verdict of its own or one that reaches
 * it and still held, and speaks of the listeners as they are where a tag may
 * have brought it about, with a size or id that is not its own, or with a bare
 * CR, a bare LF or a NUL in it; "in the queue" is said once for each recipient
 * whose message the queue took; nothing happens after the end; and both plays
 * go the same way.
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "regress/fuzz/fuzz.h"
#include "smtpd/session.h"

enum {
	INPUT_MAX = 1 << 20,
	REACHES_MAX = 32,
	BEGUN = 1 /* the generation that a session begins under */
};

/* A verdict of the transaction that was for more than its recipient. */
struct reach {
	enum rcpt_reach reach;
	char domain[256];
};

struct harness {
	struct session *session;
	struct session_turn *turn;
	struct session_conf conf;
	struct session_ids ids;
	struct msg_queue_status queue;
	uint32_t serial;
	uint8_t *in; /* what the client sent; consumed is in_used of it */
	size_t in_len;
	size_t in_used;
	size_t piece;
	/* what is known of the dialogue */
	enum msg_type asked; /* MSG_NONE: nothing */
	uint64_t question;
	char domain[256]; /* of the recipient that was asked about */
	unsigned accepted; /* for themselves alone */
	struct reach reaches[REACHES_MAX];
	unsigned reach_count;
	int granted; /* a verdict was given that the session has not told */
	int standing; /* one that reaches further has not been ended */
	uint32_t standing_since; /* its generation */
	unsigned submitted; /* recipients of the submit under way */
	unsigned promises; /* how often "in the queue" may be said */
	uint64_t body_id;
	uint64_t body_len;
	int cr, clean; /* of the body: last octet was CR, no fault so far */
	int over;
	int tls;
	/* of what it said, asked, and passed on */
	uint64_t said_hash, asked_hash, body_hash;
};

/* What is said of a message that is durable, and of no other. */
#define PROMISE "is in the queue"
/* What is said of a recipient that is taken. */
#define TAKEN "Recipient OK"

/* ---- what the session says -------------------------------------------- */

static void
check_line(struct harness *h, const char *line, size_t len)
{
	require(len >= 4 && len <= 510);
	for (size_t i = 0; i < 3; i++)
		require(line[i] >= '0' && line[i] <= '9');
	require(line[3] == ' ' || line[3] == '-');
	for (size_t i = 0; i < len; i++)
		require(line[i] >= ' ' && line[i] <= '~');
	if (memmem(line, len, PROMISE, strlen(PROMISE)) != NULL) {
		require(h->promises > 0);
		h->promises--;
	}
	if (memmem(line, len, TAKEN, strlen(TAKEN)) != NULL)
		require(h->granted ||
		    (h->standing && h->standing_since == h->turn->generation));
	if (memmem(line, len, "250 2.1.0 ", 10) == line)
		h->accepted = h->reach_count = h->standing = 0;
}

static void
check_output(struct harness *h)
{
	const char *p = h->turn->out, *end = p + h->turn->out_len, *lf;

	require(h->turn->out_len <= SESSION_OUT);
	require(h->turn->out_len == 0 || !h->over);
	fuzz_mix(&h->said_hash, p, h->turn->out_len);
	for (; p < end; p = lf + 1) {
		lf = memchr(p, '\n', (size_t)(end - p));
		require(lf != NULL && lf > p && lf[-1] == '\r');
		/* a challenge may be longer than any other line */
		if (strncmp(p, "334 ", 4) != 0)
			check_line(h, p, (size_t)(lf - p) - 1);
	}
}

static void
take_body(struct harness *h, uint64_t id, const struct ipc_blob *data)
{
	if (id != h->body_id) {
		h->body_id = id;
		h->body_len = 0;
		h->cr = 0;
		h->clean = 1;
	}
	for (size_t i = 0; i < data->len; i++) {
		uint8_t c = data->data[i];

		if (c == '\0' || (c == '\n') != (h->cr != 0))
			h->clean = 0;
		h->cr = c == '\r';
	}
	h->body_len += data->len;
	fuzz_mix(&h->body_hash, data->data, data->len);
}

static int
is_reached(const struct harness *h, const char *recipient)
{
	const char *domain = strrchr(recipient, '@') + 1;

	for (unsigned i = 0; i < h->reach_count; i++)
		if (h->reaches[i].reach == REACH_ALL ||
		    strcmp(h->reaches[i].domain, domain) == 0)
			return 1;
	return 0;
}

static void
check_recipients(const struct harness *h, struct ipc_list rcpts)
{
	struct msg_rcpt_spec spec;
	unsigned count = 0;

	require(rcpts.count > 0);
	while (ipc_next_rcpt_spec(&rcpts, &spec))
		count += !is_reached(h, spec.address);
	require(count <= h->accepted);
}

static void
check_submit(struct harness *h, const struct msg_submit *m)
{
	check_recipients(h, m->rcpts);
	require(!m->body_sent || m->id == h->body_id);
	if (!m->body_sent)
		h->body_id = 0;
	take_body(h, m->id, &m->body);
	require(m->size == h->body_len);
	require(m->msgid != 0);
	if (!(m->flags & MAIL_BINARY))
		require(h->clean && !h->cr);
	h->submitted = m->rcpts.count;
	h->accepted = h->reach_count = h->standing = 0;
}

static void
check_send(struct harness *h, const struct session_action *a)
{
	struct ipc_buf wire = { 0 };

	require(msg_encode(a->type, &a->msg, &wire) == 0);
	require(msg_may_travel(a->type, PROC_SMTPD, a->peer));
	ipc_buf_free(&wire);
	if (a->type == MSG_body_data) {
		take_body(h, a->msg.body_data.id, &a->msg.body_data.data);
		return;
	}
	fuzz_mix(&h->asked_hash, &a->type, sizeof(a->type));
	if (a->type == MSG_body_abort) {
		require(a->msg.body_abort.id == h->body_id);
		h->body_id = 0;
		return;
	}
	if (a->type == MSG_sasl_abort)
		return;
	require(h->asked == MSG_NONE);
	h->asked = a->type;
	/* each question begins with its id */
	h->question = a->msg.submit.id;
	if (a->type == MSG_rcpt_check)
		snprintf(h->domain, sizeof(h->domain), "%s",
		    strrchr(a->msg.rcpt_check.recipient, '@') + 1);
	if (a->type == MSG_submit)
		check_submit(h, &a->msg.submit);
}

/* Does what the driver does after each call. */
static void
perform(struct harness *h)
{
	struct session_turn *t = h->turn;

	check_output(h);
	require(t->action_count <= SESSION_ACTIONS);
	for (unsigned i = 0; i < t->action_count; i++) {
		const struct session_action *a = &t->actions[i];

		require(!h->over);
		if (a->kind == ACT_SEND)
			check_send(h, a);
		else if (a->kind == ACT_START_TLS) {
			h->tls = 1;
			/* what came in plain is gone */
			h->in_used = h->in_len;
		} else if (a->kind == ACT_DISCONNECT)
			h->over = 1;
	}
	h->granted = 0;
	require(h->over == session_is_over(h->session));
	require(h->over || session_deadline(h->session) > 0);
	if (h->asked != MSG_NONE && !h->over)
		require(!session_wants_input(h->session));
	session_turn_reset(t);
}

/* ---- what happens to it ----------------------------------------------- */

static int
wants_turn(const struct harness *h)
{
	if (h->over)
		return 0;
	return session_has_output(h->session) ||
	    (session_wants_input(h->session) && h->in_len > h->in_used);
}

/* Gives the session what its client has sent. */
static void
pump(struct harness *h)
{
	size_t n, left, given = h->piece;

	while (wants_turn(h)) {
		left = h->in_len - h->in_used;
		if (given > left)
			given = left;
		n = session_octets(
		    h->session, h->turn, (char *)h->in + h->in_used, given);
		require(n <= given);
		h->in_used += n;
		/* drops the rest when TLS begins */
		perform(h);
		/* what was not taken comes again with more behind it */
		given = n == 0 ? given + h->piece : h->piece;
	}
}

static void
client(struct harness *h, const void *data, size_t len)
{
	if (h->in_used == h->in_len)
		h->in_used = h->in_len = 0;
	if (len > INPUT_MAX - h->in_len)
		return;
	memcpy(h->in + h->in_len, data, len);
	h->in_len += len;
}

static const char *const lines[] = { "EHLO a.example\r\n", "HELO a.example\r\n",
	"LHLO a.example\r\n", "MAIL FROM:<a@b.example>\r\n",
	"MAIL FROM:<> BODY=8BITMIME\r\n",
	"MAIL FROM:<a@b> BODY=BINARYMIME SMTPUTF8\r\n",
	"MAIL FROM:<a@b> SIZE=100 RET=FULL ENVID=x\r\n",
	"RCPT TO:<x@y.example>\r\n", "RCPT TO:<Postmaster>\r\n",
	"RCPT TO:<x@y> NOTIFY=NEVER ORCPT=rfc822;z\r\n", "DATA\r\n",
	"BDAT 10\r\n", "BDAT 0 LAST\r\n", "BDAT 7 LAST\r\n", "RSET\r\n",
	"NOOP\r\n", "QUIT\r\n", "HELP\r\n", "VRFY a\r\n", "EXPN a\r\n",
	"ETRN b.example\r\n", "AUTH PLAIN\r\n", "AUTH PLAIN YQ==\r\n",
	"AUTH LOGIN\r\n", "YQ==\r\n", "*\r\n", "\r\n", "STARTTLS\r\n",
	"A: 1\r\nB: 2\r\n\r\ntext\r\n", ".\r\n", "\r\n.\r\n", "..x\r\n",
	"Received: 1\r\n", "no field\r\n", "Date: 1\r\n", "From: 1\r\n",
	"\n.\r\n", "\r", "\n", "." };

/* What the session may make of a verdict that it will hear. */
static void
note_verdict(struct harness *h, const struct msg_rcpt_verdict *v)
{
	struct reach *r = &h->reaches[h->reach_count];

	/* it says nothing of a listener that demands something else */
	if (v->code != 250 ||
	    (v->known && *h->conf.tag != '\0' &&
		(h->turn->since != BEGUN || v->generation < BEGUN ||
		    v->generation > h->turn->generation)))
		return;
	h->granted = 1;
	if (v->reach == REACH_RECIPIENT || v->reach > REACH_ALL ||
	    v->generation != h->turn->generation ||
	    h->reach_count == REACHES_MAX) {
		h->accepted++;
		return;
	}
	r->reach = v->reach;
	memcpy(r->domain, h->domain, sizeof(r->domain));
	h->reach_count++;
	h->standing = 1;
	h->standing_since = v->generation;
}

static void
answer(struct harness *h, uint8_t how, const char *text)
{
	static const uint16_t codes[] = { 250, 250, 550, 450, 421, 251, 0,
		65535 };
	union ipc_msg m = { 0 };
	enum msg_type type = h->asked;

	h->asked = MSG_NONE;
	m.submitted.id = h->question + (how & 64 ? 1 : 0);
	if (how & 64)
		h->asked = type; /* an answer to something else */
	switch (type) {
	case MSG_rcpt_check:
		m.rcpt_verdict =
		    (struct msg_rcpt_verdict){ .id = m.submitted.id,
			    .code = codes[how & 7],
			    .enhanced = how & 8 ? "5.1.1" : "",
			    .text = text,
			    .action = "act",
			    .reach = how >> 4 & 3,
			    .known = how >> 3 & 1,
			    .generation = h->turn->generation - (how >> 7) };
		if (!(how & 64))
			note_verdict(h, &m.rcpt_verdict);
		session_answer(h->session, h->turn, MSG_rcpt_verdict, &m);
		break;
	case MSG_submit:
		m.submitted.code = codes[how & 7];
		m.submitted.enhanced = how & 8 ? "4.3.1" : "";
		m.submitted.text = text;
		if (codes[how & 7] == 250 && !(how & 64))
			h->promises +=
			    h->conf.options & OPT_SOCKET ? h->submitted : 1;
		session_answer(h->session, h->turn, MSG_submitted, &m);
		break;
	case MSG_sasl_begin:
	case MSG_sasl_step:
		m.sasl_reply = (struct msg_sasl_reply){ .id = m.submitted.id,
			.status = how & 7,
			.user = how & 8 ? "" : "alice",
			.challenge = ipc_blob(text, strlen(text)) };
		session_answer(h->session, h->turn, MSG_sasl_reply, &m);
		break;
	case MSG_sender_check:
		m.sender_verdict =
		    (struct msg_sender_verdict){ .id = m.submitted.id,
			    .status = how & 3 };
		session_answer(h->session, h->turn, MSG_sender_verdict, &m);
		break;
	case MSG_etrn:
		m.etrn_done = (struct msg_etrn_done){ .id = m.submitted.id,
			.count = how & 8 ? ETRN_REFUSED : how & 7u };
		session_answer(h->session, h->turn, MSG_etrn_done, &m);
		break;
	default:
		break;
	}
}

/* A peer that is gone, or too late, will not answer what it was asked. */
static void
forget(struct harness *h, enum process_kind peer)
{
	if (h->asked != MSG_NONE && msg_may_travel(h->asked, PROC_SMTPD, peer))
		h->asked = MSG_NONE;
}

static void
event(struct harness *h, uint8_t what, const uint8_t *data, uint8_t len)
{
	static const struct session_tls tls = { "TLSv1.3:X:256", 1, "x", 1 };
	struct session *s = h->session;
	struct session_turn *t = h->turn;
	uint8_t first = len > 0 ? data[0] : 0;
	char text[256], *said;

	for (uint8_t i = 0; i < len; i++)
		text[i] = data[i] == 0 ? ' ' : (char)data[i];
	text[len] = '\0';
	/* peers may say anything but what the session alone may promise */
	if ((said = strstr(text, PROMISE)) != NULL)
		*said = '\0';
	if ((said = strstr(text, TAKEN)) != NULL)
		*said = '\0';
	switch (what % 16) {
	case 0:
		client(h, data, len);
		break;
	case 1: /* the same many times, for long bodies and lines */
		for (unsigned i = 0; i < 400; i++)
			client(h, data, len);
		break;
	case 2: /* in one breath */
		for (uint8_t i = 0; i < len; i++) {
			const char *line =
			    lines[data[i] % (sizeof(lines) / sizeof(*lines))];

			client(h, line, strlen(line));
		}
		break;
	case 3:
		answer(h, first, text);
		break;
	case 4:
		t->now += (int64_t)first * 5000;
		if (t->now >= session_deadline(s))
			h->asked = MSG_NONE;
		session_tick(s, t);
		break;
	case 5:
		forget(h, first & 1 ? PROC_AUTH : PROC_QUEUE);
		if (first & 1)
			h->standing = 0;
		session_lost(s, t, first & 1 ? PROC_AUTH : PROC_QUEUE);
		break;
	case 6:
		if (h->tls)
			session_tls_done(s, t, first & 1 ? &tls : NULL);
		h->tls = 0;
		break;
	case 7:
		if (first & 2)
			t->generation++; /* a reload */
		if (first & 8)
			t->since = t->generation;
		session_rdns(s, t, first & 1 ? "c.example" : "",
		    first & 4       ? RDNS_OPEN
			: first & 1 ? RDNS_CONFIRMED
				    : RDNS_UNCONFIRMED);
		break;
	case 8:
		t->queue = first & 1 ? &h->queue : NULL;
		h->queue.accepting = first >> 1 & 1;
		break;
	case 9:
		h->ids.count = first;
		break;
	case 10:
		if (first == 1)
			session_eof(s, t);
		else if (first == 2)
			session_shutdown(s, t);
		break;
	default: /* one line, often */
		client(h, lines[what % (sizeof(lines) / sizeof(*lines))],
		    strlen(lines[what % (sizeof(lines) / sizeof(*lines))]));
		break;
	}
}

static void
configure(struct harness *h, const uint8_t *data)
{
	session_conf_defaults(&h->conf);
	h->conf.hostname = "mx.example";
	h->conf.options =
	    OPT_STARTTLS | OPT_AUTH | OPT_AUTH_PLAINTEXT | OPT_ETRN;
	if (data[0] & 1)
		h->conf.options |= OPT_SOCKET;
	if (data[0] & 2)
		h->conf.options |= OPT_SMTPS;
	if (data[0] & 4)
		h->conf.options |= OPT_MASK_SRC;
	if (data[0] & 8)
		h->conf.senders = "people";
	if (data[1] & 4)
		h->conf.tag = "SUBMIT";
	if (data[0] & 16)
		h->conf.max_size = 1000;
	if (data[0] & 32)
		h->conf.header.octets = 300;
	if (data[0] & 64)
		h->conf.max_received = 1;
	if (data[0] & 128)
		h->conf.max_line = 20;
	h->conf.max_errors = data[1] & 64 ? 3 : 1000;
	h->conf.max_idle_commands = 100000;
	if (data[1] & 128)
		h->conf.greet_time = 5000;
}

/* Plays all of it; returns the hash of what was done, 0 when that may depend
 * on how the octets were cut. */
static uint64_t
play(const uint8_t *data, size_t size, size_t piece)
{
	static struct session_turn turn;
	static struct session_pool *pool;
	static uint8_t *in;
	struct session_facts facts = {
		.id = 1, .slot = 2, .client_addr = "192.0.2.1"
	};
	struct harness h = { .turn = &turn,
		.piece = piece,
		.said_hash = 1,
		.asked_hash = 2,
		.body_hash = 3,
		.ids = { 1, 1000 } };
	int cut_matters = 0;

	if (pool == NULL) {
		pool = session_pool_new(2, 4096);
		in = malloc(INPUT_MAX);
		require(pool != NULL && in != NULL);
	}
	h.in = in;
	h.queue = (struct msg_queue_status){
		.accepting = 1, .code = 452, .enhanced = "4.3.1", .text = "full"
	};
	configure(&h, data);
	facts.local_user = data[1] & 1 ? "alice" : "";
	facts.rdns_pending = data[1] >> 1 & 1;
	memset(&turn.time, 0, sizeof(turn.time));
	turn.time.seconds = 1795536000;
	turn.now = 1000000;
	turn.generation = turn.since = h.conf.since = BEGUN;
	turn.ids = &h.ids;
	turn.queue = &h.queue;
	turn.serial = &h.serial;
	turn.traced = 1;
	h.session = session_new(&h.conf, pool);
	require(h.session != NULL);
	session_connected(h.session, &turn, &facts);
	perform(&h);
	for (size_t i = 2; i + 1 < size && !h.over;) {
		size_t len = data[i + 1];

		if (len > size - i - 2)
			len = size - i - 2;
		event(&h, data[i], data + i + 2, (uint8_t)len);
		perform(&h);
		pump(&h);
		cut_matters |= h.tls;
		i += 2 + len;
	}
	h.asked = MSG_NONE;
	/* whatever is under way is taken back, and no more is said */
	session_close(h.session, &turn);
	require(turn.out_len == 0);
	session_turn_reset(&turn);
	session_free(h.session);
	fuzz_mix(&h.said_hash, &h.asked_hash, sizeof(h.asked_hash));
	fuzz_mix(&h.said_hash, &h.body_hash, sizeof(h.body_hash));
	return cut_matters ? 0 : h.said_hash;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t whole, cut;

	if (size < 4 || size > 4096)
		return 0;
	whole = play(data, size, INPUT_MAX);
	cut = play(data, size, 1);
	require(whole == 0 || cut == 0 || whole == cut);
	return 0;
}
