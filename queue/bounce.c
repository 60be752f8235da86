/*
 * The decision about delivery reports; see bounce.h.
 */
#include "queue/bounce.h"

/* Whether a report cannot hit an innocent whose address was forged. */
static int
may_be_told(const struct bounce_message *m)
{
	return m->verified || m->refused == BOUNCE_REFUSED_TELL ||
	    (m->refused == BOUNCE_REFUSED_BOUNCE && m->known);
}

enum bounce_verdict
bounce_decide(const struct bounce_message *m, const struct bounce_rcpt *r)
{
	static const enum bounce_verdict by_kind[DSN_KINDS] = {
		[DSN_KIND_FAILURE] = BOUNCE_FAILURE,
		[DSN_KIND_DELAY] = BOUNCE_DELAY,
		[DSN_KIND_SUCCESS] = BOUNCE_SUCCESS,
	};
	enum dsn_kind kind = dsn_kind(r->action);

	/* A report that fails itself ends here, whatever the policy: RFC 5321
	 * section 6.1. */
	if (kind == DSN_KIND_FAILURE && *m->sender == '\0')
		return BOUNCE_DROP;
	if (kind == DSN_KIND_FAILURE && !may_be_told(m) && !r->expired)
		return m->refused == BOUNCE_REFUSED_DROP ? BOUNCE_DROP
							 : BOUNCE_HOLD;
	/* nor are senders that may be forged told anything else */
	if (kind != DSN_KIND_FAILURE && !may_be_told(m))
		return BOUNCE_QUIET;
	if (kind == DSN_KIND_SUCCESS && m->no_dsn)
		return BOUNCE_QUIET;
	return dsn_wanted(r->action, r->notify, m->sender) ? by_kind[kind]
							   : BOUNCE_QUIET;
}
