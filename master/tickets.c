/*
 * TLS session ticket keys: made here so that all smtpd workers resume each
 * other's sessions, rotated so that an old capture is worth nothing after
 * two periods. Called by supervise.c; sent only to smtpd.
 */
#include <sys/random.h>

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "master/master.h"
#include "net/loop.h"
#include "os/log.h"

enum {
	KEY_OCTETS = 80, /* name 16, AES 32, HMAC 32 */
	ROTATE_SECONDS = 6 * 3600
};

struct tickets {
	struct master *master;
	struct event *timer;
	uint8_t current[KEY_OCTETS];
	uint8_t previous[KEY_OCTETS];
};

static void
rotate(struct tickets *t)
{
	memcpy(t->previous, t->current, KEY_OCTETS);
	if (getrandom(t->current, KEY_OCTETS, 0) != KEY_OCTETS)
		log_fatal("the kernel gives no random octets");
}

static void
on_time(int fd, short what, void *arg)
{
	struct tickets *t = arg;
	struct master *m = t->master;

	rotate(t);
	for (size_t i = 0; i < m->child_count; i++)
		if (m->children[i].kind == PROC_SMTPD &&
		    m->children[i].state >= CHILD_RELEASED)
			tickets_send(t, m->children[i].channel);
}

struct tickets *
tickets_new(struct master *m)
{
	struct timeval tv = { ROTATE_SECONDS, 0 };
	struct tickets *t;

	if ((t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	t->master = m;
	rotate(t);
	rotate(t);
	t->timer = event_new(loop_base(m->loop), -1, EV_PERSIST, on_time, t);
	if (t->timer == NULL || event_add(t->timer, &tv) == -1) {
		tickets_free(t);
		return NULL;
	}
	return t;
}

void
tickets_free(struct tickets *t)
{
	if (t == NULL)
		return;
	if (t->timer != NULL)
		event_free(t->timer);
	explicit_bzero(t, sizeof(*t));
	free(t);
}

void
tickets_send(const struct tickets *t, struct channel *ch)
{
	struct msg_ticket_keys keys = { .current =
					    ipc_blob(t->current, KEY_OCTETS),
		.previous = ipc_blob(t->previous, KEY_OCTETS) };

	if (ch != NULL)
		ipc_send(ch, ticket_keys, &keys);
}
