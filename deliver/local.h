/*
 * What the files of the `local` program share. It runs as one recipient and
 * delivers messages one after the other, to one place; it may be simple. Its
 * arguments come from master and are trusted; the messages and their
 * envelopes are not.
 */
#ifndef DELIVER_LOCAL_H
#define DELIVER_LOCAL_H

#include <sys/types.h>

#include <stdint.h>

#include "ipc/messages.h"

/* What stays from one message to the next: the place was opened, and all else
 * was given up, for the first. */
struct local_place {
	int confined;
	/* maildir: where new, tmp and cur are, and new itself, or -1; the
	 * second is the folder for junk */
	struct {
		int folder;
		int incoming;
	} box[2];
};

struct local_job {
	/* from the arguments */
	const char *method;
	const char *parameter;
	const char *home; /* with the .forward */
	const char *directory; /* %{user.directory} */
	const char *delimiter; /* of sub-addresses, "" for none */
	const char *server_name; /* what this host calls itself */
	int use_forward;
	int deadline; /* of a command, seconds */
	gid_t mail_gid; /* of the mail folder, for local_mbox alone */
	struct local_place *place;
	/* from master's message; the strings are our own */
	char *user;
	char *recipient; /* as it was accepted */
	char *address; /* as it was expanded */
	char *sender; /* "" is the null sender */
	uint32_t msgid;
	uint32_t flags; /* enum mail_flag */
	int body; /* positioned reads only */
	uint64_t size;
	uint32_t crc; /* crc32 of gzip */
	struct local_draft *draft;
};

/* A file of a Maildir that is written, but neither synced nor in place. */
struct local_draft {
	int fd; /* -1: none */
	int box;
	char name[512];
};

struct local_outcome {
	enum delivery_status status;
	int code;
	char enhanced[12];
	char text[512];
	unsigned lists; /* read for it so far */
	unsigned items; /* found in them */
	int kept; /* delivered here, whatever is forwarded besides */
	struct ipc_buf forward; /* list of forward_dest */
};

/* Each delivers and fills in the outcome; 0 if that is success. */
int local_mbox(const struct local_job *, struct local_outcome *);
/* A file in mbox form, or the Maildir that a path with a slash at its end
 * names, without giving up anything. */
int local_file(
    const struct local_job *, const char *path, struct local_outcome *);
/* Success means a draft; local_maildir_settle then makes those of a batch
 * durable together, or turns their outcomes into failures. */
int local_maildir(const struct local_job *, struct local_outcome *);
/* One message, durable at once. */
int local_maildir_at(
    const struct local_job *, const char *path, struct local_outcome *);
void local_maildir_settle(
    const struct local_job *, struct local_outcome *, size_t count);
int local_lmtp(const struct local_job *, struct local_outcome *);
/* The command of an action, with its formats. */
int local_mda(const struct local_job *, struct local_outcome *);
/* One of an alias or a list, as it stands there: what comes from strangers is
 * in its environment. */
int local_command(
    const struct local_job *, const char *command, struct local_outcome *);
/* A list of destinations, from ~/.forward or an :include: file. Commands and
 * files are done here, once all of it is read, addresses go to
 * outcome->forward. *keep is set when the user's own mailbox is among them, or
 * when it names nobody at all. An item that fails for good does not keep the
 * others from theirs: what it said goes to outcome->forward too, and only where
 * nothing else is done does it fail the delivery. So does one of a ~/.forward
 * that fails for now. Where `item` is the mark of one of them, that is done and
 * no other; else, and if it is there no more, all is. */
int local_list(const struct local_job *, const char *path, uint32_t item,
    int *keep, struct local_outcome *);
/* Whether nobody but root and we can have written what is open there. */
int local_is_own_file(int fd);
/* After a ~/.forward the user's own mailbox has failed, as the outcome says: 0
 * if something else was done, so that it is one item more that has failed,
 * else -1. */
int local_mailbox_failed(struct local_outcome *);
/* Whether what goes to this file is thrown away: it counts as delivered, and
 * nothing is opened. */
int local_discards(const char *path);
/* Whether there is a ~/.forward, or one is being written, or it cannot be told.
 * All that this does is allowed after local_confine, unlike the look into it.
 */
int local_finds_forward(const struct local_job *);
/* Whether the user has a usable ~/.forward: 1, 0, or -1 with an outcome. */
int local_has_forward(
    const struct local_job *, char *path, size_t size, struct local_outcome *);

/* How the copy of a message is to look. */
enum copy_style {
	COPY_MBOX = 1 << 0, /* From line, quoted From lines, an empty line */
	COPY_FROM = 1 << 1, /* From line */
	COPY_MAIL_ONLY = 0
};
/* Writes Return-Path, Delivered-To and the message with LF line ends. 0, or
 * -1 with errno. */
int local_copy(const struct local_job *, int fd, unsigned style);
/* Makes the name of a file or folder that was made durable: syncs the folder
 * that it is in. One that may be written and not read cannot be synced, and is
 * left to the file system. 0, or -1 with errno: EINVAL where the file system
 * cannot sync folders at all. */
int local_sync_name(const char *path);
/* 1 if the message passed through this address already. */
int local_is_loop(const struct local_job *);

/* Milliseconds, of a clock that nobody sets. */
int64_t local_now(void);

/* Sets an outcome and returns 0 for success, else -1. */
int local_done(struct local_outcome *, enum delivery_status, int code,
    const char *enhanced, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* The outcome of a failed system call on a mailbox. */
int local_error(struct local_outcome *, const char *what, int error);

/* Gives up all but files below `folder`, or all files if that is NULL, for a
 * method that runs no program; the first time only. What is open stays
 * usable. */
int local_confine(
    const struct local_job *, const char *folder, struct local_outcome *);

#endif
