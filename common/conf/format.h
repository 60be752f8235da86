/*
 * The formats that smtpd.conf(5) allows in a command or a path: %{sender},
 * %{rcpt.user}, %{user.directory:raw} and so on. Pure. Called by local
 * to expand them, and by master to find those that do not exist.
 *
 * Values of the envelope come from strangers and end in a shell's command
 * line: every octet that is not a letter, a digit or one of @ . _ + = : , / -
 * or part of UTF-8 becomes `:`, and so does a leading `-`, so that no value
 * can end its word, name another command or be taken for an option. The
 * modifier `raw` keeps a value as it is only where it came from the
 * configuration (user.username, user.directory).
 */
#ifndef CONF_FORMAT_H
#define CONF_FORMAT_H

#include <stddef.h>
#include <stdint.h>

struct format_values {
	const char *sender; /* local@domain or "" */
	const char *rcpt;
	const char *dest;
	const char *username;
	const char *directory;
	uint32_t msgid;
	const char *delimiter;
};

/* Expands text to out. 0, or -1 with a clause in error: a format that does
 * not exist, or a result that does not fit. */
int format_expand(const char *text, const struct format_values *, char *out,
    size_t size, char *error, size_t error_size);

/* The first format in text that does not exist, of *len octets; NULL if all
 * of them do. */
const char *format_unknown(const char *text, size_t *len);

#endif
