/*
 * A generator of mail for measurements: so many messages over so many
 * sessions at once, one process, and how long each message took to be
 * acknowledged. What it is told is trusted; a reply that is not the expected
 * one ends it with the reply's text.
 *
 *	source [-dIPST] [-s sessions] [-m messages] [-l octets[:octets]]
 *	    [-r recipients] [-t address] [-D domains] [-a address] [-A nth]
 *	    [-R rate] host port
 *
 * -d keeps connections, -T starts TLS, -S too and resumes sessions that the
 * server gave, -P pipelines the RCPT of a message, as many as its buffer holds
 * (RFC 2920; nothing else is), -I only says EHLO on each session and holds it
 * until standard input ends. In the address `%` is the number of the message
 * modulo -D, `#` that of the recipient; each nth message goes to -a instead.
 * Two sizes mean any between, small ones more often. A rate is in messages a
 * second; without one, as fast as it goes.
 */
#include "config.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "source_tls.h"

enum {
	LINE = 80,
	EVENTS = 256,
	IN_SIZE = 4096,
	HEAD_SIZE = 4096,
	ADDRESS_MAX = 40,
	RCPT_MAX = 512 /* with ADDRESS_MAX numbers in it */
};

enum step {
	STEP_GREETING, /* also as long as it connects */
	STEP_EHLO,
	STEP_STARTTLS,
	STEP_HANDSHAKE,
	STEP_READY, /* nothing is under way: the pace has to be kept */
	STEP_MAIL,
	STEP_RCPT,
	STEP_DATA,
	STEP_BODY,
	STEP_QUIT
};

struct conn {
	int fd;
	struct source_tls *tls;
	enum step step;
	uint32_t watched;
	char in[IN_SIZE];
	size_t in_len;
	char head[HEAD_SIZE]; /* commands, or the header of a message */
	struct iovec out[3];
	unsigned parts; /* of out in use */
	unsigned message;
	unsigned rcpt; /* RCPTs that were said */
	unsigned awaited; /* replies to them */
	double begun;
};

static struct {
	unsigned sessions, messages, rcpts, domains, nth;
	size_t least, most; /* octets of a message */
	double rate;
	const char *address, *other;
	int keep, idle, pipeline, tls, resume;
	struct sockaddr_in to;

	int epoll;
	struct conn *conns;
	char *body; /* as much of lines as the largest message has */
	double *took; /* seconds, by message */
	double start;
	unsigned begun, done, open, greeted, held;
} run = { .sessions = 1,
	.messages = 1,
	.rcpts = 1,
	.domains = 1,
	.least = 4096,
	.most = 4096,
	.address = "to@dst.test" };

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- octets ----------------------------------------------------------- */

static void
watch(struct conn *c, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = c };

	if (c->watched == events)
		return;
	if (epoll_ctl(run.epoll, c->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD,
		c->fd, &ev) == -1)
		err(1, "epoll_ctl");
	c->watched = events;
}

/* -1 where it would block; the end of the connection is fatal elsewhere. */
static ssize_t
put(struct conn *c)
{
	ssize_t n;

	if (c->tls != NULL)
		return source_tls_write(c->tls, c->out, c->parts);
	n = writev(c->fd, c->out, (int)c->parts);
	if (n == -1 && errno != EAGAIN)
		err(1, "write");
	return n;
}

static void
flush_out(struct conn *c)
{
	ssize_t n;

	while (c->parts > 0 && (n = put(c)) != -1)
		while (c->parts > 0) {
			size_t len = c->out[0].iov_len;
			size_t part = (size_t)n < len ? (size_t)n : len;

			c->out[0].iov_base = (char *)c->out[0].iov_base + part;
			c->out[0].iov_len -= part;
			n -= (ssize_t)part;
			if (c->out[0].iov_len > 0)
				break;
			memmove(
			    c->out, c->out + 1, --c->parts * sizeof(*c->out));
		}
	if ((c->tls != NULL && !source_tls_flush(c->tls)) || c->parts > 0)
		watch(c, EPOLLIN | EPOLLOUT);
	else
		watch(c, EPOLLIN);
}

static void
add_part(struct conn *c, const char *data, size_t len)
{
	c->out[c->parts].iov_base = (char *)(uintptr_t)data;
	c->out[c->parts++].iov_len = len;
}

