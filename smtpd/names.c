/*
 * What the two ends of a connection are called: the client by the DNS, which
 * the resolver asks, ourselves by the listener's table of host names, which
 * auth holds. Neither keeps a session from ending: the session waits for the
 * client's name only so long, and a peer that goes takes its questions along.
 * While the DNS is silent only a session now and then waits, lest each be as
 * slow as that wait, unless a rule asks for the name.
 */
#include <sys/socket.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "net/loop.h"
#include "smtpd/smtpd.h"

enum {
	/* ms; a little less than a session waits (session.c), which may end
	 * as soon as it has */
	IN_TIME = 4500,
	/* ms after which a failure is a name server's that says nothing */
	GIVEN_UP = 1000,
	/* so many in vain, one after the other, and in these ms none that was
	 * not, are silence */
	VAIN_MAX = 2,
	RECENT = 2000,
	/* ms: how often one waits all the same */
	TRY_EVERY = 10000
};

static int64_t
seconds(const struct smtpd *d)
{
	return loop_now(d->loop) / 1000;
}

static int
ask_dns(struct client *c, const struct rdns_question *q)
{
	struct channel *ch = worker_peer(c->smtpd->worker, PROC_RESOLVER, 0);
	struct msg_dns_query m = { .type = q->type, .name = q->name };

	if (ch == NULL)
		return -1;
	m.id = client_question(c);
	if (ipc_send(ch, dns_query, &m) == -1)
		return -1;
	c->rdns_id = m.id;
	return 0;
}

/* A client's question has come to its end: answered, or else the client has
 * gone or the resolver given up. */
static void
note(struct client *c, int answered, int64_t patience)
{
	struct smtpd *d = c->smtpd;
	int64_t now = loop_now(d->loop);

	if (now - c->rdns_asked >= patience) {
		d->names_vain++;
		d->names_tried = now;
	} else if (answered) {
		d->names_vain = 0;
		d->names_heard = now;
	}
}

/* Whether it is of no use to wait for a name now. */
static int
silent(struct smtpd *d)
{
	int64_t now = loop_now(d->loop);

	if (d->now->conf->smtp.names_matter || d->names_vain < VAIN_MAX ||
	    now - d->names_heard < RECENT)
		return 0;
	if (now - d->names_tried < TRY_EVERY)
		return 1;
	d->names_tried = now;
	return 0;
}

int
names_client(struct client *c)
{
	struct smtpd *d = c->smtpd;
	const struct rdns *known;
	struct rdns_question q;

	if (c->octets_len == 0) {
		c->rdns.state = RDNS_UNCONFIRMED;
		return 0;
	}
	if (c->local) {
		snprintf(c->rdns.name, sizeof(c->rdns.name), "localhost");
		c->rdns.state = RDNS_CONFIRMED;
		return 0;
	}
	known = rdns_cache_find(d->names, c->octets, c->octets_len, seconds(d));
	if (known != NULL) {
		c->rdns = *known;
		return 0;
	}
	if (silent(d))
		return 0;
	rdns_begin(&c->rdns, c->octets, c->octets_len, &q);
	c->rdns_asked = loop_now(d->loop);
	return ask_dns(c, &q) == 0;
}

void
names_dns_answer(struct smtpd *d, const struct msg_dns_answer *m)
{
	struct client *c = client_find(d, m->id);
	struct rdns_question q;

	if (c == NULL || c->rdns_id != m->id)
		return;
	c->rdns_id = 0;
	if (rdns_answer(&c->rdns, m, &q) && ask_dns(c, &q) == 0)
		return;
	if (m->status == DNS_TEMPFAIL)
		note(c, 0, GIVEN_UP);
	else
		note(c, 1, IN_TIME);
	rdns_cache_add(d->names, &c->rdns, seconds(d));
	client_rdns(c);
}

void
names_forget(struct client *c)
{
	struct channel *ch = worker_peer(c->smtpd->worker, PROC_RESOLVER, 0);
	struct msg_dns_cancel m = { .id = c->rdns_id };

	if (c->rdns_id == 0)
		return;
	note(c, 0, IN_TIME);
	if (ch != NULL)
		ipc_send(ch, dns_cancel, &m);
	c->rdns_id = 0;
}

void
names_lost(struct client *c, enum process_kind peer)
{
	if (peer == PROC_RESOLVER && c->rdns_id != 0) {
		c->rdns_id = 0;
		client_rdns(c);
	} else if (peer == PROC_AUTH && c->hostname_id != 0) {
		c->hostname_id = 0;
		client_connect(c);
	}
}

int
names_own(struct client *c)
{
	struct channel *ch = worker_peer(c->smtpd->worker, PROC_AUTH, 0);
	struct msg_table_query m = { .table = c->listener->hostnames,
		.service = CONF_SERVICE_ADDRNAME,
		.key = c->own_addr };

	if (m.table == NULL || ch == NULL || *c->own_addr == '\0')
		return 0;
	m.id = client_question(c);
	if (ipc_send(ch, table_query, &m) == -1)
		return 0;
	c->hostname_id = m.id;
	return 1;
}

void
names_own_answer(struct smtpd *d, const struct msg_table_answer *m)
{
	struct client *c = client_find(d, m->id);

	if (c == NULL || c->hostname_id != m->id)
		return;
	c->hostname_id = 0;
	if (m->status == LOOKUP_FOUND &&
	    address_parse_domain(m->value, strlen(m->value), 0, c->hostname) !=
		ADDRESS_OK)
		c->hostname[0] = '\0';
	client_connect(c);
}
