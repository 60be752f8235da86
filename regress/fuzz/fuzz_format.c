/*
 * The formats of a command or a path: the input is the text of the
 * configuration, then what strangers wrote. The text from outside, wherever
 * it ends up, has no octet but those that format.h promises, no slash and no
 * dash before the others; and nothing is written behind the end.
 */
#include <ctype.h>
#include <string.h>

#include "conf/format.h"
#include "regress/fuzz/fuzz.h"

static void
check_stranger(const char *s)
{
	require(*s != '-');
	for (; *s != '\0'; s++)
		require((unsigned char)*s >= 0x80 ||
		    isalnum((unsigned char)*s) ||
		    strchr("@._+=:,-", *s) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "sender", "sender.user",
		"sender.domain", "mbox.from", "rcpt", "rcpt.user",
		"rcpt.domain", "dest", "dest.user", "dest.domain" };
	char text[256], sender[256], rcpt[256], dest[256], modifiers[256];
	char one[512], again[1], error[80];
	struct input in = { data, size };
	struct format_values v = { .username = "alice",
		.directory = "/home/alice",
		.delimiter = "+" };
	size_t room = input_u8(&in) + 1u;
	char *out;

	v.msgid = input_u32(&in);
	input_text(&in, text, sizeof(text));
	input_text(&in, modifiers, sizeof(modifiers));
	v.sender = input_text(&in, sender, sizeof(sender));
	v.rcpt = input_text(&in, rcpt, sizeof(rcpt));
	v.dest = input_text(&in, dest, sizeof(dest));
	require((out = malloc(room)) != NULL);
	*error = '\0';
	if (format_expand(text, &v, out, room, error, sizeof(error)) == 0)
		require(strlen(out) < room);
	else
		require(*error != '\0');
	free(out);
	require(format_expand("", &v, again, 1, error, sizeof(error)) == 0);
	/* any modifiers, behind each name */
	modifiers[strcspn(modifiers, "}%")] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		strcpy(one, "%{");
		strcat(one, names[i]);
		strncat(one, modifiers, 100);
		strcat(one, "}");
		out = malloc(4096);
		if (format_expand(one, &v, out, 4096, error, sizeof(error)) ==
		    0)
			check_stranger(out);
		free(out);
	}
	return 0;
}
