/*
 * What primaries said of recipients (auth/callahead.h), kept over restarts in
 * the file `callahead` of the spool: auth decides what is worth keeping and
 * may hold no file, the queue holds files and understands nothing of this.
 *
 * The file only grows, a record at a time, and is written anew with one
 * record a recipient when it has doubled. A record has a checksum; what lies
 * behind the first that does not check was torn by a crash and is cut off. It
 * is a cache: nothing waits for the disk.
 */
#ifndef QUEUE_KNOWN_H
#define QUEUE_KNOWN_H

#include <stdint.h>

#include "ipc/messages.h"

struct known;

/* Opens or makes the file in the folder `path`; records older than `since`
 * (seconds since 1970) are dropped. NULL when that failed, which is logged. */
struct known *known_open(const char *path, int64_t since);
void known_close(struct known *);

/* Adds one. Failures are logged, the first of a row. */
void known_keep(struct known *, const struct msg_callahead_keep *);

/*
 * Gives back what is kept: known_rewind, then known_next until it returns 0.
 * Strings live until the next call.
 */
void known_rewind(struct known *);
int known_next(struct known *, struct msg_callahead_keep *);

#endif
