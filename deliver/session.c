/*
 * See session.h. The core decides; this file moves octets and answers. A
 * session is freed at one place only, the end of a turn, so no callback finds
 * it gone.
 */
#include "config.h"

#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deliver/pool.h"
#include "deliver/question.h"
#include "deliver/session.h"
#include "deliver/settings.h"
#include "net/loop.h"
#include "net/stream.h"
#include "net/tls.h"
#include "os/log.h"

enum {
	OUTPUT_LIMIT = 512 << 10,
	OUTPUT_LOW = 64 << 10, /* the body waits while more is unsent */
	GOODBYE = 5 * 1000 /* milliseconds for the last octets */
};

struct session {
	struct deliver *deliver;
	struct settings *settings;
	const struct conf_action *action;
	struct route *route;
	const struct session_events *events;
	void *owner;
	struct client *client;
	struct client_config config;
	struct stream *stream; /* NULL before and after */
	struct question *question; /* SASL, or the HELO name */
	uint64_t log_id;
	int body_due; /* the core waits for body octets */
	int pumping;
	int closed; /* the core has ended */
	char helo[256];
	char label[256];
	char host[MX_NAME_SIZE];
	struct mx_address peer;
	char address[64]; /* peer as text */
	char server[MX_NAME_SIZE + 80]; /* both, and the port */
	uint16_t port;
	char tls_text[128];
	struct loop_deferred pump;
};

/* ---- the core's actions ----------------------------------------------- */

static void
begin_tls(struct session *s)
{
	enum tls_verify verify = s->config.tls == CLIENT_TLS_VERIFIED
	    ? TLS_VERIFY_REQUIRED
	    : TLS_VERIFY_OPTIONAL;
	struct tls_client *tls;
	const char *name = s->host;
	char error[256] = "out of memory";
	SSL *ssl = NULL;

	if (*name == '[')
		name = s->address;
	tls = settings_tls(
	    s->settings, s->action, s->deliver->keys, error, sizeof(error));
	if (tls != NULL)
		ssl = tls_client_session(tls, name, verify);
	if (ssl == NULL) {
		client_tls_failed(s->client, error);
		return;
	}
	/* what came in before is dropped, and is an attack */
	if (stream_start_tls(s->stream, ssl, STREAM_CLIENT) != 0)
		client_octets(s->client, "\n", 1, loop_now(s->deliver->loop));
}

static const char no_auth[] = "auth cannot be asked for the password";

static void
on_sasl(void *arg, const union ipc_msg *answer)
{
	struct session *s = arg;
	const struct msg_client_sasl_reply *m;
	enum sasl_status status;

	if (answer == NULL) {
		s->question = NULL;
		client_unasked(s->client, no_auth);
	} else {
		m = &answer->client_sasl_reply;
		status = m->status < SASL_STATUS_MAX
		    ? (enum sasl_status)m->status
		    : SASL_TEMPFAIL;
		client_sasl(s->client, status, m->mechanism, m->response.data,
		    m->response.len, loop_now(s->deliver->loop));
	}
	loop_defer(s->deliver->loop, &s->pump);
}

static void
begin_sasl(struct session *s, const char *mechanisms)
{
	uint8_t binding[TLS_BINDING_LEN];
	/* the configuration that this host is from: auth refuses if its own is
	 * another one, whose passwords may be for another host */
	uint32_t generation = s->settings->generation;
	struct msg_client_sasl_begin m = { .generation = generation,
		.action = s->action->name,
		.label = s->label,
		.mechanisms = mechanisms };
	SSL *ssl = stream_tls(s->stream);

	if (ssl != NULL && tls_channel_binding(ssl, binding) == 0)
		m.channel_binding = ipc_blob(binding, sizeof(binding));
	s->question = question_sasl(s->deliver->questions, &m, on_sasl, s);
	if (s->question == NULL)
		client_unasked(s->client, no_auth);
}

static void
step_sasl(struct session *s, const void *data, size_t len)
{
	if (s->question == NULL ||
	    question_sasl_step(s->deliver->questions, s->question, data, len) ==
		-1)
		client_unasked(s->client, no_auth);
}

static void
end_sasl(struct session *s)
{
	question_cancel(s->deliver->questions, s->question);
	s->question = NULL;
}

