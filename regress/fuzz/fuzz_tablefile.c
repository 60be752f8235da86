/*
 * Table files, aliases and relay URLs. The first octet chooses what the table
 * is used for, the rest is its content.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf/alias.h"
#include "conf/tablefile.h"
#include "conf/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct seen {
	size_t size;
	unsigned int errors;
};

static void
report(
    void *arg, bool is_error, uint32_t line, uint32_t column, const char *text)
{
	struct seen *seen = arg;

	seen->errors += is_error;
	if (*text == '\0' || line == 0 || line > seen->size + 1 ||
	    column == 0 || column > seen->size + 1)
		abort();
}

static void
try_value(const char *value)
{
	struct alias alias;
	struct url url;
	char error[128];
	size_t at;

	if (alias_parse(
		value, strlen(value), &alias, error, sizeof(error), &at) == 0) {
		if (alias.nitems == 0)
			abort();
		alias_free(&alias);
	} else if (at > strlen(value))
		abort();
	if (url_parse(value, &url, error, sizeof(error)) == 0 &&
	    (url.port == 0 || url.host[0] == '\0'))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen seen = { .size = size };
	const struct table_entry *entry;
	struct table_data *table;
	uint32_t uses, i;

	if (size == 0)
		return 0;
	/* the last value means no use at all */
	uses = data[0] % (CONF_NSERVICES + 1);
	uses = uses == CONF_NSERVICES ? 0 : 1U << uses;
	table =
	    table_parse((const char *)data + 1, size - 1, uses, report, &seen);
	if (table == NULL) {
		if (seen.errors == 0)
			abort();
		return 0;
	}
	for (i = 0; i < table->nentries; i++) {
		entry = table_data_lookup(table, table->entries[i].key);
		if (entry != &table->entries[i])
			abort();
		try_value(entry->value != NULL ? entry->value : entry->key);
	}
	/* regcomp(3) itself can take forever; only master calls it, on what
	 * an administrator wrote */
	if (uses != 1U << CONF_SERVICE_REGEX)
		table_data_check(table, uses, report, &seen);
	table_data_free(table);
	return 0;
}
