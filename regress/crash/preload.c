/*
 * A library that the tests put under a worker (LD_PRELOAD): its clocks run
 * where the test says, and its allocations and what it reads from the disk
 * fail when the test says. It says so in a page of the file $RELAIS_FAULTS,
 * which faults.py writes. It is mapped before main, so the sandbox of the
 * worker has nothing to permit.
 */
#include "config.h"

#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* As faults.py packs it. */
struct page {
	int64_t wall; /* nanoseconds that CLOCK_REALTIME is ahead */
	int64_t mono; /* the same of CLOCK_MONOTONIC */
	int64_t left; /* allocations until they fail; 0: never */
	int64_t many; /* how many fail then */
	int64_t failed; /* how many did */
	int64_t calls; /* allocations so far */
	int64_t
	    broken; /* inode that is not read any more, nor any body opened */
	int64_t refused; /* how many such calls there were */
};

enum { NS = 1000000000, NAP_MS = 50 };

static struct page none, *page = &none;

/* The allocator that glibc has for those who stand in its way. */
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
/* And what reads, since not all machines pass a place in a file alike. */
ssize_t __pread64(int, void *, size_t, off_t);
/* Which names files are called by depends on the width of off_t; where it was
 * once narrower, nobody uses the old ones. */
ssize_t pread64(int, void *, size_t, off_t);
int openat64(int, const char *, int, ...);

__attribute__((constructor)) static void
map_page(void)
{
	const char *path = getenv("RELAIS_FAULTS");
	void *p;
	int fd;

	if (path == NULL || (fd = open(path, O_RDWR | O_CLOEXEC)) == -1)
		return;
	p = mmap(
	    NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p != MAP_FAILED)
		page = p;
}

/* ---- clocks ------------------------------------------------------------- */

static void
move(struct timespec *ts, int64_t by)
{
	int64_t ns = ts->tv_nsec + by % NS;

	ts->tv_sec += by / NS;
	if (ns < 0) {
		ns += NS;
		ts->tv_sec--;
	} else if (ns >= NS) {
		ns -= NS;
		ts->tv_sec++;
	}
	ts->tv_nsec = ns;
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
#ifdef SYS_clock_gettime64
	long call = sizeof(ts->tv_sec) > sizeof(long) ? SYS_clock_gettime64
						      : SYS_clock_gettime;
#else
	long call = SYS_clock_gettime;
#endif
	int rc = (int)syscall(call, id, ts);

	if (rc == -1)
		return -1;
	if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
		move(ts, page->wall);
	else if (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE ||
	    id == CLOCK_BOOTTIME)
		move(ts, page->mono);
	return 0;
}

time_t
time(time_t *where)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (where != NULL)
		*where = ts.tv_sec;
	return ts.tv_sec;
}

int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec ts;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &ts);
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}

/* Whoever waits must see that the monotonic clock was moved meanwhile. */
int
epoll_wait(int fd, struct epoll_event *events, int max, int ms)
{
	if (ms < 0 || ms > NAP_MS)
		ms = NAP_MS;
	return (int)syscall(SYS_epoll_pwait, fd, events, max, ms, NULL, 0);
}

/* ---- memory ------------------------------------------------------------- */

/* Whether this allocation shall fail. */
static int
fails(void)
{
	int64_t left;

	__atomic_add_fetch(&page->calls, 1, __ATOMIC_RELAXED);
	if (__atomic_load_n(&page->left, __ATOMIC_RELAXED) == 0)
		return 0;
	left = __atomic_sub_fetch(&page->left, 1, __ATOMIC_RELAXED);
	if (left > page->many)
		return 0;
	__atomic_add_fetch(&page->failed, 1, __ATOMIC_RELAXED);
	errno = ENOMEM;
	return 1;
}

void *
malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *p, size_t size)
{
	return fails() ? NULL : __libc_realloc(p, size);
}

void *
reallocarray(void *p, size_t n, size_t size)
{
	size_t all;

	if (__builtin_mul_overflow(n, size, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, all);
}

/* ---- the disk ----------------------------------------------------------- */

static int
refuse(void)
{
	__atomic_add_fetch(&page->refused, 1, __ATOMIC_RELAXED);
	errno = EIO;
	return -1;
}

static int
is_broken(int fd)
{
	int64_t broken = __atomic_load_n(&page->broken, __ATOMIC_RELAXED);
	struct stat st;

	return broken != 0 && fstat(fd, &st) == 0 &&
	    (int64_t)st.st_ino == broken;
}

ssize_t
pread64(int fd, void *to, size_t n, off_t at)
{
	if (is_broken(fd))
		return refuse();
	return __pread64(fd, to, n, at);
}

/* Berkeley DB's when pread failed. */
ssize_t
read(int fd, void *to, size_t n)
{
	if (is_broken(fd))
		return refuse();
	return syscall(SYS_read, fd, to, n);
}

/* Bodies are opened in their folder; Berkeley DB names whole paths. */
int
openat64(int at, const char *path, int flags, ...)
{
	unsigned mode;
	va_list ap;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, unsigned) : 0;
	va_end(ap);
	if (at != AT_FDCWD && (flags & (O_ACCMODE | O_DIRECTORY)) == O_RDONLY &&
	    __atomic_load_n(&page->broken, __ATOMIC_RELAXED) != 0)
		return refuse();
	return (int)syscall(SYS_openat, at, path, flags | O_LARGEFILE, mode);
}

#ifndef _FILE_OFFSET_BITS
ssize_t pread(int, void *, size_t, off_t) __attribute__((alias("pread64")));
int openat(int, const char *, int, ...) __attribute__((alias("openat64")));
#endif
