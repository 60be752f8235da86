/*
 * The life of a worker, the same for all: started by master with a channel on
 * descriptor 3, it receives its configuration slice, prepares, receives its
 * sockets and peers, shuts itself into its sandbox, and serves until master
 * says stop or goes away. A later configuration is checked first and swapped
 * in only when every worker has agreed.
 *
 * A worker's main() fills a struct worker_ops and calls worker_main.
 */
#ifndef IPC_WORKER_H
#define IPC_WORKER_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/channel.h"
#include "os/sandbox.h"

struct worker;
struct loop;

enum { WORKERS_MAX = 256 }; /* of one kind */

/* A file of the configuration, open for reading; the worker closes it. */
struct worker_file {
	const char *kind;
	const char *name;
	int fd;
};

struct worker_ops {
	enum process_kind kind;
	/* MSG_MAX handlers for what peers and master send beyond the life of
	 * the worker; they get ctx. */
	channel_handler *const *handlers;
	/* system calls beyond the base of every worker */
	const int *syscalls;
	size_t syscall_count;
	int threads; /* of its own */
	enum sandbox_net net;
	const uint16_t *ports; /* see struct sandbox; looked at after
				* before_sandbox */

	/*
	 * A configuration has arrived: decode and check it, and keep it aside
	 * as the next one. The descriptors of files belong to the callee.
	 * -1 refuses it, the reason in error.
	 */
	int (*configure)(void *ctx, struct worker *, const uint8_t *slice,
	    size_t len, const struct worker_file *files, size_t file_count,
	    char *error, size_t size);
	/* Once, with the first configuration, while files can still be
	 * opened and (as root) privileges are held. May be NULL. */
	int (*before_sandbox)(void *ctx, char *error, size_t size);
	/* Once, inside the sandbox: begin. -1 ends the process. May be NULL.*/
	int (*start)(void *ctx, char *error, size_t size);
	/* From now on the configuration kept aside holds. Called for the
	 * first one too, before start. */
	void (*swap)(void *ctx);
	/* A channel to a peer is up (again), or gone: what it was asked will
	 * not be answered, and nothing can be sent on it; it is freed when
	 * peer_down returns. May be NULL. */
	void (*peer_up)(void *ctx, struct channel *);
	void (*peer_down)(void *ctx, struct channel *);
	/* A peer's channel is no longer congested. May be NULL. */
	void (*peer_writable)(void *ctx, struct channel *);
	/* Finish what must be finished and call worker_exit. NULL: at once. */
	void (*stop)(void *ctx);
};

/*
 * Does not return before the process ends; the value is main's. Arguments
 * (given by master, not for people): -i instance, -d (log to standard error),
 * -v, -T mask, -u user, -c chroot, -w folder that stays usable.
 */
int worker_main(int argc, char **argv, const struct worker_ops *, void *ctx);

struct loop *worker_loop(struct worker *);
uint16_t worker_instance(const struct worker *);
/* Of the configuration that holds. Workers swap one after the other, so an
 * answer may come out of another configuration than the question did. */
uint32_t worker_generation(const struct worker *);
struct channel *worker_master(struct worker *);
/* The channel to a peer, NULL while there is none. */
struct channel *worker_peer(struct worker *, enum process_kind, uint16_t);
/* How many instances of a peer are connected or will be: instances are
 * numbered from 0. */
uint16_t worker_peer_count(struct worker *, enum process_kind);
/* The folder that stays usable (-w), as named inside the sandbox, or NULL. */
const char *worker_folder(const struct worker *);
/* When master has begun, in ms of the monotonic clock. */
int64_t worker_begun(const struct worker *);
/* The first of the descriptors that are kept back for what master and peers
 * send (see os/reserve.h): whoever else would need it is turned away. Known
 * once the worker serves. */
int worker_reserve(const struct worker *);
/* Ends the loop: worker_main returns status. */
void worker_exit(struct worker *, int status);

#endif
