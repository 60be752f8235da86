/*
 * See sandbox.h. Order matters: folders are opened for Landlock after chroot
 * and before the uid changes, no_new_privs comes before Landlock and seccomp,
 * and seccomp is last because it forbids all the others.
 */
#include "config.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os/passed.h"
#include "os/sandbox.h"

#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15)
#endif
#define NET_BIND_TCP (1ULL << 0)
#define NET_CONNECT_TCP (1ULL << 1)
#define RULE_NET_PORT 2

/* Two peculiarities of s390: which argument of clone the flags are, and an
 * mmap whose arguments lie in memory, where no filter sees them. */
#ifdef __s390__
#define CLONE_FLAGS 1
#define MMAP_IS_UNSEEN
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN (1UL << 0)
#endif
#else
#define CLONE_FLAGS 0
#endif

#ifdef RELAIS_SANITIZE
/*
 * A sandboxed process cannot start a symbolizer or be traced by the leak
 * check. Said here because local begins with an empty environment.
 */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *
__asan_default_options(void)
{
	return "detect_leaks=0:color=never:symbolize=0";
}

const char *
__ubsan_default_options(void)
{
	return "color=never:symbolize=0:print_stacktrace=0";
}
#endif

/* Debian 12's header stops at ABI 1: the layout of ABI 4. */
struct ruleset_attr {
	uint64_t handled_access_fs;
	uint64_t handled_access_net;
};

/* What any worker's loop, channels and allocator need. A call that a machine
 * lacks has a number here all the same, by which libseccomp leaves it out. */
static const int base_syscalls[] = {
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvfrom),
	SCMP_SYS(accept4),
	SCMP_SYS(close),
	SCMP_SYS(shutdown),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(futex),
	SCMP_SYS(getrandom),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(setitimer),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
#ifdef RELAIS_SANITIZE
	/* what the sanitizers do behind the program's back */
	SCMP_SYS(openat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(fstat),
	SCMP_SYS(readlink),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(prctl),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(getrlimit),
	SCMP_SYS(prlimit64),
	SCMP_SYS(sysinfo),
#endif
};

/* Where there is no newfstatat. */
#define STATX \
	(SCMP_SYS(newfstatat) < 0 ? SCMP_SYS(statx) : SCMP_SYS(newfstatat))

/*
 * What the C library of some machine makes of a call that we name: wider or
 * narrower numbers, an argument less. Nowhere does it permit more than the call
 * that stands before it, and where it is no form of that it does not exist.
 */
static const struct {
	int call, form;
} forms[] = {
	{ SCMP_SYS(clock_gettime), SCMP_SYS(clock_gettime64) },
	{ SCMP_SYS(clock_nanosleep), SCMP_SYS(clock_nanosleep_time64) },
	{ SCMP_SYS(fcntl), SCMP_SYS(fcntl64) },
	{ SCMP_SYS(fstat), SCMP_SYS(fstat64) },
	{ SCMP_SYS(fstatfs), SCMP_SYS(fstatfs64) },
	{ SCMP_SYS(ftruncate), SCMP_SYS(ftruncate64) },
	{ SCMP_SYS(futex), SCMP_SYS(futex_time64) },
	{ SCMP_SYS(getegid), SCMP_SYS(getegid32) },
	{ SCMP_SYS(geteuid), SCMP_SYS(geteuid32) },
	{ SCMP_SYS(getrlimit), SCMP_SYS(ugetrlimit) },
	{ SCMP_SYS(getuid), SCMP_SYS(getuid32) },
	{ SCMP_SYS(lseek), SCMP_SYS(_llseek) },
	{ SCMP_SYS(lstat), SCMP_SYS(lstat64) },
	{ SCMP_SYS(newfstatat), SCMP_SYS(fstatat64) },
	{ SCMP_SYS(newfstatat), STATX },
	{ SCMP_SYS(ppoll), SCMP_SYS(ppoll_time64) },
	{ SCMP_SYS(pselect6), SCMP_SYS(pselect6_time64) },
	{ SCMP_SYS(recvfrom), SCMP_SYS(recv) },
	{ SCMP_SYS(rt_sigprocmask), SCMP_SYS(sigprocmask) },
	{ SCMP_SYS(rt_sigreturn), SCMP_SYS(sigreturn) },
	{ SCMP_SYS(select), SCMP_SYS(_newselect) },
	{ SCMP_SYS(sendto), SCMP_SYS(send) },
	{ SCMP_SYS(stat), SCMP_SYS(stat64) },
	{ SCMP_SYS(sync_file_range), SCMP_SYS(sync_file_range2) },
};

