/*
 * Listening sockets: bound by master, which alone may use a low port, and
 * handed to the smtpd workers, which share them. A reload takes over what is
 * bound already, so no connection waiting in a backlog is lost.
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "master/load.h"
#include "master/master.h"
#include "os/log.h"
#include "os/passed.h"

enum {
	/* a full backlog drops SYNs, and each costs its client a second */
	BACKLOG = 4096,
	/* so long the workers of a master that was killed may take to die */
	PATIENCE_MS = 3000,
	STEP_MS = 50
};

struct bound {
	uint32_t listener;
	int fd;
	socklen_t len;
	struct sockaddr_storage address;
};

struct sockets {
	struct bound *list;
	size_t count;
};

static socklen_t
to_sockaddr(const struct conf_address *a, struct sockaddr_storage *ss)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (a->family == CONF_INET4) {
		sin->sin_family = AF_INET;
		sin->sin_port = htons(a->port);
		memcpy(&sin->sin_addr, a->octets, 4);
		return sizeof(*sin);
	}
	sin6->sin6_family = AF_INET6;
	sin6->sin6_port = htons(a->port);
	sin6->sin6_scope_id = a->scope;
	memcpy(&sin6->sin6_addr, a->octets, 16);
	return sizeof(*sin6);
}

static socklen_t
to_sockaddr_un(
    const char *path, struct sockaddr_storage *ss, char *error, size_t size)
{
	struct sockaddr_un *sun = (struct sockaddr_un *)ss;

	memset(ss, 0, sizeof(*ss));
	sun->sun_family = AF_UNIX;
	if (strlcpy(sun->sun_path, path, sizeof(sun->sun_path)) >=
	    sizeof(sun->sun_path)) {
		snprintf(error, size,
		    "%s: longer than a socket's name may be (%zu)", path,
		    sizeof(sun->sun_path) - 1);
		return 0;
	}
	return sizeof(*sun);
}

static const char *
sockaddr_text(const struct sockaddr_storage *ss, char *out, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (ss->ss_family == AF_UNIX) {
		strlcpy(out, ((const struct sockaddr_un *)ss)->sun_path, size);
	} else if (ss->ss_family == AF_INET) {
		const struct sockaddr_in *sin = (const void *)ss;

		inet_ntop(AF_INET, &sin->sin_addr, host, sizeof(host));
		snprintf(out, size, "%s:%u", host, ntohs(sin->sin_port));
	} else {
		const struct sockaddr_in6 *sin6 = (const void *)ss;

		inet_ntop(AF_INET6, &sin6->sin6_addr, host, sizeof(host));
		snprintf(out, size, "[%s]:%u", host, ntohs(sin6->sin6_port));
	}
	return out;
}

/* A socket file that nobody answers is left over from a crash. */
static int
remove_stale(const struct sockaddr_storage *ss, socklen_t len)
{
	const char *path = ((const struct sockaddr_un *)ss)->sun_path;
	struct stat st;
	bool taken;
	int fd, rc;

	if (lstat(path, &st) == -1)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -1;
	/* EAGAIN: somebody has it, and so many wait already */
	rc = connect(fd, (const struct sockaddr *)ss, len);
	taken = rc == 0 || errno == EAGAIN;
	close(fd);
	if (taken) {
		errno = EADDRINUSE;
		return -1;
	}
	return unlink(path);
}

/* For a second or two after a link came up the kernel binds none of its IPv6
 * addresses, until no other host answers for them (RFC 4862, 5.4). Those of
 * our interfaces are bound ahead of that; no others, or a wrong one would not
 * be told. */
static int
bind_address(int fd, const struct sockaddr_storage *ss, socklen_t len)
{
	int on = 1;

	if (bind(fd, (const struct sockaddr *)ss, len) == 0)
		return 0;
	if (errno != EADDRNOTAVAIL || ss->ss_family != AF_INET6)
		return -1;
	if (!load_address_is_ours((const struct sockaddr_in6 *)ss)) {
		errno = EADDRNOTAVAIL;
		return -1;
	}
	setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on));
	return bind(fd, (const struct sockaddr *)ss, len);
}

