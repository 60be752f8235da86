/*
 * The `local` program: local deliveries as one recipient. Started by master;
 * takes jobs from descriptor 3, does each, says what came of it, and ends
 * when the descriptor does.
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libdeflate.h>

#include "deliver/local.h"
#include "ipc/channel.h"
#include "net/loop.h"
#include "os/journal.h"
#include "os/log.h"
#include "os/signals.h"

enum { MASTER_FD = 3, BATCH_MAX = 64 };

struct context {
	struct loop *loop;
	struct channel *master;
	struct local_job job; /* what all jobs have in common */
	struct local_place place;
	uint32_t item; /* the mark of one of the .forward; 0: all */
	int many; /* takes one message after the other */
	/* what has come in a turn of the loop, delivered at its end */
	struct loop_deferred deferred;
	struct local_job jobs[BATCH_MAX];
	struct local_draft drafts[BATCH_MAX];
	struct local_outcome outs[BATCH_MAX];
	size_t count;
};

/* ---- the delivery ----------------------------------------------------- */

static int
deliver_command(const struct local_job *job, struct local_outcome *out)
{
	return local_command(job, job->parameter, out);
}

static int
deliver_file(const struct local_job *job, struct local_outcome *out)
{
	if (local_discards(job->parameter))
		return local_done(
		    out, DELIVERY_OK, 250, "2.0.0", "discarded: /dev/null");
	return local_file(job, job->parameter, out);
}

static int
deliver_include(const struct local_job *job, struct local_outcome *out)
{
	int keep;

	if (local_list(job, job->parameter, 0, &keep, out) == -1)
		return -1;
	return keep ? local_done(out, DELIVERY_TEMPFAIL, 451, "4.3.5",
			  "%s names nobody", job->parameter)
		    : 0;
}

static int
deliver_nothing(const struct local_job *job, struct local_outcome *out)
{
	return local_done(out, DELIVERY_PERMFAIL, 550, "5.2.1",
	    "this user takes no mail: he has no .forward");
}

/* many: to one place, so that a process can do one after the other. */
static const struct method {
	const char *name;
	int (*deliver)(const struct local_job *, struct local_outcome *);
	int many;
} methods[] = {
	{ "mbox", local_mbox, 1 },
	{ "maildir", local_maildir, 1 },
	{ "maildir-junk", local_maildir, 1 },
	{ "lmtp", local_lmtp, 0 },
	{ "lmtp-rcpt-to", local_lmtp, 0 },
	{ "mda", local_mda, 0 },
	{ "command", deliver_command, 0 },
	{ "file", deliver_file, 1 },
	{ "include", deliver_include, 0 },
	{ "forward-only", deliver_nothing, 0 },
	{ "expand-only", deliver_nothing, 0 },
};

static const struct method *
find_method(const char *name)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(methods[i].name, name) == 0)
			return &methods[i];
	return NULL;
}

static int
deliver_by_method(const struct local_job *job, struct local_outcome *out)
{
	const struct method *m = find_method(job->method);

	if (m != NULL)
		return m->deliver(job, out);
	return local_done(out, DELIVERY_TEMPFAIL, 451, "4.3.5",
	    "unknown method %s", job->method);
}

/* A place that follows the sender or the message is another each time. */
static int
place_varies(const char *format)
{
	static const char *const fixed[] = { "%{user.", "%{dest" };

	for (; (format = strstr(format, "%{")) != NULL; format++)
		if (strncmp(format, fixed[0], strlen(fixed[0])) != 0 &&
		    strncmp(format, fixed[1], strlen(fixed[1])) != 0)
			return 1;
	return 0;
}

static int
takes_many(const struct local_job *job)
{
	const struct method *m = find_method(job->method);

	return m != NULL && m->many && !place_varies(job->parameter);
}

/* Be it empty or not to be obeyed: a process of its own looks into it. */
static int
finds_forward(const struct local_job *job)
{
	return job->use_forward && local_finds_forward(job);
}

/* Reads the body from its start to its end. -1 with an outcome if it cannot be
 * read, or is damaged: nothing of it may be delivered. */
