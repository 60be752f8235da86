/*
 * What the files of master/ share: the one context of relaisd and its
 * children. Master is root, so it handles no mail, no DNS and no network
 * octet, and treats what workers send as questions, never as orders.
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <sys/types.h>

#include <stdint.h>
#include <stdio.h>

#include "conf/conf.h"
#include "ipc/channel.h"

struct contents;
struct event;
struct loop;
struct sockets;
struct tickets;
struct hand_off;
struct pairs;
struct servers;
struct drop;

enum child_state {
	CHILD_DOWN, /* waits for its restart */
	CHILD_STARTED, /* configuration sent */
	CHILD_REFUSED, /* could not take it, waits for another try */
	CHILD_CONFIGURED, /* has accepted it */
	CHILD_RELEASED, /* has its sockets and peers, enters its sandbox */
	CHILD_SERVING
};

struct child {
	struct master *master;
	enum process_kind kind;
	uint16_t instance;
	enum child_state state;
	pid_t pid;
	uint32_t life; /* counts its processes */
	struct channel *channel;
	struct event *restart; /* or another try to configure it */
	int64_t started; /* loop_now, of the last try */
	uint32_t backoff_ms; /* see backoff.h */
	uint32_t agreed; /* generation that it is ready to swap to */
	uint32_t holds; /* generation that it serves under */
};

#define DEFAULT_CONFIGURATION RELAIS_SYSCONFDIR "/relais.conf"

/* How relaisd was started. */
struct master_options {
	const char *path; /* of the configuration */
	int foreground;
	int verbose;
	uint32_t trace;
	const char *export_path; /* -E, NULL: not asked for */
	const char *import_path; /* -I, likewise */
	void *macros; /* -D, as the parser takes them */
};

/* Whose turn it is to take up what a reload has read. */
enum swap_step {
	SWAP_NONE, /* it is over */
	SWAP_CARRIERS,
	SWAP_ALL
};

struct master {
	struct loop *loop;
	struct master_options options;
	struct conf *conf;
	struct conf *next; /* a reload under way */
	struct contents *contents; /* of conf */
	struct contents *next_contents;
	struct sockets *sockets; /* of conf */
	struct sockets *next_sockets;
	uint32_t generation;
	uint32_t next_generation; /* of next; without one, the last that was */
	enum swap_step swap; /* who is taking conf up */
	uint64_t reload_asker; /* id of the master_request, 0: SIGHUP */
	uint32_t reload_life; /* of the queue that sent it */
	int reload_counts; /* and it wants to know of the aliases */
	struct event *reload_timer; /* until then it waits for answers */
	int reload_again; /* a SIGHUP came when it could not be heeded */
	int reload_retried; /* one that a dying worker had ended was again */
	int privileged; /* started by root */
	int to_journal; /* what is logged in the foreground */
	int stopping;
	int status; /* to end with then */
	int64_t begun; /* loop_now */
	int was_serving; /* all workers were up once */
	int was_ready; /* and all served */
	int starter; /* to who waits for the start to be over, or -1 */
	struct child *children;
	size_t child_count;
	struct pairs *pairs;
	struct servers *servers; /* that watches them */
	int control_fd;
	struct tickets *tickets;
	struct hand_off *hand_off;
	struct drop *drop; /* NULL: no such folder */
};

/* Reads, checks and completes the configuration (certificates, names,
 * addresses, resolvers). NULL after telling in errors or the log. strict: see
 * files.h. */
struct conf *load_configuration(
    const struct master_options *, bool strict, FILE *errors);
/* The same for a daemon: errors go to the log, and as many lines of them as
 * find room to `why`. */
struct conf *load_again(
    const struct master_options *, bool strict, char *why, size_t size);
/* The file of a table of kind FILE, opened for reading, or -1. */
int load_open_table(const struct conf_table *);

/* Private keys are in the tree only while they are being sent to `keys`. -1
 * after logging. */
int load_keys(struct conf *);
void load_forget_keys(struct conf *);

/* The sockets of all listeners; NULL with the reason in `error`. Sockets
 * that `old` already has for the same address are taken over. */
struct sockets *sockets_open(
    const struct conf *, const struct sockets *old, char *error, size_t size);
