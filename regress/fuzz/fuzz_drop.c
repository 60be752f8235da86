/*
 * A file of the drop folder, in which anybody may leave anything: it is no
 * message, or its sender and recipients are canonical, its settings are those
 * of sendmail(8), no value has a control character, and its text is what
 * stands behind the empty line.
 */
#include "config.h"

#include <string.h>

#include "ipc/enums.h"
#include "regress/fuzz/fuzz.h"
#include "smtp/address.h"
#include "smtpctl/drop.h"

static void
check_text(const char *s)
{
	for (; s != NULL && *s != '\0'; s++)
		require((unsigned char)*s >= ' ' && *s != 0x7f);
}

static void
check_address(const char *s)
{
	char again[ADDRESS_SIZE];
	struct address a;

	check_text(s);
	require(
	    address_parse(s, strlen(s), ADDRESS_CANONICAL, &a) == ADDRESS_OK);
	require(strcmp(address_format(&a, again), s) == 0);
}

static void
try_file(const char *data, size_t len)
{
	struct addresses rcpts = { 0 };
	struct sendmail_options o;
	const char *sender;
	char error[128] = "", *text;
	struct draft d = { 0 };

	if (drop_parse(data, len, &o, &sender, &rcpts, &d, &text, error,
		sizeof(error)) == -1) {
		require(*error != '\0');
	} else {
		check_address(sender);
		require(rcpts.count > 0);
		for (size_t i = 0; i < rcpts.count; i++) {
			check_address(rcpts.list[i]);
			require(*rcpts.list[i] != '\0');
		}
		check_text(o.full_name);
		check_text(o.envid);
		require(o.notify < 2 * NOTIFY_DELAY && o.ret < RET_MAX);
		require(d.data + d.len == data + len && d.len < len);
		require(memcmp(d.data - 2, "\n\n", 2) == 0);
	}
	free(text);
	addresses_free(&rcpts);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const size_t first = strlen(DROP_FIRST_LINE);
	char *file = malloc(first + size);

	require(file != NULL);
	memcpy(file, DROP_FIRST_LINE, first);
	if (size > 0)
		memcpy(file + first, data, size);
	try_file(file, first + size);
	/* without the line that says what it is */
	try_file(file + first, size);
	free(file);
	return 0;
}
