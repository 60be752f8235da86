/*
 * The accounts of the system: which there are, and which of them may log in.
 * Some are kept by a directory, whose daemon may be down; that its accounts
 * are not found then says nothing of them.
 */
#ifndef MASTER_ACCOUNT_H
#define MASTER_ACCOUNT_H

#include <pwd.h>
#include <shadow.h>
#include <stdint.h>

/* The days of shadow(5) begin in UTC. */
enum { ACCOUNT_DAY_SECONDS = 24 * 3600 };

/* By what shadow(5) keeps of the age of its password. day: of today, counted
 * from 1970 as there. Pure. */
int account_may_log_in(const struct spwd *, int64_t day);

/* Whether a service that nsswitch.conf(5) names for passwd, here the text of
 * that file, may be one that is down. has_sssd: there is a configuration of
 * that daemon, without which its service is but a leftover. Pure. */
int account_has_directory(const char *services, int has_sssd);

/* 0 with the account, which the next call overwrites, or with NULL where there
 * is none of that name; -1 where nobody can say now, which is logged. */
int account_find(const char *name, const struct passwd **);

#endif
