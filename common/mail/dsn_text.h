/*
 * What a delivery report says to people: our own words, by what happened and
 * by the enhanced status code (RFC 3463). Only dsn.c uses it.
 */
#ifndef MAIL_DSN_TEXT_H
#define MAIL_DSN_TEXT_H

#include "mail/dsn.h"

const char *dsn_text_subject(const struct dsn_report *);
const char *dsn_text_opening(const struct dsn_report *);
/* Its status, or where a server gave none (x.0.0) what its code means. May be
 * NULL. */
const char *dsn_text_status(const struct dsn_rcpt *);
/* What became of one recipient, and what the sender can do. */
const char *dsn_text_advice(const struct dsn_rcpt *);

#endif
