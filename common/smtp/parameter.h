/*
 * ESMTP parameters of MAIL and RCPT, a part of the command parser
 * (command.h), which alone calls it.
 */
#ifndef SMTP_PARAMETER_H
#define SMTP_PARAMETER_H

#include "smtp/command.h"

/*
 * Reads what stands behind the path, text beginning with a space or being
 * empty, into out->mail or out->rcpt, by out->verb. Sets out->error and
 * out->error_arg where command_parse says so.
 */
void parameter_parse(const char *text, size_t len, unsigned extensions,
    int smtputf8, struct smtp_command *out);

/* Sets the refusal of a command with its argument, cut to fit. */
void command_refuse(
    struct smtp_command *, enum reply_id, const char *arg, size_t len);

#endif
