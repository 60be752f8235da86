/*
 * A reload: read the configuration again, let every worker validate its slice,
 * then swap in all or in none. Called for SIGHUP and smtpctl, and by
 * supervise.c for what workers answer and when one is lost; one that dies
 * meanwhile ends a reload before the swap, and begins under what is in force
 * after it.
 *
 *	idle -> agreeing (m->next) -> swapping (m->swapping) -> idle
 */
#include "config.h"

#include <stdbool.h>
#include <string.h>

#include "master/files.h"
#include "master/master.h"
#include "os/log.h"

enum { ERRORS = 1024 }; /* octets of them that the asker reads */

static void
answer(struct master *m, uint64_t asker, int counts, const char *error)
{
	struct child *queue = supervise_child(m, PROC_QUEUE, 0);
	struct msg_master_done done = { .id = asker, .error = error };
	struct ipc_buf tables = { 0 };

	if (asker == 0 || queue->channel == NULL)
		return;
	if (counts && *error == '\0')
		files_count_aliases(m->conf, &tables);
	done.tables = ipc_buf_list(&tables);
	ipc_send(queue->channel, master_done, &done);
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
	return m->next != NULL || m->swapping || !all_can_be_asked(m);
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
	conf_free(m->next);
	m->next = NULL;
	sockets_free(m->next_sockets);
	m->next_sockets = NULL;
	answer(m, m->reload_asker, 0, why);
	go_on(m);
}

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
	char errors[ERRORS];
	const char *why;

	if (is_busy(m)) {
		m->reload_again |= asker == 0;
		answer(m, asker, 0,
		    all_can_be_asked(m)
			? "another reload is under way: try again"
			: "workers are still starting: try again");
		return;
	}
	m->reload_asker = asker;
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
}

/* All have agreed. */
static void
swap(struct master *m)
{
	struct msg_config_swap swap = { .generation = m->next_generation };

	conf_free(m->conf);
	m->conf = m->next;
	m->next = NULL;
	sockets_free(m->sockets);
	m->sockets = m->next_sockets;
	m->next_sockets = NULL;
	m->generation = m->next_generation;
	m->swapping = 1;
	for (size_t i = 0; i < m->child_count; i++) {
		struct child *c = &m->children[i];

		if (c->state == CHILD_REFUSED) {
			supervise_release(c);
			continue;
		}
		if (c->kind == PROC_SMTPD)
			sockets_send(m->sockets, c->channel, m->generation);
		ipc_send(c->channel, config_swap, &swap);
	}
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
	for (size_t i = 0; i < m->child_count; i++)
		if (m->children[i].agreed != m->next_generation)
			return 1;
	swap(m);
	return 1;
}

/* Who does not serve now will serve under the new configuration. */
void
reload_step(struct master *m)
{
	for (size_t i = 0; i < m->child_count; i++)
		if (m->children[i].state >= CHILD_RELEASED &&
		    m->children[i].holds != m->generation)
			return;
	if (m->swapping) {
		m->swapping = 0;
		log_info("configuration reloaded");
		answer(m, m->reload_asker, m->reload_counts, "");
	}
	go_on(m);
}

void
reload_lost(struct child *c)
{
	c->agreed = 0;
	if (c->master->next != NULL)
		abandon(c->master, "a worker died meanwhile");
	reload_step(c->master);
}
