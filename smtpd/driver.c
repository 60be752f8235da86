/*
 * Joins a session to its stream, its timer and the channels: gives it what
 * comes, and does what it says. All that is decided is decided in the session;
 * here is only that no input is given while the client does not read, or while
 * the queue is behind.
 */
#include "config.h"

#include <sys/socket.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "net/loop.h"
#include "net/stream.h"
#include "net/tls.h"
#include "os/log.h"
#include "smtp/reply.h"
#include "smtpd/smtpd.h"

enum {
	/* replies that a client has not read before we stop listening */
	OUTPUT_HIGH = 65536,
	/* milliseconds for the last reply to leave */
	GOODBYE_TIME = 10000,
	/* milliseconds that we wait to learn what we are called */
	HOSTNAME_TIME = 5000,
	IDS_LOW = 256,
	IDS_COUNT = 2048
};

static void drive(struct client *);

/* ---- slots ------------------------------------------------------------ */

/* Ids of questions have the slot in their low half and a serial number, which
 * the session compares, in the high half. */
struct client *
client_find(struct smtpd *d, uint64_t id)
{
	uint32_t slot = (uint32_t)id;

	return slot < d->slot_count ? d->slots[slot] : NULL;
}

uint64_t
client_question(struct client *c)
{
	return (uint64_t)++c->smtpd->serial << 32 | c->slot;
}

static int
take_slot(struct client *c)
{
	struct smtpd *d = c->smtpd;
	struct client **grown;
	uint32_t i, count;

	for (i = d->slot_free; i < d->slot_count && d->slots[i] != NULL; i++)
		continue;
	if (i == d->slot_count) {
		count = d->slot_count == 0 ? 64 : 2 * d->slot_count;
		grown = reallocarray(d->slots, count, sizeof(*grown));
		if (grown == NULL)
			return -1;
		memset(grown + i, 0, (count - i) * sizeof(struct client *));
		d->slots = grown;
		d->slot_count = count;
	}
	d->slots[i] = c;
	d->slot_free = i + 1;
	c->slot = i;
	return 0;
}

static void
leave_slot(struct client *c)
{
	struct smtpd *d = c->smtpd;

	d->slots[c->slot] = NULL;
	if (c->slot < d->slot_free)
		d->slot_free = c->slot;
}

/* ---- message ids ------------------------------------------------------ */

void
ids_request(struct smtpd *d)
{
	struct channel *ch = worker_peer(d->worker, PROC_QUEUE, 0);
	struct msg_id_request m = { .count = IDS_COUNT };

	if (d->ids.count == 0) {
		d->ids = d->more_ids;
		d->more_ids = (struct session_ids){ 0 };
	}
	if (ch == NULL || d->ids_asked || d->more_ids.count > 0 ||
	    d->ids.count >= IDS_LOW)
		return;
	if (ipc_send(ch, id_request, &m) == 0)
		d->ids_asked = 1;
}

/* ---- the end ---------------------------------------------------------- */

/* Sends what the session asks to be sent; returns a set of 1 << enum
 * process_kind of those who are not there to hear it. */
static unsigned
send_message(struct smtpd *d, const struct session_action *a)
{
	struct channel *ch = worker_peer(d->worker, a->peer, 0);

	if (ch != NULL && channel_send(ch, a->type, &a->msg, -1) == 0)
		return 0;
	return 1u << a->peer;
}

static int
is_unix(const struct client *c)
{
	return c->octets_len == 0;
}

/* The session is over: its stream sends what is left and ends by itself. */
static void
client_close(struct client *c, int linger, int at_once)
{
	struct smtpd *d = c->smtpd;
	struct session_turn *t = &d->turn;

	session_turn_reset(t);
	session_close(c->session, t);
	for (unsigned i = 0; i < t->action_count; i++)
		if (t->actions[i].kind == ACT_SEND)
			send_message(d, &t->actions[i]);
	session_turn_reset(t);
	session_free(c->session);
	if (c->stream == NULL && c->fd != -1)
		listen_hang_up(c->fd, is_unix(c));
	else if (c->stream != NULL && at_once)
		stream_free(c->stream);
	else if (c->stream != NULL)
		stream_finish(
		    c->stream, loop_now(d->loop) + GOODBYE_TIME, linger);
	names_forget(c);
	limits_close(d->limits, c->counted ? &c->address : NULL);
	evtimer_del(&c->timer);
	leave_slot(c);
	TAILQ_REMOVE(&d->clients, c, entry);
	if (c->stalled)
		TAILQ_REMOVE(&d->stalls, c, stall_entry);
	settings_unref(c->listener->settings);
	free(c);
	if (d->stopping && TAILQ_EMPTY(&d->clients))
		worker_exit(d->worker, 0);
}

