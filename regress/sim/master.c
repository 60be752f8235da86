/*
 * The master of the simulation: starts the workers, gives each its slice of
 * the configuration and its peers, starts a dead one again, answers what only
 * master knows, and delivers to local users in memory. It speaks through the
 * real channels and the real loop; it does not fork.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "calls.h"
#include "conf/codec.h"
#include "ipc/channel.h"
#include "net/loop.h"
#include "tap.h"

enum {
	CHUNK = 200000,
	BACK_OFF = SECOND,
	PAIR_WAIT = 100, /* until a channel that ended is made again */
	CHILDREN = 9
};

enum state { DOWN, STARTED, RELEASED };

struct child {
	struct master *master;
	enum process_kind kind;
	uint16_t instance;
	process_main *start;
	enum state state;
	struct channel *channel;
	struct process *process;
	struct event *restart;
};

/* The channel between two workers, as master/pairs.c has it. */
struct pair {
	struct child *a;
	struct child *b;
	uint32_t number; /* of the last */
	struct event *again;
};

struct master {
	struct loop *loop;
	struct child children[CHILDREN];
	size_t count;
	struct pair pairs[CHILDREN * (CHILDREN - 1) / 2];
	size_t pair_count;
	uint32_t numbers; /* of pairs, given so far */
};

static void
set_timer(struct event *ev, int64_t ms)
{
	struct timeval tv = { .tv_sec = ms / SECOND,
		.tv_usec = ms % SECOND * 1000 };

	event_add(ev, &tv);
}

/* ---- peers ------------------------------------------------------------ */

static void
connect_pair(struct pair *p)
{
	struct child *a = p->a, *b = p->b;
	struct msg_peer to_a = { .kind = (uint8_t)b->kind,
		.instance = b->instance };
	struct msg_peer to_b = { .kind = (uint8_t)a->kind,
		.instance = a->instance };
	struct object *pair[2];

	if (a->state != RELEASED || b->state != RELEASED)
		return;
	event_del(p->again);
	p->number = to_a.pair = to_b.pair = ++a->master->numbers;
	socket_pair(pair);
	pair[0]->tap = tap_new(b->kind, a->kind,
	    b->kind == PROC_DELIVER ? b->instance : a->instance);
	pair[1]->tap = tap_new(a->kind, b->kind,
	    b->kind == PROC_DELIVER ? b->instance : a->instance);
	ipc_send_fd(a->channel, peer, &to_a,
	    object_install(process_current(), pair[0]));
	ipc_send_fd(b->channel, peer, &to_b,
	    object_install(process_current(), pair[1]));
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	connect_pair(arg);
}

static void
on_peer_lost(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	const struct msg_peer_lost *lost = &m->peer_lost;
	struct child *c = arg, *other;
	struct pair *p;

	for (size_t i = 0; i < c->master->pair_count; i++) {
		p = &c->master->pairs[i];
		other = p->a == c ? p->b : p->a;
		if ((p->a != c && p->b != c) || other->kind != lost->kind ||
		    other->instance != lost->instance)
			continue;
		if (lost->broken)
			fail("%s %u broke the rules of its channel to %s %u",
			    process_name(other->kind), other->instance,
			    process_name(c->kind), c->instance);
		if (lost->pair == p->number &&
		    !event_pending(p->again, EV_TIMEOUT, NULL))
			set_timer(p->again, PAIR_WAIT);
	}
}

static void
make_pairs(struct master *m)
{
	for (size_t i = 0; i < m->count; i++)
		for (size_t j = 0; j < i; j++) {
			struct pair *p = &m->pairs[m->pair_count];

			p->a = &m->children[i];
			p->b = &m->children[j];
			if (!msg_are_peers(p->a->kind, p->b->kind))
				continue;
			p->again =
			    event_new(loop_base(m->loop), -1, 0, on_again, p);
			m->pair_count++;
		}
}

