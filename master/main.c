/*
 * relaisd, the master process: reads the configuration, starts the workers
 * and watches them. Runs as root, so it reads no mail and no network octet.
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/contents.h"
#include "master/master.h"
#include "master/options.h"
#include "master/parse.h"
#include "net/loop.h"
#include "os/journal.h"
#include "os/log.h"

/* Whoever started us may have blocked or ignored the signals that we live by,
 * and our children get what we have. */
static void
reset_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGCHLD, SIG_DFL);
	/* they mean nothing to us, and are no reason to end */
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
}

/* A reload finds the configuration from any folder. Links in the path are not
 * followed: they may lead elsewhere by then. 0, or -1 with errno. */
static int
make_absolute(const char **path)
{
	char folder[PATH_MAX], *whole;

	if (**path == '/')
		return 0;
	if (getcwd(folder, sizeof(folder)) == NULL ||
	    asprintf(&whole, "%s/%s", folder, *path) == -1)
		return -1;
	*path = whole; /* for as long as we live */
	return 0;
}

/* All that runs in a container ends with its first process, which would be the
 * one that goes. */
static int
may_detach(void)
{
	if (getpid() != 1)
		return 1;
	log_error("the first process of a container has to stay: start "
		  "relaisd with -d");
	return 0;
}

/*
 * Leaves the terminal and the job of who started us, as daemon(3) does; but he
 * waits in the first process, which ends with success once all workers serve,
 * and with failure when the daemon has ended before. 0 in the daemon, or -1.
 */
static int
detach(struct master *m)
{
	int fds[2], null;
	ssize_t n;
	char octet;
	pid_t pid;

	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null == -1 || pipe2(fds, O_CLOEXEC) == -1 || (pid = fork()) == -1) {
		log_error("detaching: %s", strerror(errno));
		return -1;
	}
	if (pid > 0) {
		close(fds[1]);
		while ((n = read(fds[0], &octet, 1)) == -1 && errno == EINTR)
			;
		_exit(n == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
	}
	close(fds[0]);
	m->starter = fds[1];
	/* the echo of the log has a copy of standard error */
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	close(null);
	if (setsid() == -1 || make_absolute(&m->options.path) == -1 ||
	    chdir("/") == -1) {
		log_error("detaching: %s", strerror(errno));
		return -1;
	}
	return 0;
}

/* What a start needs of the machine, then the workers until the end. */
static int
run(struct master *m)
{
	char error[1024];
	int status;

	if (spool_prepare(m) == -1)
		return EXIT_FAILURE;
	if ((m->contents = contents_load(m->conf)) == NULL)
		return EXIT_FAILURE;
	m->sockets = sockets_open(m->conf, NULL, error, sizeof(error));
	if (m->sockets == NULL) {
		log_error("%s", error);
		return EXIT_FAILURE;
	}
	if ((m->control_fd = sockets_open_control(m->conf)) == -1)
		return EXIT_FAILURE;
	if (!m->options.foreground && detach(m) == -1)
		return EXIT_FAILURE;
	sockets_own_control(m->control_fd);
	/* epoll does not survive a fork */
	if ((m->loop = loop_new()) == NULL ||
	    (m->tickets = tickets_new(m)) == NULL ||
	    (m->hand_off = hand_off_new(m)) == NULL)
		log_fatal("out of memory");
	if (!m->privileged)
		log_info("started by an ordinary user: no chroot, no other "
			 "uids, local delivery to that user only");
	status = supervise_run(m);
	pid_file_remove(m->conf->paths.pid_file);
	unlink(m->conf->paths.control_socket);
	return status;
}

int
main(int argc, char **argv)
{
	struct master m = { .control_fd = -1, .starter = -1 };
	int status = EXIT_FAILURE;
	bool check;

	if (log_fill_standard() == -1)
		return status;
	reset_signals();
	/* freed memory is overwritten: keys and hashes pass through it */
	mallopt(M_PERTURB, 0xa5);
	log_init("relaisd", LOG_TO_STDERR);
	options_parse(&m.options, &check, argc, argv);
	if (check) {
		status = options_check(&m.options);
		options_free(&m.options);
		return status;
	}
	if (m.options.foreground && (m.to_journal = journal_is_stderr()))
		journal_init(NULL);
	umask(077);
	m.privileged = geteuid() == 0;
	if ((m.privileged && capabilities_bound() == -1) ||
	    !capabilities_can_confine())
		return status;
	if (m.options.export_path != NULL || m.options.import_path != NULL) {
		log_set_level(m.options.verbose, 0);
		m.conf = conf_parse(m.options.path, m.options.macros, stderr);
		if (m.conf != NULL)
			status = port_run(&m);
	} else if ((m.options.foreground || may_detach()) &&
	    (m.conf = load_configuration(&m.options, false, stderr)) != NULL) {
		if (!m.options.foreground) {
			log_init("relaisd", LOG_TO_SYSLOG);
			log_echo(STDERR_FILENO);
		}
		log_set_level(m.options.verbose, m.options.trace);
		status = run(&m);
	}
	hand_off_free(m.hand_off);
	tickets_free(m.tickets);
	sockets_free(m.sockets);
	contents_free(m.contents);
	conf_free(m.conf);
	loop_free(m.loop);
	options_free(&m.options);
	return status;
}
