/*
 * Bodies on their way in that are too large for memory: files under incoming/,
 * written, synced and named by threads, so that neither a disk that is behind
 * nor the sync of a large body holds up the loop and the small messages in it.
 * There are two: one of them may always wait for the disk.
 *
 * The loop hands over jobs and hears of progress by a descriptor; all that
 * two threads touch is under the writer's lock. Jobs of one spool file are
 * done by one thread, in the order in which they came. Like the checkpoint
 * thread they log nothing: what failed is left in the spool for the loop to
 * tell.
 *
 * A body is gathered into chunks. The first goes through the page cache, since
 * what is short is likely to be read again at once; those behind it go around
 * it (O_DIRECT) where the file system can: each octet has to reach the disk
 * before the message is taken anyway, and a copy in the cache costs more than
 * all else that is done with it.
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

enum {
	CHUNK = 256 << 10, /* octets that are written in one go */
	/* what O_DIRECT asks of offsets, lengths and memory: no disk has larger
	 * blocks */
	ALIGNMENT = 4096,
	/* less is not worth a turn of the disk */
	DIRECT_LEAST = 64 << 10,
	/* gathered of all bodies; over it each piece is written as it comes */
	GATHERED_MAX = 16 << 20,
	/* may wait for the disk before those who send are held back */
	BEHIND_FREE = 4 << 20,
	/* chunks that are kept for the next body */
	SPARE_MAX = 8
};

enum job_kind { JOB_WRITE, JOB_SEAL, JOB_CLOSE };

struct store_job {
	STAILQ_ENTRY(store_job) entry;
	enum job_kind kind;
	struct store_spool *spool;
	size_t len;
	uint8_t *data; /* CHUNK octets, of JOB_WRITE */
};

struct store_spool {
	struct store *st;
	void *arg;
	uint64_t number;
	uint32_t msgid;
	/* no job may fail for want of memory when the spool is given up */
	struct store_job *seal, *close;
	struct store_job *chunk; /* that is gathered: the loop's alone */

	/* under the lock */
	TAILQ_ENTRY(store_spool) entry; /* of those that got on */
	int listed;
	int closed; /* by the loop: nothing is told of it any more */
	int taken; /* a message owns the file */
	size_t behind; /* octets not written yet */
	enum store_spool_state state;

	/* of its thread */
	int fd;
	int created;
	int direct; /* fd is O_DIRECT */
	int cached; /* it can never be */
	int named; /* it lies where its message wants it */
	const char *failed; /* what did, */
	int error; /* and why */
	off_t written, flushed;
};

/* ---- chunks ----------------------------------------------------------- */

static struct store_job *
new_chunk(struct store_spool *sp)
{
	struct store_writer *w = &sp->st->writer;
	struct store_job *job;
	void *data;

	pthread_mutex_lock(&w->lock);
	if ((job = STAILQ_FIRST(&w->spare)) != NULL) {
		STAILQ_REMOVE_HEAD(&w->spare, entry);
		w->spare_count--;
	}
	pthread_mutex_unlock(&w->lock);
	if (job == NULL && (job = malloc(sizeof(*job))) != NULL) {
		if (posix_memalign(&data, ALIGNMENT, CHUNK) != 0) {
			free(job);
			return NULL;
		}
		job->data = data;
	}
	if (job != NULL) {
		job->kind = JOB_WRITE;
		job->spool = sp;
		job->len = 0;
	}
	return job;
}

/* With the lock held. */
static void
free_chunk(struct store_writer *w, struct store_job *job)
{
	if (w->spare_count < SPARE_MAX) {
		STAILQ_INSERT_HEAD(&w->spare, job, entry);
		w->spare_count++;
		return;
	}
	free(job->data);
	free(job);
}

/* ---- the threads ------------------------------------------------------ */

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

/* Sets whether what is written goes around the page cache. */
static void
set_direct(struct store_spool *sp, int direct)
{
	int flags;

	if (direct == sp->direct)
		return;
	if ((flags = fcntl(sp->fd, F_GETFL)) != -1 &&
	    fcntl(sp->fd, F_SETFL,
		direct ? flags | O_DIRECT : flags & ~O_DIRECT) != -1)
		sp->direct = direct;
	else if (direct)
		sp->cached = 1;
	else
		give_up(sp, "fcntl");
}

/* Octets of the next write: whole blocks around the cache, or all that is
 * left through it. */
static size_t
plan_write(struct store_spool *sp, size_t left)
{
	int direct = !sp->cached && sp->written > 0 &&
	    sp->written % ALIGNMENT == 0 && left >= DIRECT_LEAST;

	set_direct(sp, direct);
	return sp->direct ? left - left % ALIGNMENT : left;
}

