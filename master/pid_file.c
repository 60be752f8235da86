/*
 * The file with the number of the first process. It is written once the spool
 * is ours: another start on the same spool, which gets no further than to find
 * it locked, takes nothing from the daemon that runs.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "master/master.h"
#include "os/log.h"

void
pid_file_write(const char *path)
{
	FILE *fp;

	if (path == NULL)
		return;
	if ((fp = fopen(path, "we")) == NULL) {
		log_warn("%s: %s", path, strerror(errno));
		return;
	}
	fprintf(fp, "%d\n", (int)getpid());
	fclose(fp);
}

void
pid_file_remove(const char *path)
{
	FILE *fp;
	int pid;

	if (path == NULL || (fp = fopen(path, "re")) == NULL)
		return;
	if (fscanf(fp, "%d", &pid) == 1 && pid == getpid())
		unlink(path);
	fclose(fp);
}
