/*
 * The hook by which a test shows that a sandbox holds: in a build with
 * --enable-test-hooks, the environment variable RELAIS_TEST_SYSCALL=KIND:CALL
 * makes the worker of that kind try a forbidden system call a moment after it
 * is ready. In any other build this is nothing.
 */
#ifndef IPC_TEST_HOOK_H
#define IPC_TEST_HOOK_H

#include "config.h"
#include "ipc/enums.h"

struct loop;

#ifdef RELAIS_TEST_HOOKS
void test_hook_arm(struct loop *, enum process_kind);
#else
static inline void
test_hook_arm(struct loop *loop, enum process_kind kind)
{
	(void)loop;
	(void)kind;
}
#endif

#endif
