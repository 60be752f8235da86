/*
 * Octets of a process that was taken over, as they come through a channel:
 * four octets say who sits at its ends, how the octets are cut and how many
 * descriptors come with the first; the rest is frames. Whole or cut anywhere,
 * the same messages are handled, which are those that a plain walk over the
 * frames finds, and the first frame that breaks a rule ends the channel.
 */
#include <sys/socket.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "ipc/channel.h"
#include "net/loop.h"
#include "regress/fuzz/messages_fields.h"

enum { HEAD = 4, HEADER = 8, TYPE_CREDIT = 0xffff };

/* What has been handled. */
struct tally {
	unsigned handled;
	unsigned fds;
	uint64_t hash;
	int broken;
	enum process_kind self, peer;
};

static void
count(struct tally *t, enum msg_type type, const union ipc_msg *m)
{
	struct ipc_buf again = { 0 };

	require(msg_encode(type, m, &again) == 0);
	t->handled++;
	fuzz_mix(&t->hash, &type, sizeof(type));
	fuzz_mix(&t->hash, again.data, again.len);
	ipc_buf_free(&again);
}

static void
handle(struct tally *t, enum msg_type type, const union ipc_msg *m, int fd)
{
	require(msg_may_travel(type, t->peer, t->self));
	require(msg_carries_fd(type) == (fd != -1));
	if (fd != -1) {
		t->fds++;
		require(close(fd) == 0);
	}
	count(t, type, m);
}

/* A handler for each message. */
#define MESSAGE(name, edges, fd)                                          \
	static void on_##name(                                            \
	    void *ctx, struct channel *ch, const union ipc_msg *m, int f) \
	{                                                                 \
		handle(ctx, MSG_##name, m, f);                            \
	}
#include "ipc/messages.tbl"

static channel_handler *const handlers[MSG_MAX] = {
#define MESSAGE(name, edges, fd) [MSG_##name] = on_##name,
#include "ipc/messages.tbl"
};

static void
on_closed(void *ctx, struct channel *ch, const char *reason)
{
	abort(); /* is told from a turn of the loop, and there is none here */
}

static const struct channel_ops ops = { handlers, on_closed, NULL };

/* Who is at the ends is never decided by what comes through. */
static void
ends(struct tally *t, const uint8_t *data)
{
	t->self = data[0] % PROC_MAX;
	t->peer = data[1] % PROC_MAX;
}

/* Whether the other end may send descriptors at all: else the kernel, if it
 * can, lets none in. */
static int
may_pass(const struct tally *t)
{
	for (int type = 0; type < MSG_MAX; type++)
		if (msg_carries_fd((enum msg_type)type) &&
		    msg_may_travel((enum msg_type)type, t->peer, t->self))
			return 1;
	return 0;
}

static size_t
frame_max(enum process_kind peer)
{
	if (peer == PROC_CONTROL)
		return 128 << 10;
	return peer == PROC_LOCAL ? 4 << 20 : IPC_MAX_PAYLOAD;
}

/* What must come of it, by the rules as channel.c has them at its head. */
static void
walk(struct tally *t, const uint8_t *data, size_t size, unsigned fds)
{
	while (size >= HEADER) {
		struct input in = { data, HEADER };
		size_t len = input_u32(&in);
		enum msg_type type = (enum msg_type)(input_u32(&in) >> 16);
		union ipc_msg m;

		if (len > frame_max(t->peer) || data[6] != 0 || data[7] != 0) {
			t->broken = 1;
			return;
		}
		if (len > size - HEADER)
			return;
		data += HEADER;
		if (type == TYPE_CREDIT) {
			/* nothing was sent, so nothing can be granted */
			if (len != 4 || memcmp(data, "\0\0\0\0", 4) != 0)
				t->broken = 1;
		} else if (!msg_may_travel(type, t->peer, t->self) ||
		    msg_decode(type, data, len, &m) == -1 ||
		    (msg_carries_fd(type) && t->fds == fds))
			t->broken = 1;
		else {
			t->fds += msg_carries_fd(type) != 0;
			count(t, type, &m);
		}
		if (t->broken)
			return;
		data += len;
		size -= HEADER + len;
	}
}

static void
put(int sock, const uint8_t *data, size_t len, unsigned fds)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int) * 3)];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;
	static int null = -1;

	/* a socket would wake the kernel's collector of sockets in sockets */
	if (null == -1)
		require((null = open("/dev/null", O_RDONLY)) != -1);
	if (fds > 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * fds);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * fds);
		for (unsigned i = 0; i < fds; i++)
			memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &null,
			    sizeof(int));
	}
	require(sendmsg(sock, &msg, MSG_NOSIGNAL) == (ssize_t)len);
}

static void
play(struct tally *t, const uint8_t *data, size_t size, size_t step,
    unsigned fds)
{
	static struct loop *loop;
	struct channel *ch;
	size_t len;
	int pair[2];

	if (loop == NULL)
		require((loop = loop_new()) != NULL);
	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	ch = channel_new(loop, pair[0], t->self, t->peer, 0, &ops, t);
	require(ch != NULL);
	for (; size > 0 && !channel_was_broken(ch); data += len, size -= len) {
		len = step < size ? step : size;
		put(pair[1], data, len, fds);
		fds = 0;
		channel_drain(ch);
	}
	t->broken = channel_was_broken(ch);
	channel_free(ch);
	close(pair[1]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tally expected = { 0 }, whole = { 0 }, pieces = { 0 };
	unsigned fds;

	if (size <= HEAD || size > 60000)
		return 0;
	ends(&expected, data);
	ends(&whole, data);
	ends(&pieces, data);
	fds = may_pass(&expected) ? data[3] & 3 : 0;
	walk(&expected, data + HEAD, size - HEAD, fds);
	play(&whole, data + HEAD, size - HEAD, size, fds);
	play(&pieces, data + HEAD, size - HEAD, 1 + data[2] % 64u, fds);
	require(memcmp(&expected, &whole, sizeof(whole)) == 0);
	require(memcmp(&expected, &pieces, sizeof(pieces)) == 0);
	return 0;
}

/* ---- frame by frame --------------------------------------------------- */

static size_t
frame_length(const uint8_t *data, size_t size, size_t at, unsigned index)
{
	struct input in = { data + at, size - at };
	size_t len = input_u32(&in);

	return size - at < HEADER ? 0 : HEADER + len;
}

static size_t
frame_change(
    struct dice *d, uint8_t *frame, size_t len, size_t room, unsigned index)
{
	unsigned type = (unsigned)(frame[4] << 8 | frame[5]);
	const struct message_field *fields;

	if (dice_roll(d, 3) == 0 && room > 64) {
		/* another message that may be sent by somebody */
		type = 1 + dice_roll(d, MSG_MAX - 1);
		fields = message_fields((enum msg_type)type);
		len = message_empty(fields, frame + HEADER, room - HEADER);
	} else if ((fields = message_fields((enum msg_type)type)) == NULL ||
	    len < HEADER)
		return fuzz_octets(frame, len, room);
	else
		len = message_change(
		    fields, d, frame + HEADER, len - HEADER, room - HEADER);
	fuzz_put_number(
	    frame, 4, dice_roll(d, 20) == 0 ? dice_number(d) : (uint64_t)len);
	fuzz_put_number(frame + 4, 2, type);
	fuzz_put_number(frame + 6, 2, 0);
	return HEADER + len;
}

static const struct fuzz_shape frames = { HEAD, frame_length, frame_change };

FUZZ_SHAPED(frames)
