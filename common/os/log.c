/*
 * See log.h. Owns where lines go and how loud they are; called by every
 * process; trusts nothing in a value.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/log.h"

enum {
	LINE_MAX_OCTETS = 2048,
	VALUE_MAX_OCTETS = 512,
	NAME_MAX_OCTETS = 64, /* of what stands before a line */
	/* what a pipe takes as a whole, or lines of several processes would
	 * mix */
	HELD_MAX_OCTETS = PIPE_BUF,
	/* out of the way of what a child is given by number */
	ECHO_FD_MIN = 10
};

static struct {
	const char *name;
	enum log_mode mode;
	int verbose;
	uint32_t trace;
	int echo; /* beside syslog, or -1 */
	void (*sink)(void *, int, const char *);
	void *sink_arg;
	/* lines that wait for log_flush, where they may */
	void (*wake)(void *);
	void *wake_arg;
	char prefix[NAME_MAX_OCTETS];
	size_t prefix_len;
	size_t held_len;
	char held[HELD_MAX_OCTETS];
} state = { .name = "relais", .mode = LOG_TO_STDERR, .echo = -1 };

/* Length of the UTF-8 sequence at s that is safe to print, 0 if none is:
 * malformed, overlong, a surrogate, or a C1 control. */
static size_t
utf8_length(const unsigned char *s)
{
	if (s[0] >= 0xc2 && s[0] <= 0xdf && (s[1] & 0xc0) == 0x80)
		return s[0] == 0xc2 && s[1] < 0xa0 ? 0 : 2;
	if ((s[0] & 0xf0) == 0xe0 && (s[1] & 0xc0) == 0x80 &&
	    (s[2] & 0xc0) == 0x80) {
		if ((s[0] == 0xe0 && s[1] < 0xa0) ||
		    (s[0] == 0xed && s[1] >= 0xa0))
			return 0;
		/* U+2028 to U+202E break or reverse lines for a reader */
		if (s[0] == 0xe2 && s[1] == 0x80 && s[2] >= 0xa8 &&
		    s[2] <= 0xae)
			return 0;
		return 3;
	}
	if (s[0] >= 0xf0 && s[0] <= 0xf4 && (s[1] & 0xc0) == 0x80 &&
	    (s[2] & 0xc0) == 0x80 && (s[3] & 0xc0) == 0x80)
		return (s[0] == 0xf0 && s[1] < 0x90) ||
			(s[0] == 0xf4 && s[1] >= 0x90)
		    ? 0
		    : 4;
	return 0;
}

static int
needs_quotes(const char *value)
{
	if (*value == '\0')
		return 1;
	for (const unsigned char *s = (const unsigned char *)value; *s; s++)
		if (*s <= ' ' || *s == 0x7f || *s == '"' || *s == '=' ||
		    *s == '|' || *s == '\\')
			return 1;
	return 0;
}

char *
log_quote(char *out, size_t size, const char *value)
{
	const unsigned char *s = (const unsigned char *)value;
	int quoted = needs_quotes(value);
	size_t n = 0, step;

	/* room for one escape, "...", the closing quote and the NUL */
	enum { RESERVE = 4 + 3 + 1 + 1 };
	if (size < RESERVE + 1) {
		if (size > 0)
			*out = '\0';
		return out;
	}
	if (quoted)
		out[n++] = '"';
	for (; *s != '\0'; s += step) {
		step = 1;
		if (n + RESERVE > size) {
			memcpy(out + n, "...", 3);
			n += 3;
			break;
		}
		if (*s == '"' || *s == '\\') {
			out[n++] = '\\';
			out[n++] = (char)*s;
		} else if (*s >= ' ' && *s < 0x7f) {
			out[n++] = (char)*s;
		} else if (*s >= 0x80 && (step = utf8_length(s)) > 0) {
			memcpy(out + n, s, step);
			n += step;
		} else {
			step = 1;
			n += (size_t)snprintf(out + n, 5, "\\x%02x", *s);
		}
	}
	if (quoted)
		out[n++] = '"';
	out[n] = '\0';
	return out;
}

