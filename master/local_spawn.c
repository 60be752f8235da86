/*
 * Executing `local` as a recipient: a channel on descriptor 3, nothing else
 * open, a small environment, and arguments that tell what to do. Called by
 * hand_off.c.
 */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/test_hook.h"
#include "master/local_spawn.h"
#include "os/log.h"

enum { CHANNEL_FD = 3 };

static int
become(const struct master *m, const struct recipient *r)
{
	gid_t gid = r->mail_gid != 0 ? r->mail_gid : r->gid;

	if (!m->privileged)
		return 0;
	/* the mail folder is writable by its group: local takes it for the
	 * mailbox alone and never hands it to a command */
	if (setgroups(r->ngroups, r->groups) == -1 ||
	    setresgid(r->gid, gid, gid) == -1 ||
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
	char delimiter[8], seconds[16], item[16];
	const char *argv[20] = { path, "-m", r->method, "-p", r->parameter,
		"-h", r->home, "-H", r->directory, "-s", delimiter, "-t",
		seconds, "-n", m->conf->server_name };
	const char *env[] = { home, user, logname, "SHELL=/bin/sh",
		"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8",
		test_hook_variable(), NULL };
	size_t n = 15;

	if (r->use_forward)
		argv[n++] = "-f";
	if (m->options.foreground)
		argv[n++] = m->to_journal ? "-j" : "-d";
	if (r->item != 0) {
		argv[n++] = "-i";
		argv[n++] = item;
	}
	snprintf(item, sizeof(item), "%u", (unsigned)r->item);
	snprintf(path, sizeof(path), "%s/local", m->conf->paths.libexec);
	snprintf(home, sizeof(home), "HOME=%s", r->home);
	snprintf(user, sizeof(user), "USER=%s", r->name);
	snprintf(logname, sizeof(logname), "LOGNAME=%s", r->name);
	snprintf(delimiter, sizeof(delimiter), "%s",
	    m->conf->smtp.sub_addr_delim ? m->conf->smtp.sub_addr_delim : "");
	snprintf(seconds, sizeof(seconds), "%d", local_deadline() / 6 * 5);

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

int
local_deadline(void)
{
#ifdef RELAIS_TEST_HOOKS
	const char *value = getenv("RELAIS_TEST_DEADLINE");

	if (value != NULL)
		return atoi(value);
#endif
	return 30 * 60;
}

pid_t
local_spawn(const struct master *m, const struct recipient *r, int *fd)
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
