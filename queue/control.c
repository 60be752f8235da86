/*
 * See control.h. Owns the connections of the control socket, their limits and
 * the pace of their answers. A connection gets no channel, and so cannot ask,
 * before master has said whose it is. Somebody who holds many open connections
 * uses up his own share alone, and an idle one is closed. All of them together
 * leave descriptors to the store and to the other processes, and where those
 * took all there is still one for the operator.
 */
#include "config.h"

#include <sys/socket.h>

#include <bsd/sys/queue.h>
#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/worker.h"
#include "net/loop.h"
#include "os/log.h"
#include "os/passed.h"
#include "queue/control_private.h"
#include "queue/share.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

enum {
	CONNS_MAX = 256,
	CONNS_PART = 8, /* one in so many of the descriptors */
	/* who is refused for want of descriptors tries at once again, and
	 * whoever only looks now and then finds none */
	ACCEPT_PAUSE_MS = 50,
	IDLE_MS = 15 * 1000,
	STALLED_MS = 60 * 1000, /* an answer that nobody takes */
	TICK_MS = 250,
	STEPS_TURN = 2,
	ACCEPTS_TURN = 16
};

static void
drop_question(struct control_conn *c)
{
	free(c->words);
	free(c->text);
	c->words = NULL;
	c->text = NULL;
	c->word_count = 0;
	if (c->state_free != NULL)
		c->state_free(c->state);
	c->state_free = NULL;
	c->state = NULL;
	c->step = NULL;
	c->waiting = 0;
	c->busy = 0;
}

static void
conn_free(struct control_conn *c)
{
	drop_question(c);
	TAILQ_REMOVE(&c->control->conns, c, entry);
	c->control->count--;
	if (c->channel != NULL)
		channel_free(c->channel);
	if (c->fd != -1)
		passed_end(c->fd);
	spare_keep(&c->control->spare);
	free(c);
}

static void
set_deadline(struct control_conn *c, int ms)
{
	c->deadline = loop_now(worker_loop(c->control->env.worker)) + ms;
}

/* ---- answers ---------------------------------------------------------- */

void
control_field(struct control_row *row, const char *name, const char *fmt, ...)
{
	struct msg_ctl_field f = { .name = name };
	char value[2049];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	f.value = value;
	ipc_add_ctl_field(&row->fields, &f);
}

void
control_row_send(struct control_conn *c, struct control_row *row)
{
	struct msg_ctl_row m = { .id = c->request };

	m.fields = ipc_buf_list(&row->fields);
	if ((row->fields.failed || ipc_send(c->channel, ctl_row, &m) == -1) &&
	    channel_is_open(c->channel) && c->lost++ == 0)
		log_warn("a row for smtpctl was too large");
	ipc_buf_free(&row->fields);
}

void
control_end(struct control_conn *c, const char *error)
{
	struct msg_ctl_end m = { .id = c->request };
	char text[1024];

	snprintf(text, sizeof(text), "%s", error != NULL ? error : "");
	m.error = text;
	ipc_send(c->channel, ctl_end, &m);
	drop_question(c);
	set_deadline(c, IDLE_MS);
}

void
control_end_count(struct control_conn *c, uint32_t count)
{
	struct control_row row = { 0 };

	control_field(&row, "changed", "%u", count);
	control_row_send(c, &row);
	control_end(c, NULL);
}

/* ---- questions -------------------------------------------------------- */

/* How many words of the verb stand at the start, 0 if they do not. */
static size_t
verb_matches(
    const struct control_verb *v, const char *const *words, size_t count)
{
	const char *s = v->words;
	size_t n = 0;

	while (*s != '\0') {
		size_t len = strcspn(s, " ");

		if (n == count || strlen(words[n]) != len ||
		    strncmp(words[n], s, len) != 0)
			return 0;
		n++;
		s += len + (s[len] == ' ');
	}
	return n;
}

