/*
 * See servers.h. A machine that comes to another network has other name
 * servers, and nobody tells a daemon. So the file is read every few seconds:
 * whatever it is that its path leads to by then. What it says is taken where
 * two looks have found the same, since who writes it may not be done, and
 * never where it names no server.
 */
#include "config.h"

#include <event2/event.h>
#include <stdlib.h>

#include "master/master.h"
#include "master/readfile.h"
#include "master/resolv.h"
#include "master/servers.h"
#include "net/loop.h"
#include "os/log.h"

enum { FILE_MAX = 64 * 1024, LOOK_SECONDS = 3 };

static const char resolv_conf[] = "/etc/resolv.conf";

struct servers {
	struct master *master;
	struct event *timer;
	struct conf_resolver seen; /* by the last look; its servers only */
	char bad[256]; /* what it could not use */
};

static void
clear(struct conf_resolver *r)
{
	free(r->servers);
	r->servers = NULL;
	r->nservers = 0;
}

/* A file that is not there names none. -1 without memory. */
static int
read_servers(struct conf_resolver *r, char *bad, size_t size)
{
	char error[256], *text;
	size_t len;
	int rc;

	text = readfile(resolv_conf, FILE_MAX, &len, error, sizeof(error));
	*bad = '\0';
	if (text == NULL)
		return 0;
	rc = resolv_parse(text, r, bad, size);
	free(text);
	return rc;
}

static void
warn_of(const char *bad)
{
	if (*bad != '\0')
		log_warn("%s: not used as name servers: %s", resolv_conf, bad);
}

int
servers_load(struct conf *conf)
{
	struct conf_resolver *r = &conf->resolver;
	char bad[256];

	if (r->nservers > 0 || r->recursive)
		return 0;
	r->from_system = true;
	if (read_servers(r, bad, sizeof(bad)) == -1)
		return -1;
	warn_of(bad);
	if (r->nservers > 0)
		return 0;
	log_warn("%s names no server: the one of this machine is asked",
	    resolv_conf);
	return resolv_parse("nameserver 127.0.0.1", r, bad, sizeof(bad));
}

/* ---- a change --------------------------------------------------------- */

/* The one in force, from memory: what lies on the disk is nobody's yet. */
static int
send_configuration(struct master *m, struct child *resolver)
{
	struct msg_config_swap swap = { .generation = m->generation };

	if (supervise_configure(resolver, m->conf, m->generation) == -1)
		return -1;
	return ipc_send(resolver->channel, config_swap, &swap);
}

static void
take(struct servers *s)
{
	struct master *m = s->master;
	struct child *resolver = supervise_child(m, PROC_RESOLVER, 0);
	struct child *queue = supervise_child(m, PROC_QUEUE, 0);
	struct conf_resolver *r = &m->conf->resolver;
	struct msg_names_changed changed = { 0 };
	char text[512];

	warn_of(s->bad);
	free(r->servers);
	r->servers = s->seen.servers;
	r->nservers = s->seen.nservers;
	s->seen.servers = NULL;
	s->seen.nservers = 0;
	resolv_text(r, text, sizeof(text));
	log_info(
	    "%s has changed: the name servers are now %s", resolv_conf, text);
	/* a channel that fails ends the worker, and the next gets m->conf */
	if (send_configuration(m, resolver) == 0 &&
	    queue->state == CHILD_SERVING)
		ipc_send(queue->channel, names_changed, &changed);
}

/* A reload has read the file itself, and the resolver that begins is given what
 * is in force: both are waited for. */
static bool
may_take(const struct servers *s)
{
	struct master *m = s->master;

	return m->next == NULL && !m->stopping &&
	    supervise_child(m, PROC_RESOLVER, 0)->state == CHILD_SERVING;
}

static void
look(struct servers *s)
{
	struct conf_resolver *now = &s->master->conf->resolver;
	struct conf_resolver found = { 0 };
	bool settled;

	if (!now->from_system)
		return;
	if (read_servers(&found, s->bad, sizeof(s->bad)) == -1 ||
	    found.nservers == 0 || resolv_equal(&found, now)) {
		clear(&found);
		clear(&s->seen);
		return;
	}
	settled = resolv_equal(&found, &s->seen);
	clear(&s->seen);
	s->seen = found;
	if (settled && may_take(s))
		take(s);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	look(arg);
}

struct servers *
servers_new(struct master *m)
{
	struct timeval tv = { LOOK_SECONDS, 0 };
	struct servers *s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	s->master = m;
	s->timer = event_new(loop_base(m->loop), -1, EV_PERSIST, on_timer, s);
	if (s->timer == NULL || event_add(s->timer, &tv) == -1) {
		servers_free(s);
		return NULL;
	}
	return s;
}

void
servers_free(struct servers *s)
{
	if (s == NULL)
		return;
	if (s->timer != NULL)
		event_free(s->timer);
	clear(&s->seen);
	free(s);
}
