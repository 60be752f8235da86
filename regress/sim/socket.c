/*
 * Sockets between processes, and over a network to the world: streams of
 * pieces that arrive in order, after a while when they cross the network, and
 * descriptors that go with them. What a dead process had sent still arrives,
 * then the end.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"
#include "tap.h"

static struct object *
object_new(enum object_kind kind)
{
	struct object *o = calloc(1, sizeof(*o));

	if (o == NULL)
		fail("out of memory");
	o->kind = kind;
	o->refs = 1;
	TAILQ_INIT(&o->inbox);
	TAILQ_INIT(&o->backlog);
	return o;
}

void
socket_pair(struct object *pair[2])
{
	pair[0] = object_new(OBJECT_SOCKET);
	pair[1] = object_new(OBJECT_SOCKET);
	pair[0]->peer = pair[1];
	pair[1]->peer = pair[0];
}

struct object *
socket_listener(void)
{
	return object_new(OBJECT_LISTENER);
}

struct object *
file_new(const void *octets, size_t size)
{
	struct object *o = object_new(OBJECT_FILE);

	o->octets = malloc(size + 1);
	if (o->octets == NULL)
		fail("out of memory");
	memcpy(o->octets, octets, size);
	o->size = size;
	return o;
}

/* ---- what arrives ----------------------------------------------------- */

static void
changed(struct object *o)
{
	if (o != NULL)
		process_wake(o->owner);
}

static void
piece_free(struct piece *p)
{
	if (p->passed != NULL)
		object_release(p->passed);
	free(p);
}

static void
arrive(void *arg)
{
	struct piece *p = arg;
	struct object *to = p->to;

	if (to->inet)
		sim.busy_at = sim.now;
	if (to->refs == 0) {
		/* nobody is there: what was sent is answered by a reset */
		if (to->inet && !p->fin && to->peer != NULL &&
		    to->peer->refs > 0 && !to->peer->error) {
			to->peer->error = ECONNRESET;
			to->peer->eof = 1;
			changed(to->peer);
			if (to->peer->actor != NULL)
				to->peer->actor->end(to->peer->actor_arg);
		}
		piece_free(p);
		return;
	}
	if (p->fin) {
		to->eof = 1;
		if (p->reset)
			to->error = ECONNRESET;
		changed(to);
		if (to->actor != NULL)
			to->actor->end(to->actor_arg);
		piece_free(p);
	} else if (to->actor != NULL) {
		to->unread -= p->len;
		to->actor->data(to->actor_arg, (const char *)p->data, p->len);
		piece_free(p);
	} else {
		TAILQ_INSERT_TAIL(&to->inbox, p, entry);
		changed(to);
	}
}

static void
transmit(struct object *to, struct piece *p)
{
	int64_t delay = 0;

	p->to = to;
	p->arrival.fn = arrive;
	p->arrival.arg = p;
	to->unread += p->len;
	if (to->inet) {
		delay = dice_between(1, 60);
		if (dice_one_in(50))
			delay += dice_between(1, 3000);
		if (to->last_arrival > sim.now + delay)
			delay = to->last_arrival - sim.now;
		to->last_arrival = sim.now + delay;
		clock_plan(&p->arrival, delay);
	} else
		arrive(p);
}

static struct piece *
piece_new(const void *data, size_t len)
{
	struct piece *p = calloc(1, sizeof(*p) + len);

	if (p == NULL)
		fail("out of memory");
	p->len = len;
	if (len > 0)
		memcpy(p->data, data, len);
	return p;
}

/* ---- sending ---------------------------------------------------------- */

ssize_t
socket_send(
    struct object *from, const void *data, size_t len, struct object *passed)
{
	struct object *to = from->peer;
	struct piece *p;
	size_t room;

	if (from->kind != OBJECT_SOCKET || from->connecting) {
		errno = from->connecting ? EAGAIN : ENOTSOCK;
		return -1;
	}
	if (from->error || from->shut || to == NULL ||
	    (!from->inet && to->refs == 0)) {
		errno = EPIPE;
		return -1;
	}
	room = to->unread < SOCKET_ROOM ? SOCKET_ROOM - to->unread : 0;
	if (room == 0) {
		errno = EAGAIN;
		return -1;
	}
	if (len > room)
		len = room;
	if (to->tap != NULL)
		tap_hear(to->tap, data, len);
	p = piece_new(data, len);
	if (passed != NULL)
		passed->refs++;
	p->passed = passed;
	transmit(to, p);
	return (ssize_t)len;
}

void
socket_say(struct object *o, const void *data, size_t len)
{
	struct object *to = o->peer;
	size_t part;

	/* the world has no limits, but cuts what it says anywhere */
	while (len > 0 && to != NULL && to->refs > 0 && !o->shut) {
		part = dice_one_in(4) ? 1 + dice_under((uint32_t)len) : len;
		transmit(to, piece_new(data, part));
		data = (const char *)data + part;
		len -= part;
	}
}

