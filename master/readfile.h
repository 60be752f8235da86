/*
 * Reads whole files for master: configuration, tables, certificates, keys.
 */
#ifndef MASTER_READFILE_H
#define MASTER_READFILE_H

#include <sys/types.h>

#define READFILE_CONFIG_MAX ((size_t)16 << 20)
#define READFILE_PEM_MAX ((size_t)1 << 20)
#define READFILE_TABLE_MAX ((size_t)256 << 20)

/* The content of a regular file of at most `max` octets, with a NUL behind
 * it that *len does not count; the caller frees it. NULL with the reason in
 * `error`. Never blocks on a FIFO or a device. */
char *readfile(
    const char *path, size_t max, size_t *len, char *error, size_t errorlen);

#endif
