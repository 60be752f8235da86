/*
 * Delivery reports: who is told of what happened to recipients is decided by
 * bounce.c, when by owed.c, how it is written by common/mail/dsn.c; here it
 * becomes a message with the null sender, in the same batch as the change
 * that says it is made. It is vital to that batch: either both are durable or
 * neither.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libdeflate.h>

#include "os/log.h"
#include "queue/bounce.h"
#include "queue/control.h"
#include "queue/queue.h"
#include "smtp/utf8.h"

enum {
	RETURN_FULL_MAX = 50000, /* octets of an original that goes back */
	RETURN_HEADER_MAX = 16384,
	LINE_OCTETS = 998, /* RFC 5321 section 4.5.3.1.6 */
	TAIL_OCTETS = 3 /* of a character in UTF-8 */
};

/* The report under construction, and the original that it returns. */
struct writer {
	struct queue *q;
	const struct envelope *original;
	struct store_body *body;
	uint8_t *data;
	size_t len;
	size_t size;
	size_t column; /* of the line at its end */
};

static ssize_t
read_original(void *arg, void *buf, size_t size)
{
	struct writer *w = arg;
	ssize_t n = 0;

	/* what cannot be read of it is not returned, as if it ended there */
	if (w->body != NULL)
		n = store_body_read(w->body, buf, size);
	return n > 0 ? n : 0;
}

static int
append(struct writer *w, const void *buf, size_t len)
{
	size_t size = w->size ? w->size : 8192;
	uint8_t *data;

	while (size - w->len < len)
		size *= 2;
	if (size != w->size) {
		if ((data = realloc(w->data, size)) == NULL)
			return -1;
		w->data = data;
		w->size = size;
	}
	memcpy(w->data + w->len, buf, len);
	w->len += len;
	return 0;
}

/* Whether it is not the first of a character in UTF-8. */
static int
is_tail(uint8_t octet)
{
	return (octet & 0xc0) == 0x80;
}

/* Goes on in a new line, with the beginning of the character that the next
 * octet belongs to, if there are such. */
static int
fold(struct writer *w, uint8_t next)
{
	uint8_t text[3 + TAIL_OCTETS] = "\r\n ";
	size_t moved = 0;

	while (is_tail(next) && moved < TAIL_OCTETS)
		next = w->data[w->len - ++moved];
	if (is_tail(next))
		moved = 0;
	w->len -= moved;
	memcpy(text + 3, w->data + w->len, moved);
	w->column = 1 + moved;
	return append(w, text, 3 + moved);
}

/* The lines of an original may have any length, those of a report may not: some
 * servers would refuse it, and nobody would hear of the failure. */
static int
write_report(void *arg, const void *buf, size_t len)
{
	const uint8_t *p = buf, *begin = p, *end = p + len;
	struct writer *w = arg;

	for (; p < end; p++) {
		if (w->column >= LINE_OCTETS && *p != '\r' && *p != '\n') {
			if (append(w, begin, (size_t)(p - begin)) == -1 ||
			    fold(w, *p) == -1)
				return -1;
			begin = p;
		}
		w->column = *p == '\n' ? 0 : w->column + 1;
	}
	return append(w, begin, (size_t)(p - begin));
}

/* Whom the events of a recipient concern. */
static const char *
told_of(const struct envelope *env, const struct envelope_rcpt *r)
{
	return *r->owner != '\0' ? r->owner : env->sender;
}

static enum bounce_verdict
decide(struct queue *q, const struct envelope *env, const struct event_rcpt *e)
{
	static const enum bounce_refused refused[] = { [CONF_REFUSED_HOLD] =
							   BOUNCE_REFUSED_HOLD,
		[CONF_REFUSED_DROP] = BOUNCE_REFUSED_DROP,
		[CONF_REFUSED_BOUNCE] = BOUNCE_REFUSED_BOUNCE };
	const struct envelope_rcpt *r = &env->rcpts[e->index];
	const struct conf_action *action = conf_find_action(q->conf, r->action);
	struct bounce_message m = { .sender = told_of(env, r),
		.verified =
		    (env->flags & (MAIL_AUTHENTICATED | MAIL_LOCAL)) != 0,
		.known = (env->flags & MAIL_KNOWN) != 0,
		.refused = BOUNCE_REFUSED_TELL };
	struct bounce_rcpt rcpt = { .action = (enum dsn_action)e->action,
		.notify = r->notify & ENVELOPE_ASKED,
		.expired = r->outcome == ENVELOPE_EXPIRED };

	if (action != NULL && action->kind == CONF_ACTION_RELAY &&
	    action->relay.backup)
		m.refused = refused[action->relay.refused];
	return bounce_decide(&m, &rcpt);
}

