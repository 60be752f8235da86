/*
 * The canonical form of a configuration: one way to write each thing, in a
 * fixed order, defaults left out. It parses back to the same tree. Used by
 * `relaisd -n -v` and `smtpctl explain`.
 */
#ifndef CONF_PRINT_H
#define CONF_PRINT_H

#include <stdio.h>

#include "conf/conf.h"

/* 0, or -1 when memory is short or the stream failed. */
int conf_print(const struct conf *, FILE *);

/* One element, as a line. */
void conf_print_listener(
    const struct conf *, const struct conf_listener *, FILE *);
void conf_print_action(const struct conf *, const struct conf_action *, FILE *);
void conf_print_match(const struct conf *, const struct conf_match *, FILE *);

#endif
