/*
 * A next hop for measurements: takes all mail and throws it away, one
 * process. On SIGUSR1 and SIGTERM it prints one line of what it has seen.
 *
 *	sink [-a address] [-p port] [-f percent] [-w milliseconds] [-q word]
 *
 * -f refuses so many of a hundred recipients for now, by chance; -w answers
 * each end of data so much later, give or take half, since slow servers do not
 * answer all at once; -q names a word: the delays of messages that have it in a
 * recipient are kept, by their X-Sent fields, and -w does not hold for them.
 */
#include "config.h"

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, IN_SIZE = 65536, LINE_SIZE = 1024, PROBES = 1 << 20 };

struct conn {
	int fd;
	int in_data;
	int probe; /* the word was in a recipient */
	unsigned rcpts; /* of this message that were taken */
	char *sent; /* the X-Sent field, NULL without one */
	char line[LINE_SIZE];
	size_t len; /* of the line so far */
	char out[IN_SIZE]; /* replies of this turn */
	size_t out_len;
	double due; /* when the end of data is answered, 0: nothing waits */
	struct conn *next; /* of those that wait, by due */
};

static struct {
	const char *word;
	unsigned fail; /* per cent */
	double wait; /* seconds */
	int epoll, listener;
	struct conn *first; /* of those that wait */
	uint64_t sessions, messages, rcpts, refused;
	double first_at, last_at;
	double *probes;
	size_t probe_count;
	unsigned open, peak;
} sink;

static double
now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int
compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void
report(void)
{
	size_t n = sink.probe_count;

	printf("sessions=%llu messages=%llu recipients=%llu refused=%llu "
	       "first=%.6f last=%.6f peak=%u probes=%zu",
	    (unsigned long long)sink.sessions,
	    (unsigned long long)sink.messages, (unsigned long long)sink.rcpts,
	    (unsigned long long)sink.refused, sink.first_at, sink.last_at,
	    sink.peak, n);
	if (n > 0) {
		qsort(sink.probes, n, sizeof(*sink.probes), compare);
		printf(" p50=%.6f p99=%.6f max=%.6f", sink.probes[n / 2],
		    sink.probes[n * 99 / 100], sink.probes[n - 1]);
	}
	printf("\n");
	fflush(stdout);
}

/* ---- the dialogue ----------------------------------------------------- */

static void
reply(struct conn *c, const char *text)
{
	size_t len = strlen(text);

	if (c->out_len + len <= sizeof(c->out)) {
		memcpy(c->out + c->out_len, text, len);
		c->out_len += len;
	}
}

static void
take_sent(struct conn *c)
{
	if (c->sent == NULL && c->probe &&
	    strncasecmp(c->line, "X-Sent:", 7) == 0)
		c->sent = strdup(c->line + 7);
}

static void
keep_waiting(struct conn *c)
{
	struct conn **at = &sink.first;

	c->due = now(CLOCK_MONOTONIC) + sink.wait * (0.5 + drand48());
	while (*at != NULL && (*at)->due <= c->due)
		at = &(*at)->next;
	c->next = *at;
	*at = c;
}

static void
end_message(struct conn *c)
{
	double at = now(CLOCK_REALTIME);

	sink.messages++;
	sink.rcpts += c->rcpts;
	if (sink.first_at == 0)
		sink.first_at = at;
	sink.last_at = at;
	if (c->sent != NULL && sink.probe_count < PROBES)
		sink.probes[sink.probe_count++] =
		    at - strtod(c->sent, NULL) / 1e9;
	if (sink.wait > 0 && !c->probe)
		keep_waiting(c);
	else
		reply(c, "250 2.0.0 thrown away\r\n");
	free(c->sent);
	c->sent = NULL;
	c->in_data = c->probe = 0;
	c->rcpts = 0;
}

static void
on_rcpt(struct conn *c)
{
	if (sink.fail > 0 && (unsigned)(drand48() * 100) < sink.fail) {
		sink.refused++;
		reply(c, "451 4.7.1 come back later\r\n");
		return;
	}
	c->rcpts++;
	if (sink.word != NULL && strstr(c->line, sink.word) != NULL)
		c->probe = 1;
	reply(c, "250 2.1.5 ok\r\n");
}

static void
on_line(struct conn *c)
{
	if (c->in_data) {
		if (strcmp(c->line, ".") == 0)
			end_message(c);
		else
			take_sent(c);
	} else if (strncasecmp(c->line, "EHLO", 4) == 0)
		reply(c,
		    "250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n"
		    "250-SIZE 1000000000\r\n250 ENHANCEDSTATUSCODES\r\n");
	else if (strncasecmp(c->line, "RCPT", 4) == 0)
		on_rcpt(c);
	else if (strncasecmp(c->line, "DATA", 4) == 0) {
		c->in_data = c->rcpts > 0;
		reply(c, c->in_data ? "354 go on\r\n" : "503 5.5.1 no\r\n");
	} else if (strncasecmp(c->line, "QUIT", 4) == 0)
		reply(c, "221 2.0.0 bye\r\n");
	else {
		if (strncasecmp(c->line, "MAIL", 4) != 0)
			c->rcpts = 0;
		reply(c, "250 2.0.0 ok\r\n");
	}
}

