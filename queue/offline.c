/*
 * See offline.h. Called by main.c; trusts master for its arguments, and
 * nothing of the stream. What it has to say goes to standard error.
 */
#include <sys/file.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "ipc/stop.h"
#include "os/log.h"
#include "os/sandbox.h"
#include "queue/guard.h"
#include "queue/offline.h"
#include "queue/store.h"

enum {
	STREAM_FD = 3,
	/* ms for the spool's lock: a daemon that was told to stop has it until
	 * what is under way is done */
	PATIENCE = (STOP_MASTER + 2) * 1000,
	DONE = 0,
	FAILED = 1,
	INCOMPLETE = 2,
	ERROR_SIZE = 512
};

static int
export_queue(struct store *st)
{
	struct store_stats stats;
	char error[ERROR_SIZE];
	int64_t n;

	n = store_export(st, STREAM_FD, error, sizeof(error));
	if (n == -1) {
		log_error("%s", error);
		return FAILED;
	}
	log_info("messages exported: %lld", (long long)n);
	store_stats(st, &stats);
	if (stats.damaged + stats.unreadable == 0)
		return DONE;
	log_error("what is damaged, or could not be read, is not in the file: "
		  "the lines above name it");
	return INCOMPLETE;
}

/* Berkeley DB must not meet the end of the disk. */
static int
has_room(struct guard *guard)
{
	struct guard_load load = { 0 };
	struct stat sb;

	if (fstat(STREAM_FD, &sb) == 0) {
		load.in_flight = (uint64_t)sb.st_size;
		if (guard_check(guard, &load) == GUARD_OK)
			return 1;
	}
	log_error("the disk of the spool has too little room for the file: "
		  "nothing was imported");
	return 0;
}

/* All of the stream is looked at before any of it is taken. */
static int
import_queue(struct store *st, struct guard *guard)
{
	char error[ERROR_SIZE];
	uint64_t skipped;
	int64_t n;

	if (store_import_check(st, STREAM_FD, &skipped, error, sizeof(error)) ==
	    -1) {
		log_error("%s: nothing was imported", error);
		return FAILED;
	}
	if (!has_room(guard))
		return FAILED;
	if (lseek(STREAM_FD, 0, SEEK_SET) == -1 ||
	    (n = store_import(st, STREAM_FD, &skipped, error, sizeof(error))) ==
		-1) {
		log_error("%s: import it again, what is in the spool by now "
			  "is skipped",
		    error);
		return FAILED;
	}
	log_info("messages imported: %lld, in the spool before: %llu",
	    (long long)n, (unsigned long long)skipped);
	return DONE;
}

/* Whether no daemon has the spool, whose ballast would be its own. */
static int
is_free(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	rc = fd != -1 && flock(fd, LOCK_EX | LOCK_NB) == 0;
	if (fd != -1)
		close(fd);
	return rc;
}

static int
work(const char *verb, const char *folder)
{
	struct store_options options;
	char error[ERROR_SIZE];
	struct guard *guard = NULL;
	struct store *st;
	int status = FAILED;

	store_options_default(&options);
	options.lock_ms = PATIENCE;
	/* before the store: it gives recovery the room that it needs */
	if (is_free(folder))
		guard = guard_open(folder, options.cache, options.log_file,
		    error, sizeof(error));
	st = store_open(folder, &options, error, sizeof(error));
	if (st != NULL && guard == NULL)
		guard = guard_open(folder, options.cache, options.log_file,
		    error, sizeof(error));
	if (st == NULL || guard == NULL)
		log_error("%s", error);
	else
		status =
		    *verb == 'e' ? export_queue(st) : import_queue(st, guard);
	store_close(st);
	guard_close(guard);
	return status;
}

int
offline_main(int argc, char **argv, const int *syscalls, size_t count)
{
	const char *folders[2] = { NULL, NULL }, *verb;
	struct sandbox sb = { .folders = folders,
		.syscalls = syscalls,
		.syscall_count = count,
		.threads = 1,
		.net = SANDBOX_NET_NONE };
	char error[ERROR_SIZE];
	int opt, verbose = 0;

	if (argc < 2 ||
	    (strcmp(argv[1], "export") != 0 && strcmp(argv[1], "import") != 0))
		return -1;
	verb = argv[1];
	log_init("queue", LOG_TO_STDERR);
	while ((opt = getopt(argc - 1, argv + 1, "u:c:w:v")) != -1) {
		switch (opt) {
		case 'u':
			sb.user = optarg;
			break;
		case 'c':
			sb.root = optarg;
			break;
		case 'w':
			folders[0] = optarg;
			break;
		case 'v':
			verbose++;
			break;
		default:
			return FAILED;
		}
	}
	log_set_level(verbose, 0);
	if (folders[0] == NULL || fcntl(STREAM_FD, F_GETFD) == -1) {
		log_error("this program is started by relaisd, not by hand");
		return FAILED;
	}
	if (sandbox_enter(&sb, error, sizeof(error)) == -1) {
		log_error("cannot enter the sandbox: %s", error);
		return FAILED;
	}
	return work(verb, folders[0]);
}
