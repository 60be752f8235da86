/*
 * The store, on a real disk: what is committed is there, also after closing
 * and backup; what is not is gone without a trace. test_store_port.c has what
 * is carried to another.
 */
#include "config.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <db.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <libdeflate.h>

#include "queue/store_bdb.h"
#include "store_case.h"

static void
reopen(struct store_case *f)
{
	store_close(f->st);
	f->st = fixture_open(f->path);
}

static int
has_file(struct store_case *f, uint32_t msgid)
{
	char name[512];

	snprintf(name, sizeof(name), "%s/bodies/%02x/%08x", f->path,
	    msgid >> 8 & 0xff, msgid);
	return access(name, F_OK) == 0;
}

static void
test_sizes(void **state)
{
	static const struct {
		size_t len;
		int spooled;
		int file;
	} rows[] = {
		{ 0, 0, 0 },
		{ 1, 0, 0 },
		{ 4096, 0, 0 },
		{ STORE_INLINE - 1, 0, 0 },
		{ STORE_INLINE, 0, 0 },
		{ STORE_INLINE + 1, 0, 0 },
		{ STORE_INLINE + 1, 1, 1 },
		/* the longest report has less */
		{ 8 << 20, 0, 0 },
		/* what ends with or beside a chunk or a block of the disk */
		{ 256 << 10, 1, 1 },
		{ (256 << 10) + 1, 1, 1 },
		{ (320 << 10) - 1, 1, 1 },
		{ 320 << 10, 1, 1 },
		{ (512 << 10) + 4097, 1, 1 },
		{ 3000000, 1, 1 },
	};
	size_t n = sizeof(rows) / sizeof(rows[0]);
	struct store_case *f = *state;

	for (int again = 0; again < 2; again++) {
		for (uint32_t i = 0; i < n; i++) {
			if (again == 0)
				store_case_put(f->st, i + 1, i, rows[i].len,
				    rows[i].spooled);
			store_case_assert(f->st, i + 1, i, rows[i].len);
			assert_int_equal(has_file(f, i + 1), rows[i].file);
		}
		reopen(f);
	}
}

/* Data are stored where no file can be made. */
static void
test_no_files(void **state)
{
	enum { COUNT = 20, OCTETS = 1000000 };
	struct store_case *f = *state;
	char incoming[512];

	snprintf(incoming, sizeof(incoming), "%s/incoming", f->path);
	assert_int_equal(rmdir(incoming), 0);
	/* one transaction, longer than a file of the log */
	assert_int_equal(store_batch_begin(f->st), STORE_OK);
	for (uint32_t id = 1; id <= COUNT; id++)
		assert_int_equal(
		    fixture_put(f->st, id, 1, OCTETS, 0), STORE_OK);
	assert_int_equal(store_batch_commit(f->st), STORE_OK);
	reopen(f);
	for (uint32_t id = 1; id <= COUNT; id++)
		store_case_assert(f->st, id, 1, OCTETS);
}

/* More than may be gathered at once, in pieces that come in turn and fit no
 * block. */
static void
test_in_turn(void **state)
{
	enum { COUNT = 80, SIZE = 400001, PIECE = 49999 };
	struct store_content content = { .size = SIZE };
	struct store_spool *spools[COUNT];
	uint8_t *data = malloc(SIZE);
	struct store_case *f = *state;
	struct envelope *env;

	for (int i = 0; i < COUNT; i++)
		assert_non_null(spools[i] = store_spool_open(f->st, NULL));
	for (size_t at = 0; at < SIZE; at += PIECE)
		for (int i = 0; i < COUNT; i++) {
			fixture_body((uint32_t)i + 1, data, SIZE);
			assert_int_equal(
			    store_spool_write(spools[i], data + at,
				SIZE - at < PIECE ? SIZE - at : PIECE),
			    0);
		}
	assert_int_equal(store_batch_begin(f->st), STORE_OK);
	for (int i = 0; i < COUNT; i++) {
		fixture_body((uint32_t)i + 1, data, SIZE);
		content.spool = spools[i];
		content.crc = libdeflate_crc32(0, data, SIZE);
		env = fixture_envelope((uint32_t)i + 1, 1);
		assert_int_equal(
		    store_put_message(f->st, env, &content), STORE_OK);
		store_spool_close(spools[i]);
		envelope_free(env);
	}
	assert_int_equal(store_batch_commit(f->st), STORE_OK);
	for (uint32_t i = 0; i < COUNT; i++)
		store_case_assert(f->st, i + 1, 1, SIZE);
	free(data);
}