/* Lines longer than LINE_SIZE are cut: only short ones mean anything. */
static void
on_octets(struct conn *c, const char *data, size_t n)
{
	const char *nl;
	size_t part, room;

	for (; n > 0; data += part, n -= part) {
		nl = memchr(data, '\n', n);
		part = nl != NULL ? (size_t)(nl - data) + 1 : n;
		room = sizeof(c->line) - 1 - c->len;
		memcpy(c->line + c->len, data, part < room ? part : room);
		c->len += part < room ? part : room;
		if (nl == NULL)
			continue;
		while (c->len > 0 &&
		    (c->line[c->len - 1] == '\n' ||
			c->line[c->len - 1] == '\r'))
			c->len--;
		c->line[c->len] = '\0';
		c->len = 0;
		on_line(c);
	}
}

/* ---- connections ------------------------------------------------------ */

static void
send_replies(struct conn *c)
{
	/* a peer that does not read some lines of replies is not worth more */
	if (c->out_len > 0 &&
	    send(c->fd, c->out, c->out_len, MSG_NOSIGNAL) == -1 &&
	    errno == EAGAIN)
		warnx("a reply was lost");
	c->out_len = 0;
}

static void
hang_up(struct conn *c)
{
	/* one that waits is let go when it is due */
	if (c->fd != -1) {
		close(c->fd);
		sink.open--;
	}
	c->fd = -1;
	if (c->due == 0) {
		free(c->sent);
		free(c);
	}
}

static void
on_accept(void)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct conn *c;
	int fd, one = 1;

	while ((fd = accept4(sink.listener, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if ((c = calloc(1, sizeof(*c))) == NULL)
			err(1, "calloc");
		c->fd = fd;
		ev.data.ptr = c;
		if (epoll_ctl(sink.epoll, EPOLL_CTL_ADD, fd, &ev) == -1)
			err(1, "epoll_ctl");
		sink.sessions++;
		if (++sink.open > sink.peak)
			sink.peak = sink.open;
		reply(c, "220 sink.test ESMTP\r\n");
		send_replies(c);
	}
}

static void
on_readable(struct conn *c)
{
	static char in[IN_SIZE];
	ssize_t n;

	n = recv(c->fd, in, sizeof(in), 0);
	if (n == -1 && errno == EAGAIN)
		return;
	if (n <= 0) {
		hang_up(c);
		return;
	}
	on_octets(c, in, (size_t)n);
	send_replies(c);
}

/* Answers what is due; milliseconds until the next is, -1 if nothing is. */
static int
answer_due(void)
{
	double at = sink.first != NULL ? now(CLOCK_MONOTONIC) : 0;
	struct conn *c;

	while ((c = sink.first) != NULL && c->due <= at) {
		sink.first = c->next;
		c->due = 0;
		if (c->fd == -1) {
			hang_up(c);
			continue;
		}
		reply(c, "250 2.0.0 thrown away\r\n");
		send_replies(c);
	}
	return c != NULL ? (int)((c->due - at) * 1000) + 1 : -1;
}

static void
serve(int signals)
{
	struct epoll_event events[EVENTS];
	struct signalfd_siginfo info;
	int n;

	for (;;) {
		n = epoll_wait(sink.epoll, events, EVENTS, answer_due());
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == &sink.listener)
				on_accept();
			else if (events[i].data.ptr != &sink)
				on_readable(events[i].data.ptr);
			else if (read(signals, &info, sizeof(info)) > 0) {
				report();
				if (info.ssi_signo == SIGTERM)
					return;
			}
		}
	}
}

static int
start(const char *address, uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(port) };
	struct epoll_event ev = { .events = EPOLLIN };
	int one = 1, signals;
	sigset_t set;

	if (inet_pton(AF_INET, address, &sin.sin_addr) != 1)
		errx(2, "address: %s", address);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	sink.epoll = epoll_create1(EPOLL_CLOEXEC);
	sink.listener =
	    socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(sink.listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	sink.probes = calloc(PROBES, sizeof(*sink.probes));
	if (sink.probes == NULL || signals == -1 || sink.epoll == -1 ||
	    bind(sink.listener, (void *)&sin, sizeof(sin)) == -1 ||
	    listen(sink.listener, 4096) == -1)
		err(1, "start");
	ev.data.ptr = &sink.listener;
	epoll_ctl(sink.epoll, EPOLL_CTL_ADD, sink.listener, &ev);
	ev.data.ptr = &sink;
	epoll_ctl(sink.epoll, EPOLL_CTL_ADD, signals, &ev);
	return signals;
}

int
main(int argc, char **argv)
{
	const char *address = "127.0.0.1";
	uint16_t port = 0;
	int opt;

	while ((opt = getopt(argc, argv, "a:p:f:w:q:")) != -1)
		switch (opt) {
		case 'a':
			address = optarg;
			break;
		case 'p':
			port = (uint16_t)atoi(optarg);
			break;
		case 'f':
			sink.fail = (unsigned)atoi(optarg);
			break;
		case 'w':
			sink.wait = atoi(optarg) / 1000.0;
			break;
		case 'q':
			sink.word = optarg;
			break;
		default:
			return 2;
		}
	serve(start(address, port));
	return EXIT_SUCCESS;
}
