/*
 * The hook by which a test shows that a sandbox holds: in a build with
 * --enable-test-hooks, the environment variable RELAIS_TEST_SYSCALL=KIND:CALL
 * makes the worker of that kind try a forbidden system call a moment after it
 * is ready, and `local` as soon as it is confined. In any other build this is
 * nothing.
 */
#ifndef IPC_TEST_HOOK_H
#define IPC_TEST_HOOK_H

#include <stddef.h>

#include "config.h"
#include "ipc/enums.h"

#ifdef RELAIS_TEST_HOOKS
void test_hook_try(enum process_kind);
/* The variable and its value, for the environment of others; NULL: none. */
const char *test_hook_variable(void);
#else
static inline void
test_hook_try(enum process_kind kind)
{
	(void)kind;
}

static inline const char *
test_hook_variable(void)
{
	return NULL;
}
#endif

#endif
