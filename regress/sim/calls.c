/*
 * The system calls that the workers make, by the names that calls.map gives
 * them, over simulated sockets, files and time. Only what workers really do
 * is here; a call that they should not make is no name of calls.map and would
 * reach the kernel.
 */
#include "config.h"

#include <sys/statvfs.h>
#include <sys/types.h>

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "calls.h"
#include "tap.h"

/* ---- descriptors ------------------------------------------------------ */

int
sim_close(int fd)
{
	struct object *o = object_of(fd);

	if (o == NULL) {
		errno = EBADF;
		return -1;
	}
	process_current()->fds[fd] = NULL;
	object_release(o);
	return 0;
}

int
sim_fcntl(int fd, int command, ...)
{
	return object_of(fd) != NULL ? 0 : -1;
}

ssize_t
sim_recv(int fd, void *data, size_t len, int flags)
{
	struct object *o = object_of(fd);

	if (o == NULL || o->kind != OBJECT_SOCKET) {
		errno = EBADF;
		return -1;
	}
	return socket_take(o, data, len, flags & MSG_PEEK, NULL);
}

ssize_t
sim_send(int fd, const void *data, size_t len, int flags)
{
	struct object *o = object_of(fd);

	process_point();
	if (o == NULL) {
		errno = EBADF;
		return -1;
	}
	return socket_send(o, data, len, NULL);
}

ssize_t
sim_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct object *o = object_of(fd), *passed = NULL;
	const struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	const struct iovec *v = msg->msg_iov;
	int given;

	process_point();
	if (o == NULL) {
		errno = EBADF;
		return -1;
	}
	if (c != NULL) {
		memcpy(&given, CMSG_DATA(c), sizeof(given));
		passed = object_of(given);
	}
	socket_point(o);
	return socket_send(o, v->iov_base, v->iov_len, passed);
}

ssize_t
sim_recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct object *o = object_of(fd), *passed = NULL;
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	ssize_t n;
	int given;

	msg->msg_flags = 0;
	msg->msg_controllen = 0;
	socket_point(o);
	n = socket_take(
	    o, msg->msg_iov->iov_base, msg->msg_iov->iov_len, 0, &passed);
	if (passed == NULL)
		return n;
	given = object_install(process_current(), passed);
	msg->msg_controllen = CMSG_SPACE(sizeof(int));
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &given, sizeof(given));
	return n;
}

int
sim_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	struct object *l = object_of(fd), *o;

	if (l == NULL || (o = TAILQ_FIRST(&l->backlog)) == NULL) {
		errno = EAGAIN;
		return -1;
	}
	TAILQ_REMOVE(&l->backlog, o, backlog_entry);
	if (address != NULL) {
		if (!o->inet)
			((struct sockaddr_storage *)&o->remote)->ss_family =
			    AF_UNIX;
		memcpy(address, &o->remote,
		    *len < sizeof(o->remote) ? *len : sizeof(o->remote));
	}
	return object_install(process_current(), o);
}

int
sim_shutdown(int fd, int how)
{
	struct object *o = object_of(fd);

	if (o != NULL)
		socket_shut(o);
	if (o != NULL && how == SHUT_RDWR)
		o->eof = 1;
	return 0;
}

int
sim_socketpair(int domain, int type, int protocol, int out[2])
{
	struct object *pair[2];

	socket_pair(pair);
	out[0] = object_install(process_current(), pair[0]);
	out[1] = object_install(process_current(), pair[1]);
	return 0;
}

int
sim_dup(int fd)
{
	struct object *o = object_of(fd);

	o->refs++;
	return object_install(process_current(), o);
}

/* ---- connections ------------------------------------------------------ */

int
sim_socket(int domain, int type, int protocol)
{
	struct object *pair[2];

	if (domain != AF_INET) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	socket_pair(pair);
	pair[0]->inet = pair[1]->inet = 1;
	pair[0]->connecting = 1;
	pair[0]->counted = 1;
	sim.connections++;
	return object_install(process_current(), pair[0]);
}

int
sim_connect(int fd, const struct sockaddr *to, socklen_t len)
{
	const struct sockaddr_in *sin = (const void *)to;
	uint8_t address[4];

	process_point();
	memcpy(address, &sin->sin_addr, sizeof(address));
	host_connect(process_current(), object_of(fd), address);
	errno = EINPROGRESS;
	return -1;
}

