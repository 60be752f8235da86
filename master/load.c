/*
 * Loading the configuration: parse it, then complete it with what stands
 * elsewhere on the machine (certificates and keys, host name, resolvers,
 * addresses of interfaces), then refuse what must not run. Called at start
 * and for each reload; what it returns is never changed again.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "conf/closed.h"
#include "conf/overlap.h"
#include "conf/url.h"
#include "master/action_check.h"
#include "master/files.h"
#include "master/load.h"
#include "master/master.h"
#include "master/parse.h"
#include "master/postmaster.h"
#include "master/readfile.h"
#include "master/servers.h"
#include "net/pem.h"
#include "os/log.h"

static const char system_ca[] = "/etc/ssl/certs/ca-certificates.crt";
static const char root_anchor[] = "/usr/share/dns/root.key";

/* The text of a PEM file, NULL after logging; files_check has judged its
 * mode. */
static char *
read_pem(const char *path)
{
	char error[256], *text;
	size_t len;

	text = readfile(path, READFILE_PEM_MAX, &len, error, sizeof(error));
	if (text == NULL)
		log_error("%s: %s", path, error);
	return text;
}

static int
load_certificates(struct conf *conf)
{
	for (uint32_t i = 0; i < conf->npkis; i++) {
		struct conf_pki *p = &conf->pkis[i];

		if ((p->cert_pem = read_pem(p->cert_path)) == NULL)
			return -1;
		pem_keep_certificates(p->cert_pem);
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
	ca->ca_pem = read_pem(system_ca);
	return ca->ca_pem != NULL ? 0 : -1;
}

int
load_authorities(struct conf *conf)
{
	for (uint32_t i = 0; i < conf->ncas; i++) {
		struct conf_ca *ca = &conf->cas[i];

		if ((ca->ca_pem = read_pem(ca->path)) == NULL)
			return -1;
		pem_keep_certificates(ca->ca_pem);
	}
	return load_system_ca(conf);
}

static int
is_called(const struct hostent *h, const char *name)
{
	for (char **alias = h->h_aliases; *alias != NULL; alias++)
		if (strcasecmp(*alias, name) == 0)
			return 1;
	return 0;
}

/* A host is mostly called by the first part of its name only; the whole of it
 * is in hosts(5). Stays as it is where that knows no more. Goes through the
 * file, so that master, which is root, asks no name server. */
static void
complete_name(char *name, size_t size)
{
	const struct hostent *h;

	if (strchr(name, '.') != NULL)
		return;
	sethostent(0);
	while ((h = gethostent()) != NULL)
		if (is_called(h, name) && strchr(h->h_name, '.') != NULL &&
		    strncasecmp(h->h_name, "localhost", 9) != 0 &&
		    strlen(h->h_name) < size) {
			strcpy(name, h->h_name);
			break;
		}
	endhostent();
}

int
load_server_name(struct conf *conf)
{
	char name[256] = "", own[256] = "";
	FILE *fp;

	if (conf->server_name != NULL)
		return 0;
	if (gethostname(own, sizeof(own) - 1) == -1)
		return -1;
	complete_name(own, sizeof(own));
	if (own[0] != '\0' && (conf->host_name = strdup(own)) == NULL)
		return -1;
	if ((fp = fopen("/etc/mailname", "re")) != NULL) {
		if (fgets(name, sizeof(name), fp) != NULL)
			name[strcspn(name, " \t\r\n")] = '\0';
		fclose(fp);
	}
	if (name[0] != '\0' && !url_host_valid(name)) {
		log_warn("/etc/mailname does not begin with the name of a "
			 "host: the host's own is used");
		name[0] = '\0';
	}
	conf->server_name = strdup(name[0] != '\0' ? name : own);
	return conf->server_name != NULL ? 0 : -1;
}

static int
load_trust_anchor(struct conf *conf)
{
	const char *anchor = conf->resolver.trust_anchor_path;

	if (anchor == NULL && access(root_anchor, R_OK) == 0)
		anchor = root_anchor;
	if (anchor == NULL)
		return 0;
	conf->resolver.trust_anchor = read_pem(anchor);
	return conf->resolver.trust_anchor != NULL ? 0 : -1;
}

struct report {
	const struct conf *conf;
	FILE *errors;
};

static void
report_refusal(void *arg, const struct conf_where *where, const char *what)
{
	const struct report *r = arg;
	char text[512];

	conf_where_text(r->conf, where, text, sizeof(text));
	fprintf(r->errors, "%s: %s\n", text, what);
}

static void
report_unbuilt(void *arg, const struct conf_where *where, const char *what)
{
	const struct report *r = arg;
	char text[512];

	conf_where_text(r->conf, where, text, sizeof(text));
	fprintf(r->errors, "%s: %s is not built yet: remove it\n", text, what);
}

/* Who reloads reads it, and at a start, which may be a boot, the log too. */
static void
report_missing(void *arg, const struct conf_where *where, const char *name)
{
	const struct report *r = arg;
	const char *why = strcmp(name, "egress") == 0
	    ? "no interface has a default route: see `ip route`, or write an "
	      "interface or an address"
	    : "no such interface or address, and no such host in "
	      "/etc/hosts: write an interface (see `ip link`), an address, "
	      "lo0, egress or all";
	char text[512];

	conf_where_text(r->conf, where, text, sizeof(text));
	if (r->errors == stderr)
		log_error("%s: `listen on %s`: %s", text, name, why);
	else
		fprintf(r->errors, "%s: `listen on %s`: %s\n", text, name, why);
}

static int
complete(struct conf *conf, struct report *report)
{
	if (load_certificates(conf) == -1 || load_authorities(conf) == -1 ||
	    load_server_name(conf) == -1 || load_trust_anchor(conf) == -1 ||
	    servers_load(conf) == -1)
		return -1;
	return load_addresses(conf, report_missing, report) == 0 ? 0 : -1;
}

/* The queue does not see where mail lies, but is to know whether each address
 * of a user is a place of its own. */
static void
mark_places(struct conf *conf)
{
	for (uint32_t i = 0; i < conf->nactions; i++) {
		const struct conf_action *action = &conf->actions[i];
		struct conf_local *local = &conf->actions[i].local;

		local->by_address = action->kind == CONF_ACTION_MDA ||
		    (action->kind == CONF_ACTION_LMTP && local->rcpt_to) ||
		    (action->kind == CONF_ACTION_MAILDIR &&
			local->path != NULL &&
			strstr(local->path, "%{dest") != NULL);
	}
}

struct conf *
load_configuration(
    const struct master_options *options, bool strict, FILE *errors)
{
	struct conf *conf = conf_parse(options->path, options->macros, errors);
	struct report report = { conf, errors };

	if (conf == NULL)
		return NULL;
	if (files_check(conf, strict, errors) > 0 ||
	    conf_unbuilt(conf, report_unbuilt, &report) > 0 ||
	    complete(conf, &report) == -1 ||
	    conf_check_closed(conf, report_refusal, &report) > 0 ||
	    conf_check_overlap(conf, report_refusal, &report) > 0) {
		conf_free(conf);
		return NULL;
	}
	conf_mark_sources(conf);
	mark_places(conf);
	postmaster_check(conf, errors);
	action_check(conf, errors);
	return conf;
}

struct conf *
load_again(
    const struct master_options *options, bool strict, char *why, size_t size)
{
	struct conf *conf;
	char *text = NULL, *line, *rest;
	size_t len = 0, used = 0;
	FILE *errors = open_memstream(&text, &len);

	snprintf(why, size, "see the log for the errors");
	if (errors == NULL)
		return NULL;
	conf = load_configuration(options, strict, errors);
	if (fclose(errors) != 0 || text == NULL) {
		conf_free(conf);
		free(text);
		return NULL;
	}
	rest = text;
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (*line == '\0')
			continue;
		log_warn("%s", line);
		len = strlen(line) + (used > 0);
		if (used + len >= size)
			continue;
		snprintf(why + used, size - used, "%s%s", used > 0 ? "\n" : "",
		    line);
		used += len;
	}
	free(text);
	return conf;
}

int
load_open_table(const struct conf_table *t)
{
	int fd = open(t->config, O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		log_error(
		    "table %s: %s: %s", t->name, t->config, strerror(errno));
	return fd;
}

int
load_keys(struct conf *conf)
{
	for (uint32_t i = 0; i < conf->npkis; i++)
		if ((conf->pkis[i].key_pem =
			    read_pem(conf->pkis[i].key_path)) == NULL)
			return -1;
	return 0;
}

void
load_forget_keys(struct conf *conf)
{
	for (uint32_t i = 0; i < conf->npkis; i++) {
		char *pem = conf->pkis[i].key_pem;

		if (pem != NULL)
			explicit_bzero(pem, strlen(pem));
		free(pem);
		conf->pkis[i].key_pem = NULL;
	}
}
