/*
 * Loading the configuration: parse it, then complete it with what stands
 * elsewhere on the machine (certificates and keys, host name, resolvers,
 * addresses of interfaces), then refuse what must not run. Called at start
 * and for each reload; what it returns is never changed again.
 */
#include "config.h"

#include <sys/stat.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/closed.h"
#include "master/load.h"
#include "master/master.h"
#include "master/parse.h"
#include "os/log.h"

enum { FILE_MAX = 4 << 20, TABLE_MAX = 256 << 20 };

static const char system_ca[] = "/etc/ssl/certs/ca-certificates.crt";
static const char root_anchor[] = "/usr/share/dns/root.key";

static char *
read_open_file(int fd, size_t size)
{
	size_t len = 0;
	char *text;
	ssize_t n;

	if ((text = malloc(size + 1)) == NULL)
		return NULL;
	while (len < size && (n = read(fd, text + len, size - len)) != 0) {
		if (n == -1) {
			explicit_bzero(text, len);
			free(text);
			return NULL;
		}
		len += (size_t)n;
	}
	text[len] = '\0';
	return text;
}

/* The text of a file, NULL after logging. A secret one must be closed to
 * group (but for reading) and others. */
static char *
read_file(const char *where, const char *path, int secret)
{
	struct stat st;
	char *text = NULL;
	int fd;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1 ||
	    fstat(fd, &st) == -1) {
		log_error("%s: %s: %s", where, path, strerror(errno));
		goto out;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
		log_error("%s: %s: not a regular file of at most 4 MiB", where,
		    path);
		goto out;
	}
	if (secret && (st.st_mode & 037) != 0) {
		log_error("%s: %s is a secret that others may read: "
			  "chmod 600 %s",
		    where, path, path);
		goto out;
	}
	if ((text = read_open_file(fd, (size_t)st.st_size)) == NULL)
		log_error("%s: %s: %s", where, path, strerror(errno));
out:
	if (fd != -1)
		close(fd);
	return text;
}

static int
load_certificates(struct conf *conf)
{
	char where[512];

	for (uint32_t i = 0; i < conf->npkis; i++) {
		struct conf_pki *p = &conf->pkis[i];

		conf_where_text(conf, &p->where, where, sizeof(where));
		if (p->cert_path != NULL &&
		    (p->cert_pem = read_file(where, p->cert_path, 0)) == NULL)
			return -1;
		if (p->key_path != NULL &&
		    (p->key_pem = read_file(where, p->key_path, 1)) == NULL)
			return -1;
	}
	for (uint32_t i = 0; i < conf->ncas; i++) {
		struct conf_ca *ca = &conf->cas[i];

		conf_where_text(conf, &ca->where, where, sizeof(where));
		if ((ca->ca_pem = read_file(where, ca->path, 0)) == NULL)
			return -1;
	}
	return 0;
}

/* The machine's own list of authorities, for relays that name no `ca`. A
 * name in angle brackets cannot be written in a configuration. */
static int
load_system_ca(struct conf *conf)
{
	struct conf_ca *ca;

	if (access(system_ca, R_OK) == -1)
		return 0;
	if ((ca = conf_append(&conf->cas, &conf->ncas, sizeof(*ca))) == NULL ||
	    (ca->name = strdup(CONF_SYSTEM_CA)) == NULL ||
	    (ca->path = strdup(system_ca)) == NULL)
		return -1;
	ca->ca_pem = read_file("default", system_ca, 0);
	return ca->ca_pem != NULL ? 0 : -1;
}

static int
load_server_name(struct conf *conf)
{
	char name[256] = "";
	FILE *fp;

	if (conf->server_name != NULL)
		return 0;
	if ((fp = fopen("/etc/mailname", "re")) != NULL) {
		if (fgets(name, sizeof(name), fp) != NULL)
			name[strcspn(name, " \t\r\n")] = '\0';
		fclose(fp);
	}
	if (name[0] == '\0' && gethostname(name, sizeof(name) - 1) == -1)
		return -1;
	return (conf->server_name = strdup(name)) != NULL ? 0 : -1;
}

static int
add_resolver(struct conf *conf, const char *text)
{
	uint8_t octets[16];
	struct conf_address *a;
	enum conf_family family;

	if (inet_pton(AF_INET, text, octets) == 1)
		family = CONF_INET4;
	else if (inet_pton(AF_INET6, text, octets) == 1)
		family = CONF_INET6;
	else
		return 0;
	a = conf_append(&conf->resolver.servers, &conf->resolver.nservers,
	    sizeof(*a));
	if (a == NULL)
		return -1;
	a->family = family;
	memcpy(a->octets, octets, family == CONF_INET4 ? 4 : 16);
	a->port = 53;
	return 0;
}

static int
load_resolvers(struct conf *conf)
{
	char line[512], address[256];
	const char *anchor = conf->resolver.trust_anchor_path;
	FILE *fp;
	int rc = 0;

	if (anchor == NULL && access(root_anchor, R_OK) == 0)
		anchor = root_anchor;
	if (anchor != NULL &&
	    (conf->resolver.trust_anchor =
		    read_file("trust-anchor", anchor, 0)) == NULL)
		return -1;
	if (conf->resolver.nservers > 0 || conf->resolver.recursive ||
	    (fp = fopen("/etc/resolv.conf", "re")) == NULL)
		return 0;
	while (rc == 0 && fgets(line, sizeof(line), fp) != NULL)
		if (sscanf(line, "nameserver %255s", address) == 1)
			rc = add_resolver(conf, address);
	fclose(fp);
	return rc;
}

static void
report_refusal(void *arg, const struct conf_where *where, const char *what)
{
	char text[512];

	conf_where_text(arg, where, text, sizeof(text));
	log_error("%s: %s", text, what);
}

static void
report_unbuilt(void *arg, const struct conf_where *where, const char *what)
{
	char text[512];

	conf_where_text(arg, where, text, sizeof(text));
	log_error("%s: %s is not built yet: remove it", text, what);
}

static int
complete(struct conf *conf)
{
	if (load_certificates(conf) == -1 || load_system_ca(conf) == -1 ||
	    load_server_name(conf) == -1 || load_resolvers(conf) == -1)
		return -1;
	for (uint32_t i = 0; i < conf->nlisteners; i++)
		if (load_listener_addresses(conf, &conf->listeners[i]) == -1)
			return -1;
	return 0;
}

struct conf *
load_configuration(const struct master_options *options)
{
	struct conf *conf;

	conf = conf_parse(options->path, options->macros, stderr);
	if (conf == NULL)
		return NULL;
	if (conf_unbuilt(conf, report_unbuilt, conf) > 0 ||
	    conf_check_closed(conf, report_refusal, conf) > 0 ||
	    complete(conf) == -1) {
		conf_free(conf);
		return NULL;
	}
	return conf;
}

int
load_open_table(const struct conf_table *t)
{
	int fd = open(t->config, O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		log_error("table %s: %s: %s", t->name, t->config,
		    strerror(errno));
	return fd;
}

char *
load_read_table(int fd, size_t *len)
{
	struct stat st;

	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    st.st_size > TABLE_MAX)
		return NULL;
	*len = (size_t)st.st_size;
	return read_open_file(fd, *len);
}
