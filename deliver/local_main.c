/*
 * The `local` program: one local delivery, as the recipient. Started by
 * master for each; takes its job from descriptor 3, does it, says what came
 * of it, and ends.
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deliver/local.h"
#include "ipc/channel.h"
#include "net/loop.h"
#include "os/log.h"
#include "os/sandbox.h"

enum { MASTER_FD = 3 };

struct context {
	struct loop *loop;
	struct channel *master;
	struct local_job job;
	struct local_outcome outcome;
};

/* Reading the message, writing and locking files. */
static const int file_syscalls[] = {
	SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(fstat), SCMP_SYS(stat),
	SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(pread64),
	SCMP_SYS(lseek), SCMP_SYS(fsync), SCMP_SYS(fdatasync),
	SCMP_SYS(ftruncate), SCMP_SYS(unlink), SCMP_SYS(unlinkat),
	SCMP_SYS(link), SCMP_SYS(linkat), SCMP_SYS(mkdir), SCMP_SYS(mkdirat),
	SCMP_SYS(uname), SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep),
	SCMP_SYS(geteuid), SCMP_SYS(poll), SCMP_SYS(ppoll),
};

/* ---- outcomes --------------------------------------------------------- */

int
local_done(struct local_outcome *out, enum delivery_status status, int code,
    const char *enhanced, const char *fmt, ...)
{
	va_list ap;

	out->status = status;
	out->code = code;
	strlcpy(out->enhanced, enhanced, sizeof(out->enhanced));
	va_start(ap, fmt);
	vsnprintf(out->text, sizeof(out->text), fmt, ap);
	va_end(ap);
	return status == DELIVERY_OK ? 0 : -1;
}

int
local_error(struct local_outcome *out, const char *what, int error)
{
	const char *enhanced = error == EDQUOT || error == EFBIG ? "4.2.2"
	    : error == ENOSPC					 ? "4.3.1"
								 : "4.3.0";

	return local_done(out, DELIVERY_TEMPFAIL, 451, enhanced, "%s: %s",
	    what, strerror(error));
}

int
local_confine(const char *folder, struct local_outcome *out)
{
	const char *folders[] = { folder, NULL };
	struct sandbox sb = { .folders = folders,
		.syscalls = file_syscalls,
		.syscall_count =
		    sizeof(file_syscalls) / sizeof(file_syscalls[0]),
		.net = SANDBOX_NET_NONE };
	char error[256];

	if (sandbox_enter(&sb, error, sizeof(error)) == 0)
		return 0;
	return local_done(out, DELIVERY_TEMPFAIL, 451, "4.3.0",
	    "cannot enter the sandbox: %s", error);
}

/* ---- the delivery ----------------------------------------------------- */

static int
deliver_mda(const struct local_job *job, struct local_outcome *out)
{
	return local_command(job, job->parameter, out);
}

static int
deliver_file(const struct local_job *job, struct local_outcome *out)
{
	return local_append(job, job->parameter, out);
}

static int
deliver_include(const struct local_job *job, struct local_outcome *out)
{
	int keep = 0;

	return local_list(job, job->parameter, 0, &keep, out);
}

static int
deliver_forward_only(const struct local_job *job, struct local_outcome *out)
{
	return local_done(out, DELIVERY_PERMFAIL, 550, "5.2.1",
	    "this user takes no mail: he has no .forward");
}

static const struct {
	const char *name;
	int (*deliver)(const struct local_job *, struct local_outcome *);
} methods[] = {
	{ "mbox", local_mbox },
	{ "maildir", local_maildir },
	{ "maildir-junk", local_maildir },
	{ "lmtp", local_lmtp },
	{ "lmtp-rcpt-to", local_lmtp },
	{ "mda", deliver_mda },
	{ "command", deliver_mda },
	{ "file", deliver_file },
	{ "include", deliver_include },
	{ "forward", deliver_forward_only },
};

