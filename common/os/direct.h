/*
 * The C library's functions of sockets, as direct.c has them: declared here
 * and not taken from sys/socket.h, which gives addresses a type of its own.
 * Nobody but direct.c and direct_net.c includes this.
 */
#ifndef OS_DIRECT_H
#define OS_DIRECT_H

#include <sys/syscall.h>
#include <sys/types.h>

#include <unistd.h>

#if defined(SYS_socketcall) && defined(SYS_socket)
#define DIRECT_SOCKETS 1
#else
#define DIRECT_SOCKETS 0
#endif

int accept4(int, void *, socklen_t *, int);
int bind(int, const void *, socklen_t);
int connect(int, const void *, socklen_t);
int getpeername(int, void *, socklen_t *);
int getsockname(int, void *, socklen_t *);
int getsockopt(int, int, int, void *, socklen_t *);
ssize_t recv(int, void *, size_t, int);
ssize_t recvfrom(int, void *, size_t, int, void *, socklen_t *);
ssize_t recvmsg(int, void *, int);
ssize_t send(int, const void *, size_t, int);
ssize_t sendmsg(int, const void *, int);
ssize_t sendto(int, const void *, size_t, int, const void *, socklen_t);
int setsockopt(int, int, int, const void *, socklen_t);
int shutdown(int, int);
int socket(int, int, int);
int socketpair(int, int, int, int *);

#endif
