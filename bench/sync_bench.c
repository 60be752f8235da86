/*
 * What the disk gives when nothing else is asked of it: how many appends of
 * 4 KiB a second are durable, each by an fdatasync of its own, for 1, 20 and
 * 100 writers with a file each: sync_bench [FOLDER]. No store can be faster
 * that gathers nothing.
 */
#include "config.h"

#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 4096, SECONDS = 3, WRITERS_MAX = 100 };

struct writer {
	pthread_t thread;
	int fd;
	double end;
	uint64_t count;
};

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void *
append(void *arg)
{
	struct writer *w = arg;
	char piece[PIECE];

	memset(piece, 'x', sizeof(piece));
	while (now() < w->end) {
		if (write(w->fd, piece, sizeof(piece)) != sizeof(piece) ||
		    fdatasync(w->fd) == -1)
			err(1, "append");
		w->count++;
	}
	return NULL;
}

/* The files have no names, so that nothing is left of them. */
static void
measure(const char *folder, unsigned n)
{
	static struct writer writers[WRITERS_MAX];
	double start = now(), took;
	uint64_t total = 0;

	for (unsigned i = 0; i < n; i++) {
		struct writer *w = &writers[i];

		w->count = 0;
		w->end = start + SECONDS;
		if ((w->fd = open(folder, O_TMPFILE | O_WRONLY, 0600)) == -1)
			err(1, "%s", folder);
		if (pthread_create(&w->thread, NULL, append, w) != 0)
			errx(1, "no thread");
	}
	for (unsigned i = 0; i < n; i++) {
		pthread_join(writers[i].thread, NULL);
		close(writers[i].fd);
		total += writers[i].count;
	}
	took = now() - start;
	printf("%3u writers: %8.0f appends/s\n", n, (double)total / took);
}

int
main(int argc, char **argv)
{
	static const unsigned counts[] = { 1, 20, WRITERS_MAX };

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		measure(argc > 1 ? argv[1] : ".", counts[i]);
	return 0;
}
