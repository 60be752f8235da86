/*
 * See channel.h. A frame is u32 payload length, u16 type, u16 zero, payload;
 * type CREDIT carries a u32 of octets granted. Frames wait in `pending` until
 * there is credit for them, then move to `out`, from where the socket takes
 * them; CREDIT frames go straight to `out`.
 */
#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/channel.h"
#include "net/loop.h"
#include "os/log.h"
#include "os/passed.h"

enum {
	HEADER = 8,
	TYPE_CREDIT = 0xffff,
	FDS_MAX = 256, /* descriptors waiting in one direction */
	READ_CHUNK = 128 * 1024,
	GRANT_AT = CHANNEL_BULK / 4,
	OUT_HIGH = 1 << 20
};
/* Beyond this the peer is taken for dead: only answers can have piled up. */
#define PENDING_LIMIT (256u << 20)
/* Room for that, as much that was consumed, and one message more. */
#define BUFFER_LIMIT (2 * (size_t)PENDING_LIMIT + 2 * IPC_MAX_PAYLOAD)

/* A FIFO of descriptors, each with the offset in its buffer of the frame
 * with which it must leave. */
struct fd_queue {
	struct {
		int fd;
		size_t offset;
	} slot[FDS_MAX];
	unsigned count;
};

struct wire_buf {
	uint8_t *data;
	size_t start; /* first octet in use */
	size_t end;
	size_t cap;
};

struct channel {
	struct loop *loop;
	const struct channel_ops *ops;
	void *ctx;
	channel_handler *const *more_handlers;
	void *more_ctx;
	struct event *read_event;
	struct event *write_event;
	struct loop_deferred flush;
	int fd;
	enum process_kind self;
	enum process_kind peer;
	uint16_t instance;

	struct wire_buf in;
	struct wire_buf out;
	struct wire_buf pending;
	struct fd_queue in_fds;
	struct fd_queue out_fds;
	struct fd_queue pending_fds;

	int64_t credit; /* octets that may still be sent */
	size_t consumed; /* octets got through and not granted again */
	size_t held;
	int was_congested;
	int was_busy; /* the owner was told so, and waits for the end */
	int sent_secret; /* out has held a part of a configuration */
	int depth; /* handlers on the stack */
	int freed;
	int takes_fds; /* some message of the other end carries one */
	const char *dead;
	int broken; /* by the other end, against the rules */
};

/* ---- buffers ---------------------------------------------------------- */

/* Moves what is in use to the beginning. */
static void
wire_move(struct wire_buf *b)
{
	size_t used = b->end - b->start;

	if (b->start == 0)
		return;
	memmove(b->data, b->data + b->start, used);
	b->start = 0;
	b->end = used;
}

static int
wire_reserve(struct wire_buf *b, size_t len)
{
	size_t used = b->end - b->start, cap;
	uint8_t *grown;

	if (b->cap - b->end >= len)
		return 0;
	wire_move(b);
	if (b->cap - b->end >= len)
		return 0;
	for (cap = b->cap ? b->cap : 4096; cap - used < len;)
		cap *= 2;
	if ((grown = realloc(b->data, cap)) == NULL)
		return -1;
	b->data = grown;
	b->cap = cap;
	return 0;
}

static void
frame_header(uint8_t h[HEADER], uint32_t len, uint16_t type)
{
	h[0] = (uint8_t)(len >> 24);
	h[1] = (uint8_t)(len >> 16);
	h[2] = (uint8_t)(len >> 8);
	h[3] = (uint8_t)len;
	h[4] = (uint8_t)(type >> 8);
	h[5] = (uint8_t)type;
	h[6] = h[7] = 0;
}

/* Encodes a message behind a header for it. -1 if it breaks a limit, -2
 * without memory; the buffer then holds what it held. */
static int
wire_encode(struct wire_buf *b, enum msg_type type, const void *msg)
{
	size_t used = b->end - b->start;
	struct ipc_buf buf;
	int rc;

	/* moves no more than was consumed, and bounds what is allocated */
	if (b->start >= used)
		wire_move(b);
	if (wire_reserve(b, HEADER) == -1)
		return -2;
	buf = (struct ipc_buf){ .data = b->data,
		.len = b->end + HEADER,
		.cap = b->cap,
		.limit = BUFFER_LIMIT };
	rc = msg_encode(type, msg, &buf);
	b->data = buf.data;
	b->cap = buf.cap;
	if (rc == -1)
		return buf.no_memory ? -2 : -1;
	frame_header(b->data + b->end, (uint32_t)(buf.len - b->end - HEADER),
	    (uint16_t)type);
	b->end = buf.len;
	return 0;
}

