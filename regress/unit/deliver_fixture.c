/*
 * See deliver_fixture.h. The worker is the installed program, started,
 * configured and sandboxed as master does it.
 */
#include "config.h"

#include <sys/socket.h>

#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "deliver_fixture.h"

/* ---- the server ------------------------------------------------------- */

static void
say(struct connection *c, const char *text)
{
	assert_int_equal(stream_write_string(c->stream, text), 0);
}

static void
keep(struct harness *h, const char *data, size_t len)
{
	assert_true(h->mail_len + len < MAIL_MAX);
	memcpy(h->mail + h->mail_len, data, len);
	h->mail_len += len;
	h->mail[h->mail_len] = '\0';
}

static void
note(struct harness *h, const char *line)
{
	size_t len = strlen(h->envelope);

	snprintf(h->envelope + len, sizeof(h->envelope) - len, "%s\n", line);
}

static void
close_connection(struct connection *c)
{
	stream_free(c->stream);
	c->stream = NULL;
}

static void
refuse(struct connection *c)
{
	char line[128];

	snprintf(line, sizeof(line), "%s\r\n", c->h->refusal);
	say(c, line);
}

static void
serve_line(struct connection *c, const char *line)
{
	struct harness *h = c->h;

	if (c->in_data) {
		if (strcmp(line, ".") != 0) {
			keep(h, line, strlen(line));
			keep(h, "\r\n", 2);
			return;
		}
		c->in_data = 0;
		h->ends++;
		if ((h->manner & DROP_END) != 0)
			close_connection(c);
		else
			say(c, "250 2.0.0 taken\r\n");
	} else if (strncmp(line, "EHLO", 4) == 0) {
		say(c, "250-server.test\r\n250-PIPELINING\r\n250-SIZE\r\n");
		if ((h->manner & (TLS | BROKEN_TLS)) != 0 &&
		    stream_tls(c->stream) == NULL)
			say(c, "250-STARTTLS\r\n");
		say(c, "250 DSN\r\n");
	} else if (strcmp(line, "STARTTLS") == 0) {
		say(c, "220 go\r\n");
		if ((h->manner & BROKEN_TLS) == 0)
			stream_start_tls(
			    c->stream, SSL_new(h->tls), STREAM_SERVER);
	} else if (strncmp(line, "MAIL", 4) == 0) {
		note(h, line);
		if ((h->manner & DROP_SECOND) != 0 && c->mails++ > 0) {
			close_connection(c);
			return;
		}
		if ((h->manner & REFUSE_MAIL) != 0)
			refuse(c);
		else
			say(c, "250 2.1.0 ok\r\n");
	} else if (strncmp(line, "RCPT", 4) == 0) {
		note(h, line);
		if ((h->manner & REFUSE_RCPT) != 0)
			refuse(c);
		else
			say(c, "250 2.1.5 ok\r\n");
	} else if (strcmp(line, "DATA") == 0) {
		if ((h->manner & DROP_DATA) != 0)
			close_connection(c);
		else if ((h->manner & REFUSE_RCPT) != 0)
			say(c, "554 5.5.1 no recipients\r\n");
		else {
			c->in_data = 1;
			say(c, "354 go\r\n");
		}
	} else if (strcmp(line, "QUIT") == 0)
		say(c, "221 bye\r\n");
	else if (strcmp(line, "RSET") == 0)
		say(c, "250 ok\r\n");
	else
		/* the handshake that BROKEN_TLS does not understand */
		close_connection(c);
}

static void
on_readable(struct stream *stream, void *arg)
{
	struct connection *c = arg;
	const uint8_t *data, *end;
	char line[LINE];
	size_t len, n;

	while (c->stream != NULL &&
	    (data = stream_input(stream, &len)) != NULL && len > 0) {
		end = memchr(data, '\n', len);
		if (end == NULL) {
			if (len > 0 && data[0] == 0x16)
				close_connection(c);
			return;
		}
		n = (size_t)(end - data) + 1;
		assert_true(n < sizeof(line) && n >= 1);
		memcpy(line, data, n);
		if (n < 2 || line[n - 2] != '\r') {
			/* a ClientHello where text should be */
			close_connection(c);
			return;
		}
		line[n - 2] = '\0';
		stream_consume(stream, n);
		serve_line(c, line);
	}
}

static void
on_server_closed(struct stream *stream, enum stream_end why, void *arg)
{
	close_connection(arg);
}

static void
on_server_tls(struct stream *stream, int established, void *arg)
{
	struct connection *c = arg;

	if (established)
		c->h->tls_sessions++;
	else
		close_connection(c);
}

