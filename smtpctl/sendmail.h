/*
 * The faces of smtpctl: what main.c calls by the name that the program was
 * started under.
 */
#ifndef SMTPCTL_SENDMAIL_H
#define SMTPCTL_SENDMAIL_H

#include <sys/types.h>

#include <stdint.h>

/* Who we are, once main has put setgid rights aside. */
struct caller {
	const char *socket; /* of the daemon */
	const char *folder; /* where mail is left while it is down */
	gid_t drop_gid; /* group that may write there */
	gid_t real_gid;
};

/* All return an exit status of sysexits.h. */
int sendmail_main(const struct caller *, int argc, char **argv);
/* A file of the drop folder on standard input, its owner our user. Who is not
 * taken ttl seconds after it was left is given up. */
int sendmail_from_drop(const struct caller *, int64_t ttl);
int mailq_main(const struct caller *, int json);
int newaliases_main(const struct caller *);
/* One question, its answer printed. */
int smtpctl_ask(
    const struct caller *, char *const *words, size_t count, int json);
/* Ends the program with EX_IOERR if what it printed cannot be written. */
void flush_output(void);

#endif
