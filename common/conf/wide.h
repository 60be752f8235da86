/*
 * Whether an entry of a table takes more than anybody can have meant to name
 * as his own: what a stranger may register or be given would match too. Asked
 * by conf/closed.h, which lets no rule stand on such an entry. Pure; no
 * memory counts as wide.
 *
 * A domain counts as somebody's own from two labels on, and below the names
 * that nobody can register. So `*.org` is wide, and so is `org$`; whose
 * `co.uk` is we do not know.
 */
#ifndef CONF_WIDE_H
#define CONF_WIDE_H

#include <stdbool.h>

/* An address or a network, as `from src` has it. */
bool wide_network(const char *);
/* A domain, in which `*` stands for others. */
bool wide_domain(const char *);
/* user, @domain or user@domain. */
bool wide_mailbox(const char *);

/*
 * An expression that is held against names or addresses of mailboxes: each way
 * through it must end in an own domain, anchored by `$`, behind a `.`, an `@`
 * or `^`.
 */
bool wide_name_expression(const char *);
/* One that is held against addresses of clients: each way through it must begin
 * with `^` and the whole of the first number, of IPv6 the first two unless that
 * is unique local or link-local. */
bool wide_client_expression(const char *);

/* Domains that each network may have for itself, and nobody has in the public
 * DNS; NULL at the end. */
extern const char *const wide_private[];

#endif
