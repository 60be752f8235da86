/*
 * What must hold of deliveries, connections and transactions. Mail is known
 * by the token that its sender put into it; reports, which the queue writes
 * itself, by the message id in their header.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "judge.h"

enum {
	/* as long as an attempt at a domain may take: three hosts, each of
	 * them slow with five replies */
	ATTEMPT = 3 * 5 * 5 * MINUTE
};

struct mails mails;

/* ---- who is who ------------------------------------------------------- */

struct mail *
mails_new(void)
{
	struct mail *m = calloc(1, sizeof(*m));

	if (m == NULL)
		fail("out of memory");
	mails.list =
	    reallocarray(mails.list, mails.count + 1, sizeof(*mails.list));
	if (mails.list == NULL)
		fail("out of memory");
	mails.list[mails.count++] = m;
	return m;
}

struct mail *
check_new_mail(const char *sender, int trusted, size_t size)
{
	struct mail *m = mails_new();

	m->token = (uint32_t)mails.count;
	m->trusted = trusted;
	m->size = size;
	snprintf(m->sender, sizeof(m->sender), "%s", sender);
	mails.sent++;
	return m;
}

struct mail *
check_token(uint32_t token)
{
	if (token == 0 || token > mails.count ||
	    mails.list[token - 1]->token != token)
		return NULL;
	return mails.list[token - 1];
}

struct mail *
check_msgid(uint32_t msgid)
{
	for (size_t i = mails.count; msgid != 0 && i-- > 0;)
		if (mails.list[i]->msgid == msgid)
			return mails.list[i];
	return NULL;
}

struct mail_rcpt *
check_rcpt(struct mail *m, const char *address)
{
	for (uint32_t i = 0; i < m->nrcpts; i++)
		if (strcasecmp(m->rcpts[i].address, address) == 0)
			return &m->rcpts[i];
	return NULL;
}

struct mail_rcpt *
check_add_rcpt(struct mail *m, const char *address)
{
	struct mail_rcpt *r = check_rcpt(m, address);

	if (r != NULL)
		return r;
	if (m->nrcpts == sizeof(m->rcpts) / sizeof(m->rcpts[0]))
		fail("a mail of too many recipients");
	r = &m->rcpts[m->nrcpts++];
	snprintf(r->address, sizeof(r->address), "%s", address);
	return r;
}

struct mail *
check_any_queued(void)
{
	struct mail *m;

	for (int tries = 0; mails.count > 0 && tries < 30; tries++) {
		m = mails.list[dice_under((uint32_t)mails.count)];
		if (m->stored && !m->gone)
			return m;
	}
	return NULL;
}

const char *
find_text(const uint8_t *text, size_t len, const char *what)
{
	return memmem(text, len, what, strlen(what));
}

struct mail *
check_identify(const uint8_t *text, size_t len)
{
	const char *end = find_text(text, len, "\r\n\r\n"), *at;
	size_t head = end != NULL ? (size_t)(end - (const char *)text) : len;
	unsigned id;

	if ((at = find_text(text, head, "X-Sim: ")) != NULL &&
	    sscanf(at, "X-Sim: %8x", &id) == 1)
		return check_token(id);
	if ((at = find_text(text, head, "Message-ID: <")) != NULL &&
	    sscanf(at, "Message-ID: <%8x.", &id) == 1)
		return check_msgid(id);
	return NULL;
}

static int
is_whole(const struct mail *m, const uint8_t *text, size_t len)
{
	const char *at = find_text(text, len, "X-Sim: ");
	size_t n, have;
	char *sent;
	int same;

	if (m->token == 0)
		return 1;
	if (at == NULL)
		return 0;
	n = sender_text(m, &sent);
	have = len - (size_t)(at - (const char *)text);
	same = have == n && memcmp(at, sent, n) == 0;
	free(sent);
	return same;
}

/* ---- what clients hear ------------------------------------------------ */

void
check_rcpt_accepted(struct mail *m, const char *address)
{
	const char *at = strchr(address, '@');
	const struct domain *d = at != NULL ? zone_find(at + 1) : NULL;

	if (!m->trusted && d != NULL && d->kind != DOMAIN_OURS &&
	    d->kind != DOMAIN_BACKUP)
		fail("a stranger may relay to %s", address);
	check_rcpt(m, address)->accepted = 1;
}

void
check_acknowledged(struct mail *m)
{
	int any = 0;

	for (uint32_t i = 0; i < m->nrcpts; i++)
		any |= m->rcpts[i].accepted;
	if (!any)
		fail("mail %u is taken for nobody", m->token);
	if (!m->stored)
		fail("mail %u is acknowledged and not stored", m->token);
	say("mail %u is acknowledged as %08x", m->token, m->msgid);
	m->acknowledged = 1;
	mails.acknowledged++;
}

/* ---- deliveries ------------------------------------------------------- */

static void
judge_count(const struct mail *m, const struct mail_rcpt *r)
{
	/* what an expansion has just found may be on its way before the disk
	 * knows it */
	int count = r->count > 0 ? r->count : 1;

	if (r->effects > count + r->licences + r->doubts)
		fail("%08x (mail %u) is delivered to %s %d times", m->msgid,
		    m->token, r->address, r->effects);
}

