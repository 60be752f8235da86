/*
 * Care of the store for smtpctl: `verify` reads all of it, `backup` copies it
 * while mail flows. Both go in steps, so that mail is served between them.
 *
 * A backup goes into a folder of the queue's own, backup/NAME, and nowhere
 * else. A descriptor of the asker's own folder would be a way out of the
 * chroot that this process is in, and a path would have to be opened by
 * somebody with more rights than it. Whoever may ask may also move the folder
 * away. It is named NAME.part until it is complete, and what a failed backup
 * left is removed by the next of that name.
 */
#include "config.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/log.h"
#include "queue/control_private.h"
#include "queue/store.h"

enum {
	STEP_OCTETS = 256 << 10, /* that a step reads or copies */
	VERIFY_PAGE = 100, /* messages a step */
	RCPT_OCTETS = 64, /* a recipient takes as long as so many of a body */
	TREE_DEPTH = 3
};

/* ---- verify ----------------------------------------------------------- */

struct verify {
	struct store *store;
	struct store_body *body; /* that is under way, or NULL */
	size_t left; /* octets of this step */
	uint64_t checked;
	uint64_t bad_before;
};

static void
verify_free(void *arg)
{
	struct verify *v = arg;

	store_body_close(v->body);
	free(v);
}

static void
spend(struct verify *v, size_t octets)
{
	v->left -= octets < v->left ? octets : v->left;
}

/* Reads on in the body under way; a later step does if this one has read
 * enough. Once open a file stays readable though its message goes away, but
 * what the database has must be read before that may happen: at once. */
static void
verify_body(struct verify *v, int at_once)
{
	uint8_t piece[16384];
	ssize_t n;

	while (v->left > 0 || at_once) {
		/* the store counts and logs what is damaged or unreadable */
		if ((n = store_body_read(v->body, piece, sizeof(piece))) <= 0) {
			store_body_close(v->body);
			v->body = NULL;
			return;
		}
		spend(v, (size_t)n);
	}
}

static int
verify_message(void *arg, const struct envelope *env)
{
	struct verify *v = arg;

	v->checked++;
	spend(v, (size_t)env->rcpt_count * RCPT_OCTETS);
	if (store_body_open(v->store, env, &v->body) == STORE_OK)
		verify_body(v, env->body == ENVELOPE_BODY_CHUNKS);
	else
		v->body = NULL;
	return v->left == 0;
}

static void
verify_end(struct control_conn *c, const struct verify *v)
{
	struct control_row row = { 0 };
	struct store_stats stats;
	uint64_t damaged;

	store_stats(v->store, &stats);
	damaged = stats.damaged + stats.unreadable - v->bad_before;
	control_field(&row, "messages", "%llu", (unsigned long long)v->checked);
	control_field(&row, "damaged", "%llu", (unsigned long long)damaged);
	control_row_send(c, &row);
	control_end(c,
	    damaged == 0 ? NULL
			 : "messages are damaged: the log "
			   "names each");
}

static int
step_verify(struct control_conn *c)
{
	struct verify *v = c->state;

	v->left = STEP_OCTETS;
	if (v->body != NULL)
		verify_body(v, 0);
	else if (store_iterate(v->store, c->next, VERIFY_PAGE, verify_message,
		     v, &c->next) != STORE_OK) {
		control_end(c, "the store could not be read: see the log");
		return 0;
	}
	if (v->body != NULL || c->next != 0)
		return 1;
	verify_end(c, v);
	return 0;
}

static void
verify(struct control_conn *c)
{
	struct store_stats stats;
	struct verify *v;

	if ((v = calloc(1, sizeof(*v))) == NULL) {
		control_end(c, "out of memory");
		return;
	}
	v->store = c->control->env.store;
	store_stats(v->store, &stats);
	v->bad_before = stats.damaged + stats.unreadable;
	c->state = v;
	c->state_free = verify_free;
	c->step = step_verify;
}

/* ---- backup ----------------------------------------------------------- */

struct backup {
	struct control *control;
	struct store_backup *copy;
	int parent; /* the folder of all backups */
	char part[CONTROL_NAME_MAX + 8];
	const char *name; /* one of the asker's words */
};