static const struct control_verb *const verb_tables[] = {
	control_show_verbs,
	control_act_verbs,
	control_care_verbs,
	control_explain_verbs,
};

static const struct control_verb *
find_verb(const char *const *words, size_t count, size_t *used)
{
	for (size_t t = 0; t < NITEMS(verb_tables); t++)
		for (const struct control_verb *v = verb_tables[t];
		     v->words != NULL; v++)
			if ((*used = verb_matches(v, words, count)) != 0)
				return v;
	return NULL;
}

/* Says what there is beside a command that is not there. */
static void
end_unknown(struct control_conn *c)
{
	const char *first = c->word_count > 0 ? c->words[0] : "";
	const char *second = c->word_count > 1 ? c->words[1] : "";
	const char *before = ": there are ";
	size_t n, len = strlen(first);
	char error[500];

	snprintf(error, sizeof(error), "unknown command `%.60s%s%.60s`", first,
	    *second != '\0' ? " " : "", second);
	for (size_t t = 0; t < NITEMS(verb_tables); t++)
		for (const struct control_verb *v = verb_tables[t];
		     v->words != NULL; v++) {
			if (strncmp(v->words, first, len) != 0 ||
			    v->words[len] != ' ')
				continue;
			n = strlen(error);
			snprintf(error + n, sizeof(error) - n, "%s`%s`", before,
			    v->words);
			before = ", ";
		}
	control_end(c, error);
}

static void
start_question(struct control_conn *c)
{
	const struct control_verb *v;
	const char *unwanted;
	char error[300];
	size_t used, args;

	if (control_parse_filter(c->words, &c->word_count, &c->filter, error,
		sizeof(error)) == -1) {
		control_end(c, error);
		return;
	}
	v = find_verb(c->words, c->word_count, &used);
	if (v == NULL) {
		end_unknown(c);
		return;
	}
	args = c->word_count - used;
	if (args < v->min_args || args > v->max_args) {
		snprintf(error, sizeof(error), "%s: %s", v->words,
		    args < v->min_args ? "an argument is missing"
				       : "too many arguments");
		control_end(c, error);
		return;
	}
	if (v->admin && !c->admin) {
		snprintf(error, sizeof(error),
		    "%s: permission denied: only "
		    "root and the admin group may do this",
		    v->words);
		control_end(c, error);
		return;
	}
	unwanted = c->filter.beyond[v->filters];
	if (unwanted != NULL) {
		snprintf(error, sizeof(error), "%s takes no filter --%.*s",
		    v->words, (int)strcspn(unwanted, "="), unwanted);
		control_end(c, error);
		return;
	}
	c->arg = used;
	c->next = c->filter.begin;
	c->next_rcpt = c->filter.begin_rcpt;
	v->start(c);
}

/* The question outlives the message that it came in. */
static int
copy_words(struct control_conn *c, struct ipc_list list)
{
	struct msg_ctl_word w;
	char *at;

	/* each word is shorter than its encoding */
	c->words = calloc(CONTROL_WORDS, sizeof(*c->words));
	at = c->text = malloc(list.len + 1);
	if (c->words == NULL || c->text == NULL)
		return -1;
	while (c->word_count < CONTROL_WORDS && ipc_next_ctl_word(&list, &w)) {
		size_t len = strlen(w.word) + 1;

		c->words[c->word_count++] = memcpy(at, w.word, len);
		at += len;
	}
	return 0;
}

static int
can_go_on(const struct control_conn *c)
{
	return c->step != NULL && channel_is_open(c->channel) &&
	    !channel_busy(c->channel) &&
	    c->wake <= loop_now(worker_loop(c->control->env.worker));
}

/* What is under way goes on in the next turn of the loop: never in this one,
 * or whoever reads as fast as we write would keep us in it. */
static void
go_on_soon(struct control *ctl)
{
	const struct timeval at_once = { 0, 0 };

	event_add(ctl->timer, &at_once);
}

/* The steps of one turn, however many ask: those who have waited longest come
 * first, and then whatever else the queue has to do. */
