/*
 * The operator's side of the scheduler: holding, releasing, removing,
 * flushing, pausing, and what can be shown.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "queue/schedule_local.h"

/* Where the entries begin in the cursor of a flush. */
#define FLUSH_ENTRIES (1ull << 32)

static uint32_t
hold(struct sched *s, uint32_t e, int64_t now)
{
	struct entry *entry = entry_at(s, e);

	switch (entry->state) {
	case SCHED_INCOMING:
	case SCHED_INFLIGHT:
		if (entry->flags & (ENTRY_HOLD | ENTRY_REMOVE))
			return 0;
		entry->flags |= ENTRY_HOLD;
		return 1;
	case SCHED_READY:
	case SCHED_WAITING:
		entry_move(s, e, SCHED_HELD, now);
		return 1;
	default:
		return 0;
	}
}

uint32_t
sched_hold(struct sched *s, uint32_t msgid, uint32_t rcpt)
{
	return message_each(s, msgid, rcpt, hold, 0);
}

static uint32_t
release(struct sched *s, uint32_t e, int64_t now)
{
	struct entry *entry = entry_at(s, e);

	if (entry->state == SCHED_HELD) {
		entry->next = 0;
		entry_owe(s, e, now);
		entry_move(s, e, SCHED_READY, now);
		return 1;
	}
	if (entry->flags & ENTRY_HOLD) {
		entry->flags &= ~ENTRY_HOLD;
		return 1;
	}
	return 0;
}

uint32_t
sched_release(struct sched *s, uint32_t msgid, uint32_t rcpt, int64_t now)
{
	return message_each(s, msgid, rcpt, release, now);
}

void
sched_set_times(struct sched *s, uint32_t msgid, uint32_t rcpt, int64_t expiry,
    int64_t warn, int64_t now)
{
	uint32_t e = entry_find(s, msgid, rcpt);
	struct entry *entry;

	if (e == NIL || entry_at(s, e)->state == SCHED_DONE)
		return;
	entry = entry_at(s, e);
	entry->expiry = time_in(expiry);
	entry->warn = time_in(warn);
	entry->flags &= ~ENTRY_OWED;
	entry_owe(s, e, now);
	if (entry->state == SCHED_READY || entry->state == SCHED_WAITING)
		entry_set_timer(s, e);
}

static uint32_t
drop(struct sched *s, uint32_t e, int64_t now)
{
	struct entry *entry = entry_at(s, e);

	if (entry->state == SCHED_INFLIGHT) {
		entry->flags |= ENTRY_REMOVE;
		return 0;
	}
	entry_remove(s, e);
	return 1;
}

uint32_t
sched_remove(struct sched *s, uint32_t msgid, uint32_t rcpt)
{
	return message_each(s, msgid, rcpt, drop, 0);
}

static uint32_t
schedule(struct sched *s, uint32_t e, int64_t now)
{
	struct entry *entry = entry_at(s, e);

	if (entry->state == SCHED_WAITING) {
		entry->next = 0;
		entry_move(s, e, SCHED_READY, now);
	} else if (entry->state != SCHED_READY) {
		return 0;
	}
	dest_probe_now(s, entry->dest);
	return 1;
}

uint32_t
sched_schedule(struct sched *s, uint32_t msgid, uint32_t rcpt, int64_t now)
{
	return message_each(s, msgid, rcpt, schedule, now);
}

/* A destination that is blocked is probed. */
static uint32_t
flush_dest(struct sched *s, uint32_t d)
{
	struct dest *dest = dest_at(s, d);

	if (dest->action == NULL || dest->entries == 0 ||
	    dest->state != DEST_BLOCKED)
		return 0;
	dest_probe_now(s, d);
	return dest->ready;
}

static uint32_t
flush_entry(struct sched *s, uint32_t e, int64_t now)
{
	struct entry *entry = entry_at(s, e);

	if (entry->state != SCHED_WAITING)
		return 0;
	entry->next = 0;
	entry_move(s, e, SCHED_READY, now);
	return 1;
}

static int
domain_matches(const char *domain, const char *wanted, int subdomains)
{
	size_t n = strlen(domain), w = strlen(wanted);

	if (strcasecmp(domain, wanted) == 0)
		return 1;
	return subdomains && n > w && domain[n - w - 1] == '.' &&
	    strcasecmp(domain + n - w, wanted) == 0;
}

uint32_t
sched_flush_domain(
    struct sched *s, const char *domain, int subdomains, int64_t now)
{
	const struct dest *dest;
	uint32_t d, n = 0;

