/*
 * Handing one message to one local user: resolve who that is, fork, become
 * the user, execute `local` with a channel on descriptor 3, and pass on what
 * it says. A `local` runs as its recipient, who may do anything to it: what
 * it answers counts for this delivery and nothing else.
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/master.h"
#include "master/recipient.h"
#include "net/loop.h"
#include "os/log.h"

enum {
	DEADLINE_SECONDS = 30 * 60,
	CHANNEL_FD = 3,
	JOBS_MAX = 200 /* the scheduler keeps far below */
};

struct job {
	LIST_ENTRY(job) entry;
	struct hand_off *owner;
	uint64_t id; /* of the queue's local_delivery */
	pid_t pid;
	struct channel *channel;
	struct event *deadline;
	int answered;
};

struct hand_off {
	struct master *master;
	LIST_HEAD(, job) jobs;
	unsigned count;
};

static void
answer(struct hand_off *h, const struct msg_local_done *done)
{
	struct child *queue = supervise_child(h->master, PROC_QUEUE, 0);

	/* a queue that has been restarted since will try again itself */
	if (queue != NULL && queue->channel != NULL &&
	    ipc_send(queue->channel, local_done, done) == -1)
		log_warn("the result of a local delivery could not be sent");
}

static void
answer_failure(struct hand_off *h, uint64_t id, int code, const char *text)
{
	struct msg_local_done done = { .id = id,
		.code = (uint16_t)code,
		.enhanced = code >= 500 ? "5.1.1" : "4.3.0",
		.status = code >= 500 ? DELIVERY_PERMFAIL : DELIVERY_TEMPFAIL,
		.text = text };

	answer(h, &done);
}

/* ---- the child -------------------------------------------------------- */

static int
become(const struct master *m, const struct recipient *r)
{
	struct group *gr;
	gid_t gid = r->gid;

	if (!m->privileged)
		return 0;
	if (r->system_user ? initgroups(r->name, r->gid) == -1
			   : setgroups(1, &r->gid) == -1)
		return -1;
	/* the mail folder is writable by this group: local takes it for the
	 * mailbox alone and never hands it to a command */
	if (r->mail_group && (gr = getgrnam("mail")) != NULL)
		gid = gr->gr_gid;
	if (setresgid(r->gid, gid, gid) == -1 ||
	    setresuid(r->uid, r->uid, r->uid) == -1)
		return -1;
	if (r->uid != 0 && setuid(0) != -1)
		return -1;
	return 0;
}

static void
exec_local(const struct master *m, const struct recipient *r, int fd)
{
	char path[4096], home[RECIPIENT_PATH + 8], user[80], logname[80];
	char method[32], parameter[RECIPIENT_PATH], delimiter[8];
	const char *argv[14] = { path, "-m", method, "-p", parameter, "-h",
		r->home, "-s", delimiter, "-n", m->conf->server_name };
	const char *env[] = { home, user, logname, "SHELL=/bin/sh",
		"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8", NULL };
	sigset_t none;
	size_t n = 11;

	if (r->system_user)
		argv[n++] = "-f";
	if (m->options.foreground)
		argv[n++] = "-d";
	snprintf(path, sizeof(path), "%s/local", m->conf->paths.libexec);
	snprintf(home, sizeof(home), "HOME=%s", r->home);
	snprintf(user, sizeof(user), "USER=%s", r->name);
	snprintf(logname, sizeof(logname), "LOGNAME=%s", r->name);
	snprintf(delimiter, sizeof(delimiter), "%s",
	    m->conf->smtp.sub_addr_delim ? m->conf->smtp.sub_addr_delim : "");
	strlcpy(method, r->method, sizeof(method));
	strlcpy(parameter, r->parameter, sizeof(parameter));

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (fd == CHANNEL_FD)
		fcntl(fd, F_SETFD, 0);
	else if (dup2(fd, CHANNEL_FD) == -1)
		_exit(127);
	closefrom(CHANNEL_FD + 1);
	if (setsid() == -1 || become(m, r) == -1) {
		log_error("becoming %s: %s", r->name, strerror(errno));
		_exit(127);
	}
	if (chdir(r->home) == -1 && chdir("/") == -1)
		_exit(127);
	execve(path, (char *const *)argv, (char *const *)env);
	log_error("%s: %s: is `set libexec` right?", path, strerror(errno));
	_exit(127);
}