static void
do_write(struct store_job *job)
{
	struct store_spool *sp = job->spool;
	const uint8_t *data = job->data;
	size_t left = job->len, len;
	ssize_t n;

	if (sp->failed == NULL && sp->fd == -1) {
		sp->fd = store_files_create(sp->st, sp->number);
		sp->created = sp->fd != -1;
		if (!sp->created)
			give_up(sp, "open");
	}
	while (sp->failed == NULL && left > 0) {
		len = plan_write(sp, left);
		if (sp->failed != NULL)
			return;
		n = write(sp->fd, data, len);
		if (n == -1 && errno == EINVAL && sp->direct)
			sp->cached = 1;
		else if (n == -1 && errno != EINTR)
			give_up(sp, "write");
		if (n == -1)
			continue;
		data += n;
		left -= (size_t)n;
		sp->written += n;
	}
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
	close_fd(sp);
	if (sp->named && !sp->taken)
		(void)store_files_unlink(sp->st, sp->msgid);
	else if (!sp->named && sp->created)
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

/* What was written is done with and leaves the jobs. */
static void
tell_written(struct store_writer *w, struct store_jobs *jobs)
{
	struct store_jobs others = STAILQ_HEAD_INITIALIZER(others);
	struct store_job *job, *next;

	pthread_mutex_lock(&w->lock);
	for (job = STAILQ_FIRST(jobs); job != NULL; job = next) {
		next = STAILQ_NEXT(job, entry);
		if (job->kind != JOB_WRITE) {
			STAILQ_INSERT_TAIL(&others, job, entry);
			continue;
		}
		job->spool->behind -= job->len;
		w->behind -= job->len;
		if (job->spool->failed != NULL)
			job->spool->state = STORE_SPOOL_FAILED;
		tell(w, job->spool);
		free_chunk(w, job);
	}
	STAILQ_INIT(jobs);
	STAILQ_CONCAT(jobs, &others);
	pthread_mutex_unlock(&w->lock);
}

/*
 * One sync a folder, however many bodies it got; 0, or -1. A folder's sync
 * tells of its failure once, to whoever comes first: no other may look at the
 * folder before all know.
 */
static int
sync_folders(struct store *st, const uint8_t *folders)
{
	struct store_writer *w = &st->writer;
	int broken = 0;

	pthread_mutex_lock(&w->syncing);
	for (unsigned n = 0; n < STORE_BODY_FOLDERS; n++)
		if (folders[n] && store_files_sync(st, n) == -1)
			broken = 1;
	pthread_mutex_lock(&w->lock);
	if (broken)
		w->broken = "a folder of bodies did not sync";
	broken = w->broken != NULL;
	pthread_mutex_unlock(&w->lock);
	pthread_mutex_unlock(&w->syncing);
	return broken ? -1 : 0;
}

static void
do_seals(struct store *st, struct store_jobs *jobs)
{
	uint8_t folders[STORE_BODY_FOLDERS] = { 0 };
	struct store_writer *w = &st->writer;
	struct store_job *job;
	int broken;

	STAILQ_FOREACH (job, jobs, entry)
		if (job->kind == JOB_SEAL)
			sync_and_name(job->spool, folders);
	broken = sync_folders(st, folders) == -1;
	pthread_mutex_lock(&w->lock);
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
		if (job->kind != JOB_CLOSE)
			continue;
		do_close(job->spool);
		free(job);
	}
}

static void *
writer_main(void *arg)
{
	struct store_writer_thread *t = arg;
	struct store_writer *w = &t->st->writer;
	struct store_jobs jobs;
	int more = 1;

	while (more) {
		STAILQ_INIT(&jobs);
		pthread_mutex_lock(&w->lock);
		t->busy = 0;
		pthread_cond_broadcast(&w->done);
		while (STAILQ_EMPTY(&t->jobs) && !w->stop)
			pthread_cond_wait(&t->wake, &w->lock);
		STAILQ_CONCAT(&jobs, &t->jobs);
		t->busy = 1;
		more = !w->stop || !STAILQ_EMPTY(&jobs);
		pthread_mutex_unlock(&w->lock);
		do_jobs(t->st, &jobs);
	}
	return NULL;
}

/* ---- its life --------------------------------------------------------- */

