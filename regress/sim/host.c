/*
 * The servers of the world, one session a connection: good, slow, greylisting,
 * full, dead, or lying, as the mood of the host is at that time.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sim.h"

enum { RCPTS_MAX = 64, LINE = 2048 };

struct visit {
	struct host *host;
	struct object *object; /* ours; NULL once it is over */
	struct object *theirs;
	uint16_t by; /* the deliver that came */
	enum host_mood mood;
	int greeted;
	int busy; /* a reply is being thought about */
	int closing;
	int in_data;
	size_t bdat_left;
	int bdat_last;
	size_t nrcpts;
	char rcpts[RCPTS_MAX][160];
	/* input that was not looked at yet */
	char *input;
	size_t len;
	/* the message */
	char *message;
	size_t message_len;
	/* taken, and not known to be known to the client */
	size_t ndoubts;
	char doubts[RCPTS_MAX][160];
	char *doubted;
	size_t doubted_len;
	char reply[LINE];
};

static void go_on(struct visit *);

/* ---- the end ---------------------------------------------------------- */

static void
settle_doubts(struct visit *v, int heard)
{
	for (size_t i = 0; i < v->ndoubts; i++)
		check_doubt((const uint8_t *)v->doubted, v->doubted_len,
		    v->doubts[i], heard);
	v->ndoubts = 0;
	free(v->doubted);
	v->doubted = NULL;
}

static void
visit_free(void *arg)
{
	struct visit *v = arg;

	free(v->input);
	free(v->message);
	free(v);
}

static void
disappoint(struct visit *v)
{
	v->host->failed_at[v->by] = sim.now;
}

/* Whether the client may give it up at any time, which is seen here after it
 * has called the next host. */
static int
keeps_waiting(const struct visit *v)
{
	return v->mood == MOOD_DEAF || v->mood == MOOD_SLOW;
}

static void
hang_up(struct visit *v)
{
	if (v->object == NULL)
		return;
	settle_doubts(v, 0);
	if (keeps_waiting(v)) {
		if (!v->closing)
			disappoint(v);
		v->host->waiting[v->by]--;
	}
	socket_hang_up(v->object, dice_one_in(3));
	v->object = NULL;
	/* its callers still look at it */
	if (!v->busy)
		clock_after(0, visit_free, v);
}

static void
on_end(void *arg)
{
	hang_up(arg);
}

/* ---- replies ---------------------------------------------------------- */

static void
on_reply_time(void *arg)
{
	struct visit *v = arg;

	v->busy = 0;
	if (v->object == NULL) {
		visit_free(v);
		return;
	}
	say("%s: %.*s", v->host->name, (int)strcspn(v->reply, "\r\n"),
	    v->reply);
	socket_say(v->object, v->reply, strlen(v->reply));
	if (v->closing)
		hang_up(v);
	else
		go_on(v);
}

static void
reply(struct visit *v, const char *text)
{
	int64_t time = dice_between(0, 20);

	if (v->mood == MOOD_SLOW && !sim.calm)
		time = dice_between(
		    0, dice_one_in(4) ? 400 * SECOND : 20 * SECOND);
	/* what is put off here may go to the next host */
	if (*text == '4')
		disappoint(v);
	snprintf(v->reply, sizeof(v->reply), "%s\r\n", text);
	v->busy = 1;
	clock_after(time, on_reply_time, v);
}

static void
lie(struct visit *v)
{
	/* none that says yes: who says so has it, as far as we can know */
	static const char *const lies[] = { "2x0 what", "", "354 go ahead",
		"250-this goes\r\n550 on", "999 beyond", "\xff\xfe 250 ok",
		"421 4.3.2 not now", "550-\r\n550-\r\n550 \x01\x02" };

	disappoint(v);
	reply(v, lies[dice_under(sizeof(lies) / sizeof(lies[0]))]);
}

/* ---- commands --------------------------------------------------------- */

static void
say_hello(struct visit *v)
{
	char text[400];

	snprintf(text, sizeof(text), "250-%s\r\n250-8BITMIME\r\n%s%s%s250 HELP",
	    v->host->name,
	    v->host->options & HOST_PIPELINING ? "250-PIPELINING\r\n" : "",
	    v->host->options & HOST_DSN ? "250-DSN\r\n" : "",
	    v->host->options & HOST_CHUNKING ? "250-CHUNKING\r\n" : "");
	reply(v, text);
}

