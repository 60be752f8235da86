/*
 * Bodies on their way in that are too large for memory: files under incoming/,
 * written, synced and named by a thread, so that neither a disk that is behind
 * nor the sync of a large body holds up the loop and the small messages in it.
 *
 * The loop hands over jobs and hears of progress by a descriptor; all that
 * both threads touch is under the writer's lock. Jobs of one spool file are
 * done in the order in which they came. Like the checkpoint thread this one
 * logs nothing: what failed is left in the spool for the loop to tell.
 */
#include "config.h"

#include <sys/eventfd.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/log.h"
#include "queue/store_bdb.h"

/* So many octets, then the disk is asked to begin with them: what is left for
 * the sync at the end is little, however large the body. */
enum { FLUSH_OCTETS = 1 << 20 };

enum job_kind { JOB_WRITE, JOB_SEAL, JOB_CLOSE };

struct store_job {
	STAILQ_ENTRY(store_job) entry;
	enum job_kind kind;
	struct store_spool *spool;
	size_t len;
	uint8_t data[];
};

struct store_spool {
	struct store *st;
	void *arg;
	uint64_t number;
	uint32_t msgid;
	/* no job may fail for want of memory when the spool is given up */
	struct store_job *seal, *close;

	/* under the lock */
	TAILQ_ENTRY(store_spool) entry; /* of those that got on */
	int listed;
	int closed; /* by the loop: nothing is told of it any more */
	int taken; /* a message owns the file */
	size_t behind; /* octets not written yet */
	enum store_spool_state state;

	/* of the thread */
	int fd;
	int named; /* it lies where its message wants it */
	const char *failed; /* what did, */
	int error; /* and why */
	off_t written, flushed;
};

/* ---- the thread ------------------------------------------------------- */

static void
give_up(struct store_spool *sp, const char *what)
{
	sp->failed = what;
	sp->error = errno;
}

static void
flush_some(struct store_spool *sp)
{
	if (sp->written - sp->flushed < FLUSH_OCTETS)
		return;
	/* only a hint: the sync at the end is what counts */
	(void)sync_file_range(sp->fd, sp->flushed, sp->written - sp->flushed,
	    SYNC_FILE_RANGE_WRITE);
	sp->flushed = sp->written;
}

static void
do_write(struct store_job *job)
{
	struct store_spool *sp = job->spool;
	const uint8_t *data = job->data;
	size_t left = job->len;
	ssize_t n;

	if (sp->failed == NULL && sp->fd == -1 &&
	    (sp->fd = store_files_create(sp->st, sp->number)) == -1)
		give_up(sp, "open");
	for (; sp->failed == NULL && left > 0; data += n, left -= (size_t)n) {
		n = write(sp->fd, data, left);
		if (n == -1 && errno == EINTR)
			n = 0;
		else if (n == -1) {
			give_up(sp, "write");
			return;
		}
	}
	sp->written += (off_t)job->len;
	if (sp->failed == NULL)
		flush_some(sp);
}

static void
close_fd(struct store_spool *sp)
{
	if (sp->fd != -1)
		close(sp->fd);
	sp->fd = -1;
}

/* After a failed sync the kernel may have dropped the octets: the file is
 * given up, never synced again. */
static void
sync_and_name(struct store_spool *sp, uint8_t *folders)
{
	if (sp->failed == NULL && sp->fd == -1) {
		errno = ENOENT;
		give_up(sp, "seal");
	}
	if (sp->failed == NULL && fsync(sp->fd) == -1)
		give_up(sp, "fsync");
	if (sp->failed == NULL) {
		if (store_files_name(sp->st, sp->number, sp->msgid) == -1)
			give_up(sp, "rename");
		else {
			sp->named = 1;
			folders[store_folder_of(sp->msgid)] = 1;
		}
	}
	close_fd(sp);
}

static void
do_close(struct store_spool *sp)
{
	int created = sp->written > 0;

	close_fd(sp);
	if (sp->named && !sp->taken)
		store_files_unlink(sp->st, sp->msgid);
	else if (!sp->named && created)
		store_files_discard(sp->st, sp->number);
	free(sp->seal);
	free(sp);
}

/* With the lock held. */
static void
tell(struct store_writer *w, struct store_spool *sp)
{
	uint64_t one = 1;

	if (sp->closed || sp->listed)
		return;
	/* it cannot be full: the loop empties it each time */
	if (TAILQ_EMPTY(&w->told) && write(w->fd, &one, sizeof(one)) == -1)
		w->broken = "eventfd";
	TAILQ_INSERT_TAIL(&w->told, sp, entry);
	sp->listed = 1;
}

