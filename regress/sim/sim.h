/*
 * The simulation: clock, processes, sockets, disk, DNS, the world around, and
 * what must hold, as its files share them. One seed is one run; the whole of
 * a run follows from its dice.
 *
 *	clock.c		what happens when; the dice
 *	process.c	processes as coroutines, and their end
 *	socket.c	sockets and descriptors
 *	calls.c		the system calls of the workers (calls.map)
 *	event.c		libevent's part that the workers use
 *	disk.c		a log on a disk that forgets
 *	store.c		queue/store.h over that disk
 *	master.c	starts the workers, delivers to local users
 *	resolver.c	answers for libunbound
 *	zone.c		the DNS of the world
 *	host.c		servers of the world
 *	sender.c	its clients
 *	scene.c		what a seed makes of all that: configuration, faults
 *	check.c, judge.c   what must hold
 *	probe.c, plant.c   linked into the workers: what they say, planted bugs
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <sys/queue.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#include "ipc/messages.h"

struct event_base;
struct mail;
struct process;

enum {
	SECOND = 1000,
	MINUTE = 60 * SECOND,
	HOUR = 60 * MINUTE,
	DAY = 24 * HOUR,
	SIM_SMTPDS = 2,
	SIM_DELIVERS = 2,
	SIM_FDS = 512
};

/* Bugs for the tests of the tests, one at a time. */
enum plant {
	PLANT_NONE,
	PLANT_LOST_REMOVAL,
	PLANT_EARLY_ACK,
	PLANT_DOUBLE_START,
	PLANT_FORGOTTEN,
	PLANT_WRONG_MX,
	PLANT_MAX
};

struct sim {
	uint64_t seed;
	int verbose;
	enum plant plant;
	int64_t now; /* milliseconds */
	int64_t wall; /* seconds since 1970 when now was 0; may jump */
	int64_t end;
	int64_t busy_at; /* when last anything was said or written */
	int calm; /* no more faults: what is broken heals */
	unsigned connections; /* over the simulated network, open */
	unsigned questions; /* to the DNS, open */
	/* figures */
	uint64_t happenings;
	uint64_t deaths;
	uint64_t power_cuts;
	uint64_t digest; /* of all that happened: equal for equal seeds */
};
extern struct sim sim;

/* ---- clock.c ---------------------------------------------------------- */

struct happening {
	int64_t at;
	uint64_t order;
	size_t place; /* in its heap, from 1; 0: not planned */
	int tick; /* a clock of some process that may well be late */
	void (*fn)(void *);
	void *arg;
};

/* In `delay` milliseconds; moves one that is planned already. */
void clock_plan(struct happening *, int64_t delay);
void clock_cancel(struct happening *);
/* The same for one that is made for it and freed after it. */
void clock_after(int64_t delay, void (*fn)(void *), void *arg);
/* Makes the next thing happen; 0 when there is none before `until`. */
int clock_step(int64_t until);

void dice_seed(uint64_t seed);
uint64_t dice(void);
/* 0 to n - 1. */
uint32_t dice_under(uint32_t n);
/* Whether one of n times. */
int dice_one_in(uint32_t n);
int64_t dice_between(int64_t low, int64_t high);

/* Something worth a line with -v, and a part of the digest. */
void say(const char *, ...) __attribute__((format(printf, 1, 2)));
/* The run has shown a bug. */
void fail(const char *, ...) __attribute__((format(printf, 1, 2), noreturn));

/* ---- process.c -------------------------------------------------------- */

struct process {
	ucontext_t context; /* to begin with ... */
	jmp_buf inside; /* ... and to go on with */
	int begun;
	void *stack;
	enum process_kind kind;
	uint16_t instance;
	int (*main)(int, char **);
	int dead;
	int settled; /* its end has been told */
	int crash_in; /* dies at the so manieth point from here; 0: not */
	struct object *fds[SIM_FDS];
	struct event_base *base;
	struct happening wake;
	char name[24];
};

typedef int process_main(int, char **);
extern process_main sim_smtpd0_main, sim_smtpd1_main, sim_queue_main,
    sim_deliver0_main, sim_deliver1_main, sim_auth_main, sim_resolver_main,
    sim_master_main;

/* A process whose descriptor 3 is `channel` (taken over), or none. */
struct process *process_start(enum process_kind, uint16_t instance,
    process_main *, struct object *channel);
struct process *process_current(void);
/* The live process of that name, NULL if there is none. */
struct process *process_find(enum process_kind, uint16_t instance);
void process_wake(struct process *);
/* Gives way until somebody wakes the current process. */
void process_sleep(void);
/* kill -9. Does not return when it is the current one. */
void process_kill(struct process *);
/* Ends the current process as exit does. */
void process_exit(int status) __attribute__((noreturn));
/* A point where a process may be killed: between any two things that others
 * can see. */