	for (d = 0; d < s->dests.used; d++) {
		dest = dest_at(s, d);
		if (dest->action == NULL || dest->kind != SCHED_RELAY ||
		    !domain_matches(dest->domain, domain, subdomains))
			continue;
		n += flush_dest(s, d);
		n += dest_release(s, d, 1, now);
	}
	return n;
}

int
sched_flush(struct sched *s, uint64_t *cursor, uint32_t limit,
    uint32_t *changed, int64_t now)
{
	/* all destinations, each probed once however long this takes, ... */
	for (; limit > 0 && *cursor < s->dests.used; limit--)
		*changed += flush_dest(s, (uint32_t)(*cursor)++);
	if (limit > 0 && *cursor < FLUSH_ENTRIES)
		*cursor = FLUSH_ENTRIES;
	/* ... and then all entries */
	for (; limit > 0; limit--) {
		if (*cursor - FLUSH_ENTRIES >= s->entries.used)
			return 0;
		*changed += flush_entry(
		    s, (uint32_t)((*cursor)++ - FLUSH_ENTRIES), now);
	}
	return 1;
}

uint32_t
sched_retry(
    struct sched *s, int (*wanted)(void *, const char *action), void *arg)
{
	uint32_t n = 0;

	for (uint32_t d = 0; d < s->dests.used; d++) {
		const struct dest *dest = dest_at(s, d);

		if (dest->action == NULL || dest->kind != SCHED_RELAY ||
		    dest->state == DEST_OPEN || !wanted(arg, dest->action))
			continue;
		dest_forget_failures(s, d);
		n++;
	}
	return n;
}

void
sched_pause_kind(struct sched *s, enum sched_kind kind, int paused)
{
	s->paused[kind] = paused != 0;
}

int
sched_kind_paused(const struct sched *s, enum sched_kind kind)
{
	return s->paused[kind];
}

/* Where the domain stands in the list, or its end. */
static size_t
find_paused(const struct sched *s, const char *domain)
{
	size_t i;

	for (i = 0; i < s->npaused; i++)
		if (strcasecmp(s->paused_domains[i], domain) == 0)
			break;
	return i;
}

int
sched_domain_paused(const struct sched *s, const char *domain)
{
	return find_paused(s, domain) < s->npaused;
}

const char *
sched_paused_domain(const struct sched *s, size_t n)
{
	return n < s->npaused ? s->paused_domains[n] : NULL;
}

static int
list_paused(struct sched *s, const char *domain, int paused)
{
	size_t i = find_paused(s, domain);

	if ((i < s->npaused) == (paused != 0))
		return 0;
	if (!paused) {
		free(s->paused_domains[i]);
		s->paused_domains[i] = s->paused_domains[--s->npaused];
		return 0;
	}
	if (i == SCHED_PAUSED_MAX ||
	    (s->paused_domains[i] = strdup(domain)) == NULL)
		return -1;
	s->npaused++;
	return 0;
}

int64_t
sched_pause_domain(struct sched *s, const char *domain, int paused)
{
	struct dest *dest;
	uint32_t d;
	int64_t n = 0;

	if (list_paused(s, domain, paused) == -1)
		return -1;
	for (d = 0; d < s->dests.used; d++) {
		dest = dest_at(s, d);
		if (dest->action == NULL || dest->kind != SCHED_RELAY ||
		    strcasecmp(dest->domain, domain) != 0)
			continue;
		dest->paused = paused != 0;
		n += dest->entries;
		dest_update(s, d);
	}
	return n;
}

static void
fill_info(const struct sched *s, uint32_t e, struct sched_info *info)
{
	const struct entry *entry = entry_at(s, e);
	const struct message *message = message_at(s, entry->message);
	const struct dest *dest = dest_at(s, entry->dest);

	memset(info, 0, sizeof(*info));
	info->msgid = message->msgid;
	info->rcpt = entry->rcpt;
	info->kind = dest->kind;
	info->state = entry->state;
	info->priority = entry->priority;
	info->attempts = entry->attempts;
	info->dest = entry->dest;
	info->class = dest->class;
	info->size = message->size;
	info->expiry = entry->expiry;
	info->action = dest->action;
	info->domain = dest->domain;
	info->removing = (entry->flags & ENTRY_REMOVE) != 0;
	info->holding = (entry->flags & ENTRY_HOLD) != 0;
	if (entry->state == SCHED_WAITING)
		info->next = entry->next;
	if (entry->state != SCHED_READY)
		return;
	info->paused = dest->paused || s->paused[dest->kind];
	info->blocked = dest->state != DEST_OPEN;
	if (info->blocked)
		info->next = dest->probe_at;
}

