/*
 * Whether a configuration is closed: no rule lets a stranger, from anywhere
 * and without a login, send to domains that are not named. Called by master,
 * which alone knows listeners, before a configuration is used. Pure.
 */
#ifndef CONF_CLOSED_H
#define CONF_CLOSED_H

#include "conf/conf.h"

/*
 * Calls report for each rule that opens the relay and does not carry the word
 * `open-relay`; returns how many there were. `where` is that of the rule.
 *
 * What a client claims (HELO, MAIL FROM, TLS, any reverse name) closes
 * nothing. A login does, and a source that is not the whole Internet, and a
 * tag whose listeners all demand a login or hear this machine only. A rule
 * that comes earlier and takes all that the later one would is considered.
 */
unsigned int conf_check_closed(const struct conf *, conf_report *, void *arg);

/* Whether an action gives the recipient's address to another server, which may
 * send the mail on: a relay, and an LMTP server that is told the address. */
bool conf_hands_on(const struct conf_action *);

/* Whether a rule takes mail only from sources that it names: this machine,
 * networks, hosts, who has logged in. For these the operator answers. */
bool conf_names_source(const struct conf *, const struct conf_match *);
/* Says so in each rule, for auth. */
void conf_mark_sources(struct conf *);

#endif
