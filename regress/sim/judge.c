/*
 * What must hold of the queue: nothing acknowledged is lost, whatever leaves
 * the store has met its end, one end, and nobody is told who may not be. Told
 * by the store at each commit, so a bug is found where it happens.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "judge.h"

struct queue_hooks queue_hooks;

static const struct domain *
domain_of(const char *address)
{
	const char *at = strrchr(address, '@');

	return at != NULL ? zone_find(at + 1) : NULL;
}

/* ---- reports ---------------------------------------------------------- */

static void
judge_reported(struct mail *original, const char *address)
{
	struct mail_rcpt *r = check_rcpt(original, address);

	if (r == NULL)
		fail("a report on %s, who was no recipient of %08x", address,
		    original->msgid);
	if (r->effects > 0 && r->licences == 0 && r->doubts == 0)
		fail("%08x is delivered to %s, and reported as failed",
		    original->msgid, address);
	if (r->reported++ > 0 && r->reported > r->count)
		fail("%08x is reported as failed to %s once more",
		    original->msgid, address);
}

/* Reads the parts about recipients, one after another. */
static void
read_report(struct mail *original, const char *text, size_t len)
{
	static const char field[] = "Final-Recipient: rfc822;";
	const char *end = text + len, *at = text, *action, *next;
	char address[128];

	while ((at = memmem(at, (size_t)(end - at), field, strlen(field))) !=
	    NULL) {
		at += strlen(field);
		if (sscanf(at, " %127[^\r]", address) != 1)
			fail("a report without a recipient");
		next = memmem(at, (size_t)(end - at), field, strlen(field));
		action = memmem(at, (size_t)(end - at), "Action: failed", 14);
		if (action != NULL && (next == NULL || action < next))
			judge_reported(original, address);
	}
}

static struct mail *
new_report(uint32_t msgid, const char *sender, const struct stored_rcpt *list,
    size_t n, const uint8_t *body, size_t len)
{
	const char *at = find_text(body, len, "\r\n\r\n");
	struct mail *original = NULL, *m;
	unsigned token;

	if (*sender != '\0' || n != 1)
		fail(
		    "%08x, a report, comes from <%s> to %zu", msgid, sender, n);
	at = at != NULL
	    ? find_text((const uint8_t *)at,
		  len - (size_t)(at - (const char *)body), "X-Sim: ")
	    : NULL;
	if (at != NULL && sscanf(at, "X-Sim: %8x", &token) == 1)
		original = check_token(token);
	if (original == NULL)
		fail("%08x is a report on nothing", msgid);
	if (*original->sender == '\0')
		fail("%08x is a report to the null sender of mail %u", msgid,
		    original->token);
	if (strcmp(original->sender, list[0].address) != 0)
		fail("%08x is a report to <%s> on mail %u of <%s>", msgid,
		    list[0].address, original->token, original->sender);
	read_report(original, (const char *)body, len);
	m = mails_new();
	m->trusted = 1;
	m->size = len;
	mails.reports++;
	return m;
}

/* ---- stored ----------------------------------------------------------- */

/* Whether a stranger's mail may go there: ours, backup, or an alias's. */
static void
judge_right(const struct mail *m, const struct stored_rcpt *s)
{
	const struct domain *d = domain_of(s->address);

	if (m->trusted || s->parent != -1)
		return;
	if (d == NULL || (d->kind != DOMAIN_OURS && d->kind != DOMAIN_BACKUP))
		fail("mail %u of a stranger is stored for %s", m->token,
		    s->address);
}

static void
update_rcpts(struct mail *m, const struct stored_rcpt *list, size_t n)
{
	struct mail_rcpt *r;
	char address[128];

	for (uint32_t i = 0; i < m->nrcpts; i++)
		m->rcpts[i].count = m->rcpts[i].undone = 0;
	m->nstored = 0;
	for (size_t i = 0; i < n; i++) {
		snprintf(address, sizeof(address), "%s%s",
		    *list[i].user != '\0' ? list[i].user : list[i].address,
		    *list[i].user != '\0' ? "@ours.test" : "");
		r = check_add_rcpt(m, address);
		m->stored_rcpts[m->nstored++] = r;
		snprintf(r->via, sizeof(r->via), "%s", list[i].address);
		r->stored = 1;
		r->count += !list[i].expanded;
		r->expanded |= list[i].expanded;
		r->undone += !list[i].done;
	}
	for (uint32_t i = 0; i < m->nrcpts; i++)
		if (m->rcpts[i].undone == 0)
			m->rcpts[i].unrecorded = 0;
}

/* Whoever was told 250 must be among the recipients. */
static void
judge_accepted(const struct mail *m)
{
	for (uint32_t i = 0; i < m->nrcpts; i++)
		if (m->rcpts[i].accepted && !m->rcpts[i].stored)
			fail("mail %u is stored without %s", m->token,
			    m->rcpts[i].address);
}

