/*
 * Who a local delivery is for and how it is done, resolved by master from its
 * own configuration and the password database. Called by hand_off.c.
 */
#ifndef MASTER_RECIPIENT_H
#define MASTER_RECIPIENT_H

#include <sys/types.h>

#include "ipc/messages.h"
#include "master/master.h"

/* Linux knows of no more groups of a process. */
enum { RECIPIENT_PATH = 1024, RECIPIENT_GROUPS = 65536 };

struct recipient {
	const char *method; /* what local is told to do: -m */
	char parameter[RECIPIENT_PATH]; /* its folder, command or file: -p */
	char name[64]; /* of the user that local becomes */
	char home[RECIPIENT_PATH]; /* of the same */
	char user[64]; /* whose mail it is: %{user.username} */
	char directory[RECIPIENT_PATH]; /* his: %{user.directory} */
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* allocated: see recipient_clear */
	size_t ngroups;
	int use_forward; /* his .forward is obeyed */
	uint32_t item; /* of it, by user_entry; 0: all */
	gid_t mail_gid; /* for the mail folder; 0: no such right */
};

/* Whether the place of a user's mail depends on the recipient's address, so
 * that each needs a process of its own, and none waits for another's: virtual
 * users may share an account. */
int recipient_place_varies(
    const struct master *, const struct msg_local_delivery *);

/* 0, or the code of the reply that says why not (4xx or 5xx), its text in
 * error. What struct recipient held is not looked at; recipient_clear is due
 * either way. */
int recipient_resolve(const struct master *, const struct msg_local_delivery *,
    struct recipient *, char *error, size_t size);
void recipient_clear(struct recipient *);

#endif
