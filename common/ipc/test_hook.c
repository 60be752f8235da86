/*
 * See test_hook.h. Compiled to nothing without --enable-test-hooks.
 */
#include "ipc/test_hook.h"

#ifdef RELAIS_TEST_HOOKS
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/log.h"

#define VARIABLE "RELAIS_TEST_SYSCALL"

enum { SOMEBODY = 1 /* process of another; to ask for one is forbidden */ };

/* What any user may open. */
static void
try_open(void)
{
	static const struct {
		const char *path;
		int flags;
	} files[] = { { "/etc/passwd", O_RDONLY }, { "/dev/null", O_WRONLY },
		{ "/", O_RDONLY | O_DIRECTORY } };
	long fd;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
#ifdef SYS_open
		/* not openat: a sanitizer needs that for itself */
		fd = syscall(SYS_open, files[i].path, files[i].flags);
#else
		fd = syscall(
		    SYS_openat, AT_FDCWD, files[i].path, files[i].flags);
#endif
		log_error("open %s: %s", files[i].path,
		    fd == -1 ? strerror(errno) : "done");
	}
}

static void
try_connect(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(9) };
	int fd;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
	if (syscall(SYS_connect, fd, &sin, sizeof(sin)) == -1)
		log_error("connect to port 9: %s", strerror(errno));
	if (syscall(SYS_sendto, fd, "x", 1, MSG_FASTOPEN, &sin, sizeof(sin)) ==
	    -1)
		log_error("Fast Open to port 9: %s", strerror(errno));
}

static void
try_signal(void)
{
	syscall(SYS_tgkill, SOMEBODY, SOMEBODY, SIGCONT);
}

static void
try_owner(void)
{
	syscall(SYS_fcntl, STDERR_FILENO, F_SETOWN, SOMEBODY);
}

static void
try_unix(void)
{
	syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
}

/* The same by the call whose arguments no filter sees, where there is one. */
static void
try_socketcall(void)
{
#ifdef SYS_socketcall
	enum { MAKE = 1 };
	unsigned long args[] = { AF_UNIX, SOCK_STREAM, 0 };

	/* the third is what a filter would take for the protocol */
	syscall(SYS_socketcall, MAKE, args, 0);
#else
	try_unix();
#endif
}

/* Memory for code, by the call whose arguments no filter sees, too. */
static void
try_memory(void)
{
	enum { ROOM = 4096, RIGHTS = PROT_READ | PROT_WRITE | PROT_EXEC };
#if defined(SYS_mmap2) && defined(SYS_mmap)
	unsigned long args[] = { 0, ROOM, RIGHTS, MAP_PRIVATE | MAP_ANONYMOUS,
		(unsigned long)-1, 0 };

	syscall(SYS_mmap, args, 0, 0);
#else
	mmap(NULL, ROOM, RIGHTS, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
#endif
}

/* What is TCP by another name, to which Landlock's ports do not apply. */
static void
try_protocol(void)
{
	syscall(SYS_socket, AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
}

static void
try_execve(void)
{
	char path[] = "/bin/true", *argv[] = { path, NULL };

	syscall(SYS_execve, argv[0], argv, NULL);
}

static void
try_ptrace(void)
{
	syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0);
}

/* A child with a copy of the stack. */
static void
clone_with(unsigned long flags)
{
#ifdef __s390__
	syscall(SYS_clone, NULL, flags, NULL, NULL, NULL);
#else
	syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
#endif
}

static void
try_fork(void)
{
#ifdef SYS_fork
	syscall(SYS_fork);
#else
	clone_with(SIGCHLD);
#endif
}

/* What fork of the C library comes down to, and a thread too. */
static void
try_clone(void)
{
	clone_with(SIGCHLD);
}

/* What does the work of other system calls where no filter sees them. */
static void
try_uring(void)
{
	char parameters[128] = { 0 }; /* more than struct io_uring_params */

	syscall(SYS_io_uring_setup, 1, parameters);
}

/* In a user namespace of its own a process has all capabilities. */
static void
try_unshare(void)
{
	syscall(SYS_unshare, CLONE_NEWUSER);
}

static void
try_namespace(void)
{
	clone_with(CLONE_NEWUSER | SIGCHLD);
}

/* Not a system call that is forbidden: what a worker that was broken into
 * may say to its peers, but not to master, which has descriptor 3. */
static void
try_nonsense(void)
{
	char nonsense[64];
	struct iovec iov = { nonsense, sizeof(nonsense) };
	/* which no file takes: the spool is to stay whole */
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	memset(nonsense, 0xff, sizeof(nonsense));
	for (int fd = 4; fd < 64; fd++)
		if (sendmsg(fd, &msg, MSG_NOSIGNAL) == -1)
			continue;
}

static const struct {
	const char *name;
	void (*fn)(void);
} calls[] = {
	{ "open", try_open },
	{ "connect", try_connect },
	{ "signal", try_signal },
	{ "owner", try_owner },
	{ "unix", try_unix },
	{ "socketcall", try_socketcall },
	{ "memory", try_memory },
	{ "protocol", try_protocol },
	{ "execve", try_execve },
	{ "ptrace", try_ptrace },
	{ "fork", try_fork },
	{ "clone", try_clone },
	{ "uring", try_uring },
	{ "unshare", try_unshare },
	{ "namespace", try_namespace },
	{ "nonsense", try_nonsense },
};

static void
try_call(const char *call)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strcmp(call, calls[i].name) == 0)
			calls[i].fn();
	/* a test looks for this line and fails if it finds it */
	log_error("survived the forbidden system call %s", call);
}

/* What a process of this kind is to try, or NULL. */
static const char *
wanted(enum process_kind kind)
{
	const char *want = getenv(VARIABLE);
	const char *name = process_name(kind);
	size_t len = strlen(name);

	return want != NULL && strncmp(want, name, len) == 0 && want[len] == ':'
	    ? want + len + 1
	    : NULL;
}

void
test_hook_try(enum process_kind kind)
{
	const char *call = wanted(kind);

	if (call != NULL)
		try_call(call);
}

const char *
test_hook_variable(void)
{
	static char text[128];
	const char *value = getenv(VARIABLE);

	if (value == NULL)
		return NULL;
	snprintf(text, sizeof(text), "%s=%s", VARIABLE, value);
	return text;
}
#else
/* ISO C wants at least one declaration in a file. */
extern int relais_has_no_test_hooks;
#endif
