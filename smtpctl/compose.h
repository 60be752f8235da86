/*
 * What sendmail does to a message before it is submitted: recipients out of
 * its header, fields that must not leave dropped, fields that are missing
 * added, line ends and transparency. Pure but for the stream written to.
 */
#ifndef SMTPCTL_COMPOSE_H
#define SMTPCTL_COMPOSE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "smtpctl/addresses.h"

/* A message as it came, lines ending in LF or CRLF. */
struct draft {
	const char *data;
	size_t len;
};

/* Fields that are added where missing, and to a resent message with `Resent-`
 * before them; strings of whole lines without their ends, such as "From: a@b".
 * NULL adds none. */
struct additions {
	const char *from;
	const char *date;
	const char *message_id;
	const char *domain; /* to addresses in fields that have none */
};

/* Adds the recipients of To, Cc and Bcc, or of their Resent- twins when the
 * message has any. -1 and error as addresses_parse() has them. */
int compose_recipients(
    const struct draft *, struct addresses *, char *error, size_t size);
/* Writes the message with CRLF and dots doubled, and the final dot. Bcc,
 * Resent-Bcc, Return-Path and NUL octets are left out. Stream errors are the
 * caller's. */
void compose_write(const struct draft *, const struct additions *, FILE *out);
/* 1 when an octet over 127 is in it. */
int compose_is_8bit(const struct draft *);
/* The full name that passwd(5) has: up to a comma, `&` being the name of the
 * account with a capital, and without controls. */
void compose_full_name(
    const char *gecos, const char *account, char *out, size_t size);
/* Writes `Name <address>` as it may stand in a From field. */
void compose_mailbox(
    const char *name, const char *address, char *out, size_t size);

#endif
