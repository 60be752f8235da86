/*
 * STARTTLS: RFC 3207. The handshake itself begins in session.c, once it is
 * known that nothing came behind the command.
 */
#include "session_private.h"

void
cmd_starttls(
    struct session *s, struct session_turn *t, const struct smtp_command *cmd)
{
	if (s->tls)
		session_refuse(s, t, REPLY_TLS_ALREADY, NULL);
	else if (!(s->conf->options & OPT_STARTTLS))
		session_refuse(s, t, REPLY_NOT_OFFERED, "STARTTLS");
	else
		s->starttls = 1;
}