static void
say_end(struct object *o, int reset)
{
	struct piece *p;

	if (o->shut || o->peer == NULL)
		return;
	o->shut = 1;
	p = piece_new(NULL, 0);
	p->fin = 1;
	p->reset = reset;
	transmit(o->peer, p);
}

void
socket_shut(struct object *o)
{
	say_end(o, 0);
}

void
socket_hang_up(struct object *o, int reset)
{
	o->actor = NULL;
	say_end(o, reset);
	object_release(o);
}

static void
drop_inbox(struct object *o)
{
	struct piece *p;

	while ((p = TAILQ_FIRST(&o->inbox)) != NULL) {
		TAILQ_REMOVE(&o->inbox, p, entry);
		piece_free(p);
	}
	o->unread = 0;
}

void
socket_point(struct object *o)
{
	const struct process *other;

	if (o->break_in == 0 || --o->break_in > 0)
		return;
	if (o->peer == NULL || (other = o->peer->owner) == NULL)
		return;
	say("the channel of %s and %s is cut", o->owner->name, other->name);
	check_cut(o->owner, other);
	drop_inbox(o);
	o->error = ENOMEM;
	say_end(o, 1);
	changed(o);
}

void
object_release(struct object *o)
{
	struct object *waiting;

	if (--o->refs > 0)
		return;
	o->owner = NULL;
	if (o->kind == OBJECT_SOCKET) {
		sim.connections -= o->counted;
		say_end(o, !TAILQ_EMPTY(&o->inbox));
	}
	drop_inbox(o);
	while ((waiting = TAILQ_FIRST(&o->backlog)) != NULL) {
		TAILQ_REMOVE(&o->backlog, waiting, backlog_entry);
		object_release(waiting);
	}
	free(o->octets);
	o->octets = NULL;
	/* the rest stays: the other end may still point here */
}

/* ---- taking ----------------------------------------------------------- */

ssize_t
socket_take(
    struct object *o, void *data, size_t len, int peek, struct object **passed)
{
	struct piece *p;
	size_t n, taken = 0;

	while (taken < len && (p = TAILQ_FIRST(&o->inbox)) != NULL) {
		/* what goes with a descriptor is read with nothing before */
		if (p->passed != NULL && taken > 0)
			break;
		n = p->len - p->at < len - taken ? p->len - p->at : len - taken;
		memcpy((char *)data + taken, p->data + p->at, n);
		taken += n;
		if (peek)
			break;
		if (p->passed != NULL && passed != NULL) {
			*passed = p->passed;
			p->passed = NULL;
		}
		p->at += n;
		o->unread -= n;
		if (p->at < p->len)
			break;
		TAILQ_REMOVE(&o->inbox, p, entry);
		piece_free(p);
		if (passed != NULL && *passed != NULL)
			break;
	}
	if (taken > 0) {
		if (!peek)
			changed(o->peer);
		return (ssize_t)taken;
	}
	if (o->error) {
		errno = o->error;
		return -1;
	}
	if (o->eof)
		return 0;
	errno = EAGAIN;
	return -1;
}

int
object_readable(const struct object *o)
{
	if (o->kind == OBJECT_LISTENER)
		return !TAILQ_EMPTY(&o->backlog);
	return !TAILQ_EMPTY(&o->inbox) || o->eof || o->error;
}

int
object_writable(const struct object *o)
{
	if (o->kind != OBJECT_SOCKET)
		return 1;
	return !o->connecting &&
	    (o->error || o->peer == NULL || o->peer->unread < SOCKET_ROOM);
}

/* ---- connections ------------------------------------------------------ */

struct object *
socket_call(struct object *listener, const struct sockaddr_storage *from,
    const struct actor *actor, void *arg)
{
	struct object *pair[2];

	socket_pair(pair);
	if (from != NULL) {
		pair[0]->inet = pair[1]->inet = 1;
		pair[0]->counted = 1;
		sim.connections++;
		pair[0]->remote = *from;
	}
	pair[1]->actor = actor;
	pair[1]->actor_arg = arg;
	TAILQ_INSERT_TAIL(&listener->backlog, pair[0], backlog_entry);
	for (uint16_t i = 0; i < SIM_SMTPDS; i++)
		process_wake(process_find(PROC_SMTPD, i));
	process_wake(process_find(PROC_QUEUE, 0));
	return pair[1];
}

int
object_install(struct process *p, struct object *o)
{
	for (int fd = 10; fd < SIM_FDS; fd++)
		if (p->fds[fd] == NULL) {
			p->fds[fd] = o;
			o->owner = p;
			return fd;
		}
	fail("%s has no descriptors left", p->name);
}

struct object *
object_of(int fd)
{
	struct process *p = process_current();

	return p != NULL && fd >= 0 && fd < SIM_FDS ? p->fds[fd] : NULL;
}
