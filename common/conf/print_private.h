/*
 * What print.c and print_settings.c share. Nobody else includes this.
 */
#ifndef CONF_PRINT_PRIVATE_H
#define CONF_PRINT_PRIVATE_H

#include <stdio.h>

#include "conf/conf.h"

void print_quoted(FILE *, const char *text);
/* " word "text"", or nothing when text is NULL. */
void print_option(FILE *, const char *word, const char *text);
void print_duration(FILE *, uint32_t seconds);
/* All settings that differ from their defaults; 0, or -1 without memory. */
int print_settings(const struct conf *, FILE *);

#endif