void
judge_put(uint32_t msgid, const char *sender, int report,
    const struct stored_rcpt *list, size_t n, const uint8_t *body, size_t len)
{
	struct mail *m = check_msgid(msgid);

	if (m == NULL && report)
		m = new_report(msgid, sender, list, n, body, len);
	else if (m == NULL)
		m = check_identify(body, len);
	if (m == NULL)
		fail("%08x is stored and nobody sent it", msgid);
	if (m->gone)
		fail("%08x is back, and was gone", msgid);
	if (!m->stored) {
		m->stored = 1;
		m->msgid = msgid;
		if (strcmp(m->sender, sender) != 0)
			fail("%08x comes from <%s>, not <%s>", msgid, m->sender,
			    sender);
		for (size_t i = 0; i < n; i++)
			judge_right(m, &list[i]);
		say("%08x (mail %u) is stored", msgid, m->token);
	} else if (m->msgid != msgid)
		fail("mail %u is stored twice: %08x, %08x", m->token, m->msgid,
		    msgid);
	update_rcpts(m, list, n);
	judge_accepted(m);
}

/* ---- gone ------------------------------------------------------------- */

static int
has_end(struct mail *m, const struct mail_rcpt *r)
{
	const struct domain *d = domain_of(r->address);
	const struct mail_rcpt *via = check_rcpt(m, r->via);

	if (r->effects > 0 || r->reported > 0 || r->removed || r->expanded)
		return 1;
	/* nobody may be told */
	return r->failed &&
	    (*m->sender == '\0' || (via != NULL && via->reported > 0) ||
		(world.drops && d != NULL && d->kind == DOMAIN_BACKUP));
}

void
judge_remove(uint32_t msgid)
{
	struct mail *m = check_msgid(msgid);

	if (m == NULL || !m->stored)
		fail("%08x is removed and was never there", msgid);
	for (uint32_t i = 0; i < m->nrcpts; i++) {
		struct mail_rcpt *r = &m->rcpts[i];

		if (r->stored && !has_end(m, r))
			fail("%08x (mail %u) is lost for %s", msgid, m->token,
			    r->address);
		r->unrecorded = 0;
		r->count = r->count > 0 ? r->count : 1;
	}
	m->gone = 1;
	say("%08x is gone", msgid);
}

void
judge_recovered(const uint32_t *msgids, size_t count)
{
	size_t n;

	for (size_t i = 0; i < mails.count; i++) {
		struct mail *m = mails.list[i];

		if (!m->stored || m->gone)
			continue;
		for (n = 0; n < count && msgids[n] != m->msgid; n++)
			continue;
		if (n == count)
			judge_remove(m->msgid);
	}
}

/* ---- what the queue says ---------------------------------------------- */

void
judge_word(uint32_t msgid, uint32_t index, const char *event)
{
	struct mail *m = check_msgid(msgid);
	struct mail_rcpt *r;

	/* an expansion may have just found it */
	if (m == NULL || index >= m->nstored)
		return;
	r = m->stored_rcpts[index];
	if ((strcmp(event, "delivered") == 0 ||
		strcmp(event, "relayed") == 0) &&
	    r->effects == 0)
		fail("%08x is said to be delivered to %s, who has nothing",
		    msgid, r->address);
	if (strcmp(event, "failed") == 0 || strcmp(event, "expired") == 0)
		r->failed = 1;
	if (strcmp(event, "expanded") == 0)
		r->expanded = 1;
	if (strcmp(event, "removed") == 0) {
		if (!m->removing)
			fail("%08x is removed, and nobody asked", msgid);
		r->removed = 1;
	}
}

/* ---- now and then ----------------------------------------------------- */

static void
judge_scheduled(uint32_t msgid, const struct stored_rcpt *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!list[i].done && !queue_hooks.scheduled(msgid, (uint32_t)i))
			fail("%08x for %s is queued, and forgotten", msgid,
			    list[i].address);
}

/* Only when nothing is under way: a batch may be about to be written. */
void
check_schedule(void)
{
	if (process_find(PROC_QUEUE, 0) == NULL ||
	    queue_hooks.scheduled == NULL || sim.connections > 0 ||
	    sim.now - sim.busy_at < 2 * SECOND)
		return;
	queue_hooks.each(judge_scheduled);
}

static void
judge_left(uint32_t msgid, const struct stored_rcpt *list, size_t n)
{
	size_t left = 0;

	for (size_t i = 0; i < n; i++) {
		if (!list[i].done && !list[i].held)
			fail("%08x for %s is still queued, though all is "
			     "well again",
			    msgid, list[i].address);
		left += !list[i].done;
		if (list[i].owed)
			fail("%08x: nobody was told of %s", msgid,
			    list[i].address);
	}
	if (left == 0)
		fail("%08x is done with, and still there", msgid);
}

void
check_end(void)
{
	if (process_find(PROC_QUEUE, 0) == NULL || queue_hooks.each == NULL)
		fail("there is no queue in the end");
	check_schedule();
	queue_hooks.each(judge_left);
	for (size_t i = 0; i < mails.count; i++) {
		struct mail *m = mails.list[i];

		if (m->acknowledged && !m->stored)
			fail("mail %u is lost", m->token);
	}
}