void process_point(void);
/* Arms that: it dies at the nth point from now. */
void process_crash_in(struct process *, int points);
void process_kill_all(void);

/* ---- socket.c --------------------------------------------------------- */

enum object_kind { OBJECT_SOCKET, OBJECT_LISTENER, OBJECT_FILE, OBJECT_FOLDER };

struct piece {
	TAILQ_ENTRY(piece) entry;
	struct happening arrival;
	struct object *to;
	struct object *passed;
	int fin;
	int reset;
	size_t at;
	size_t len;
	uint8_t data[];
};
TAILQ_HEAD(piece_list, piece);

/* The end of a connection that no process has but the world. */
struct actor {
	void (*data)(void *arg, const char *, size_t);
	void (*end)(void *arg);
};

struct tap;

struct object {
	enum object_kind kind;
	unsigned refs;
	TAILQ_ENTRY(object) backlog_entry;
	TAILQ_HEAD(, object) backlog; /* of a listener */
	/* of a socket */
	struct object *peer;
	struct process *owner;
	const struct actor *actor;
	void *actor_arg;
	struct piece_list inbox;
	size_t unread; /* octets sent to it and not taken */
	int64_t last_arrival;
	int inet;
	unsigned counted; /* in sim.connections */
	int connecting;
	int error;
	int break_in; /* at the so manieth call from here; 0: not */
	int eof;
	int shut;
	struct sockaddr_storage remote;
	struct tap *tap; /* hears what is sent to it */
	/* of a file */
	uint8_t *octets;
	size_t size;
};

void socket_pair(struct object *pair[2]);
struct object *socket_listener(void);
/* A connection from the world to a listener; waits there until it is taken. */
struct object *socket_call(struct object *listener,
    const struct sockaddr_storage *from, const struct actor *, void *arg);
/* Of the world's end. */
void socket_say(struct object *, const void *, size_t);
/* Says goodbye, or with reset destroys what is on its way. */
void socket_hang_up(struct object *, int reset);
struct object *file_new(const void *, size_t);
void object_release(struct object *);
int object_readable(const struct object *);
int object_writable(const struct object *);
/* A new descriptor of the current process. */
int object_install(struct process *, struct object *);
struct object *object_of(int fd);

/* ---- disk.c ----------------------------------------------------------- */

/* Appends; durable only after disk_sync. */
void disk_append(const void *, size_t);
void disk_sync(void);
const uint8_t *disk_octets(size_t *len);
void disk_truncate(size_t len);
/* Power is cut: of what was not synced any part is there, perhaps torn. */
void disk_power_cut(void);
uint64_t disk_free(void);
void disk_set_free(uint64_t);

/* ---- zone.c, host.c --------------------------------------------------- */

enum domain_kind {
	DOMAIN_MX, /* hosts with preferences */
	DOMAIN_PLAIN, /* an address, no MX */
	DOMAIN_NULL_MX,
	DOMAIN_MISSING, /* NXDOMAIN */
	DOMAIN_OURS, /* delivered here */
	DOMAIN_BACKUP /* we are one of its MX */
};

enum host_mood {
	MOOD_GOOD,
	MOOD_DOWN, /* refuses connections */
	MOOD_DEAF, /* takes them and says nothing */
	MOOD_LOST, /* packets vanish */
	MOOD_BUSY, /* 421 */
	MOOD_GREY, /* 450 to everybody */
	MOOD_FULL, /* 452 to the message */
	MOOD_SLOW,
	MOOD_DROP, /* hangs up somewhere */
	MOOD_LIAR, /* says what no server says */
	MOODS
};

enum { HOSTS_MAX = 48, DOMAINS_MAX = 24, DOMAIN_HOSTS = 6 };

enum host_option { HOST_PIPELINING = 1, HOST_DSN = 2, HOST_CHUNKING = 4 };

struct host {
	char name[96];
	struct domain *domain;
	uint16_t preference;
	uint8_t address[4];
	int is_us;
	int dns_broken;
	enum host_mood mood;
	unsigned options; /* enum host_option */
	/* by deliver instance: its sessions that it may give up, when it was
	 * last disappointed, and whether it asked for the host */
	int waiting[SIM_DELIVERS];
	int64_t failed_at[SIM_DELIVERS];
	int answered[SIM_DELIVERS];
};

struct domain {
	char name[32];
	enum domain_kind kind;
	int dns_broken;
	size_t nhosts;
	struct host *hosts[DOMAIN_HOSTS];
};

struct world {
	size_t ndomains;
	struct domain domains[DOMAINS_MAX];
	size_t nhosts;
	struct host hosts[HOSTS_MAX];
	int dns_down;
	char *conf_text;
	struct conf *conf;
	struct object *listener;
	struct object *control;
	int drops; /* a backup drops what is refused */
	int64_t lifetime; /* of mail, the longest; milliseconds */
};
extern struct world world;

