/*
 * The name servers of a configuration that names none: those of
 * /etc/resolv.conf, when it is loaded and whenever they change.
 */
#ifndef MASTER_SERVERS_H
#define MASTER_SERVERS_H

struct conf;
struct master;
struct servers;

/* Fills in the servers; -1 without memory. */
int servers_load(struct conf *);

/* Looks at the file from time to time, once the children are there. NULL
 * without memory. */
struct servers *servers_new(struct master *);
void servers_free(struct servers *);

#endif