static int
lend(struct object *o)
{
	o->refs++;
	return object_install(process_current(), o);
}

static void
on_config_ready(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct msg_config_swap swap = { .generation = 1 };
	struct msg_listen_socket listen = { .generation = 1 };
	struct msg_control_socket control = { 0 };
	struct child *c = arg;
	struct pair *p;

	if (*m->config_ready.error != '\0')
		fail("%s refuses the configuration: %s", process_name(c->kind),
		    m->config_ready.error);
	c->state = RELEASED;
	for (size_t i = 0; i < c->master->pair_count; i++) {
		p = &c->master->pairs[i];
		if (p->a == c || p->b == c)
			connect_pair(p);
	}
	if (c->kind == PROC_SMTPD)
		ipc_send_fd(ch, listen_socket, &listen, lend(world.listener));
	if (c->kind == PROC_QUEUE)
		ipc_send_fd(ch, control_socket, &control, lend(world.control));
	ipc_send(ch, config_swap, &swap);
}

static void
on_worker_ready(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
}

static void
on_log_line(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct child *c = arg;

	say("  [%s %u] %s", process_name(c->kind), c->instance,
	    m->log_line.line);
}

/* ---- what only master knows ------------------------------------------- */

static void
on_user_query(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct msg_user_answer a = { .id = m->user_query.id,
		.status = LOOKUP_NONE };

	if (scene_account(m->user_query.name)) {
		a.status = LOOKUP_FOUND;
		a.name = m->user_query.name;
	}
	ipc_send(ch, user_answer, &a);
}

/* The operator is the only one who comes. */
static void
on_peer_user(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct msg_peer_user a = { .id = m->peer_user_query.id,
		.user = "root",
		.admin = 1,
		.tag = "" };

	sim_close(fd);
	ipc_send(ch, peer_user, &a);
}

/* ---- local deliveries ------------------------------------------------- */

struct delivery {
	struct child *queue;
	struct process *asker; /* that very process */
	uint64_t id;
	char user[64];
	char address[128];
	struct object *body;
	struct event *time;
};

/* A user who lets his mail go on, and may want a copy. */
static void
answer(struct delivery *d, enum delivery_status status)
{
	struct msg_local_done done = { .id = d->id,
		.status = (uint8_t)status,
		.code = status == DELIVERY_TEMPFAIL ? 451 : 250,
		.enhanced = status == DELIVERY_TEMPFAIL ? "4.3.0" : "2.0.0",
		.text = "so it is" };
	struct msg_forward_dest to = { .address = "far@mx0.test" };
	struct ipc_buf forward = { 0 };

	if (status == DELIVERY_FORWARD)
		ipc_add_forward_dest(&forward, &to);
	done.forward = ipc_buf_list(&forward);
	if (d->queue->channel != NULL && d->queue->process == d->asker)
		ipc_send(d->queue->channel, local_done, &done);
	ipc_buf_free(&forward);
}

static void
on_delivery_time(evutil_socket_t fd, short what, void *arg)
{
	struct delivery *d = arg;

	if (strcmp(d->user, "walker") == 0)
		answer(d, DELIVERY_FORWARD);
	else if (!sim.calm && dice_one_in(8))
		answer(d, DELIVERY_TEMPFAIL);
	else {
		check_delivered(d->body->octets, d->body->size, d->address, 0);
		answer(d, DELIVERY_OK);
	}
	object_release(d->body);
	event_free(d->time);
	free(d);
}

static void
on_local_delivery(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct delivery *d = calloc(1, sizeof(*d));
	struct child *c = arg;

	if (d == NULL)
		fail("out of memory");
	d->queue = c;
	d->asker = c->process;
	d->id = m->local_delivery.id;
	snprintf(d->user, sizeof(d->user), "%s", m->local_delivery.user);
	snprintf(d->address, sizeof(d->address), "%s@ours.test", d->user);
	d->body = object_of(fd);
	d->body->refs++;
	sim_close(fd);
	d->time =
	    event_new(loop_base(c->master->loop), -1, 0, on_delivery_time, d);
	set_timer(d->time,
	    dice_one_in(10) ? dice_between(1, 60 * SECOND)
			    : dice_between(1, 100));
}