__attribute__((format(printf, 3, 4))) static int
fail(char *error, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, size, fmt, ap);
	va_end(ap);
	return -1;
}

/* ---- identity --------------------------------------------------------- */

static int
become_user(const struct sandbox *sb, char *error, size_t size)
{
	struct passwd *pw;

	if (sb->user == NULL)
		return 0;
	/* before the chroot hides the password database */
	if ((pw = getpwnam(sb->user)) == NULL)
		return fail(error, size,
		    "user %s does not exist: create it (useradd -r %s)",
		    sb->user, sb->user);
	if (pw->pw_uid == 0 || pw->pw_gid == 0)
		return fail(error, size,
		    "user %s is root: give it a uid of its own", sb->user);
	if (sb->root != NULL && (chroot(sb->root) == -1 || chdir("/") == -1))
		return fail(
		    error, size, "chroot to %s: %s", sb->root, strerror(errno));
	if (setgroups(1, &pw->pw_gid) == -1 ||
	    setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) == -1 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) == -1)
		return fail(
		    error, size, "becoming %s: %s", sb->user, strerror(errno));
	if (setuid(0) != -1)
		return fail(error, size, "root could be regained");
	return 0;
}

/* ---- file system and TCP ports: Landlock ------------------------------ */

int
sandbox_landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);

	return abi < 0 ? 0 : (int)abi;
}

static uint64_t
all_fs_rights(int abi)
{
	uint64_t rights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;

	if (abi >= 2)
		rights |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		rights |= LANDLOCK_ACCESS_FS_TRUNCATE;
	if (abi >= 5)
		rights |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
	return rights;
}

static int
allow_folder(
    int ruleset, const char *path, uint64_t rights, char *error, size_t size)
{
	struct landlock_path_beneath_attr beneath = { .allowed_access =
							  rights };
	long rc;

	beneath.parent_fd = open(path, O_PATH | O_CLOEXEC | O_DIRECTORY);
	if (beneath.parent_fd == -1)
		return fail(error, size, "%s: %s", path, strerror(errno));
	rc = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH,
	    &beneath, 0);
	close(beneath.parent_fd);
	return rc == 0 ? 0
		       : fail(error, size, "Landlock rule for %s: %s", path,
			     strerror(errno));
}

static int
allow_port(
    int ruleset, uint64_t access, uint64_t number, char *error, size_t size)
{
	struct {
		uint64_t allowed_access, port;
	} port = { access, number };

	if (syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &port, 0) ==
	    -1)
		return fail(error, size, "Landlock rule for port %llu: %s",
		    (unsigned long long)number, strerror(errno));
	return 0;
}

static int
allow_ports(int ruleset, const struct sandbox *sb, char *error, size_t size)
{
	const uint16_t *p = sb->ports;

	/* a client may choose its address: port 0 is one that the kernel
	 * picks, and only that */
	if (sb->net == SANDBOX_NET_CONNECT)
		return allow_port(ruleset, NET_BIND_TCP, 0, error, size);
	if (sb->net != SANDBOX_NET_DNS)
		return 0;
	for (; p != NULL && *p != 0; p++)
		if (allow_port(ruleset, NET_CONNECT_TCP, *p, error, size) == -1)
			return -1;
	return allow_port(ruleset, NET_CONNECT_TCP, 53, error, size);
}

static int
restrict_files(const struct sandbox *sb, char *error, size_t size)
{
	int abi = sandbox_landlock_abi(), fd, rc = -1;
	struct ruleset_attr attr = { 0 };

	if (abi == 0)
		return 0; /* an older kernel: the chroot and seccomp remain */
	attr.handled_access_fs = all_fs_rights(abi);
	if (abi >= 4) {
		attr.handled_access_net = NET_BIND_TCP;
		if (sb->net != SANDBOX_NET_CONNECT)
			attr.handled_access_net |= NET_CONNECT_TCP;
	}
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr,
	    abi >= 4 ? sizeof(attr) : sizeof(attr.handled_access_fs), 0);
	if (fd == -1)
		return fail(error, size, "Landlock: %s", strerror(errno));
	for (size_t i = 0; sb->folders != NULL && sb->folders[i] != NULL; i++)
		if (allow_folder(fd, sb->folders[i],
			attr.handled_access_fs & ~LANDLOCK_ACCESS_FS_EXECUTE,
			error, size) == -1)
			goto out;
	if (abi >= 4 && allow_ports(fd, sb, error, size) == -1)
		goto out;
	if (syscall(SYS_landlock_restrict_self, fd, 0) == -1)
		fail(error, size, "Landlock: %s", strerror(errno));
	else
		rc = 0;