/* ---- a turn ----------------------------------------------------------- */

static struct session_turn *
begin_turn(struct smtpd *d)
{
	struct session_turn *t = &d->turn;
	int64_t now = loop_time(d->loop);
	struct tm tm;

	ids_request(d);
	session_turn_reset(t);
	t->now = loop_now(d->loop);
	/* the offset from UTC is looked up once a second */
	if (t->time.seconds != now) {
		time_t seconds = (time_t)now;

		t->time.seconds = now;
		if (localtime_r(&seconds, &tm) != NULL)
			t->time.offset = (int32_t)(tm.tm_gmtoff / 60);
	}
	t->queue = d->queue_up ? &d->queue : NULL;
	t->generation = worker_generation(d->worker);
	t->since = d->now->since;
	t->traced = (log_traced() & TRACE_SMTP) != 0;
	return t;
}

static void
arm_timer(struct client *c)
{
	int64_t now = loop_now(c->smtpd->loop), at, wait;
	struct timeval tv;

	at = session_deadline(c->session);
	/* a timer that fires too early finds that out and is set again, so
	 * moving a deadline back costs nothing */
	if (at == 0 || (c->armed != 0 && c->armed <= at))
		return;
	wait = at > now ? at - now : 0;
	tv.tv_sec = (time_t)(wait / 1000);
	tv.tv_usec = (suseconds_t)(wait % 1000) * 1000;
	if (evtimer_add(&c->timer, &tv) == 0)
		c->armed = at;
}

static void
log_action(const struct client *c, const struct session_action *a)
{
	const char *const *p = a->log.pairs;

	/* pairs end with a NULL key, and log_event stops there too */
	log_event(session_id(c->session), a->log.event, p[0], p[1], p[2], p[3],
	    p[4], p[5], p[6], p[7], p[8], p[9], p[10], p[11], p[12], p[13],
	    p[14], p[15], NULL);
}

static int
start_tls(struct client *c)
{
	SSL *ssl = NULL;

	if (c->listener->tls != NULL)
		ssl = tls_server_session(c->listener->tls);
	/* the session has made sure that nothing came behind STARTTLS; what
	 * the stream holds in spite of it makes the client untrustworthy */
	return ssl != NULL &&
	    stream_start_tls(c->stream, ssl, STREAM_SERVER) == 0;
}

/* Challenges are a part of AUTH, and 504 tells the word behind AUTH, which a
 * client that knows no better may have made its password. */
static void
trace_reply(const struct client *c, const char *line, size_t len)
{
	char text[REPLY_LINE_MAX + 1];

	if (len > 3 &&
	    (memcmp(line, "334", 3) == 0 || memcmp(line, "504", 3) == 0))
		snprintf(text, sizeof(text), "%.3s (hidden)", line);
	else
		snprintf(text, sizeof(text), "%.*s", (int)len, line);
	log_trace_event(
	    TRACE_SMTP, session_id(c->session), "reply", "line", text, NULL);
}

static void
trace_replies(const struct client *c, const char *out, size_t len)
{
	const char *end;
	size_t n;

	for (; len > 0; out += n, len -= n) {
		end = memmem(out, len, "\r\n", 2);
		n = end != NULL ? (size_t)(end - out) : len;
		trace_reply(c, out, n);
		n += end != NULL ? 2 : 0;
	}
}

/* Commands and replies in the order in which they came about. */
static void
trace_turn(const struct client *c)
{
	const struct session_turn *t = &c->smtpd->turn;
	size_t at = 0;

	for (unsigned i = 0; i < t->action_count; i++) {
		const struct session_action *a = &t->actions[i];

		if (a->kind != ACT_TRACE)
			continue;
		trace_replies(c, t->out + at, a->trace.at - at);
		at = a->trace.at;
		log_trace_event(TRACE_SMTP, session_id(c->session), "command",
		    "line", a->trace.line, NULL);
	}
	trace_replies(c, t->out + at, t->out_len - at);
}

