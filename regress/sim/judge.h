/*
 * What check.c and judge.c share: all mail there ever was.
 */
#ifndef SIM_JUDGE_H
#define SIM_JUDGE_H

#include "sim.h"

#define BY_MASTER 1000 /* as flight_by: a local delivery */

struct mails {
	struct mail **list; /* those with a token by their token */
	size_t count;
	/* figures */
	size_t sent;
	size_t acknowledged;
	size_t deliveries;
	size_t duplicates;
	size_t reports;
};
extern struct mails mails;

struct mail *mails_new(void);
const char *find_text(const uint8_t *, size_t, const char *);

#endif