static int
check_body(const struct local_job *job, struct local_outcome *out)
{
	static char block[64 * 1024];
	uint32_t sum = libdeflate_crc32(0, NULL, 0);
	uint64_t at = 0;
	ssize_t n;

	while ((n = pread(job->body, block, sizeof(block), (off_t)at)) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return local_error(out, "the spool", errno);
		sum = libdeflate_crc32(sum, block, (size_t)n);
		at += (uint64_t)n;
	}
	if (at == job->size && sum == job->crc)
		return 0;
	return local_done(out, DELIVERY_DAMAGED, 451, "4.3.0",
	    "the body in the spool is damaged");
}

/* Of a message that comes alone it is told at once whether it has a place. */
static int
deliver_now(const struct context *c, const struct local_job *job,
    struct local_outcome *out)
{
	if (deliver_by_method(job, out) == -1)
		return -1;
	if (!c->many)
		local_maildir_settle(job, out, 1);
	return out->status == DELIVERY_OK ? 0 : -1;
}

static void
deliver(const struct context *c, const struct local_job *job,
    struct local_outcome *out)
{
	char path[4096];
	int keep = 1, rc = 0;

	out->kept = 0;
	out->lists = out->items = 0;
	if (check_body(job, out) == -1)
		return;
	if (local_is_loop(job)) {
		local_done(out, DELIVERY_PERMFAIL, 550, "5.4.6",
		    "this message has been here before: a forwarding loop");
		return;
	}
	if (job->use_forward && !c->many) {
		rc = local_has_forward(job, path, sizeof(path), out);
		if (rc == -1)
			return;
		if (rc == 1) {
			if (local_list(job, path, c->item, &keep, out) == -1)
				return;
		}
	}
	if (keep && deliver_now(c, job, out) == -1) {
		if (rc != 1 || local_mailbox_failed(out) == -1)
			return;
	} else if (keep && strcmp(job->method, "include") != 0)
		/* of a list its own items tell */
		out->kept = KEPT_MAILBOX;
	if (out->forward.count > 0)
		out->status = DELIVERY_FORWARD;
}

/* ---- the channel ------------------------------------------------------ */

static void
answer(struct context *c, struct local_job *job, struct local_outcome *out)
{
	struct msg_local_result result;

	if (out->status != DELIVERY_OK && out->status != DELIVERY_FORWARD)
		ipc_buf_reset(&out->forward);
	result = (struct msg_local_result){ .status = (uint8_t)out->status,
		.code = (uint16_t)out->code,
		.enhanced = out->enhanced,
		.text = out->text,
		.kept = (uint8_t)out->kept,
		.forward = ipc_buf_list(&out->forward) };
	if (ipc_send(c->master, local_result, &result) == -1) {
		/* it would take the next one for the answer to this job */
		log_error("cannot tell master what came of the delivery");
		channel_flush(c->master);
		_exit(1);
	}
	ipc_buf_reset(&out->forward);
	close(job->body);
	free(job->user);
	free(job->recipient);
	free(job->address);
	free(job->sender);
}

/* What is not answered is for another process to do. Answers that master has
 * not read yet are so few and small that the socket takes them. */
static void
hand_back(struct context *c)
{
	const struct msg_local_ready none = { .more = 0 };

	ipc_send(c->master, local_ready, &none);
	channel_flush(c->master);
	_exit(0);
}

static void
deliver_batch(struct context *c)
{
	size_t n = 0;
	int failed = 0;

	while (n < c->count && !failed) {
		local_done(&c->outs[n], DELIVERY_TEMPFAIL, 451, "4.3.0",
		    "nothing was done");
		deliver(c, &c->jobs[n], &c->outs[n]);
		failed = c->outs[n++].status == DELIVERY_TEMPFAIL;
	}
	local_maildir_settle(c->jobs, c->outs, n);
	for (size_t i = 0; i < n; i++)
		answer(c, &c->jobs[i], &c->outs[i]);
	channel_flush(c->master);
	if (c->many && failed)
		hand_back(c); /* we may be shut up in a place that is gone */
	/* else master closes the channel when it has all of the answer, which
	 * may be more than a socket takes at a time */
	c->count = 0;
}

/* A message with a descriptor comes alone: what else has been sent makes the
 * batch worth its syncs. */