static void
tell_written(struct store_writer *w, struct store_jobs *jobs)
{
	struct store_job *job;

	pthread_mutex_lock(&w->lock);
	STAILQ_FOREACH (job, jobs, entry) {
		if (job->kind != JOB_WRITE)
			continue;
		job->spool->behind -= job->len;
		if (job->spool->failed != NULL)
			job->spool->state = STORE_SPOOL_FAILED;
		tell(w, job->spool);
	}
	pthread_mutex_unlock(&w->lock);
}

/* One sync a folder, however many bodies it got. */
static void
do_seals(struct store *st, struct store_jobs *jobs)
{
	uint8_t folders[STORE_BODY_FOLDERS] = { 0 };
	struct store_writer *w = &st->writer;
	struct store_job *job;
	int broken = 0;

	STAILQ_FOREACH (job, jobs, entry)
		if (job->kind == JOB_SEAL)
			sync_and_name(job->spool, folders);
	for (unsigned n = 0; n < STORE_BODY_FOLDERS; n++)
		if (folders[n] && store_files_sync(st, n) == -1)
			broken = 1;
	pthread_mutex_lock(&w->lock);
	if (broken)
		w->broken = "a folder of bodies did not sync";
	STAILQ_FOREACH (job, jobs, entry) {
		if (job->kind != JOB_SEAL)
			continue;
		job->spool->state = job->spool->failed != NULL || broken
		    ? STORE_SPOOL_FAILED
		    : STORE_SPOOL_SAFE;
		tell(w, job->spool);
	}
	pthread_cond_broadcast(&w->done);
	pthread_mutex_unlock(&w->lock);
}

static void
do_jobs(struct store *st, struct store_jobs *jobs)
{
	struct store_job *job;
	int seals = 0;

	STAILQ_FOREACH (job, jobs, entry) {
		if (job->kind == JOB_WRITE)
			do_write(job);
		seals |= job->kind == JOB_SEAL;
	}
	tell_written(&st->writer, jobs);
	if (seals)
		do_seals(st, jobs);
	/* a spool goes after all other jobs of it */
	while ((job = STAILQ_FIRST(jobs)) != NULL) {
		STAILQ_REMOVE_HEAD(jobs, entry);
		if (job->kind == JOB_CLOSE)
			do_close(job->spool);
		if (job->kind != JOB_SEAL)
			free(job);
	}
}

static void *
writer_main(void *arg)
{
	struct store *st = arg;
	struct store_writer *w = &st->writer;
	struct store_jobs jobs;
	int more = 1;

	while (more) {
		STAILQ_INIT(&jobs);
		pthread_mutex_lock(&w->lock);
		w->busy = 0;
		pthread_cond_broadcast(&w->done);
		while (STAILQ_EMPTY(&w->jobs) && !w->stop)
			pthread_cond_wait(&w->wake, &w->lock);
		STAILQ_CONCAT(&jobs, &w->jobs);
		w->busy = 1;
		more = !w->stop || !STAILQ_EMPTY(&jobs);
		pthread_mutex_unlock(&w->lock);
		do_jobs(st, &jobs);
	}
	return NULL;
}

/* ---- its life --------------------------------------------------------- */

int
store_writer_start(struct store *st)
{
	struct store_writer *w = &st->writer;

	STAILQ_INIT(&w->jobs);
	TAILQ_INIT(&w->told);
	if ((w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == -1)
		return -1;
	if (pthread_mutex_init(&w->lock, NULL) != 0 ||
	    pthread_cond_init(&w->wake, NULL) != 0 ||
	    pthread_cond_init(&w->done, NULL) != 0 ||
	    pthread_create(&w->thread, NULL, writer_main, st) != 0) {
		close(w->fd);
		return -1;
	}
	w->running = 1;
	return 0;
}

void
store_writer_stop(struct store *st)
{
	struct store_writer *w = &st->writer;

	if (!w->running)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = 1;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->wake);
	pthread_cond_destroy(&w->done);
	pthread_mutex_destroy(&w->lock);
	close(w->fd);
	w->running = 0;
}

void
store_writer_check(struct store *st)
{
	struct store_writer *w = &st->writer;
	const char *broken;

	pthread_mutex_lock(&w->lock);
	broken = w->broken;
	pthread_mutex_unlock(&w->lock);
	if (broken != NULL)
		store_panic("the writer of bodies: %s", broken);
}

/* ---- the loop --------------------------------------------------------- */

/* The thread has done with what it says of a failure. */
static void
log_failure(const struct store_spool *sp)
{
	log_error("incoming/%016llx: %s: %s", (unsigned long long)sp->number,
	    sp->failed != NULL ? sp->failed : "not its message",
	    strerror(sp->error));
}

static struct store_job *
new_job(struct store_spool *sp, enum job_kind kind, size_t len)
{
	struct store_job *job = malloc(sizeof(*job) + len);

	if (job != NULL)
		*job =
		    (struct store_job){ .kind = kind, .spool = sp, .len = len };
	return job;
}