static const struct stream_ops server_ops = {
	.on_readable = on_readable,
	.on_closed = on_server_closed,
	.on_tls = on_server_tls,
};

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct harness *h = arg;
	struct connection *c = NULL;
	int s = accept(fd, NULL, NULL);

	for (unsigned i = 0; i < CONNECTIONS && c == NULL; i++)
		if (h->connections[i].stream == NULL)
			c = &h->connections[i];
	assert_non_null(c);
	assert_true(s >= 0);
	memset(c, 0, sizeof(*c));
	c->h = h;
	h->connected++;
	c->stream = stream_new(h->streams, s, &server_ops, c);
	say(c,
	    (h->manner & BUSY) != 0 ? "421 4.3.2 busy\r\n"
				    : "220 server.test ESMTP\r\n");
}

static void
listen_on(struct harness *h)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);

	h->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(
	    bind(h->listener, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(h->listener, 16), 0);
	getsockname(h->listener, (struct sockaddr *)&sin, &len);
	h->port = ntohs(sin.sin_port);
	h->accept = event_new(loop_base(h->stage.loop), h->listener,
	    EV_READ | EV_PERSIST, on_accept, h);
	event_add(h->accept, NULL);
}

/* ---- the other processes ---------------------------------------------- */

static void
on_transfer_done(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct harness *h = arg;
	struct ipc_list list = m->transfer_done.results;
	struct msg_rcpt_result r;

	h->route = m->transfer_done.route;
	snprintf(h->tls_text, sizeof(h->tls_text), "%s", m->transfer_done.tls);
	for (h->results = 0; ipc_next_rcpt_result(&list, &r); h->results++) {
		assert_true(r.index < RESULTS);
		h->status[r.index] = r.status;
		snprintf(h->enhanced[r.index], 12, "%s", r.enhanced);
		snprintf(h->text[r.index], 1025, "%s", r.text);
		snprintf(h->remote, sizeof(h->remote), "%s", r.remote);
	}
	stage_got(&h->stage, MSG_transfer_done);
}

static void
on_body_request(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct harness *h = arg;
	struct msg_body_data d = { .id = m->body_request.id };
	struct msg_body_file f = { .id = m->body_request.id,
		.size = h->body_len,
		.crc = h->body_crc };
	size_t half = h->body_len / 2;

	h->asked_body++;
	if (h->body_fd != -1) {
		ipc_send_fd(ch, body_file, &f, dup(h->body_fd));
		return;
	}
	d.data = ipc_blob(h->body, half);
	ipc_send(ch, body_data, &d);
	d.data = ipc_blob(h->body + half, h->body_len - half);
	d.last = 1;
	ipc_send(ch, body_data, &d);
}

static void
on_callahead_done(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct harness *h = arg;

	h->callahead_status = m->callahead_done.status;
	h->callahead_code = m->callahead_done.code;
	stage_got(&h->stage, MSG_callahead_done);
}

static void
on_route_answer(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct harness *h = arg;

	h->routes += (int)m->route_answer.routes.count;
	if (m->route_answer.last)
		stage_got(&h->stage, MSG_route_answer);
}

/* The zone is words: NAME TYPE VALUE, each record ended by a semicolon. */
static void
on_dns_query(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct harness *h = arg;
	struct msg_dns_answer a = { .id = m->dns_query.id,
		.status = DNS_NXDOMAIN,
		.name = m->dns_query.name };
	struct ipc_buf buf = { 0 };
	char copy[1024], *record, *save = NULL, name[64], type[8], value[64];
	unsigned preference;

	snprintf(copy, sizeof(copy), "%s", h->zone);
	for (record = strtok_r(copy, ";", &save); record != NULL;
	     record = strtok_r(NULL, ";", &save)) {
		struct msg_dns_record r = { .type = m->dns_query.type,
			.name = "" };
		struct in_addr in;

		assert_int_equal(sscanf(record, "%63s %7s %u %63s", name, type,
				     &preference, value),
		    4);
		if (strcmp(name, m->dns_query.name) != 0)
			continue;
		if (a.status == DNS_NXDOMAIN)
			a.status = DNS_NODATA;
		if (strcmp(type, "MX") == 0 && r.type == 15) {
			r.preference = (uint16_t)preference;
			r.name = value;
		} else if (strcmp(type, "A") == 0 && r.type == 1) {
			assert_int_equal(inet_pton(AF_INET, value, &in), 1);
			r.data = ipc_blob(&in, 4);
		} else
			continue;
		a.status = DNS_OK;
		ipc_add_dns_record(&buf, &r);
	}
	a.records = ipc_buf_list(&buf);
	ipc_send(ch, dns_answer, &a);
	ipc_buf_free(&buf);
}

/* The test answers. */
static void
on_table_query(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct harness *h = arg;

	h->asked_table = m->table_query.id;
	stage_got(&h->stage, MSG_table_query);
}

