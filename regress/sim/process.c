/*
 * Processes as coroutines: each worker's real main runs on a stack of its own
 * and gives way where a real one would sleep, in the poll of its event loop.
 * To kill one is never to go on with it; its descriptors are closed, and its
 * memory is left as it is.
 */
#include "config.h"

#include <sys/mman.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"

enum {
	STACK = 512 << 10,
	PROCESSES = 16,
	WAKE_LATENCY = 3 /* milliseconds, at most one less */
};

/* Where the simulation goes on when a process gives way. Jumps, unlike
 * swapcontext, cost no system call. */
static jmp_buf outside;
static struct process *current;
static struct process *processes[PROCESSES];
static void *spare_stack;

static void
leave(struct process *p)
{
	if (_setjmp(p->inside) == 0)
		_longjmp(outside, 1);
}

static void
run_main(void)
{
	char name[] = "worker", spool[] = "-w", folder[] = ".";
	char instance[8], flag[] = "-i";
	char *argv[] = { name, spool, folder, flag, instance, NULL };

	snprintf(instance, sizeof(instance), "%u", current->instance);
	optind = 1;
	process_exit(current->main(5, argv));
}

static void
resume(void *arg)
{
	struct process *p = arg;

	if (p->dead)
		return;
	current = p;
	if (_setjmp(outside) == 0) {
		if (p->begun)
			_longjmp(p->inside, 1);
		p->begun = 1;
		setcontext(&p->context);
	}
	current = NULL;
	if (p->dead && p->stack != NULL) {
		if (spare_stack == NULL)
			spare_stack = p->stack;
		else
			munmap(p->stack, STACK);
		p->stack = NULL;
	}
}

static void *
take_stack(void)
{
	void *stack = spare_stack;

	spare_stack = NULL;
	if (stack == NULL)
		stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack == MAP_FAILED)
		fail("out of memory");
	return stack;
}

struct process *
process_start(enum process_kind kind, uint16_t instance, process_main *start,
    struct object *channel)
{
	struct process *p = calloc(1, sizeof(*p));
	size_t i = 0;

	while (i < PROCESSES && processes[i] != NULL)
		i++;
	if (p == NULL || i == PROCESSES)
		fail("no process can start");
	processes[i] = p;
	p->kind = kind;
	p->instance = instance;
	p->main = start;
	p->stack = take_stack();
	p->fds[3] = channel;
	if (channel != NULL)
		channel->owner = p;
	snprintf(
	    p->name, sizeof(p->name), "%s %u", process_name(kind), instance);
	getcontext(&p->context);
	p->context.uc_stack.ss_sp = p->stack;
	p->context.uc_stack.ss_size = STACK;
	p->context.uc_link = NULL;
	makecontext(&p->context, run_main, 0);
	p->wake.fn = resume;
	p->wake.arg = p;
	process_wake(p);
	return p;
}

struct process *
process_current(void)
{
	return current;
}

struct process *
process_find(enum process_kind kind, uint16_t instance)
{
	for (size_t i = 0; i < PROCESSES; i++)
		if (processes[i] != NULL && processes[i]->kind == kind &&
		    processes[i]->instance == instance)
			return processes[i];
	return NULL;
}

void
process_wake(struct process *p)
{
	if (p != NULL && !p->dead && p->wake.place == 0 && p != current)
		clock_plan(&p->wake, dice_under(WAKE_LATENCY));
}

void
process_sleep(void)
{
	struct process *p = current;

	leave(p);
}

void
process_kill(struct process *p)
{
	if (p->dead)
		return;
	p->dead = 1;
	sim.deaths++;
	clock_cancel(&p->wake);
	event_forget(p->base);
	for (size_t i = 0; i < PROCESSES; i++)
		if (processes[i] == p)
			processes[i] = NULL;
	check_death(p);
	for (size_t i = 0; i < SIM_FDS; i++)
		if (p->fds[i] != NULL)
			object_release(p->fds[i]);
	memset(p->fds, 0, sizeof(p->fds));
	if (p == current)
		leave(p);
	munmap(p->stack, STACK);
	p->stack = NULL;
}

static void
gave_up(void *name)
{
	fail("%s gave up", (char *)name);
}

void
process_exit(int status)
{
	say("%s ends with %d", current->name, status);
	/* only a bug makes a worker give up; its last words come first */
	if (status != 0)
		clock_after(SECOND, gave_up, current->name);
	process_kill(current);
	abort();
}

void
process_point(void)
{
	struct process *p = current;

	if (p == NULL || p->crash_in == 0 || --p->crash_in > 0)
		return;
	say("%s is killed", p->name);
	process_kill(p);
}

void
process_crash_in(struct process *p, int points)
{
	p->crash_in = points;
}

void
process_kill_all(void)
{
	for (size_t i = 0; i < PROCESSES; i++)
		if (processes[i] != NULL)
			process_kill(processes[i]);
}
