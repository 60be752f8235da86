/*
 * Descriptors that come by a Unix socket from whom nobody need trust. To close
 * one may take as long as he likes: a TCP socket that lingers (SO_LINGER) waits
 * until its other end has taken everything. Whoever happens to give up the last
 * hold on it waits: also in a read that did not ask for what came beside the
 * octets, and in the end of a socket in which it lay unread, or which lay in
 * that one. So nothing is left to the kernel, and what is not wanted is closed
 * here, after it was made not to linger, and with an alarm set should it have
 * been made to again. By the first thread alone, which is who hears the alarm.
 *
 * Called by channels and streams. What waits in spite of this, as a file of a
 * user's own file system does, is kept away by passed_refuse where the kernel
 * can (Linux 6.16).
 */
#ifndef OS_PASSED_H
#define OS_PASSED_H

#include <sys/socket.h>
#include <sys/types.h>

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* newer than Debian 12's header */
#endif

/* So many may come at a time: the kernel's SCM_MAX_FD. */
enum { PASSED_MAX = 253 };

/* Room for them beside a message. */
union passed_control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(sizeof(int) * PASSED_MAX)];
};

/* Takes those that came with a message; how many. */
size_t passed_take(struct msghdr *, int fds[PASSED_MAX]);
/* Closes one. */
void passed_close(int fd);
/* Closes one of ours that is not passed on after all. What lies in a socket was
 * others' to put there; but a listener goes on where else it is held. */
void passed_unsent(int fd);
/* Reads as recv with MSG_DONTWAIT does; no descriptor that came beside is
 * kept. */
ssize_t passed_recv(int sock, void *to, size_t len);
/* Closes a socket of ours, with what lies in it. */
void passed_end(int sock);
/* Whoever sends descriptors to this end, or to what a listener will accept,
 * gets an error, if the kernel can. */
void passed_refuse(int sock);

#endif