static void
fill_rcpt(struct queue *q, struct envelope *env, const struct event_rcpt *e,
    struct dsn_rcpt *out)
{
	const struct envelope_rcpt *r = &env->rcpts[e->index];
	char address[ADDRESS_SIZE];

	memset(out, 0, sizeof(*out));
	out->address = expanded_address(env, e->index, r->address, address);
	if (out->address == address)
		envelope_set(env, &out->address, address);
	out->orcpt = r->orcpt;
	out->action = (enum dsn_action)e->action;
	out->status = r->enhanced;
	/* what no server said has no code of SMTP */
	out->code = *r->remote != '\0' ? r->code : 0;
	out->enhanced = r->enhanced;
	out->text = r->text;
	out->remote_name = r->remote;
	out->last_attempt = r->last;
	if (r->outcome == ENVELOPE_EXPIRED) {
		out->status = "4.4.7";
		if (*r->text == '\0')
			out->text = "The message could not be delivered "
				    "in time";
	}
	if (e->action == DSN_DELAYED)
		out->retry_until =
		    enlist_expiry(q, env, r) + queue_date(q) - queue_now(q);
}

static int
is_ascii(const char *s)
{
	return utf8_is_ascii(s, strlen(s));
}

/* Which octets a report about a message has. Clients ask for SMTPUTF8 where
 * nothing needs it, and whoever sent such a message, or the server of his, may
 * be able to read the ordinary kind of report only (RFC 6533 section 6). */
static uint32_t
octets(const struct envelope *env)
{
	uint32_t eight_bit = env->flags & MAIL_8BIT;
	int ascii = (env->flags & MAIL_8BIT_HEADER) == 0;

	if ((env->flags & MAIL_UTF8) == 0)
		return eight_bit;
	ascii = ascii && is_ascii(env->sender);
	for (uint32_t i = 0; i < env->rcpt_count && ascii; i++)
		ascii = is_ascii(env->rcpts[i].address) &&
		    is_ascii(env->rcpts[i].orcpt) &&
		    is_ascii(env->rcpts[i].owner);
	return ascii ? eight_bit : eight_bit | MAIL_UTF8;
}

static int
build(
    struct writer *w, struct dsn_report *report, const char *to, uint32_t msgid)
{
	const struct envelope *env = w->original;
	struct dsn_io io = { read_original, write_report, w };
	char id[16], unique[64];
	uint8_t random[16];

	arc4random_buf(random, sizeof(random));
	snprintf(id, sizeof(id), "%08x", env->msgid);
	snprintf(unique, sizeof(unique), "%08x.%lld", msgid,
	    (long long)queue_now(w->q));
	report->host = w->q->conf->server_name;
	report->sender = to;
	report->id = id;
	report->unique = unique;
	report->random = random;
	report->now.seconds = queue_date(w->q);
	report->arrival = env->arrival;
	/* an owner of a list has asked for nothing */
	if (strcmp(to, env->sender) == 0) {
		report->envid = env->envid;
		report->ret = (enum smtp_ret)env->ret;
	}
	/* a report is text, and whoever takes text refuses a NUL */
	if (env->flags & MAIL_BINARY)
		report->ret = RET_HDRS;
	report->size = env->body_size;
	report->full_max = RETURN_FULL_MAX;
	report->header_max = RETURN_HEADER_MAX;
	report->utf8 = (octets(env) & MAIL_UTF8) != 0;
	report->eight_bit = octets(env) != 0;
	return dsn_build(report, &io);
}

static struct envelope *
make_envelope(const struct writer *w, const char *to, uint32_t msgid)
{
	const struct envelope *env = w->original;
	struct envelope_rcpt r;
	struct envelope *report;

	if ((report = envelope_new(msgid)) == NULL)
		return NULL;
	report->session = env->session;
	report->flags = MAIL_DSN | MAIL_LOCAL | octets(env);
	report->size = w->len;
	report->arrival = queue_date(w->q);
	envelope_rcpt_init(&r);
	r.address = to;
	/* the rules choose its action when it is expanded; whom we know has
	 * given his own address, as by a .forward */
	r.state = ENVELOPE_INCOMING;
	r.forwarded =
	    (env->flags & (MAIL_AUTHENTICATED | MAIL_LOCAL | MAIL_KNOWN)) != 0;
	envelope_add(report, &r);
	return report;
}

