/*
 * SMTP as sendmail speaks it to the daemon, over the socket that the control
 * socket handed out. Blocking, with a deadline for each reply.
 */
#ifndef SMTPCTL_DIALOGUE_H
#define SMTPCTL_DIALOGUE_H

#include <stddef.h>
#include <stdint.h>

#include "smtpctl/addresses.h"
#include "smtpctl/compose.h"

struct submission {
	const char *sender; /* canonical, without domain, or "" */
	/* out: those of them who need another attempt, in their order */
	struct addresses *rcpts;
	const char *full_name; /* may be NULL */
	const char *envid; /* may be NULL */
	uint8_t notify;
	uint8_t ret;
	int64_t written; /* when, in seconds of 1970; what is not past: now */
	int verbose; /* the dialogue on standard error */
	/* out: recipients that were refused for good, and to how many of the
	 * others the message has gone */
	size_t refused;
	struct addresses *gone; /* who they are, where not NULL */
	size_t told; /* octets of error that tell of those */
	size_t taken;
	/* ADDRESS_DOMAIN_SIZE octets: the domain that those without one got,
	 * "" before they did */
	char *domain;
};

/* What error needs for each recipient, and besides. */
#define DIALOGUE_LINE 720

/* Takes fd. An exit status of sysexits.h, the reason in error unless it is
 * EX_OK; each recipient that is refused has a line of it, and the others get
 * the message. Why those who are left need another attempt is the last line.
 * Recipients without domain get that of the daemon. */
int dialogue_submit(int fd, struct submission *, const struct draft *,
    char *error, size_t size);
/* -bs: passes on octets between standard input and output and fd. */
int dialogue_proxy(int fd);

#endif