static channel_handler *const handlers[MSG_MAX] = {
	[MSG_transfer_done] = on_transfer_done,
	[MSG_body_request] = on_body_request,
	[MSG_callahead_done] = on_callahead_done,
	[MSG_route_answer] = on_route_answer,
	[MSG_dns_query] = on_dns_query,
	[MSG_table_query] = on_table_query,
};

/* ---- the worker's life ------------------------------------------------ */

static void
add_relay(struct conf *conf, const char *name, const char *url,
    enum conf_relay_tls tls)
{
	struct conf_action *action;
	struct conf_table *table;
	struct conf_entry *entry;

	action = conf_append(
	    &conf->actions, &conf->nactions, sizeof(*conf->actions));
	action->name = strdup(name);
	action->kind = CONF_ACTION_RELAY;
	action->relay.tls = tls;
	if (url == NULL)
		return;
	table =
	    conf_append(&conf->tables, &conf->ntables, sizeof(*conf->tables));
	table->name = strdup(name);
	table->kind = CONF_TABLE_STATIC;
	table->uses = 1U << CONF_SERVICE_RELAYHOST;
	entry = conf_append(
	    &table->entries, &table->nentries, sizeof(*table->entries));
	entry->key = strdup(url);
	action->relay.host = strdup(name);
}

/* Turns the table that add_relay made into a file, which auth reads. */
static void
hide_table(struct conf *conf, const char *name)
{
	for (uint32_t i = 0; i < conf->ntables; i++)
		if (strcmp(conf->tables[i].name, name) == 0) {
			conf->tables[i].kind = CONF_TABLE_FILE;
			conf->tables[i].backend = strdup("file");
			conf->tables[i].config = strdup("/relays");
		}
}

static void
configure(struct harness *h)
{
	struct conf *conf = conf_new();
	struct conf_ca *ca;
	char url[64];

	ca = conf_append(&conf->cas, &conf->ncas, sizeof(*conf->cas));
	ca->name = strdup(CONF_SYSTEM_CA);
	ca->ca_pem = strdup(h->cert.pem);
	conf->server_name = strdup("us.test");
	conf->mta.port = h->port;
	conf->mta.allow_loopback = true;
	add_relay(conf, "mx", NULL, CONF_RELAY_TLS_OPPORTUNISTIC);
	snprintf(url, sizeof(url), "smtp://127.0.0.1:%u", h->port);
	add_relay(conf, "host", url, CONF_RELAY_TLS_OPPORTUNISTIC);
	add_relay(conf, "tls", url, CONF_RELAY_TLS_NO_VERIFY);
	add_relay(conf, "verify", url, CONF_RELAY_TLS_REQUIRE);
	add_relay(conf, "asked", url, CONF_RELAY_TLS_OPPORTUNISTIC);
	hide_table(conf, "asked");
	add_relay(conf, "sure", url, CONF_RELAY_TLS_NO_VERIFY);
	hide_table(conf, "sure");
	add_relay(conf, "named", url, CONF_RELAY_TLS_OPPORTUNISTIC);
	conf->actions[conf->nactions - 1].relay.helo_src = strdup("asked");
	stage_configure(&h->stage, conf);
	assert_string_equal(h->stage.error, "");
	conf_free(conf);
}

static int
start(void **state, unsigned files)
{
	static const char *const argv[] = { "deliver", "-i", "0", NULL };
	struct harness *h = calloc(1, sizeof(*h));

	signal(SIGPIPE, SIG_IGN);
	h->stage = (struct stage){ .loop = loop_new(),
		.kind = PROC_DELIVER,
		.patience = 20,
		.files = files,
		.handlers = handlers,
		.ctx = h };
	h->streams = stream_set_new(h->stage.loop);
	h->body_fd = -1;
	h->zone = "";
	h->refusal = "550 5.1.1 nobody here";
	h->mail = calloc(1, MAIL_MAX);
	cert_make(&h->cert, CERT_P256, "live.test");
	listen_on(h);
	stage_start(&h->stage, "deliver/deliver", argv);
	configure(h);
	stage_add_peer(&h->stage, PROC_QUEUE);
	stage_add_peer(&h->stage, PROC_RESOLVER);
	stage_add_peer(&h->stage, PROC_AUTH);
	stage_swap(&h->stage);
	*state = h;
	return 0;
}

int
harness_start(void **state)
{
	return start(state, 0);
}

int
harness_start_small(void **state)
{
	return start(state, HARNESS_FILES);
}

int
harness_stop(void **state)
{
	struct harness *h = *state;

	stage_stop(&h->stage);
	event_free(h->accept);
	close(h->listener);
	stream_set_free(h->streams);
	loop_free(h->stage.loop);
	SSL_CTX_free(h->tls);
	cert_free(&h->cert);
	if (h->body_fd != -1)
		close(h->body_fd);
	free(h->mail);
	free(h);
	return 0;
}
