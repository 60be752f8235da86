/*
 * How mail that waits for a command, a file or a list of an alias, or for an
 * item of a .forward, remembers which of them that is. A number would be
 * another item's after an edit, so it is a mark that follows from what the item
 * says. Pure; auth makes those of aliases, whose meaning master finds, and
 * local both makes and finds those of a .forward.
 */
#ifndef CONF_ALIAS_ITEM_H
#define CONF_ALIAS_ITEM_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/alias.h"

/* That of an item of the alias; two that say the same have the same. NULL for
 * the alias: nothing is to take the item's place. */
uint32_t alias_item_mark(const struct alias *, const struct alias_item *);
/* Whether a number is one. */
bool alias_item_is_mark(uint32_t);
/* The item that mail with this mark is for, which is of that kind: the one that
 * says the same; or, since a command that does not work is put right, the one
 * that has replaced it, where the alias had and has no other of its kind. NULL
 * if there is none. In queues that are older than marks a number from 0 stands
 * in place of one. */
const struct alias_item *alias_item_find(
    const struct alias *, enum alias_kind, uint32_t mark);

#endif
