/*
 * How mail that waits for a command, a file or a list of an alias remembers
 * which of them that is. A number would be another item's after an edit, so it
 * is a mark that follows from what the item says. Pure; auth makes marks,
 * master finds what they mean.
 */
#ifndef CONF_ALIAS_ITEM_H
#define CONF_ALIAS_ITEM_H

#include <stdint.h>

#include "conf/alias.h"

/* That of an item of the alias; two that say the same have the same. */
uint32_t alias_item_mark(const struct alias *, const struct alias_item *);
/* The item that mail with this mark is for, which is of that kind: the one that
 * says the same; or, since a command that does not work is put right, the one
 * that has replaced it, where the alias had and has no other of its kind. NULL
 * if there is none. In queues that are older than marks a number from 0 stands
 * in place of one. */
const struct alias_item *alias_item_find(
    const struct alias *, enum alias_kind, uint32_t mark);

#endif