static void
test_remove(void **state)
{
	struct envelope *env = envelope_new(0);
	struct store_case *f = *state;

	store_case_put(f->st, 1, 100, 100, 0);
	store_case_put(f->st, 2, 1, 100, 0);
	store_case_put(f->st, 3, 1, 100000, 1);
	assert_int_equal(store_batch_begin(f->st), STORE_OK);
	assert_int_equal(store_remove(f->st, 1), STORE_OK);
	assert_int_equal(store_remove(f->st, 3), STORE_OK);
	assert_int_equal(store_remove(f->st, 4), STORE_NOTFOUND);
	/* the batch sees itself, and the file stays until it is durable */
	assert_int_equal(store_read_envelope(f->st, 1, env), STORE_NOTFOUND);
	assert_true(has_file(f, 3));
	assert_int_equal(store_batch_commit(f->st), STORE_OK);
	assert_false(has_file(f, 3));
	reopen(f);
	assert_int_equal(store_read_envelope(f->st, 1, env), STORE_NOTFOUND);
	assert_int_equal(store_read_envelope(f->st, 3, env), STORE_NOTFOUND);
	store_case_assert(f->st, 2, 1, 100);
	envelope_free(env);
}

static void
test_abort(void **state)
{
	struct envelope *env = envelope_new(0);
	struct store_case *f = *state;

	store_case_put(f->st, 1, 1, 100000, 1);
	assert_int_equal(store_batch_begin(f->st), STORE_OK);
	assert_int_equal(fixture_put(f->st, 2, 1, 100000, 1), STORE_OK);
	assert_int_equal(fixture_put(f->st, 3, 1, 10, 0), STORE_OK);
	assert_int_equal(store_remove(f->st, 1), STORE_OK);
	store_batch_abort(f->st);
	assert_false(has_file(f, 2));
	assert_int_equal(store_read_envelope(f->st, 2, env), STORE_NOTFOUND);
	assert_int_equal(store_read_envelope(f->st, 3, env), STORE_NOTFOUND);
	/* the removal was undone, and the next commit must not redo it */
	store_case_put(f->st, 4, 1, 10, 0);
	store_case_assert(f->st, 1, 1, 100000);
	envelope_free(env);
}

/* A sender that may lie about ids can overwrite nothing. */
static void
test_taken(void **state)
{
	struct store_case *f = *state;

	store_case_put(f->st, 1, 1, 100000, 1);
	store_case_put(f->st, 2, 1, 10, 0);
	assert_int_equal(store_batch_begin(f->st), STORE_OK);
	assert_int_equal(fixture_put(f->st, 1, 5, 50, 0), STORE_EXISTS);
	assert_int_equal(fixture_put(f->st, 1, 5, 200000, 1), STORE_EXISTS);
	assert_int_equal(fixture_put(f->st, 2, 5, 50, 0), STORE_EXISTS);
	assert_int_equal(fixture_put(f->st, 0, 5, 50, 0), STORE_FAILED);
	assert_int_equal(fixture_put(f->st, 3, 5, 50, 0), STORE_OK);
	assert_int_equal(store_batch_commit(f->st), STORE_OK);
	store_case_assert(f->st, 1, 1, 100000);
	store_case_assert(f->st, 2, 1, 10);
	store_case_assert(f->st, 3, 5, 50);
}

