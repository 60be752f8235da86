/*
 * What the operator paused, kept over the end of the process in the file
 * `paused` of the spool, so that neither a crash nor a restart resumes it: a
 * line each, a part's name or `domain` and its name. Written anew and synced
 * with each change, before the operator hears that it is done; read before
 * anything is scheduled.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ipc/channel.h"
#include "os/log.h"
#include "queue/queue.h"

#define FILE_NAME "paused"
#define NEW_NAME "paused.new"

enum { LINE_MAX_OCTETS = 512 };

static const char mta[] = "mta", mda[] = "mda", smtp[] = "smtp";
static const char domain_word[] = "domain ";

static int
write_lines(struct queue *q, FILE *fp)
{
	const char *name;

	if (sched_kind_paused(q->sched, SCHED_RELAY))
		fprintf(fp, "%s\n", mta);
	if (sched_kind_paused(q->sched, SCHED_LOCAL))
		fprintf(fp, "%s\n", mda);
	if (q->intake_paused)
		fprintf(fp, "%s\n", smtp);
	for (size_t i = 0; (name = sched_paused_domain(q->sched, i)) != NULL;
	     i++)
		fprintf(fp, "%s%s\n", domain_word, name);
	return fflush(fp) == 0 && fdatasync(fileno(fp)) == 0 ? 0 : -1;
}

static int
save(struct queue *q, int folder)
{
	FILE *fp;
	int fd, rc;

	fd = openat(folder, NEW_NAME,
	    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	if ((fp = fdopen(fd, "w")) == NULL) {
		close(fd);
		return -1;
	}
	rc = write_lines(q, fp);
	if (fclose(fp) == EOF || rc == -1 ||
	    renameat(folder, NEW_NAME, folder, FILE_NAME) == -1)
		return -1;
	return fsync(folder);
}

int
pauses_keep(struct queue *q)
{
	int folder, rc = -1;

	folder = open(q->spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder != -1)
		rc = save(q, folder);
	if (rc == -1)
		log_error("pauses are not kept: %s", strerror(errno));
	if (folder != -1)
		close(folder);
	return rc;
}

static void
take_line(struct queue *q, const char *line)
{
	size_t n = strlen(domain_word);

	if (strcmp(line, mta) == 0)
		sched_pause_kind(q->sched, SCHED_RELAY, 1);
	else if (strcmp(line, mda) == 0)
		sched_pause_kind(q->sched, SCHED_LOCAL, 1);
	else if (strcmp(line, smtp) == 0)
		q->intake_paused = 1;
	else if (strncmp(line, domain_word, n) != 0 || line[n] == '\0' ||
	    sched_pause_domain(q->sched, line + n, 1) == -1) {
		log_error("paused: `%s` is not understood", line);
		return;
	}
	log_warn("%s is still paused: `smtpctl resume %s` ends it", line, line);
}

void
pauses_load(struct queue *q)
{
	char path[1024], line[LINE_MAX_OCTETS];
	FILE *fp;

	snprintf(path, sizeof(path), "%s/%s", q->spool, FILE_NAME);
	if ((fp = fopen(path, "re")) == NULL) {
		if (errno != ENOENT)
			log_error("pauses cannot be read: %s", strerror(errno));
		return;
	}
	while (fgets(line, sizeof(line), fp) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		take_line(q, line);
	}
	fclose(fp);
}
