/*
 * How smtpctl prints what the daemon says, with any values in it: a row is one
 * line of characters that are safe on a terminal, has as many bars as fields,
 * and as JSON is an object in US-ASCII that can be read again, in which no text
 * becomes a number. The input is texts.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "regress/fuzz/fuzz.h"
#include "smtp/utf8.h"
#include "smtpctl/print.h"

enum { FIELDS = 8, FIRST_TEXT = 3 /* those before it may be numbers */ };

static const char *const names[FIELDS] = { "+message", "+size", "created",
	"sender", "destination", "state", "error", "limit" };

static int
is_plain(const char *s, const char *end)
{
	for (; s < end; s++)
		if (*s < ' ' || *s > 0x7f)
			return 0;
	return 1;
}

/* What a printer wrote; but for the ends of lines it is safe to look at. JSON
 * may have DEL, which moves nothing. */
static char *
printed(void (*print)(FILE *, struct ipc_list), struct ipc_list fields)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	require(out != NULL);
	print(out, fields);
	fclose(out);
	require(strlen(text) == size && size > 0 && text[size - 1] == '\n');
	for (const char *s = text, *end; *s != '\0'; s = end + 1) {
		end = strchr(s, '\n');
		require(print == print_json
			? is_plain(s, end)
			: utf8_is_text(s, (size_t)(end - s)));
	}
	return text;
}

static unsigned
count(const char *s, char c)
{
	unsigned n = 0;

	for (; *s != '\0'; s++)
		n += *s == c;
	return n;
}

static void
print_queue(FILE *out, struct ipc_list fields)
{
	struct mailq q = { .out = out };

	mailq_row(&q, fields);
	mailq_row(&q, fields);
	require(q.messages == 1);
	mailq_end(&q);
}

static void
check_json(struct ipc_list fields)
{
	char *text = printed(print_json, fields);
	json_t *row = json_loads(text, 0, NULL);

	require(count(text, '\n') == 1);
	require(row != NULL && json_object_size(row) == FIELDS);
	for (size_t i = FIRST_TEXT; i < FIELDS; i++)
		require(json_is_string(json_object_get(row, names[i])));
	json_decref(row);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[FIELDS][256];
	struct input in = { data, size };
	struct ipc_buf buf = { 0 };
	struct ipc_list list;
	char *out;

	for (size_t i = 0; i < FIELDS; i++) {
		struct msg_ctl_field f = { .name = names[i],
			/* no id of a message is longer */
			.value = input_text(
			    &in, text[i], i == 0 ? 16 : sizeof(text[i])) };

		ipc_add_ctl_field(&buf, &f);
	}
	list = ipc_buf_list(&buf);
	out = printed(print_bars, list);
	/* the hidden two are not shown */
	require(count(out, '\n') == 1 && count(out, '|') == FIELDS - 3);
	free(out);
	out = printed(print_pairs, list);
	require(count(out, '\n') == FIELDS - 2);
	free(out);
	out = printed(print_words, list);
	require(count(out, '\n') == 1);
	free(out);
	free(printed(print_queue, list));
	check_json(list);
	ipc_buf_free(&buf);
	return 0;
}
