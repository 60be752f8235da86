/*
 * How a worker gives up what it must not have: identity, file system, system
 * calls, network, resources, and a life longer than its parent's. Called once
 * by worker.c, when the process has read its configuration and before it
 * serves anyone.
 */
#ifndef OS_SANDBOX_H
#define OS_SANDBOX_H

#include <stddef.h>
#include <stdint.h>

/* What a process may do on the network besides using the sockets it has. */
enum sandbox_net {
	SANDBOX_NET_NONE,
	SANDBOX_NET_CONNECT, /* TCP to any port */
	SANDBOX_NET_DNS /* UDP, and TCP to port 53 or the resolver's ports */
};

struct sandbox {
	const char *user; /* NULL: started by an ordinary user, keep it */
	const char *root; /* NULL: as above; else a folder to chroot into */
	/* Folders that stay usable, NULL at the end; named from the chroot
	 * if there is one. Nothing else of the file system can be opened. */
	const char *const *folders;
	/* System calls beyond those that every worker needs: numbers. */
	const int *syscalls;
	size_t syscall_count;
	int threads; /* whether it may start some */
	enum sandbox_net net;
	/* For SANDBOX_NET_DNS: the ports besides 53 that TCP may go to, 0 at
	 * the end; NULL: none. */
	const uint16_t *ports;
	int outlives; /* ends by itself, not with master */
};

/* How many descriptors a process may have once it has entered, when it can no
 * longer ask. */
uint64_t sandbox_max_files(void);
/* 0, or -1 with what failed in error. The process then must not serve. */
int sandbox_enter(const struct sandbox *, char *error, size_t size);

/* For tests that show the sandbox: what this kernel's Landlock can do, 0 if
 * it has none. */
int sandbox_landlock_abi(void);

#endif