static void
take_turns(struct control *ctl)
{
	struct control_conn *c, *next;
	int steps = 0;

	TAILQ_FOREACH_SAFE (c, &ctl->conns, entry, next) {
		if (!can_go_on(c))
			continue;
		TAILQ_REMOVE(&ctl->conns, c, entry);
		TAILQ_INSERT_TAIL(&ctl->conns, c, entry);
		set_deadline(c, STALLED_MS);
		c->step(c);
		if (++steps == STEPS_TURN)
			break;
	}
	if (steps > 0)
		go_on_soon(ctl);
}

static void
on_request(void *arg, struct channel *ch, const union ipc_msg *msg, int fd)
{
	struct control_conn *c = arg;
	struct msg_ctl_end busy = { .id = msg->ctl_request.id,
		.error = "one question at a time" };

	if (channel_congested(ch)) {
		channel_refuse(ch, "questions whose answers nobody takes");
		return;
	}
	if (c->busy) {
		ipc_send(ch, ctl_end, &busy);
		return;
	}
	c->busy = 1;
	c->request = msg->ctl_request.id;
	c->matched = c->lost = c->changed = 0;
	c->cursor = 0;
	c->wake = 0;
	set_deadline(c, STALLED_MS);
	if (copy_words(c, msg->ctl_request.words) == -1) {
		control_end(c, "out of memory");
		return;
	}
	start_question(c);
	if (c->step != NULL)
		go_on_soon(c->control);
}

static void
on_closed(void *arg, struct channel *ch, const char *reason)
{
	conn_free(arg);
}

static void
on_writable(void *arg, struct channel *ch)
{
	go_on_soon(((struct control_conn *)arg)->control);
}

static channel_handler *const conn_handlers[MSG_MAX] = {
	[MSG_ctl_request] = on_request,
};
static const struct channel_ops conn_ops = { conn_handlers, on_closed,
	on_writable };

/* ---- connections ------------------------------------------------------ */

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct control *ctl = arg;
	struct control_conn *c, *next;
	int64_t now = loop_now(worker_loop(ctl->env.worker));
	const struct timeval tv = { 0, TICK_MS * 1000 };

	if (!TAILQ_EMPTY(&ctl->conns))
		event_add(ctl->timer, &tv);
	TAILQ_FOREACH_SAFE (c, &ctl->conns, entry, next)
		if (c->deadline != 0 && c->deadline <= now)
			conn_free(c);
	take_turns(ctl);
}

/* How many connections there may be: CONNS_MAX, or fewer. */
static unsigned
conns_max(const struct control *ctl)
{
	unsigned part = (unsigned)worker_reserve(ctl->env.worker) / CONNS_PART;

	return part < CONNS_MAX ? part : CONNS_MAX;
}

static void
conn_new(struct control *ctl, int fd)
{
	struct msg_peer_user_query q;
	struct channel *master = worker_master(ctl->env.worker);
	struct timeval tv = { 0, TICK_MS * 1000 };
	struct control_conn *c;
	int copy;

	if (ctl->count >= conns_max(ctl) ||
	    !share_has(
		SHARE_CONNECTIONS, worker_reserve(ctl->env.worker), fd) ||
	    (c = calloc(1, sizeof(*c))) == NULL) {
		passed_end(fd);
		return;
	}
	c->control = ctl;
	c->fd = fd;
	c->id = ++ctl->next_id;
	TAILQ_INSERT_TAIL(&ctl->conns, c, entry);
	ctl->count++;
	set_deadline(c, IDLE_MS);
	q.id = c->id;
	if (master == NULL || (copy = dup(fd)) == -1 ||
	    ipc_send_fd(master, peer_user_query, &q, copy) == -1) {
		conn_free(c);
		return;
	}
	if (!event_pending(ctl->timer, EV_TIMEOUT, NULL))
		event_add(ctl->timer, &tv);
}