static int
deliver_by_method(const struct local_job *job, struct local_outcome *out)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(methods[i].name, job->method) == 0)
			return methods[i].deliver(job, out);
	return local_done(out, DELIVERY_TEMPFAIL, 451, "4.3.5",
	    "unknown method %s", job->method);
}

static void
deliver(const struct local_job *job, struct local_outcome *out)
{
	char path[4096];
	int keep = 1, rc = 0;

	if (local_is_loop(job)) {
		local_done(out, DELIVERY_PERMFAIL, 550, "5.4.6",
		    "this message has been here before: a forwarding loop");
		return;
	}
	if (job->use_forward) {
		rc = local_has_forward(job, path, sizeof(path), out);
		if (rc == -1)
			return;
		if (rc == 1) {
			keep = 0;
			if (local_list(job, path, 0, &keep, out) == -1)
				return;
			local_done(out, DELIVERY_OK, 250, "2.0.0",
			    "delivered as .forward says");
		}
	}
	if (keep && deliver_by_method(job, out) == -1)
		return;
	if (out->forward.count > 0)
		out->status = DELIVERY_FORWARD;
}

/* ---- the channel ------------------------------------------------------ */

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
	struct local_outcome *out = &c->outcome;
	struct msg_local_result result;

	c->job.user = keep_string(j->user);
	c->job.recipient = keep_string(j->recipient);
	c->job.address = keep_string(j->address);
	c->job.sender = keep_string(j->sender);
	c->job.msgid = j->msgid;
	c->job.size = j->size;
	c->job.body = fd;
	local_done(out, DELIVERY_TEMPFAIL, 451, "4.3.0", "nothing was done");
	deliver(&c->job, out);
	if (out->status != DELIVERY_OK && out->status != DELIVERY_FORWARD)
		ipc_buf_reset(&out->forward);
	result = (struct msg_local_result){ .status = (uint8_t)out->status,
		.code = (uint16_t)out->code,
		.enhanced = out->enhanced,
		.text = out->text,
		.forward = ipc_buf_list(&out->forward) };
	if (ipc_send(ch, local_result, &result) == -1)
		log_error("cannot tell master what came of the delivery");
	channel_flush(ch);
	loop_stop(c->loop);
}

static void
on_closed(void *arg, struct channel *ch, const char *reason)
{
	/* master is gone: nobody would hear of a delivery */
	_exit(1);
}

static channel_handler *const handlers[MSG_MAX] = {
	[MSG_local_job] = on_local_job,
};
static const struct channel_ops master_ops = { handlers, on_closed, NULL };

static enum log_mode
read_arguments(struct local_job *job, int argc, char **argv)
{
	enum log_mode mode = LOG_TO_SYSLOG;
	int opt;

	while ((opt = getopt(argc, argv, "m:p:h:s:n:fd")) != -1) {
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
		case 's':
			job->delimiter = optarg;
			break;
		case 'n':
			job->server_name = optarg;
			break;
		case 'f':
			job->use_forward = 1;
			break;
		case 'd':
			mode = LOG_TO_STDERR;
			break;
		default:
			exit(2);
		}
	}
	return mode;
}

int
main(int argc, char **argv)
{
	struct context c = { .job = { .method = "", .parameter = "",
				 .home = "/", .delimiter = "",
				 .server_name = "localhost" } };
	enum log_mode mode = read_arguments(&c.job, argc, argv);

	log_init("local", mode);
	if (fcntl(MASTER_FD, F_GETFD) == -1) {
		log_error("this program is started by relaisd, not by hand");
		return 2;
	}
	fcntl(MASTER_FD, F_SETFD, FD_CLOEXEC);
	c.job.mail_gid = getegid();
	if (setegid(getgid()) == -1)
		log_fatal("setegid: %s", strerror(errno));
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if ((c.loop = loop_new()) == NULL ||
	    (c.master = channel_new(c.loop, MASTER_FD, PROC_LOCAL, PROC_MASTER,
		 0, &master_ops, &c)) == NULL)
		log_fatal("out of memory");
	loop_run(c.loop);
	return 0;
}