static void
hand_over(struct store_writer *w, struct store_job *job)
{
	if (STAILQ_EMPTY(&w->jobs))
		pthread_cond_signal(&w->wake);
	STAILQ_INSERT_TAIL(&w->jobs, job, entry);
}

struct store_spool *
store_spool_open(struct store *st, void *arg)
{
	struct store_spool *sp;

	if ((sp = calloc(1, sizeof(*sp))) == NULL)
		return NULL;
	sp->st = st;
	sp->arg = arg;
	sp->fd = -1;
	sp->seal = new_job(sp, JOB_SEAL, 0);
	sp->close = new_job(sp, JOB_CLOSE, 0);
	if (sp->seal == NULL || sp->close == NULL) {
		free(sp->seal);
		free(sp->close);
		free(sp);
		return NULL;
	}
	sp->number = st->spool_number++;
	return sp;
}

int
store_spool_write(struct store_spool *sp, const void *data, size_t len)
{
	struct store_writer *w = &sp->st->writer;
	struct store_job *job;

	if (len == 0)
		return 0;
	if ((job = new_job(sp, JOB_WRITE, len)) == NULL)
		return -1;
	memcpy(job->data, data, len);
	pthread_mutex_lock(&w->lock);
	sp->behind += len;
	hand_over(w, job);
	pthread_mutex_unlock(&w->lock);
	return 0;
}

void
store_spool_seal(struct store_spool *sp, uint32_t msgid)
{
	struct store_writer *w = &sp->st->writer;

	pthread_mutex_lock(&w->lock);
	sp->msgid = msgid;
	hand_over(w, sp->seal);
	pthread_mutex_unlock(&w->lock);
}

size_t
store_spool_behind(struct store_spool *sp)
{
	struct store_writer *w = &sp->st->writer;
	size_t behind;

	pthread_mutex_lock(&w->lock);
	behind = sp->behind;
	pthread_mutex_unlock(&w->lock);
	return behind;
}

enum store_spool_state
store_spool_state(struct store_spool *sp)
{
	struct store_writer *w = &sp->st->writer;
	enum store_spool_state state;

	pthread_mutex_lock(&w->lock);
	state = sp->state;
	pthread_mutex_unlock(&w->lock);
	return state;
}

void
store_spool_wait(struct store_spool *sp)
{
	struct store_writer *w = &sp->st->writer;

	pthread_mutex_lock(&w->lock);
	while (w->busy || !STAILQ_EMPTY(&w->jobs))
		pthread_cond_wait(&w->done, &w->lock);
	pthread_mutex_unlock(&w->lock);
}

int
store_spool_take(struct store_spool *sp, uint32_t msgid)
{
	struct store_writer *w = &sp->st->writer;
	int rc = -1;

	pthread_mutex_lock(&w->lock);
	if (sp->state == STORE_SPOOL_SAFE && sp->msgid == msgid) {
		sp->taken = 1;
		rc = 0;
	}
	pthread_mutex_unlock(&w->lock);
	if (rc == -1)
		log_failure(sp);
	return rc;
}

void
store_spool_close(struct store_spool *sp)
{
	struct store_writer *w;

	if (sp == NULL)
		return;
	w = &sp->st->writer;
	pthread_mutex_lock(&w->lock);
	if (sp->listed)
		TAILQ_REMOVE(&w->told, sp, entry);
	sp->listed = 0;
	sp->closed = 1;
	hand_over(w, sp->close);
	pthread_mutex_unlock(&w->lock);
}

int
store_spool_fd(const struct store *st)
{
	return st->writer.fd;
}

/* The next spool that got on; state is as it was when it was told. */
static struct store_spool *
next_told(struct store_writer *w, enum store_spool_state *state)
{
	struct store_spool *sp;

	pthread_mutex_lock(&w->lock);
	if ((sp = TAILQ_FIRST(&w->told)) != NULL) {
		TAILQ_REMOVE(&w->told, sp, entry);
		sp->listed = 0;
		*state = sp->state;
	}
	pthread_mutex_unlock(&w->lock);
	return sp;
}

void
store_spool_progress(struct store *st, store_progress *fn, void *ctx)
{
	struct store_writer *w = &st->writer;
	enum store_spool_state state;
	struct store_spool *sp;
	uint64_t count;

	/* emptied first: what comes now sets it again */
	if (read(w->fd, &count, sizeof(count)) == -1 && errno != EAGAIN)
		store_panic("eventfd: %s", strerror(errno));
	store_writer_check(st);
	while ((sp = next_told(w, &state)) != NULL) {
		if (state == STORE_SPOOL_FAILED)
			log_failure(sp);
		fn(ctx, sp->arg);
	}
}
