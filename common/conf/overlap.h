/*
 * Whether two listeners of a configuration want the same address and port, of
 * which the system gives only the first. Called by master once it has filled
 * in the addresses that it knows. Pure.
 */
#ifndef CONF_OVERLAP_H
#define CONF_OVERLAP_H

#include "conf/conf.h"

/* Whether two addresses, ports aside, cannot both be bound. */
bool conf_addresses_overlap(
    const struct conf_address *, const struct conf_address *);

/* Calls report for each listener that takes what one above it has, with the
 * place of that one; returns how many there were. One whose name stands for
 * no address is held against the others by its name. */
unsigned int conf_check_overlap(const struct conf *, conf_report *, void *arg);

#endif