int
sim_bind(int fd, const struct sockaddr *address, socklen_t len)
{
	return 0;
}

int
sim_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	return 0;
}

int
sim_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	struct object *o = object_of(fd);

	if (level == SOL_SOCKET && name == SO_ERROR) {
		memcpy(value, &o->error, sizeof(o->error));
		return 0;
	}
	errno = ENOPROTOOPT;
	return -1;
}

int
sim_getsockname(int fd, struct sockaddr *address, socklen_t *len)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(25) };

	inet_pton(AF_INET, OUR_ADDRESS, &sin.sin_addr);
	memcpy(address, &sin, sizeof(sin));
	*len = sizeof(sin);
	return 0;
}

int
sim_getifaddrs(struct ifaddrs **list)
{
	static struct sockaddr_in lo = { .sin_family = AF_INET },
				  ours = { .sin_family = AF_INET };
	static struct ifaddrs two[2];

	inet_pton(AF_INET, "127.0.0.1", &lo.sin_addr);
	inet_pton(AF_INET, OUR_ADDRESS, &ours.sin_addr);
	two[0].ifa_addr = (struct sockaddr *)&lo;
	two[0].ifa_next = &two[1];
	two[1].ifa_addr = (struct sockaddr *)&ours;
	*list = two;
	return 0;
}

void
sim_freeifaddrs(struct ifaddrs *list)
{
}

/* ---- files ------------------------------------------------------------ */

ssize_t
sim_pread(int fd, void *data, size_t len, off_t at)
{
	struct object *o = object_of(fd);

	if (o == NULL || o->kind != OBJECT_FILE) {
		errno = EBADF;
		return -1;
	}
	if ((size_t)at >= o->size)
		return 0;
	if (len > o->size - (size_t)at)
		len = o->size - (size_t)at;
	memcpy(data, o->octets + at, len);
	return (ssize_t)len;
}

ssize_t
sim_write(int fd, const void *data, size_t len)
{
	struct object *o = object_of(fd);
	uint8_t *grown;

	process_point();
	if (o == NULL || o->kind != OBJECT_FILE) {
		errno = EBADF;
		return -1;
	}
	if ((grown = realloc(o->octets, o->size + len + 1)) == NULL)
		fail("out of memory");
	memcpy(grown + o->size, data, len);
	o->octets = grown;
	o->size += len;
	return (ssize_t)len;
}

/* The spool is a folder in which no file can be made but by store.c. */
int
sim_open(const char *path, int flags, ...)
{
	struct object *o = file_new("", 0);

	o->kind = OBJECT_FOLDER;
	return object_install(process_current(), o);
}

int
sim_openat(int at, const char *path, int flags, ...)
{
	errno = ENOSPC;
	return -1;
}

int
sim_fstatvfs(int fd, struct statvfs *v)
{
	memset(v, 0, sizeof(*v));
	v->f_frsize = 4096;
	v->f_bavail = disk_free() / 4096;
	v->f_files = v->f_favail = 1000000;
	return 0;
}

/* ---- time, chance, the end -------------------------------------------- */

int
sim_clock_gettime(clockid_t clock, struct timespec *ts)
{
	int64_t offset = clock == CLOCK_REALTIME ? sim.wall : 100000;

	ts->tv_sec = (time_t)(offset + sim.now / SECOND);
	ts->tv_nsec = (long)(sim.now % SECOND * 1000000);
	return 0;
}

uint32_t
sim_arc4random(void)
{
	return (uint32_t)(dice() >> 32);
}

void
sim_arc4random_buf(void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)data)[i] = (uint8_t)(dice() >> 32);
}

int
sim_RAND_bytes(unsigned char *data, int len)
{
	sim_arc4random_buf(data, (size_t)len);
	return 1;
}

int
sim_RAND_priv_bytes(unsigned char *data, int len)
{
	return sim_RAND_bytes(data, len);
}

void
sim_exit(int status)
{
	process_exit(status);
}

void
sim__exit(int status)
{
	process_exit(status);
}

uint64_t
sim_sandbox_max_files(void)
{
	return SIM_FDS;
}

/* What is not simulated succeeds: no sandbox, no signals. */
int
sim_sandbox_enter(const void *sandbox, char *error, size_t size)
{
	return 0;
}

void
sim_test_hook_arm(void *loop, enum process_kind kind)
{
}
