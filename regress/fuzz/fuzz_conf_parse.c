/*
 * The parser of relais.conf: any text is a configuration or a list of errors.
 * What it takes must print, parse again, and be the same.
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/closed.h"
#include "conf/print.h"
#include "master/parse.h"
#include "regress/fuzz/fuzz.h"

static void
ignore(void *arg, const struct conf_where *where, const char *what)
{
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char word[] = "regex";
	static const char *const macros[] = { "m=x y", NULL };
	struct conf *conf, *again;
	char *errors, *printed;
	size_t errlen, len;
	FILE *log, *out;

	/* regcomp(3) itself can take forever */
	if (memmem(data, size, word, strlen(word)) != NULL)
		return 0;
	if ((log = open_memstream(&errors, &errlen)) == NULL)
		return 0;
	conf = conf_parse_text("fuzz", (const char *)data, size, macros, log);
	fflush(log);
	if (conf == NULL) {
		/* a refusal says why */
		if (errlen == 0)
			abort();
		goto out;
	}
	conf_unbuilt(conf, ignore, NULL);
	conf_check_closed(conf, ignore, NULL);
	if ((out = open_memstream(&printed, &len)) == NULL)
		goto out;
	if (conf_print(conf, out) == -1)
		abort();
	fclose(out);
	again = conf_parse_text("again", printed, len, NULL, log);
	if (again == NULL || !conf_equal(conf, again)) {
		fflush(log);
		fprintf(stderr, "%s%s", printed, errors);
		abort();
	}
	conf_free(again);
	free(printed);
out:
	conf_free(conf);
	fclose(log);
	free(errors);
	return 0;
}

/* ---- mutations by words ------------------------------------------------ */

static size_t
word_length(const uint8_t *data, size_t size, size_t at, unsigned index)
{
	size_t n = at, quoted = data[at] == '"';

	for (n++; n < size &&
	     (quoted ? data[n] != '"' && data[n] != '\n'
		     : strchr(" \t\n{},<>\"", data[n]) == NULL);)
		n++;
	/* with the blanks behind it */
	n += quoted && n < size;
	while (n < size && (data[n] == ' ' || data[n] == '\t'))
		n++;
	return n - at;
}

/* Words come from the dictionary of the grammar. */
static const struct fuzz_shape words = { 0, word_length, NULL };

FUZZ_SHAPED(words)