static void
on_turn_end(void *arg)
{
	struct context *c = arg;

	channel_drain(c->master);
	/* we can no longer do what it says */
	if (c->many && finds_forward(&c->job))
		hand_back(c);
	deliver_batch(c);
}

static char *
keep_string(const char *s)
{
	char *copy = strdup(s);

	if (copy == NULL)
		log_fatal("out of memory");
	return copy;
}

static void
on_local_job(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	const struct msg_local_job *j = &m->local_job;
	struct context *c = arg;
	struct local_job *job;

	if (c->count == BATCH_MAX)
		deliver_batch(c);
	job = &c->jobs[c->count];
	*job = c->job;
	job->user = keep_string(j->user);
	job->recipient = keep_string(j->recipient);
	job->address = keep_string(j->address);
	job->sender = keep_string(j->sender);
	job->msgid = j->msgid;
	job->flags = j->flags;
	job->size = j->size;
	job->crc = j->crc;
	job->body = fd;
	job->draft = &c->drafts[c->count++];
	job->draft->fd = -1;
	loop_defer(c->loop, &c->deferred);
}

static void
on_closed(void *arg, struct channel *ch, const char *reason)
{
	/* no more to do; or master is gone, and nobody would hear of it */
	_exit(0);
}

static channel_handler *const handlers[MSG_MAX] = {
	[MSG_local_job] = on_local_job,
};
static const struct channel_ops master_ops = { handlers, on_closed, NULL };

/* Where lines of the log go. */
enum log_place { TO_SYSLOG, TO_STDERR, TO_JOURNAL };

static enum log_place
read_arguments(struct local_job *job, uint32_t *item, int argc, char **argv)
{
	enum log_place place = TO_SYSLOG;
	int opt;

	while ((opt = getopt(argc, argv, "m:p:h:H:s:n:t:i:fdj")) != -1) {
		switch (opt) {
		case 'm':
			job->method = optarg;
			break;
		case 'p':
			job->parameter = optarg;
			break;
		case 'h':
			job->home = optarg;
			break;
		case 'H':
			job->directory = optarg;
			break;
		case 's':
			job->delimiter = optarg;
			break;
		case 'n':
			job->server_name = optarg;
			break;
		case 't':
			job->deadline = atoi(optarg);
			break;
		case 'f':
			job->use_forward = 1;
			break;
		case 'i':
			*item = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'd':
			place = TO_STDERR;
			break;
		case 'j':
			place = TO_JOURNAL;
			break;
		default:
			exit(2);
		}
	}
	return place;
}

int
main(int argc, char **argv)
{
	static struct context c;
	struct msg_local_ready ready;
	enum log_place place;

	c.place = (struct local_place){ .box = { { -1, -1 }, { -1, -1 } } };
	c.job = (struct local_job){ .method = "",
		.parameter = "",
		.home = "/",
		.directory = "/",
		.delimiter = "",
		.server_name = "localhost",
		.mail_gid = getegid(),
		.place = &c.place };
	place = read_arguments(&c.job, &c.item, argc, argv);
	if (place == TO_JOURNAL)
		journal_init("local");
	else
		log_init("local",
		    place == TO_STDERR ? LOG_TO_STDERR : LOG_TO_SYSLOG);
	tzset(); /* the sandbox keeps files from whoever comes later */
	if (fcntl(MASTER_FD, F_GETFD) == -1) {
		log_error("this program is started by relaisd, not by hand");
		return 2;
	}
	fcntl(MASTER_FD, F_SETFD, FD_CLOEXEC);
	if (setegid(getgid()) == -1)
		log_fatal("setegid: %s", strerror(errno));
	umask(077);
	/* a stop ends commands; half a message is never left in a mailbox */
	signals_ignore();
	signal(SIGXFSZ, SIG_IGN);
	if ((c.loop = loop_new()) == NULL ||
	    (c.master = channel_new(c.loop, MASTER_FD, PROC_LOCAL, PROC_MASTER,
		 0, &master_ops, &c)) == NULL)
		log_fatal("out of memory");
	loop_deferred_init(&c.deferred, on_turn_end, &c);
	c.many = takes_many(&c.job) && !finds_forward(&c.job);
	ready.more = (uint8_t)c.many;
	ipc_send(c.master, local_ready, &ready);
	loop_run(c.loop);
	return 0;
}