static void
hang_up(struct session *s)
{
	enum client_end end = client_outcome(s->client)->end;
	struct loop *loop = s->deliver->loop;

	s->closed = 1;
	if (s->stream == NULL)
		return;
	/* a handshake that failed, and a dead connection, have no goodbye */
	if (end == CLIENT_END_QUIT || end == CLIENT_END_REFUSED ||
	    end == CLIENT_END_TLS || end == CLIENT_END_AUTH ||
	    end == CLIENT_END_LOOP)
		stream_finish(s->stream, loop_now(loop) + GOODBYE, 0);
	else
		stream_free(s->stream);
	s->stream = NULL;
}

/* What was said on either side; see client_trace. */
static void
trace(const struct session *s, const char *notes, size_t len)
{
	const char *end = notes + len;

	for (; notes < end; notes += strlen(notes) + 1)
		log_trace_event(TRACE_MTA, s->log_id,
		    *notes == '>' ? "command" : "reply", "line", notes + 1,
		    "address", s->address, NULL);
}

/* Tracing may begin and end while a session is open. */
static void
follow_trace(struct session *s)
{
	client_trace(s->client, (log_traced() & TRACE_MTA) != 0);
}

static void
act(struct session *s, const struct client_action *a)
{
	switch (a->what) {
	case CLIENT_DO_TRACE:
		trace(s, a->data, a->len);
		break;
	case CLIENT_DO_WRITE:
		if (s->stream != NULL &&
		    stream_write(s->stream, a->data, a->len) == -1)
			client_lost(s->client, "the connection broke");
		break;
	case CLIENT_DO_TLS:
		begin_tls(s);
		break;
	case CLIENT_DO_SASL_BEGIN:
		begin_sasl(s, a->data);
		break;
	case CLIENT_DO_SASL_STEP:
		step_sasl(s, a->data, a->len);
		break;
	case CLIENT_DO_SASL_ABORT:
		end_sasl(s);
		break;
	case CLIENT_DO_BODY_BEGIN:
		s->body_due = 1;
		if (s->events != NULL)
			s->events->body_begin(s->owner, s);
		break;
	case CLIENT_DO_BODY_MORE:
		s->body_due = 1;
		break;
	case CLIENT_DO_RESULTS:
		if (s->events != NULL)
			s->events->results(s->owner, s);
		break;
	case CLIENT_DO_IDLE:
		if (s->events != NULL)
			s->events->ready(s->owner, s);
		break;
	case CLIENT_DO_CLOSE:
		hang_up(s);
		break;
	case CLIENT_DO_NOTHING:
		break;
	}
}

/* Gives the core one part of the body if it may have it; 1 if it did. */
static int
feed(struct session *s)
{
	static char part[CLIENT_BODY_MAX];
	int last;
	ssize_t n;

	if (!s->body_due || s->closed || s->events == NULL ||
	    s->stream == NULL || stream_output_pending(s->stream) > OUTPUT_LOW)
		return 0;
	n = s->events->body(s->owner, part, sizeof(part), &last);
	if (n == SESSION_BODY_WAIT)
		return 0;
	s->body_due = 0;
	if (n < 0)
		client_body_failed(s->client, "the body cannot be read");
	else
		client_body(s->client, part, (size_t)n, last,
		    loop_now(s->deliver->loop));
	return 1;
}

static void
free_session(struct session *s)
{
	end_sasl(s);
	loop_undefer(s->deliver->loop, &s->pump);
	if (s->stream != NULL)
		stream_free(s->stream);
	client_free(s->client);
	settings_release(s->settings);
	free(s);
}

static void
end_session(struct session *s)
{
	const struct client_outcome *o = client_outcome(s->client);

	if (o->end != CLIENT_END_QUIT)
		log_event(s->log_id, "session-end", "host", s->host, "address",
		    s->address, "reason", o->text, NULL);
	pool_session_closed(s->route, o);
	if (s->events != NULL)
		s->events->closed(s->owner, s);
	free_session(s);
}

/* Takes all actions, and feeds the body as long as there is room. */
static void
run_pump(void *arg)
{
	struct session *s = arg;
	struct client_action a;

	if (s->pumping)
		return;
	s->pumping = 1;
	do {
		while (client_next(s->client, &a))
			act(s, &a);
	} while (feed(s));
	s->pumping = 0;
	if (s->closed)
		end_session(s);
	else if (s->stream != NULL)
		stream_set_deadline(s->stream, client_deadline(s->client));
}

static void
pump_later(struct session *s)
{
	loop_defer(s->deliver->loop, &s->pump);
}

/* ---- the stream's events ---------------------------------------------- */

static void
on_readable(struct stream *stream, void *arg)
{
	struct session *s = arg;
	const uint8_t *data;
	size_t len;

	data = stream_input(stream, &len);
	follow_trace(s);
	client_octets(
	    s->client, (const char *)data, len, loop_now(s->deliver->loop));
	stream_consume(stream, len);
	run_pump(s);
}

