/*
 * What comes of a delivery, its clock, and the sandbox around it. Called by
 * the methods of local.
 */
#include "config.h"

#include <errno.h>
#include <seccomp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "deliver/local.h"
#include "ipc/test_hook.h"
#include "mail/text.h"
#include "os/sandbox.h"

/* Reading the message, writing and locking files. */
static const int file_syscalls[] = {
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(fstat),
	SCMP_SYS(stat),
	SCMP_SYS(lstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(pread64),
	SCMP_SYS(lseek),
	SCMP_SYS(fsync),
	SCMP_SYS(sync_file_range),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fstatfs),
	SCMP_SYS(fallocate),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(mkdir),
	SCMP_SYS(mkdirat),
	SCMP_SYS(uname),
	SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(geteuid),
	SCMP_SYS(getegid),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
};

int64_t
local_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

int
local_done(struct local_outcome *out, enum delivery_status status, int code,
    const char *enhanced, const char *fmt, ...)
{
	char text[sizeof(out->text)];
	va_list ap;

	out->status = status;
	out->code = code;
	strlcpy(out->enhanced, enhanced, sizeof(out->enhanced));
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* a user's words and file names, which an operator's terminal shows */
	text_safe(out->text, sizeof(out->text), text, TEXT_PLAIN, 1);
	return status == DELIVERY_OK ? 0 : -1;
}

int
local_error(struct local_outcome *out, const char *what, int error)
{
	const char *enhanced = error == EDQUOT || error == EFBIG ? "4.2.2"
	    : error == ENOSPC                                    ? "4.3.1"
								 : "4.3.0";

	return local_done(out, DELIVERY_TEMPFAIL, 451, enhanced, "%s: %s", what,
	    strerror(error));
}

int
local_confine(
    const struct local_job *job, const char *folder, struct local_outcome *out)
{
	const char *folders[] = { folder, NULL };
	struct sandbox sb = { .folders = folders,
		.outlives = 1, /* or a mailbox could be left with half a mail */
		.syscalls = file_syscalls,
		.syscall_count =
		    sizeof(file_syscalls) / sizeof(file_syscalls[0]),
		.net = SANDBOX_NET_NONE };
	char error[256];

	if (job->place->confined)
		return 0;
	if (sandbox_enter(&sb, error, sizeof(error)) == 0) {
		job->place->confined = 1;
		test_hook_try(PROC_LOCAL);
		return 0;
	}
	return local_done(out, DELIVERY_TEMPFAIL, 451, "4.3.0",
	    "cannot enter the sandbox: %s", error);
}
