/*
 * What all builders of the configuration share: setting a string or a flag
 * once, numbers with their ranges, and the lists in braces. The rules of
 * parse.y call these with the words that an administrator wrote.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "conf/url.h"
#include "master/parser.h"

char *
parse_strdup(struct parser *p, const char *text)
{
	char *copy;

	if ((copy = strdup(text)) == NULL)
		parse_out_of_memory(p);
	return copy;
}

/* text may be NULL when a table could not be made; that was reported. */
void
set_string(struct parser *p, const struct conf_where *where, char **slot,
    const char *option, const char *text)
{
	if (text == NULL)
		return;
	if (*slot != NULL) {
		parse_error(p, where, "`%s` stands here twice", option);
		return;
	}
	*slot = parse_strdup(p, text);
}

void
set_host_name(struct parser *p, const struct conf_where *where, char **slot,
    const char *option, const char *text)
{
	struct conf_address literal;

	if (!url_host_valid(text) &&
	    (text[0] != '[' || url_address_parse(text, &literal, NULL) == -1))
		parse_error(p, where, "`%s` is no host name", text);
	set_string(p, where, slot, option, text);
}

void
set_flag(struct parser *p, const struct conf_where *where, bool *slot,
    const char *option)
{
	if (*slot)
		parse_error(p, where, "`%s` stands here twice", option);
	*slot = true;
}

void
note_reference(struct parser *p, const struct conf_where *where,
    enum reference_kind kind, const char *name)
{
	struct reference *reference;

	reference =
	    conf_append(&p->references, &p->nreferences, sizeof(*reference));
	if (reference == NULL) {
		parse_out_of_memory(p);
		return;
	}
	reference->kind = kind;
	reference->where = *where;
	if ((reference->name = parse_strdup(p, name)) == NULL)
		p->nreferences--;
}

void
set_reference(struct parser *p, const struct conf_where *where, char **slot,
    const char *option, enum reference_kind kind, const char *name)
{
	set_string(p, where, slot, option, name);
	note_reference(p, where, kind, name);
}

/* ---- numbers ---------------------------------------------------------- */

/* Leading digits as a number of at most `max`; *end is what follows. */
static bool
digits_read(const char *text, uint64_t max, uint64_t *number, const char **end)
{
	*number = 0;
	if (!isdigit((unsigned char)*text))
		return false;
	for (; isdigit((unsigned char)*text); text++) {
		*number = *number * 10 + (uint64_t)(*text - '0');
		if (*number > max)
			return false;
	}
	*end = text;
	return true;
}

bool
parse_number(struct parser *p, const struct conf_where *where, const char *text,
    uint32_t min, uint32_t max, uint32_t *number)
{
	const char *end;
	uint64_t value;

	if (!digits_read(text, max, &value, &end) || *end != '\0' ||
	    value < min) {
		parse_error(p, where, "`%s` is no number from %u to %u", text,
		    min, max);
		return false;
	}
	*number = (uint32_t)value;
	return true;
}