static void
wire_put(struct wire_buf *b, const void *data, size_t len)
{
	memcpy(b->data + b->end, data, len);
	b->end += len;
}

/* An idle channel keeps no large buffer. */
static void
wire_consume(struct wire_buf *b, size_t len)
{
	b->start += len;
	if (b->start < b->end)
		return;
	b->start = b->end = 0;
	if (b->cap > 4 * READ_CHUNK) {
		free(b->data);
		b->data = NULL;
		b->cap = 0;
	}
}

static uint32_t
get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3];
}

static int
fds_push(struct fd_queue *q, int fd, size_t offset)
{
	if (q->count == FDS_MAX)
		return -1;
	q->slot[q->count].fd = fd;
	q->slot[q->count++].offset = offset;
	return 0;
}

static int
fds_pop(struct fd_queue *q)
{
	int fd;

	if (q->count == 0)
		return -1;
	fd = q->slot[0].fd;
	memmove(&q->slot[0], &q->slot[1], --q->count * sizeof(q->slot[0]));
	return fd;
}

static void
fds_close(struct fd_queue *q, void (*end)(int))
{
	int fd;

	while ((fd = fds_pop(q)) != -1)
		end(fd);
}

/* ---- death ------------------------------------------------------------ */

static void
channel_destroy(struct channel *ch)
{
	loop_undefer(ch->loop, &ch->flush);
	if (ch->read_event != NULL)
		event_free(ch->read_event);
	if (ch->write_event != NULL)
		event_free(ch->write_event);
	passed_end(ch->fd);
	fds_close(&ch->in_fds, passed_close);
	fds_close(&ch->out_fds, passed_unsent);
	fds_close(&ch->pending_fds, passed_unsent);
	free(ch->in.data);
	free(ch->out.data);
	free(ch->pending.data);
	free(ch);
}

const char channel_closed[] = "closed by the other end";

/* The end is told from the end of the turn, never from inside a send: the
 * caller of a send need not expect its channel to go away under it. */
static void
channel_fail(struct channel *ch, const char *reason)
{
	if (ch->dead != NULL)
		return;
	ch->dead = reason;
	event_del(ch->read_event);
	event_del(ch->write_event);
	loop_defer(ch->loop, &ch->flush);
}

int
channel_is_open(const struct channel *ch)
{
	return ch != NULL && ch->dead == NULL;
}

void
channel_refuse(struct channel *ch, const char *reason)
{
	if (ch->dead == NULL)
		ch->broken = 1;
	channel_fail(ch, reason);
}

int
channel_was_broken(const struct channel *ch)
{
	return ch->broken;
}

void
channel_free(struct channel *ch)
{
	if (ch == NULL)
		return;
	ch->freed = 1;
	if (ch->depth == 0)
		channel_destroy(ch);
}

/* ---- the trace -------------------------------------------------------- */

/* Type, size and peer, never the content; of the log's own lines nothing, or
 * there would be no end. */
static void
trace(const struct channel *ch, const char *way, enum msg_type type, size_t len)
{
	if ((log_traced() & TRACE_IPC) == 0 || type == MSG_log_line)
		return;
	log_trace(TRACE_IPC, "%s %s %u: %s, %zu octets%s", way,
	    process_name(ch->peer), ch->instance, msg_name(type), len,
	    msg_carries_fd(type) ? " and a descriptor" : "");
}

/* ---- sending ---------------------------------------------------------- */

/* Writes a run that ends before the next frame with a descriptor, its own
 * descriptor going with its first octet. */
