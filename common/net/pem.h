/*
 * What of a PEM file may go to a worker. Used by master, which reads the files
 * of certificates that others parse.
 */
#ifndef NET_PEM_H
#define NET_PEM_H

/*
 * Leaves nothing in text but its certificates: a file that holds the key
 * beside them, as many do, must not carry it into smtpd or deliver. What goes
 * is wiped. Pure.
 */
void pem_keep_certificates(char *text);

#endif