bool
parse_duration(struct parser *p, const struct conf_where *where,
    const char *text, uint32_t *seconds)
{
	static const uint32_t ten_years = 3650U * 86400;
	static const struct {
		char unit;
		uint32_t factor;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	const char *end;
	uint64_t value;
	size_t i;

	if (!digits_read(text, ten_years, &value, &end)) {
		parse_error(p, where,
		    "`%s` is no duration; write a number "
		    "with s, m, h or d, such as `4h`",
		    text);
		return false;
	}
	if (*end == '\0') {
		parse_error(p, where,
		    "the duration `%s` has no unit; write "
		    "`%ss`, `%sm`, `%sh` or `%sd`",
		    text, text, text, text, text);
		return false;
	}
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (*end == units[i].unit && end[1] == '\0' && value > 0 &&
		    value * units[i].factor <= ten_years) {
			*seconds = (uint32_t)value * units[i].factor;
			return true;
		}
	parse_error(p, where,
	    "`%s` is no duration from 1s to 3650d; write a "
	    "number with s, m, h or d, such as `4h`",
	    text);
	return false;
}

/* `1.5M` counts as scan_scaled(3) has it: tenths and so on of the unit. */
static uint64_t
fraction_read(const char **text, uint64_t unit)
{
	uint64_t sum = 0, place = 10;

	for ((*text)++; isdigit((unsigned char)**text); (*text)++) {
		if (place <= 1000)
			sum += unit * (uint64_t)(**text - '0') / place;
		place *= 10;
	}
	return sum;
}

bool
parse_size(struct parser *p, const struct conf_where *where, const char *text,
    uint64_t *octets)
{
	static const char suffixes[] = "BKMGT";
	static const uint64_t largest = 1ULL << 40;
	const char *end, *suffix, *point = NULL;
	uint64_t value, unit = 1, fraction;

	if (!digits_read(text, largest, &value, &end))
		goto bad;
	if (*end == '.') {
		point = end;
		end += 1 + strspn(end + 1, "0123456789");
	}
	if (*end != '\0') {
		suffix = strchr(suffixes, toupper((unsigned char)*end));
		if (suffix == NULL || end[1] != '\0')
			goto bad;
		unit <<= 10 * (suffix - suffixes);
	}
	fraction = point != NULL ? fraction_read(&point, unit) : 0;
	if (value > largest / unit || value * unit + fraction == 0)
		goto bad;
	*octets = value * unit + fraction;
	return true;
bad:
	parse_error(p, where,
	    "`%s` is no size from 1 to 1T; write octets, or "
	    "a number with K, M or G, such as `35M`",
	    text);
	return false;
}

/* ---- lists in braces -------------------------------------------------- */

void
items_reset(struct parser *p)
{
	uint32_t i;

	for (i = 0; i < p->nitems; i++) {
		free(p->items[i].key);
		free(p->items[i].value);
	}
	free(p->items);
	p->items = NULL;
	p->nitems = 0;
	p->items_mapping = false;
}

void
item_add(struct parser *p, const struct conf_where *where, const char *key,
    const char *value)
{
	struct conf_entry *item;
	bool mapping = value != NULL;

	if (p->nitems > 0 && mapping != p->items_mapping) {
		parse_error(p, where,
		    "`%s` has %s value, but the entries "
		    "before it have %s",
		    key, mapping ? "a" : "no", mapping ? "none" : "one");
		return;
	}
	p->items_mapping = mapping;
	item = conf_append(&p->items, &p->nitems, sizeof(*item));
	if (item == NULL) {
		parse_out_of_memory(p);
		return;
	}
	item->key = parse_strdup(p, key);
	item->value = mapping ? parse_strdup(p, value) : NULL;
}

static void
name_append(struct parser *p, const struct conf_where *where,
    enum reference_kind kind, const char *name, struct conf_string **list,
    uint32_t *count)
{
	struct conf_string *slot;
	uint32_t i;

	for (i = 0; i < *count; i++)
		if (strcasecmp((*list)[i].text, name) == 0) {
			parse_error(p, where, "`%s` stands here twice", name);
			return;
		}
	if ((slot = conf_append(list, count, sizeof(*slot))) == NULL) {
		parse_out_of_memory(p);
		return;
	}
	if ((slot->text = parse_strdup(p, name)) == NULL)
		(*count)--;
	else
		note_reference(p, where, kind, name);
}

void
items_take_names(struct parser *p, const struct conf_where *where,
    enum reference_kind kind, struct conf_string **list, uint32_t *count)
{
	uint32_t i;

	if (*count > 0)
		parse_error(p, where, "`filter` stands here twice");
	else if (p->items_mapping)
		parse_error(p, where, "names belong here, not `name = value`");
	else if (p->nitems == 0)
		parse_error(p, where, "the braces are empty");
	else
		for (i = 0; i < p->nitems; i++)
			name_append(
			    p, where, kind, p->items[i].key, list, count);
}

void
filter_name(struct parser *p, const struct conf_where *where, const char *name,
    struct conf_string **list, uint32_t *count)
{
	if (*count > 0)
		parse_error(p, where,
		    "`filter` stands here twice; write "
		    "`filter { \"a\", \"b\" }` for several");
	else
		name_append(p, where, REF_FILTER, name, list, count);
}

void
listener_pki(struct parser *p, const struct conf_where *where, const char *name)
{
	name_append(
	    p, where, REF_PKI, name, &p->listener->pkis, &p->listener->npkis);
}