static ssize_t
write_run(struct channel *ch)
{
	struct fd_queue *q = &ch->out_fds;
	struct wire_buf *out = &ch->out;
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { out->data + out->start, out->end - out->start };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;
	unsigned next = 0;
	ssize_t n;

	if (q->count > 0 && q->slot[0].offset == 0) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &q->slot[0].fd, sizeof(int));
		next = 1;
	}
	if (q->count > next)
		iov.iov_len = q->slot[next].offset;
	if ((n = sendmsg(ch->fd, &msg, MSG_NOSIGNAL)) == -1)
		return -1;
	if (next == 1)
		close(fds_pop(q));
	for (unsigned i = 0; i < q->count; i++)
		q->slot[i].offset -= (size_t)n;
	if (ch->sent_secret)
		explicit_bzero(out->data + out->start, (size_t)n);
	wire_consume(out, (size_t)n);
	return n;
}

/* What the peer has not got through yet, or not said so. */
static int
is_busy(const struct channel *ch)
{
	return channel_congested(ch) ||
	    ch->credit < (int64_t)(CHANNEL_WINDOW - CHANNEL_BULK);
}

int
channel_busy(struct channel *ch)
{
	if (!is_busy(ch))
		return 0;
	ch->was_busy = 1;
	return 1;
}

static void
tell_writable(struct channel *ch)
{
	int congestion_ended = ch->was_congested && !channel_congested(ch);
	int bulk_may_go_on = ch->was_busy && !is_busy(ch);

	if (!congestion_ended && !bulk_may_go_on)
		return;
	ch->was_congested = ch->was_busy = 0;
	if (ch->ops->writable != NULL) {
		ch->depth++;
		ch->ops->writable(ch->ctx, ch);
		ch->depth--;
	}
}

void
channel_flush(struct channel *ch)
{
	while (ch->dead == NULL && ch->out.end > ch->out.start) {
		if (write_run(ch) != -1)
			continue;
		if (errno == EAGAIN)
			event_add(ch->write_event, NULL);
		else if (errno != EINTR)
			channel_fail(ch, strerror(errno));
		if (errno != EINTR)
			break;
	}
}

/* The deferred end of a turn. */
static void
on_flush(void *arg)
{
	struct channel *ch = arg;

	channel_flush(ch);
	if (ch->dead != NULL) {
		ch->ops->closed(ch->ctx, ch, ch->dead);
		return;
	}
	tell_writable(ch);
	if (ch->freed)
		channel_destroy(ch);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	loop_defer(
	    ((struct channel *)arg)->loop, &((struct channel *)arg)->flush);
}

/* Moves whole frames from pending to out while there is credit. */
static int
spend_credit(struct channel *ch)
{
	struct wire_buf *from = &ch->pending;
	struct fd_queue *q = &ch->pending_fds;
	size_t len;

	while (from->end > from->start && ch->credit > 0) {
		len = HEADER + get_u32(from->data + from->start);
		if (wire_reserve(&ch->out, len) == -1)
			return -1;
		if (q->count > 0 && q->slot[0].offset == 0 &&
		    fds_push(&ch->out_fds, fds_pop(q),
			ch->out.end - ch->out.start) == -1)
			return -1;
		for (unsigned i = 0; i < q->count; i++)
			q->slot[i].offset -= len;
		wire_put(&ch->out, from->data + from->start, len);
		wire_consume(from, len);
		ch->credit -= (int64_t)len;
	}
	return 0;
}

int
channel_send(struct channel *ch, enum msg_type type, const void *msg, int fd)
{
	struct wire_buf *to;
	struct fd_queue *fds;
	size_t before;
	int direct, rc;

	if (ch == NULL) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	if (ch->dead != NULL || msg_carries_fd(type) != (fd != -1) ||
	    !msg_may_travel(type, ch->self, ch->peer))
		goto fail;
	direct = ch->credit > 0 && ch->pending.end == ch->pending.start;
	to = direct ? &ch->out : &ch->pending;
	fds = direct ? &ch->out_fds : &ch->pending_fds;
	if (to->end - to->start > PENDING_LIMIT) {
		channel_fail(ch, "peer does not read");
		goto fail;
	}
	if (fds->count == FDS_MAX)
		channel_flush(ch);
	if (fd != -1 && fds->count == FDS_MAX)
		goto fail;
	before = to->end - to->start;
	if ((rc = wire_encode(to, type, msg)) != 0) {
		/* the other end would wait for it without end */
		if (rc == -2)
			channel_fail(ch, "out of memory");
		goto fail;
	}
	if (fd != -1)
		fds_push(fds, fd, before);
	/* a configuration may hold keys: no copy of it stays behind */
	if (type == MSG_config_chunk)
		ch->sent_secret = 1;
	if (direct)
		ch->credit -= (int64_t)(to->end - to->start - before);
	if (channel_congested(ch))
		ch->was_congested = 1;
	loop_defer(ch->loop, &ch->flush);
	trace(ch, "to", type, to->end - to->start - before - HEADER);
	return 0;
fail:
	if (fd != -1)
		close(fd);
	return -1;
}