static void
test_update(void **state)
{
	struct envelope *env = envelope_new(0);
	struct envelope_rcpt r, *edit;
	struct store_case *f = *state;

	store_case_put(f->st, 9, 100, 10, 0);
	assert_int_equal(store_read_envelope(f->st, 9, env), STORE_OK);
	edit = envelope_edit(env, 99);
	edit->state = ENVELOPE_WAITING;
	edit->next = 1795540000;
	envelope_set(env, &edit->text, "451 greylisted");
	envelope_rcpt_init(&r);
	r.address = "child@example.net";
	r.parent = 0;
	assert_int_equal(envelope_add(env, &r), 100);
	assert_int_equal(store_batch_begin(f->st), STORE_OK);
	assert_int_equal(store_put_envelope(f->st, env), STORE_OK);
	assert_false(envelope_changed(env, 3));
	assert_int_equal(store_batch_commit(f->st), STORE_OK);
	reopen(f);
	assert_int_equal(store_read_envelope(f->st, 9, env), STORE_OK);
	assert_int_equal(env->rcpt_count, 101);
	assert_int_equal(env->rcpts[99].state, ENVELOPE_WAITING);
	assert_int_equal(env->rcpts[99].next, 1795540000);
	assert_string_equal(env->rcpts[99].text, "451 greylisted");
	assert_string_equal(env->rcpts[100].address, "child@example.net");
	assert_string_equal(env->rcpts[98].text, "");
	envelope_free(env);
}

struct seen {
	uint32_t ids[2000];
	size_t count;
	size_t stop_after;
};

static int
see(void *arg, const struct envelope *env)
{
	struct seen *seen = arg;

	assert_true(seen->count < 2000);
	seen->ids[seen->count++] = env->msgid;
	return seen->count == seen->stop_after;
}

static void
test_iterate(void **state)
{
	static struct seen all, pages;
	struct store_case *f = *state;
	uint32_t next = 0;
	int rounds = 0;

	assert_int_equal(
	    store_iterate(f->st, 0, 0, see, &all, &next), STORE_OK);
	assert_int_equal(all.count, 0);
	assert_int_equal(next, 0);
	assert_int_equal(store_batch_begin(f->st), STORE_OK);
	/* some envelopes of several records, and ids that are not dense */
	for (uint32_t i = 0; i < 500; i++)
		assert_int_equal(fixture_put(f->st, 0xfff00000 + i * 7,
				     i % 50 == 3 ? 200 : 1, 10, 0),
		    STORE_OK);
	assert_int_equal(store_batch_commit(f->st), STORE_OK);
	assert_int_equal(
	    store_iterate(f->st, 0, 0, see, &all, &next), STORE_OK);
	assert_int_equal(next, 0);
	assert_int_equal(all.count, 500);
	for (uint32_t i = 0; i < 500; i++)
		assert_int_equal(all.ids[i], 0xfff00000 + i * 7);
	do {
		assert_int_equal(
		    store_iterate(f->st, next, 7, see, &pages, &next),
		    STORE_OK);
		rounds++;
	} while (next != 0);
	assert_int_equal(rounds, 72);
	assert_int_equal(pages.count, 500);
	assert_memory_equal(pages.ids, all.ids, sizeof(all.ids));
	pages.count = 0;
	pages.stop_after = 3;
	assert_int_equal(
	    store_iterate(f->st, 0xfff00001, 0, see, &pages, &next), STORE_OK);
	assert_int_equal(pages.ids[0], 0xfff00007);
	assert_int_equal(next, 0xfff00000 + 4 * 7);
}

/* An envelope that outgrows the buffer of a walk. */
static void
test_iterate_large(void **state)
{
	struct envelope *env = fixture_envelope(5, 0);
	struct store_content content = { .data = (const uint8_t *)"" };
	static struct seen seen;
	struct store_case *f = *state;
	struct envelope_rcpt r;
	char *text = malloc(4001);
	uint32_t next;

	memset(text, 'x', 4000);
	text[4000] = '\0';
	envelope_rcpt_init(&r);
	r.text = r.user = r.alias = r.owner = r.remote = text;
	for (int i = 0; i < 100; i++)
		envelope_add(env, &r);
	assert_int_equal(store_batch_begin(f->st), STORE_OK);
	assert_int_equal(store_put_message(f->st, env, &content), STORE_OK);
	assert_int_equal(fixture_put(f->st, 6, 1, 1, 0), STORE_OK);
	assert_int_equal(store_batch_commit(f->st), STORE_OK);
	assert_int_equal(
	    store_iterate(f->st, 0, 10, see, &seen, &next), STORE_OK);
	assert_int_equal(seen.count, 2);
	assert_int_equal(store_read_envelope(f->st, 5, env), STORE_OK);
	assert_int_equal(env->rcpt_count, 100);
	assert_string_equal(env->rcpts[99].remote, text);
	envelope_free(env);
	free(text);
}

