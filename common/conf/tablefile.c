/*
 * Table files as table(5) has them, which are aliases(5) too: a key and its
 * value a line, blanks or a colon between them, or one value a line in a
 * list. A `#` that is the first octet of a line but blanks begins a comment;
 * `# @list` ahead of all entries makes the file a list. In a mapping, a line
 * that ends with a comma or a backslash goes on in the next, and a line that
 * begins with a comma goes on from the last; among aliases so does one that
 * begins with a blank.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/tablefile.h"

enum form {
	FORM_UNKNOWN, /* the first entry decides */
	FORM_LIST,
	FORM_MAPPING
};

struct reader {
	const char *text;
	size_t len;
	size_t at; /* the next line begins here */
	uint32_t line; /* its number */
	enum form form;
	bool relays; /* URLs may stand in it, which have colons too */
	bool aliases; /* an indented line goes on from the last */
	bool aliases_only; /* nothing else is asked of it */
	struct table_data *table;
	table_report *report;
	void *arg;
	unsigned int errors;
	/* The entry that is being put together, over several lines. */
	char *joined;
	size_t joined_len;
	size_t joined_size;
	uint32_t first_line;
	uint32_t column;
};

static void __attribute__((format(printf, 5, 6)))
reader_report(struct reader *reader, bool is_error, uint32_t line,
    uint32_t column, const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	reader->errors += is_error;
	reader->report(reader->arg, is_error, line, column, text);
}

static void
reader_fail_memory(struct reader *reader)
{
	reader_report(reader, true, reader->line, 1, "out of memory");
	reader->at = reader->len;
}

static void
entry_add(struct reader *reader, struct table_entry **entries, uint32_t *n,
    const char *key, size_t keylen, const char *value)
{
	struct table_entry *entry = conf_append(entries, n, sizeof(*entry));

	if (entry == NULL || (entry->key = strndup(key, keylen)) == NULL ||
	    (value != NULL && (entry->value = strdup(value)) == NULL)) {
		reader_fail_memory(reader);
		return;
	}
	entry->line = reader->first_line;
	entry->column = reader->column;
}

/* Where the key ends that a mapping's line begins with: NULL when a quote or
 * bracket is left open. *begin moves past an opening quote. */
static const char *
key_end(const char **begin)
{
	const char *key = *begin, *end;

	if (*key == '"') {
		*begin = key + 1;
		return strchr(key + 1, '"');
	}
	if (*key == '[')
		return (end = strchr(key, ']')) == NULL ? NULL : end + 1;
	/* the colon of a URL ends no key: a list of relay hosts */
	end = key + strcspn(key, " \t:");
	if (strncmp(end, "://", 3) == 0)
		end += strcspn(end, " \t");
	return end;
}

/* The value behind a key. `key :include:/x` has no colon of its own. */
static const char *
value_begin(const char *end)
{
	if (*end == '"')
		end++;
	if (*end == ':')
		end++;
	else {
		end += strspn(end, " \t");
		if (*end == ':' &&
		    (end[1] == ' ' || end[1] == '\t' || end[1] == '\0'))
			end++;
	}
	return end + strspn(end, " \t");
}

/* Whether what stands behind the first word is the port of a relay host. */
static bool
is_port(const char *end)
{
	return end[0] == ':' && end[1] != '\0' &&
	    end[1 + strspn(end + 1, "0123456789")] == '\0';
}

/* An alias that leads nowhere must not keep the others from being used. Where
 * its key may count alone, as in a list of recipients, nobody knows what was
 * meant. */
static void
entry_lacks_value(struct reader *reader, const char *key, size_t keylen)
{
	struct table_data *table = reader->table;

	if (reader->aliases_only)
		entry_add(reader, &table->lacking, &table->nlacking, key,
		    keylen, NULL);
	else
		reader_report(reader, true, reader->first_line, reader->column,
		    "`%s` has no value; write `key: value`", reader->joined);
}

