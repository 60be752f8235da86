/*
 * See journal.h. Called at the start of master and of what it starts.
 */
#include "config.h"

#include <sys/stat.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/journal.h"
#include "os/log.h"

enum { LINE_MAX_OCTETS = 2048 + 64 };

/* As the log itself: the only global state of the process. */
static struct {
	const char *name;
	void (*wake)(void *);
	void *wake_arg;
	char held[16 * 1024];
	size_t len;
} state;

int
journal_is_stderr(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream != NULL &&
	    sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	    fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device &&
	    st.st_ino == inode;
}

static void
hold(const char *line, size_t len)
{
	if (state.len + len > sizeof(state.held))
		journal_flush();
	if (state.len == 0 && state.wake != NULL)
		state.wake(state.wake_arg);
	memcpy(state.held + state.len, line, len);
	state.len += len;
}

static void
write_line(void *arg, int priority, const char *line)
{
	char buf[LINE_MAX_OCTETS];
	int level = priority & LOG_PRIMASK, n;

	if (state.name == NULL)
		n = snprintf(buf, sizeof(buf), "<%d>%s\n", level, line);
	else
		n = snprintf(buf, sizeof(buf), "<%d>%s[%d]: %s\n", level,
		    state.name, (int)getpid(), line);
	if (n >= (int)sizeof(buf)) {
		n = (int)sizeof(buf) - 1;
		buf[n - 1] = '\n';
	}
	if (n > 0)
		hold(buf, (size_t)n);
	if (state.wake == NULL || level < LOG_INFO)
		journal_flush();
}

void
journal_init(const char *name)
{
	state.name = name;
	log_init(name != NULL ? name : "relaisd", LOG_TO_SINK);
	log_set_sink(write_line, NULL);
}

void
journal_hold(void (*wake)(void *), void *arg)
{
	state.wake = wake;
	state.wake_arg = arg;
}

void
journal_flush(void)
{
	size_t len = state.len;

	state.len = 0;
	if (len > 0 && write(STDERR_FILENO, state.held, len) == -1)
		return;
}