void sockets_free(struct sockets *);
/* Whether this machine has the address now. */
bool sockets_may_bind(const struct conf_address *);
/* Sends all of them to one smtpd. */
void sockets_send(const struct sockets *, struct channel *, uint32_t gen);
/* That of smtpctl; -1 after logging. */
int sockets_open_control(const struct conf *);
/* Has the kernel name this process to who asks whose that socket is. */
void sockets_own_control(int fd);

/* "READY=1" or what else sd_notify(3) knows, to who started us as a service. */
void notify_manager(const char *state);
/* Whether there is one. */
bool notify_is_awaited(void);

/* NULL: none is wanted. One that holds another number is not removed. */
void pid_file_write(const char *path);
void pid_file_remove(const char *path);

/* Started as root: keeps the capabilities that it needs. -1 after logging. */
int capabilities_bound(void);
/* Whether workers can confine themselves here, or none would start; logged. */
int capabilities_can_confine(void);

/* Creates what the configuration's paths need. -1 after logging. */
int spool_prepare(const struct master *);
void spool_drop_path(const struct conf_paths *, char *path, size_t size);

/* Starts all workers; runs until told to stop; the exit status. */
int supervise_run(struct master *);
/* Restart and stop are driven from here. */
void supervise_stop(struct master *, int status);
struct child *supervise_child(struct master *, enum process_kind, uint16_t);
/* The queue that lives now: its child.life, to be kept with what it asks for
 * where the answer takes a while. */
uint32_t supervise_queue_life(struct master *);
/* The way to the queue that asked in that life, NULL if it is gone. The ids of
 * questions begin anew in each life, so that the next queue would take an
 * answer to this one for its own. */
struct channel *supervise_queue(struct master *, uint32_t life);
/* Sends a worker its slice. -1 if it cannot be reached or a file not read. */
int supervise_configure(struct child *, struct conf *, uint32_t gen);
/* Gives a worker that took its configuration all that it needs to begin. */
void supervise_release(struct child *);
/* Kills one that is not to be trusted, or does not answer: another begins. */
void supervise_end(const struct child *);
void supervise_set_log(struct master *, int verbose, uint32_t trace);

/* The channels between workers, once the children are there. NULL without
 * memory. */
struct pairs *pairs_new(struct master *);
void pairs_free(struct pairs *);
/* A worker was released: connects it with all of its peers that are. */
void pairs_connect(struct pairs *, const struct child *);
/* A worker tells that its channel to another has ended: if that is news, both
 * get another, in a while. 0 if the channel is not of these two as they live
 * now, -1 if they can have none. */
int pairs_lost(struct pairs *, const struct child *, const struct child *,
    uint32_t number);

/* The file's configuration takes the place of the one that holds. The asker, 0
 * for a signal, is answered once every worker serves under the new one, or that
 * all keep the old. counts: the answer tells of the aliases. */
void reload_begin(struct master *, uint64_t asker, int counts);
struct event *reload_timer_new(struct master *);
/* A worker validated a configuration. 0 if it is not that of a reload. */
int reload_agreed(struct child *, const struct msg_config_ready *);
/* A worker serves under another configuration than before. */
void reload_step(struct master *);
/* A worker is gone, or no longer heard. */
void reload_lost(struct child *);

/* Executes a worker with one end of a socket pair; the pid or -1. */
pid_t spawn_worker(
    const struct master *, enum process_kind, uint16_t instance, int *fd);
/* The same of the queue alone, for a task without master: its verb, and a
 * descriptor that it gets. */
pid_t spawn_queue(const struct master *, const char *verb, int fd);

/* -E and -I. The exit status. */
int port_run(const struct master *);

/* What workers may ask of master. */
extern channel_handler *const request_handlers[MSG_MAX];

/* Session ticket keys: sent to a new smtpd, rotated for all. */
struct tickets *tickets_new(struct master *);
void tickets_free(struct tickets *);
void tickets_send(const struct tickets *, struct channel *);

/* Local deliveries; hand_off_reaped says whether the pid was one. */
struct hand_off *hand_off_new(struct master *);
void hand_off_free(struct hand_off *);
void hand_off_deliver(
    struct hand_off *, const struct msg_local_delivery *, int fd);
int hand_off_reaped(struct hand_off *, pid_t, int status);

/* The drop folder: mail that waited for us is submitted by its owners. NULL
 * after logging; drop_reaped says whether the pid was one of its. */
struct drop *drop_new(struct master *);
void drop_free(struct drop *);
int drop_reaped(struct drop *, pid_t, int status);

#endif
