/*
 * The lines of a list of destinations, a .forward or an :include: file, as
 * fparseln(3) reads them for OpenSMTPD, but for what stands in quotes. Pure;
 * called by local. The text may come from any user.
 */
#ifndef CONF_ALIAS_LINE_H
#define CONF_ALIAS_LINE_H

struct alias_lines {
	char *rest; /* the text, NUL-terminated, which is changed; NULL: over */
	int line; /* where the last one that was returned begins, from 1 */
	int read; /* how many are read */
};

/* The next line that holds anything: without comments, joined with those that
 * a backslash at its end goes on in, blanks at its begin skipped. It points
 * into the text. NULL when there is none. */
char *alias_next_line(struct alias_lines *);

#endif
