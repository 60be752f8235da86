/*
 * What of a file of certificates goes to a worker: only whole blocks that
 * begin as certificates do, in their order, none of them with another block
 * inside; doing it twice changes nothing; and what was behind is wiped.
 */
#include <string.h>

#include "net/pem.h"
#include "regress/fuzz/fuzz.h"

/* Words stand for the lines that libFuzzer would not find. */
static const char *const words[] = { "-----BEGIN CERTIFICATE-----\n",
	"-----END CERTIFICATE-----\n", "-----BEGIN PRIVATE KEY-----\n",
	"-----END PRIVATE KEY-----\n", "-----BEGIN X509 CERTIFICATE-----\n",
	"-----END X509 CERTIFICATE-----\r\n",
	"-----BEGIN TRUSTED CERTIFICATE-----", "-----BEGIN ",
	"-----END TRUSTED CERTIFICATE-----\n", "SECRET\n" };

enum { WORDS = sizeof(words) / sizeof(words[0]), TEXT = 16384 };

static size_t
build(char *text, const uint8_t *data, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < size && n + 64 < TEXT; i++) {
		if (data[i] >= 128) {
			strcpy(text + n, words[data[i] % WORDS]);
			n += strlen(text + n);
		} else if (data[i] != 0)
			text[n++] = (char)data[i];
	}
	text[n] = '\0';
	return n;
}

static void
check_kept(const char *text)
{
	const char *key = strstr(text, "PRIVATE KEY-----"), *s = text;
	unsigned depth = 0;

	/* the words alone may stand in a line that is no line of a block */
	require(key == NULL || strncmp(key - 11, "-----BEGIN ", 11) != 0);
	while ((s = strstr(s, "-----")) != NULL) {
		if (strncmp(s, "-----BEGIN ", 11) == 0) {
			require(depth == 0);
			depth = 1;
		} else if (strncmp(s, "-----END ", 9) == 0)
			depth = 0;
		s++;
	}
	require(*text == '\0' || strncmp(text, "-----BEGIN ", 11) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(TEXT), *once = malloc(TEXT), *exact;
	size_t len;

	require(text != NULL && once != NULL);
	len = build(text, data, size);
	/* a block of its own, so that a read behind it is seen */
	exact = strdup(text);
	pem_keep_certificates(exact);
	check_kept(exact);
	for (size_t i = strlen(exact); i <= len; i++)
		require(exact[i] == '\0');
	strcpy(once, exact);
	pem_keep_certificates(exact);
	require(strcmp(once, exact) == 0);
	free(exact);
	free(once);
	free(text);
	return 0;
}