static void
touch(struct store_case *f, const char *name)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", f->path, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd != -1);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
}

static int
exists(struct store_case *f, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", f->path, name);
	return access(path, F_OK) == 0;
}

static void
test_sweep(void **state)
{
	struct store_case *f = *state;
	struct store_stats stats;

	store_case_put(f->st, 0x100, 1, 100000, 1);
	store_case_put(f->st, 0x101, 1, 10, 0);
	touch(f, "bodies/01/00000102"); /* no envelope at all */
	touch(f, "bodies/01/00000101"); /* an envelope with its own body */
	touch(f, "bodies/01/readme"); /* not ours: left alone */
	touch(f, "incoming/0000000000000007");
	reopen(f);
	store_stats(f->st, &stats);
	assert_int_equal(stats.swept, 3);
	assert_false(exists(f, "bodies/01/00000102"));
	assert_false(exists(f, "bodies/01/00000101"));
	assert_true(exists(f, "bodies/01/readme"));
	assert_false(exists(f, "incoming/0000000000000007"));
	store_case_assert(f->st, 0x100, 1, 100000);
	store_case_assert(f->st, 0x101, 1, 10);
}

static void
test_ids(void **state)
{
	struct store_case *f = *state;
	uint32_t first, last = 0;

	for (int i = 0; i < 100; i++) {
		assert_int_equal(store_id_block(f->st, 100, &first), STORE_OK);
		assert_true(first > last);
		last = first + 99;
		if (i % 10 == 0)
			reopen(f);
	}
	assert_int_equal(store_id_floor(f->st, 5000000), STORE_OK);
	assert_int_equal(store_id_floor(f->st, 3), STORE_OK);
	assert_int_equal(store_id_block(f->st, 1, &first), STORE_OK);
	assert_int_equal(first, 5000001);
	reopen(f);
	assert_int_equal(store_id_block(f->st, 1, &first), STORE_OK);
	assert_true(first > 5000001);
	assert_int_equal(store_id_block(f->st, 0, &first), STORE_FAILED);
	assert_int_equal(store_id_block(f->st, 65537, &first), STORE_FAILED);
}

/* The ids come round again: past 0, and past what is still queued. */
static void
test_ids_wrap(void **state)
{
	struct store_case *f = *state;
	uint32_t first;

	store_case_put(f->st, 5, 1, 10, 0);
	store_case_put(f->st, 130, 1, 10, 0);
	assert_int_equal(store_id_floor(f->st, 0xffffff00), STORE_OK);
	assert_int_equal(store_id_block(f->st, 100, &first), STORE_OK);
	assert_int_equal(first, 0xffffff01);
	assert_int_equal(store_id_block(f->st, 200, &first), STORE_OK);
	assert_int_equal(first, 131);
	reopen(f);
	assert_int_equal(store_id_block(f->st, 200, &first), STORE_OK);
	assert_true(first > 330 && first < 100000);
}

static void
test_backup(void **state)
{
	struct store_case *f = *state, to;
	struct store_backup *b;
	uint32_t msgid = 301;
	uint64_t checked;
	int fd, rc;

	for (uint32_t i = 1; i <= 300; i++)
		store_case_put(
		    f->st, i, 2, i % 10 == 0 ? 100000 : 8000, i % 10 == 0);
	to.path = fixture_folder();
	fd = open(to.path, O_RDONLY | O_DIRECTORY);
	assert_non_null(b = store_backup_begin(f->st, fd));
	assert_null(store_backup_begin(f->st, fd));
	/* mail flows and leaves meanwhile */
	while ((rc = store_backup_step(b, 100000)) == 1) {
		store_case_put(f->st, msgid++, 2, 100000, 1);
		assert_int_equal(store_batch_begin(f->st), STORE_OK);
		assert_int_equal(store_remove(f->st, msgid - 300), STORE_OK);
		assert_int_equal(store_batch_commit(f->st), STORE_OK);
	}
	assert_int_equal(rc, 0);
	store_backup_end(b);
	close(fd);
	assert_true(msgid > 310);
	to.st = fixture_open(to.path);
	/* all that nobody removed, and every message is whole */
	for (uint32_t i = msgid - 299; i <= 300; i++)
		store_case_assert(to.st, i, 2, i % 10 == 0 ? 100000 : 8000);
	assert_int_equal(store_verify(to.st, &checked), 0);
	assert_true(checked >= 300);
	store_close(to.st);
	to.st = fixture_open(to.path);
	assert_int_equal(store_verify(to.st, &checked), 0);
	store_close(to.st);
	fixture_remove(to.path);
	assert_int_equal(store_verify(f->st, &checked), 0);
	assert_int_equal(checked, 300);
}

