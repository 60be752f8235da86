/*
 * Frames between processes as octets of a socket: however they are cut, the
 * owner sees the same messages and the channel ends for the same reason.
 * Input: a seed for the cuts in one octet, then what the peer sends.
 */
#include <sys/socket.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "ipc/channel.h"
#include "net/loop.h"
#include "os/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct owner {
	struct loop *loop;
	struct channel *ch;
	struct ipc_buf seen; /* type and payload of all messages */
	const char *reason;
	int was_broken;
};

static void
note(struct owner *o, uint16_t type, const void *m)
{
	struct ipc_buf buf = { 0 };

	if (msg_encode((enum msg_type)type, m, &buf) == -1)
		abort();
	ipc_buf_put(&o->seen, &type, sizeof(type));
	ipc_buf_put(&o->seen, buf.data, buf.len);
	ipc_buf_free(&buf);
}

#define RECORD(name)
#define END_RECORD(name)
#define MESSAGE(name, edges, fd)                                               \
	static void on_##name(                                                 \
	    void *ctx, struct channel *ch, const union ipc_msg *m, int passed) \
	{                                                                      \
		if (passed != -1 ||                                            \
		    !msg_may_travel(MSG_##name, PROC_SMTPD, PROC_QUEUE))       \
			abort();                                               \
		note(ctx, MSG_##name, &m->name);                               \
	}
#define END(name)
#define U8(f)
#define U16(f)
#define U32(f)
#define U64(f)
#define STR(f, limit)
#define BLOB(f, limit)
#define LIST(f, record, limit)
#include "ipc/messages.tbl"

static channel_handler *const handlers[MSG_MAX] = {
#define RECORD(name)
#define END_RECORD(name)
#define MESSAGE(name, edges, fd) [MSG_##name] = on_##name,
#define END(name)
#define U8(f)
#define U16(f)
#define U32(f)
#define U64(f)
#define STR(f, limit)
#define BLOB(f, limit)
#define LIST(f, record, limit)
#include "ipc/messages.tbl"
};

static void
on_closed(void *ctx, struct channel *ch, const char *reason)
{
	struct owner *o = ctx;

	o->reason = reason;
	o->was_broken = channel_was_broken(ch);
	o->ch = NULL;
	channel_free(ch);
	loop_stop(o->loop);
}

static const struct channel_ops ops = { handlers, on_closed, NULL };

static void
on_stop(evutil_socket_t fd, short what, void *loop)
{
	loop_stop(loop);
}

/* Lets the owner read what is there. */
static void
turn(struct owner *o)
{
	event_base_once(loop_base(o->loop), -1, EV_TIMEOUT, on_stop, o->loop,
	    &(struct timeval){ 0, 0 });
	loop_run(o->loop);
}

/* dice NULL: in one piece */
static void
play(struct owner *o, const uint8_t *data, size_t size, unsigned *dice)
{
	size_t n = size;
	int sv[2];

	memset(o, 0, sizeof(*o));
	if ((o->loop = loop_new()) == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == -1)
		abort();
	o->ch = channel_new(o->loop, sv[0], PROC_QUEUE, PROC_SMTPD, 0, &ops, o);
	for (; size > 0 && o->ch != NULL; data += n, size -= n) {
		if (dice != NULL) {
			*dice = *dice * 1103515245 + 12345;
			n = 1 + (*dice >> 16) % 40;
		}
		if (n > size)
			n = size;
		if (send(sv[1], data, n, MSG_NOSIGNAL) != (ssize_t)n)
			break;
		turn(o);
	}
	close(sv[1]);
	while (o->ch != NULL)
		turn(o);
	loop_free(o->loop);
}

static void
discard(void *arg, int priority, const char *line)
{
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct owner whole, cut;
	unsigned dice = size > 0 ? data[0] : 0;

	/* more than a socket's buffer could stop the sender, who is us */
	if (size < 2 || size > 65536)
		return 0;
	log_set_sink(discard, NULL);
	play(&whole, data + 1, size - 1, NULL);
	play(&cut, data + 1, size - 1, &dice);
	if (whole.seen.len != cut.seen.len ||
	    (cut.seen.len > 0 &&
		memcmp(whole.seen.data, cut.seen.data, cut.seen.len) != 0) ||
	    whole.was_broken != cut.was_broken)
		abort();
	ipc_buf_free(&whole.seen);
	ipc_buf_free(&cut.seen);
	return 0;
}
