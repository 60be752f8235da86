/*
 * Descriptors that are open and mean nothing: one is closed for what must have
 * a descriptor and finds none, also when the limit fell while we run, or when
 * the machine has none left, neither of which os/reserve.h can know. Another
 * thread may take what was just closed, so the owner tries again after a while.
 *
 * Called by the store for the files of its database, and by the control socket
 * for the operator. The owner keeps threads apart.
 */
#ifndef OS_SPARE_H
#define OS_SPARE_H

enum { SPARE_COUNT = 2 };

/* Begins as zeros. */
struct spare {
	int fd[SPARE_COUNT];
	unsigned count; /* that are open */
};

/* Opens those that are missing, as far as there are descriptors. Leaves errno
 * as it is. */
void spare_keep(struct spare *);
/* Closes one; whether there was one. Leaves errno as it is. */
int spare_give_up(struct spare *);

#endif
