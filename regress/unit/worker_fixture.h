/*
 * A worker as a process, in its sandbox, on a stage: the test is its master
 * and the peers it talks to, each of them a channel. For the tests of auth,
 * smtpd, queue, deliver and keys as they are installed. What goes wrong on the
 * stage itself fails the test.
 */
#ifndef REGRESS_WORKER_FIXTURE_H
#define REGRESS_WORKER_FIXTURE_H

#include <sys/types.h>

#include "conf/conf.h"
#include "ipc/channel.h"
#include "net/loop.h"

/* A text in a struct conf, where none is constant. */
#define S(text)      \
	(char[])     \
	{            \
		text \
	}

struct stage {
	/* set by the test, which makes and frees the loop */
	struct loop *loop;
	enum process_kind kind; /* of the worker */
	unsigned int patience; /* seconds until one thing has come */
	/* of what master and the peers are told, but for config_ready,
	 * worker_ready, peer_lost and log_line, which the stage handles */
	channel_handler *const *handlers;
	void *ctx;
	void (*log_line)(const char *line); /* sees each; may be NULL */
	unsigned files; /* RLIMIT_NOFILE of the worker; 0: as it is here */

	pid_t pid; /* 0: there is none */
	struct channel *master; /* NULL once the worker is gone */
	struct channel *peer[PROC_MAX]; /* NULL where there is none */
	uint32_t pairs; /* channels that were made to peers */
	enum process_kind lost; /* whose channel the last peer_lost told of */
	uint8_t broken; /* what it said of the channel that it lost last */
	uint32_t generation; /* of the newest configuration */
	char error[1025]; /* the worker's word on it; "" if it is good */
	enum msg_type wanted;
	int heard;
};

/* Starts the program, whose path is relative to the build folder. */
void stage_start(struct stage *, const char *program, const char *const argv[]);
/* Sends a configuration and waits for the word on it, which is in `error`. A
 * test that has files to send with it does so between begin and end. */
void stage_configure(struct stage *, const struct conf *);
void stage_begin(struct stage *, const struct conf *);
void stage_end(struct stage *);
/* Has the newest configuration hold, and waits until it does. */
void stage_swap(struct stage *);

/* A channel from a peer of that kind, in place of an earlier one. */
void stage_add_peer(struct stage *, enum process_kind);
void stage_drop_peer(struct stage *, enum process_kind);

/* Runs the loop until a handler has got a message of that type. MSG_NONE is
 * for the end of a channel; who waits for another fails when it is the
 * worker's. */
void stage_await(struct stage *, enum msg_type);
/* For a handler: this is what it got. */
void stage_got(struct stage *, enum msg_type);

/* Sends a message as that peer and awaits the answer:
 *	stage_ask(stage, PROC_SMTPD, rcpt_check, &m, rcpt_verdict); */
#define stage_ask(st, kind, name, m, answer)                                \
	do {                                                                \
		assert_int_equal(ipc_send((st)->peer[kind], name, (m)), 0); \
		stage_await((st), MSG_##answer);                            \
	} while (0)

/* Tells the worker to stop, which it must do in order. */
void stage_stop(struct stage *);
/* Leaves it alone, which ends it too, and returns what waitpid says; 0 when
 * there is none. */
int stage_close(struct stage *);

#endif
