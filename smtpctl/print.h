/*
 * How answers look: bars for people and scripts, JSON lines, `name=value`,
 * and the columns of mailq. Rows are printed as they come; no state but what
 * one message of mailq needs. Strings that others wrote go out without what a
 * terminal would obey: controls, marks of direction, octets that are no UTF-8.
 */
#ifndef SMTPCTL_PRINT_H
#define SMTPCTL_PRINT_H

#include <stdint.h>
#include <stdio.h>

#include "ipc/messages.h"

void print_bars(FILE *, struct ipc_list fields);
void print_json(FILE *, struct ipc_list fields);
/* A whole message as one object: `header`, the fields in their order, each a
 * `name` and an unfolded `value`; and `body`. A text that is not UTF-8 stands
 * under its name with `-base64`. */
void print_json_message(FILE *, const char *data, size_t len);
/* A line for each field. */
void print_pairs(FILE *, struct ipc_list fields);
/* A row of `update aliases`, as newaliases of other systems words it. */
void print_aliases(FILE *, struct ipc_list fields);
/* Text of the daemon with its lines but no other control characters. */
void print_lines(FILE *, const char *);
/* The values with a space between. */
void print_words(FILE *, struct ipc_list fields);

struct mailq {
	FILE *out;
	char message[16]; /* whose recipients are being printed */
	uint64_t messages;
	uint64_t octets;
};
/* Rows of `show queue`, those of one message together. */
void mailq_row(struct mailq *, struct ipc_list fields);
void mailq_end(struct mailq *);

#endif