static pid_t
spawn_local(const struct master *m, const struct recipient *r, int *fd)
{
	int sv[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		return -1;
	if ((pid = fork()) == 0)
		exec_local(m, r, sv[1]);
	close(sv[1]);
	if (pid == -1)
		close(sv[0]);
	else
		*fd = sv[0];
	return pid;
}

/* ---- a job ------------------------------------------------------------ */

static void
job_free(struct job *j)
{
	LIST_REMOVE(j, entry);
	j->owner->count--;
	channel_free(j->channel);
	if (j->deadline != NULL)
		event_free(j->deadline);
	free(j);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct job *j = arg;

	log_warn("a local delivery (pid %d) takes longer than %d minutes: "
		 "ending it",
	    (int)j->pid, DEADLINE_SECONDS / 60);
	kill(-j->pid, SIGKILL);
}

static void
on_local_result(void *arg, struct channel *ch, const union ipc_msg *msg,
    int fd)
{
	const struct msg_local_result *r = &msg->local_result;
	struct job *j = arg;
	struct msg_local_done done = { .id = j->id,
		.status = r->status,
		.code = r->code,
		.enhanced = r->enhanced,
		.text = r->text,
		.forward = r->forward };

	if (j->answered || r->status >= DELIVERY_STATUS_MAX)
		return;
	j->answered = 1;
	answer(j->owner, &done);
}

static void
on_closed(void *arg, struct channel *ch, const char *reason)
{
	struct job *j = arg;

	/* the process is reaped, and the job ended, by its pid */
	j->channel = NULL;
	channel_free(ch);
}

static channel_handler *const local_handlers[MSG_MAX] = {
	[MSG_local_result] = on_local_result,
};
static const struct channel_ops local_ops = { local_handlers, on_closed,
	NULL };

static int
job_start(struct hand_off *h, const struct msg_local_delivery *d,
    const struct recipient *r, int body)
{
	struct msg_local_job job = { .msgid = d->msgid,
		/* with `user`, who is delivered to is not who does it */
		.user = d->kind == DEST_USER ? d->user : r->name,
		.recipient = d->recipient,
		.address = d->address,
		.sender = d->sender,
		.size = d->size };
	struct timeval tv = { DEADLINE_SECONDS, 0 };
	struct job *j;
	int fd = -1;

	if ((j = calloc(1, sizeof(*j))) == NULL) {
		close(body);
		return -1;
	}
	LIST_INSERT_HEAD(&h->jobs, j, entry);
	h->count++;
	j->owner = h;
	j->id = d->id;
	j->deadline = evtimer_new(loop_base(h->master->loop), on_deadline, j);
	if (j->deadline == NULL || event_add(j->deadline, &tv) == -1 ||
	    (j->pid = spawn_local(h->master, r, &fd)) == -1) {
		close(body);
		job_free(j);
		return -1;
	}
	j->channel = channel_new(h->master->loop, fd, PROC_MASTER, PROC_LOCAL,
	    0, &local_ops, j);
	if (j->channel == NULL) {
		close(body);
		kill(j->pid, SIGKILL);
		return 0;
	}
	ipc_send_fd(j->channel, local_job, &job, body);
	return 0;
}

void
hand_off_deliver(struct hand_off *h, const struct msg_local_delivery *d,
    int fd)
{
	struct recipient r;
	char error[256] = "";
	int code;

	if (h->count >= JOBS_MAX) {
		close(fd);
		answer_failure(h, d->id, 451, "too many local deliveries");
		return;
	}
	code = recipient_resolve(h->master, d, &r, error, sizeof(error));
	if (code != 0) {
		close(fd);
		answer_failure(h, d->id, code, error);
	} else if (job_start(h, d, &r, fd) == -1)
		answer_failure(h, d->id, 451, "cannot start a delivery");
}

int
hand_off_reaped(struct hand_off *h, pid_t pid, int status)
{
	struct job *j;

	LIST_FOREACH(j, &h->jobs, entry)
		if (j->pid == pid)
			break;
	if (j == NULL)
		return 0;
	/* its answer may still wait in the socket: that is read first */
	if (j->channel != NULL && !j->answered)
		channel_drain(j->channel);
	if (!j->answered)
		answer_failure(h, j->id, 451,
		    WIFSIGNALED(status) ? "the delivery was killed"
					: "the delivery ended without a result");
	job_free(j);
	return 1;
}

struct hand_off *
hand_off_new(struct master *m)
{
	struct hand_off *h;

	if ((h = calloc(1, sizeof(*h))) == NULL)
		return NULL;
	h->master = m;
	LIST_INIT(&h->jobs);
	return h;
}

void
hand_off_free(struct hand_off *h)
{
	struct job *j;

	if (h == NULL)
		return;
	while ((j = LIST_FIRST(&h->jobs)) != NULL) {
		kill(-j->pid, SIGKILL);
		job_free(j);
	}
	free(h);
}
