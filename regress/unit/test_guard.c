/*
 * The disk guard's rule, its ballast, and bodies on their way in.
 */
#include "config.h"

#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
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

#include "queue/body.h"
#include "queue/guard.h"
#include "store_fixture.h"

#define MIB ((uint64_t)1 << 20)

/* The file system's, with a quota that does not show in what is free. */
static uint64_t quota = UINT64_MAX;
static unsigned int asked;

int
fallocate(int fd, int mode, off_t offset, off_t len)
{
	asked++;
	if ((uint64_t)offset + (uint64_t)len <= quota)
		return ftruncate(fd, offset + len);
	/* a part may be given before the end is met */
	if (ftruncate(fd, offset + len / 2) == -1)
		return -1;
	errno = EDQUOT;
	return -1;
}

/* Wherever the tests run: not in memory. */
int
fstatfs(int fd, struct statfs *fs)
{
	memset(fs, 0, sizeof(*fs));
	fs->f_type = EXT4_SUPER_MAGIC;
	return 0;
}

/* What is free of the disk, whatever that is. */
static uint64_t disk = 1024 * 1024 * MIB;

int
fstatvfs(int fd, struct statvfs *v)
{
	memset(v, 0, sizeof(*v));
	v->f_frsize = 1;
	v->f_bavail = disk;
	return 0;
}

static void
test_rule(void **state)
{
	/* 32 MiB of cache, log files of 10 MiB: with nothing to mind 92 MiB and
	 * the load, tight 72 and the load, fewer what can be used again */
	static const struct {
		uint64_t free, inodes;
		struct guard_load load;
		enum guard_verdict before, verdict;
		uint64_t room; /* where mail is taken */
	} rows[] = {
		{ 192 * MIB, 99999, { 0 }, GUARD_OK, GUARD_OK, 100 * MIB },
		{ 92 * MIB, 99999, { 0 }, GUARD_OK, GUARD_OK, 4 * MIB },
		{ 92 * MIB - 1, 99999, { 0 }, GUARD_OK, GUARD_TIGHT,
		    20 * MIB - 1 },
		{ 72 * MIB, 99999, { 0 }, GUARD_OK, GUARD_TIGHT, 4 * MIB },
		{ 72 * MIB - 1, 99999, { 0 }, GUARD_TIGHT, GUARD_NO_SPACE, 0 },
		{ 101 * MIB, 99999, { 3 * MIB }, GUARD_OK, GUARD_OK, 4 * MIB },
		{ 81 * MIB - 1, 99999, { 3 * MIB }, GUARD_OK, GUARD_NO_SPACE,
		    0 },
		{ 92 * MIB + 511, 99999, { 0, 0, 1 }, GUARD_OK, GUARD_TIGHT,
		    20 * MIB - 1 },
		{ 92 * MIB + 512, 99999, { 0, 0, 1 }, GUARD_OK, GUARD_OK,
		    4 * MIB },
		/* full, and then emptied */
		{ 81 * MIB - 1, 99999, { 0 }, GUARD_NO_SPACE, GUARD_NO_SPACE,
		    0 },
		{ 81 * MIB, 99999, { 0 }, GUARD_NO_SPACE, GUARD_TIGHT,
		    9 * MIB },
		{ 63 * MIB, 99999, { 0, 20 * MIB }, GUARD_NO_SPACE, GUARD_TIGHT,
		    11 * MIB },
		{ 45 * MIB, 99999, { 0, 32 * MIB }, GUARD_NO_SPACE, GUARD_TIGHT,
		    5 * MIB },
		{ 45 * MIB - 1, 99999, { 0, 900 * MIB }, GUARD_NO_SPACE,
		    GUARD_NO_SPACE, 0 },
		{ 40 * MIB, 99999, { 0, 900 * MIB }, GUARD_TIGHT, GUARD_TIGHT,
		    4 * MIB },
		{ 20 * MIB, 0, { 0 }, GUARD_OK, GUARD_NO_SPACE, 0 },
		{ 20 * MIB - 1, 0, { 0 }, GUARD_OK, GUARD_STOP, 0 },
		{ 20 * MIB - 1, 9999, { 0, 900 * MIB }, GUARD_OK, GUARD_STOP,
		    0 },
		{ 81 * MIB - 1, 99999, { 0 }, GUARD_STOP, GUARD_NO_SPACE, 0 },
		{ 200 * MIB, 1023, { 0 }, GUARD_OK, GUARD_NO_INODES, 0 },
		{ 200 * MIB, 1024, { 0 }, GUARD_OK, GUARD_OK, 108 * MIB },
		{ 200 * MIB, 1024, { 0 }, GUARD_NO_INODES, GUARD_NO_INODES, 0 },
		{ 200 * MIB, UINT64_MAX, { 0 }, GUARD_NO_INODES, GUARD_OK,
		    108 * MIB },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct guard_facts f = { rows[i].free, rows[i].inodes, 32 * MIB,
			10 * MIB, rows[i].load };
		enum guard_verdict got = guard_decide(&f, rows[i].before);

		if (got != rows[i].verdict ||
		    guard_takes(got) != (rows[i].room != 0))
			fail_msg("row %zu", i);
		if (guard_takes(got) && guard_room(&f, got) != rows[i].room)
			fail_msg("row %zu has room for %" PRIu64, i,
			    guard_room(&f, got));
	}
}