static void
test_body_fd(void **state)
{
	static const size_t sizes[] = { 0, 5000, 100000 };
	struct envelope *env = envelope_new(0);
	struct store_case *f = *state;
	struct store_body *body;
	uint8_t *want = malloc(100000), *got = malloc(100001);
	int fd;

	for (uint32_t i = 0; i < 3; i++) {
		store_case_put(
		    f->st, i + 1, 1, sizes[i], sizes[i] > STORE_INLINE);
		assert_int_equal(
		    store_read_envelope(f->st, i + 1, env), STORE_OK);
		assert_int_equal(store_body_open(f->st, env, &body), STORE_OK);
		assert_int_equal(store_body_size(body), sizes[i]);
		if (sizes[i] <= STORE_INLINE)
			assert_int_equal(store_body_fd(body, 0), -1);
		fd = store_body_fd(body, 1);
		assert_true(fd != -1);
		fixture_body(i + 1, want, sizes[i]);
		assert_int_equal(read(fd, got, 100001), sizes[i]);
		assert_memory_equal(got, want, sizes[i]);
		/* whoever gets it cannot change it */
		assert_int_equal(pwrite(fd, "x", 1, 0), -1);
		close(fd);
		store_body_close(body);
	}
	envelope_free(env);
	free(want);
	free(got);
}

static void
test_damaged_body(void **state)
{
	struct envelope *env = envelope_new(0);
	struct store_case *f = *state;
	struct store_body *body;
	struct store_stats stats;
	uint8_t data[8192];
	uint64_t checked;
	char path[512];
	ssize_t n;
	int fd;

	store_case_put(f->st, 1, 1, 100000, 1);
	store_case_put(f->st, 2, 1, 100000, 1);
	snprintf(path, sizeof(path), "%s/bodies/00/00000001", f->path);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "!", 1, 50000), 1);
	close(fd);
	assert_int_equal(store_read_envelope(f->st, 1, env), STORE_OK);
	assert_int_equal(store_body_open(f->st, env, &body), STORE_OK);
	while ((n = store_body_read(body, data, sizeof(data))) > 0)
		;
	assert_int_equal(n, -1);
	assert_int_equal(store_body_status(body), STORE_DAMAGED);
	store_body_close(body);
	assert_int_equal(store_verify(f->st, &checked), 1);
	assert_int_equal(checked, 2);
	unlink(path);
	assert_int_equal(store_body_open(f->st, env, &body), STORE_DAMAGED);
	store_stats(f->st, &stats);
	assert_int_equal(stats.damaged, 3);
	envelope_free(env);
}

/* How Berkeley DB reads, on a disk that does not answer: with the second when
 * the first fails. */
static int disk_is_broken;

static ssize_t
broken_pread(int fd, void *to, size_t n, off_t at)
{
	if (!disk_is_broken)
		return pread(fd, to, n, at);
	errno = EIO;
	return -1;
}

static ssize_t
broken_read(int fd, void *to, size_t n)
{
	if (!disk_is_broken)
		return read(fd, to, n);
	errno = EIO;
	return -1;
}

static void
expect_unread(
    struct store_case *f, struct envelope *env, enum store_status expected)
{
	struct store_body *body;
	uint8_t data[100];

	assert_int_equal(store_body_open(f->st, env, &body), STORE_OK);
	assert_int_equal(store_body_read(body, data, sizeof(data)), -1);
	assert_int_equal(store_body_status(body), expected);
	store_body_close(body);
}

