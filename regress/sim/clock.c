/*
 * Simulated time: what happens next, in milliseconds, and the dice that decide
 * all that is not decided elsewhere. Ticks, clocks of processes that fire each
 * second whether or not there is work, are late when nothing goes on, as they
 * may be on a busy machine: so days without mail pass at once.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

enum { QUIET_AFTER = 5 * SECOND };

struct sim sim;

/* ---- dice ------------------------------------------------------------- */

static uint64_t dice_state;

uint64_t
dice(void)
{
	uint64_t x = dice_state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

void
dice_seed(uint64_t seed)
{
	/* far apart for seeds that are not */
	dice_state = seed;
	dice_state = dice() ^ seed << 32;
}

uint32_t
dice_under(uint32_t n)
{
	return (uint32_t)((dice() >> 32) * n >> 32);
}

int
dice_one_in(uint32_t n)
{
	return dice_under(n) == 0;
}

int64_t
dice_between(int64_t low, int64_t high)
{
	return low + (int64_t)(dice() % (uint64_t)(high - low + 1));
}

/* ---- words ------------------------------------------------------------ */

static void
digest(const char *text)
{
	for (; *text != '\0'; text++)
		sim.digest =
		    (sim.digest ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	sim.digest ^= (uint64_t)sim.now;
}

static void
print_line(FILE *to, const char *text)
{
	fprintf(to, "%3lld %02lld:%02lld:%02lld.%03lld  %s\n",
	    (long long)(sim.now / DAY), (long long)(sim.now / HOUR % 24),
	    (long long)(sim.now / MINUTE % 60),
	    (long long)(sim.now / SECOND % 60), (long long)(sim.now % SECOND),
	    text);
}

void
say(const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	digest(text);
	if (sim.verbose)
		print_line(stdout, text);
}

void
fail(const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	fflush(stdout);
	fprintf(stderr, "seed %llu fails: ", (unsigned long long)sim.seed);
	print_line(stderr, text);
	fflush(stderr);
	_Exit(1);
}

/* ---- what happens when ------------------------------------------------ */

/* Two heaps: what happens at its time, and ticks. */
static struct heap {
	struct happening **list;
	size_t count;
	size_t size;
} heaps[2];
static uint64_t order;

static int
before(const struct happening *a, const struct happening *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void
put(struct heap *h, size_t i, struct happening *what)
{
	h->list[i] = what;
	what->place = i + 1;
}

static void
sift(struct heap *h, size_t i)
{
	struct happening *what = h->list[i];
	size_t child;

	while (i > 0 && before(what, h->list[(i - 1) / 2])) {
		put(h, i, h->list[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	while ((child = 2 * i + 1) < h->count) {
		if (child + 1 < h->count &&
		    before(h->list[child + 1], h->list[child]))
			child++;
		if (!before(h->list[child], what))
			break;
		put(h, i, h->list[child]);
		i = child;
	}
	put(h, i, what);
}

void
clock_cancel(struct happening *what)
{
	struct heap *h = &heaps[what->tick != 0];
	size_t i = what->place;
	struct happening *last;

	if (i-- == 0)
		return;
	what->place = 0;
	last = h->list[--h->count];
	if (last == what)
		return;
	put(h, i, last);
	sift(h, i);
}

void
clock_plan(struct happening *what, int64_t delay)
{
	struct heap *h = &heaps[what->tick != 0];

	clock_cancel(what);
	if (h->count == h->size) {
		h->size = h->size == 0 ? 256 : 2 * h->size;
		h->list = reallocarray(h->list, h->size, sizeof(*h->list));
		if (h->list == NULL)
			fail("out of memory");
	}
	what->at = sim.now + (delay > 0 ? delay : 0);
	what->order = ++order;
	h->count++;
	put(h, h->count - 1, what);
	sift(h, h->count - 1);
}

struct once {
	struct happening happening;
	void (*fn)(void *);
	void *arg;
};

static void
on_once(void *arg)
{
	struct once *o = arg;

	sim.busy_at = sim.now;
	o->fn(o->arg);
	free(o);
}

void
clock_after(int64_t delay, void (*fn)(void *), void *arg)
{
	struct once *o = calloc(1, sizeof(*o));

	if (o == NULL)
		fail("out of memory");
	o->fn = fn;
	o->arg = arg;
	o->happening.fn = on_once;
	o->happening.arg = o;
	clock_plan(&o->happening, delay);
}

static int
is_quiet(void)
{
	return sim.connections == 0 && sim.questions == 0 &&
	    sim.now - sim.busy_at > QUIET_AFTER;
}

/* Ticks that nobody would miss come when something else does. */
static void
delay_ticks(int64_t until)
{
	int64_t at = until;

	if (!is_quiet())
		return;
	if (heaps[0].count > 0 && heaps[0].list[0]->at < at)
		at = heaps[0].list[0]->at;
	at -= SECOND;
	while (heaps[1].count > 0 && heaps[1].list[0]->at < at)
		clock_plan(heaps[1].list[0], at - sim.now);
}

int
clock_step(int64_t until)
{
	struct happening *what = NULL;

	delay_ticks(until);
	for (int i = 0; i < 2; i++)
		if (heaps[i].count > 0 &&
		    (what == NULL || before(heaps[i].list[0], what)))
			what = heaps[i].list[0];
	if (what == NULL || what->at > until)
		return 0;
	clock_cancel(what);
	sim.now = what->at;
	sim.happenings++;
	what->fn(what->arg);
	return 1;
}
