/*
 * The log as systemd's journal reads it from standard error: each line with
 * its priority in front (sd-daemon(3)), or all of them would have the same.
 */
#ifndef OS_JOURNAL_H
#define OS_JOURNAL_H

/* Whether standard error leads there: systemd.exec(5), JOURNAL_STREAM. */
int journal_is_stderr(void);
/* In place of log_init. The journal knows the name of the process that it
 * started; `name`, which is kept, is of another, or NULL. */
void journal_init(const char *name);
/* From now on lines may wait for journal_flush, as with log_hold; one that is
 * worse than info takes those before it along. */
void journal_hold(void (*wake)(void *), void *arg);
void journal_flush(void);

#endif