__attribute__((format(printf, 3, 4))) static void
command(struct conn *c, enum step step, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(c->head, sizeof(c->head), format, ap);
	va_end(ap);
	c->step = step;
	add_part(c, c->head, (size_t)n);
	flush_out(c);
}

/* ---- a message -------------------------------------------------------- */

static size_t
size_of_message(void)
{
	if (run.least == run.most)
		return run.most;
	return (size_t)(run.least *
	    pow((double)run.most / (double)run.least, drand48()));
}

/* The next RCPT, at `out`; how long it is. */
static size_t
write_rcpt(struct conn *c, char *out)
{
	const char *p =
	    run.nth > 0 && c->message % run.nth == 0 ? run.other : run.address;
	char *end = out + sprintf(out, "RCPT TO:<");

	for (; *p != '\0'; p++)
		if (*p == '%')
			end += sprintf(end, "%u", c->message % run.domains);
		else if (*p == '#')
			end += sprintf(end, "%u", c->rcpt);
		else
			*end++ = *p;
	end += sprintf(end, ">\r\n");
	c->rcpt++;
	c->awaited++;
	return (size_t)(end - out);
}

static void
say_rcpts(struct conn *c)
{
	size_t len = write_rcpt(c, c->head);

	while (
	    run.pipeline && c->rcpt < run.rcpts && len + RCPT_MAX < HEAD_SIZE)
		len += write_rcpt(c, c->head + len);
	c->step = STEP_RCPT;
	add_part(c, c->head, len);
	flush_out(c);
}

static void
say_body(struct conn *c)
{
	size_t size = size_of_message();
	struct timespec ts;
	int n;

	clock_gettime(CLOCK_REALTIME, &ts);
	n = snprintf(c->head, sizeof(c->head),
	    "From: <from@src.test>\r\nTo: <to@dst.test>\r\n"
	    "Date: Mon, 01 Jan 2024 00:00:00 +0000\r\n"
	    "Message-Id: <%u.%d@src.test>\r\n"
	    "X-Sent: %lld%09ld\r\n\r\n",
	    c->message, (int)getpid(), (long long)ts.tv_sec, ts.tv_nsec);
	c->step = STEP_BODY;
	add_part(c, c->head, (size_t)n);
	/* whole lines, from the end of the body */
	if (size > (size_t)n)
		size = (size - (size_t)n + LINE - 1) / LINE * LINE;
	else
		size = 0;
	if (size > 0)
		add_part(c, run.body, size);
	add_part(c, ".\r\n", 3);
	flush_out(c);
}

static void
begin_message(struct conn *c)
{
	if (run.rate > 0 && now() < run.start + run.begun / run.rate) {
		c->step = STEP_READY;
		return;
	}
	c->message = run.begun++;
	c->rcpt = 0;
	c->begun = now();
	command(c, STEP_MAIL, "MAIL FROM:<from@src.test>\r\n");
}

static void
hang_up(struct conn *c)
{
	if (c->tls != NULL)
		source_tls_free(c->tls);
	close(c->fd);
	run.greeted -= c->step > STEP_GREETING;
	run.open--;
	memset(c, 0, sizeof(*c));
	c->fd = -1;
}

static void
dial(struct conn *c)
{
	int one = 1;

	memset(c, 0, sizeof(*c));
	c->message = UINT32_MAX;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd == -1)
		err(1, "socket");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(c->fd, (void *)&run.to, sizeof(run.to)) == -1 &&
	    errno != EINPROGRESS)
		err(1, "connect");
	run.open++;
	watch(c, EPOLLIN);
}

static void
next_message(struct conn *c)
{
	if (run.begun < run.messages && (run.keep || c->message == UINT32_MAX))
		begin_message(c);
	else
		command(c, STEP_QUIT, "QUIT\r\n");
}

/* ---- replies ---------------------------------------------------------- */

static void
shake_hands(struct conn *c)
{
	if (source_tls_handshake(c->tls))
		command(c, STEP_EHLO, "EHLO src.test\r\n");
	else
		flush_out(c);
}

