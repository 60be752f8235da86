/*
 * A disk that fills up under the store. As root, on a small tmpfs: the guard
 * must say no before the database meets the end of the disk; killed then on a
 * disk that others filled to the last octet, the store must recover with what
 * the ballast frees, and everything acknowledged must be there.
 */
#include "config.h"

#include <sys/mount.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/log.h"
#include "queue/guard.h"
#include "store_fixture.h"

enum {
	SKIPPED = 77, /* as automake understands it */
	CACHE = 4 << 20,
	LOG_FILE = 8 << 20,
	BODY = 20000,
	BATCH = 20
};

static const struct store_options options = { .cache = CACHE,
	.log_file = LOG_FILE };

static struct store *
open_store(const char *path)
{
	struct store *st;
	char why[512];

	if ((st = store_open(path, &options, why, sizeof(why))) == NULL)
		errx(1, "store_open: %s", why);
	return st;
}

static struct guard *
open_guard(const char *path)
{
	struct guard *g;
	char why[512];

	g = guard_open(path, CACHE, LOG_FILE, why, sizeof(why));
	if (g == NULL)
		errx(1, "guard_open: %s", why);
	return g;
}

static enum guard_verdict
check(struct guard *g, struct store *st, uint64_t in_flight)
{
	struct guard_load load = { .in_flight = in_flight };
	enum guard_verdict verdict;

	if (st != NULL)
		load.reusable = store_reusable(st);
	verdict = guard_check(g, &load);
	if (st != NULL)
		store_tight(st, verdict != GUARD_OK);
	return verdict;
}

/* Stores until the guard refuses, says how many, and waits to be killed. */
static void
fill(const char *path, int fd)
{
	struct guard *g = open_guard(path);
	struct store *st = open_store(path);
	uint32_t first, count = 0;

	/* the ballast first */
	for (int i = 0; i < 100; i++)
		check(g, st, 0);
	while (guard_takes(check(g, st, BATCH * BODY))) {
		if (store_id_block(st, BATCH, &first) != STORE_OK ||
		    store_batch_begin(st) != STORE_OK)
			errx(1, "no batch");
		for (uint32_t i = 0; i < BATCH; i++)
			if (fixture_put(st, first + i, 1, BODY, 0) != STORE_OK)
				errx(1, "the store met a full disk");
		if (store_batch_commit(st) != STORE_OK)
			errx(1, "no commit");
		count += BATCH;
	}
	if (write(fd, &count, sizeof(count)) != sizeof(count))
		err(1, "pipe");
	pause();
}

/* Takes all that is left of the disk. */
static void
fill_disk(const char *path)
{
	static uint8_t block[1 << 16];
	char name[512];
	size_t size = sizeof(block);
	int fd;

	memset(block, 'x', sizeof(block));
	snprintf(name, sizeof(name), "%s/others", path);
	if ((fd = open(name, O_WRONLY | O_CREAT, 0600)) == -1)
		err(1, "%s", name);
	while (size > 0)
		if (write(fd, block, size) <= 0)
			size /= 2;
	close(fd);
}

static void
remove_others(const char *path)
{
	char name[512];

	snprintf(name, sizeof(name), "%s/others", path);
	if (unlink(name) == -1)
		err(1, "%s", name);
}

static void
verify(struct store *st, uint32_t count)
{
	const char *wrong;
	uint64_t checked;

	for (uint32_t id = 1; id <= count; id++)
		if ((wrong = fixture_check(st, id, 1, BODY)) != NULL)
			errx(1, "%u: %s", id, wrong);
	if (store_verify(st, &checked) != 0 || checked != count)
		errx(1, "the store is damaged");
}

static void
remove_all(struct store *st, uint32_t count)
{
	for (uint32_t id = 1; id <= count; id += BATCH) {
		if (store_batch_begin(st) != STORE_OK)
			errx(1, "no batch");
		for (uint32_t i = 0; i < BATCH; i++)
			if (store_remove(st, id + i) != STORE_OK)
				errx(1, "%u cannot be removed", id + i);
		if (store_batch_commit(st) != STORE_OK)
			errx(1, "no commit");
	}
}

static uint32_t
fill_and_kill(const char *path)
{
	uint32_t count = 0;
	int fds[2], status;
	pid_t pid;

	if (pipe(fds) == -1 || (pid = fork()) == -1)
		err(1, "fork");
	if (pid == 0) {
		close(fds[0]);
		fill(path, fds[1]);
	}
	close(fds[1]);
	if (read(fds[0], &count, sizeof(count)) != sizeof(count))
		errx(1, "the store ended on its way to a full disk");
	close(fds[0]);
	/* stopped, lest its checkpoint thread make room again meanwhile */
	if (kill(pid, SIGSTOP) == -1 ||
	    waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
		errx(1, "the store does not stop");
	fill_disk(path);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return count;
}

static void
run(const char *path)
{
	uint32_t count = fill_and_kill(path), first;
	struct store *st;
	struct guard *g;

	if (count < 500)
		errx(1, "the guard refused after %u messages", count);
	g = open_guard(path);
	/* the ballast alone is no room; recovery then drops old log too */
	if (guard_takes(check(g, NULL, 0)))
		errx(1, "a full disk passes for one with room");
	st = open_store(path);
	verify(st, count);
	/* a message that leaves makes room, even now */
	check(g, st, 0);
	remove_all(st, count);
	remove_others(path);
	/* the database is as large as before */
	if (!guard_takes(check(g, st, 0)))
		errx(1, "a disk that the store alone has filled stays full");
	if (store_id_block(st, 1, &first) != STORE_OK || first <= count)
		errx(1, "an id is given again");
	store_close(st);
	guard_close(g);
	printf("%u messages until the guard refused, all there after a kill "
	       "on a full disk\n",
	    count);
}

/* In a mount namespace of its own: however this process ends, nothing stays
 * mounted. */
static int
mount_disk(const char *path)
{
	if (unshare(CLONE_NEWNS) == -1 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1)
		return -1;
	return mount("tmpfs", path, "tmpfs", 0, "size=144m,mode=0700");
}

int
main(void)
{
	char *path = fixture_folder();

	log_init("store_full", LOG_TO_STDERR);
	if (mount_disk(path) == -1) {
		printf("skipped: no file system can be mounted (%s)\n",
		    strerror(errno));
		fixture_remove(path);
		return SKIPPED;
	}
	run(path);
	if (umount2(path, MNT_DETACH) == -1)
		warn("umount");
	fixture_remove(path);
	return 0;
}
