/*
 * The clients of the simulated world: each brings a few messages in one
 * session, well or badly; and the operator, who asks the queue through its
 * control socket.
 */
#include "config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

enum { COMMANDS = 80, LINE = 512, PATIENCE = 15 * MINUTE };

enum step { STEP_GREETING, STEP_PLAIN, STEP_RCPT, STEP_DATA, STEP_END };

struct command {
	enum step step;
	char line[LINE];
	char address[128]; /* STEP_RCPT */
	struct mail *mail;
};

struct sender {
	struct object *object;
	int over;
	int pipelining;
	int chunking;
	int hold_at; /* hangs up before this command; 0: never */
	size_t count;
	size_t sent;
	size_t answered;
	struct command commands[COMMANDS];
	char text[LINE];
	size_t len;
	int trusted;
};

/* ---- what is sent ----------------------------------------------------- */

/* The octets from the X-Sim field on, the same for the same mail. */
size_t
sender_text(const struct mail *m, char **out)
{
	static const char *const lines[] = { "a line of text\r\n", ".\r\n",
		"..two dots\r\n", "\r\n", "From here\r\n",
		".start with a dot and go on for a while to see\r\n" };
	uint32_t x = m->token * 2654435761u;
	size_t n, size = m->size + 256;
	char *text = malloc(size);

	if (text == NULL)
		fail("out of memory");
	n = (size_t)snprintf(text, size,
	    "X-Sim: %08x\r\nSubject: mail %u\r\n\r\n", m->token, m->token);
	while (n < m->size) {
		const char *line =
		    lines[(x = x * 1103515245 + 12345) >> 16 & 3];

		n += (size_t)snprintf(text + n, size - n, "%s", line);
		if (x >> 28 == 0)
			n += (size_t)snprintf(
			    text + n, size - n, "%s", lines[5]);
	}
	*out = text;
	return n;
}

static void
send_text(struct sender *s, const struct mail *m, int stuffed)
{
	static const char from[] = "From: somebody\r\n";
	char *text, *out, head[32];
	size_t len = sender_text(m, &text), n = 0;

	out = malloc(sizeof(from) + 2 * len + 8);
	if (out == NULL)
		fail("out of memory");
	n = strlen(from);
	memcpy(out, from, n);
	for (size_t i = 0; i < len; i++) {
		if (stuffed && text[i] == '.' &&
		    (i == 0 || text[i - 1] == '\n'))
			out[n++] = '.';
		out[n++] = text[i];
	}
	if (stuffed) {
		memcpy(out + n, ".\r\n", 3);
		n += 3;
	} else {
		snprintf(head, sizeof(head), "BDAT %zu LAST\r\n", n);
		socket_say(s->object, head, strlen(head));
	}
	socket_say(s->object, out, n);
	free(out);
	free(text);
}

/* ---- the plan --------------------------------------------------------- */

static struct command *
plan(struct sender *s, enum step step, struct mail *m)
{
	struct command *c = &s->commands[s->count++];

	if (s->count == COMMANDS)
		fail("a session of too many commands");
	c->step = step;
	c->mail = m;
	return c;
}

static void
choose_address(char *out, size_t size, int outside)
{
	static const char *const people[] = { "alice", "bob", "carol", "list",
		"walker", "nobody" };
	static const char *const others[] = { "box", "box", "pal", "pal",
		"gone", "grey", "full", "box" };
	const struct domain *d;

	do
		d = &world.domains[dice_under((uint32_t)world.ndomains)];
	while (outside && d->kind != DOMAIN_OURS && d->kind != DOMAIN_BACKUP &&
	    !dice_one_in(8));
	if (d->kind == DOMAIN_OURS)
		snprintf(out, size, "%s@%s", people[dice_under(6)], d->name);
	else
		snprintf(out, size, "%s%u@%s", others[dice_under(8)],
		    dice_under(50), d->name);
}

/* What an alias or a .forward leads to is no recipient of its own, so that
 * each address of a mail stands for one recipient. */
static int
is_taken(struct mail *m, const char *address)
{
	static const char *const groups[] = { "list@ours.test",
		"walker@ours.test", "alice@ours.test", "bob@ours.test" };
	size_t n = sizeof(groups) / sizeof(groups[0]);
	int is_group = 0;

	if (check_rcpt(m, address) != NULL)
		return 1;
	for (size_t i = 0; i < n; i++)
		is_group |= strcmp(groups[i], address) == 0;
	for (size_t i = 0; is_group && i < n; i++)
		if (check_rcpt(m, groups[i]) != NULL)
			return 1;
	return 0;
}