/* What the disk does not give now is not damaged: it is read another time. */
static void
test_unreadable(void **state)
{
	struct envelope *env = envelope_new(0), *large = envelope_new(0);
	const struct store_options small = { .cache = 256 << 10 };
	struct rlimit files, none;
	struct store_case *f = *state;
	struct store_body *body;
	struct store_stats stats;
	uint64_t checked;
	char error[512];

	store_case_put(f->st, 1, 1, 60000, 0);
	store_case_put(f->st, 2, 1, 100000, 1);
	/* these take the place of the first one in the cache */
	for (uint32_t id = 3; id < 20; id++)
		store_case_put(f->st, id, 1, 60000, 0);
	assert_int_equal(store_read_envelope(f->st, 1, env), STORE_OK);
	assert_int_equal(store_read_envelope(f->st, 2, large), STORE_OK);
	store_close(f->st);
	assert_int_equal(db_env_set_func_pread(broken_pread), 0);
	assert_int_equal(db_env_set_func_read(broken_read), 0);
	f->st = store_open(f->path, &small, error, sizeof(error));
	assert_non_null(f->st);
	disk_is_broken = 1;
	expect_unread(f, env, STORE_FAILED);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	none = (struct rlimit){ 0, files.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(store_body_open(f->st, large, &body), STORE_FAILED);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	store_stats(f->st, &stats);
	assert_int_equal(stats.unreadable, 2);
	disk_is_broken = 0;
	assert_null(fixture_check(f->st, 1, 1, 60000));
	assert_null(fixture_check(f->st, 2, 1, 100000));
	assert_int_equal(store_verify(f->st, &checked), 0);
	store_stats(f->st, &stats);
	assert_int_equal(stats.damaged, 0);
	envelope_free(env);
	envelope_free(large);
	store_close(f->st);
	db_env_set_func_pread(NULL);
	db_env_set_func_read(NULL);
	f->st = fixture_open(f->path);
}

static void
test_refused(void **state)
{
	struct store_case *f = *state;
	char error[512];

	store_close(f->st);
	touch(f, "db/DB_CONFIG");
	assert_null(f->st = store_open(f->path, NULL, error, sizeof(error)));
	assert_non_null(strstr(error, "DB_CONFIG"));
	snprintf(error, sizeof(error), "%s/db/DB_CONFIG", f->path);
	unlink(error);
	chmod(f->path, 0777);
	assert_null(store_open(f->path, NULL, error, sizeof(error)));
	assert_non_null(strstr(error, "others may write"));
	chmod(f->path, 0700);
	assert_null(store_open("/nonexistent", NULL, error, sizeof(error)));
	assert_non_null(strstr(error, "/nonexistent"));
	f->st = fixture_open(f->path);
}

/* Nobody opens a store that is open: two would destroy it. */
static void
test_locked(void **state)
{
	const struct store_options hasty = { .lock_ms = 1 };
	struct store_case *f = *state;
	char error[512];

	assert_null(store_open(f->path, &hasty, error, sizeof(error)));
	assert_non_null(strstr(error, "another process uses this spool"));
	store_close(f->st);
	f->st = store_open(f->path, &hasty, error, sizeof(error));
	assert_non_null(f->st);
}

/* Changes outside a batch are refused, not lost. */
static void
test_no_batch(void **state)
{
	struct store_case *f = *state;
	struct envelope *env = fixture_envelope(1, 1);
	struct store_content content = { .data = (const uint8_t *)"" };
	uint32_t first;

	assert_int_equal(store_put_message(f->st, env, &content), STORE_FAILED);
	assert_int_equal(store_put_envelope(f->st, env), STORE_FAILED);
	assert_int_equal(store_remove(f->st, 1), STORE_FAILED);
	assert_int_equal(store_batch_commit(f->st), STORE_FAILED);
	assert_int_equal(store_batch_begin(f->st), STORE_OK);
	assert_int_equal(store_batch_begin(f->st), STORE_FAILED);
	assert_int_equal(store_id_block(f->st, 1, &first), STORE_FAILED);
	store_batch_abort(f->st);
	envelope_free(env);
}

/* Berkeley DB finds a descriptor for the files of its log where nobody else
 * finds one and all that is let go is taken, for more files than there are
 * descriptors kept for it. */
static void
test_no_descriptors(void **state)
{
	enum {
		MESSAGES = 900,
		OCTETS = 60000, /* five files of log */
		TAKEN = 8
	};
	struct store_case *f = *state;
	struct rlimit before, none;
	int taken[TAKEN], taken_count = 0, lowest = dup(0);

	assert_int_not_equal(lowest, -1);
	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = (rlim_t)lowest;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(dup(0), -1);
	/* whoever is told no more than errno is told that */
	assert_int_equal(store_files_create(f->st, 1), -1);
	assert_int_equal(errno, EMFILE);
	for (uint32_t id = 1; id <= MESSAGES; id++) {
		store_case_put(f->st, id, 1, OCTETS, 0);
		if (taken_count < TAKEN && (taken[taken_count] = dup(0)) != -1)
			taken_count++;
	}
	assert_int_equal(store_checkpoint(f->st), STORE_OK);
	while (taken_count > 0)
		close(taken[--taken_count]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	reopen(f);
	for (uint32_t id = 1; id <= MESSAGES; id++)
		store_case_assert(f->st, id, 1, OCTETS);
}

static off_t
database_octets(struct store_case *f)
{
	char name[512];
	struct stat sb;

	assert_int_equal(store_checkpoint(f->st), STORE_OK);
	snprintf(name, sizeof(name), "%s/db/bodies.db", f->path);
	assert_int_equal(stat(name, &sb), 0);
	return sb.st_size;
}

/* What is said to be there for bodies is there, whatever their sizes: the
 * database gets no larger. */
static void
test_reusable(void **state)
{
	static const size_t sizes[] = { 0, 100, 900, 1100, 4000, 4500, 20000,
		65536, 150000 };
	enum { ROUNDS = 40, SIZES = sizeof(sizes) / sizeof(*sizes) };
	struct store_case *f = *state;
	uint32_t count = ROUNDS * SIZES, next = count + 1;
	uint64_t octets = 0, before;
	off_t size;

	for (uint32_t id = 1; id <= count; id++)
		store_case_put(f->st, id, 1, sizes[id % SIZES], 0);
	assert_in_range(
	    store_reusable(f->st), 0, (uint64_t)database_octets(f) / 4);
	assert_int_equal(store_batch_begin(f->st), STORE_OK);
	for (uint32_t id = 1; id <= count; id++)
		if (id % 10 != 0) {
			assert_int_equal(store_remove(f->st, id), STORE_OK);
			octets += sizes[id % SIZES];
		}
	assert_int_equal(store_batch_commit(f->st), STORE_OK);
	size = database_octets(f);
	before = store_reusable(f->st);
	assert_in_range(before, octets / 2, (uint64_t)size);
	assert_int_equal(store_batch_begin(f->st), STORE_OK);
	assert_int_equal(fixture_put(f->st, next, 1, 65536, 0), STORE_OK);
	assert_int_equal(store_remove(f->st, 10), STORE_OK);
	store_batch_abort(f->st);
	assert_int_equal(store_reusable(f->st), before);
	reopen(f);
	assert_int_equal(store_reusable(f->st), before);
	while (store_reusable(f->st) > 2 * sizes[SIZES - 1]) {
		store_case_put(f->st, next, 1, sizes[next % SIZES], 0);
		next++;
	}
	assert_int_equal(database_octets(f), size);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_CASE(test_sizes),
		STORE_CASE(test_reusable),
		STORE_CASE(test_no_files),
		STORE_CASE(test_in_turn),
		STORE_CASE(test_remove),
		STORE_CASE(test_abort),
		STORE_CASE(test_taken),
		STORE_CASE(test_update),
		STORE_CASE(test_iterate),
		STORE_CASE(test_iterate_large),
		STORE_CASE(test_sweep),
		STORE_CASE(test_ids),
		STORE_CASE(test_ids_wrap),
		STORE_CASE(test_backup),
		STORE_CASE(test_body_fd),
		STORE_CASE(test_damaged_body),
		STORE_CASE(test_unreadable),
		STORE_CASE(test_refused),
		STORE_CASE(test_locked),
		STORE_CASE(test_no_batch),
		STORE_CASE(test_no_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
