/*
 * See account.h. A field that shadow(5) leaves empty is negative.
 */
#include "master/account.h"

/* A password that its owner should change still counts for sp_inact days. */
static int
password_is_over(const struct spwd *sp, int64_t day)
{
	int64_t age = day - sp->sp_lstchg;

	if (sp->sp_lstchg < 0 || sp->sp_max < 0 || sp->sp_inact < 0)
		return 0;
	return age > sp->sp_max && age - sp->sp_max > sp->sp_inact;
}

int
account_may_log_in(const struct spwd *sp, int64_t day)
{
	/* it must be changed first, which no mail client can do */
	if (sp->sp_lstchg == 0)
		return 0;
	if (sp->sp_expire >= 0 && day >= sp->sp_expire)
		return 0;
	return !password_is_over(sp, day);
}