static void
choose_sender(char *out, size_t size, int outside)
{
	const struct domain *d =
	    &world.domains[dice_under((uint32_t)world.ndomains)];

	if (dice_one_in(8))
		snprintf(out, size, "%s", "");
	else if (!outside || d->kind == DOMAIN_OURS)
		snprintf(out, size, "%s@ours.test",
		    dice_one_in(2) ? "alice" : "bob");
	else
		snprintf(out, size, "from%u@%s", dice_under(9), d->name);
}

static size_t
choose_size(void)
{
	if (dice_one_in(25))
		return 66000 + dice_under(120000);
	return 100 + dice_under(dice_one_in(4) ? 20000 : 1500);
}

static void
plan_mail(struct sender *s)
{
	uint32_t n = dice_one_in(3) ? 1 + dice_under(6) : 1;
	char sender[128], address[128];
	struct mail *m;

	choose_sender(sender, sizeof(sender), !s->trusted);
	m = check_new_mail(sender, s->trusted, choose_size());
	snprintf(plan(s, STEP_PLAIN, NULL)->line, LINE, "RSET");
	snprintf(plan(s, STEP_PLAIN, m)->line, LINE, "MAIL FROM:<%s>%s", sender,
	    dice_one_in(10) ? " RET=HDRS" : "");
	for (uint32_t i = 0; i < n; i++) {
		struct command *c;

		choose_address(address, sizeof(address), !s->trusted);
		if (is_taken(m, address))
			continue;
		check_add_rcpt(m, address);
		c = plan(s, STEP_RCPT, m);
		memcpy(c->address, address, sizeof(address));
		snprintf(c->line, LINE, "RCPT TO:<%s>%s", address,
		    dice_one_in(12) ? " NOTIFY=SUCCESS,FAILURE,DELAY" : "");
	}
	if (!s->chunking)
		snprintf(plan(s, STEP_DATA, m)->line, LINE, "DATA");
	plan(s, STEP_END, m);
}

static void
plan_session(struct sender *s)
{
	plan(s, STEP_GREETING, NULL);
	snprintf(plan(s, STEP_PLAIN, NULL)->line, LINE, "EHLO client.test");
	for (uint32_t n = 1 + dice_under(3); n > 0; n--)
		plan_mail(s);
	snprintf(plan(s, STEP_PLAIN, NULL)->line, LINE, "QUIT");
	if (!sim.calm && dice_one_in(6))
		s->hold_at = 1 + (int)dice_under((uint32_t)s->count);
	s->sent = 1; /* the greeting is not asked for */
}

/* ---- the session ------------------------------------------------------ */

static void
leave(struct sender *s)
{
	if (s->over)
		return;
	s->over = 1;
	socket_hang_up(s->object, dice_one_in(3));
}

static void
send_command(struct sender *s, const struct command *c)
{
	char line[LINE + 2];

	if (c->step == STEP_END)
		send_text(s, c->mail, !s->chunking);
	else {
		snprintf(line, sizeof(line), "%s\r\n", c->line);
		socket_say(s->object, line, strlen(line));
	}
}

/* Whether the next command may go before all before it are answered. */
static int
may_send(const struct sender *s)
{
	const struct command *c = &s->commands[s->sent];

	if (s->sent == s->answered)
		return 1;
	return s->pipelining && s->answered >= 2 &&
	    (c->step == STEP_RCPT || c->step == STEP_DATA) &&
	    s->commands[s->sent - 1].mail == c->mail;
}

static void
send_more(struct sender *s)
{
	while (!s->over && s->sent < s->count && may_send(s)) {
		if (s->hold_at != 0 && s->sent >= (size_t)s->hold_at) {
			/* the last word may be on its way */
			if (dice_one_in(2))
				send_command(s, &s->commands[s->sent]);
			leave(s);
			return;
		}
		send_command(s, &s->commands[s->sent++]);
	}
	if (!s->over && s->answered == s->count)
		leave(s);
}

/* A message that will not go is passed over. */
static void
skip_message(struct sender *s)
{
	struct mail *m = s->commands[s->answered].mail;

	while (s->sent < s->count && s->commands[s->sent].mail == m) {
		s->sent++;
		s->answered++;
	}
}

