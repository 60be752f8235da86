/*
 * See print.h.
 */
#include "config.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mail/header.h"
#include "mail/text.h"
#include "smtp/base64.h"
#include "smtp/utf8.h"
#include "smtpctl/print.h"

/* One line, and no character that a terminal could obey. */
enum { DUMP = JSON_COMPACT | JSON_ENSURE_ASCII };

/* A value as a terminal may have it: a control character of ASCII, which may
 * be the end of a line, is a blank, and so is a bar between bars; what else is
 * no safe UTF-8 is `?`. */
static void
put_value(FILE *out, const char *s, int bars)
{
	size_t len = strlen(s), n;
	uint32_t c;

	for (; len > 0; s += n, len -= n)
		if ((n = utf8_decode(s, len, &c)) == 0) {
			putc('?', out);
			n = 1;
		} else if (!utf8_is_safe(c) || (bars && c == '|'))
			putc(n == 1 ? ' ' : '?', out);
		else
			fwrite(s, 1, n, out);
}

/* In a column of `width` octets, at its left when that is negative. */
static void
put_padded(FILE *out, const char *s, int width)
{
	int len = (int)strlen(s);

	fprintf(out, "%*s", width > len ? width - len : 0, "");
	put_value(out, s, 0);
	fprintf(out, "%*s", -width > len ? -width - len : 0, "");
}

void
print_bars(FILE *out, struct ipc_list fields)
{
	struct msg_ctl_field f;
	int n = 0;

	while (ipc_next_ctl_field(&fields, &f)) {
		if (f.name[0] == '+')
			continue;
		if (n++ > 0)
			putc('|', out);
		put_value(out, f.value, 1);
	}
	putc('\n', out);
}

/* Whether it is one that JSON may have as a number: by its name, for what a
 * stranger says may look like anything; and without changing it. */
static int
is_number(const char *name, const char *s)
{
	static const char *const numbers[] = { "aliases", "attempts", "changed",
		"created", "damaged", "delay", "envelopes", "expires",
		"failures", "idle", "inflight", "last", "longest", "messages",
		"next", "octets", "probe", "ready", "sessions", "size", "time",
		"transfers", "uptime", "window" };
	int known = strchr(name, '.') != NULL; /* those of `show stats` */
	size_t digits = strspn(s, "0123456789");

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		known |= strcmp(name, numbers[i]) == 0;
	return known && digits > 0 && digits < 16 && s[digits] == '\0' &&
	    (s[0] != '0' || digits == 1);
}

/* A text that has octets which are no UTF-8: each is `?`. */
static json_t *
safe_string(const char *s)
{
	size_t size = strlen(s) + 1;
	char *safe = malloc(size);
	json_t *value = NULL;

	if (safe != NULL) {
		text_safe(safe, size, s, TEXT_PLAIN, 1);
		value = json_string(safe);
	}
	free(safe);
	return value;
}

void
print_json(FILE *out, struct ipc_list fields)
{
	json_t *row = json_object(), *value;
	struct msg_ctl_field f;
	char *text;

	while (row != NULL && ipc_next_ctl_field(&fields, &f)) {
		const char *name = f.name + (f.name[0] == '+');

		value = is_number(name, f.value) ? json_integer(atoll(f.value))
						 : json_string(f.value);
		if (value == NULL)
			value = safe_string(f.value);
		json_object_set_new(row, name, value);
	}
	if (row != NULL && (text = json_dumps(row, DUMP)) != NULL) {
		fprintf(out, "%s\n", text);
		free(text);
	}
	json_decref(row);
}

/* Octets under a name, or as base64 under the name for that. */
static void
set_octets(json_t *object, const char *const names[2], const char *s, size_t n)
{
	json_t *value = json_stringn(s, n);
	char *text = NULL;

	if (value == NULL && (text = malloc(BASE64_LENGTH(n) + 1)) != NULL &&
	    base64_encode(s, n, text, BASE64_LENGTH(n) + 1) != -1)
		json_object_set_new(object, names[1], json_string(text));
	else
		json_object_set_new(object, names[0], value);
	free(text);
}

static json_t *
field_object(const char *data, const struct header_field *f)
{
	static const char *const names[] = { "value", "value-base64" };
	size_t size = (size_t)(f->end - f->body) + 1;
	json_t *field = json_object();
	char *value;

	json_object_set_new(
	    field, "name", json_stringn(data + f->start, f->name_len));
	if ((value = malloc(size)) != NULL)
		set_octets(
		    field, names, value, header_body(data, f, value, size));
	free(value);
	return field;
}

void
print_json_message(FILE *out, const char *data, size_t len)
{
	static const char *const names[] = { "body", "body-base64" };
	json_t *message = json_object(), *header = json_array();
	struct header_limits none = { 0 };
	enum header_status status;
	struct header_scan scan;
	struct header_field f;
	size_t at = 0, used;

	header_init(&scan, &none);
	do {
		status = header_scan(&scan, data + at, len - at, &used, &f);
		at += used;
		if (status == HEADER_MORE)
			status = header_finish(&scan, &f);
		if (status == HEADER_FIELD)
			json_array_append_new(header, field_object(data, &f));
	} while (status == HEADER_FIELD);
	json_object_set_new(message, "header", header);
	set_octets(message, names, data + scan.body, len - (size_t)scan.body);
	json_dumpf(message, out, DUMP);
	putc('\n', out);
	json_decref(message);
}