static void
on_reply(struct conn *c, const char *line)
{
	static const char expected[] = { [STEP_GREETING] = '2',
		[STEP_EHLO] = '2',
		[STEP_STARTTLS] = '2',
		[STEP_MAIL] = '2',
		[STEP_RCPT] = '2',
		[STEP_DATA] = '3',
		[STEP_BODY] = '2',
		[STEP_QUIT] = '2' };

	if (*line != expected[c->step])
		errx(1, "step %d: %s", c->step, line);
	switch (c->step) {
	case STEP_GREETING:
		run.greeted++;
		command(c, STEP_EHLO, "EHLO src.test\r\n");
		break;
	case STEP_EHLO:
		if (run.tls && c->tls == NULL)
			command(c, STEP_STARTTLS, "STARTTLS\r\n");
		else if (run.idle)
			run.held++;
		else
			next_message(c);
		break;
	case STEP_STARTTLS:
		c->tls = source_tls_new(c->fd);
		c->step = STEP_HANDSHAKE;
		shake_hands(c);
		break;
	case STEP_RCPT:
		if (--c->awaited > 0)
			break;
		/* FALLTHROUGH */
	case STEP_MAIL:
		if (c->rcpt < run.rcpts)
			say_rcpts(c);
		else
			command(c, STEP_DATA, "DATA\r\n");
		break;
	case STEP_DATA:
		say_body(c);
		break;
	case STEP_BODY:
		run.took[c->message] = now() - c->begun;
		run.done++;
		next_message(c);
		break;
	default:
		hang_up(c);
		if (run.begun < run.messages)
			dial(c);
	}
}

/* Takes the whole replies of the input; only their last line matters. */
static void
take_replies(struct conn *c)
{
	char *nl;

	while (c->fd != -1 && (nl = memchr(c->in, '\n', c->in_len)) != NULL) {
		char line[IN_SIZE + 1];
		size_t len = (size_t)(nl - c->in) + 1;

		memcpy(line, c->in, len);
		line[len] = '\0';
		c->in_len -= len;
		memmove(c->in, nl + 1, c->in_len);
		if (len > 3 && line[3] != '-')
			on_reply(c, line);
	}
}

/* 0 when there is nothing more for now. */
static int
read_more(struct conn *c)
{
	size_t room = sizeof(c->in) - c->in_len;
	char *to = c->in + c->in_len;
	ssize_t n;

	if (c->tls != NULL) {
		if ((n = source_tls_read(c->tls, to, room)) == -1)
			return 0;
	} else if ((n = read(c->fd, to, room)) == -1 && errno == EAGAIN)
		return 0;
	if (n == -1 && !run.idle)
		err(1, "step %d", c->step);
	if (n <= 0 && !run.idle)
		errx(1, "the server hung up in step %d", c->step);
	if (n <= 0) {
		hang_up(c);
		run.held--;
		return 0;
	}
	c->in_len += (size_t)n;
	take_replies(c);
	return c->tls != NULL && source_tls_pending(c->tls);
}

/* ---- connections ------------------------------------------------------ */

static void
on_event(struct conn *c, uint32_t events)
{
	if (events & EPOLLOUT)
		flush_out(c);
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	if (c->step == STEP_HANDSHAKE) {
		shake_hands(c);
		return;
	}
	while (read_more(c))
		continue;
}

/* Starts what is due by the pace; the milliseconds until the next is. */
static int
keep_pace(void)
{
	double wait;

	if (run.rate <= 0 || run.begun >= run.messages)
		return -1;
	for (unsigned i = 0; i < run.sessions; i++)
		if (run.conns[i].fd != -1 && run.conns[i].step == STEP_READY &&
		    run.begun < run.messages)
			begin_message(&run.conns[i]);
	wait = run.start + run.begun / run.rate - now();
	return wait > 0 ? (int)(wait * 1000) + 1 : 1;
}

/* A paced session that has nothing to do any more. */
static void
end_ready(void)
{
	for (unsigned i = 0; i < run.sessions; i++)
		if (run.conns[i].fd != -1 && run.conns[i].step == STEP_READY)
			command(&run.conns[i], STEP_QUIT, "QUIT\r\n");
}

/* Idle sessions are counted, none may be lost: a backlog of 5, the least of
 * the servers measured, does for these. */
static int
may_dial(unsigned dialled)
{
	return dialled < run.sessions &&
	    (!run.idle || dialled - run.greeted < 4);
}

