/*
 * The portable stream of a queue, and what a spool of another release says.
 */
#include "config.h"

#include <sys/mman.h>

#include <endian.h>
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
test_port(void **state)
{
	struct store_case *f = *state, to;
	char error[256] = "";
	uint64_t skipped, checked;
	uint32_t first;
	FILE *stream = tmpfile();

	for (uint32_t i = 1; i <= 100; i++)
		store_case_put(f->st, i, i % 40 + 1, i * 1000, i > 70);
	assert_int_equal(
	    store_export(f->st, fileno(stream), error, sizeof(error)), 100);
	to.path = fixture_folder();
	to.st = fixture_open(to.path);
	store_case_put(to.st, 17, 17 % 40 + 1, 17 * 1000, 0);
	/* the check says what the import would, and does nothing */
	rewind(stream);
	assert_int_equal(store_import_check(to.st, fileno(stream), &skipped,
			     error, sizeof(error)),
	    99);
	assert_int_equal(skipped, 1);
	assert_int_equal(store_verify(to.st, &checked), 0);
	assert_int_equal(checked, 1);
	for (int again = 0; again < 2; again++) {
		rewind(stream);
		if (store_import(to.st, fileno(stream), &skipped, error,
			sizeof(error)) != (again ? 0 : 99))
			fail_msg("%s", error);
		assert_int_equal(skipped, again ? 100 : 1);
	}
	for (uint32_t i = 1; i <= 100; i++)
		store_case_assert(to.st, i, i % 40 + 1, i * 1000);
	assert_int_equal(store_verify(to.st, &checked), 0);
	assert_int_equal(checked, 100);
	assert_int_equal(store_id_block(to.st, 1, &first), STORE_OK);
	assert_true(first > 100);
	store_close(to.st);
	fixture_remove(to.path);
	fclose(stream);
}

/* An import that was killed has taken some messages and no more: their ids are
 * not given to others. */
static void
test_port_killed(void **state)
{
	struct store_case *f = *state;
	uint32_t first;

	for (uint32_t i = 1; i <= 100; i++)
		store_case_put(f->st, i, 2, 10, 0);
	store_close(f->st);
	f->st = fixture_open(f->path);
	assert_int_equal(store_id_block(f->st, 64, &first), STORE_OK);
	assert_true(first > 100);
}

/* The spool of another release says by which commands it is carried over. */
static void
test_schema(void **state)
{
	struct store_case *f = *state;
	char error[512] = "";

	assert_int_equal(
	    store_meta_put(f->st, "schema", STORE_SCHEMA + 1), STORE_OK);
	store_close(f->st);
	f->st = store_open(f->path, NULL, error, sizeof(error));
	assert_null(f->st);
	assert_non_null(strstr(error, "`relaisd -E file`"));
	assert_non_null(strstr(error, "`relaisd -I file`"));
}

/* A message whose id another has is not passed over. */
static void
test_port_taken(void **state)
{
	struct store_case *f = *state, to;
	int fd = memfd_create("stream", 0);
	char error[256] = "";
	uint64_t skipped;

	store_case_put(f->st, 1, 1, 10, 0);
	store_case_put(f->st, 2, 1, 100000, 1);
	assert_int_equal(store_export(f->st, fd, error, sizeof(error)), 2);
	to.path = fixture_folder();
	to.st = fixture_open(to.path);
	store_case_put(to.st, 2, 1, 11, 0);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(
	    store_import_check(to.st, fd, &skipped, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "import into an empty spool"));
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(
	    store_import(to.st, fd, &skipped, error, sizeof(error)), -1);
	store_case_assert(to.st, 2, 1, 11);
	store_close(to.st);
	fixture_remove(to.path);
	close(fd);
}

/* A stream that is cut anywhere, or that has a wrong octet anywhere, is
 * refused. */
