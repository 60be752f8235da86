/*
 * See worker_fixture.h. A stage does to a worker what master does, and in the
 * same order.
 */
#include "config.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/codec.h"
#include "worker_fixture.h"

enum { MASTER_CHANNEL = 3 };

/* ---- what the worker says --------------------------------------------- */

static void
on_config_ready(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct stage *st = arg;

	assert_int_equal(m->config_ready.generation, st->generation);
	snprintf(st->error, sizeof(st->error), "%s", m->config_ready.error);
	stage_got(st, MSG_config_ready);
}

static void
on_worker_ready(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct stage *st = arg;

	assert_int_equal(m->worker_ready.generation, st->generation);
	stage_got(st, MSG_worker_ready);
}

static void
on_log_line(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct stage *st = arg;

	if (getenv("VERBOSE") != NULL)
		fprintf(stderr, "%s\n", m->log_line.line);
	if (st->log_line != NULL)
		st->log_line(m->log_line.line);
}

static void
on_peer_lost(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct stage *st = arg;

	/* that channel, or one before it */
	assert_in_range(m->peer_lost.pair, 1, st->pairs);
	st->lost = m->peer_lost.kind;
	st->broken = m->peer_lost.broken;
	stage_got(st, MSG_peer_lost);
}

static void
on_closed(void *arg, struct channel *ch, const char *reason)
{
	struct stage *st = arg;

	if (ch == st->master) {
		st->master = NULL;
		loop_stop(st->loop);
	}
	for (int kind = 0; kind < PROC_MAX; kind++)
		if (st->peer[kind] == ch)
			st->peer[kind] = NULL;
	channel_free(ch);
	stage_got(st, MSG_NONE);
}

static channel_handler *const handlers[MSG_MAX] = {
	[MSG_config_ready] = on_config_ready,
	[MSG_worker_ready] = on_worker_ready,
	[MSG_log_line] = on_log_line,
	[MSG_peer_lost] = on_peer_lost,
};
static const struct channel_ops ops = { handlers, on_closed, NULL };

/* ---- waiting ---------------------------------------------------------- */

void
stage_got(struct stage *st, enum msg_type type)
{
	if (st->wanted != type)
		return;
	st->heard = 1;
	loop_stop(st->loop);
}

/* A loop that was stopped for another reason is no answer. */
void
stage_await(struct stage *st, enum msg_type type)
{
	st->wanted = type;
	st->heard = 0;
	alarm(st->patience);
	while (!st->heard && st->master != NULL)
		assert_int_equal(loop_run(st->loop), 0);
	alarm(0);
	if (st->master == NULL && type != MSG_NONE)
		fail_msg("the worker has died");
}

/* ---- channels --------------------------------------------------------- */

static struct channel *
open_channel(struct stage *st, enum process_kind self, int fd)
{
	struct channel *ch =
	    channel_new(st->loop, fd, self, st->kind, 0, &ops, st);

	assert_non_null(ch);
	channel_add_handlers(ch, st->handlers, st->ctx);
	return ch;
}

void
stage_drop_peer(struct stage *st, enum process_kind kind)
{
	channel_free(st->peer[kind]);
	st->peer[kind] = NULL;
}

void
stage_add_peer(struct stage *st, enum process_kind kind)
{
	struct msg_peer peer = { .kind = (uint8_t)kind, .pair = ++st->pairs };
	int fds[2];

	stage_drop_peer(st, kind);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(ipc_send_fd(st->master, peer, &peer, fds[1]), 0);
	st->peer[kind] = open_channel(st, kind, fds[0]);
}

/* ---- the configuration ------------------------------------------------ */

void
stage_begin(struct stage *st, const struct conf *conf)
{
	struct msg_config_begin begin = { .generation = ++st->generation };
	struct msg_config_chunk chunk;
	uint8_t *slice;
	size_t len;

	assert_int_equal(conf_slice(conf, st->kind, &slice, &len), 0);
	begin.total = (uint32_t)len;
	chunk.data = ipc_blob(slice, len);
	assert_int_equal(ipc_send(st->master, config_begin, &begin), 0);
	assert_int_equal(ipc_send(st->master, config_chunk, &chunk), 0);
	free(slice);
}

void
stage_end(struct stage *st)
{
	struct msg_config_end end = { .generation = st->generation };

	assert_int_equal(ipc_send(st->master, config_end, &end), 0);
	stage_await(st, MSG_config_ready);
}

void
stage_configure(struct stage *st, const struct conf *conf)
{
	stage_begin(st, conf);
	stage_end(st);
}

void
stage_swap(struct stage *st)
{
	struct msg_config_swap swap = { .generation = st->generation };

	assert_int_equal(ipc_send(st->master, config_swap, &swap), 0);
	stage_await(st, MSG_worker_ready);
}

/* ---- the worker's life ------------------------------------------------ */

void
stage_start(struct stage *st, const char *program, const char *const argv[])
{
	struct rlimit files = { st->files, st->files };
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	if ((st->pid = fork()) == 0) {
		dup2(fds[1], MASTER_CHANNEL);
		closefrom(MASTER_CHANNEL + 1);
		if (st->files != 0)
			setrlimit(RLIMIT_NOFILE, &files);
		/* looking for leaks takes ptrace, for which the sandbox
		 * kills */
		setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
		execv(program, (char *const *)argv);
		_exit(127);
	}
	assert_int_not_equal(st->pid, -1);
	close(fds[1]);
	st->generation = st->pairs = 0;
	st->broken = 0;
	st->master = open_channel(st, PROC_MASTER, fds[0]);
}

int
stage_close(struct stage *st)
{
	int status = 0;

	if (st->pid == 0)
		return 0;
	for (int kind = 0; kind < PROC_MAX; kind++)
		stage_drop_peer(st, (enum process_kind)kind);
	channel_free(st->master);
	st->master = NULL;
	alarm(st->patience);
	assert_int_equal(waitpid(st->pid, &status, 0), st->pid);
	alarm(0);
	st->pid = 0;
	return status;
}

void
stage_stop(struct stage *st)
{
	struct msg_worker_stop stop = { 0 };
	int status;

	ipc_send(st->master, worker_stop, &stop);
	while (st->master != NULL)
		stage_await(st, MSG_NONE);
	status = stage_close(st);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("the worker ended with %#x", status);
}