static enum guard_verdict
check(struct guard *g, uint64_t in_flight)
{
	struct guard_load load = { .in_flight = in_flight };

	return guard_check(g, &load);
}

static void
test_ballast(void **state)
{
	char *path = fixture_folder(), name[512], error[256];
	struct guard *g;
	struct stat st;

	g = guard_open(path, MIB, MIB, error, sizeof(error));
	assert_non_null(g);
	for (int i = 0; i < 8; i++)
		assert_int_equal(check(g, 0), GUARD_OK);
	snprintf(name, sizeof(name), "%s/ballast", path);
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_size, 5 * MIB);
	assert_true((uint64_t)st.st_blocks * 512 >= 5 * MIB);
	/* no disk has room for this many octets under way */
	assert_int_equal(check(g, (uint64_t)1 << 60), GUARD_NO_SPACE);
	guard_close(g);
	/* an environment that could not recover beside it frees it */
	g = guard_open(path, (uint64_t)1 << 60, MIB, error, sizeof(error));
	assert_non_null(g);
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_size, 0);
	guard_close(g);
	assert_null(guard_open("/nonexistent", 1, 1, error, sizeof(error)));
	fixture_remove(path);
}

static void
test_quota(void **state)
{
	char *path = fixture_folder(), name[512], error[256];
	struct guard *g;
	struct stat st;

	snprintf(name, sizeof(name), "%s/ballast", path);
	g = guard_open(path, MIB, MIB, error, sizeof(error));
	assert_non_null(g);
	for (int i = 0; i < 8; i++)
		assert_int_equal(check(g, 0), GUARD_OK);
	guard_close(g);
	/* 7 MiB are needed, beside a ballast of 5: recovery gets that */
	quota = 5 * MIB + 3 * MIB;
	g = guard_open(path, MIB, MIB, error, sizeof(error));
	assert_non_null(g);
	assert_true(guard_facts(g)->free_octets < 7 * MIB);
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_size, 0);
	/* and the ballast takes nothing of the room that is there now */
	assert_int_equal(check(g, 0), GUARD_OK);
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_size, 0);
	/* an eighth more to take mail again; two files of log to deliver */
	quota = 5 * MIB;
	assert_int_equal(check(g, 3 * MIB), GUARD_NO_SPACE);
	assert_int_equal(check(g, 0), GUARD_NO_SPACE);
	quota = 2 * MIB - 1;
	assert_int_equal(check(g, 0), GUARD_STOP);
	quota = 2 * MIB;
	assert_int_equal(check(g, 0), GUARD_NO_SPACE);
	quota = 6 * MIB;
	assert_int_equal(check(g, 0), GUARD_TIGHT);
	quota = 5 * MIB;
	assert_int_equal(check(g, 0), GUARD_TIGHT);
	quota = 5 * MIB - 1;
	assert_int_equal(check(g, 0), GUARD_NO_SPACE);
	quota = UINT64_MAX;
	assert_int_equal(check(g, 0), GUARD_OK);
	guard_close(g);
	/* what was asked for when we were killed is no ballast */
	assert_int_equal(truncate(name, 50 * MIB), 0);
	g = guard_open(path, MIB, MIB, error, sizeof(error));
	assert_non_null(g);
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_size, 5 * MIB);
	/* a disk on which little happens is left alone */
	assert_int_equal(check(g, 0), GUARD_OK);
	asked = 0;
	for (int i = 0; i < 8; i++)
		assert_int_equal(check(g, 0), GUARD_OK);
	assert_int_equal(asked, 0);
	guard_close(g);
	fixture_remove(path);
}

static void
read_body(const char *path, uint32_t msgid, uint8_t *got, size_t len)
{
	char name[256];
	FILE *f;

	snprintf(name, sizeof(name), "%s/bodies/00/%08x", path, msgid);
	assert_non_null(f = fopen(name, "r"));
	assert_int_equal(fread(got, 1, len + 1, f), len);
	fclose(f);
}