/*
 * Does what the turn says. 0, or -1 when the client is gone. A peer who is not
 * there to be asked is as good as one that went while it was asked.
 */
static int
end_turn(struct client *c)
{
	struct smtpd *d = c->smtpd;
	struct session_turn *t = &d->turn;
	unsigned missing = 0;

	if (t->traced)
		trace_turn(c);
	if (t->out_len > 0)
		stream_write(c->stream, t->out, t->out_len);
	for (unsigned i = 0; i < t->action_count; i++) {
		const struct session_action *a = &t->actions[i];

		switch (a->kind) {
		case ACT_SEND:
			missing |= send_message(d, a);
			break;
		case ACT_LOG:
			log_action(c, a);
			break;
		case ACT_TRACE:
			break;
		case ACT_START_TLS:
			if (start_tls(c))
				break;
			client_close(c, 1, 0);
			return -1;
		case ACT_DISCONNECT:
			client_close(c, a->linger, 0);
			return -1;
		}
	}
	session_turn_reset(t);
	for (unsigned peer = 0; missing != 0; peer++, missing >>= 1)
		if (missing & 1) {
			session_lost(
			    c->session, begin_turn(d), (enum process_kind)peer);
			if (end_turn(c) == -1)
				return -1;
		}
	return 0;
}

static int
queue_is_behind(const struct smtpd *d)
{
	struct channel *ch = worker_peer(d->worker, PROC_QUEUE, 0);

	return ch != NULL && channel_busy(ch);
}

/* Whoever feeds the queue waits until it keeps up, and nobody overtakes those
 * who wait already. */
static int
must_stall(struct client *c)
{
	struct smtpd *d = c->smtpd;

	if (!session_feeds_queue(c->session))
		return 0;
	if (c->stalled)
		return 1;
	if (!queue_is_behind(d) && (d->resuming || TAILQ_EMPTY(&d->stalls)))
		return 0;
	c->stalled = 1;
	TAILQ_INSERT_TAIL(&d->stalls, c, stall_entry);
	return 1;
}

/* Whether the session may be given octets, or the chance to go on. */
static int
may_go_on(struct client *c, size_t waiting)
{
	if (session_has_output(c->session))
		return stream_output_pending(c->stream) < OUTPUT_HIGH;
	if (waiting == 0 || !session_wants_input(c->session))
		return 0;
	if (must_stall(c))
		return 0;
	return stream_output_pending(c->stream) < OUTPUT_HIGH;
}

/* Gives the session what its client has sent, as far as it takes it. */
static void
drive(struct client *c)
{
	const uint8_t *data;
	size_t len, n;

	if (!c->connected)
		return;
	for (;;) {
		data = stream_input(c->stream, &len);
		if (!may_go_on(c, len))
			break;
		n = session_octets(
		    c->session, begin_turn(c->smtpd), (const char *)data, len);
		stream_consume(c->stream, n);
		if (end_turn(c) == -1)
			return;
	}
	/* all that came before the end was heard, and nothing is awaited */
	if (c->eof && len == 0 && session_wants_input(c->session)) {
		session_eof(c->session, begin_turn(c->smtpd));
		if (end_turn(c) == -1)
			return;
	}
	arm_timer(c);
}

/* After an event other than octets. */
static void
finish_turn(struct client *c)
{
	if (end_turn(c) == 0)
		drive(c);
}

/* ---- what happens to a stream ----------------------------------------- */

static void
on_readable(struct stream *stream, void *arg)
{
	drive(arg);
}

static void
on_drained(struct stream *stream, void *arg)
{
	drive(arg);
}

static void
on_tls(struct stream *stream, int established, void *arg)
{
	struct client *c = arg;
	struct session_tls facts = { 0 };
	uint8_t binding[TLS_BINDING_LEN];
	struct tls_info info;
	char text[128];

	if (!established) {
		log_event(session_id(c->session), "tls-failed", "reason",
		    stream_error(stream), "address", c->addr, NULL);
		session_tls_done(c->session, begin_turn(c->smtpd), NULL);
		finish_turn(c);
		return;
	}
	tls_describe(stream_tls(stream), &info);
	snprintf(text, sizeof(text), "%s:%s:%d", info.version, info.cipher,
	    info.bits);
	facts.text = text;
	facts.verified = info.peer_certificate && info.verified;
	facts.binding = binding;
	if (tls_channel_binding(stream_tls(stream), binding) == 0)
		facts.binding_len = sizeof(binding);
	session_tls_done(c->session, begin_turn(c->smtpd), &facts);
	finish_turn(c);
}

