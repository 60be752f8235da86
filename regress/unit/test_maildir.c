/*
 * deliver/local_maildir and deliver/local_mbox: what comes of a file or a
 * folder that cannot be synced. The fsync of this program is its own.
 */
#include <sys/stat.h>
#include <sys/syscall.h>

#include <dirent.h>
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

#include "deliver/local.h"

/* of each folder whose name has the end, and of each file that is not empty */
static int folder_error, file_error;
static const char *folder_end = "";
static off_t synced_size; /* of the file that was synced last */
static char top[] = "/tmp/relais-maildir-XXXXXX";

int
fsync(int fd)
{
	char link[64], path[512];
	struct stat st;
	ssize_t n;

	assert_int_equal(fstat(fd, &st), 0);
	if (file_error != 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
		errno = file_error;
		return -1;
	}
	if (S_ISREG(st.st_mode))
		synced_size = st.st_size;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	if (folder_error != 0 && S_ISDIR(st.st_mode) &&
	    strlen(path) >= strlen(folder_end) &&
	    strcmp(path + strlen(path) - strlen(folder_end), folder_end) == 0) {
		errno = folder_error;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

static struct local_job
job_new(void)
{
	static char text[] = "a@b.test", user[] = "a";
	static const char body[] = "Subject: t\r\n\r\nbody\r\n";
	FILE *f = tmpfile();
	struct local_job job = { .method = "maildir",
		.parameter = "",
		.home = top,
		.directory = top,
		.delimiter = "",
		.server_name = "mx.test",
		.user = user,
		.recipient = text,
		.address = text,
		.sender = text,
		.size = sizeof(body) - 1 };

	assert_non_null(f);
	assert_int_equal(fputs(body, f) >= 0 && fflush(f) == 0, 1);
	job.body = dup(fileno(f));
	fclose(f);
	return job;
}

/* How many names a folder has, which are then removed. */
static int
clear(const char *name)
{
	char path[512];
	struct dirent *e;
	DIR *dir;
	int n = 0;

	snprintf(path, sizeof(path), "%s/%s", top, name);
	if ((dir = opendir(path)) == NULL)
		return 0;
	while ((e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.') {
			unlinkat(dirfd(dir), e->d_name, 0);
			n++;
		}
	closedir(dir);
	return n;
}

static enum delivery_status
deliver_to(const char *name)
{
	struct local_outcome out = { .status = DELIVERY_DAMAGED };
	struct local_job job = job_new();
	char path[512];
	int rc;

	snprintf(path, sizeof(path), "%s/%s", top, name);
	rc = local_file(&job, path, &out);
	close(job.body);
	assert_int_equal(rc == 0, out.status == DELIVERY_OK);
	return out.status;
}

/* Some file systems have no sync of folders: mail arrives there, and once. */
static void
test_no_sync(void **state)
{
	folder_error = EINVAL;
	folder_end = "";
	assert_int_equal(deliver_to("box/"), DELIVERY_OK);
	assert_int_equal(clear("box/new"), 1);
	assert_int_equal(deliver_to("mbox"), DELIVERY_OK);
	folder_error = 0;
}

/* What is to be tried again is not there already. */
static void
test_sync_fails(void **state)
{
	assert_int_equal(deliver_to("box/"), DELIVERY_OK);
	assert_int_equal(clear("box/new"), 1);
	folder_error = EIO;
	folder_end = "/new";
	assert_int_equal(deliver_to("box/"), DELIVERY_TEMPFAIL);
	assert_int_equal(clear("box/new") + clear("box/tmp"), 0);
	folder_error = 0;
	assert_int_equal(deliver_to("box/"), DELIVERY_OK);
	assert_int_equal(clear("box/new"), 1);
}

/* Nobody is told that a message has arrived whose octets are not on the disk;
 * what was there before is as it was. */
static void
test_content_sync_fails(void **state)
{
	char path[512];
	struct stat st;
	off_t before;

	snprintf(path, sizeof(path), "%s/mbox", top);
	assert_int_equal(deliver_to("mbox"), DELIVERY_OK);
	assert_int_equal(stat(path, &st), 0);
	before = st.st_size;
	assert_int_equal(synced_size, before);
	file_error = EIO;
	assert_int_equal(deliver_to("mbox"), DELIVERY_TEMPFAIL);
	assert_int_equal(deliver_to("box/"), DELIVERY_TEMPFAIL);
	file_error = 0;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, before);
	assert_int_equal(clear("box/new") + clear("box/tmp"), 0);
}

static int
make_top(void **state)
{
	return mkdtemp(top) != NULL ? 0 : -1;
}

static int
remove_top(void **state)
{
	static const char *const names[] = { "/box/new", "/box/tmp", "/box/cur",
		"/box", "/mbox", "" };
	char path[512];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", top, names[i]);
		remove(path);
	}
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_sync),
		cmocka_unit_test(test_sync_fails),
		cmocka_unit_test(test_content_sync_fails),
	};

	return cmocka_run_group_tests(tests, make_top, remove_top);
}