out:
	close(fd);
	return rc;
}

/* ---- resources -------------------------------------------------------- */

uint64_t
sandbox_max_files(void)
{
	struct rlimit files;

	return getrlimit(RLIMIT_NOFILE, &files) == 0 ? files.rlim_max : 0;
}

static int
limit_resources(char *error, size_t size)
{
	struct rlimit files, none = { 0, 0 };

	if (getrlimit(RLIMIT_NOFILE, &files) == -1)
		return fail(error, size, "RLIMIT_NOFILE: %s", strerror(errno));
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) == -1 ||
	    setrlimit(RLIMIT_CORE, &none) == -1)
		return fail(error, size, "rlimits: %s", strerror(errno));
	return 0;
}

/* ---- system calls: seccomp -------------------------------------------- */

/* A rule for a call in each of its forms, of which arguments have the same
 * places. */
static int
rule(scmp_filter_ctx filter, uint32_t action, int call, unsigned int n,
    const struct scmp_arg_cmp *args)
{
	int rc = seccomp_rule_add_array(filter, action, call, n, args);

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (forms[i].call == call)
			rc |= seccomp_rule_add_array(
			    filter, action, forms[i].form, n, args);
	return rc;
}

static int
allow(scmp_filter_ctx filter, int call)
{
	return rule(filter, SCMP_ACT_ALLOW, call, 0, NULL);
}

/* With one argument that must be what it says. */
static int
allow_if(scmp_filter_ctx filter, int call, struct scmp_arg_cmp arg)
{
	return rule(filter, SCMP_ACT_ALLOW, call, 1, &arg);
}

/*
 * Where connecting is bounded, to send must not mean to connect: Landlock does
 * not look at TCP Fast Open. libunbound, which would use it, connects when it
 * hears that there is none. Elsewhere no argument is looked at, since the
 * kernel then need not run the filter for these calls.
 */
static int
allow_sending(scmp_filter_ctx filter, enum sandbox_net net)
{
	static const struct {
		int call;
		unsigned int flags; /* which argument */
	} calls[] = { { SCMP_SYS(sendto), 3 }, { SCMP_SYS(sendmsg), 2 } };
	struct scmp_arg_cmp open;
	int rc = 0;

	if (net != SANDBOX_NET_DNS)
		return allow(filter, SCMP_SYS(sendto)) |
		    allow(filter, SCMP_SYS(sendmsg));
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		rc |= allow_if(filter, calls[i].call,
		    SCMP_CMP(
			calls[i].flags, SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0));
		open = SCMP_CMP(calls[i].flags, SCMP_CMP_MASKED_EQ,
		    MSG_FASTOPEN, MSG_FASTOPEN);
		rc |= rule(filter, SCMP_ACT_ERRNO(EOPNOTSUPP), calls[i].call, 1,
		    &open);
	}
	return rc;
}

/* What os/passed.h does to descriptors of others. */
static int
allow_passed(scmp_filter_ctx filter)
{
	static const int options[] = { SO_LINGER, SO_PASSRIGHTS };
	int rc = allow_if(
	    filter, SCMP_SYS(getsockopt), SCMP_A1(SCMP_CMP_EQ, SOL_SOCKET));

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		rc |= seccomp_rule_add(filter, SCMP_ACT_ALLOW,
		    SCMP_SYS(setsockopt), 2, SCMP_A1(SCMP_CMP_EQ, SOL_SOCKET),
		    SCMP_A2(SCMP_CMP_EQ, (scmp_datum_t)options[i]));
	return rc;
}

/* TCP and UDP. Others that carry streams, as MPTCP, reach any server of TCP,
 * and Landlock bounds the ports of TCP alone. */
static int
allow_sockets(scmp_filter_ctx filter)
{
	static const int families[] = { AF_INET, AF_INET6 };
	static const int protocols[] = { 0, IPPROTO_TCP, IPPROTO_UDP };
	int rc = 0;

	for (size_t f = 0; f < 2; f++)
		for (size_t p = 0; p < 3; p++)
			rc |= seccomp_rule_add(filter, SCMP_ACT_ALLOW,
			    SCMP_SYS(socket), 2,
			    SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[f]),
			    SCMP_A2(SCMP_CMP_EQ, (scmp_datum_t)protocols[p]));
	return rc;
}

