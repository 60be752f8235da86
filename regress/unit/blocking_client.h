/*
 * A client for tests of a worker, with plain blocking calls, in a process of
 * its own. What it does not find as it should be ends it with a message and
 * the status 1.
 */
#ifndef REGRESS_BLOCKING_CLIENT_H
#define REGRESS_BLOCKING_CLIENT_H

#include <netinet/in.h>
#include <openssl/ssl.h>

void client_fail(const char *what, const char *line) __attribute__((noreturn));
/* To the loopback address; port in network order. */
int client_connect(in_port_t port);

void say(int fd, const char *text);
/* Reads one reply, all of its lines; its last one must begin with want. */
void hear(int fd, const char *want);
void hear_end(int fd);

void tls_say(SSL *, const char *text);
void tls_hear(SSL *, const char *want);

#endif
