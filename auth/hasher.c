/*
 * See hasher.h. Two lists under one lock; a pipe wakes the loop.
 */
#include "config.h"

#include <sys/types.h>
#include <sys/queue.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "auth/credentials.h"
#include "auth/hasher.h"
#include "net/loop.h"

struct task {
	STAILQ_ENTRY(task) entry;
	char *stored;
	char *password;
	int fits;
	void (*done)(void *arg, int fits);
	void *arg;
};

STAILQ_HEAD(task_list, task);

struct hasher {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct task_list waiting; /* under lock */
	struct task_list finished; /* under lock */
	unsigned int count; /* of the loop: tasks in the thread's hands */
	int started;
	int pipe[2];
	struct event *event;
};

static void
task_free(struct task *t)
{
	if (t->stored != NULL)
		explicit_bzero(t->stored, strlen(t->stored));
	if (t->password != NULL)
		explicit_bzero(t->password, strlen(t->password));
	free(t->stored);
	free(t->password);
	free(t);
}

static void *
thread_main(void *arg)
{
	struct hasher *h = arg;
	struct task *t;
	ssize_t n;

	for (;;) {
		pthread_mutex_lock(&h->lock);
		while ((t = STAILQ_FIRST(&h->waiting)) == NULL)
			pthread_cond_wait(&h->wake, &h->lock);
		STAILQ_REMOVE_HEAD(&h->waiting, entry);
		pthread_mutex_unlock(&h->lock);
		t->fits = credentials_verify(t->stored, t->password);
		pthread_mutex_lock(&h->lock);
		STAILQ_INSERT_TAIL(&h->finished, t, entry);
		pthread_mutex_unlock(&h->lock);
		/* a full pipe wakes the loop as well */
		do
			n = write(h->pipe[1], "", 1);
		while (n == -1 && errno == EINTR);
	}
	return NULL;
}

static void
on_finished(evutil_socket_t fd, short what, void *arg)
{
	struct hasher *h = arg;
	struct task *t;
	char drop[64];

	while (read(fd, drop, sizeof(drop)) > 0)
		;
	for (;;) {
		pthread_mutex_lock(&h->lock);
		if ((t = STAILQ_FIRST(&h->finished)) != NULL)
			STAILQ_REMOVE_HEAD(&h->finished, entry);
		pthread_mutex_unlock(&h->lock);
		if (t == NULL)
			return;
		h->count--;
		t->done(t->arg, t->fits);
		task_free(t);
	}
}

struct hasher *
hasher_new(struct loop *loop)
{
	struct hasher *h;

	if ((h = calloc(1, sizeof(*h))) == NULL)
		return NULL;
	STAILQ_INIT(&h->waiting);
	STAILQ_INIT(&h->finished);
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->wake, NULL);
	if (pipe2(h->pipe, O_CLOEXEC | O_NONBLOCK) == -1) {
		free(h);
		return NULL;
	}
	h->event = event_new(
	    loop_base(loop), h->pipe[0], EV_READ | EV_PERSIST, on_finished, h);
	if (h->event == NULL || event_add(h->event, NULL) == -1) {
		close(h->pipe[0]);
		close(h->pipe[1]);
		free(h);
		errno = ENOMEM;
		return NULL;
	}
	return h;
}

static int
start_thread(struct hasher *h)
{
	pthread_t thread;

	if (h->started)
		return 0;
	if (pthread_create(&thread, NULL, thread_main, h) != 0)
		return -1;
	pthread_detach(thread);
	h->started = 1;
	return 0;
}

int
hasher_verify(struct hasher *h, const char *stored, const char *password,
    void (*done)(void *arg, int fits), void *arg)
{
	struct task *t;

	if (h->count >= HASHER_WAITING_MAX || start_thread(h) == -1 ||
	    (t = calloc(1, sizeof(*t))) == NULL)
		return -1;
	t->stored = strdup(stored);
	t->password = strdup(password);
	t->done = done;
	t->arg = arg;
	if (t->stored == NULL || t->password == NULL) {
		task_free(t);
		return -1;
	}
	h->count++;
	pthread_mutex_lock(&h->lock);
	STAILQ_INSERT_TAIL(&h->waiting, t, entry);
	pthread_cond_signal(&h->wake);
	pthread_mutex_unlock(&h->lock);
	return 0;
}
