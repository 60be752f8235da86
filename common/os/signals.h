/*
 * Signals that somebody may send to all processes of a service at once, as a
 * shutdown and systemctl(1) do, and that master alone heeds, or nobody: a
 * worker that died of one would be in the midst of a message, which then goes
 * out twice. Workers end when master says so, or is gone.
 */
#ifndef OS_SIGNALS_H
#define OS_SIGNALS_H

void signals_ignore(void);
/* For a program of somebody else, after fork. */
void signals_restore(void);

#endif
