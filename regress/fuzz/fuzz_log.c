/*
 * The log: any text as a value, an event or a line is one line of printable
 * octets, each value can be read back, and what does not fit is cut. The
 * input is an octet of room, then texts.
 */
#include <stdio.h>
#include <string.h>

#include "os/log.h"
#include "regress/fuzz/fuzz.h"

static void
check_line(void *arg, int priority, const char *line)
{
	for (; *line != '\0'; line++) {
		require((unsigned char)*line >= ' ' && *line != 0x7f);
	}
}

/* Takes away what log_quote added, up to the end of the value; where a cut
 * was made the rest is unknown. */
static void
check_value(const char *out, const char *value)
{
	const char *s = out, *end = out + strlen(out);
	int quoted = *s == '"';
	unsigned c;

	require(*out != '\0');
	if (quoted) {
		require(end - out >= 2 && end[-1] == '"');
		s++;
		end--;
	}
	while (s < end) {
		if (end - s == 3 && strncmp(s, "...", 3) == 0 &&
		    strcmp(value, "...") != 0)
			return;
		if (*s == '\\' && s[1] == 'x') {
			require(sscanf(s + 2, "%2x", &c) == 1);
			require((unsigned char)*value++ == c);
			s += 4;
			continue;
		}
		require(*s != '"' || !quoted);
		require(quoted || strchr(" \"=|\\", *s) == NULL);
		if (*s == '\\') {
			s++;
			require(*s == '"' || *s == '\\');
		}
		require(*value++ == *s++);
	}
	require(*value == '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	size_t room = input_u8(&in) * 2u;
	char one[256], two[256], *out;

	log_init("fuzz", LOG_TO_SINK);
	log_set_level(1, TRACE_ALL);
	log_set_sink(check_line, NULL);
	input_text(&in, one, sizeof(one));
	input_text(&in, two, sizeof(two));
	require((out = malloc(room)) != NULL);
	require(log_quote(out, room, one) == out);
	if (room > 0)
		require(strlen(out) < room);
	/* less than one escape and the quotes hold nothing at all */
	if (room > 9)
		check_value(out, one);
	if (room > 0)
		check_line(NULL, 0, out);
	free(out);
	log_event(1, "event", "one", one, "none", NULL, "two", two, "again",
	    one, "more", two, "last", one, "long", two, "longer", one, "end",
	    two, NULL);
	log_info("%s", one);
	log_debug("%s: %s%s%s%s%s%s", one, two, two, two, two, two, two);
	log_trace(TRACE_SMTP, "%s", two);
	return 0;
}
