/*
 * A reload: read the configuration again, let every worker validate its slice,
 * then swap in all or in none. Called for SIGHUP and smtpctl, and by
 * supervise.c for what workers answer and when one is lost; one that dies
 * meanwhile ends a reload before the swap, and begins under what is in force
 * after it. So does one that does not answer in time, which after the swap is
 * killed.
 *
 *	idle -> agreeing (m->next) -> swapping (m->swap) -> idle
 */
#include "config.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "master/contents.h"
#include "master/files.h"
#include "master/master.h"
#include "net/loop.h"
#include "os/log.h"

enum {
	ERRORS = 1024, /* octets of them that the asker reads */
	/* auth takes 3 s of a processor for a table as large as one may be */
	PATIENCE_S = 60
};

/* ---- who is waited for ------------------------------------------------ */

static void
expect_answers(struct master *m)
{
	struct timeval tv = { PATIENCE_S, 0 };

#ifdef RELAIS_TEST_HOOKS
	const char *value = getenv("RELAIS_TEST_RELOAD");

	if (value != NULL)
		tv.tv_sec = atoi(value);
#endif
	event_add(m->reload_timer, &tv);
}

/* Those who carry mail away swap before those who ask them to: the queue tries
 * at once what had failed, and this must not be tried the old way. */
static enum swap_step
step_of(enum process_kind kind)
{
	return kind == PROC_DELIVER || kind == PROC_RESOLVER ||
		kind == PROC_KEYS
	    ? SWAP_CARRIERS
	    : SWAP_ALL;
}

/* Who does not serve now will serve under the new configuration. */
static bool
is_awaited(const struct child *c)
{
	const struct master *m = c->master;

	if (m->next != NULL)
		return c->agreed != m->next_generation;
	return c->state >= CHILD_RELEASED && c->holds != m->generation &&
	    (m->swap == SWAP_NONE || step_of(c->kind) <= m->swap);
}

/* One of them, NULL if there is none. */
static const struct child *
awaited(const struct master *m)
{
	for (size_t i = 0; i < m->child_count; i++)
		if (is_awaited(&m->children[i]))
			return &m->children[i];
	return NULL;
}

/* ---- its end ---------------------------------------------------------- */

static void
answer(struct master *m, uint64_t asker, uint32_t life, int counts,
    const char *error)
{
	struct channel *queue = supervise_queue(m, life);
	struct msg_master_done done = { .id = asker, .error = error };
	struct ipc_buf tables = { 0 };

	if (asker == 0 || queue == NULL)
		return;
	if (counts && *error == '\0')
		files_count_aliases(m->conf, &tables);
	done.tables = ipc_buf_list(&tables);
	ipc_send(queue, master_done, &done);
	ipc_buf_free(&tables);
}

/* One that refused what is in force may take what a reload brings. */
static bool
all_can_be_asked(const struct master *m)
{
	for (size_t i = 0; i < m->child_count; i++)
		if (m->children[i].state != CHILD_SERVING &&
		    m->children[i].state != CHILD_REFUSED)
			return false;
	return true;
}

static bool
is_busy(const struct master *m)
{
	return m->next != NULL || m->swap != SWAP_NONE || !all_can_be_asked(m);
}

/* Heeds a SIGHUP that came too early. */
static void
go_on(struct master *m)
{
	if (!m->reload_again || is_busy(m))
		return;
	m->reload_again = 0;
	reload_begin(m, 0, 0);
}

/* Who asked may read several errors, of which each has its line in the log. */
static void
abandon(struct master *m, const char *why)
{
	log_warn("configuration not reloaded: %s",
	    strchr(why, '\n') == NULL ? why : "see the lines above");
	event_del(m->reload_timer);
	m->reload_retried = 0;
	conf_free(m->next);
	m->next = NULL;
	contents_free(m->next_contents);
	m->next_contents = NULL;
	sockets_free(m->next_sockets);
	m->next_sockets = NULL;
	answer(m, m->reload_asker, m->reload_life, 0, why);
	go_on(m);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct master *m = arg;
	const struct child *c = awaited(m);
	char why[128];

	if (m->next != NULL) {
		snprintf(why, sizeof(why),
		    "%s %u (pid %d) does not answer: kill it, and reload again",
		    process_name(c->kind), c->instance, (int)c->pid);
		abandon(m, why);
		return;
	}
	for (size_t i = 0; i < m->child_count; i++) {
		c = &m->children[i];
		if (!is_awaited(c))
			continue;
		log_error("%s %u (pid %d) does not answer: it is killed",
		    process_name(c->kind), c->instance, (int)c->pid);
		supervise_end(c);
	}
}

struct event *
reload_timer_new(struct master *m)
{
	return event_new(loop_base(m->loop), -1, 0, on_timer, m);
}

/* ---- its life --------------------------------------------------------- */

static bool
differ(const char *a, const char *b)
{
	return strcmp(a != NULL ? a : "", b != NULL ? b : "") != 0;
}

/* What a running instance cannot change: the processes, whose they are, and
 * their paths. */
