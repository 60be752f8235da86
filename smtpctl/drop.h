/*
 * The drop folder: where sendmail leaves mail while the daemon is down, and
 * the format of a file in it: lines of `name value`, an empty line, then the
 * message as it was given.
 */
#ifndef SMTPCTL_DROP_H
#define SMTPCTL_DROP_H

#include <stddef.h>

#include "smtpctl/addresses.h"
#include "smtpctl/compose.h"
#include "smtpctl/options.h"

#define DROP_FIRST_LINE "relais-drop 1\n"

/* 0 once the message is durable in the folder; -1 with the reason. */
int drop_write(const char *folder, const struct sendmail_options *,
    const char *sender, const struct addresses *, const struct draft *,
    char *error, size_t size);
/*
 * Takes a file apart. Strings of options and *sender point into a copy that
 * *text holds (to be freed); draft into the file's octets. -1 if it is none.
 */
int drop_parse(const char *data, size_t len, struct sendmail_options *,
    const char **sender, struct addresses *, struct draft *, char **text,
    char *error, size_t size);
/* Notes in the file of a descriptor, of which data are the octets, that its
 * recipients need no other attempt but for these, of whom those without a
 * domain there have got this one. It gets no younger by that. */
void drop_mark(int fd, const char *data, size_t len, const struct addresses *,
    const char *domain);

#endif
