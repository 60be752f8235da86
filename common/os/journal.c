/*
 * See journal.h. Called at the start of master and of what it starts.
 */
#include "config.h"

#include <sys/stat.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/journal.h"
#include "os/log.h"

enum { LINE_MAX_OCTETS = 2048 + 64 };

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
write_line(void *arg, int priority, const char *line)
{
	const char *name = arg;
	char buf[LINE_MAX_OCTETS];
	int n;

	if (name == NULL)
		n = snprintf(
		    buf, sizeof(buf), "<%d>%s\n", priority & LOG_PRIMASK, line);
	else
		n = snprintf(buf, sizeof(buf), "<%d>%s[%d]: %s\n",
		    priority & LOG_PRIMASK, name, (int)getpid(), line);
	if (n >= (int)sizeof(buf))
		n = (int)sizeof(buf) - 1;
	if (n > 0 && write(STDERR_FILENO, buf, (size_t)n) == -1)
		return;
}

void
journal_init(const char *name)
{
	log_init(name != NULL ? name : "relaisd", LOG_TO_SINK);
	log_set_sink(write_line, (void *)name);
}