static const char *
find_obstacle(const struct conf *old, const struct conf *new)
{
	const struct conf_paths *o = &old->paths, *n = &new->paths;
	char was[4096], is[4096];

	spool_drop_path(o, was, sizeof(was));
	spool_drop_path(n, is, sizeof(is));
	const struct {
		bool changed;
		const char *text;
	} obstacles[] = {
		{ differ(o->spool, n->spool),
		    "`set spool` changed: restart relaisd" },
		{ differ(o->control_socket, n->control_socket),
		    "`set control-socket` changed: restart relaisd" },
		{ differ(o->chroot, n->chroot),
		    "`set chroot` changed: restart relaisd" },
		{ differ(was, is),
		    "`set drop-folder` changed: restart relaisd" },
		{ differ(o->pid_file, n->pid_file),
		    "`set pid-file` changed: restart relaisd" },
		{ differ(o->libexec, n->libexec),
		    "`set libexec` changed: restart relaisd" },
		{ differ(o->user_prefix, n->user_prefix),
		    "`set user-prefix` changed: restart relaisd" },
		{ old->workers.smtpd != new->workers.smtpd ||
			old->workers.deliver != new->workers.deliver,
		    "`set workers` changed: restart relaisd" },
	};
	for (size_t i = 0; i < sizeof(obstacles) / sizeof(obstacles[0]); i++)
		if (obstacles[i].changed)
			return obstacles[i].text;
	return NULL;
}

void
reload_begin(struct master *m, uint64_t asker, int counts)
{
	uint32_t life = supervise_queue_life(m);
	char errors[ERRORS];
	const char *why;

	if (is_busy(m)) {
		m->reload_again |= asker == 0;
		m->reload_retried &= asker != 0;
		answer(m, asker, life, 0,
		    all_can_be_asked(m)
			? "another reload is under way: try again"
			: "workers are still starting: try again");
		return;
	}
	m->reload_asker = asker;
	m->reload_life = life;
	m->reload_counts = counts;
	m->next = load_again(&m->options, counts != 0, errors, sizeof(errors));
	if (m->next == NULL) {
		abandon(m, errors);
		return;
	}
	if ((why = find_obstacle(m->conf, m->next)) != NULL) {
		abandon(m, why);
		return;
	}
	if ((m->next_contents = contents_load(m->next)) == NULL) {
		abandon(m, "a table cannot be read: see the log");
		return;
	}
	m->next_sockets =
	    sockets_open(m->next, m->sockets, errors, sizeof(errors));
	if (m->next_sockets == NULL) {
		abandon(m, errors);
		return;
	}
	/* never the number of one that was given up: answers to it may come */
	m->next_generation++;
	for (size_t i = 0; i < m->child_count; i++)
		if (supervise_configure(
			&m->children[i], m->next, m->next_generation) == -1) {
			abandon(m, "a worker cannot be reached");
			return;
		}
	expect_answers(m);
}

/* Whoever began meanwhile has agreed to nothing: it holds the new one. */
static void
swap_step(struct master *m, enum swap_step step)
{
	struct msg_config_swap swap = { .generation = m->generation };

	m->swap = step;
	for (size_t i = 0; i < m->child_count; i++) {
		struct child *c = &m->children[i];

		if (step_of(c->kind) != step || c->agreed != m->generation)
			continue;
		if (c->state == CHILD_REFUSED) {
			supervise_release(c);
			continue;
		}
		if (c->kind == PROC_SMTPD)
			sockets_send(m->sockets, c->channel, m->generation);
		ipc_send(c->channel, config_swap, &swap);
	}
	expect_answers(m);
}

/* All have agreed. */
static void
begin_swap(struct master *m)
{
	conf_free(m->conf);
	m->conf = m->next;
	m->next = NULL;
	contents_free(m->contents);
	m->contents = m->next_contents;
	m->next_contents = NULL;
	sockets_free(m->sockets);
	m->sockets = m->next_sockets;
	m->next_sockets = NULL;
	m->generation = m->next_generation;
	swap_step(m, SWAP_CARRIERS);
}

int
reload_agreed(struct child *c, const struct msg_config_ready *r)
{
	struct master *m = c->master;

	if (m->next == NULL || r->generation != m->next_generation)
		return 0;
	if (r->error[0] != '\0') {
		abandon(m, r->error);
		return 1;
	}
	c->agreed = r->generation;
	if (awaited(m) == NULL)
		begin_swap(m);
	return 1;
}

void
reload_step(struct master *m)
{
	if (awaited(m) != NULL)
		return;
	if (m->swap == SWAP_CARRIERS) {
		swap_step(m, SWAP_ALL);
		return;
	}
	if (m->swap == SWAP_ALL) {
		m->swap = SWAP_NONE;
		event_del(m->reload_timer);
		m->reload_retried = 0;
		log_info("configuration reloaded");
		answer(
		    m, m->reload_asker, m->reload_life, m->reload_counts, "");
	}
	go_on(m);
}

void
reload_lost(struct child *c)
{
	struct master *m = c->master;
	int again;

	c->agreed = 0;
	if (m->next != NULL) {
		/* nobody repeats a SIGHUP; once, lest it is what they die of */
		again = m->reload_asker == 0 && !m->reload_retried;
		m->reload_again |= again;
		abandon(m, "a worker died meanwhile");
		m->reload_retried = again;
	}
	reload_step(m);
}
