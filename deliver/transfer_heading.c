/*
 * What stands ahead of a body on its way out; called by transfer.c, for a value
 * that the queue gives. What a .forward sends on tells by a Delivered-To field
 * at whose address it was: by that local knows it when it comes back. To two
 * who send it back it would go by the thousand.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "deliver/session.h"
#include "deliver/transfer_private.h"
#include "mail/trace.h"
#include "smtp/address.h"

int
transfer_set_delivered_to(struct transfer *t, const char *address)
{
	char field[TRACE_FIELD_MAX];

	if (*address == '\0')
		return 0;
	if ((t->delivered_to = strdup(address)) == NULL)
		return -1;
	t->mail.size += trace_delivered_to(field, sizeof(field), address);
	if (address_needs_utf8(address))
		t->mail.flags |= MAIL_8BIT;
	return 0;
}

size_t
transfer_heading(struct transfer *t, char *out, size_t size)
{
	if (!t->heading_due)
		return 0;
	t->heading_due = 0;
	/* no header of ASCII becomes another one for it */
	if (address_needs_utf8(t->delivered_to) &&
	    !client_sends_utf8(session_client(t->session)))
		return 0;
	return trace_delivered_to(out, size, t->delivered_to);
}
