/*
 * The command line of sendmail(8), as programs have called it for decades.
 * Pure. An option that could harm is refused, one that means nothing here is
 * ignored, and no option is ever handed on to another program.
 */
#ifndef SMTPCTL_OPTIONS_H
#define SMTPCTL_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

enum sendmail_mode {
	SENDMAIL_MAIL, /* a message on standard input */
	SENDMAIL_SMTP, /* -bs */
	SENDMAIL_QUEUE, /* -bp */
	SENDMAIL_FLUSH, /* -q */
	SENDMAIL_ALIASES /* -bi */
};

struct sendmail_options {
	enum sendmail_mode mode;
	int extract; /* -t */
	int keep_dots; /* -i: a lone dot does not end the input */
	int verbose;
	int mail_errors; /* -em: the sender gets a report by mail, too */
	const char *sender; /* NULL: who calls; "" the null sender */
	const char *full_name; /* NULL: from the password database */
	const char *envid;
	uint8_t notify; /* enum smtp_notify bits */
	uint8_t ret; /* enum smtp_ret */
	int first; /* index of the first recipient in argv */
};

/* 0, or -1 with the reason in error. Strings point into argv. */
int sendmail_parse(
    int argc, char **argv, struct sendmail_options *, char *error, size_t size);
/* never, or success, failure and delay with commas; -1 if it is not. */
int sendmail_parse_notify(const char *, uint8_t *);

#endif
