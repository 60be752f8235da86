/*
 * Export and import of the queue for `relaisd -E` and `-I`, while no daemon
 * runs: the program that owns the spool does it, as the user and in the
 * sandbox that it always has, but without a loop, peers or a schedule.
 */
#ifndef QUEUE_OFFLINE_H
#define QUEUE_OFFLINE_H

#include <stddef.h>

/*
 * The program's main when its first argument is `export` or `import`, else -1.
 * Further arguments are those of a worker: -u user, -c chroot, -w folder, -v.
 * Descriptor 3 is the stream, a regular file. Takes the system calls that the
 * worker may make. The result is the exit status: 2 when what could be
 * exported was, and some was damaged.
 */
int offline_main(int argc, char **argv, const int *syscalls, size_t count);

#endif
