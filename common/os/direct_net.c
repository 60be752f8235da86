/*
 * See direct.c: what makes sockets of the network and joins them.
 */
#include <sys/syscall.h>
#include <sys/types.h>

#include <unistd.h>

#include "os/direct.h"

#if DIRECT_SOCKETS
int
socket(int family, int type, int protocol)
{
	return (int)syscall(SYS_socket, family, type, protocol);
}

int
bind(int fd, const void *addr, socklen_t len)
{
	return (int)syscall(SYS_bind, fd, addr, len);
}

int
connect(int fd, const void *addr, socklen_t len)
{
	return (int)syscall(SYS_connect, fd, addr, len);
}
#else
/* ISO C wants at least one declaration in a file. */
extern int relais_has_direct_calls;
#endif