void
check_delivered(
    const uint8_t *text, size_t len, const char *address, int remote)
{
	struct mail *m = check_identify(text, len);
	struct mail_rcpt *r;

	if (m == NULL)
		fail("%s gets a message that nobody sent", address);
	if (!is_whole(m, text, len))
		fail("%s gets mail %u, which is not whole", address, m->token);
	if ((r = check_rcpt(m, address)) == NULL)
		fail("%s gets %08x, which is not for it", address, m->msgid);
	if (!m->stored)
		fail("%s gets %08x, which is not stored", address, m->msgid);
	say("%08x is delivered to %s", m->msgid, address);
	mails.deliveries++;
	if (r->effects > 0)
		mails.duplicates++;
	r->effects++;
	r->unrecorded++;
	r->doubts += remote;
	judge_count(m, r);
}

void
check_doubt(const uint8_t *text, size_t len, const char *address, int heard)
{
	struct mail *m = check_identify(text, len);
	struct mail_rcpt *r = check_rcpt(m, address);

	r->doubts--;
	if (!heard)
		r->licences++;
	judge_count(m, r);
}

/* ---- processes -------------------------------------------------------- */

/* What was under way at one deliver, or at all (-1), or done and not on the
 * disk yet, may be done again. */
static void
license_again(int deliver)
{
	struct mail_rcpt *r;

	for (size_t i = 0; i < mails.count; i++)
		for (uint32_t n = 0; n < mails.list[i]->nrcpts; n++) {
			r = &mails.list[i]->rcpts[n];
			if (r->in_flight &&
			    (deliver == -1 || r->flight_by == deliver)) {
				r->licences += r->in_flight;
				r->in_flight = 0;
			}
			r->licences += r->unrecorded;
			r->unrecorded = 0;
		}
}

void
check_death(struct process *p)
{
	if (p->kind == PROC_QUEUE)
		queue_hooks.scheduled = NULL;
	if (p->kind == PROC_RESOLVER)
		zone_death();
	if (p->kind == PROC_QUEUE || p->kind == PROC_MASTER)
		license_again(-1);
	if (p->kind == PROC_DELIVER)
		license_again(p->instance);
}

void
check_cut(const struct process *p, const struct process *other)
{
	if (p->kind != PROC_DELIVER) {
		const struct process *swap = p;

		p = other;
		other = swap;
	}
	if (p->kind == PROC_DELIVER && other->kind == PROC_QUEUE)
		license_again(p->instance);
	if (p->kind == PROC_DELIVER && other->kind == PROC_RESOLVER)
		zone_cut(p->instance);
}

static void
take_off(uint32_t msgid, const char *address, uint64_t id, int by)
{
	struct mail *m = check_msgid(msgid);
	struct mail_rcpt *r;

	if (m == NULL || !m->stored)
		fail("%08x is sent on before it is stored", msgid);
	/* an expansion may have just found it */
	r = check_add_rcpt(m, address);
	if (r->in_flight >= (r->count > 0 ? r->count : 1))
		fail("%08x to %s is under way twice", msgid, address);
	r->in_flight++;
	r->flight = id;
	r->flight_by = by;
}

static void
land(uint64_t id, int by)
{
	struct mail_rcpt *r;

	for (size_t i = mails.count; i-- > 0;)
		for (uint32_t n = 0; n < mails.list[i]->nrcpts; n++) {
			r = &mails.list[i]->rcpts[n];
			if (r->in_flight && r->flight == id &&
			    r->flight_by == by)
				r->in_flight--;
		}
}

void
check_message(enum process_kind from, enum process_kind to, uint16_t instance,
    enum msg_type type, const union ipc_msg *m)
{
	struct ipc_list list;
	struct msg_transfer_rcpt r;
	char address[128];

	switch (type) {
	case MSG_transfer:
		list = m->transfer.rcpts;
		while (ipc_next_transfer_rcpt(&list, &r))
			take_off(m->transfer.msgid, r.address, m->transfer.id,
			    instance);
		break;
	case MSG_transfer_done:
		land(m->transfer_done.id, instance);
		break;
	case MSG_local_delivery:
		snprintf(address, sizeof(address), "%s@ours.test",
		    m->local_delivery.user);
		take_off(m->local_delivery.msgid, address, m->local_delivery.id,
		    BY_MASTER);
		break;
	case MSG_local_done:
		land(m->local_done.id, BY_MASTER);
		break;
	default:
		break;
	}
}

/* ---- connections ------------------------------------------------------ */

static const struct host *
find_us(const struct domain *d)
{
	for (size_t i = 0; i < d->nhosts; i++)
		if (d->hosts[i]->is_us)
			return d->hosts[i];
	return NULL;
}

/* A better host must have failed this deliver in the same attempt, or keep it
 * waiting, or not be known. */
void
check_connect(struct process *p, struct host *h)
{
	const struct host *us, *b;
	int i = p->instance;

	if (h == NULL)
		return;
	if (h->is_us)
		fail("%s connects to ourselves", p->name);
	us = find_us(h->domain);
	if (us != NULL && h->preference >= us->preference)
		fail("%s, a backup, connects to %s, which is no better",
		    p->name, h->name);
	for (size_t n = 0; n < h->domain->nhosts; n++) {
		b = h->domain->hosts[n];
		if (b->preference >= h->preference || !b->answered[i] ||
		    b->waiting[i] > 0 ||
		    (b->failed_at[i] != 0 &&
			sim.now - b->failed_at[i] < ATTEMPT))
			continue;
		fail("%s connects to %s before %s, which is better", p->name,
		    h->name, b->name);
	}
}
