/*
 * A channel: one end of a Unix stream socket between two processes, with
 * messages in frames, descriptors beside them, and credit.
 *
 * Credit bounds what one side can pile up in the other: a sender may have
 * CHANNEL_WINDOW octets outstanding, and the receiver grants more as it gets
 * through them. A receiver that wants to slow its producer holds back credit
 * (channel_hold); a producer asks channel_congested before it makes more work
 * and is told when that ends. Answers are never refused, so two sides that
 * are both out of credit cannot wait for each other.
 *
 * A malformed frame, a message that may not travel this edge, or a descriptor
 * too many or too few closes the channel: the other end is then not to be
 * trusted, and whoever owns the channel decides what follows.
 */
#ifndef IPC_CHANNEL_H
#define IPC_CHANNEL_H

#include "ipc/messages.h"

struct channel;
struct loop;

#define CHANNEL_WINDOW (4u << 20)
/* Of that, what messages without haste may take; see channel_busy. */
#define CHANNEL_BULK (512u << 10)

/*
 * One handler for each message type that the owner expects. fd is -1 or a
 * descriptor that now belongs to the handler. msg lives until the handler
 * returns. A type without a handler is a forbidden message.
 */
typedef void channel_handler(
    void *ctx, struct channel *, const union ipc_msg *msg, int fd);

struct channel_ops {
	channel_handler *const *handlers; /* MSG_MAX of them */
	/* The channel is dead; reason is for the log. Free it here. */
	void (*closed)(void *ctx, struct channel *, const char *reason);
	/* Congestion is over, or the channel no longer busy. May be NULL. */
	void (*writable)(void *ctx, struct channel *);
};

/* Takes fd, which must be a stream socket, and makes it non-blocking. ops and
 * ctx must outlive the channel. NULL without memory; fd is then closed. */
struct channel *channel_new(struct loop *, int fd, enum process_kind self,
    enum process_kind peer, uint16_t instance, const struct channel_ops *,
    void *ctx);
/* A second table of handlers with a context of its own: a type that the first
 * table lacks is looked up here. */
void channel_add_handlers(
    struct channel *, channel_handler *const *handlers, void *ctx);
/* Closes and frees, also from inside a handler of the channel. */
void channel_free(struct channel *);

enum process_kind channel_peer(const struct channel *);
uint16_t channel_instance(const struct channel *);
int channel_fd(const struct channel *);

/*
 * Queues a message; it leaves at the end of the turn. fd is -1 or is taken.
 * -1 if the message breaks a limit of the table, memory is out, or the channel
 * is NULL, as one that was lost is: nothing was queued then. Use the typed
 * form, which the compiler checks:
 *	ipc_send(channel, rcpt_check, &m);
 */
int channel_send(struct channel *, enum msg_type, const void *msg, int fd);
#define ipc_send_fd(ch, name, m, fd) \
	channel_send(                \
	    (ch), MSG_##name, (1 ? (m) : (const struct msg_##name *)0), (fd))
#define ipc_send(ch, name, m) ipc_send_fd(ch, name, m, -1)

/* Whether it can still carry messages; false for NULL and for one whose
 * `closed` is to follow. */
int channel_is_open(const struct channel *);
/* Whether the peer is behind: make no new work for it until `writable`. */
int channel_congested(const struct channel *);
/* Whether so much is under way that bulk data should wait, lest a message
 * with haste stand in line behind it; `writable` says when that ends. */
int channel_busy(struct channel *);
/* Writes now what can be written, instead of at the end of the turn. */
void channel_flush(struct channel *);

/* Handles what the other end had sent before it went away: for the owner of a
 * process that has just been reaped. */
void channel_drain(struct channel *);

/* For a handler: what the message says breaks the rules, so that the other
 * end is not to be trusted. `closed` follows; reason must be a literal. */
void channel_refuse(struct channel *, const char *reason);
/* The reason in `closed` when the other end just went away. */
extern const char channel_closed[];
/* In `closed`: whether the other end broke the rules. */
int channel_was_broken(const struct channel *);

/* Keeps back `octets` of credit from the peer until they are released. */
void channel_hold(struct channel *, size_t octets);
void channel_release(struct channel *, size_t octets);

#endif
