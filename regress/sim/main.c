/*
 * The simulation: runs seeds, each in a process of its own, so that nothing
 * of one run is left for the next. See doc/simulation.md.
 */
#include "config.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "judge.h"

enum { SECONDS_A_RUN = 120 };

/* What all runs came to, in memory that they share. */
struct figures {
	uint64_t runs;
	uint64_t failed;
	uint64_t first_failed;
	int64_t milliseconds;
	uint64_t mails;
	uint64_t acknowledged;
	uint64_t deliveries;
	uint64_t duplicates;
	uint64_t reports;
	uint64_t deaths;
	uint64_t power_cuts;
};

static const char *const plants[PLANT_MAX] = { "none", "lost-removal",
	"early-ack", "double-start", "forgotten", "wrong-mx" };

static void
run(uint64_t seed, struct figures *f)
{
	setenv("TZ", "UTC", 1);
	/* the kernel is asked for memory once and keeps out of the way */
	mallopt(M_MMAP_THRESHOLD, 400 << 10);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	mallopt(M_TOP_PAD, 4 << 20);
	alarm(SECONDS_A_RUN);
	sim.seed = seed;
	sim.wall = 1700000000;
	sim.busy_at = -HOUR;
	dice_seed(seed);
	scene_make();
	if (sim.verbose)
		printf("%s", world.conf_text);
	scene_run();
	__atomic_add_fetch(&f->milliseconds, sim.now, __ATOMIC_RELAXED);
	__atomic_add_fetch(&f->mails, mails.sent, __ATOMIC_RELAXED);
	__atomic_add_fetch(
	    &f->acknowledged, mails.acknowledged, __ATOMIC_RELAXED);
	__atomic_add_fetch(&f->deliveries, mails.deliveries, __ATOMIC_RELAXED);
	__atomic_add_fetch(&f->duplicates, mails.duplicates, __ATOMIC_RELAXED);
	__atomic_add_fetch(&f->reports, mails.reports, __ATOMIC_RELAXED);
	__atomic_add_fetch(&f->deaths, sim.deaths, __ATOMIC_RELAXED);
	__atomic_add_fetch(&f->power_cuts, sim.power_cuts, __ATOMIC_RELAXED);
	printf("seed %llu: %016llx after %llu happenings\n",
	    (unsigned long long)seed, (unsigned long long)sim.digest,
	    (unsigned long long)sim.happenings);
	fflush(stdout);
	_Exit(0);
}

/* The seeds of the children that run, by their place. */
struct running {
	pid_t pid;
	uint64_t seed;
};

static void
reap(struct running *list, size_t jobs, struct figures *f)
{
	int status;
	pid_t pid = wait(&status);

	for (size_t i = 0; i < jobs; i++) {
		if (list[i].pid != pid)
			continue;
		list[i].pid = 0;
		f->runs++;
		if (status == 0)
			return;
		if (WIFSIGNALED(status))
			fprintf(stderr, "seed %llu fails: signal %d\n",
			    (unsigned long long)list[i].seed, WTERMSIG(status));
		if (f->failed++ == 0 || list[i].seed < f->first_failed)
			f->first_failed = list[i].seed;
	}
}

static void
start(struct running *list, size_t jobs, uint64_t seed, int quiet,
    struct figures *f)
{
	size_t i = 0;

	for (;;) {
		for (i = 0; i < jobs && list[i].pid != 0; i++)
			continue;
		if (i < jobs)
			break;
		reap(list, jobs, f);
	}
	fflush(stdout);
	list[i].seed = seed;
	if ((list[i].pid = fork()) != 0)
		return;
	if (quiet && freopen("/dev/null", "w", stdout) == NULL)
		_Exit(2);
	run(seed, f);
}

static void
run_all(uint64_t first, uint64_t last, size_t jobs, int stop, struct figures *f)
{
	struct running *list = calloc(jobs, sizeof(*list));
	size_t i;

	for (; first <= last && !(stop && f->failed > 0); first++)
		start(list, jobs, first, first != last || f->runs > 0, f);
	for (;;) {
		for (i = 0; i < jobs && list[i].pid == 0; i++)
			continue;
		if (i == jobs)
			break;
		reap(list, jobs, f);
	}
	free(list);
}

static void
print_figures(const struct figures *f, double seconds)
{
	double days = (double)f->milliseconds / DAY, cpu;
	struct rusage u;

	getrusage(RUSAGE_CHILDREN, &u);
	cpu = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
	printf("%llu seeds, %llu failed, %.0f days in %.1f s; a minute of "
	       "one processor is %.0f days\n",
	    (unsigned long long)f->runs, (unsigned long long)f->failed, days,
	    seconds, days * 60 / cpu);
	printf("%llu messages, %llu acknowledged, %llu deliveries, %llu of "
	       "them again, %llu reports, %llu deaths, %llu power cuts\n",
	    (unsigned long long)f->mails, (unsigned long long)f->acknowledged,
	    (unsigned long long)f->deliveries,
	    (unsigned long long)f->duplicates, (unsigned long long)f->reports,
	    (unsigned long long)f->deaths, (unsigned long long)f->power_cuts);
	if (f->failed > 0)
		printf("first failure: seed %llu\n",
		    (unsigned long long)f->first_failed);
}

static void
usage(void)
{
	fprintf(stderr,
	    "usage: sim [-v] [-j jobs] [--stop] [--plant bug] "
	    "--seed N | --seeds FIRST-LAST\nbugs:");
	for (int i = 1; i < PLANT_MAX; i++)
		fprintf(stderr, " %s", plants[i]);
	fprintf(stderr, "\n");
	exit(2);
}

static enum plant
plant_by_name(const char *name)
{
	for (int i = 0; i < PLANT_MAX; i++)
		if (strcmp(plants[i], name) == 0)
			return (enum plant)i;
	usage();
	return PLANT_NONE;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = { { "seed", required_argument,
						     NULL, 's' },
		{ "seeds", required_argument, NULL, 'r' },
		{ "plant", required_argument, NULL, 'p' },
		{ "stop", no_argument, NULL, 'x' }, { NULL, 0, NULL, 0 } };
	unsigned long long first = 1, last = 0;
	struct figures *f = mmap(NULL, sizeof(*f), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct timespec begin, end;
	size_t jobs = 1;
	int opt, stop = 0;

	while ((opt = getopt_long(argc, argv, "vj:", options, NULL)) != -1) {
		if (opt == 'v')
			sim.verbose = 1;
		else if (opt == 'j')
			jobs = strtoul(optarg, NULL, 10);
		else if (opt == 's')
			first = last = strtoull(optarg, NULL, 10);
		else if (opt == 'r') {
			if (sscanf(optarg, "%llu-%llu", &first, &last) != 2)
				usage();
		} else if (opt == 'p')
			sim.plant = plant_by_name(optarg);
		else if (opt == 'x')
			stop = 1;
		else
			usage();
	}
	if (last < first || jobs == 0 || f == MAP_FAILED)
		usage();
	clock_gettime(CLOCK_MONOTONIC, &begin);
	run_all(first, last, jobs, stop, f);
	clock_gettime(CLOCK_MONOTONIC, &end);
	print_figures(f,
	    (double)(end.tv_sec - begin.tv_sec) +
		(double)(end.tv_nsec - begin.tv_nsec) / 1e9);
	return f->failed > 0;
}
