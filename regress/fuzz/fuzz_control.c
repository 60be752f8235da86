/*
 * What somebody asks at the control socket: words with NULs between. Filters
 * are taken out and all else stays, in its order; an id, an age or a name of a
 * folder that is taken is one; and a glob agrees with a slow matcher.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "queue/control_private.h"
#include "regress/fuzz/fuzz.h"

enum { GLOB_MAX = 40 };

static int
slow_glob(const char *p, const char *s)
{
	if (*p == '\0')
		return *s == '\0';
	if (*p == '*')
		return slow_glob(p + 1, s) ||
		    (*s != '\0' && slow_glob(p, s + 1));
	return *s != '\0' &&
	    tolower((unsigned char)*p) == tolower((unsigned char)*s) &&
	    slow_glob(p + 1, s + 1);
}

static unsigned
stars(const char *s)
{
	unsigned n = 0;

	for (; *s != '\0'; s++)
		n += *s == '*';
	return n;
}

static void
try_word(const char *word, const char *other)
{
	uint32_t msgid = 0, rcpt = 0;
	char text[17];
	int64_t age;

	if (control_parse_id(word, &msgid, &rcpt) == 0) {
		require(msgid != 0);
		snprintf(text, sizeof(text), "%08x%08x", msgid, rcpt);
		require(strncasecmp(text, word, strlen(word)) == 0);
	}
	age = control_parse_age(word);
	require(age >= -1 && age <= INT64_C(999999999) * 604800);
	require(age == -1 || isdigit((unsigned char)word[0]));
	if (control_valid_name(word))
		require(*word != '.' && strchr(word, '/') == NULL &&
		    strlen(word) <= CONTROL_NAME_MAX);
	if (strlen(word) < GLOB_MAX && strlen(other) < GLOB_MAX &&
	    stars(word) < 4)
		require(control_glob(word, other) == slow_glob(word, other));
}

static void
try_filter(const char **words, size_t count)
{
	const char *before[CONTROL_WORDS];
	struct control_filter f;
	char error[200] = "";
	size_t left = count, k = 0;

	memcpy(before, words, count * sizeof(*words));
	if (control_parse_filter(words, &left, &f, error, sizeof(error)) ==
	    -1) {
		require(*error != '\0');
		return;
	}
	require(left <= count && f.older >= 0);
	/* what is left stood there in this order, and no filter is left */
	for (size_t i = 0; i < left; i++) {
		require(strncmp(words[i], "--", 2) != 0);
		while (k < count && before[k] != words[i])
			k++;
		require(k++ < count);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *words[CONTROL_WORDS];
	size_t count = 0;
	char *text, *end, *s;

	if ((text = malloc(size + 1)) == NULL)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	end = text + size + 1;
	for (s = text; s < end && count < CONTROL_WORDS; s += strlen(s) + 1)
		words[count++] = s;
	for (size_t i = 0; i < count; i++)
		try_word(words[i], words[(i + 1) % count]);
	try_filter(words, count);
	free(text);
	return 0;
}
