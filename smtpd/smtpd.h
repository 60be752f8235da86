/*
 * The smtpd worker: what its files share. listen.c takes connections, driver.c
 * joins each to its session, names.c finds out what clients and we are called,
 * main.c holds the life of the worker. Nothing outside smtpd/ includes this.
 */
#ifndef SMTPD_SMTPD_H
#define SMTPD_SMTPD_H

#include <sys/queue.h>
#include <sys/socket.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "ipc/worker.h"
#include "smtpd/limits.h"
#include "smtpd/rdns.h"
#include "smtpd/session.h"
#include "smtpd/settings.h"

struct client;
struct key_client;
struct port;
struct stream;
struct stream_set;
struct tls_tickets;

TAILQ_HEAD(client_list, client);

struct smtpd {
	struct worker *worker;
	struct loop *loop;
	struct settings *now;
	struct settings *next; /* configured, to be swapped in */
	/* shared by all sessions */
	struct stream_set *streams;
	struct session_pool *pool;
	struct key_client *keys;
	struct tls_tickets *tickets;
	struct limits *limits;
	struct rdns_cache *names;
	unsigned names_vain; /* in a row: asked, and not answered in time */
	int64_t names_heard; /* when an answer last came in time */
	int64_t names_tried; /* when one was last waited for in vain */
	/* listening sockets: those that hold, and those of the next
	 * configuration */
	TAILQ_HEAD(, port) ports;
	TAILQ_HEAD(, port) next_ports;
	/* clients; by their slot */
	struct client_list clients;
	struct client_list stalls; /* in the order in which they may go on */
	int resuming;
	struct client **slots;
	uint32_t slot_count; /* allocated */
	uint32_t slot_free; /* the lowest that may be free */
	/* what the queue has said */
	struct session_ids ids;
	struct session_ids more_ids;
	int ids_asked;
	int queue_up;
	int served; /* the queue has been up once: clients are let in */
	struct msg_queue_status queue;
	char queue_enhanced[13];
	char queue_text[401];
	/* the one turn that all sessions use, one after the other */
	struct session_turn turn;
	uint32_t serial;
	uint64_t session_seed;
	uint64_t session_count;
	int stopping;
};

/* One connection. */
struct client {
	TAILQ_ENTRY(client) entry;
	struct smtpd *smtpd;
	struct listener *listener; /* counts in its settings */
	int fd; /* until the stream has it */
	struct stream *stream; /* NULL before the session begins */
	struct session *session;
	uint32_t slot;
	struct event timer;
	int64_t armed; /* when the timer fires; 0: it is not set */
	uint8_t connected; /* the session has begun */
	uint8_t eof;
	uint8_t stalled; /* in stalls, until the queue keeps up */
	TAILQ_ENTRY(client) stall_entry;
	uint8_t counted; /* by address, not only in all */
	uint8_t local; /* a local socket, or a client on this machine */
	uint8_t early;
	struct limits_address address;
	uint8_t octets[16];
	size_t octets_len; /* 0 for a local socket */
	char addr[64];
	char
	    own_addr[64]; /* what the client has connected to; "" if not told */
	/* what the client's address is called */
	struct rdns rdns;
	uint64_t rdns_id; /* 0 when nothing is asked */
	int64_t rdns_asked; /* when the first question was */
	/* what our own address is called, where the listener has a table */
	uint64_t hostname_id;
	char hostname[ADDRESS_DOMAIN_SIZE];
	char local_user[65];
};

/* ---- listen.c --------------------------------------------------------- */

/* A listening socket of the next configuration. */
void listen_add(struct smtpd *, uint32_t listener, int fd);
/* The next configuration's sockets hold now. */
void listen_begin(struct smtpd *);
void listen_swap(struct smtpd *);
void listen_stop(struct smtpd *);
/* Closes a client's socket that has no stream. */
void listen_hang_up(int fd, int is_unix);
/* Says 421, where that can be heard, and closes fd. */
void listen_refuse(const struct listener *, int fd, int is_unix);

/* ---- driver.c --------------------------------------------------------- */

/* Takes fd. user is "" unless the client is a local user by the control
 * socket. address is the peer's, or NULL for a local socket. */
void client_new(struct smtpd *, struct listener *, int fd,
    const struct sockaddr *address, const char *user);
/* Begins the session, once our own name is known. */
void client_connect(struct client *);
/* The client of an id, NULL if there is none any more. */
struct client *client_find(struct smtpd *, uint64_t id);
/* An answer for a session. */
void client_answer(
    struct smtpd *, uint64_t id, enum msg_type, const union ipc_msg *);
/* What rdns holds is all that will be known of the client's name. */
void client_rdns(struct client *);
/* A peer is gone. */
void clients_lost(struct smtpd *, enum process_kind);
/* The queue keeps up again. */
void clients_resume(struct smtpd *);
void clients_shutdown(struct smtpd *);
/* A fresh id for a question about a client. */
uint64_t client_question(struct client *);
/* Asks the queue for message ids when few are left. */
void ids_request(struct smtpd *);

/* ---- names.c ---------------------------------------------------------- */

/* Finds what the client's address is called; 1 when client_rdns will be
 * called, 0 when what rdns holds is all: known already, or open while the
 * resolver is silent or away. */
int names_client(struct client *);
/* Asks what our address is called; 0 if nothing needs to be asked. */
int names_own(struct client *);
void names_forget(struct client *);
void names_lost(struct client *, enum process_kind);
void names_own_answer(struct smtpd *, const struct msg_table_answer *);
void names_dns_answer(struct smtpd *, const struct msg_dns_answer *);

#endif
