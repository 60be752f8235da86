/*
 * What breaks in a run, and when: processes, power, hosts, DNS, clock, disk;
 * and the run itself.
 */
#include "config.h"

#include <string.h>

#include "scene.h"

static int64_t fault_end;

/* ---- one after another ------------------------------------------------ */

void
faults_start_master(void *unused)
{
	if (process_find(PROC_MASTER, 0) == NULL)
		process_start(PROC_MASTER, 0, sim_master_main, NULL);
}

static void
cut_power(void)
{
	struct object *o;

	process_kill_all();
	disk_power_cut();
	while ((o = TAILQ_FIRST(&world.listener->backlog)) != NULL) {
		TAILQ_REMOVE(&world.listener->backlog, o, backlog_entry);
		object_release(o);
	}
	clock_after(
	    dice_between(SECOND, 10 * MINUTE), faults_start_master, NULL);
}

static struct process *
any_process(void)
{
	static const struct {
		enum process_kind kind;
		uint16_t instance;
	} all[] = { { PROC_QUEUE, 0 }, { PROC_QUEUE, 0 }, { PROC_SMTPD, 0 },
		{ PROC_SMTPD, 1 }, { PROC_DELIVER, 0 }, { PROC_DELIVER, 1 },
		{ PROC_AUTH, 0 }, { PROC_RESOLVER, 0 }, { PROC_MASTER, 0 } };
	uint32_t i = dice_under(sizeof(all) / sizeof(all[0]));

	return process_find(all[i].kind, all[i].instance);
}

static void
kill_one(void)
{
	struct process *p = any_process();

	if (p == NULL)
		return;
	if (p->kind == PROC_MASTER) {
		say("master is killed");
		process_kill(p);
		clock_after(
		    dice_between(2, 10) * SECOND, faults_start_master, NULL);
	} else
		process_crash_in(p, 1 + (int)dice_under(60));
}

/* The channel between two workers, who both live on, and when it is used. */
static void
cut_channel(void)
{
	struct process *p = any_process();
	struct object *o, *cut = NULL;
	uint32_t count = 0;

	if (p == NULL || p->kind == PROC_MASTER)
		return;
	for (size_t fd = 0; fd < SIM_FDS; fd++) {
		o = p->fds[fd];
		if (o == NULL || o->peer == NULL || o->inet ||
		    o->peer->owner == NULL ||
		    o->peer->owner->kind == PROC_MASTER)
			continue;
		if (dice_one_in(++count))
			cut = o;
	}
	if (cut != NULL)
		cut->break_in = 1 + (int)dice_under(12);
}

static void
end_dns_trouble(void *unused)
{
	world.dns_down = 0;
	for (size_t i = 0; i < world.ndomains; i++)
		world.domains[i].dns_broken = 0;
	for (size_t i = 0; i < world.nhosts; i++)
		world.hosts[i].dns_broken = 0;
}

static void
break_dns(void)
{
	if (dice_one_in(4))
		world.dns_down = 1;
	world.domains[dice_under((uint32_t)world.ndomains)].dns_broken = 1;
	world.hosts[dice_under((uint32_t)world.nhosts)].dns_broken = 1;
	say("DNS trouble");
	clock_after(dice_between(MINUTE, 3 * HOUR), end_dns_trouble, NULL);
}

static void
jump_clock(void)
{
	int64_t by = dice_between(-7200, 7200);

	say("the clock jumps by %lld s", (long long)by);
	sim.wall += by;
}

static void
end_full_disk(void *unused)
{
	disk_set_free(0);
}

static void
fill_disk(void)
{
	say("the disk is full");
	disk_set_free(dice_one_in(2) ? 1 << 20 : 60 << 20);
	clock_after(dice_between(MINUTE, 2 * HOUR), end_full_disk, NULL);
}

static void
change_mood(void)
{
	struct host *h = &world.hosts[dice_under((uint32_t)world.nhosts)];

	/* one that is in trouble gets better more often than not */
	h->mood = h->mood != MOOD_GOOD && !dice_one_in(3)
	    ? MOOD_GOOD
	    : (enum host_mood)dice_under(MOODS);
	say("%s is in mood %d", h->name, h->mood);
}

/* ---- planning --------------------------------------------------------- */

struct habit {
	void (*fn)(void);
	int64_t every; /* on the average */
};

static void
send_some(void)
{
	uint32_t n = dice_one_in(10) ? 1 + dice_under(10) : 1;

	while (n-- > 0)
		clock_after(dice_between(0, 2 * SECOND), sender_start, NULL);
}

static void
operate(void)
{
	operator_start(NULL);
}

static void
look(void)
{
	check_schedule();
}

static struct habit habits[] = {
	{ send_some, 80 * MINUTE },
	{ change_mood, 90 * MINUTE },
	{ kill_one, 3 * HOUR },
	{ cut_channel, 6 * HOUR },
	{ cut_power, 20 * HOUR },
	{ break_dns, 10 * HOUR },
	{ jump_clock, 20 * HOUR },
	{ fill_disk, 30 * HOUR },
	{ operate, 4 * HOUR },
	{ look, 2 * HOUR },
};

static void
on_habit(void *arg)
{
	struct habit *h = arg;

	if (sim.calm && h->fn != look)
		return;
	h->fn();
	clock_after(dice_between(1, 2 * h->every), on_habit, h);
}

void
faults_plan(int64_t time)
{
	fault_end = sim.now + time;
	for (size_t i = 0; i < sizeof(habits) / sizeof(habits[0]); i++) {
		/* each run has its own troubles */
		if (i > 1)
			habits[i].every *= 1 + dice_under(4);
		clock_after(
		    dice_between(1, 2 * habits[i].every), on_habit, &habits[i]);
	}
}

void
faults_mend(void)
{
	say("all is mended");
	sim.calm = 1;
	end_dns_trouble(NULL);
	end_full_disk(NULL);
	for (size_t i = 0; i < world.nhosts; i++)
		world.hosts[i].mood = MOOD_GOOD;
}

void
scene_run(void)
{
	int64_t trouble = dice_between(DAY / 2, 3 * DAY);

	faults_start_master(NULL);
	faults_plan(trouble);
	while (clock_step(trouble))
		continue;
	sim.now = trouble;
	faults_mend();
	sim.end = trouble + world.lifetime + DAY;
	while (clock_step(sim.end))
		continue;
	sim.now = sim.end;
	check_end();
}