static void
on_closed(struct stream *stream, enum stream_end end, void *arg)
{
	struct client *c = arg;

	c->eof = 1;
	if (end == STREAM_END_EOF && c->connected) {
		drive(c);
		return;
	}
	log_event(session_id(c->session), "disconnected", "reason",
	    end == STREAM_END_EOF ? "the client went away"
				  : stream_error(stream),
	    "address", c->addr, NULL);
	client_close(c, 0, 1);
}

static const struct stream_ops stream_ops = {
	.on_readable = on_readable,
	.on_drained = on_drained,
	.on_tls = on_tls,
	.on_closed = on_closed,
};

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;

	c->armed = 0;
	if (!c->connected) {
		c->hostname_id = 0;
		client_connect(c);
		return;
	}
	session_tick(c->session, begin_turn(c->smtpd));
	finish_turn(c);
}

/* ---- the beginning ---------------------------------------------------- */

static uint64_t
session_name(struct smtpd *d)
{
	uint64_t x =
	    d->session_seed + ++d->session_count * UINT64_C(0x9e3779b97f4a7c15);

	/* splitmix64: distinct for distinct counts */
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

void
client_connect(struct client *c)
{
	char literal[sizeof(c->own_addr) + sizeof("[IPv6:]")] = "";
	struct session_facts facts = { .slot = c->slot,
		.client_addr = c->addr,
		.local_user = c->local_user,
		.literal = literal,
		.early = c->early,
		.secure = c->local };

	facts.id = session_name(c->smtpd);
	if (*c->own_addr != '\0')
		snprintf(literal, sizeof(literal), "[%s%s]",
		    strchr(c->own_addr, ':') != NULL ? "IPv6:" : "",
		    c->own_addr);
	if (*c->hostname != '\0')
		facts.hostname = c->hostname;
	facts.rdns_pending = 1;
	/* only now: what comes in may have to be taken as TLS */
	c->stream = stream_new(c->smtpd->streams, c->fd, &stream_ops, c);
	if (c->stream == NULL) {
		c->fd = -1;
		client_close(c, 0, 1);
		return;
	}
	if (is_unix(c))
		stream_set_local(c->stream);
	c->connected = 1;
	session_connected(c->session, begin_turn(c->smtpd), &facts);
	if (end_turn(c) == -1)
		return;
	if (!names_client(c))
		client_rdns(c);
	else
		drive(c);
}

/* The address in sa; *len are its octets. */
static const void *
address_octets(const struct sockaddr *sa, size_t *len)
{
	*len = sa->sa_family == AF_INET6 ? 16 : 4;
	return sa->sa_family == AF_INET6
	    ? (const void *)&((const struct sockaddr_in6 *)sa)->sin6_addr
	    : (const void *)&((const struct sockaddr_in *)sa)->sin_addr;
}

/* Whether the client is on this machine: a connection whose two ends have the
 * same address never left it. What addresses we have is not asked, since they
 * come and go. */
static int
is_inside(const struct client *c, const void *ours, size_t len)
{
	static const uint8_t loopback[16] = { [15] = 1 };

	if (c->octets_len == 4 ? c->octets[0] == 127
			       : memcmp(c->octets, loopback, 16) == 0)
		return 1;
	return len == c->octets_len && memcmp(ours, c->octets, len) == 0;
}

/* What our end of the connection tells. */
static void
set_own_address(struct client *c, int fd)
{
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);
	const void *ours = NULL;
	size_t len = 0;

	if (getsockname(fd, (struct sockaddr *)&ss, &size) == 0) {
		ours = address_octets((struct sockaddr *)&ss, &len);
		inet_ntop(ss.ss_family, ours, c->own_addr, sizeof(c->own_addr));
	}
	c->local = is_inside(c, ours, len);
}

static void
set_address(struct client *c, int fd, const struct sockaddr *sa)
{
	const void *octets;

	if (sa == NULL) {
		c->local = 1;
		snprintf(c->addr, sizeof(c->addr), "local");
		return;
	}
	octets = address_octets(sa, &c->octets_len);
	memcpy(c->octets, octets, c->octets_len);
	inet_ntop(sa->sa_family, octets, c->addr, sizeof(c->addr));
	set_own_address(c, fd);
	c->address = limits_address(c->octets, c->octets_len);
}

