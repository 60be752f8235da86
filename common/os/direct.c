/*
 * Where the C library makes all socket calls through one system call,
 * socketcall, whose arguments lie in memory, no filter sees what they are: who
 * may make TCP sockets could then make any. So each goes by the system call of
 * its own that Linux has had there since 4.3, and the sandbox refuses
 * socketcall. The names are the C library's, so that the libraries that are
 * linked with us come here too. What reaches the network is apart in
 * direct_net.c, since most workers must not have it.
 */
#include <sys/syscall.h>
#include <sys/types.h>

#include <unistd.h>

#include "os/direct.h"

#if DIRECT_SOCKETS
/* What recv and recvfrom become where the size of the buffer is known. */
ssize_t __recv_chk(int, void *, size_t, size_t, int);
ssize_t __recvfrom_chk(int, void *, size_t, size_t, int, void *, socklen_t *);
void __chk_fail(void) __attribute__((noreturn));

int
accept4(int fd, void *addr, socklen_t *len, int flags)
{
	return (int)syscall(SYS_accept4, fd, addr, len, flags);
}

int
getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	return (int)syscall(SYS_getsockopt, fd, level, name, value, len);
}

int
setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	return (int)syscall(SYS_setsockopt, fd, level, name, value, len);
}

int
getsockname(int fd, void *addr, socklen_t *len)
{
	return (int)syscall(SYS_getsockname, fd, addr, len);
}

int
getpeername(int fd, void *addr, socklen_t *len)
{
	return (int)syscall(SYS_getpeername, fd, addr, len);
}

int
socketpair(int family, int type, int protocol, int *ends)
{
	return (int)syscall(SYS_socketpair, family, type, protocol, ends);
}

int
shutdown(int fd, int how)
{
	return (int)syscall(SYS_shutdown, fd, how);
}

ssize_t
recvfrom(int fd, void *buf, size_t size, int flags, void *addr, socklen_t *len)
{
	return syscall(SYS_recvfrom, fd, buf, size, flags, addr, len);
}

ssize_t
recv(int fd, void *buf, size_t size, int flags)
{
	return recvfrom(fd, buf, size, flags, NULL, NULL);
}

ssize_t
__recvfrom_chk(int fd, void *buf, size_t size, size_t room, int flags,
    void *addr, socklen_t *len)
{
	if (size > room)
		__chk_fail();
	return recvfrom(fd, buf, size, flags, addr, len);
}

ssize_t
__recv_chk(int fd, void *buf, size_t size, size_t room, int flags)
{
	return __recvfrom_chk(fd, buf, size, room, flags, NULL, NULL);
}

ssize_t
recvmsg(int fd, void *msg, int flags)
{
	return syscall(SYS_recvmsg, fd, msg, flags);
}

ssize_t
sendto(int fd, const void *buf, size_t size, int flags, const void *addr,
    socklen_t len)
{
	return syscall(SYS_sendto, fd, buf, size, flags, addr, len);
}

ssize_t
send(int fd, const void *buf, size_t size, int flags)
{
	return sendto(fd, buf, size, flags, NULL, 0);
}

ssize_t
sendmsg(int fd, const void *msg, int flags)
{
	return syscall(SYS_sendmsg, fd, msg, flags);
}
#else
/* ISO C wants at least one declaration in a file. */
extern int relais_has_direct_calls;
#endif
