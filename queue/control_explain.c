/*
 * `smtpctl explain`: the question in the words of the configuration goes to
 * auth, which holds the rules; each rule that it tried becomes a row, and the
 * reply that a client would hear the last one.
 *
 *	explain CLIENT SENDER RECIPIENT [helo NAME] [rdns NAME] [auth USER]
 *	    [tag TAG] [tls] [inside]
 *
 * CLIENT is an address, or `local` for a program on this machine, whose
 * session has the tag of `listen on socket`.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "conf/url.h"
#include "ipc/worker.h"
#include "queue/control_private.h"
#include "smtp/address.h"

/* What the words came to. */
struct asked {
	struct msg_explain m;
	char sender[ADDRESS_SIZE];
	char recipient[ADDRESS_SIZE];
};

static int
take_address(const char *text, unsigned flags, char out[ADDRESS_SIZE],
    char *error, size_t size)
{
	struct address a;
	enum address_error e;
	size_t len = strlen(text);

	flags |= ADDRESS_UTF8 | ADDRESS_LONG;
	e = *text == '<' ? address_parse_path(text, len, flags, &a)
			 : address_parse(text, len, flags, &a);
	if (e != ADDRESS_OK) {
		snprintf(error, size,
		    "`%.60s` is no whole address (%s): write user@domain", text,
		    address_strerror(e));
		return -1;
	}
	address_format(&a, out);
	return 0;
}

/* The options from word `i` on. */
static int
take_options(const char *const *words, size_t count, struct asked *q,
    char *error, size_t size)
{
	const struct {
		const char *word;
		const char **value;
		uint32_t flag;
	} options[] = {
		{ "helo", &q->m.helo, 0 },
		{ "rdns", &q->m.client_name, SESSION_FCRDNS },
		{ "auth", &q->m.auth_user, SESSION_AUTH },
		{ "tag", &q->m.tag, 0 },
		{ "tls", NULL, SESSION_TLS },
		{ "inside", NULL, SESSION_INSIDE },
	};
	const size_t n = sizeof(options) / sizeof(options[0]);
	size_t o;

	for (size_t i = 0; i < count; i++) {
		for (o = 0; o < n; o++)
			if (strcmp(words[i], options[o].word) == 0)
				break;
		if (o == n) {
			snprintf(error, size,
			    "explain: `%.60s` is unknown: "
			    "there are helo, rdns, auth, tag, tls and "
			    "inside",
			    words[i]);
			return -1;
		}
		q->m.flags |= options[o].flag;
		if (options[o].value == NULL)
			continue;
		if (++i == count) {
			snprintf(error, size, "explain: `%s` wants a value",
			    options[o].word);
			return -1;
		}
		*options[o].value = words[i];
	}
	return 0;
}

static int
take_question(struct control_conn *c, struct asked *q, char *error, size_t size)
{
	const char **w = c->words + c->arg;
	struct conf_address client;

	q->m = (struct msg_explain){ .id = c->id,
		.tag = "",
		.client_addr = w[0],
		.client_name = "",
		.helo = "",
		.auth_user = "",
		.sender = q->sender,
		.recipient = q->recipient };
	if (strcmp(w[0], "local") == 0) {
		q->m.client_addr = "";
		q->m.tag = c->tag;
		q->m.flags |= SESSION_LOCAL;
	} else if (url_address_parse(w[0], &client, NULL) == -1) {
		snprintf(error, size,
		    "`%.60s` is no address of a client: "
		    "write 192.0.2.1, 2001:db8::1 or local",
		    w[0]);
		return -1;
	}
	if (take_address(w[1], ADDRESS_NULL, q->sender, error, size) == -1 ||
	    take_address(w[2], ADDRESS_POSTMASTER, q->recipient, error, size) ==
		-1)
		return -1;
	return take_options(w + 3, c->word_count - c->arg - 3, q, error, size);
}

static void
explain(struct control_conn *c)
{
	struct channel *auth =
	    worker_peer(c->control->env.worker, PROC_AUTH, 0);
	struct asked q;
	char error[300];

	if (take_question(c, &q, error, sizeof(error)) == -1) {
		control_end(c, error);
		return;
	}
	if (auth == NULL) {
		control_end(c, "the auth process is not up: try again");
		return;
	}
	if (ipc_send(auth, explain, &q.m) == -1) {
		control_end(c, "the words are too long");
		return;
	}
	c->asked = PROC_AUTH;
	c->waiting = 1;
}

void
control_explain_rows(struct control_conn *c, const struct msg_explained *m)
{
	struct ipc_list steps = m->steps;
	struct control_row row = { 0 };
	struct msg_explain_step s;

	while (ipc_next_explain_step(&steps, &s)) {
		struct control_row step = { 0 };

		control_field(&step, "where", "%s", s.where);
		control_field(&step, "rule", "%s", s.rule);
		control_field(&step, "result", "%s%s",
		    *s.failed != '\0' ? "no: " : "matches", s.failed);
		control_row_send(c, &step);
	}
	control_field(&row, "where", "%s", m->where);
	control_field(&row, "action", "%s", m->action);
	control_field(&row, "reply", "%u%s%s%s%s", m->code,
	    *m->enhanced != '\0' ? " " : "", m->enhanced,
	    *m->text != '\0' ? " " : "", m->text);
	if (*m->note != '\0')
		control_field(&row, "note", "%s", m->note);
	control_row_send(c, &row);
}

const struct control_verb control_explain_verbs[] = {
	{ "explain", 1, 3, 12, explain },
	{ NULL, 0, 0, 0, NULL },
};