int
channel_congested(const struct channel *ch)
{
	return ch->pending.end > ch->pending.start ||
	    ch->out.end - ch->out.start > OUT_HIGH;
}

/* ---- credit ----------------------------------------------------------- */

static void
grant_credit(struct channel *ch)
{
	uint8_t frame[HEADER + 4];
	size_t grant;

	if (ch->consumed < ch->held + GRANT_AT)
		return;
	grant = ch->consumed - ch->held;
	if (wire_reserve(&ch->out, sizeof(frame)) == -1)
		return;
	frame_header(frame, 4, TYPE_CREDIT);
	for (int i = 0; i < 4; i++)
		frame[HEADER + i] = (uint8_t)(grant >> (24 - 8 * i));
	wire_put(&ch->out, frame, sizeof(frame));
	ch->consumed -= grant;
	loop_defer(ch->loop, &ch->flush);
}

void
channel_hold(struct channel *ch, size_t octets)
{
	ch->held += octets;
}

void
channel_release(struct channel *ch, size_t octets)
{
	ch->held -= octets < ch->held ? octets : ch->held;
	if (ch->dead == NULL)
		grant_credit(ch);
}

/* ---- receiving -------------------------------------------------------- */

static void
take_fds(struct channel *ch, struct msghdr *msg)
{
	int fds[PASSED_MAX];
	size_t count = passed_take(msg, fds);

	for (size_t i = 0; i < count; i++)
		if (!ch->takes_fds || fds_push(&ch->in_fds, fds[i], 0) == -1) {
			passed_close(fds[i]);
			channel_refuse(ch, "too many descriptors");
		}
	if (msg->msg_flags & MSG_CTRUNC)
		channel_fail(ch, "descriptors were cut off");
}

static void
dispatch(
    struct channel *ch, enum msg_type type, const uint8_t *data, size_t len)
{
	channel_handler *handler = NULL;
	void *ctx = ch->ctx;
	union ipc_msg msg;
	int fd = -1;

	if (msg_may_travel(type, ch->peer, ch->self) &&
	    (handler = ch->ops->handlers[type]) == NULL &&
	    ch->more_handlers != NULL) {
		handler = ch->more_handlers[type];
		ctx = ch->more_ctx;
	}
	if (handler == NULL) {
		channel_refuse(ch, "a message that may not come this way");
		return;
	}
	if (msg_decode(type, data, len, &msg) == -1) {
		channel_refuse(ch, "a malformed message");
		return;
	}
	if (msg_carries_fd(type) && (fd = fds_pop(&ch->in_fds)) == -1) {
		channel_refuse(ch, "a message without its descriptor");
		return;
	}
	trace(ch, "from", type, len);
	handler(ctx, ch, &msg, fd);
}

/* Of whom nobody need trust there are many, and what they have to say is
 * short: what one of them begins and never ends is not to fill our memory. */
static size_t
frame_max(const struct channel *ch)
{
	switch (ch->peer) {
	case PROC_CONTROL:
		return 128 * 1024; /* a question of 64 words is half of it */
	case PROC_LOCAL:
		return 4 << 20; /* a full .forward, of which all failed, too */
	default:
		return IPC_MAX_PAYLOAD;
	}
}

/* Handles the first frame of the input if it is whole. 0 if it is not. */
static int
take_frame(struct channel *ch)
{
	const uint8_t *p = ch->in.data + ch->in.start;
	size_t have = ch->in.end - ch->in.start, len;
	unsigned type;

	if (have < HEADER)
		return 0;
	len = get_u32(p);
	type = (unsigned)(p[4] << 8 | p[5]);
	if (len > frame_max(ch) || p[6] != 0 || p[7] != 0) {
		channel_refuse(ch, "a malformed frame");
		return 0;
	}
	if (have < HEADER + len)
		return 0;
	if (type == TYPE_CREDIT) {
		if (len != 4) {
			channel_refuse(ch, "a malformed credit");
			return 0;
		}
		ch->credit += get_u32(p + HEADER);
		if (ch->credit > CHANNEL_WINDOW) {
			channel_refuse(ch, "credit out of bounds");
			return 0;
		}
		if (spend_credit(ch) == -1) {
			channel_fail(ch, "no room to send");
			return 0;
		}
		loop_defer(ch->loop, &ch->flush);
	} else {
		dispatch(ch, (enum msg_type)type, p + HEADER, len);
		ch->consumed += HEADER + len;
	}
	wire_consume(&ch->in, HEADER + len);
	return 1;
}

