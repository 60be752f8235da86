/*
 * The buffers, events and callbacks of a stream; see stream.h for what must
 * hold and stream_internal.h for how octets flow.
 *
 * Events only move octets and take note of what is due. Callbacks are made
 * from stream_step alone, at the end of the turn, so nothing that a caller
 * calls can call back into it.
 */
#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "net/stream_internal.h"
#include "os/passed.h"

void
stream_schedule(struct stream *s)
{
	loop_defer(s->set->loop, &s->step);
}

void
stream_note(struct stream *s, const char *error)
{
	if (s->error[0] == '\0')
		snprintf(s->error, sizeof(s->error), "%s", error);
}

void
stream_end_with(struct stream *s, enum stream_end end, const char *error)
{
	if (error != NULL)
		stream_note(s, error);
	if (s->ended)
		return;
	s->ended = 1;
	s->end = end;
	if (end == STREAM_END_ERROR || end == STREAM_END_CONNECT)
		s->phase = PHASE_DEAD;
	stream_schedule(s);
}

/* ---- events ----------------------------------------------------------- */

/* The buffer that the socket fills. */
static struct buffer *
arriving(struct stream *s)
{
	return s->ssl != NULL ? &s->wire_in : &s->in;
}

static struct buffer *
leaving(struct stream *s)
{
	return s->ssl != NULL ? &s->wire_out : &s->out;
}

static int
wants_read(struct stream *s)
{
	if (s->eof || s->freed || s->phase == PHASE_DEAD ||
	    s->phase == PHASE_CONNECTING)
		return 0;
	if (s->finishing)
		return s->linger;
	if (s->phase == PHASE_HANDSHAKE)
		return buffer_room(&s->wire_in) > 0;
	return !s->ended && !s->in_done && !s->paused &&
	    buffer_room(arriving(s)) > 0;
}

/*
 * Adds what must be watched. A read event that is not wanted stays until it
 * fires: most pauses are over before that, and cost no system call so.
 */
void
stream_watch(struct stream *s)
{
	if (s->freed)
		return;
	if (!s->reading && wants_read(s)) {
		event_add(&s->read_event, NULL);
		s->reading = 1;
	} else if (s->reading && (s->eof || s->phase == PHASE_DEAD)) {
		event_del(&s->read_event);
		s->reading = 0;
	}
	if (!s->writing &&
	    ((s->blocked && !s->broken) || s->phase == PHASE_CONNECTING)) {
		event_add(&s->write_event, NULL);
		s->writing = 1;
	}
}

void
stream_arm_timer(struct stream *s)
{
	int64_t now = loop_now(s->set->loop), at = s->deadline, wait;
	struct timeval tv;

	if (s->job_retry && (at == 0 || now + STREAM_JOB_RETRY_MS < at))
		at = now + STREAM_JOB_RETRY_MS;
	/* a timer that fires too early finds that out and is set again, so
	 * moving a deadline back costs nothing */
	if (at == 0 || (s->armed != 0 && s->armed <= at))
		return;
	wait = at > now ? at - now : 0;
	tv.tv_sec = (time_t)(wait / 1000);
	tv.tv_usec = (suseconds_t)(wait % 1000) * 1000;
	if (event_add(&s->timer, &tv) == 0)
		s->armed = at;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	s->armed = 0;
	if (s->job_retry) {
		s->job_retry = 0;
		stream_schedule(s);
	}
	if (s->deadline != 0 && loop_now(s->set->loop) >= s->deadline) {
		s->deadline = 0;
		if (s->finishing) {
			s->phase = PHASE_DEAD;
			stream_schedule(s);
		} else
			stream_end_with(
			    s, STREAM_END_TIMEOUT, "deadline passed");
	}
	stream_arm_timer(s);
}

/* ---- octets in -------------------------------------------------------- */

static void
read_failed(struct stream *s, ssize_t n)
{
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	s->eof = 1;
	if (n == -1)
		stream_note(s, strerror(errno));
	if (s->phase != PHASE_OPEN)
		return; /* the handshake will fail, and tell */
	if (n == -1)
		stream_end_with(s, STREAM_END_ERROR, NULL);
	else if (s->ssl == NULL)
		s->in_done = 1;
}

/*
 * Where a read goes, and in *room how much of it. What is little goes through
 * the scratch of all streams, so that those who wait hold no memory; from
 * somebody who has just filled that, all that the buffer may hold is taken, in
 * place.
 */