static void
test_port_damage(void **state)
{
	struct store_case *f = *state;
	char error[256];
	uint64_t skipped;
	uint8_t octets[4096];
	ssize_t len;
	int fd = memfd_create("stream", 0);

	store_case_put(f->st, 1, 2, 300, 0);
	assert_int_equal(store_export(f->st, fd, error, sizeof(error)), 1);
	len = pread(fd, octets, sizeof(octets), 0);
	assert_true(len > 0 && len < (ssize_t)sizeof(octets));
	for (ssize_t i = 0; i < len; i += 3) {
		assert_int_equal(ftruncate(fd, i), 0);
		lseek(fd, 0, SEEK_SET);
		assert_int_equal(store_import_check(
				     f->st, fd, &skipped, error, sizeof(error)),
		    -1);
		lseek(fd, 0, SEEK_SET);
		assert_int_equal(
		    store_import(f->st, fd, &skipped, error, sizeof(error)),
		    -1);
		assert_int_equal(pwrite(fd, octets, (size_t)len, 0), len);
		octets[i] ^= 0x10;
		assert_int_equal(pwrite(fd, octets, (size_t)len, 0), len);
		lseek(fd, 0, SEEK_SET);
		assert_int_equal(
		    store_import(f->st, fd, &skipped, error, sizeof(error)),
		    -1);
		octets[i] ^= 0x10;
	}
	close(fd);
	store_case_assert(f->st, 1, 2, 300);
}

/* A stream that has an id twice is refused as a whole, before any is taken. */
static void
test_port_twice(void **state)
{
	enum { MAGIC = 16, END = 5 + 8 + 4 };
	struct store_case *f = *state;
	uint8_t octets[4096], total[8] = { 0, 0, 0, 0, 0, 0, 0, 2 };
	char error[256] = "";
	uint64_t skipped;
	uint32_t crc = htobe32(libdeflate_crc32(0, total, sizeof(total)));
	int fd = memfd_create("stream", 0);
	size_t len;

	store_case_put(f->st, 1, 2, 300, 0);
	assert_int_equal(store_export(f->st, fd, error, sizeof(error)), 1);
	len = (size_t)pread(fd, octets, sizeof(octets), 0) - MAGIC - END;
	assert_in_range(len, 1, sizeof(octets) - MAGIC - END);
	assert_int_equal(store_batch_begin(f->st), STORE_OK);
	assert_int_equal(store_remove(f->st, 1), STORE_OK);
	assert_int_equal(store_batch_commit(f->st), STORE_OK);
	assert_int_equal(ftruncate(fd, (off_t)(MAGIC + len)), 0);
	lseek(fd, 0, SEEK_END);
	assert_int_equal(write(fd, octets + MAGIC, len), len);
	assert_int_equal(write(fd, octets + MAGIC + len, 5), 5);
	assert_int_equal(write(fd, total, sizeof(total)), sizeof(total));
	assert_int_equal(write(fd, &crc, sizeof(crc)), sizeof(crc));
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(
	    store_import_check(f->st, fd, &skipped, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "ids of messages do not rise"));
	close(fd);
}

/* A release that kept no count has left the spool. */
static void
test_no_count(void **state)
{
	static char name[] = STORE_META_HELD;
	struct store_case *f = *state;
	DBT key = { .data = name, .size = sizeof(name) - 1 };
	uint64_t before;

	for (uint32_t id = 1; id <= 100; id++)
		store_case_put(f->st, id, 1, 20000, 0);
	assert_int_equal(store_batch_begin(f->st), STORE_OK);
	for (uint32_t id = 1; id <= 80; id++)
		assert_int_equal(store_remove(f->st, id), STORE_OK);
	assert_int_equal(store_batch_commit(f->st), STORE_OK);
	assert_int_equal(store_checkpoint(f->st), STORE_OK);
	before = store_reusable(f->st);
	assert_in_range(before, 1000000, 2000000);
	assert_int_equal(f->st->meta->del(f->st->meta, NULL, &key, 0), 0);
	store_close(f->st);
	f->st = fixture_open(f->path);
	assert_int_equal(store_reusable(f->st), before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_CASE(test_port),
		STORE_CASE(test_port_taken),
		STORE_CASE(test_port_damage),
		STORE_CASE(test_port_twice),
		STORE_CASE(test_port_killed),
		STORE_CASE(test_schema),
		STORE_CASE(test_no_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