int
sched_lookup(const struct sched *s, uint32_t msgid, uint32_t rcpt,
    struct sched_info *info)
{
	uint32_t e = entry_find(s, msgid, rcpt);

	if (e == NIL)
		return 0;
	fill_info(s, e, info);
	return 1;
}

static int
filter_matches(const struct sched *s, const struct sched_filter *f,
    const struct entry *entry)
{
	const struct dest *dest = dest_at(s, entry->dest);

	if (f->states != 0 && !(f->states & 1u << entry->state))
		return 0;
	if (f->kinds != 0 && !(f->kinds & 1u << dest->kind))
		return 0;
	if (f->domain != NULL && strcasecmp(f->domain, dest->domain) != 0)
		return 0;
	return f->action == NULL || strcmp(f->action, dest->action) == 0;
}

/* The recipients of one message; the cursor is one past the last index. */
static size_t
list_message(const struct sched *s, const struct sched_filter *f,
    uint64_t *cursor, struct sched_info *rows, size_t n)
{
	uint32_t m = message_find(s, f->msgid), e, rcpt, last;
	size_t found = 0;

	if (m == NIL)
		return 0;
	/* A single entry may have any index: look at it at cursor 0. */
	if (message_at(s, m)->room == 0) {
		e = message_at(s, m)->one;
		if (*cursor == 0 && filter_matches(s, f, entry_at(s, e)))
			fill_info(s, e, &rows[found++]);
		*cursor = 1;
		return found;
	}
	last = message_at(s, m)->room;
	for (rcpt = *cursor; rcpt < last && found < n; rcpt++) {
		e = message_at(s, m)->many[rcpt];
		if (e != NIL && filter_matches(s, f, entry_at(s, e)))
			fill_info(s, e, &rows[found++]);
	}
	*cursor = rcpt;
	return found;
}

size_t
sched_list(const struct sched *s, const struct sched_filter *f,
    uint64_t *cursor, struct sched_info *rows, size_t n)
{
	size_t found = 0;
	uint32_t e;

	if (n == 0)
		return 0;
	if (f->msgid != 0)
		return list_message(s, f, cursor, rows, n);
	for (e = *cursor; e < s->entries.used && found < n; e++)
		if (entry_at(s, e)->state != ENTRY_FREE &&
		    filter_matches(s, f, entry_at(s, e)))
			fill_info(s, e, &rows[found++]);
	*cursor = e;
	return found;
}

int
sched_dest_info(const struct sched *s, uint32_t d, struct sched_dest_info *info)
{
	const struct dest *dest;

	if (d >= s->dests.used || dest_at(s, d)->action == NULL)
		return 0;
	dest = dest_at(s, d);
	memset(info, 0, sizeof(*info));
	info->kind = dest->kind;
	info->action = dest->action;
	info->domain = dest->domain;
	info->class = dest->class;
	info->blocked = dest->state != DEST_OPEN;
	info->probing = dest->state == DEST_PROBING;
	info->paused = dest->paused;
	info->entries = dest->entries;
	info->ready = dest->ready;
	info->inflight = dest->inflight;
	info->window = dest->window / WINDOW_ONE;
	info->failures = dest->failures + dest->breaks;
	if (info->blocked)
		info->probe_at = dest->probe_at;
	return 1;
}

int
sched_list_dests(
    const struct sched *s, uint64_t *cursor, struct sched_dest_info *info)
{
	while (*cursor < s->dests.used)
		if (sched_dest_info(s, (*cursor)++, info))
			return 1;
	return 0;
}

void
sched_stats(const struct sched *s, struct sched_stats *out)
{
	*out = s->stats;
	out->memory += sizeof(*s) + slab_memory(&s->entries) +
	    slab_memory(&s->messages) + slab_memory(&s->lanes) +
	    slab_memory(&s->dests) + slab_memory(&s->batches) +
	    slab_memory(&s->rounds) +
	    (size_t)s->timers.room * sizeof(uint64_t) +
	    (size_t)s->probes.room * sizeof(uint64_t) +
	    ((size_t)s->by_msgid.room + s->by_lane.room + s->by_dest.room +
		s->by_round.room) *
		sizeof(uint32_t);
}