static uint8_t *
read_target(struct stream *s, struct buffer *b, size_t *room)
{
	uint8_t *to;

	*room = buffer_room(b);
	if (s->bulk && !s->finishing && *room > 0 &&
	    (to = buffer_reserve(b, *room)) != NULL)
		return to;
	if (s->finishing || *room > STREAM_SCRATCH)
		*room = STREAM_SCRATCH;
	return s->set->scratch;
}

static void
read_socket(struct stream *s)
{
	struct buffer *b = arriving(s);
	size_t room;
	uint8_t *to = read_target(s, b, &room);
	ssize_t n = s->local ? passed_recv(s->fd, to, room)
			     : recv(s->fd, to, room, MSG_DONTWAIT);

	s->bulk = n >= STREAM_SCRATCH / 2;
	if (n <= 0) {
		/* what was reserved would stay with one who sends nothing */
		if (buffer_length(b) == 0)
			buffer_clear(b);
		read_failed(s, n);
		return;
	}
	if (s->finishing)
		return; /* lingering: read and drop */
	if (to != s->set->scratch)
		buffer_commit(b, (size_t)n);
	else if (buffer_append(b, to, (size_t)n) == -1) {
		stream_end_with(s, STREAM_END_ERROR, "out of memory");
		return;
	}
	if (s->ssl == NULL)
		s->offer = 1;
}

static void
on_socket_readable(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	if (!wants_read(s)) {
		event_del(&s->read_event);
		s->reading = 0;
		return;
	}
	read_socket(s);
	stream_schedule(s);
}

/* ---- octets out ------------------------------------------------------- */

static void
on_socket_writable(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	s->writing = 0; /* the event is not persistent */
	s->blocked = 0;
	if (s->phase == PHASE_CONNECTING)
		stream_connect_ready(s);
	stream_schedule(s);
}

/* A server that refuses a message in the middle may say so and close; what we
 * send then comes back as a reset, and its words are still to be read. Their
 * end is the end of the stream. */
static int
may_have_spoken(struct stream *s)
{
	return s->outbound && (errno == EPIPE || errno == ECONNRESET) &&
	    wants_read(s);
}

/* One attempt to send all; what does not go waits for the write event. */
static void
write_socket(struct stream *s)
{
	struct buffer *b = leaving(s);
	ssize_t n;

	if (buffer_length(b) == 0 || s->blocked)
		return;
	n = send(s->fd, buffer_octets(b), buffer_length(b),
	    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n == -1 && errno != EAGAIN && errno != EINTR) {
		/* in a handshake the reason may still come in */
		if (s->phase == PHASE_HANDSHAKE)
			buffer_clear(b);
		else if (may_have_spoken(s))
			s->blocked = s->broken = 1;
		else
			stream_end_with(s, STREAM_END_ERROR, strerror(errno));
		return;
	}
	if (n > 0)
		buffer_consume(b, (size_t)n);
	if (buffer_length(b) > 0)
		s->blocked = 1;
}

void
stream_flush(struct stream *s)
{
	size_t before;

	if (s->phase == PHASE_CONNECTING || s->phase == PHASE_DEAD || s->freed)
		return;
	do {
		if (s->ssl != NULL && s->phase == PHASE_OPEN)
			stream_encrypt(s);
		/* the last reply and the end of TLS leave together */
		if (s->finishing && s->ssl != NULL && s->phase == PHASE_OPEN &&
		    !s->said_goodbye && buffer_length(&s->out) == 0)
			stream_goodbye(s);
		before = buffer_length(&s->out);
		write_socket(s);
	} while (s->ssl != NULL && !s->blocked && before > 0 &&
	    s->phase == PHASE_OPEN);
	if (s->phase != PHASE_DEAD)
		stream_watch(s);
}

int
stream_write(struct stream *s, const void *data, size_t len)
{
	if (s->phase == PHASE_DEAD || s->freed || s->finishing ||
	    buffer_append(&s->out, data, len) == -1)
		return -1;
	s->drained = 1;
	stream_schedule(s);
	return 0;
}

int
stream_write_string(struct stream *s, const char *string)
{
	return stream_write(s, string, strlen(string));
}

size_t
stream_output_room(const struct stream *s)
{
	return buffer_room(&s->out);
}

size_t
stream_output_pending(const struct stream *s)
{
	return buffer_length(&s->out) + buffer_length(&s->wire_out);
}

