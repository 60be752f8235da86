/*
 * Password hashes are slow on purpose, so they are made in a thread of their
 * own while the loop goes on. The thread sees a stored value and a password,
 * and nothing else of the process.
 */
#ifndef AUTH_HASHER_H
#define AUTH_HASHER_H

struct hasher;
struct loop;

enum { HASHER_WAITING_MAX = 256 };

/* Before the sandbox; the thread begins with the first verification.
 * NULL with errno set. */
struct hasher *hasher_new(struct loop *);

/* Calls done from the loop with whether the password fits. The strings are
 * copied. -1 when too many wait already or memory is out; done is then not
 * called. */
int hasher_verify(struct hasher *, const char *stored, const char *password,
    void (*done)(void *arg, int fits), void *arg);

#endif
