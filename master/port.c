/*
 * relaisd -E and -I: the queue into a file, and out of one, while no daemon
 * runs. Master opens the file for the person who asks and starts the program
 * that may open the spool, which gets nothing else (see queue/offline.h).
 * Called by main.c; trusts that person.
 */
#include "config.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/master.h"
#include "os/log.h"

enum { INCOMPLETE = 2 }; /* of the program: see queue/offline.h */

/* Its exit status, 1 if it was ended otherwise. */
static int
run_queue(const struct master *m, const char *verb, int fd)
{
	pid_t pid = spawn_queue(m, verb, fd);
	int status;

	if (pid == -1)
		return EXIT_FAILURE;
	/* a ^C ends the program, and what it leaves is ours to remove */
	signal(SIGINT, SIG_IGN);
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return EXIT_FAILURE;
	if (WIFSIGNALED(status))
		log_error("queue: ended by signal %d", WTERMSIG(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

/* The file and its name are on the disk. */
static int
make_durable(const char *path, int fd)
{
	char folder[4096];
	const char *slash = strrchr(path, '/');
	int dir, rc;

	if (slash == NULL)
		snprintf(folder, sizeof(folder), ".");
	else
		snprintf(folder, sizeof(folder), "%.*s",
		    (int)(slash - path) + 1, path);
	if ((dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return -1;
	rc = fsync(fd) == -1 || fsync(dir) == -1 ? -1 : 0;
	close(dir);
	return rc;
}

static int
has_queue(const struct conf_paths *p)
{
	char path[4096];
	struct stat st;

	snprintf(path, sizeof(path), "%s/queue/db", p->spool);
	if (stat(path, &st) == 0)
		return 1;
	log_error("%s: %s: is `set spool` right?", path, strerror(errno));
	return 0;
}

static int
export_to(const struct master *m, const char *path)
{
	int fd, status;

	if (!has_queue(&m->conf->paths))
		return EXIT_FAILURE;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1) {
		log_error("%s: %s", path,
		    errno == EEXIST
			? "it exists and is left as it is: name another file"
			: strerror(errno));
		return EXIT_FAILURE;
	}
	status = run_queue(m, "export", fd);
	if ((status == EXIT_SUCCESS || status == INCOMPLETE) &&
	    make_durable(path, fd) == -1) {
		log_error("%s: %s", path, strerror(errno));
		status = EXIT_FAILURE;
	}
	close(fd);
	/* no file, rather than one that holds nothing whole */
	if (status != EXIT_SUCCESS && status != INCOMPLETE)
		unlink(path);
	return status;
}

static int
import_from(const struct master *m, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), status;
	struct stat st;

	if (fd == -1 || fstat(fd, &st) == -1) {
		log_error("%s: %s", path, strerror(errno));
		status = EXIT_FAILURE;
	} else if (!S_ISREG(st.st_mode)) {
		log_error("%s: is no file: it is read twice, so what comes "
			  "from elsewhere must be stored first",
		    path);
		status = EXIT_FAILURE;
	} else if (spool_prepare(m) == -1)
		status = EXIT_FAILURE;
	else
		status = run_queue(m, "import", fd);
	if (fd != -1)
		close(fd);
	return status;
}

int
port_run(const struct master *m)
{
	const struct master_options *o = &m->options;

	return o->export_path != NULL ? export_to(m, o->export_path)
				      : import_from(m, o->import_path);
}