/* mode is of the socket file, for a Unix socket. */
static int
bind_socket(const struct sockaddr_storage *ss, socklen_t len, mode_t mode)
{
	int fd, on = 1, rc, saved;
	mode_t mask;

	fd = socket(
	    ss->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -1;
	if (ss->ss_family == AF_UNIX) {
		passed_refuse(fd);
		if (remove_stale(ss, len) == -1)
			goto fail;
	} else {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		/* `::` must not also take IPv4: that has its own socket */
		if (ss->ss_family == AF_INET6)
			setsockopt(
			    fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	}
	mask = umask(ss->ss_family == AF_UNIX ? 0777 & ~mode : 077);
	rc = bind_address(fd, ss, len);
	umask(mask);
	if (rc == -1 || listen(fd, BACKLOG) == -1)
		goto fail;
	return fd;
fail:
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* At a start: waits for an address that is still taken. */
static int
bind_patiently(const struct sockaddr_storage *ss, socklen_t len, mode_t mode)
{
	struct timespec step = { .tv_nsec = STEP_MS * 1000000 };
	int fd, left = PATIENCE_MS / STEP_MS;

	while ((fd = bind_socket(ss, len, mode)) == -1 && errno == EADDRINUSE &&
	    left-- > 0)
		nanosleep(&step, NULL);
	return fd;
}

static int
find_bound(
    const struct sockets *s, const struct sockaddr_storage *ss, socklen_t len)
{
	if (s == NULL)
		return -1;
	for (size_t i = 0; i < s->count; i++)
		if (s->list[i].len == len &&
		    memcmp(&s->list[i].address, ss, len) == 0)
			return dup(s->list[i].fd);
	return -1;
}

/* Whether the address stands for all of its family. */
static bool
is_any(const struct sockaddr_storage *ss)
{
	if (ss->ss_family == AF_INET)
		return ((const struct sockaddr_in *)ss)->sin_addr.s_addr ==
		    htonl(INADDR_ANY);
	return ss->ss_family == AF_INET6 &&
	    IN6_IS_ADDR_UNSPECIFIED(
		&((const struct sockaddr_in6 *)ss)->sin6_addr);
}

/* Whether the present configuration is what keeps an address from the next:
 * all addresses and one of them cannot be bound beside each other. */
static bool
is_taken_by_us(const struct sockets *old, const struct sockaddr_storage *ss)
{
	for (size_t i = 0; old != NULL && i < old->count; i++) {
		const struct sockaddr_storage *o = &old->list[i].address;

		/* both kinds have the port at the same place */
		if (o->ss_family == ss->ss_family && ss->ss_family != AF_UNIX &&
		    ((const struct sockaddr_in *)o)->sin_port ==
			((const struct sockaddr_in *)ss)->sin_port &&
		    (is_any(o) || is_any(ss)))
			return true;
	}
	return false;
}

/* What to do after errno, behind the error. */
static const char *
advice(const struct sockets *old, const struct sockaddr_storage *ss)
{
	if (errno == EACCES && geteuid() == 0)
		return ": root is without CAP_NET_BIND_SERVICE here: let "
		       "whoever starts relaisd leave it that, or use a port "
		       "above 1023";
	if (errno == EACCES)
		return ": use a port above 1023 or start as root";
	if (errno == EADDRNOTAVAIL)
		return ": this machine has no such address: `ip address` "
		       "lists those that it has";
	if (errno != EADDRINUSE)
		return "";
	if (is_taken_by_us(old, ss))
		return ": the configuration in force listens at this port on "
		       "other addresses, which a reload cannot join or "
		       "divide: restart relaisd";
	return ": another mail server runs, perhaps relaisd itself; "
	       "`ss -ltnp` names it: stop it, or listen elsewhere";
}

static int
add(struct sockets *s, const struct sockets *old, const struct conf *conf,
    uint32_t listener, const struct sockaddr_storage *ss, socklen_t len,
    char *error, size_t size)
{
	char text[256], where[512];
	struct bound *b, *grown;
	int saved;

	grown = reallocarray(s->list, s->count + 1, sizeof(*grown));
	if (grown == NULL) {
		snprintf(error, size, "out of memory");
		return -1;
	}
	s->list = grown;
	b = &s->list[s->count];
	b->listener = listener;
	b->len = len;
	b->address = *ss;
	if ((b->fd = find_bound(old, ss, len)) == -1)
		b->fd = old == NULL ? bind_patiently(ss, len, 0666)
				    : bind_socket(ss, len, 0666);
	if (b->fd == -1) {
		saved = errno;
		conf_where_text(conf, &conf->listeners[listener].where, where,
		    sizeof(where));
		errno = saved;
		snprintf(error, size, "%s: cannot listen on %s: %s%s", where,
		    sockaddr_text(ss, text, sizeof(text)), strerror(errno),
		    advice(old, ss));
		return -1;
	}
	s->count++;
	return 0;
}

struct sockets *
sockets_open(const struct conf *conf, const struct sockets *old, char *error,
    size_t size)
{
	struct sockaddr_storage ss;
	struct sockets *s;
	socklen_t len;

	if ((s = calloc(1, sizeof(*s))) == NULL) {
		snprintf(error, size, "out of memory");
		return NULL;
	}
	for (uint32_t i = 0; i < conf->nlisteners; i++) {
		const struct conf_listener *l = &conf->listeners[i];

		/* a local socket's sessions come through the control socket */
		if (l->is_socket && l->interface == NULL)
			continue;
		if (l->is_socket) {
			if ((len = to_sockaddr_un(
				 l->interface, &ss, error, size)) == 0 ||
			    add(s, old, conf, i, &ss, len, error, size) == -1)
				goto fail;
			continue;
		}
		for (uint32_t j = 0; j < l->naddresses; j++) {
			len = to_sockaddr(&l->addresses[j], &ss);
			if (add(s, old, conf, i, &ss, len, error, size) == -1)
				goto fail;
		}
	}
	return s;
fail:
	sockets_free(s);
	return NULL;
}

bool
sockets_may_bind(const struct conf_address *address)
{
	struct conf_address a = *address;
	struct sockaddr_storage ss;
	socklen_t len;
	int fd;

	a.port = 0; /* any that is free */
	len = to_sockaddr(&a, &ss);
	if ((fd = bind_socket(&ss, len, 0666)) != -1)
		close(fd);
	return fd != -1 || errno != EADDRNOTAVAIL;
}

void
sockets_free(struct sockets *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->count; i++)
		close(s->list[i].fd);
	free(s->list);
	free(s);
}

/* All workers share one open file, and it outlives them: what one that was
 * broken into may have made of it ends with the worker. */
static void
make_usable(int fd)
{
	const struct linger none = { 0 };

	fcntl(fd, F_SETFL, O_NONBLOCK);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	listen(fd, BACKLOG); /* if it was shut */
}

void
sockets_send(const struct sockets *s, struct channel *ch, uint32_t generation)
{
	struct msg_listen_socket m = { .generation = generation };
	int fd;

	for (size_t i = 0; i < s->count; i++) {
		m.listener = s->list[i].listener;
		make_usable(s->list[i].fd);
		if ((fd = dup(s->list[i].fd)) == -1 ||
		    ipc_send_fd(ch, listen_socket, &m, fd) == -1)
			log_warn("a listening socket was not handed over");
	}
}

int
sockets_open_control(const struct conf *conf)
{
	const char *path = conf->paths.control_socket;
	struct sockaddr_storage ss;
	char error[512];
	socklen_t len;
	int fd;

	if ((len = to_sockaddr_un(path, &ss, error, sizeof(error))) == 0) {
		log_error("%s", error);
		return -1;
	}
	/* everyone may submit; what more a peer may do depends on its uid */
	if ((fd = bind_patiently(&ss, len, 0666)) == -1)
		log_error("control socket %s: %s%s", path, strerror(errno),
		    errno == EADDRINUSE ? ": relaisd runs already, or give "
					  "this one its own `set "
					  "control-socket`"
			: errno == EEXIST
			? ": what lies there is no socket: move it away"
			: "");
	return fd;
}

void
sockets_own_control(int fd)
{
	listen(fd, BACKLOG);
}
