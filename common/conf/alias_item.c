/*
 * See alias_item.h.
 */
#include <stddef.h>

#include "conf/alias_item.h"

/* Set in every mark; no alias has so many items. */
#define MARK (UINT32_C(1) << 31)
/* The alias has no other item of its kind. */
#define ALONE (UINT32_C(1) << 30)
#define SUM (ALONE - 1)

/* Marks are in stored envelopes: these letters and the sum below must stay. */
static const char letters[] = {
	[ALIAS_ADDRESS] = '@',
	[ALIAS_COMMAND] = '|',
	[ALIAS_FILE] = '/',
	[ALIAS_INCLUDE] = ':',
	[ALIAS_ERROR] = '!',
};

static uint32_t
add(uint32_t sum, char octet)
{
	return (sum ^ (uint8_t)octet) * UINT32_C(16777619);
}

/* FNV-1a. Who writes the alias gains nothing by two items of one sum. */
static uint32_t
sum_of(const struct alias_item *item)
{
	uint32_t sum = add(UINT32_C(2166136261), letters[item->kind]);

	for (const char *p = item->text; *p != '\0'; p++)
		sum = add(sum, *p);
	return sum & SUM;
}

/* The only item of a kind, NULL if there is none or more than one. */
static const struct alias_item *
only_one(const struct alias *alias, enum alias_kind kind)
{
	const struct alias_item *found = NULL;

	for (uint32_t i = 0; i < alias->nitems; i++) {
		if (alias->items[i].kind != kind)
			continue;
		if (found != NULL)
			return NULL;
		found = &alias->items[i];
	}
	return found;
}

uint32_t
alias_item_mark(const struct alias *alias, const struct alias_item *item)
{
	uint32_t mark = MARK | sum_of(item);

	if (alias != NULL && only_one(alias, item->kind) == item)
		mark |= ALONE;
	return mark;
}

bool
alias_item_is_mark(uint32_t number)
{
	return (number & MARK) != 0;
}

const struct alias_item *
alias_item_find(const struct alias *alias, enum alias_kind kind, uint32_t mark)
{
	for (uint32_t i = 0; i < alias->nitems; i++) {
		const struct alias_item *item = &alias->items[i];

		if (item->kind == kind &&
		    (alias_item_is_mark(mark) ? sum_of(item) == (mark & SUM)
					      : i == mark))
			return item;
	}
	return alias_item_is_mark(mark) && (mark & ALONE) != 0
	    ? only_one(alias, kind)
	    : NULL;
}