int
store_writer_start(struct store *st)
{
	struct store_writer *w = &st->writer;
	struct store_writer_thread *t;

	STAILQ_INIT(&w->spare);
	TAILQ_INIT(&w->told);
	if ((w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == -1)
		return -1;
	if (pthread_mutex_init(&w->lock, NULL) != 0 ||
	    pthread_mutex_init(&w->syncing, NULL) != 0 ||
	    pthread_cond_init(&w->done, NULL) != 0) {
		close(w->fd);
		return -1;
	}
	for (; w->running < STORE_WRITERS; w->running++) {
		t = &w->threads[w->running];
		t->st = st;
		STAILQ_INIT(&t->jobs);
		if (pthread_cond_init(&t->wake, NULL) != 0 ||
		    pthread_create(&t->thread, NULL, writer_main, t) != 0) {
			store_writer_stop(st);
			return -1;
		}
	}
	return 0;
}

void
store_writer_stop(struct store *st)
{
	struct store_writer *w = &st->writer;
	struct store_job *job;

	if (w->running == 0)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = 1;
	for (unsigned i = 0; i < w->running; i++)
		pthread_cond_signal(&w->threads[i].wake);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->running; i++) {
		pthread_join(w->threads[i].thread, NULL);
		pthread_cond_destroy(&w->threads[i].wake);
	}
	while ((job = STAILQ_FIRST(&w->spare)) != NULL) {
		STAILQ_REMOVE_HEAD(&w->spare, entry);
		free(job->data);
		free(job);
	}
	pthread_cond_destroy(&w->done);
	pthread_mutex_destroy(&w->syncing);
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
new_job(struct store_spool *sp, enum job_kind kind)
{
	struct store_job *job = malloc(sizeof(*job));

	if (job != NULL)
		*job = (struct store_job){ .kind = kind, .spool = sp };
	return job;
}

/* All of a spool go to one thread: that keeps them in order. */
static void
hand_over(struct store_writer *w, struct store_job *job)
{
	struct store_writer_thread *t =
	    &w->threads[job->spool->number % STORE_WRITERS];

	if (STAILQ_EMPTY(&t->jobs))
		pthread_cond_signal(&t->wake);
	STAILQ_INSERT_TAIL(&t->jobs, job, entry);
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
	sp->seal = new_job(sp, JOB_SEAL);
	sp->close = new_job(sp, JOB_CLOSE);
	if (sp->seal == NULL || sp->close == NULL) {
		free(sp->seal);
		free(sp->close);
		free(sp);
		return NULL;
	}
	sp->number = st->spool_number++;
	return sp;
}

/* With the lock held: what was gathered is not wanted. */
static void
drop_chunk(struct store_spool *sp)
{
	struct store_writer *w = &sp->st->writer;

	if (sp->chunk == NULL)
		return;
	w->gathered -= sp->chunk->len;
	free_chunk(w, sp->chunk);
	sp->chunk = NULL;
}

/* With the lock held: what was gathered goes to the thread. */
static void
hand_over_chunk(struct store_spool *sp)
{
	struct store_writer *w = &sp->st->writer;
	struct store_job *job = sp->chunk;

	if (job == NULL)
		return;
	sp->chunk = NULL;
	w->gathered -= job->len;
	w->behind += job->len;
	sp->behind += job->len;
	hand_over(w, job);
}

int
store_spool_write(struct store_spool *sp, const void *data, size_t len)
{
	struct store_writer *w = &sp->st->writer;
	const uint8_t *from = data;
	size_t n;

	while (len > 0) {
		if (sp->chunk == NULL && (sp->chunk = new_chunk(sp)) == NULL)
			return -1;
		n = CHUNK - sp->chunk->len;
		if (n > len)
			n = len;
		memcpy(sp->chunk->data + sp->chunk->len, from, n);
		sp->chunk->len += n;
		from += n;
		len -= n;
		pthread_mutex_lock(&w->lock);
		w->gathered += n;
		if (sp->chunk->len == CHUNK || w->gathered > GATHERED_MAX)
			hand_over_chunk(sp);
		pthread_mutex_unlock(&w->lock);
	}
	return 0;
}

void
store_spool_seal(struct store_spool *sp, uint32_t msgid)
{
	struct store_writer *w = &sp->st->writer;

	pthread_mutex_lock(&w->lock);
	hand_over_chunk(sp);
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
	behind = w->behind > BEHIND_FREE ? sp->behind : 0;
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
	struct store_writer_thread *t = &w->threads[sp->number % STORE_WRITERS];

	pthread_mutex_lock(&w->lock);
	while (t->busy || !STAILQ_EMPTY(&t->jobs))
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
	drop_chunk(sp);
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