static void
take_reply(struct sender *s, const char *line)
{
	struct command *c = &s->commands[s->answered];
	int good = line[0] == '2' || line[0] == '3';

	if (s->answered >= s->sent) {
		/* a goodbye that nobody asked for */
		leave(s);
		return;
	}
	if (c->step == STEP_RCPT && line[0] == '2')
		check_rcpt_accepted(c->mail, c->address);
	if (c->step == STEP_END && line[0] == '2')
		check_acknowledged(c->mail);
	if (strncmp(line, "421", 3) == 0) {
		leave(s);
		return;
	}
	if (!good && c->step == STEP_DATA)
		skip_message(s);
	s->answered++;
	send_more(s);
}

static void
on_data(void *arg, const char *data, size_t len)
{
	struct sender *s = arg;

	for (size_t i = 0; i < len && !s->over; i++) {
		if (s->len < sizeof(s->text) - 1)
			s->text[s->len++] = data[i];
		if (data[i] != '\n')
			continue;
		s->text[s->len] = '\0';
		s->len = 0;
		if (s->text[3] != '-')
			take_reply(s, s->text);
	}
}

static void
on_end(void *arg)
{
	leave(arg);
}

static void
on_impatience(void *arg)
{
	struct sender *s = arg;

	leave(s);
	free(s);
}

static const struct actor client = { on_data, on_end };

void
sender_start(void *unused)
{
	struct sender *s = calloc(1, sizeof(*s));
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in *sin = (struct sockaddr_in *)&ss;
	char text[32];

	if (s == NULL)
		fail("out of memory");
	s->trusted = dice_one_in(2);
	s->pipelining = dice_one_in(2);
	s->chunking = dice_one_in(4);
	plan_session(s);
	snprintf(text, sizeof(text), "%s.%u",
	    s->trusted ? "192.0.2" : "203.0.113", 1 + dice_under(250));
	sin->sin_family = AF_INET;
	sin->sin_port = htons(12345);
	inet_pton(AF_INET, text, &sin->sin_addr);
	say("a client comes from %s", text);
	s->object = socket_call(world.listener, &ss, &client, s);
	clock_after(PATIENCE, on_impatience, s);
}

/* ---- the operator ----------------------------------------------------- */

struct operation {
	struct object *object;
	int over;
};

static void
operator_end(void *arg)
{
	struct operation *o = arg;

	if (!o->over)
		socket_hang_up(o->object, 0);
	o->over = 1;
}

static void
operator_data(void *arg, const char *data, size_t len)
{
	operator_end(arg);
}

static const struct actor operator_actor = { operator_data, operator_end };

static void
ask(struct operation *o, const char *verb, uint32_t msgid)
{
	struct msg_ctl_request m = { .id = 1 };
	struct ipc_buf words = { 0 }, frame = { 0 };
	uint8_t head[8] = { 0 };
	char id[16];
	struct msg_ctl_word w = { .word = verb };

	ipc_add_ctl_word(&words, &w);
	snprintf(id, sizeof(id), "%08x", msgid);
	w.word = id;
	ipc_add_ctl_word(&words, &w);
	m.words = ipc_buf_list(&words);
	ipc_buf_put(&frame, head, sizeof(head));
	if (msg_encode(MSG_ctl_request, &m, &frame) == -1)
		fail("the operator cannot speak");
	for (int i = 0; i < 4; i++)
		frame.data[i] =
		    (uint8_t)((frame.len - sizeof(head)) >> (24 - 8 * i));
	frame.data[4] = MSG_ctl_request >> 8;
	frame.data[5] = MSG_ctl_request & 255;
	socket_say(o->object, frame.data, frame.len);
	ipc_buf_free(&words);
	ipc_buf_free(&frame);
}

void
operator_start(void *unused)
{
	struct operation *o;
	struct mail *m = check_any_queued();
	int removes = dice_one_in(3);

	if (m == NULL || (o = calloc(1, sizeof(*o))) == NULL)
		return;
	if (removes)
		m->removing = 1;
	say("the operator %s %08x", removes ? "removes" : "schedules",
	    m->msgid);
	o->object = socket_call(world.control, NULL, &operator_actor, o);
	ask(o, removes ? "remove" : "schedule", m->msgid);
}
