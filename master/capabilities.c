/*
 * The capabilities that master keeps of root's. Everything else is given up
 * for good, by it and by all that it starts, before it has read a thing. And
 * whether the kernel lets the workers give up more.
 */
#include "config.h"

#include <sys/prctl.h>
#include <sys/syscall.h>

#include <errno.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "master/master.h"
#include "os/log.h"

#define BIT(cap) ((uint64_t)1 << (cap))

/* Why each is kept: spool and mailboxes of other users, ending workers that
 * run as others, listening on port 25, becoming a worker or a recipient. */
static const uint64_t kept = BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) |
    BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_FOWNER) | BIT(CAP_KILL) |
    BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_SETGID) | BIT(CAP_SETUID) |
    BIT(CAP_SYS_CHROOT) | BIT(CAP_SYS_RESOURCE);

/* Of these, what root lacks where somebody has taken it, as a container's
 * runtime may. The rest of what is kept is only of use here and there. */
static const struct {
	int cap;
	bool vital; /* no worker can start without */
	const char *name;
} wanted[] = {
	{ CAP_CHOWN, false, "CAP_CHOWN" },
	{ CAP_DAC_OVERRIDE, false, "CAP_DAC_OVERRIDE" },
	{ CAP_FOWNER, false, "CAP_FOWNER" },
	{ CAP_KILL, false, "CAP_KILL" },
	{ CAP_SETGID, true, "CAP_SETGID" },
	{ CAP_SETUID, true, "CAP_SETUID" },
	{ CAP_SYS_CHROOT, true, "CAP_SYS_CHROOT" },
};

/* 0, or -1 where it is of no use to go on. */
static int
tell_lacking(uint64_t has)
{
	char names[256] = "";
	bool vital = false;

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (has & BIT(wanted[i].cap))
			continue;
		if (names[0] != '\0')
			strlcat(names, ", ", sizeof(names));
		strlcat(names, wanted[i].name, sizeof(names));
		vital |= wanted[i].vital;
	}
	if (vital)
		log_error("root is without %s here: let whoever starts relaisd "
			  "(a container's runtime, systemd) leave it that, or "
			  "start it as an ordinary user",
		    names);
	else if (names[0] != '\0')
		log_warn("root is without %s here: what needs it will fail: "
			 "let whoever starts relaisd (a container's runtime, "
			 "systemd) leave it that",
		    names);
	return vital ? -1 : 0;
}

int
capabilities_can_confine(void)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;

	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0)
		return 1;
	log_error(
	    "seccomp, which confines the workers: %s: it needs Linux 4.14 "
	    "and not an emulator of another processor, and the filter of "
	    "a container must allow it",
	    strerror(errno));
	return 0;
}

int
capabilities_bound(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (!(kept & BIT(cap)) && prctl(PR_CAPBSET_DROP, cap) == -1 &&
		    errno != EPERM)
			goto fail;
	if (syscall(SYS_capget, &header, data) == -1)
		goto fail;
	for (int i = 0; i < 2; i++) {
		/* a container may have given less */
		data[i].permitted &= (uint32_t)(kept >> 32 * i);
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &header, data) == 0)
		return tell_lacking(
		    data[0].permitted | (uint64_t)data[1].permitted << 32);
fail:
	log_error("cannot give up capabilities: %s", strerror(errno));
	return -1;
}
