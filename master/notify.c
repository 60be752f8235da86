/*
 * What a service manager that waits for us is told, as sd_notify(3) of systemd
 * has it: a datagram to the socket that NOTIFY_SOCKET names. Called by
 * supervise.c; trusts the variable, which is of who started us. Without it
 * nobody waits. What master starts gets another environment, so no one else can
 * speak for it.
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/master.h"
#include "os/log.h"

bool
notify_is_awaited(void)
{
	return getenv("NOTIFY_SOCKET") != NULL;
}

void
notify_manager(const char *state)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	size_t len;
	int fd;

	if (name == NULL || (*name != '/' && *name != '@'))
		return;
	if ((len = strlen(name)) >= sizeof(sun.sun_path)) {
		log_warn("NOTIFY_SOCKET is too long");
		return;
	}
	memcpy(sun.sun_path, name, len);
	if (*name == '@') /* one that is no file */
		sun.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1 ||
	    sendto(fd, state, strlen(state), MSG_NOSIGNAL,
		(const struct sockaddr *)&sun,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) ==
		-1)
		log_warn("%s: %s", name, strerror(errno));
	if (fd != -1)
		close(fd);
}