/* Whether there is now a descriptor for who waits, and one for the question
 * whose he is: an operator must be heard when there is none left. */
static int
make_room(struct control *ctl)
{
	int had = 0;

	if (errno == EMFILE || errno == ENFILE)
		while (spare_give_up(&ctl->spare))
			had = 1;
	return had;
}

static void
on_accept(evutil_socket_t listener, short what, void *arg)
{
	const struct timeval pause = { 0, ACCEPT_PAUSE_MS * 1000 };
	struct control *ctl = arg;
	int fd, question, error;

	for (int i = 0; i < ACCEPTS_TURN; i++) {
		/* one that cannot be asked about is not accepted yet */
		question = dup(listener);
		fd = question != -1
		    ? accept4(listener, NULL, NULL, SOCK_CLOEXEC)
		    : -1;
		error = errno;
		if (question != -1)
			close(question);
		if (fd != -1) {
			ctl->must_wait = 0;
			conn_new(ctl, fd);
			continue;
		}
		errno = error;
		if (make_room(ctl))
			continue;
		/* who waits would wake us again and again */
		if (errno != EAGAIN && errno != EINTR &&
		    errno != ECONNABORTED) {
			if (!ctl->must_wait)
				log_warn(
				    "smtpctl must wait: %s", strerror(errno));
			ctl->must_wait = 1;
			event_del(ctl->accept_event);
			event_add(ctl->accept_pause, &pause);
		}
		return;
	}
}

static void
on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	struct control *ctl = arg;

	spare_keep(&ctl->spare);
	if (ctl->accept_event != NULL)
		event_add(ctl->accept_event, NULL);
}

static struct control_conn *
find_conn(struct control *ctl, uint64_t id)
{
	struct control_conn *c;

	TAILQ_FOREACH (c, &ctl->conns, entry)
		if (c->id == id)
			return c;
	return NULL;
}

void
control_on_peer_user(struct control *ctl, const struct msg_peer_user *m)
{
	struct control_conn *c = find_conn(ctl, m->id), *other;
	unsigned same = 0, others = 0;
	int fd;

	if (c == NULL || c->channel != NULL)
		return;
	c->admin = m->admin;
	snprintf(c->user, sizeof(c->user), "%s", m->user);
	snprintf(c->tag, sizeof(c->tag), "%s", m->tag);
	TAILQ_FOREACH (other, &ctl->conns, entry) {
		if (other->channel == NULL || other->admin)
			continue;
		others++;
		same += strcmp(other->user, c->user) == 0;
	}
	/* a uid without a name can be given no mail to answer to */
	if (c->user[0] == '\0' ||
	    (!c->admin &&
		(same >= conns_max(ctl) / 4 ||
		    others >= conns_max(ctl) / 4 * 3))) {
		conn_free(c);
		return;
	}
	fd = c->fd;
	c->fd = -1;
	c->channel = channel_new(worker_loop(ctl->env.worker), fd, PROC_QUEUE,
	    PROC_CONTROL, 0, &conn_ops, c);
	if (c->channel == NULL)
		conn_free(c);
}

void
control_on_master_done(struct control *ctl, const struct msg_master_done *m)
{
	struct control_conn *c = find_conn(ctl, m->id);
	struct ipc_list tables = m->tables;
	struct msg_alias_count count;

	if (c == NULL || !c->busy)
		return;
	while (ipc_next_alias_count(&tables, &count)) {
		struct control_row row = { 0 };

		control_field(&row, "table", "%s", count.table);
		control_field(&row, "aliases", "%u", count.aliases);
		control_field(&row, "longest", "%u", count.longest);
		control_field(
		    &row, "octets", "%llu", (unsigned long long)count.octets);
		control_row_send(c, &row);
	}
	control_end(c, m->error[0] != '\0' ? m->error : NULL);
}

static void
route_part_over(struct control_conn *c)
{
	if (c->waiting > 0 && --c->waiting == 0)
		control_end(c, NULL);
}

