/*
 * The log of a process: syslog, or standard error with -d. One event is one
 * line, `SESSION process event key=value ...`; values that could mislead a
 * reader or a parser are quoted, and a control character never goes out raw,
 * so whatever a client sends may be given as a value.
 *
 * This is the only mutable global state that a process has.
 */
#ifndef OS_LOG_H
#define OS_LOG_H

#include <stdint.h>
#include <syslog.h>

/* Bits of the trace mask, set by relaisd -T and smtpctl trace. */
enum log_trace {
	TRACE_SMTP = 1 << 0,
	TRACE_IPC = 1 << 1,
	TRACE_RULES = 1 << 2,
	TRACE_QUEUE = 1 << 3,
	TRACE_MTA = 1 << 4,
	TRACE_DNS = 1 << 5,
	TRACE_EXPAND = 1 << 6,
	TRACE_ALL = 0xff
};
/* The bits of a subject by its name, 0 for a name that is none; and all the
 * names, for who gave another. */
uint32_t log_trace_mask(const char *name);
extern const char log_trace_names[];

enum log_mode {
	LOG_TO_STDERR,
	LOG_TO_SYSLOG,
	LOG_TO_SINK /* a worker's: master writes its lines, see worker.h */
};

/* name is kept, not copied. */
void log_init(const char *name, enum log_mode);
void log_set_level(int verbose, uint32_t trace);
int log_verbose(void);
/* Opens those of the three standard descriptors that are closed, or a file of
 * ours would take the place of one. 0 or -1. */
int log_fill_standard(void);
/* The trace mask that holds. */
uint32_t log_traced(void);
/* Beside syslog, errors also go to what is open as fd now, which may be closed
 * then; -1: to nothing. */
void log_echo(int fd);
/* Every line also goes to sink with its syslog priority; NULL ends it. */
void log_set_sink(void (*sink)(void *, int, const char *), void *arg);
/*
 * From now on lines of events may wait for log_flush, so that several leave
 * in one write; any other line takes those before it along. wake is called
 * when the first one begins to wait. The process may not fork any more, and
 * only one of its threads may log.
 */
void log_hold(void (*wake)(void *), void *arg);
void log_flush(void);
/* Writes a line that another process made: name and line as they are. */
void log_relay(const char *name, int priority, const char *line);

/* Lines about the process itself. errno is not looked at. */
void log_info(const char *, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *, ...) __attribute__((format(printf, 1, 2)));
void log_trace(enum log_trace, const char *, ...)
    __attribute__((format(printf, 2, 3)));
/* The process cannot go on: logs and exits with 1. Never on remote input. */
void log_fatal(const char *, ...)
    __attribute__((format(printf, 1, 2), noreturn));

/*
 * One event of a session: pairs of key and value end with a NULL key, and a
 * NULL value leaves its pair out.
 *	log_event(sid, "connected", "address", addr, "host", name, NULL);
 */
void log_event(uint64_t session, const char *event, ...)
    __attribute__((sentinel));
/*
 * The same of a subject that is traced, as a line for debugging that begins
 * with "trace: "; nothing where it is not. Who would have to make values for
 * it asks log_traced first. Credentials and bodies are no values.
 */
void log_trace_event(enum log_trace, uint64_t session, const char *event, ...)
    __attribute__((sentinel));

/*
 * Writes value to out (size octets, always terminated) as it may stand in a
 * log line: quoted when it is empty or holds a space, a quote, `=` or `|`;
 * control characters and octets that are not UTF-8 as \xNN. A value that does
 * not fit ends in "...". Returns out.
 */
char *log_quote(char *out, size_t size, const char *value);

#endif