static void
test_bodies(void **state)
{
	static const struct {
		size_t len, piece;
		int file;
	} rows[] = {
		{ 0, 1, 0 },
		{ 1, 1, 0 },
		{ 5000, 999, 0 },
		{ STORE_INLINE, STORE_INLINE, 0 },
		{ STORE_INLINE, 1000, 0 },
		{ STORE_INLINE + 1, STORE_INLINE, 1 },
		{ 300000, 65536, 1 },
	};
	char *path = fixture_folder();
	struct store *st = fixture_open(path);
	struct bodies *b = bodies_new(st, 10, NULL, NULL);
	uint8_t *data = malloc(300000), *got = malloc(300001);
	struct store_content content;
	struct body *body;

	fixture_body(1, data, 300000);
	for (uint64_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = rows[i].len, at = 0, n;

		do {
			assert_null(bodies_take(b, 3, i));
			n = len - at < rows[i].piece ? len - at : rows[i].piece;
			assert_int_equal(
			    bodies_data(b, 3, i, data + at, n, at + n == len),
			    BODY_OK);
			at += n;
		} while (at < len);
		assert_int_equal(bodies_octets(b), len);
		assert_null(bodies_take(b, 4, i));
		assert_non_null(body = bodies_take(b, 3, i));
		assert_null(bodies_take(b, 3, i));
		assert_int_equal(body_content(body, &content), 0);
		assert_int_equal(content.size, len);
		assert_int_equal(content.crc, libdeflate_crc32(0, data, len));
		assert_int_equal(content.data == NULL, rows[i].file);
		if (rows[i].file) {
			body_seal(body, (uint32_t)i);
			store_spool_wait(content.spool);
			assert_false(body_is_pending(body));
			read_body(path, (uint32_t)i, got, len);
			assert_memory_equal(got, data, len);
		} else
			assert_memory_equal(content.data, data, len);
		body_free(b, body);
		assert_int_equal(bodies_octets(b), 0);
	}
	bodies_free(b);
	free(data);
	free(got);
	store_close(st);
	fixture_remove(path);
}

static void
test_bodies_rules(void **state)
{
	char *path = fixture_folder();
	struct store *st = fixture_open(path);
	struct bodies *b = bodies_new(st, 2, NULL, NULL);
	const uint8_t x[] = "x";

	assert_int_equal(bodies_data(b, 1, 1, x, 1, 1), BODY_OK);
	/* after its end, empty, one too many */
	assert_int_equal(bodies_data(b, 1, 1, x, 1, 1), BODY_FORBIDDEN);
	assert_int_equal(bodies_data(b, 1, 2, x, 1, 0), BODY_OK);
	assert_int_equal(bodies_data(b, 1, 2, x, 0, 0), BODY_FORBIDDEN);
	assert_int_equal(bodies_data(b, 1, 3, x, 1, 0), BODY_FORBIDDEN);
	/* another sender's are its own */
	assert_int_equal(bodies_data(b, 2, 1, x, 1, 0), BODY_OK);
	bodies_abort(b, 2, 7);
	bodies_abort(b, 1, 2);
	assert_int_equal(bodies_octets(b), 2);
	bodies_drop(b, 1);
	assert_null(bodies_take(b, 1, 1));
	assert_int_equal(bodies_octets(b), 1);
	bodies_free(b);
	store_close(st);
	fixture_remove(path);
}

/* 7 MiB are needed and 5 at least: also between 5 and what a refusal asks for
 * there may be a quota below the disk. */
static void
test_quota_of_little(void **state)
{
	char *path = fixture_folder(), error[256];
	struct guard *g;

	disk = 5 * MIB + MIB / 2;
	quota = MIB;
	g = guard_open(path, MIB, MIB, error, sizeof(error));
	assert_non_null(g);
	assert_int_equal(check(g, 0), GUARD_STOP);
	guard_close(g);
	disk = 1024 * 1024 * MIB;
	quota = UINT64_MAX;
	fixture_remove(path);
}

/* Octets that come faster than the disk is looked at. */
static void
test_room_of_files(void **state)
{
	static const uint8_t data[100000];
	char *path = fixture_folder();
	struct store *st = fixture_open(path);
	struct bodies *b = bodies_new(st, 9, NULL, NULL);

	bodies_set_room(b, sizeof(data));
	assert_int_equal(bodies_data(b, 1, 1, data, 60000, 0), BODY_OK);
	assert_int_equal(bodies_data(b, 1, 2, data, sizeof(data), 0), BODY_OK);
	assert_int_equal(bodies_data(b, 1, 1, data, 10000, 0), BODY_FAILED);
	assert_int_equal(bodies_octets(b), sizeof(data));
	bodies_set_room(b, sizeof(data));
	assert_int_equal(bodies_data(b, 1, 2, data, sizeof(data), 1), BODY_OK);
	bodies_free(b);
	store_close(st);
	fixture_remove(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quota_of_little),
		cmocka_unit_test(test_room_of_files),
		cmocka_unit_test(test_rule),
		cmocka_unit_test(test_ballast),
		cmocka_unit_test(test_quota),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_bodies_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
