/*
 * What workers may ask of master: the password database (auth), whose a
 * control connection is, reload and stop (queue), a local delivery (queue),
 * a table read again (queue, for smtpctl). Every question is answered, and
 * none is an order: names are looked up here, in master's own configuration
 * and the system's databases.
 */
#include "config.h"

#include <sys/socket.h>

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/account.h"
#include "master/master.h"
#include "net/loop.h"
#include "os/log.h"

/* The hash of an account that may log in: not empty, not locked, and not too
 * old by shadow(5). */
static const char *
login_hash(const struct master *m, const struct passwd *pw)
{
	int64_t day = loop_time(m->loop) / ACCOUNT_DAY_SECONDS;
	const char *hash = pw->pw_passwd;
	struct spwd *sp;

	if (strcmp(hash, "x") == 0) {
		sp = getspnam(pw->pw_name);
		if (sp == NULL || !account_may_log_in(sp, day))
			return "";
		hash = sp->sp_pwdp;
	}
	return hash[0] == '$' || hash[0] == '_' ? hash : "";
}

static void
on_user_query(void *arg, struct channel *ch, const union ipc_msg *msg, int fd)
{
	const struct msg_user_query *q = &msg->user_query;
	const struct master *m = arg;
	struct msg_user_answer a = { .id = q->id, .status = LOOKUP_NONE };
	const struct passwd *pw;

	if (account_find(q->name, &pw) == -1)
		a.status = LOOKUP_TEMPFAIL;
	/* an ordinary user's instance can become nobody else */
	else if (pw != NULL && (m->privileged || pw->pw_uid == geteuid())) {
		a.status = LOOKUP_FOUND;
		a.name = pw->pw_name;
		if (q->want_hash)
			a.hash = login_hash(m, pw);
	}
	if (ipc_send(ch, user_answer, &a) == -1) {
		/* an entry that fits no message is an account we lack */
		a = (struct msg_user_answer){ .id = q->id,
			.status = LOOKUP_NONE };
		ipc_send(ch, user_answer, &a);
	}
}

/* root, who runs relaisd, and the admin group may control. */
static int
is_admin(const struct master *m, const struct passwd *pw)
{
	const char *group = m->conf->paths.admin_group;
	struct group *gr;

	if (pw->pw_uid == 0 || pw->pw_uid == geteuid())
		return 1;
	if (group == NULL || (gr = getgrnam(group)) == NULL)
		return 0;
	if (gr->gr_gid == pw->pw_gid)
		return 1;
	for (char **name = gr->gr_mem; *name != NULL; name++)
		if (strcmp(*name, pw->pw_name) == 0)
			return 1;
	return 0;
}

/* The tag of sessions that come through the control socket. */
static const char *
socket_tag(const struct conf *conf)
{
	for (uint32_t i = 0; i < conf->nlisteners; i++) {
		const struct conf_listener *l = &conf->listeners[i];

		if (l->is_socket && l->interface == NULL && l->tag != NULL)
			return l->tag;
	}
	return "";
}

static void
on_peer_user_query(
    void *arg, struct channel *ch, const union ipc_msg *msg, int fd)
{
	const struct master *m = arg;
	struct msg_peer_user a = { .id = msg->peer_user_query.id,
		.tag = socket_tag(m->conf) };
	struct ucred cred;
	socklen_t len = sizeof(cred);
	struct passwd *pw = NULL;
	char number[16];

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0) {
		pw = getpwuid(cred.uid);
		/* without an account, as in a container: what no account can
		 * be called */
		snprintf(number, sizeof(number), "#%u", (unsigned)cred.uid);
		a.user = number;
		a.admin = cred.uid == 0 || cred.uid == geteuid();
	}
	close(fd);
	if (pw != NULL) {
		a.user = pw->pw_name;
		a.admin = (uint8_t)is_admin(m, pw);
	}
	if (ipc_send(ch, peer_user, &a) == -1) {
		a.user = "";
		a.admin = 0;
		ipc_send(ch, peer_user, &a);
	}
}

static void
on_master_request(
    void *arg, struct channel *ch, const union ipc_msg *msg, int fd)
{
	const struct msg_master_request *r = &msg->master_request;
	struct msg_master_done done = { .id = r->id };
	struct master *m = arg;

	switch (r->verb) {
	case MASTER_RELOAD:
	case MASTER_ALIASES:
		if (*r->table == '\0' ||
		    conf_find_table(m->conf, r->table) != NULL) {
			reload_begin(m, r->id, r->verb == MASTER_ALIASES);
			return;
		}
		done.error = "there is no table of that name";
		break;
	case MASTER_STOP:
		ipc_send(ch, master_done, &done);
		channel_flush(ch);
		supervise_stop(m, EXIT_SUCCESS);
		return;
	case MASTER_VERBOSE:
		supervise_set_log(m, r->argument > 2 ? 2 : (int)r->argument,
		    m->options.trace);
		break;
	case MASTER_TRACE:
		supervise_set_log(m, m->options.verbose, r->argument);
		break;
	default:
		done.error = "unknown request";
	}
	ipc_send(ch, master_done, &done);
}

static void
on_local_delivery(
    void *arg, struct channel *ch, const union ipc_msg *msg, int fd)
{
	struct master *m = arg;

	hand_off_deliver(m->hand_off, &msg->local_delivery, fd);
}

channel_handler *const request_handlers[MSG_MAX] = {
	[MSG_user_query] = on_user_query,
	[MSG_peer_user_query] = on_peer_user_query,
	[MSG_master_request] = on_master_request,
	[MSG_local_delivery] = on_local_delivery,
};