static size_t
wanted(const struct channel *ch)
{
	size_t have = ch->in.end - ch->in.start, len;

	if (have < HEADER)
		return READ_CHUNK;
	len = get_u32(ch->in.data + ch->in.start);
	if (len > IPC_MAX_PAYLOAD || HEADER + len <= have + READ_CHUNK)
		return READ_CHUNK;
	return HEADER + len - have;
}

/* Reads once and handles the whole frames. 0 when there was nothing. */
static int
read_once(struct channel *ch)
{
	union passed_control control;
	struct iovec iov;
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf) };
	ssize_t n;

	iov.iov_len = wanted(ch);
	if (wire_reserve(&ch->in, iov.iov_len) == -1) {
		channel_fail(ch, "out of memory");
		return 0;
	}
	iov.iov_base = ch->in.data + ch->in.end;
	n = recvmsg(ch->fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n == -1) {
		if (errno != EAGAIN && errno != EINTR)
			channel_fail(ch, strerror(errno));
		return 0;
	}
	if (n == 0) {
		channel_fail(ch, channel_closed);
		return 0;
	}
	ch->in.end += (size_t)n;
	take_fds(ch, &msg);
	ch->depth++;
	while (ch->dead == NULL && !ch->freed && take_frame(ch))
		continue;
	ch->depth--;
	return 1;
}

static void
on_readable(evutil_socket_t sock, short what, void *arg)
{
	struct channel *ch = arg;

	read_once(ch);
	if (ch->freed)
		channel_destroy(ch);
	else if (ch->dead == NULL)
		grant_credit(ch);
}

void
channel_drain(struct channel *ch)
{
	while (ch->dead == NULL && !ch->freed && read_once(ch))
		continue;
}

/* ---- life ------------------------------------------------------------- */

static int
may_pass(enum process_kind from, enum process_kind to)
{
	for (int type = 0; type < MSG_MAX; type++)
		if (msg_carries_fd((enum msg_type)type) &&
		    msg_may_travel((enum msg_type)type, from, to))
			return 1;
	return 0;
}

struct channel *
channel_new(struct loop *loop, int fd, enum process_kind self,
    enum process_kind peer, uint16_t instance, const struct channel_ops *ops,
    void *ctx)
{
	struct channel *ch;

	if ((ch = calloc(1, sizeof(*ch))) == NULL) {
		close(fd);
		return NULL;
	}
	ch->loop = loop;
	ch->ops = ops;
	ch->ctx = ctx;
	ch->fd = fd;
	ch->self = self;
	ch->peer = peer;
	ch->instance = instance;
	ch->takes_fds = may_pass(peer, self);
	if (!ch->takes_fds)
		passed_refuse(fd);
	ch->credit = CHANNEL_WINDOW;
	loop_deferred_init(&ch->flush, on_flush, ch);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	ch->read_event = event_new(
	    loop_base(loop), fd, EV_READ | EV_PERSIST, on_readable, ch);
	ch->write_event =
	    event_new(loop_base(loop), fd, EV_WRITE, on_writable, ch);
	if (ch->read_event == NULL || ch->write_event == NULL ||
	    event_add(ch->read_event, NULL) == -1) {
		channel_destroy(ch);
		return NULL;
	}
	return ch;
}

void
channel_add_handlers(
    struct channel *ch, channel_handler *const *handlers, void *ctx)
{
	ch->more_handlers = handlers;
	ch->more_ctx = ctx;
}

enum process_kind
channel_peer(const struct channel *ch)
{
	return ch->peer;
}

uint16_t
channel_instance(const struct channel *ch)
{
	return ch->instance;
}

int
channel_fd(const struct channel *ch)
{
	return ch->fd;
}