/* The joined lines are one entry. */
static void
entry_finish(struct reader *reader)
{
	const char *key = reader->joined, *end, *value;
	struct table_data *table = reader->table;

	if (reader->joined_len == 0)
		return;
	reader->joined_len = 0;
	end = key_end(&key);
	if (reader->form == FORM_UNKNOWN)
		reader->form = end != NULL && *value_begin(end) != '\0' &&
			!(reader->relays && is_port(end))
		    ? FORM_MAPPING
		    : FORM_LIST;
	if (reader->form == FORM_LIST) {
		/* a quote is a part of it */
		entry_add(reader, &table->entries, &table->nentries,
		    reader->joined, strlen(reader->joined), NULL);
		return;
	}
	if (end == NULL) {
		reader_report(reader, true, reader->first_line, reader->column,
		    "the %s is not closed",
		    *reader->joined == '[' ? "bracket" : "quote");
		return;
	}
	value = value_begin(end);
	if (end == key)
		reader_report(reader, true, reader->first_line, reader->column,
		    "the key is empty; write `key: value`");
	else if (*value == '\0')
		entry_lacks_value(reader, key, (size_t)(end - key));
	else
		entry_add(reader, &table->entries, &table->nentries, key,
		    (size_t)(end - key), value);
}

static void
line_join(struct reader *reader, const char *line, size_t len)
{
	char *grown;
	size_t size = reader->joined_len + len + 1;

	if (size > reader->joined_size) {
		size *= 2;
		if ((grown = realloc(reader->joined, size)) == NULL) {
			reader_fail_memory(reader);
			return;
		}
		reader->joined = grown;
		reader->joined_size = size;
	}
	memcpy(reader->joined + reader->joined_len, line, len);
	reader->joined_len += len;
	reader->joined[reader->joined_len] = '\0';
}

/* Whether the entry so far goes on in this line; drops the backslash. */
static bool
line_continues(struct reader *reader, const char *line, bool indented)
{
	char last;

	if (reader->joined_len == 0 || reader->form == FORM_LIST)
		return false;
	last = reader->joined[reader->joined_len - 1];
	if (last == '\\')
		reader->joined[--reader->joined_len] = '\0';
	else if (reader->aliases && indented) {
		/* in quotes it parts the words of a command */
		line_join(reader, " ", 1);
		return true;
	}
	return last == '\\' || last == ',' || *line == ',';
}

static void
line_comment(struct reader *reader, const char *line, size_t len)
{
	if (reader->form != FORM_UNKNOWN || reader->joined_len > 0)
		return;
	for (line++, len--; len > 0 && isblank((unsigned char)*line); len--)
		line++;
	if (len == 5 && memcmp(line, "@list", 5) == 0)
		reader->form = FORM_LIST;
}

static void
line_read(struct reader *reader)
{
	const char *line = reader->text + reader->at, *newline;
	size_t len = reader->len - reader->at, indent = 0;

	if ((newline = memchr(line, '\n', len)) != NULL)
		len = (size_t)(newline - line);
	reader->at += len + (newline != NULL);
	reader->line++;
	while (len > 0 && isspace((unsigned char)line[len - 1]))
		len--;
	while (indent < len && isspace((unsigned char)line[indent]))
		indent++;
	line += indent;
	len -= indent;
	if (len == 0)
		return;
	if (memchr(line, '\0', len) != NULL) {
		reader_report(reader, true, reader->line, 1,
		    "a NUL octet; "
		    "this is no text file");
		reader->at = reader->len;
	} else if (*line == '#')
		line_comment(reader, line, len);
	else if (line_continues(reader, line, indent > 0))
		line_join(reader, line, len);
	else {
		entry_finish(reader);
		reader->first_line = reader->line;
		reader->column = (uint32_t)indent + 1;
		line_join(reader, line, len);
	}
}

static int
entry_compare(const void *a, const void *b)
{
	const struct table_entry *left = a, *right = b;
	int order = strcasecmp(left->key, right->key);

	if (order != 0)
		return order;
	return left->line < right->line ? -1 : left->line > right->line;
}