static void
on_drained(struct stream *stream, void *arg)
{
	run_pump(arg);
}

static void
begin_dialogue(struct session *s)
{
	client_connected(s->client, loop_now(s->deliver->loop));
	run_pump(s);
}

/* No mail goes out under another name because that cannot be asked: a server
 * may refuse it for that. */
static void
on_helo(void *arg, const union ipc_msg *answer)
{
	struct session *s = arg;

	s->question = NULL;
	stream_resume(s->stream);
	if (answer == NULL || answer->table_answer.status == LOOKUP_TEMPFAIL) {
		(answer == NULL ? client_unasked : client_no_source)(
		    s->client, "the table of own names cannot be asked");
		run_pump(s);
		return;
	}
	if (answer->table_answer.status == LOOKUP_FOUND)
		snprintf(
		    s->helo, sizeof(s->helo), "%s", answer->table_answer.value);
	begin_dialogue(s);
}

/* `helo-src`: the name depends on the address that we come from. 1 if the
 * dialogue is not to begin yet. */
static int
ask_helo(struct session *s)
{
	const char *table = s->action->relay.helo_src, *value;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	char local[INET6_ADDRSTRLEN] = "";
	int elsewhere;

	if (table == NULL ||
	    getsockname(stream_fd(s->stream), (struct sockaddr *)&ss, &len) ==
		-1)
		return 0;
	if (ss.ss_family == AF_INET)
		inet_ntop(AF_INET, &((struct sockaddr_in *)&ss)->sin_addr,
		    local, sizeof(local));
	else
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&ss)->sin6_addr,
		    local, sizeof(local));
	value = settings_addrname(s->settings, table, local, &elsewhere);
	if (value != NULL)
		snprintf(s->helo, sizeof(s->helo), "%s", value);
	if (!elsewhere)
		return 0;
	s->question = question_table(s->deliver->questions, table,
	    CONF_SERVICE_ADDRNAME, local, on_helo, s);
	/* the greeting may be quicker, and is not to be read before; nor is the
	 * server to blame for the time, which the question has its own of */
	stream_pause(s->stream);
	stream_set_deadline(s->stream, 0);
	if (s->question == NULL)
		on_helo(s, NULL);
	return 1;
}

static void
on_connected(struct stream *stream, void *arg)
{
	struct session *s = arg;

	stream_set_limits(stream, 0, OUTPUT_LIMIT);
	if (!ask_helo(s))
		begin_dialogue(s);
}

static void
on_tls(struct stream *stream, int established, void *arg)
{
	struct session *s = arg;
	struct tls_info info;

	if (!established)
		client_tls_failed(s->client, stream_error(stream));
	else {
		tls_describe(stream_tls(stream), &info);
		tls_describe_string(&info, s->tls_text, sizeof(s->tls_text));
		client_tls_established(
		    s->client, info.verified, loop_now(s->deliver->loop));
	}
	run_pump(s);
}

static void
on_closed(struct stream *stream, enum stream_end end, void *arg)
{
	struct session *s = arg;
	const char *why = stream_error(stream);

	switch (end) {
	case STREAM_END_EOF:
		client_eof(s->client);
		break;
	case STREAM_END_TIMEOUT:
		client_timeout(s->client);
		break;
	case STREAM_END_CONNECT:
		client_unreachable(
		    s->client, *why != '\0' ? why : "no connection");
		break;
	case STREAM_END_ERROR:
		client_lost(
		    s->client, *why != '\0' ? why : "the connection broke");
		break;
	}
	run_pump(s);
}

static const struct stream_ops stream_events = {
	.on_readable = on_readable,
	.on_drained = on_drained,
	.on_connected = on_connected,
	.on_tls = on_tls,
	.on_closed = on_closed,
};

/* ---- life ------------------------------------------------------------- */

static socklen_t
fill_sockaddr(
    struct sockaddr_storage *ss, const struct mx_address *a, uint16_t port)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (a->family == MX_INET4) {
		sin->sin_family = AF_INET;
		sin->sin_port = htons(port);
		memcpy(&sin->sin_addr, a->octets, 4);
		return sizeof(*sin);
	}
	sin6->sin6_family = AF_INET6;
	sin6->sin6_port = htons(port);
	memcpy(&sin6->sin6_addr, a->octets, 16);
	return sizeof(*sin6);
}

