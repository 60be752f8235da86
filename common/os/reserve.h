/*
 * A process keeps some of its descriptors back, so that whoever comes over the
 * network cannot take those that channels, listening sockets and a reload
 * need: one that finds none is cut off, and the channel that it came by ends.
 *
 * The kernel gives the lowest number that is free. So a number tells how many
 * are taken, and nothing need be counted. Pure.
 */
#ifndef OS_RESERVE_H
#define OS_RESERVE_H

#include <stdint.h>

/* The first number that is of the reserve, where the process may have `limit`
 * descriptors (RLIMIT_NOFILE). */
int reserve_begin(uint64_t limit);

#endif
