/*
 * What the name behind `listen on` stands for on this machine: an interface,
 * `lo0` (the loopback interface), `egress` (those with a default route),
 * `all`, an address or a host name. Called while the configuration loads.
 */
#include "config.h"

#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <net/route.h>
#include <netdb.h>
#include <netinet/in.h>
#include <nss.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/overlap.h"
#include "master/load.h"
#include "os/log.h"

enum { NAMES_MAX = 16 };

static int
family_wanted(const struct conf_listener *l, int af)
{
	return l->family == CONF_FAMILY_ANY ||
	    (l->family == CONF_INET4 && af == AF_INET) ||
	    (l->family == CONF_INET6 && af == AF_INET6);
}

/* Adds a socket address to the listener, once; other families are passed
 * over. */
static int
add_address(struct conf_listener *l, const struct sockaddr *sa)
{
	struct conf_address new = { .port = l->port }, *a;

	if ((sa->sa_family != AF_INET && sa->sa_family != AF_INET6) ||
	    !family_wanted(l, sa->sa_family))
		return 0;
	if (sa->sa_family == AF_INET) {
		new.family = CONF_INET4;
		memcpy(
		    new.octets, &((const struct sockaddr_in *)sa)->sin_addr, 4);
	} else {
		const struct sockaddr_in6 *sin6 = (const void *)sa;

		new.family = CONF_INET6;
		memcpy(new.octets, &sin6->sin6_addr, 16);
		if (IN6_IS_ADDR_LINKLOCAL(&sin6->sin6_addr))
			new.scope = sin6->sin6_scope_id;
	}
	/* a host may have a line for each of its names in hosts(5) */
	for (uint32_t i = 0; i < l->naddresses; i++)
		if (conf_addresses_overlap(&l->addresses[i], &new))
			return 0;
	a = conf_append(&l->addresses, &l->naddresses, sizeof(*a));
	if (a == NULL)
		return -1;
	*a = new;
	return 0;
}

static int
kernel_has_ipv6(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return 0;
	close(fd);
	return 1;
}

static int
add_any(struct conf_listener *l)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };

	if (add_address(l, (struct sockaddr *)&sin) == -1)
		return -1;
	if (!kernel_has_ipv6())
		return 0;
	return add_address(l, (struct sockaddr *)&sin6);
}

/* The interfaces that a default route leaves by, from the kernel's tables. */
static size_t
egress_names(char names[NAMES_MAX][IF_NAMESIZE])
{
	char line[512], name[IF_NAMESIZE], dest[64];
	unsigned long target, flags, mask;
	unsigned prefix;
	size_t n = 0;
	FILE *fp;

	if ((fp = fopen("/proc/net/route", "re")) != NULL) {
		while (n < NAMES_MAX && fgets(line, sizeof(line), fp) != NULL)
			if (sscanf(line, "%15s %lx %*x %lx %*d %*d %*d %lx",
				name, &target, &flags, &mask) == 4 &&
			    target == 0 && mask == 0 && (flags & RTF_UP))
				strlcpy(names[n++], name, IF_NAMESIZE);
		fclose(fp);
	}
	if ((fp = fopen("/proc/net/ipv6_route", "re")) != NULL) {
		while (n < NAMES_MAX && fgets(line, sizeof(line), fp) != NULL)
			if (sscanf(line,
				"%32s %x %*s %*s %*s %*s %*s %*s %lx %15s",
				dest, &prefix, &flags, name) == 4 &&
			    prefix == 0 && strspn(dest, "0") == 32 &&
			    (flags & RTF_UP) && strcmp(name, "lo") != 0)
				strlcpy(names[n++], name, IF_NAMESIZE);
		fclose(fp);
	}
	return n;
}

static int
add_interfaces(struct conf_listener *l)
{
	char egress[NAMES_MAX][IF_NAMESIZE];
	int loopback = strcmp(l->interface, "lo0") == 0, wanted, rc = 0;
	size_t count = 0;
	struct ifaddrs *list, *ifa;

	if (strcmp(l->interface, "egress") == 0)
		count = egress_names(egress);
	if (getifaddrs(&list) == -1)
		return -1;
	for (ifa = list; ifa != NULL && rc == 0; ifa = ifa->ifa_next) {
		if (ifa->ifa_addr == NULL)
			continue;
		wanted = strcmp(ifa->ifa_name, l->interface) == 0 ||
		    (loopback && (ifa->ifa_flags & IFF_LOOPBACK));
		for (size_t i = 0; i < count && !wanted; i++)
			wanted = strcmp(ifa->ifa_name, egress[i]) == 0;
		if (wanted)
			rc = add_address(l, ifa->ifa_addr);
	}
	freeifaddrs(list);
	return rc;
}

/* Those of hosts(5) alone: master, which is root, asks no name server. */
static int
add_host(struct conf_listener *l)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list, *ai;
	int rc = 0;

	__nss_configure_lookup("hosts", "files");
	if (getaddrinfo(l->interface, NULL, &hints, &list) != 0)
		return 0;
	for (ai = list; ai != NULL && rc == 0; ai = ai->ai_next)
		rc = add_address(l, ai->ai_addr);
	freeaddrinfo(list);
	return rc;
}

static int
load_listener(struct conf_listener *l)
{
	if (l->is_socket || l->naddresses > 0)
		return 0;
	if (strcmp(l->interface, "all") == 0)
		return add_any(l);
	if (add_interfaces(l) == -1)
		return -1;
	return l->naddresses > 0 ? 0 : add_host(l);
}

int
load_addresses(struct conf *conf, conf_report *report, void *arg)
{
	int missing = 0;

	for (uint32_t i = 0; i < conf->nlisteners; i++) {
		struct conf_listener *l = &conf->listeners[i];

		if (load_listener(l) == -1) {
			log_error("addresses of `%s`: %s", l->interface,
			    strerror(errno));
			return -1;
		}
		if (l->is_socket || l->naddresses > 0)
			continue;
		report(arg, &l->where, l->interface);
		missing++;
	}
	return missing;
}

bool
load_address_is_ours(const struct sockaddr_in6 *address)
{
	const struct sockaddr_in6 *sin6;
	struct ifaddrs *list, *ifa;

	if (getifaddrs(&list) == -1)
		return false;
	for (ifa = list; ifa != NULL; ifa = ifa->ifa_next) {
		sin6 = (const void *)ifa->ifa_addr;
		if (sin6 != NULL && sin6->sin6_family == AF_INET6 &&
		    IN6_ARE_ADDR_EQUAL(&sin6->sin6_addr, &address->sin6_addr) &&
		    (address->sin6_scope_id == 0 ||
			address->sin6_scope_id == sin6->sin6_scope_id))
			break;
	}
	freeifaddrs(list);
	return ifa != NULL;
}
