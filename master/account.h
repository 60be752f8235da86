/*
 * Whether an account of the system may log in, by what shadow(5) keeps of its
 * age. Pure: the day is an argument.
 */
#ifndef MASTER_ACCOUNT_H
#define MASTER_ACCOUNT_H

#include <shadow.h>
#include <stdint.h>

/* The days of shadow(5) begin in UTC. */
enum { ACCOUNT_DAY_SECONDS = 24 * 3600 };

/* day: of today, counted from 1970 as shadow(5) does. */
int account_may_log_in(const struct spwd *, int64_t day);

#endif