void
print_pairs(FILE *out, struct ipc_list fields)
{
	struct msg_ctl_field f;

	while (ipc_next_ctl_field(&fields, &f)) {
		if (f.name[0] == '+')
			continue;
		fprintf(out, "%s=", f.name);
		put_value(out, f.value, 0);
		putc('\n', out);
	}
}

void
print_words(FILE *out, struct ipc_list fields)
{
	struct msg_ctl_field f;
	int n = 0;

	while (ipc_next_ctl_field(&fields, &f)) {
		if (n++ > 0)
			putc(' ', out);
		put_value(out, f.value, 0);
	}
	putc('\n', out);
}

void
print_aliases(FILE *out, struct ipc_list fields)
{
	struct msg_ctl_field f;

	while (ipc_next_ctl_field(&fields, &f)) {
		if (strcmp(f.name, "table") == 0) {
			put_value(out, f.value, 0);
			fputs(": ", out);
		} else if (strcmp(f.name, "aliases") == 0)
			fprintf(out, "%s alias%s", f.value,
			    strcmp(f.value, "1") == 0 ? "" : "es");
		else if (strcmp(f.name, "longest") == 0)
			fprintf(out, ", longest %s bytes", f.value);
		else if (strcmp(f.name, "octets") == 0)
			fprintf(out, ", %s bytes total\n", f.value);
	}
}

void
print_lines(FILE *out, const char *text)
{
	while (*text != '\0') {
		char line[1024];
		size_t len = strcspn(text, "\n");

		snprintf(line, sizeof(line), "%.*s", (int)len, text);
		put_value(out, line, 0);
		putc('\n', out);
		text += len + (text[len] == '\n');
	}
}

/* ---- mailq ------------------------------------------------------------ */

enum { WIDTH = 80 };

/* The fields that mailq shows. */
struct mailq_fields {
	const char *message;
	const char *size;
	const char *created;
	const char *sender;
	const char *recipient;
	const char *state;
	const char *error;
};

static void
mailq_fields(struct ipc_list list, struct mailq_fields *m)
{
	const struct {
		const char *name;
		const char **value;
	} wanted[] = { { "+message", &m->message }, { "+size", &m->size },
		{ "created", &m->created }, { "sender", &m->sender },
		{ "destination", &m->recipient }, { "state", &m->state },
		{ "error", &m->error } };
	struct msg_ctl_field f;

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		*wanted[i].value = "";
	while (ipc_next_ctl_field(&list, &f))
		for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
			if (strcmp(f.name, wanted[i].name) == 0)
				*wanted[i].value = f.value;
}

static void
mailq_message(struct mailq *q, const struct mailq_fields *m)
{
	time_t t = (time_t)strtoll(m->created, NULL, 10);
	char when[32] = "", id[24];
	struct tm tm;

	if (q->messages++ == 0)
		fputs("-Queue ID-  --Size-- ----Arrival Time---- "
		      "-Sender/Recipient-------\n",
		    q->out);
	else
		putc('\n', q->out);
	if (localtime_r(&t, &tm) != NULL)
		strftime(when, sizeof(when), "%a %b %e %H:%M:%S", &tm);
	snprintf(id, sizeof(id), "%.12s%s", m->message,
	    strcmp(m->state, "inflight") == 0   ? "*"
		: strcmp(m->state, "held") == 0 ? "!"
						: "");
	/* programs that count look for capitals, as Postfix writes them */
	for (char *s = id; *s != '\0'; s++)
		*s = (char)toupper((unsigned char)*s);
	q->octets += strtoull(m->size, NULL, 10);
	put_padded(q->out, id, -11);
	putc(' ', q->out);
	put_padded(q->out, m->size, 8);
	fprintf(q->out, " %19.20s  ", when);
	put_value(
	    q->out, m->sender[0] != '\0' ? m->sender : "MAILER-DAEMON", 0);
	putc('\n', q->out);
}

void
mailq_row(struct mailq *q, struct ipc_list list)
{
	struct mailq_fields m;

	mailq_fields(list, &m);
	if (q->messages == 0 || strcmp(m.message, q->message) != 0) {
		mailq_message(q, &m);
		snprintf(q->message, sizeof(q->message), "%s", m.message);
	}
	if (m.error[0] != '\0') {
		int len = (int)strlen(m.error) + 2;

		fprintf(q->out, "%*s(", len < WIDTH ? WIDTH - len : 0, "");
		put_value(q->out, m.error, 0);
		fputs(")\n", q->out);
	}
	fprintf(q->out, "%42s", "");
	put_value(q->out, m.recipient, 0);
	putc('\n', q->out);
}

void
mailq_end(struct mailq *q)
{
	if (q->messages == 0)
		fputs("Mail queue is empty\n", q->out);
	else
		fprintf(q->out, "\n-- %llu Kbytes in %llu Request%s.\n",
		    (unsigned long long)(q->octets + 1023) / 1024,
		    (unsigned long long)q->messages,
		    q->messages == 1 ? "" : "s");
}
