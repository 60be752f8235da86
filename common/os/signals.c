/*
 * See signals.h.
 */
#include "config.h"

#include <signal.h>
#include <stddef.h>

#include "os/signals.h"

/* A write that fails is told, and needs no signal. */
static const int ignored[] = { SIGHUP, SIGINT, SIGPIPE, SIGTERM, SIGUSR1,
	SIGUSR2 };

static void
set_all(void (*action)(int))
{
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], action);
}

void
signals_ignore(void)
{
	set_all(SIG_IGN);
}

void
signals_restore(void)
{
	set_all(SIG_DFL);
}