static void
serve(void)
{
	struct epoll_event events[EVENTS];
	unsigned dialled = 0;
	int n;

	while (dialled < run.sessions || run.open > 0) {
		/* not all at once, or the server's backlog is what we see */
		for (n = 0; n < 64 && may_dial(dialled); n++)
			dial(&run.conns[dialled++]);
		if (run.idle && dialled == run.sessions && run.held == run.open)
			return;
		/* a server whose backlog was full forgets connections that
		 * this side takes for open: nobody waits for those */
		if (run.messages == run.done && run.greeted == 0)
			return;
		n = keep_pace();
		if (run.begun >= run.messages)
			end_ready();
		n = epoll_wait(
		    run.epoll, events, EVENTS, may_dial(dialled) ? 0 : n);
		for (int i = 0; i < n; i++)
			on_event(events[i].data.ptr, events[i].events);
	}
}

/* ---- the beginning and the end ---------------------------------------- */

static int
compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void
report(double seconds)
{
	struct rusage ru;
	unsigned n = run.done;

	getrusage(RUSAGE_SELF, &ru);
	if (n > 0)
		qsort(run.took, n, sizeof(*run.took), compare);
	printf("messages=%u seconds=%.3f cpu=%.3f held=%u resumed=%.3f", n,
	    seconds,
	    (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
		(double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6,
	    run.held, source_tls_resumed());
	if (n > 0)
		printf(" p50=%.6f p99=%.6f p999=%.6f max=%.6f", run.took[n / 2],
		    run.took[(size_t)n * 99 / 100],
		    run.took[(size_t)n * 999 / 1000], run.took[n - 1]);
	printf("\n");
	fflush(stdout);
}

static void
parse_sizes(const char *text)
{
	char *end;

	run.least = run.most = strtoul(text, &end, 10);
	if (*end == ':')
		run.most = strtoul(end + 1, NULL, 10);
	if (run.least == 0 || run.most < run.least)
		errx(2, "sizes: %s", text);
}

static void
parse(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "dIPSTs:m:l:r:t:D:a:A:R:")) != -1)
		switch (opt) {
		case 'd':
			run.keep = 1;
			break;
		case 'I':
			run.idle = 1;
			break;
		case 'P':
			run.pipeline = 1;
			break;
		case 'S':
			run.resume = 1;
			/* FALLTHROUGH */
		case 'T':
			run.tls = 1;
			break;
		case 's':
			run.sessions = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'm':
			run.messages = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'l':
			parse_sizes(optarg);
			break;
		case 'r':
			run.rcpts = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 't':
			run.address = optarg;
			break;
		case 'D':
			run.domains = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'a':
			run.other = optarg;
			break;
		case 'A':
			run.nth = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'R':
			run.rate = strtod(optarg, NULL);
			break;
		default:
			exit(2);
		}
	run.to.sin_family = AF_INET;
	if (strlen(run.address) > ADDRESS_MAX ||
	    (run.other != NULL && strlen(run.other) > ADDRESS_MAX))
		errx(2, "an address may have %d characters", ADDRESS_MAX);
	if (optind + 2 != argc || run.sessions == 0 || run.domains == 0 ||
	    (run.nth > 0 && run.other == NULL) ||
	    inet_pton(AF_INET, argv[optind], &run.to.sin_addr) != 1)
		errx(2, "usage: source [options] host port");
	run.to.sin_port = htons((uint16_t)atoi(argv[optind + 1]));
}

static void
prepare(void)
{
	size_t size = run.most + LINE;

	if (!run.idle && run.sessions > run.messages)
		run.sessions = run.messages;
	run.epoll = epoll_create1(EPOLL_CLOEXEC);
	run.conns = calloc(run.sessions, sizeof(*run.conns));
	run.took = calloc((size_t)run.messages + 1, sizeof(*run.took));
	run.body = malloc(size + LINE);
	if (run.epoll == -1 || run.conns == NULL || run.took == NULL ||
	    run.body == NULL)
		err(1, "start");
	memset(run.body, 'X', size + LINE);
	for (size_t i = LINE; i <= size; i += LINE)
		memcpy(run.body + i - 2, "\r\n", 2);
	if (run.tls)
		source_tls_prepare(run.resume);
}

int
main(int argc, char **argv)
{
	char octet;

	parse(argc, argv);
	prepare();
	run.start = now();
	serve();
	report(now() - run.start);
	while (run.idle && read(STDIN_FILENO, &octet, 1) > 0)
		continue;
	return EXIT_SUCCESS;
}
