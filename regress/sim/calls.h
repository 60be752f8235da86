/*
 * What calls.map calls system calls and their like.
 */
#ifndef SIM_CALLS_H
#define SIM_CALLS_H

#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#include <ifaddrs.h>
#include <time.h>

#include "sim.h"

#define OUR_ADDRESS "198.51.100.1"

int sim_close(int);
int sim_fcntl(int, int, ...);
ssize_t sim_recv(int, void *, size_t, int);
ssize_t sim_send(int, const void *, size_t, int);
ssize_t sim_sendmsg(int, const struct msghdr *, int);
ssize_t sim_recvmsg(int, struct msghdr *, int);
int sim_accept4(int, struct sockaddr *, socklen_t *, int);
int sim_shutdown(int, int);
int sim_socketpair(int, int, int, int[2]);
int sim_dup(int);
int sim_socket(int, int, int);
int sim_connect(int, const struct sockaddr *, socklen_t);
int sim_bind(int, const struct sockaddr *, socklen_t);
int sim_setsockopt(int, int, int, const void *, socklen_t);
int sim_getsockopt(int, int, int, void *, socklen_t *);
int sim_getsockname(int, struct sockaddr *, socklen_t *);
int sim_getifaddrs(struct ifaddrs **);
void sim_freeifaddrs(struct ifaddrs *);
ssize_t sim_pread(int, void *, size_t, off_t);
ssize_t sim_write(int, const void *, size_t);
int sim_open(const char *, int, ...);
int sim_openat(int, const char *, int, ...);
int sim_fstatvfs(int, struct statvfs *);
int sim_clock_gettime(clockid_t, struct timespec *);
uint32_t sim_arc4random(void);
void sim_arc4random_buf(void *, size_t);
int sim_RAND_bytes(unsigned char *, int);
int sim_RAND_priv_bytes(unsigned char *, int);
void sim_exit(int) __attribute__((noreturn));
void sim__exit(int) __attribute__((noreturn));
uint64_t sim_sandbox_max_files(void);
int sim_sandbox_enter(const void *, char *, size_t);
void sim_test_hook_arm(void *, enum process_kind);

#endif
