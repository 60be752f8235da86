/*
 * Executing a worker: a socket pair on descriptor 3, nothing else open, an
 * empty environment, and arguments that tell it whom to become. Called by
 * supervise.c; by port.c for a task of the queue that needs no daemon, which
 * has a file there instead.
 */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/master.h"
#include "os/log.h"

enum { ARGS_MAX = 20, CHANNEL_FD = 3, BUFFER_SIZE = 1 << 20 };

/* The letter behind the prefix of each worker's user. */
static const char *const user_suffix[PROC_MAX] = {
	[PROC_SMTPD] = "",
	[PROC_QUEUE] = "q",
	[PROC_DELIVER] = "d",
	[PROC_AUTH] = "a",
	[PROC_KEYS] = "k",
	[PROC_RESOLVER] = "r",
};

/* Only what a test or a sanitizer may need is handed on. */
static char **
worker_environment(void)
{
	static const char *const names[] = {
#ifdef RELAIS_TEST_HOOKS
		"RELAIS_TEST_SYSCALL", "RELAIS_TEST_ROOT",
#endif
#ifdef RELAIS_SANITIZE
		"ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS",
#endif
		NULL
	};
	static char *env[sizeof(names) / sizeof(names[0]) + 1];
	const char *value;
	size_t n = 0;

	for (size_t i = 0; names[i] != NULL; i++)
		if ((value = getenv(names[i])) != NULL &&
		    asprintf(&env[n], "%s=%s", names[i], value) != -1)
			n++;
	env[n] = NULL;
	return env;
}

/* What a program is told; argv leads into the rest. */
struct arguments {
	char path[4096];
	char user[64];
	char folder[4096];
	char number[8];
	char trace[16];
	char begun[24];
	const char *argv[ARGS_MAX + 1];
	size_t n;
};

static void
add(struct arguments *a, const char *word)
{
	if (a->n < ARGS_MAX)
		a->argv[a->n++] = word;
}

static void
add_program(struct arguments *a, const struct master *m, enum process_kind kind)
{
	snprintf(a->path, sizeof(a->path), "%s/%s", m->conf->paths.libexec,
	    process_name(kind));
	add(a, a->path);
}

/* Whom to become, and where it is shut in. */
static void
add_place(struct arguments *a, const struct master *m, enum process_kind kind)
{
	snprintf(a->user, sizeof(a->user), "%s%s", m->conf->paths.user_prefix,
	    user_suffix[kind]);
	snprintf(
	    a->folder, sizeof(a->folder), "%s/queue", m->conf->paths.spool);
	for (int i = 0; i < m->options.verbose && i < 2; i++)
		add(a, "-v");
	if (m->privileged) {
		add(a, "-u");
		add(a, a->user);
		add(a, "-c");
		add(a, kind == PROC_QUEUE ? a->folder : m->conf->paths.chroot);
	}
	if (kind == PROC_QUEUE) {
		add(a, "-w");
		add(a, m->privileged ? "/" : a->folder);
	}
}

static void __attribute__((noreturn))
exec_program(const struct arguments *a, int fd)
{
	/* dup2 to itself would keep close-on-exec */
	if (fd == CHANNEL_FD)
		fcntl(fd, F_SETFD, 0);
	else if (dup2(fd, CHANNEL_FD) == -1)
		_exit(127);
	/* what is open stays so for the log, should there be no such program */
	if (close_range(CHANNEL_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC) == -1)
		closefrom(CHANNEL_FD + 1);
	execve(a->path, (char *const *)a->argv, worker_environment());
	log_error("%s: %s: is `set libexec` right?", a->path, strerror(errno));
	_exit(127);
}

static void
exec_worker(
    const struct master *m, enum process_kind kind, uint16_t instance, int fd)
{
	struct arguments a = { .n = 0 };

	snprintf(a.number, sizeof(a.number), "%u", instance);
	snprintf(a.trace, sizeof(a.trace), "%#x", m->options.trace);
	snprintf(a.begun, sizeof(a.begun), "%lld", (long long)m->begun);
	add_program(&a, m, kind);
	add(&a, "-i");
	add(&a, a.number);
	add(&a, "-T");
	add(&a, a.trace);
	add(&a, "-b");
	add(&a, a.begun);
	if (m->options.foreground)
		add(&a, m->to_journal ? "-j" : "-d");
	add_place(&a, m, kind);
	exec_program(&a, fd);
}

pid_t
spawn_queue(const struct master *m, const char *verb, int fd)
{
	struct arguments a = { .n = 0 };
	pid_t pid;

	if ((pid = fork()) == -1)
		log_error("fork: %s", strerror(errno));
	if (pid != 0)
		return pid;
	add_program(&a, m, PROC_QUEUE);
	add(&a, verb);
	add_place(&a, m, PROC_QUEUE);
	exec_program(&a, fd);
}

pid_t
spawn_worker(
    const struct master *m, enum process_kind kind, uint16_t instance, int *fd)
{
	int sv[2], size = BUFFER_SIZE;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1) {
		log_error("socketpair: %s", strerror(errno));
		return -1;
	}
	for (int i = 0; i < 2; i++)
		setsockopt(sv[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if ((pid = fork()) == -1) {
		log_error("fork: %s", strerror(errno));
		close(sv[0]);
		close(sv[1]);
		return -1;
	}
	if (pid == 0)
		exec_worker(m, kind, instance, sv[1]);
	close(sv[1]);
	*fd = sv[0];
	return pid;
}