/* Of equal keys the last stays. */
static void
table_deduplicate(struct reader *reader)
{
	struct table_data *table = reader->table;
	struct table_entry *entry, *last = NULL;
	uint32_t i, kept = 0;

	for (i = 0; i < table->nentries; i++) {
		entry = &table->entries[i];
		if (last != NULL && strcasecmp(last->key, entry->key) == 0) {
			if (table->mapping && reader->report != NULL)
				reader_report(reader, false, entry->line,
				    entry->column,
				    "`%s` stands already in "
				    "line %u; this line counts",
				    entry->key, last->line);
			free(last->key);
			free(last->value);
			*last = *entry;
			continue;
		}
		last = &table->entries[kept++];
		*last = *entry;
	}
	table->nentries = kept;
}

static void
table_sort(struct reader *reader)
{
	struct table_data *table = reader->table;

	if (table->nentries == 0)
		return;
	qsort(table->entries, table->nentries, sizeof(*table->entries),
	    entry_compare);
	table_deduplicate(reader);
}

/* List or mapping, where a use takes one of them only. */
static enum form
form_of_uses(uint32_t uses)
{
	enum form form = FORM_UNKNOWN;
	unsigned int service;

	for (service = 0; service < CONF_NSERVICES; service++) {
		if ((uses & (1U << service)) == 0)
			continue;
		if (!table_service_takes(service, false))
			return FORM_MAPPING;
		if (!table_service_takes(service, true))
			form = FORM_LIST;
	}
	return form;
}

struct table_data *
table_parse(const char *text, size_t len, uint32_t uses, table_report *report,
    void *arg)
{
	struct reader reader = {
		.text = text, .len = len, .report = report, .arg = arg
	};
	/* with which editors of Windows begin UTF-8; nobody would see why the
	 * first entry is never found */
	static const char mark[] = "\xef\xbb\xbf";

	if ((reader.table = calloc(1, sizeof(*reader.table))) == NULL)
		return NULL;
	reader.form = form_of_uses(uses);
	reader.relays = (uses & 1U << CONF_SERVICE_RELAYHOST) != 0;
	reader.aliases = (uses & 1U << CONF_SERVICE_ALIAS) != 0;
	reader.aliases_only = uses == 1U << CONF_SERVICE_ALIAS;
	if (len >= sizeof(mark) - 1 &&
	    memcmp(text, mark, sizeof(mark) - 1) == 0)
		reader.at = sizeof(mark) - 1;
	while (reader.at < len)
		line_read(&reader);
	entry_finish(&reader);
	free(reader.joined);
	/* An empty file is an empty mapping. */
	reader.table->mapping = reader.form != FORM_LIST;
	if (reader.errors == 0)
		table_sort(&reader);
	else {
		table_data_free(reader.table);
		reader.table = NULL;
	}
	return reader.table;
}

struct table_data *
table_from_conf(const struct conf_table *from)
{
	struct reader reader = { .report = NULL };
	uint32_t i;

	if ((reader.table = calloc(1, sizeof(*reader.table))) == NULL)
		return NULL;
	reader.table->mapping = from->mapping;
	for (i = 0; i < from->nentries; i++) {
		struct table_entry *entry = conf_append(&reader.table->entries,
		    &reader.table->nentries, sizeof(*entry));

		if (entry == NULL ||
		    (entry->key = strdup(from->entries[i].key)) == NULL ||
		    (from->entries[i].value != NULL &&
			(entry->value = strdup(from->entries[i].value)) ==
			    NULL)) {
			table_data_free(reader.table);
			return NULL;
		}
		entry->line = i + 1;
	}
	table_sort(&reader);
	return reader.table;
}

static void
entries_free(struct table_entry *entries, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		free(entries[i].key);
		if (entries[i].value != NULL)
			explicit_bzero(
			    entries[i].value, strlen(entries[i].value));
		free(entries[i].value);
	}
	free(entries);
}

void
table_data_free(struct table_data *table)
{
	if (table == NULL)
		return;
	entries_free(table->entries, table->nentries);
	entries_free(table->lacking, table->nlacking);
	free(table);
}

static int
key_compare(const void *key, const void *entry)
{
	return strcasecmp(key, ((const struct table_entry *)entry)->key);
}

const struct table_entry *
table_data_lookup(const struct table_data *table, const char *key)
{
	if (table->nentries == 0)
		return NULL;
	return bsearch(key, table->entries, table->nentries,
	    sizeof(*table->entries), key_compare);
}