static void
take_rcpt(struct visit *v, const char *line)
{
	char address[160] = "";

	if (sscanf(line, "%*[^<]<%159[^>]>", address) != 1)
		fail("a server hears %s", line);
	if (strncmp(address, "gone", 4) == 0)
		reply(v, "550 5.1.1 no such person");
	else if (v->nrcpts == RCPTS_MAX)
		reply(v, "452 4.5.3 too many");
	else if (!sim.calm &&
	    (v->mood == MOOD_GREY ||
		(strncmp(address, "grey", 4) == 0 && !dice_one_in(3))))
		reply(v, "450 4.2.0 come again");
	else {
		strcpy(v->rcpts[v->nrcpts++], address);
		reply(v, "250 2.1.5 fine");
	}
}

/* The message is whole: whose it is now depends on the word that follows. */
static void
take_message(struct visit *v)
{
	/* so a client takes back what it has begun and does not want */
	if (v->nrcpts == 0 || v->message_len == 0) {
		reply(v, "554 5.5.1 nothing for nobody");
		return;
	}
	if (strncmp(v->rcpts[0], "full", 4) == 0) {
		reply(v, "552 5.2.2 mailbox full");
		return;
	}
	if (v->mood == MOOD_FULL && !sim.calm) {
		reply(v, "452 4.3.1 no room");
		return;
	}
	v->ndoubts = v->nrcpts;
	memcpy(v->doubts, v->rcpts, sizeof(v->doubts));
	for (size_t i = 0; i < v->nrcpts; i++)
		check_delivered((const uint8_t *)v->message, v->message_len,
		    v->rcpts[i], 1);
	v->doubted = v->message;
	v->doubted_len = v->message_len;
	v->message = NULL;
	v->message_len = 0;
	if (!sim.calm && v->mood == MOOD_DROP && dice_one_in(2)) {
		disappoint(v);
		hang_up(v);
	} else if (!sim.calm && v->mood == MOOD_LIAR && dice_one_in(2)) {
		/* it has it, and says that it has not */
		settle_doubts(v, 0);
		reply(v, "451 4.3.0 I have lost it");
	} else
		reply(v, "250 2.0.0 taken");
}

static void
begin_transaction(struct visit *v)
{
	v->nrcpts = 0;
	v->message_len = 0;
}

static void
take_bdat(struct visit *v, const char *line)
{
	unsigned long n = 0;
	char last[8] = "";

	if (sscanf(line, "%*s %lu %7s", &n, last) < 1)
		fail("a server hears %s", line);
	v->bdat_left = n;
	v->bdat_last = strcasecmp(last, "LAST") == 0;
}

static void
command(struct visit *v, const char *line)
{
	settle_doubts(v, 1);
	if (strncasecmp(line, "MAIL", 4) == 0)
		begin_transaction(v);
	if (!sim.calm && v->mood == MOOD_DROP && dice_one_in(6)) {
		disappoint(v);
		hang_up(v);
	} else if (!sim.calm && v->mood == MOOD_LIAR && dice_one_in(6))
		lie(v);
	else if (strncasecmp(line, "EHLO", 4) == 0 ||
	    strncasecmp(line, "HELO", 4) == 0)
		say_hello(v);
	else if (strncasecmp(line, "MAIL", 4) == 0)
		reply(v, "250 2.1.0 fine");
	else if (strncasecmp(line, "RCPT", 4) == 0)
		take_rcpt(v, line);
	else if (strncasecmp(line, "DATA", 4) == 0) {
		v->in_data = v->nrcpts > 0;
		reply(v, v->in_data ? "354 go on" : "554 5.5.1 nobody");
	} else if (strncasecmp(line, "RSET", 4) == 0 ||
	    strncasecmp(line, "NOOP", 4) == 0) {
		begin_transaction(v);
		reply(v, "250 2.0.0 fine");
	} else if (strncasecmp(line, "QUIT", 4) == 0) {
		v->closing = 1;
		reply(v, "221 2.0.0 bye");
	} else
		reply(v, "500 5.5.1 what?");
}

/* ---- input ------------------------------------------------------------ */

static void
keep(struct visit *v, const char *data, size_t len)
{
	v->message = realloc(v->message, v->message_len + len + 1);
	if (v->message == NULL)
		fail("out of memory");
	memcpy(v->message + v->message_len, data, len);
	v->message_len += len;
}

static void
consume(struct visit *v, size_t n)
{
	v->len -= n;
	memmove(v->input, v->input + n, v->len);
}

/* Takes lines of a message until its end or the end of what is there. */
static void
take_data(struct visit *v)
{
	size_t at = 0, n;
	char *lf;

	while (at < v->len &&
	    (lf = memchr(v->input + at, '\n', v->len - at)) != NULL) {
		n = (size_t)(lf - (v->input + at)) + 1;
		if (n < 2 || v->input[at + n - 2] != '\r')
			fail("a bare LF is sent to %s", v->host->name);
		if (n == 3 && v->input[at] == '.') {
			consume(v, at + n);
			v->in_data = 0;
			take_message(v);
			return;
		}
		if (v->input[at] == '.')
			keep(v, v->input + at + 1, n - 1);
		else
			keep(v, v->input + at, n);
		at += n;
	}
	consume(v, at);
}