/* The call by which arguments cannot be seen is none: see direct.c. Said last,
 * since libseccomp adds to each rule for sockets one for this call, and drops
 * them for a rule that has no condition. */
static int
refuse_socketcall(scmp_filter_ctx filter)
{
	return seccomp_rule_add(filter, SCMP_ACT_TRAP, SCMP_SYS(socketcall), 0);
}

/* Not F_SETOWN and F_SETSIG: by these the kernel sends any signal to whoever
 * has the same uid. */
static int
allow_fcntl(scmp_filter_ctx filter)
{
	static const int commands[] = { F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD,
		F_SETFD, F_GETFL, F_SETFL, F_SETLK, F_ADD_SEALS };
	int rc = 0;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		rc |= allow_if(filter, SCMP_SYS(fcntl),
		    SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)commands[i]));
	return rc;
}

/* Threads and no processes: one of those would go on with all that we have when
 * we are ended, and nobody would know of it. */
static int
allow_threads(scmp_filter_ctx filter)
{
	/* of clone3 the flags cannot be seen: without it libc takes clone */
	return allow_if(filter, SCMP_SYS(clone),
		   SCMP_CMP(CLONE_FLAGS, SCMP_CMP_MASKED_EQ, CLONE_THREAD,
		       CLONE_THREAD)) |
	    seccomp_rule_add(
		filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

/* Memory, but none that is executable. */
static int
allow_memory(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp data =
	    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	int rc = allow_if(filter, SCMP_SYS(mprotect), data);

#ifdef MMAP_IS_UNSEEN
	return rc | allow(filter, SCMP_SYS(mmap));
#else
	/* who has mmap2 has an mmap that takes its arguments in memory */
	return rc |
	    allow_if(filter,
		SCMP_SYS(mmap2) < 0 ? SCMP_SYS(mmap) : SCMP_SYS(mmap2), data);
#endif
}

static int
add_rules(scmp_filter_ctx filter, const struct sandbox *sb)
{
	static const int network[] = { SCMP_SYS(connect), SCMP_SYS(bind),
		SCMP_SYS(setsockopt), SCMP_SYS(getsockopt),
		SCMP_SYS(getsockname), SCMP_SYS(getpeername) };
	size_t n = sizeof(base_syscalls) / sizeof(base_syscalls[0]);
	int rc = 0;

	for (size_t i = 0; i < n; i++)
		rc |= allow(filter, base_syscalls[i]);
	for (size_t i = 0; i < sb->syscall_count; i++)
		rc |= allow(filter, sb->syscalls[i]);
	rc |= allow_sending(filter, sb->net) | allow_fcntl(filter) |
	    allow_passed(filter) | allow_memory(filter);
	if (sb->threads)
		rc |= allow_threads(filter);
	/* abort, but no signal for others of the same user */
	rc |= allow_if(filter, SCMP_SYS(tgkill),
	    SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	n = sb->net == SANDBOX_NET_NONE ? 0
					: sizeof(network) / sizeof(network[0]);
	if (n != 0)
		rc |= allow_sockets(filter);
	for (size_t i = 0; i < n; i++)
		rc |= allow(filter, network[i]);
	return rc | refuse_socketcall(filter);
}

static int
restrict_syscalls(const struct sandbox *sb, char *error, size_t size)
{
	scmp_filter_ctx filter;
	int rc;

	if ((filter = seccomp_init(SCMP_ACT_KILL_PROCESS)) == NULL)
		return fail(error, size, "seccomp: out of memory");
	/* the store has threads of its own when the filter comes */
	rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (rc == 0)
		rc = add_rules(filter, sb);
	if (rc == 0)
		rc = seccomp_load(filter);
	seccomp_release(filter);
	return rc == 0 ? 0 : fail(error, size, "seccomp: %s", strerror(-rc));
}

int
sandbox_enter(const struct sandbox *sb, char *error, size_t size)
{
	if (limit_resources(error, size) == -1 ||
	    become_user(sb, error, size) == -1)
		return -1;
	/* a master that is killed takes its workers along; a change of the
	 * uid would have undone this */
	if ((!sb->outlives && prctl(PR_SET_PDEATHSIG, SIGKILL) == -1) ||
	    prctl(PR_SET_DUMPABLE, 0) == -1 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return fail(error, size, "prctl: %s", strerror(errno));
#ifdef MMAP_IS_UNSEEN
	/* since Linux 6.3: memory that was written never becomes executable */
	prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0);
#endif
	if (restrict_files(sb, error, size) == -1)
		return -1;
	return restrict_syscalls(sb, error, size);
}