void
log_init(const char *name, enum log_mode mode)
{
	state.name = name;
	state.mode = mode;
	if (mode == LOG_TO_SYSLOG)
		openlog(name, LOG_PID | LOG_NDELAY, LOG_MAIL);
}

int
log_fill_standard(void)
{
	int fd;

	do /* not close-on-exec: the programs that we start need them as well */
		if ((fd = open("/dev/null", O_RDWR)) == -1)
			return -1;
	while (fd <= STDERR_FILENO);
	close(fd);
	return 0;
}

void
log_echo(int fd)
{
	if (state.echo != -1)
		close(state.echo);
	state.echo = fd;
	if (fd != -1)
		state.echo = fcntl(fd, F_DUPFD_CLOEXEC, ECHO_FD_MIN);
}

void
log_set_level(int verbose, uint32_t trace)
{
	state.verbose = verbose;
	state.trace = trace;
}

const char log_trace_names[] =
    "smtp, ipc, rules, queue, mta, dns, expand and all";

uint32_t
log_trace_mask(const char *name)
{
	static const struct {
		const char *name;
		uint32_t mask;
	} subjects[] = {
		{ "smtp", TRACE_SMTP },
		{ "ipc", TRACE_IPC },
		{ "rules", TRACE_RULES },
		{ "queue", TRACE_QUEUE },
		{ "mta", TRACE_MTA },
		{ "dns", TRACE_DNS },
		{ "expand", TRACE_EXPAND },
		{ "all", TRACE_ALL },
	};

	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++)
		if (strcmp(subjects[i].name, name) == 0)
			return subjects[i].mask;
	return 0;
}

uint32_t
log_traced(void)
{
	return state.trace;
}

int
log_verbose(void)
{
	return state.verbose;
}

void
log_set_sink(void (*sink)(void *, int, const char *), void *arg)
{
	state.sink = sink;
	state.sink_arg = arg;
}

void
log_hold(void (*wake)(void *), void *arg)
{
	int n;

	n = snprintf(state.prefix, sizeof(state.prefix), "%s[%d]: ", state.name,
	    (int)getpid());
	if (n < 0 || n >= (int)sizeof(state.prefix))
		return;
	state.prefix_len = (size_t)n;
	state.wake = wake;
	state.wake_arg = arg;
}

void
log_flush(void)
{
	size_t len = state.held_len;

	state.held_len = 0;
	if (len > 0 && write(STDERR_FILENO, state.held, len) == -1)
		return;
}

/* Puts a line behind those that wait. */
static void
hold_line(const char *line)
{
	size_t len = strlen(line);

	if (state.held_len + state.prefix_len + len + 1 > sizeof(state.held))
		log_flush();
	if (state.held_len == 0)
		state.wake(state.wake_arg);
	memcpy(state.held + state.held_len, state.prefix, state.prefix_len);
	state.held_len += state.prefix_len;
	memcpy(state.held + state.held_len, line, len);
	state.held_len += len;
	state.held[state.held_len++] = '\n';
}

static void
write_line(int fd, const char *name, const char *line)
{
	char buf[LINE_MAX_OCTETS + NAME_MAX_OCTETS];
	int n;

	n = snprintf(
	    buf, sizeof(buf), "%s[%d]: %s\n", name, (int)getpid(), line);
	if (n >= (int)sizeof(buf))
		n = (int)sizeof(buf) - 1;
	if (n > 0 && write(fd, buf, (size_t)n) == -1)
		return;
}

void
log_relay(const char *name, int priority, const char *line)
{
	if (state.mode == LOG_TO_STDERR) {
		log_flush();
		write_line(STDERR_FILENO, name, line);
	} else if (state.mode == LOG_TO_SYSLOG) {
		syslog(priority, "%s", line);
		if (state.echo != -1 && priority <= LOG_ERR)
			write_line(state.echo, name, line);
	}
}