/* ---- life and death --------------------------------------------------- */

static channel_handler *const handlers[MSG_MAX] = {
	[MSG_config_ready] = on_config_ready,
	[MSG_worker_ready] = on_worker_ready,
	[MSG_log_line] = on_log_line,
	[MSG_peer_lost] = on_peer_lost,
	[MSG_user_query] = on_user_query,
	[MSG_peer_user_query] = on_peer_user,
	[MSG_local_delivery] = on_local_delivery,
};

static void
on_closed(void *arg, struct channel *ch, const char *reason)
{
	struct child *c = arg;

	channel_free(ch);
	c->channel = NULL;
	c->state = DOWN;
	set_timer(c->restart, BACK_OFF + dice_between(0, 3 * SECOND));
}

static const struct channel_ops ops = { handlers, on_closed, NULL };

static void
send_configuration(struct child *c)
{
	struct msg_config_begin begin = { .generation = 1 };
	struct msg_config_chunk chunk;
	struct msg_config_end end = { .generation = 1 };
	uint8_t *slice;
	size_t len, n;

	if (conf_slice(world.conf, c->kind, &slice, &len) == -1)
		fail("no slice: %s", strerror(errno));
	begin.total = (uint32_t)len;
	ipc_send(c->channel, config_begin, &begin);
	for (size_t at = 0; at < len; at += n) {
		n = len - at < CHUNK ? len - at : CHUNK;
		chunk.data = ipc_blob(slice + at, n);
		ipc_send(c->channel, config_chunk, &chunk);
	}
	ipc_send(c->channel, config_end, &end);
	free(slice);
}

static void
start_child(struct child *c)
{
	struct object *pair[2];

	socket_pair(pair);
	if (c->kind == PROC_QUEUE) {
		pair[0]->tap = tap_new(PROC_QUEUE, PROC_MASTER, 0);
		pair[1]->tap = tap_new(PROC_MASTER, PROC_QUEUE, 0);
	}
	c->process = process_start(c->kind, c->instance, c->start, pair[1]);
	c->channel = channel_new(c->master->loop,
	    object_install(process_current(), pair[0]), PROC_MASTER, c->kind,
	    c->instance, &ops, c);
	c->state = STARTED;
	send_configuration(c);
}

static void
on_restart(evutil_socket_t fd, short what, void *arg)
{
	start_child(arg);
}

int
main(int argc, char **argv)
{
	static const struct {
		enum process_kind kind;
		uint16_t instance;
		process_main *start;
	} list[] = {
		{ PROC_RESOLVER, 0, sim_resolver_main },
		{ PROC_AUTH, 0, sim_auth_main },
		{ PROC_QUEUE, 0, sim_queue_main },
		{ PROC_DELIVER, 0, sim_deliver0_main },
		{ PROC_DELIVER, 1, sim_deliver1_main },
		{ PROC_SMTPD, 0, sim_smtpd0_main },
		{ PROC_SMTPD, 1, sim_smtpd1_main },
	};
	struct master *m = calloc(1, sizeof(*m));

	if (m == NULL || (m->loop = loop_new()) == NULL)
		fail("out of memory");
	m->count = sizeof(list) / sizeof(list[0]);
	for (size_t i = 0; i < m->count; i++) {
		struct child *c = &m->children[i];

		c->master = m;
		c->kind = list[i].kind;
		c->instance = list[i].instance;
		c->start = list[i].start;
		c->restart =
		    event_new(loop_base(m->loop), -1, 0, on_restart, c);
	}
	make_pairs(m);
	for (size_t i = 0; i < m->count; i++)
		start_child(&m->children[i]);
	return loop_run(m->loop);
}
