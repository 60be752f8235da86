/*
 * The asking side of the control socket.
 */
#ifndef SMTPCTL_CLIENT_H
#define SMTPCTL_CLIENT_H

#include <sys/types.h>

#include <stddef.h>

#include "ipc/messages.h"

struct client_ops {
	void (*row)(void *ctx, struct ipc_list fields);
	void (*data)(void *ctx, const void *, size_t);
	void *ctx;
	unsigned seconds; /* for the whole answer; 0: any time, once the
			     question has been taken up */
};

enum client_result {
	CLIENT_OK,
	CLIENT_DOWN, /* nobody answers at the socket */
	CLIENT_UNHEARD, /* nor in time, though somebody listens */
	CLIENT_REFUSED /* the daemon says no: error has its words */
};

/* Seconds that a daemon which runs may take to take up a question. */
unsigned client_patience(void);
/* Whether there is no daemon, as against one that is busy. */
int client_is_down(const char *path);
/* The master process that listens, as the kernel has it; 0 if that cannot be
 * told, or it is neither root's nor ours. */
pid_t client_listener(const char *path);
/*
 * Asks one question and hands on the answer as it comes. *session, if not
 * NULL, gets the descriptor that the answer carried, or -1. Either function
 * of ops may be NULL.
 */
enum client_result client_ask(const char *path, char *const *words,
    size_t count, const struct client_ops *, int *session, char *error,
    size_t size);

#endif
