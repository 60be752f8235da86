/*
 * How many durable messages a second the store takes, by the size of the
 * batch, and how long the slowest commits took: store_bench [FOLDER]. One
 * message is an envelope of one recipient and a body of 4 KiB.
 */
#include "config.h"

#include <sys/resource.h>

#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libdeflate.h>

#include "os/log.h"
#include "store_fixture.h"

enum { BODY = 4096, SECONDS = 3, COMMITS_MAX = 1 << 17 };

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* CPU seconds of this process. */
static double
used(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
	    (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

static int
compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void
put_batch(struct store *st, uint32_t n, const uint8_t *body, uint32_t crc)
{
	struct store_content content = {
		.data = body, .size = BODY, .crc = crc
	};
	struct envelope *env;
	uint32_t first;

	if (store_id_block(st, n, &first) != STORE_OK ||
	    store_batch_begin(st) != STORE_OK)
		errx(1, "no batch");
	for (uint32_t i = 0; i < n; i++) {
		env = fixture_envelope(first + i, 1);
		if (store_put_message(st, env, &content) != STORE_OK)
			errx(1, "put");
		envelope_free(env);
	}
	store_batch_commit(st);
}

static void
measure(struct store *st, uint32_t n)
{
	static double took[COMMITS_MAX];
	static uint8_t body[BODY];
	double start = now(), last = start, cpu = used(), t;
	uint32_t crc, count = 0;

	fixture_body(1, body, BODY);
	crc = libdeflate_crc32(0, body, BODY);
	while (last - start < SECONDS && count < COMMITS_MAX) {
		put_batch(st, n, body, crc);
		t = now();
		took[count++] = t - last;
		last = t;
	}
	qsort(took, count, sizeof(took[0]), compare);
	printf("batch %3u: %8.0f messages/s, %3.0f us CPU each, commit p50 "
	       "%.2f ms, p99 %.2f ms, p99.9 %.2f ms, worst %.2f ms\n",
	    n, (double)count * n / (last - start),
	    (used() - cpu) * 1e6 / count / n, took[count / 2] * 1e3,
	    took[count * 99 / 100] * 1e3, took[count * 999 / 1000] * 1e3,
	    took[count - 1] * 1e3);
}

int
main(int argc, char **argv)
{
	static const uint32_t sizes[] = { 1, 8, 32, 128 };
	char *path = argc > 1 ? strdup(argv[1]) : fixture_folder();
	struct store *st = fixture_open(path);

	log_init("store_bench", LOG_TO_STDERR);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		measure(st, sizes[i]);
	store_close(st);
	fixture_remove(path);
	return 0;
}
