/*
 * What a call of the scheduler costs with few and with many entries queued,
 * and what an entry weighs. Prints one line a depth and shape.
 *
 *	bench/sched_bench [DEPTH...]
 *
 * Shapes: `backup` is one destination and as many senders as messages;
 * `spread` a thousand destinations and senders; `list` messages of 1,000
 * recipients at a thousand destinations.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "queue/scheduler.h"

#define T0 1800000000
/* Looks of a step, as the control socket takes them. */
#define STEP 1000
/* Cycles of start and temporary failure that are measured. */
#define CYCLES 200000

struct shape {
	const char *name;
	uint32_t dests;
	uint32_t senders; /* 0: one a message */
	uint32_t rcpts;
};

static const struct shape shapes[] = {
	{ "backup", 1, 0, 1 },
	{ "spread", 1000, 1000, 1 },
	{ "list", 1000, 1000, 1000 },
};

/* Of the processor, since others may be using the machine. */
static double
seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Octets that are resident. */
static size_t
resident(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%*u %lu", &pages) != 1)
		pages = 0;
	fclose(f);
	return pages * 4096;
}

static void
fatal(const char *what)
{
	fprintf(stderr, "sched_bench: %s\n", what);
	exit(EXIT_FAILURE);
}

static void
fill(struct sched *s, const struct shape *shape, uint32_t depth)
{
	struct sched_add a = { .action = "relay", .size = 4096 };
	char domain[64];
	uint32_t i, message;

	for (i = 0; i < depth; i++) {
		message = i / shape->rcpts;
		snprintf(
		    domain, sizeof(domain), "d%u.example", i % shape->dests);
		a.domain = domain;
		a.msgid = message + 1;
		a.rcpt = i % shape->rcpts;
		a.sender_key =
		    shape->senders == 0 ? message : message % shape->senders;
		a.expiry = T0 + 5 * 86400 + i / 1000;
		if (sched_add(s, &a, T0) == -1)
			fatal("cannot add");
	}
}

/* Starts transactions and lets each fail for the time being. */
static double
cycle(struct sched *s, uint32_t n)
{
	static struct sched_job job;
	struct sched_verdict verdict;
	double begin = seconds();
	uint32_t i, k;

	for (i = 0; i < n; i += job.nrcpts) {
		if (sched_next(s, T0, &job) != SCHED_START)
			fatal("nothing to start");
		for (k = 0; k < job.nrcpts; k++)
			sched_result(s, job.msgid, job.rcpts[k], SCHED_TEMPFAIL,
			    T0, &verdict);
		sched_finish(s, job.id, SCHED_ROUTE_OK, T0, NULL, NULL);
	}
	return seconds() - begin;
}

static uint32_t
drain(struct sched *s, double *spent)
{
	static struct sched_job job;
	struct sched_verdict verdict;
	double begin = seconds();
	uint32_t n = 0, k;

	while (sched_next(s, T0, &job) == SCHED_START) {
		for (k = 0; k < job.nrcpts; k++) {
			sched_result(s, job.msgid, job.rcpts[k],
			    SCHED_DELIVERED, T0, &verdict);
			sched_remove(s, job.msgid, job.rcpts[k]);
			n++;
		}
		sched_finish(s, job.id, SCHED_ROUTE_OK, T0, NULL, NULL);
	}
	*spent = seconds() - begin;
	return n;
}

static void
measure(const struct shape *shape, uint32_t depth)
{
	struct sched_params params = { .seed = 1 };
	struct sched_stats stats;
	struct sched *s = sched_new(&params);
	uint32_t cycles = depth < CYCLES ? depth : CYCLES, flushed = 0;
	uint64_t cursor = 0;
	int more = 1;
	size_t before = resident(), after;
	double add, retry, flush, step, longest = 0, done = 0;

	if (s == NULL)
		fatal("out of memory");
	add = seconds();
	fill(s, shape, depth);
	add = seconds() - add;
	after = resident();
	sched_stats(s, &stats);
	retry = cycle(s, cycles);
	flush = seconds();
	while (more) {
		step = seconds();
		more = sched_flush(s, &cursor, STEP, &flushed, T0);
		step = seconds() - step;
		longest = step > longest ? step : longest;
	}
	flush = seconds() - flush;
	if (flushed != cycles || drain(s, &done) != depth)
		fatal("an entry was lost");
	printf("%-7s %8u  add %5.0f ns  start and fail %5.0f ns  flush %5.0f "
	       "ns, a step %5.0f us  start and deliver %5.0f ns  %4.0f octets "
	       "held, %4.0f "
	       "resident\n",
	    shape->name, depth, add / depth * 1e9, retry / cycles * 1e9,
	    flush / flushed * 1e9, longest * 1e6, done / depth * 1e9,
	    (double)stats.memory / depth,
	    after > before ? (double)(after - before) / depth : 0);
	sched_free(s);
}

int
main(int argc, char **argv)
{
	static const uint32_t depths[] = { 1000, 10000, 100000, 1000000 };
	size_t i;
	int d;

	for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		for (d = 1; d < argc; d++)
			measure(&shapes[i], strtoul(argv[d], NULL, 10));
		for (d = 0; argc == 1 && d < 4; d++)
			measure(&shapes[i], depths[d]);
	}
	return EXIT_SUCCESS;
}
