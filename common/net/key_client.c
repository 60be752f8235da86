/*
 * See key_client.h. Requests wait in the order in which they were asked, which
 * is nearly the order of the answers, so finding one by its id is short.
 */
#include <sys/queue.h>

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

#include "ipc/channel.h"
#include "net/key_client.h"
#include "net/loop.h"

struct waiting {
	TAILQ_ENTRY(waiting) entry;
	uint64_t id;
	int64_t deadline;
	struct key_request *request;
};

struct key_client {
	struct loop *loop;
	struct channel *channel;
	struct key_signer signer;
	TAILQ_HEAD(, waiting) waiting;
	size_t count;
	uint64_t last_id;
	struct event timer;
};

static void
finish(struct key_client *kc, struct waiting *w, const void *sig, size_t len)
{
	struct key_request *request = w->request;

	TAILQ_REMOVE(&kc->waiting, w, entry);
	kc->count--;
	free(w);
	key_request_finish(request, sig, len);
}

static void
refuse_all(struct key_client *kc)
{
	struct waiting *w;

	while ((w = TAILQ_FIRST(&kc->waiting)) != NULL)
		finish(kc, w, NULL, 0);
}

/* Deadlines are in the order of the list. */
static void
arm_timer(struct key_client *kc)
{
	struct waiting *w = TAILQ_FIRST(&kc->waiting);
	int64_t wait;
	struct timeval tv;

	if (w == NULL)
		return;
	wait = w->deadline - loop_now(kc->loop);
	if (wait < 0)
		wait = 0;
	tv.tv_sec = (time_t)(wait / 1000);
	tv.tv_usec = (suseconds_t)(wait % 1000) * 1000;
	event_add(&kc->timer, &tv);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct key_client *kc = arg;
	int64_t now = loop_now(kc->loop);
	struct waiting *w;

	while ((w = TAILQ_FIRST(&kc->waiting)) != NULL && w->deadline <= now)
		finish(kc, w, NULL, 0);
	arm_timer(kc);
}

/* The signer's side; runs on the small stack of a fibre. */
static int
ask(void *arg, struct key_request *request)
{
	struct key_client *kc = arg;
	struct msg_key_sign m = {
		.id = kc->last_id + 1,
		.pki = request->pki,
		.digest = request->digest,
		.padding = (uint8_t)request->padding,
		.data = ipc_blob(request->data, request->len),
	};
	struct waiting *w;

	if (kc->channel == NULL || (w = calloc(1, sizeof(*w))) == NULL)
		return -1;
	if (ipc_send(kc->channel, key_sign, &m) == -1) {
		free(w);
		return -1;
	}
	w->id = ++kc->last_id;
	w->deadline = loop_now(kc->loop) + KEY_CLIENT_TIMEOUT;
	w->request = request;
	TAILQ_INSERT_TAIL(&kc->waiting, w, entry);
	kc->count++;
	if (!evtimer_pending(&kc->timer, NULL))
		arm_timer(kc);
	return 0;
}

struct key_client *
key_client_new(struct loop *loop)
{
	struct key_client *kc;

	if ((kc = calloc(1, sizeof(*kc))) == NULL)
		return NULL;
	kc->loop = loop;
	kc->signer.sign = ask;
	kc->signer.arg = kc;
	TAILQ_INIT(&kc->waiting);
	evtimer_assign(&kc->timer, loop_base(loop), on_timer, kc);
	return kc;
}

void
key_client_free(struct key_client *kc)
{
	if (kc == NULL)
		return;
	refuse_all(kc);
	event_del(&kc->timer);
	free(kc);
}

const struct key_signer *
key_client_signer(struct key_client *kc)
{
	return &kc->signer;
}

void
key_client_set_channel(struct key_client *kc, struct channel *channel)
{
	refuse_all(kc);
	kc->channel = channel;
}

void
key_client_signed(struct key_client *kc, const struct msg_key_signed *m)
{
	struct waiting *w;

	TAILQ_FOREACH (w, &kc->waiting, entry)
		if (w->id == m->id) {
			finish(kc, w, m->signature.data, m->signature.len);
			return;
		}
}

size_t
key_client_pending(const struct key_client *kc)
{
	return kc->count;
}