void
control_on_route_answer(
    struct control *ctl, struct channel *ch, const struct msg_route_answer *m)
{
	struct control_conn *c = find_conn(ctl, m->id);
	struct ipc_list list = m->routes;
	struct msg_route_info r;

	if (c == NULL || c->waiting == 0 || c->asked != PROC_DELIVER)
		return;
	while (ipc_next_route_info(&list, &r)) {
		struct control_row row = { 0 };

		if (c->filter.domain != NULL &&
		    !control_glob(c->filter.domain, r.destination))
			continue;
		control_field(&row, "destination", "%s", r.destination);
		control_field(&row, "host", "%s", r.host);
		control_field(&row, "address", "%s", r.address);
		control_field(&row, "sessions", "%u", r.sessions);
		control_field(&row, "idle", "%u", r.idle);
		control_field(
		    &row, "transfers", "%llu", (unsigned long long)r.transfers);
		control_field(&row, "error", "%s", r.last_error);
		control_row_send(c, &row);
	}
	if (m->last)
		route_part_over(c);
}

void
control_on_relay_answer(struct control *ctl, const struct msg_relay_answer *m)
{
	struct control_conn *c = find_conn(ctl, m->id);

	if (c == NULL || c->waiting == 0 || c->asked != PROC_DELIVER)
		return;
	c->waiting = 0;
	control_relays(c, m);
	go_on_soon(ctl);
}

void
control_on_explained(struct control *ctl, const struct msg_explained *m)
{
	struct control_conn *c = find_conn(ctl, m->id);

	if (c == NULL || c->waiting == 0 || c->asked != PROC_AUTH)
		return;
	control_explain_rows(c, m);
	control_end(c, NULL);
}

void
control_on_peer_down(struct control *ctl, struct channel *ch)
{
	struct control_conn *c, *next;

	TAILQ_FOREACH_SAFE (c, &ctl->conns, entry, next)
		if (c->waiting > 0 && c->asked == channel_peer(ch))
			control_end(c,
			    "the process that was asked has ended: "
			    "ask again");
}

void
control_on_socket(struct control *ctl, int fd)
{
	if (ctl->accept_event != NULL) {
		event_free(ctl->accept_event);
		close(ctl->listen_fd);
	}
	evutil_make_socket_nonblocking(fd);
	ctl->listen_fd = fd;
	ctl->accept_event = event_new(loop_base(worker_loop(ctl->env.worker)),
	    fd, EV_READ | EV_PERSIST, on_accept, ctl);
	if (ctl->accept_event == NULL ||
	    event_add(ctl->accept_event, NULL) == -1)
		log_warn("smtpctl cannot be served: out of memory");
}

void
control_free(struct control *ctl)
{
	struct control_conn *c;

	if (ctl == NULL)
		return;
	while ((c = TAILQ_FIRST(&ctl->conns)) != NULL)
		conn_free(c);
	if (ctl->accept_event != NULL) {
		event_free(ctl->accept_event);
		close(ctl->listen_fd);
	}
	if (ctl->timer != NULL)
		event_free(ctl->timer);
	if (ctl->accept_pause != NULL)
		event_free(ctl->accept_pause);
	while (spare_give_up(&ctl->spare))
		;
	free(ctl);
}

struct control *
control_new(const struct control_env *env)
{
	struct event_base *base = loop_base(worker_loop(env->worker));
	struct control *ctl;

	if ((ctl = calloc(1, sizeof(*ctl))) == NULL)
		return NULL;
	ctl->env = *env;
	ctl->listen_fd = -1;
	TAILQ_INIT(&ctl->conns);
	spare_keep(&ctl->spare);
	ctl->timer = evtimer_new(base, on_tick, ctl);
	ctl->accept_pause = evtimer_new(base, on_pause_over, ctl);
	if (ctl->timer == NULL || ctl->accept_pause == NULL) {
		control_free(ctl);
		return NULL;
	}
	return ctl;
}