/* Counts a client, or says 421 to whom a limit keeps out: -1. */
static int
let_in(struct client *c, int fd)
{
	static const char *const reasons[] = {
		[LIMITS_TOTAL] = "too many connections",
		[LIMITS_ADDRESS] = "too many connections of one address",
		[LIMITS_RATE] = "too many new connections of one address",
	};
	struct smtpd *d = c->smtpd;
	enum limits_verdict verdict;
	const char *why;

	if (fd >= worker_reserve(d->worker))
		why = "no descriptors left for clients";
	else {
		verdict = limits_open(d->limits,
		    c->counted ? &c->address : NULL, loop_now(d->loop));
		if (verdict == LIMITS_OK)
			return 0;
		why = reasons[verdict];
	}
	log_event(0, "refused", "address", c->addr, "reason", why, NULL);
	listen_refuse(c->listener, fd, is_unix(c));
	return -1;
}

/* Whether a stranger speaks before we greeted: only then, since programs on
 * this machine often write all at once. */
static int
speaks_early(const struct client *c, int fd)
{
	char octet;

	return !c->local && !(c->listener->session.options & OPT_SMTPS) &&
	    recv(fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

/* What is allocated for a client. -1 without memory. */
static int
prepare(struct client *c)
{
	if (take_slot(c) == -1)
		return -1;
	c->session = session_new(&c->listener->session, c->smtpd->pool);
	if (c->session != NULL)
		return 0;
	leave_slot(c);
	return -1;
}

void
client_new(struct smtpd *d, struct listener *l, int fd,
    const struct sockaddr *address, const char *user)
{
	struct timeval wait = { HOSTNAME_TIME / 1000, 0 };
	struct client *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		listen_refuse(l, fd, address == NULL);
		return;
	}
	c->smtpd = d;
	c->listener = l;
	set_address(c, fd, address);
	c->counted = !c->local;
	snprintf(c->local_user, sizeof(c->local_user), "%s", user);
	if (let_in(c, fd) == -1) {
		free(c);
		return;
	}
	c->early = (uint8_t)speaks_early(c, fd);
	c->fd = fd;
	if (prepare(c) == -1) {
		log_warn("a client is turned away: out of memory");
		listen_hang_up(fd, is_unix(c));
		limits_close(d->limits, c->counted ? &c->address : NULL);
		free(c);
		return;
	}
	settings_ref(l->settings);
	TAILQ_INSERT_TAIL(&d->clients, c, entry);
	evtimer_assign(&c->timer, loop_base(d->loop), on_timer, c);
	if (names_own(c))
		evtimer_add(&c->timer, &wait);
	else
		client_connect(c);
}

/* ---- what others say -------------------------------------------------- */

void
client_answer(
    struct smtpd *d, uint64_t id, enum msg_type type, const union ipc_msg *m)
{
	struct client *c = client_find(d, id);

	if (c == NULL || !c->connected)
		return;
	session_answer(c->session, begin_turn(d), type, m);
	finish_turn(c);
}

void
client_rdns(struct client *c)
{
	session_rdns(
	    c->session, begin_turn(c->smtpd), c->rdns.name, c->rdns.state);
	finish_turn(c);
}

void
clients_lost(struct smtpd *d, enum process_kind peer)
{
	struct client *c, *next;

	for (c = TAILQ_FIRST(&d->clients); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (!c->connected || peer == PROC_RESOLVER) {
			names_lost(c, peer);
			continue;
		}
		session_lost(c->session, begin_turn(d), peer);
		finish_turn(c);
	}
}

void
clients_resume(struct smtpd *d)
{
	struct client *c;

	d->resuming = 1;
	while ((c = TAILQ_FIRST(&d->stalls)) != NULL && !queue_is_behind(d)) {
		TAILQ_REMOVE(&d->stalls, c, stall_entry);
		c->stalled = 0;
		drive(c);
	}
	d->resuming = 0;
}

void
clients_shutdown(struct smtpd *d)
{
	struct client *c, *next;

	for (c = TAILQ_FIRST(&d->clients); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		session_shutdown(c->session, begin_turn(d));
		finish_turn(c);
	}
}
