/*
 * Who a local delivery is for and how it is done, resolved by master from its
 * own configuration and the password database. Called by hand_off.c.
 */
#ifndef MASTER_RECIPIENT_H
#define MASTER_RECIPIENT_H

#include <sys/types.h>

#include "ipc/messages.h"
#include "master/master.h"

enum { RECIPIENT_PATH = 1024 };

struct recipient {
	const char *method; /* what local is told to do: -m */
	char parameter[RECIPIENT_PATH]; /* its folder, command or file: -p */
	char name[64]; /* of the user that local becomes */
	char home[RECIPIENT_PATH];
	uid_t uid;
	gid_t gid;
	int system_user; /* has groups and a .forward of its own */
	int mail_group; /* local needs it to write into the mail folder */
};

/* 0, or the code of the reply that says why not (4xx or 5xx), its text in
 * error. */
int recipient_resolve(const struct master *, const struct msg_local_delivery *,
    struct recipient *, char *error, size_t size);

#endif