static void
backup_free(void *arg)
{
	struct backup *b = arg;

	store_backup_end(b->copy);
	b->control->backing_up = 0;
	if (b->parent != -1)
		close(b->parent);
	free(b);
}

/* Removes what an earlier backup left: folders of files, not deep. */
static int
remove_tree(int at, const char *name, int depth)
{
	struct dirent *entry;
	DIR *dir;
	int fd, rc = 0;

	if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
		return 0;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 || depth == 0 || (dir = fdopendir(fd)) == NULL) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	while (rc == 0 && (entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			rc = remove_tree(dirfd(dir), entry->d_name, depth - 1);
	closedir(dir);
	return rc == 0 ? unlinkat(at, name, AT_REMOVEDIR) : -1;
}

/* The last step: the folder gets its name once all of it is on the disk. */
static int
backup_complete(struct control_conn *c, struct backup *b)
{
	struct control_row row = { 0 };

	if (renameat(b->parent, b->part, b->parent, b->name) == -1 ||
	    fsync(b->parent) == -1) {
		control_end(c, strerror(errno));
		return 0;
	}
	log_info("a backup of the queue was made: backup/%s", b->name);
	control_field(&row, "backup", "backup/%s", b->name);
	control_row_send(c, &row);
	control_end(c, NULL);
	return 0;
}

static int
step_backup(struct control_conn *c)
{
	const struct control_env *e = &c->control->env;
	struct backup *b = c->state;

	if (!e->ops->has_room(e->ctx)) {
		control_end(c,
		    "the spool's disk has too little room for a "
		    "backup");
		return 0;
	}
	switch (store_backup_step(b->copy, STEP_OCTETS)) {
	case 1:
		return 1;
	case 0:
		return backup_complete(c, b);
	default:
		control_end(c, "the backup failed: see the log");
		return 0;
	}
}

/* The folder that is filled: a descriptor, or -1 with errno. */
static int
backup_folder(const struct control_env *e, struct backup *b)
{
	struct stat st;
	int spool;

	spool = open(e->spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (spool == -1)
		return -1;
	if (mkdirat(spool, "backup", 0700) == 0 || errno == EEXIST)
		b->parent = openat(spool, "backup",
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	close(spool);
	if (b->parent == -1)
		return -1;
	if (fstatat(b->parent, b->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	if (remove_tree(b->parent, b->part, TREE_DEPTH) == -1 ||
	    mkdirat(b->parent, b->part, 0700) == -1)
		return -1;
	return openat(b->parent, b->part,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static void
backup(struct control_conn *c)
{
	const struct control_env *e = &c->control->env;
	struct backup *b;
	int fd;

	if (!control_valid_name(c->words[c->arg])) {
		control_end(c,
		    "a backup's name has letters, digits, dots, "
		    "dashes and underscores: it becomes the folder "
		    "queue/backup/NAME of the spool; NAME.part is one "
		    "that is not complete");
		return;
	}
	if (c->control->backing_up) {
		control_end(c, "another backup runs: wait for its end");
		return;
	}
	if ((b = calloc(1, sizeof(*b))) == NULL) {
		control_end(c, "out of memory");
		return;
	}
	b->control = c->control;
	b->control->backing_up = 1;
	b->parent = -1;
	b->name = c->words[c->arg];
	snprintf(b->part, sizeof(b->part), "%s.part", b->name);
	c->state = b;
	c->state_free = backup_free;
	if ((fd = backup_folder(e, b)) == -1) {
		control_end(c,
		    errno == EEXIST ? "a backup of that name is there already"
				    : strerror(errno));
		return;
	}
	b->copy = store_backup_begin(e->store, fd);
	close(fd);
	if (b->copy == NULL) {
		control_end(c, "no backup can begin now: see the log");
		return;
	}
	c->step = step_backup;
}

const struct control_verb control_care_verbs[] = {
	{ "verify", 1, 0, 0, verify },
	{ "backup", 1, 1, 1, backup },
	{ NULL, 0, 0, 0, NULL },
};
