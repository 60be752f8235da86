/*
 * What the primaries of backup domains said about recipients, kept so that a
 * backup knows them when it is needed: while the primary is down. A good
 * recipient is remembered longer than any usual outage, a bad one for an hour,
 * so that one who was just created is not refused for long.
 *
 * Pure: time (seconds since 1970) is an argument. Memory is bounded: what was
 * not asked for longest makes room, a bad one before any good one.
 */
#ifndef AUTH_CALLAHEAD_H
#define AUTH_CALLAHEAD_H

#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "ipc/enums.h"

struct callahead;

enum {
	CALLAHEAD_FRESH = 24 * 3600, /* a good one is not asked again */
	CALLAHEAD_GOOD_LIFE = 31 * 24 * 3600,
	CALLAHEAD_BAD_LIFE = 3600
};

enum callahead_advice {
	CALLAHEAD_ACCEPT,
	CALLAHEAD_REFUSE, /* 550: the primary said so lately */
	CALLAHEAD_TEMPFAIL, /* 4xx */
	CALLAHEAD_ASK /* the primary, then callahead_answer */
};

struct callahead *callahead_new(size_t max);
void callahead_free(struct callahead *);

/* What to do about a recipient of a domain that `action` backs up. */
enum callahead_advice callahead_look(
    struct callahead *, const char *action, const char *recipient, int64_t now);
/*
 * The primary has answered, or could not be asked. Never REFUSE but on its
 * own word; never ASK. Out of memory, or a bad one where there is room for no
 * more but good ones, only means that it is not remembered.
 */
enum callahead_advice callahead_answer(struct callahead *, const char *action,
    const char *recipient, enum callahead_status, enum conf_unknown,
    int64_t now);

/*
 * For keeping what is known over a restart. Whether this answer is worth it,
 * asked before callahead_answer: each good one, and a bad one that takes the
 * word of a good one back. What guesses at names bring is forgotten.
 */
int callahead_worth(const struct callahead *, const char *action,
    const char *recipient, enum callahead_status);
/* Gives back what was kept; an entry that is newer stays. -1 when it was not
 * remembered. */
int callahead_import(struct callahead *, const char *action,
    const char *recipient, int good, int64_t when);

#endif
