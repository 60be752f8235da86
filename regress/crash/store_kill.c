/*
 * Kills a process that stores messages, at random times, and looks whether
 * all that it had acknowledged is there and whole, and nothing that it had
 * removed: store_kill [ROUNDS [FOLDER]]. The rounds go on in one store, so
 * each also recovers what the one before left. Exits with 0 if nothing was
 * lost, torn, or given an id twice.
 */
#include "config.h"

#include <sys/wait.h>

#include <err.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/log.h"
#include "store_fixture.h"

enum {
	ROUNDS = 20,
	BATCH_MAX = 32,
	ROUND_MS = 250,
	IDS_MAX = 1 << 22,
	KEPT = 400 /* messages, before the oldest are removed */
};

/* What the parent knows of an id. */
enum fate { UNKNOWN, STORED, REMOVING, REMOVED };

/* What the child says on the pipe. */
struct word {
	uint32_t msgid;
	uint32_t fate;
};

static uint8_t fates[IDS_MAX];

/* Size and recipients of a message follow from its id: mostly small, some in
 * a file, some with several records. */
static size_t
size_of(uint32_t msgid)
{
	uint32_t x = msgid * 2654435761u >> 8;

	if (x % 16 == 0)
		return 65000 + x % 100000;
	return x % 9000;
}

static uint32_t
rcpts_of(uint32_t msgid)
{
	return msgid % 50 == 0 ? 100 : 1 + msgid % 3;
}

/* ---- the one who is killed ---------------------------------------------- */

static void
say(int fd, uint32_t msgid, enum fate fate)
{
	struct word w = { msgid, fate };

	if (write(fd, &w, sizeof(w)) != sizeof(w))
		_exit(3);
}

static void
store_some(struct store *st, int fd, uint32_t n)
{
	uint32_t first;

	if (store_id_block(st, n, &first) != STORE_OK ||
	    store_batch_begin(st) != STORE_OK)
		_exit(4);
	for (uint32_t id = first; id < first + n; id++) {
		size_t len = size_of(id);

		if (fixture_put(st, id, rcpts_of(id), len,
			len > STORE_INLINE) != STORE_OK)
			_exit(5);
	}
	if (store_batch_commit(st) != STORE_OK)
		_exit(6);
	for (uint32_t id = first; id < first + n; id++)
		say(fd, id, STORED);
}

struct list {
	uint32_t ids[BATCH_MAX];
	uint32_t count;
	uint32_t total;
};

static int
list_one(void *arg, const struct envelope *env)
{
	struct list *l = arg;

	if (l->count < BATCH_MAX)
		l->ids[l->count++] = env->msgid;
	l->total++;
	return 0;
}

static void
remove_some(struct store *st, int fd)
{
	struct list l = { .count = 0 };
	uint32_t next;

	if (store_iterate(st, 0, 0, list_one, &l, &next) != STORE_OK)
		_exit(7);
	if (l.total < KEPT)
		return;
	for (uint32_t i = 0; i < l.count; i++)
		say(fd, l.ids[i], REMOVING);
	if (store_batch_begin(st) != STORE_OK)
		_exit(8);
	for (uint32_t i = 0; i < l.count; i++)
		if (store_remove(st, l.ids[i]) != STORE_OK)
			_exit(9);
	if (store_batch_commit(st) != STORE_OK)
		_exit(10);
	for (uint32_t i = 0; i < l.count; i++)
		say(fd, l.ids[i], REMOVED);
}

static void
work(const char *path, int fd)
{
	struct store *st = fixture_open(path);

	for (unsigned i = 0;; i++) {
		store_some(st, fd, 1 + arc4random_uniform(BATCH_MAX));
		if (i % 4 == 0)
			remove_some(st, fd);
	}
}

/* ---- the one who kills -------------------------------------------------- */

static void
listen_and_kill(pid_t pid, int fd)
{
	struct word w;
	int status;

	usleep(1000 * (5 + arc4random_uniform(ROUND_MS)));
	kill(pid, SIGKILL);
	while (read(fd, &w, sizeof(w)) == sizeof(w)) {
		if (w.msgid >= IDS_MAX)
			errx(1, "too many ids: fewer rounds");
		if (w.fate == STORED && fates[w.msgid] != UNKNOWN)
			errx(1, "id %u was given twice", w.msgid);
		fates[w.msgid] = (uint8_t)w.fate;
	}
	waitpid(pid, &status, 0);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		errx(1, "the child ended by itself: %#x", status);
}

/* Returns how many acknowledged messages there are. */
static uint32_t
check(const char *path, unsigned round)
{
	struct store *st = fixture_open(path);
	struct envelope *env = envelope_new(0);
	uint32_t kept = 0, first;
	const char *wrong;
	uint64_t checked;

	for (uint32_t id = 1; id < IDS_MAX; id++) {
		if (fates[id] == STORED) {
			wrong =
			    fixture_check(st, id, rcpts_of(id), size_of(id));
			if (wrong != NULL)
				errx(1, "round %u: %u: %s", round, id, wrong);
			kept++;
		} else if (fates[id] == REMOVED &&
		    store_read_envelope(st, id, env) != STORE_NOTFOUND)
			errx(1, "round %u: %u is back", round, id);
		else if (fates[id] == REMOVING &&
		    store_read_envelope(st, id, env) == STORE_NOTFOUND)
			fates[id] = REMOVED;
		else if (fates[id] == REMOVING)
			fates[id] = STORED;
	}
	/* what was never acknowledged may be there, but must be whole */
	if (store_verify(st, &checked) != 0)
		errx(1, "round %u: damage", round);
	if (store_id_block(st, 1, &first) != STORE_OK)
		errx(1, "round %u: no id", round);
	if (fates[first] != UNKNOWN)
		errx(1, "round %u: id %u is given again", round, first);
	envelope_free(env);
	store_close(st);
	return kept;
}

int
main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : ROUNDS;
	char *path = argc > 2 ? strdup(argv[2]) : fixture_folder();
	uint32_t kept = 0, stored = 0;
	int fds[2];
	pid_t pid;

	log_init("store_kill", LOG_TO_STDERR);
	for (unsigned round = 1; round <= rounds; round++) {
		if (pipe(fds) == -1 || (pid = fork()) == -1)
			err(1, "fork");
		if (pid == 0) {
			close(fds[0]);
			work(path, fds[1]);
		}
		close(fds[1]);
		listen_and_kill(pid, fds[0]);
		close(fds[0]);
		kept = check(path, round);
	}
	for (uint32_t id = 1; id < IDS_MAX; id++)
		stored += fates[id] != UNKNOWN;
	printf("%u kills: %u messages acknowledged, %u still there, none "
	       "lost, none torn\n",
	    rounds, stored, kept);
	fixture_remove(path);
	return 0;
}