struct domain *zone_find(const char *name);
/* Whoever asked waits no longer; -1 stands for others than deliver. */
void zone_given_up(uint16_t type, const char *name, int instance_of_deliver);
/* The resolver is gone, with all that it was asked. */
void zone_death(void);
/* Or only its channel to a deliver. */
void zone_cut(uint16_t instance_of_deliver);
/* Fills an answer; records go to buf. */
void zone_answer(uint16_t type, const char *name, int instance_of_deliver,
    struct msg_dns_answer *, struct ipc_buf *);

/* A worker connects: the world's end, or NULL with the error in *error
 * (0: there will be no answer at all). */
void host_connect(struct process *, struct object *, const uint8_t address[4]);

/* ---- sender.c --------------------------------------------------------- */

/* Somebody sends a session of mail. */
void sender_start(void *unused);
/* The octets of a mail from its X-Sim field on; to be freed. */
size_t sender_text(const struct mail *, char **);
void operator_start(void *unused);

/* ---- scene.c ---------------------------------------------------------- */

void scene_make(void);
void scene_run(void);
/* Is there such a local account? */
int scene_account(const char *name);

/* ---- check.c ---------------------------------------------------------- */

enum { MAIL_RCPTS = 12 };

struct mail_rcpt {
	char address[128]; /* of a mailbox here: that of its user */
	char via[128]; /* as the queue has it */
	int accepted; /* 250 to RCPT */
	int count; /* recipients of that address there may be */
	int effects; /* how often it was delivered */
	int unrecorded; /* of them not known to the disk */
	int doubts; /* deliveries whose reply is on its way */
	int licences; /* deliveries too many that the design allows */
	int reported; /* failure reports */
	int failed; /* the queue said failed or expired */
	int expanded;
	int removed; /* by the operator */
	int stored;
	int undone;
	int in_flight; /* transactions under way */
	uint64_t flight; /* the id of one */
	int flight_by; /* the deliver that has it, or BY_MASTER */
};

struct mail {
	struct mail *next; /* by message id */
	uint32_t token; /* 0: a report of the queue's own */
	uint32_t msgid;
	char sender[128];
	int trusted;
	int acknowledged; /* the client has its 250 */
	int stored;
	int gone;
	int removing; /* the operator asked for it */
	size_t size;
	uint32_t nrcpts;
	struct mail_rcpt rcpts[MAIL_RCPTS + 32];
	/* by the index of the queue */
	uint32_t nstored;
	struct mail_rcpt *stored_rcpts[64];
};

struct mail *check_new_mail(const char *sender, int trusted, size_t size);
/* NULL when it has no such recipient. */
struct mail_rcpt *check_rcpt(struct mail *, const char *address);
struct mail_rcpt *check_add_rcpt(struct mail *, const char *address);
struct mail *check_any_queued(void);
struct mail *check_token(uint32_t token);
struct mail *check_msgid(uint32_t msgid);
/* The mail that a message's octets are, NULL if it is none of ours. */
struct mail *check_identify(const uint8_t *, size_t);
/* A client heard 250 to RCPT, and to the message. */
void check_rcpt_accepted(struct mail *, const char *address);
void check_acknowledged(struct mail *);
/* Somebody has the message now; whole says whether it is as it was sent. */
void check_delivered(const uint8_t *, size_t, const char *address, int remote);
/* Whether the server's word about it was heard is known now. */
void check_doubt(const uint8_t *, size_t, const char *address, int heard);
/* A process that has or makes records is gone. */
void check_death(struct process *);
/* The channel between two processes is. */
void check_cut(const struct process *, const struct process *);
void check_connect(struct process *, struct host *);
/* A message between processes has left. */
void check_message(enum process_kind from, enum process_kind to,
    uint16_t instance, enum msg_type, const union ipc_msg *);
/* At the end, and now and then. */
void check_schedule(void);
void check_end(void);

/* ---- what the queue's own files tell (store.c, probe.c) --------------- */

/* Recipients of a stored message. */
struct stored_rcpt {
	const char *address;
	const char *user; /* whose mailbox it is, "" if it is none */
	int done;
	int held;
	int expanded;
	int owed; /* a report */
	int parent; /* -1: as accepted */
};
void judge_put(uint32_t msgid, const char *sender, int report,
    const struct stored_rcpt *, size_t, const uint8_t *body, size_t len);
void judge_remove(uint32_t msgid);
/* The store is open again: it holds these, and no others. */
void judge_recovered(const uint32_t *msgids, size_t count);
void judge_word(uint32_t msgid, uint32_t index, const char *event);

struct queue_hooks {
	/* whether the schedule knows it */
	int (*scheduled)(uint32_t msgid, uint32_t rcpt);
	/* calls fn for each message that is stored */
	void (*each)(void (*fn)(
	    uint32_t msgid, const struct stored_rcpt *, size_t count));
};
extern struct queue_hooks queue_hooks;

#endif
