/*
 * Decimal numbers on the wire: digits alone, no sign, no space, no overflow.
 */
#ifndef SMTP_DECIMAL_H
#define SMTP_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

/* Reads len digits. 0, or -1 when there is none, another octet, or a number
 * above max; then *number stays. */
int decimal_parse(const char *s, size_t len, uint64_t max, uint64_t *number);

#endif