/* ---- what is due ------------------------------------------------------ */

/* Whether the owner still wants to hear. */
static int
silent(const struct stream *s)
{
	return s->freed || s->finishing;
}

static void
tell_tls(struct stream *s)
{
	s->tls_done = 0;
	if (!s->tls_ok) {
		/* on_closed would be the second word about one end */
		s->ended = s->told = 1;
		s->end = STREAM_END_ERROR;
	}
	if (s->ops->on_tls != NULL)
		s->ops->on_tls(s, s->tls_ok, s->arg);
}

static void
tell_readable(struct stream *s)
{
	if (s->ssl != NULL && s->phase == PHASE_OPEN)
		stream_decrypt(s);
	if (!s->offer || s->paused || s->phase == PHASE_HANDSHAKE)
		return;
	s->offer = 0;
	if (buffer_length(&s->in) > 0)
		s->ops->on_readable(s, s->arg);
}

/* The end of the input is told after the input, any other end at once. */
static void
tell_end(struct stream *s)
{
	if (s->in_done && !s->ended && s->phase == PHASE_OPEN && !s->paused &&
	    !s->offer)
		stream_end_with(s, STREAM_END_EOF, NULL);
	if (!s->ended || s->told)
		return;
	s->told = 1;
	s->ops->on_closed(s, s->end, s->arg);
}

static void
tell_drained(struct stream *s)
{
	if (!s->drained || stream_output_pending(s) > 0 ||
	    s->phase != PHASE_OPEN)
		return;
	s->drained = 0;
	if (s->ops->on_drained != NULL)
		s->ops->on_drained(s, s->arg);
}

/* Does all that is due for a stream. A callback may free it or let it finish;
 * its memory stays until stream_reap. */
static void
stream_step(void *arg)
{
	struct stream *s = arg;

	if (s->freed)
		return;
	if (s->phase == PHASE_HANDSHAKE && !s->finishing)
		stream_handshake(s);
	if (s->connected && !silent(s)) {
		s->connected = 0;
		if (s->ops->on_connected != NULL)
			s->ops->on_connected(s, s->arg);
	}
	if (s->tls_done && !silent(s))
		tell_tls(s);
	if (!silent(s) && !s->ended)
		tell_readable(s);
	if (!s->freed)
		stream_flush(s);
	if (!silent(s))
		tell_drained(s);
	if (!silent(s))
		tell_end(s);
	if (s->finishing && !s->freed)
		stream_finish_step(s);
	if (!s->freed)
		stream_watch(s);
}

void
stream_init_events(struct stream *s)
{
	struct event_base *base = loop_base(s->set->loop);

	event_assign(&s->read_event, base, s->fd, EV_READ | EV_PERSIST,
	    on_socket_readable, s);
	event_assign(
	    &s->write_event, base, s->fd, EV_WRITE, on_socket_writable, s);
	evtimer_assign(&s->timer, base, on_timer, s);
	loop_deferred_init(&s->step, stream_step, s);
}

/* ---- what the owner asks for ------------------------------------------ */

void
stream_set_ops(struct stream *s, const struct stream_ops *ops, void *arg)
{
	s->ops = ops;
	s->arg = arg;
}

void
stream_set_limits(struct stream *s, size_t input, size_t output)
{
	if (input > 0)
		s->in.limit = input;
	if (output > 0)
		s->out.limit = output;
}

void
stream_set_deadline(struct stream *s, int64_t deadline)
{
	s->deadline = deadline;
	stream_arm_timer(s);
}

const uint8_t *
stream_input(const struct stream *s, size_t *len)
{
	*len = buffer_length(&s->in);
	return *len > 0 ? buffer_octets(&s->in) : (const uint8_t *)"";
}

void
stream_consume(struct stream *s, size_t len)
{
	int full = buffer_room(&s->in) == 0;

	buffer_consume(&s->in, len);
	/* room for what had to wait outside */
	if (full || buffer_length(&s->wire_in) > 0)
		stream_schedule(s);
}

void
stream_pause(struct stream *s)
{
	s->paused = 1;
}

void
stream_resume(struct stream *s)
{
	s->paused = 0;
	s->offer = 1;
	stream_schedule(s);
}

SSL *
stream_tls(const struct stream *s)
{
	return s->ssl;
}

const char *
stream_error(const struct stream *s)
{
	return s->error;
}

int
stream_fd(const struct stream *s)
{
	return s->fd;
}