static void
take_chunk(struct visit *v)
{
	size_t n = v->bdat_left < v->len ? v->bdat_left : v->len;

	keep(v, v->input, n);
	consume(v, n);
	v->bdat_left -= n;
	if (v->bdat_left > 0)
		return;
	if (v->bdat_last) {
		v->bdat_last = 0;
		take_message(v);
	} else
		reply(v, "250 2.0.0 more");
}

static int
take_line(struct visit *v)
{
	char line[LINE];
	char *lf = memchr(v->input, '\n', v->len);
	size_t n;

	if (lf == NULL)
		return 0;
	n = (size_t)(lf - v->input) + 1;
	if (n >= sizeof(line) || n < 2 || v->input[n - 2] != '\r')
		fail("a malformed line is sent to %s", v->host->name);
	memcpy(line, v->input, n - 2);
	line[n - 2] = '\0';
	consume(v, n);
	say("%s hears: %s", v->host->name, line);
	if (strncasecmp(line, "BDAT", 4) == 0) {
		settle_doubts(v, 1);
		take_bdat(v, line);
		if (v->bdat_left == 0)
			take_chunk(v);
	} else
		command(v, line);
	return 1;
}

static void
go_on(struct visit *v)
{
	while (v->object != NULL && !v->busy && !v->closing) {
		if (v->in_data) {
			take_data(v);
			if (v->in_data)
				break;
		} else if (v->bdat_left > 0) {
			take_chunk(v);
			if (v->bdat_left > 0)
				break;
		} else if (v->len == 0 || !take_line(v))
			break;
	}
}

static void
on_data(void *arg, const char *data, size_t len)
{
	struct visit *v = arg;

	v->input = realloc(v->input, v->len + len + 1);
	if (v->input == NULL)
		fail("out of memory");
	memcpy(v->input + v->len, data, len);
	v->len += len;
	if (v->greeted && (v->mood != MOOD_DEAF || sim.calm))
		go_on(v);
}

static const struct actor visitor = { on_data, on_end };

/* ---- connections ------------------------------------------------------ */

static void
greet(struct visit *v)
{
	char text[128];

	v->greeted = 1;
	if (v->mood == MOOD_BUSY) {
		disappoint(v);
		v->closing = 1;
		reply(v,
		    dice_one_in(4) ? "554 5.3.2 never" : "421 4.3.2 too busy");
	} else if (v->mood != MOOD_DEAF) {
		snprintf(text, sizeof(text), "220 %s ESMTP", v->host->name);
		reply(v, text);
	}
}

struct call {
	struct object *theirs;
	struct host *host;
};

static void
on_connect(void *arg)
{
	struct call *c = arg;
	struct object *theirs = c->theirs;
	struct host *h = c->host;
	struct visit *v;

	free(c);
	if (theirs->refs == 0)
		return;
	theirs->connecting = 0;
	process_wake(theirs->owner);
	if (h == NULL || (h->mood == MOOD_DOWN && !sim.calm)) {
		theirs->error = ECONNREFUSED;
		return;
	}
	if ((v = calloc(1, sizeof(*v))) == NULL)
		fail("out of memory");
	v->host = h;
	v->mood = sim.calm ? MOOD_GOOD : h->mood;
	v->theirs = theirs;
	v->by = theirs->owner->instance;
	v->object = theirs->peer;
	v->object->actor = &visitor;
	v->object->actor_arg = v;
	if (keeps_waiting(v))
		h->waiting[v->by]++;
	greet(v);
}

void
host_connect(struct process *p, struct object *o, const uint8_t address[4])
{
	struct call *c = calloc(1, sizeof(*c));

	if (c == NULL)
		fail("out of memory");
	c->theirs = o;
	for (size_t i = 0; i < world.nhosts; i++)
		if (memcmp(world.hosts[i].address, address, 4) == 0)
			c->host = &world.hosts[i];
	say("%s connects to %s", p->name,
	    c->host != NULL ? c->host->name : "nobody");
	check_connect(p, c->host);
	if (c->host != NULL && !sim.calm &&
	    (c->host->mood == MOOD_LOST || c->host->mood == MOOD_DOWN))
		c->host->failed_at[p->instance] = sim.now;
	if (c->host != NULL && c->host->mood == MOOD_LOST && !sim.calm) {
		free(c);
		return;
	}
	clock_after(dice_between(1, 60), on_connect, c);
}