/* One report to one address. It is written or the process ends: what it is
 * about must not be forgotten. */
static void
send_report(struct queue *q, const struct envelope *env, const char *to,
    enum dsn_kind kind, const struct dsn_rcpt *rcpts, size_t n)
{
	struct writer w = { .q = q, .original = env };
	struct dsn_report report = {
		.kind = kind, .rcpts = rcpts, .nrcpts = n
	};
	struct batch_message bm = { .vital = 1 };
	uint32_t msgid = queue_own_id(q);

	/* without its body the original can still be reported */
	if (store_body_open(q->store, env, &w.body) != STORE_OK)
		w.body = NULL;
	if (msgid == 0 || build(&w, &report, to, msgid) == -1)
		log_fatal("%08x: its report cannot be built", env->msgid);
	store_body_close(w.body);
	bm.env = make_envelope(&w, to, msgid);
	bm.data = w.data;
	bm.size = w.len;
	bm.crc = libdeflate_crc32(0, w.data, w.len);
	if (batch_put(q->batch, &bm) == -1)
		log_fatal("out of memory");
	log_info("%08x: report %08x goes to <%s>", env->msgid, msgid, to);
}

/* All events of the kind of event `first` that concern the same address. */
static void
report_group(
    struct queue *q, const struct events *ev, uint8_t *told, uint32_t first)
{
	const struct event_rcpt *e = ev->list;
	enum dsn_kind kind = dsn_kind((enum dsn_action)e[first].action);
	struct envelope *env = ev->env;
	const char *to = told_of(env, &env->rcpts[e[first].index]);
	struct dsn_rcpt *rcpts;
	size_t n = 0;

	rcpts = reallocarray(NULL, ev->count - first, sizeof(*rcpts));
	if (rcpts == NULL)
		log_fatal("out of memory");
	for (uint32_t i = first; i < ev->count; i++) {
		if (told[i] || dsn_kind((enum dsn_action)e[i].action) != kind ||
		    strcmp(to, told_of(env, &env->rcpts[e[i].index])) != 0)
			continue;
		fill_rcpt(q, env, &e[i], &rcpts[n++]);
		told[i] = 1;
	}
	send_report(q, env, to, kind, rcpts, n);
	free(rcpts);
}

void
report_send(struct queue *q, const struct events *ev)
{
	uint8_t *told;

	if (ev->count == 0)
		return;
	if ((told = calloc(ev->count, 1)) == NULL)
		log_fatal("out of memory");
	for (uint32_t i = 0; i < ev->count; i++)
		if (!told[i])
			report_group(q, ev, told, i);
	free(told);
}

/* Mail that the primary refuses and whose sender may be forged. */
static void
hold_rcpt(struct events *ev, uint32_t index)
{
	struct envelope_rcpt *r = envelope_edit(ev->env, index);
	char id[20];

	r->state = ENVELOPE_HELD;
	r->outcome = ENVELOPE_PENDING;
	snprintf(id, sizeof(id), "%016llx",
	    (unsigned long long)envelope_evpid(ev->env->msgid, index));
	log_warn("%s: refused, " CONTROL_HELD, id, id, id);
}

static void
drop_rcpt(struct events *ev, uint32_t index)
{
	struct envelope_rcpt *r = envelope_edit(ev->env, index);

	r->outcome = ENVELOPE_DROPPED;
	log_warn("%016llx: failed, and nobody may be told",
	    (unsigned long long)envelope_evpid(ev->env->msgid, index));
}

uint32_t
report_events(struct queue *q, struct events *ev)
{
	struct events late = { .env = ev->env };
	const struct event_rcpt *e;
	uint32_t owed = 0;

	for (uint32_t i = 0; i < ev->count; i++) {
		e = &ev->list[i];
		if (e->action == -1)
			continue;
		switch (decide(q, ev->env, e)) {
		case BOUNCE_FAILURE:
		case BOUNCE_SUCCESS:
			owed_mark(
			    ev->env, e->index, (enum dsn_action)e->action);
			owed++;
			break;
		case BOUNCE_DELAY:
			result_event(&late, e->index, e->action, e->done);
			break;
		case BOUNCE_HOLD:
			hold_rcpt(ev, e->index);
			break;
		case BOUNCE_DROP:
			drop_rcpt(ev, e->index);
			break;
		case BOUNCE_QUIET:
			break;
		}
	}
	report_send(q, &late);
	free(late.list);
	return owed;
}