static void
fill_config(struct session *s, const struct session_options *o)
{
	const struct conf *conf = s->settings->conf;
	const char *helo = o->action->relay.helo;

	snprintf(s->helo, sizeof(s->helo), "%s",
	    helo != NULL ? helo : conf->server_name);
	snprintf(s->label, sizeof(s->label), "%s", o->label);
	snprintf(s->host, sizeof(s->host), "%s", o->candidate->host);
	s->peer = o->candidate->address;
	mx_address_text(&o->candidate->address, s->address, sizeof(s->address));
	s->port = o->port;
	/* a literal is its own name */
	snprintf(s->server, sizeof(s->server), "%s%s[%s]:%u",
	    *s->host == '[' ? "" : s->host, *s->host == '[' ? "" : " ",
	    s->address, s->port);
	s->config = (struct client_config){ .lmtp = o->protocol == URL_LMTP,
		.implicit_tls = o->protocol == URL_SMTPS,
		.tls = o->tls,
		.fallen_back = o->fallen_back,
		.authenticate = *o->label != '\0',
		.clear_password = mx_address_loopback(&o->candidate->address),
		.helo = s->helo,
		.server = s->server,
		.own_name = o->explicit_host ? NULL : conf->server_name,
		.transactions_max = o->transactions_max,
		.rcpt_max = o->rcpt_max };
}

/* Not even begun. */
static void
fail_connect(struct session *s, const struct mx_address *source, int error)
{
	char address[64], text[128];

	if (source == NULL || error != EADDRNOTAVAIL)
		client_unreachable(s->client, strerror(error));
	else {
		mx_address_text(source, address, sizeof(address));
		snprintf(text, sizeof(text), "cannot send from %s: %s", address,
		    strerror(error));
		client_no_source(s->client, text);
	}
	pump_later(s);
}

static void
connect_session(struct session *s, const struct session_options *o)
{
	struct sockaddr_storage to, from;
	socklen_t to_len, from_len = 0;

	to_len = fill_sockaddr(&to, &o->candidate->address, o->port);
	if (o->source != NULL)
		from_len = fill_sockaddr(&from, o->source, 0);
	s->stream = stream_connect(s->deliver->streams, (struct sockaddr *)&to,
	    to_len, from_len > 0 ? (struct sockaddr *)&from : NULL, from_len,
	    client_deadline(s->client), &stream_events, s);
	if (s->stream == NULL)
		fail_connect(s, o->source, errno);
}

struct session *
session_open(struct deliver *d, const struct session_options *o,
    const struct session_events *events, void *owner)
{
	struct session *s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	s->deliver = d;
	s->settings = settings_hold(o->settings);
	s->action = o->action;
	s->route = o->route;
	s->events = events;
	s->owner = owner;
	s->log_id = o->log_id;
	loop_deferred_init(&s->pump, run_pump, s);
	fill_config(s, o);
	if ((s->client = client_new(&s->config, loop_now(d->loop))) == NULL) {
		settings_release(s->settings);
		free(s);
		return NULL;
	}
	follow_trace(s);
	pool_session_opened(s->route, s->host, s->address);
	connect_session(s, o);
	return s;
}

void
session_set_owner(
    struct session *s, const struct session_events *events, void *owner)
{
	s->events = events;
	s->owner = owner;
}

void
session_begin(
    struct session *s, const struct client_mail *mail, uint64_t log_id)
{
	s->log_id = log_id;
	follow_trace(s);
	client_transaction(s->client, mail, loop_now(s->deliver->loop));
	pump_later(s);
}

void
session_body_ready(struct session *s)
{
	pump_later(s);
}

void
session_body_failed(struct session *s, const char *text)
{
	client_body_failed(s->client, text);
	pump_later(s);
}

void
session_quit(struct session *s)
{
	session_set_owner(s, NULL, NULL);
	client_quit(s->client, loop_now(s->deliver->loop));
	pump_later(s);
}

void
session_abort(struct session *s, const char *text)
{
	client_abort(s->client, text);
	pump_later(s);
}

struct client *
session_client(struct session *s)
{
	return s->client;
}

struct route *
session_route(struct session *s)
{
	return s->route;
}

struct settings *
session_settings(struct session *s)
{
	return s->settings;
}

const char *
session_host(const struct session *s)
{
	return s->host;
}

const char *
session_address(const struct session *s)
{
	return s->address;
}

const struct mx_address *
session_peer(const struct session *s)
{
	return &s->peer;
}

uint16_t
session_port(const struct session *s)
{
	return s->port;
}

const char *
session_tls(const struct session *s)
{
	return s->tls_text;
}
