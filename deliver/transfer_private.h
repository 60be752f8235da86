/*
 * The inside of a transfer, shared by transfer*.c and nobody else.
 */
#ifndef DELIVER_TRANSFER_PRIVATE_H
#define DELIVER_TRANSFER_PRIVATE_H

#include <sys/queue.h>
#include <sys/tree.h>

#include "conf/url.h"
#include "deliver/body.h"
#include "deliver/client.h"
#include "deliver/route.h"
#include "deliver/transfer.h"

struct lookup;
struct question;
struct session;
struct settings;

/* A host that was asked, as the log and reports name it. */
struct transfer_remote {
	struct transfer_remote *before; /* the one asked before it */
	char name[256];
	char addr[64];
	char port[8];
	char tls[128];
};

struct transfer_result {
	int done;
	enum delivery_status status;
	uint16_t code;
	enum hop_kind hop;
	enum client_scope scope;
	int said; /* as in client.h */
	int put_off; /* for now, by the host that was asked last */
	/* whose result it is, NULL for none; if that host put it off, so that
	 * it is not done, only a success at one more takes its place */
	const struct transfer_remote *by;
	char enhanced[12];
	char *text; /* ours; NULL when memory was short */
};

/* Why a host, or all of a route, could not take it. */
struct transfer_failure {
	enum route_status route;
	enum delivery_status status;
	uint16_t code;
	int said; /* as in client.h */
	char enhanced[12];
	char *text; /* ours; NULL when memory was short */
};

struct transfer {
	RB_ENTRY(transfer) entry;
	struct transfers *owner;
	struct deliver *deliver;
	/* who asked and by which id; an orphan answers nobody */
	enum process_kind origin;
	uint64_t id;
	int orphan;

	/* what is to be sent; strings are ours */
	uint32_t msgid;
	uint64_t log_id;
	char *action_name;
	char *destination;
	char *sender;
	char *delivered_to; /* to be told by the header; may be NULL */
	char *envid;
	struct client_rcpt *rcpts;
	uint32_t *indexes; /* of the queue, one a recipient */
	struct transfer_result *results;
	int said; /* the end that transfer_fail is to tell, as in client.h */
	size_t count;
	size_t undone;
	struct client_mail mail; /* template of each attempt */

	/* where to */
	struct settings *settings;
	const struct conf_action *action;
	struct route *route;
	struct url url;
	int explicit_host;
	/* of a list of relay hosts the entry that was chosen by chance, and the
	 * one that is tried; NULL before, and with a session that was kept */
	char *first_relay;
	char *relay;
	unsigned relays_tried;
	struct transfer_failure failure; /* of the host before */
	const char *own_names[2];
	struct question *question;
	struct lookup *lookup;
	struct mx_candidate *candidates;
	struct route_plan plan;

	/* the attempt under way: the recipients without a result */
	struct session *session;
	struct client_mail attempt;
	struct client_rcpt *attempt_rcpts;
	size_t *attempt_map;
	struct body body;
	int body_asked;
	int heading_due; /* it goes ahead of what is read of the body */

	int unanswered; /* it has ended without a word on the whole body */

	/* what was learnt */
	int transient; /* some host failed for now, not for good */
	int broken; /* some host was ready, and ended the session over it */
	enum route_status route_status;
	struct transfer_remote *remote; /* the last; NULL before the first */

	/* recipients of a batch, since the host went away over more; 0 before
	 * that */
	uint32_t rcpt_max;

	/* a host that put off some recipients, whom one more host is asked to
	 * take, and what its session said of the route */
	int asks_another;
	enum route_status first_status;

	/* a call-ahead, from when it has its route */
	TAILQ_ENTRY(transfer) of_probes;
	int64_t give_up; /* milliseconds; 0: it is none */
	int begun; /* its turn has come */
};

/* transfer.c: the same failure for all recipients without a result, for now
 * if it is DELIVERY_OK, then the end: the transfer is freed. */
void transfer_fail(struct transfer *, enum route_status, enum delivery_status,
    unsigned code, const char *enhanced, const char *text);
/* We lack what an attempt needs, as a process of ours or room: no word about
 * the route, and the end without results, so that the queue takes it for no
 * attempt and what is owed one before it expires still is. Who calls ahead is
 * told the text. */
void transfer_untried(struct transfer *, const char *text);
/* Answers who asked, and frees. */
void transfer_finish(struct transfer *);
/* It has its route: a session that is idle, or the way to one. */
void transfer_find_session(struct transfer *);
/* Once the whole body is on the wire, only the server's word ends it. */
void transfer_give_up(struct transfer *, const char *text);
/* Takes over a session that is idle, and begins an attempt on it. */
void transfer_use_session(struct transfer *, struct session *);
struct session_events;
extern const struct session_events transfer_events;

/* transfer_route.c: finds the way anew and opens a session. */
void transfer_resolve(struct transfer *);
/* A host put recipients off: whether one more may be asked, which is once a
 * transfer, and then it is. The session is no longer the transfer's. */
int transfer_may_ask_another(const struct transfer *);
void transfer_ask_another(struct transfer *);
/* The session ended with recipients undone: another host, or the end. */
void transfer_retry(struct transfer *, const struct client_outcome *);

/* transfer_heading.c: what its header is to tell, if that is not "". -1 without
 * memory. */
int transfer_set_delivered_to(struct transfer *, const char *address);
/* The field, where it is due now and the server takes what is in it: its
 * length. TRACE_FIELD_MAX octets are enough. */
size_t transfer_heading(struct transfer *, char *out, size_t size);

/* transfer_probe.c: call-aheads. NULL without memory; to be freed when no
 * transfer is left. */
struct probes;
struct probes *probes_new(struct deliver *);
void probes_free(struct probes *);
/* One that has its route: transfer_find_session follows when its turn comes,
 * and transfer_give_up when its time is over first. */
void probes_add(struct probes *, struct transfer *);
/* It is freed. */
void probes_remove(struct probes *, struct transfer *);
void probes_tick(struct probes *);
/* Tells auth what the primary has said. */
void probes_answer(const struct transfer *, struct channel *);

#endif
