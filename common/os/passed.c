/*
 * See passed.h. Sockets that were passed are emptied before they are closed,
 * and those that lay in them, as deep as a kernel without SO_PASSRIGHTS lets
 * them lie.
 */
#include "config.h"

#include <sys/time.h>

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "os/passed.h"

enum {
	DEPTH_MAX = 5,
	EMPTY_MAX = 1024, /* packets without an octet, over a queue's length */
	WAKE_US = 10000
};

static void give_up(int fd, int depth);

static int
option(int sock, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(sock, SOL_SOCKET, name, &value, &len) == 0 ? value
								     : -1;
}

size_t
passed_take(struct msghdr *msg, int fds[PASSED_MAX])
{
	struct cmsghdr *c;
	size_t n = 0, len;

	for (c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		len = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		if (len > PASSED_MAX - n)
			len = PASSED_MAX - n;
		memcpy(fds + n, CMSG_DATA(c), len * sizeof(int));
		n += len;
	}
	return n;
}

static ssize_t
read_beside(int sock, void *to, size_t len, int depth)
{
	union passed_control control;
	struct iovec iov = { to, len };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf) };
	int fds[PASSED_MAX];
	size_t count;
	ssize_t n;

	n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n == -1)
		return -1;
	count = passed_take(&msg, fds);
	for (size_t i = 0; i < count; i++)
		give_up(fds[i], depth);
	return n;
}

/* Nothing comes after it was shut. An empty packet may come before others. */
static void
empty(int sock, int depth)
{
	const int type = option(sock, SO_TYPE);
	int left = type == SOCK_SEQPACKET || type == SOCK_DGRAM ? EMPTY_MAX : 0;
	char octets[4096];
	ssize_t n;

	shutdown(sock, SHUT_RDWR);
	do
		n = read_beside(sock, octets, sizeof(octets), depth);
	while (n > 0 || (n == 0 && left-- > 0));
}

static void
wake(int sig)
{
}

/* Whoever passed it may have it still, and make it linger again between two
 * calls of ours: a signal ends that wait. */
static void
close_soon(int fd)
{
	const struct sigaction waking = { .sa_handler = wake };
	const struct itimerval soon = { { 0, WAKE_US }, { 0, WAKE_US } };
	struct sigaction action;
	struct itimerval timer;

	sigaction(SIGALRM, &waking, &action);
	setitimer(ITIMER_REAL, &soon, &timer);
	close(fd);
	setitimer(ITIMER_REAL, &timer, NULL);
	sigaction(SIGALRM, &action, NULL);
}

static void
give_up(int fd, int depth)
{
	const struct linger none = { 0 };
	int waiting;

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	if (depth < DEPTH_MAX && option(fd, SO_DOMAIN) == AF_UNIX) {
		empty(fd, depth + 1);
		while ((waiting = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) != -1)
			give_up(waiting, depth + 1);
	}
	close_soon(fd);
}

void
passed_close(int fd)
{
	give_up(fd, 0);
}

void
passed_unsent(int fd)
{
	if (option(fd, SO_ACCEPTCONN) == 1)
		close(fd);
	else
		give_up(fd, 0);
}

ssize_t
passed_recv(int sock, void *to, size_t len)
{
	return read_beside(sock, to, len, 0);
}

void
passed_end(int sock)
{
	empty(sock, 0);
	close(sock);
}

void
passed_refuse(int sock)
{
	const int off = 0;

	setsockopt(sock, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof(off));
}