static void
put_line(int priority, const char *line)
{
	if (state.wake != NULL && state.mode == LOG_TO_STDERR)
		hold_line(line);
	else
		log_relay(state.name, priority, line);
	if (state.sink != NULL)
		state.sink(state.sink_arg, priority, line);
}

__attribute__((format(printf, 3, 0))) static void
put_text(int priority, const char *word, const char *fmt, va_list ap)
{
	char raw[LINE_MAX_OCTETS / 2], line[LINE_MAX_OCTETS];
	size_t n = 0;

	vsnprintf(raw, sizeof(raw), fmt, ap);
	n = (size_t)snprintf(
	    line, sizeof(line), "%s%s", word, *word ? ": " : "");
	for (const unsigned char *s = (unsigned char *)raw;
	     *s != '\0' && n + 5 < sizeof(line); s++) {
		if (*s < ' ' || *s == 0x7f)
			n += (size_t)snprintf(line + n, 5, "\\x%02x", *s);
		else
			line[n++] = (char)*s;
	}
	line[n] = '\0';
	put_line(priority, line);
	log_flush();
}

#define LOG_FUNCTION(name, priority, word, condition) \
	void name(const char *fmt, ...)               \
	{                                             \
		va_list ap;                           \
                                                      \
		if (!(condition))                     \
			return;                       \
		va_start(ap, fmt);                    \
		put_text(priority, word, fmt, ap);    \
		va_end(ap);                           \
	}

LOG_FUNCTION(log_info, LOG_INFO, "info", 1)
LOG_FUNCTION(log_warn, LOG_WARNING, "warn", 1)
LOG_FUNCTION(log_error, LOG_ERR, "error", 1)
LOG_FUNCTION(log_debug, LOG_DEBUG, "debug", state.verbose > 0)

void
log_trace(enum log_trace mask, const char *fmt, ...)
{
	va_list ap;

	if ((state.trace & mask) == 0)
		return;
	va_start(ap, fmt);
	put_text(LOG_DEBUG, "trace", fmt, ap);
	va_end(ap);
}

void
log_fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_text(LOG_CRIT, "fatal", fmt, ap);
	va_end(ap);
	exit(1);
}

/* An event behind `word`, with its pairs as long as there is room. */
static void
put_event(int priority, const char *word, uint64_t session, const char *event,
    va_list ap)
{
	char line[LINE_MAX_OCTETS], value[VALUE_MAX_OCTETS];
	size_t n, key_len, value_len;
	const char *key, *v;

	n = (size_t)snprintf(line, sizeof(line), "%s%016llx %s %s", word,
	    (unsigned long long)session, state.name, event);
	while ((key = va_arg(ap, const char *)) != NULL) {
		if ((v = va_arg(ap, const char *)) == NULL)
			continue;
		log_quote(value, sizeof(value), v);
		key_len = strlen(key);
		value_len = strlen(value);
		if (n + key_len + value_len + 3 > sizeof(line))
			break;
		line[n++] = ' ';
		memcpy(line + n, key, key_len);
		n += key_len;
		line[n++] = '=';
		memcpy(line + n, value, value_len);
		n += value_len;
	}
	line[n] = '\0';
	put_line(priority, line);
}

void
log_event(uint64_t session, const char *event, ...)
{
	va_list ap;

	va_start(ap, event);
	put_event(LOG_INFO, "", session, event, ap);
	va_end(ap);
}

void
log_trace_event(enum log_trace mask, uint64_t session, const char *event, ...)
{
	va_list ap;

	if ((state.trace & mask) == 0)
		return;
	va_start(ap, event);
	put_event(LOG_DEBUG, "trace: ", session, event, ap);
	va_end(ap);
}
