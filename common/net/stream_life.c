/*
 * How streams begin and end. Memory outlives stream_free until no callback
 * and no fibre of a handshake can be using it: see stream_reap.
 */
#include <sys/socket.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/async.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/stream_internal.h"
#include "net/tls.h"
#include "os/passed.h"

struct stream_set *
stream_set_new(struct loop *loop)
{
	struct stream_set *set;

	if ((set = calloc(1, sizeof(*set))) == NULL)
		return NULL;
	set->loop = loop;
	TAILQ_INIT(&set->live);
	TAILQ_INIT(&set->dead);
	loop_deferred_init(&set->reap, stream_reap, set);
	set->bio = stream_bio_method();
	if (set->bio == NULL || ASYNC_init_thread(STREAM_JOBS, 0) != 1) {
		BIO_meth_free(set->bio);
		free(set);
		return NULL;
	}
	return set;
}

static void
release(struct stream *s)
{
	TAILQ_REMOVE(&s->set->dead, s, entry);
	s->set->count--;
	tls_session_free(s->ssl);
	buffer_clear(&s->in);
	buffer_clear(&s->out);
	buffer_clear(&s->wire_in);
	buffer_clear(&s->wire_out);
	free(s);
}

/*
 * Frees what stream_free left. An SSL that is paused in a fibre must not be
 * freed (the fibre's stack points into it): its handshake goes on, against a
 * dead socket, once the signer has answered, and fails.
 */
void
stream_reap(void *arg)
{
	struct stream_set *set = arg;
	struct stream *s, *next;

	TAILQ_FOREACH_SAFE (s, &set->dead, entry, next) {
		if (s->job && !s->signing)
			stream_handshake(s);
		if (!s->job)
			release(s);
	}
}

void
stream_set_free(struct stream_set *set)
{
	struct stream *s;

	if (set == NULL)
		return;
	while ((s = TAILQ_FIRST(&set->live)) != NULL)
		stream_free(s);
	loop_undefer(set->loop, &set->reap);
	stream_reap(set);
	while ((s = TAILQ_FIRST(&set->dead)) != NULL) {
		/* a signer broke its promise: better leaked than corrupted */
		s->ssl = NULL;
		release(s);
	}
	ASYNC_cleanup_thread();
	BIO_meth_free(set->bio);
	free(set);
}

size_t
stream_set_count(const struct stream_set *set)
{
	return set->count;
}

static struct stream *
stream_alloc(struct stream_set *set, int fd, enum stream_phase phase,
    const struct stream_ops *ops, void *arg)
{
	struct stream *s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	s->set = set;
	s->fd = fd;
	s->phase = phase;
	s->ops = ops;
	s->arg = arg;
	buffer_init(&s->in, STREAM_INPUT_LIMIT);
	buffer_init(&s->out, STREAM_OUTPUT_LIMIT);
	stream_init_events(s);
	TAILQ_INSERT_TAIL(&set->live, s, entry);
	set->count++;
	stream_schedule(s);
	return s;
}

struct stream *
stream_new(
    struct stream_set *set, int fd, const struct stream_ops *ops, void *arg)
{
	struct stream *s;

	if ((s = stream_alloc(set, fd, PHASE_OPEN, ops, arg)) == NULL)
		close(fd);
	return s;
}

void
stream_set_local(struct stream *s)
{
	s->local = 1;
}

/* A socket that connects; -1 with errno. */
static int
begin_connect(const struct sockaddr *to, socklen_t to_len,
    const struct sockaddr *from, socklen_t from_len)
{
	int fd, one = 1, saved;

	fd = socket(
	    to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (to->sa_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (from != NULL) {
		/* lets many connections share the few ephemeral ports */
		setsockopt(
		    fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
		if (bind(fd, from, from_len) == -1)
			goto fail;
	}
	if (connect(fd, to, to_len) == -1 && errno != EINPROGRESS)
		goto fail;
	return fd;
fail:
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

struct stream *
stream_connect(struct stream_set *set, const struct sockaddr *to,
    socklen_t to_len, const struct sockaddr *from, socklen_t from_len,
    int64_t deadline, const struct stream_ops *ops, void *arg)
{
	struct sockaddr_storage source;
	struct stream *s;
	int fd;

	if (from != NULL) {
		if (from_len > sizeof(source)) {
			errno = EINVAL;
			return NULL;
		}
		memcpy(&source, from, from_len);
		if (source.ss_family == AF_INET)
			((struct sockaddr_in *)&source)->sin_port = 0;
		else if (source.ss_family == AF_INET6)
			((struct sockaddr_in6 *)&source)->sin6_port = 0;
		from = (const struct sockaddr *)&source;
	}
	if ((fd = begin_connect(to, to_len, from, from_len)) == -1)
		return NULL;
	if ((s = stream_alloc(set, fd, PHASE_CONNECTING, ops, arg)) == NULL) {
		close(fd);
		errno = ENOMEM;
		return NULL;
	}
	s->outbound = 1;
	stream_set_deadline(s, deadline);
	return s;
}

void
stream_connect_ready(struct stream *s)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error != 0) {
		stream_end_with(s, STREAM_END_CONNECT, strerror(error));
		return;
	}
	s->phase = PHASE_OPEN;
	s->connected = 1;
}

void
stream_free(struct stream *s)
{
	if (s == NULL || s->freed)
		return;
	s->freed = 1;
	event_del(&s->read_event);
	event_del(&s->write_event);
	event_del(&s->timer);
	loop_undefer(s->set->loop, &s->step);
	if (s->local)
		passed_end(s->fd);
	else
		close(s->fd);
	s->fd = -1;
	TAILQ_REMOVE(&s->set->live, s, entry);
	TAILQ_INSERT_TAIL(&s->set->dead, s, entry);
	loop_defer(s->set->loop, &s->set->reap);
}

void
stream_finish(struct stream *s, int64_t deadline, int linger)
{
	if (s->freed || s->finishing)
		return;
	s->finishing = 1;
	s->linger = linger && s->phase == PHASE_OPEN;
	if (s->phase == PHASE_CONNECTING || s->broken)
		s->phase = PHASE_DEAD;
	stream_set_deadline(s, deadline);
	stream_schedule(s);
}

void
stream_finish_step(struct stream *s)
{
	size_t pending;

	if (s->phase == PHASE_DEAD) {
		stream_free(s);
		return;
	}
	/* before the handshake has ended, `out` cannot go anywhere */
	pending = s->phase == PHASE_HANDSHAKE ? buffer_length(&s->wire_out)
					      : stream_output_pending(s);
	if (pending > 0 && s->phase != PHASE_DEAD)
		return;
	if (s->linger && !s->eof && s->phase != PHASE_DEAD) {
		if (!s->shut)
			shutdown(s->fd, SHUT_WR);
		s->shut = 1;
		return;
	}
	stream_free(s);
}
