/*
 * Looks at every file that a configuration names, and for its group. A secret
 * must not be readable by others: a key or a table of passwords with loose
 * modes is an error, as it was in OpenSMTPD.
 */
#include <sys/stat.h>

#include <grp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/tablefile.h"
#include "conf/url.h"
#include "master/files.h"
#include "master/readfile.h"

struct files {
	const struct conf *conf;
	FILE *errors;
	bool strict;
	unsigned int wrong;
	const char *path; /* of the table that is being parsed */
};

static void __attribute__((format(printf, 3, 4))) wrong(struct files *files,
    const struct conf_where *where, const char *format, ...)
{
	char at[512];
	va_list ap;

	files->wrong++;
	conf_where_text(files->conf, where, at, sizeof(at));
	fprintf(files->errors, "%s: ", at);
	va_start(ap, format);
	vfprintf(files->errors, format, ap);
	va_end(ap);
	putc('\n', files->errors);
}

/* Group may read, nobody else anything; root or we ourselves own it. */
static void
check_secret(
    struct files *files, const struct conf_where *where, const char *path)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return;
	if (st.st_uid != 0 && st.st_uid != geteuid())
		wrong(files, where,
		    "`%s` belongs to uid %u; write `chown root "
		    "%s`",
		    path, (unsigned int)st.st_uid, path);
	if ((st.st_mode & (S_IWGRP | S_IXGRP | S_IRWXO)) != 0)
		wrong(files, where,
		    "`%s` is a secret that others can reach "
		    "(mode %04o); write `chmod 600 %s`",
		    path, (unsigned int)st.st_mode & 07777, path);
}

/* A PEM file; what is in it OpenSSL judges when it is loaded. */
static void
check_pem(struct files *files, const struct conf_where *where, const char *path,
    const char *what)
{
	char error[256], *text;
	size_t len;

	text = readfile(path, READFILE_PEM_MAX, &len, error, sizeof(error));
	if (text == NULL) {
		wrong(files, where, "cannot read the %s `%s`: %s", what, path,
		    error);
		return;
	}
	if (strstr(text, "-----BEGIN ") == NULL)
		wrong(files, where, "`%s` holds no %s in PEM form", path, what);
	explicit_bzero(text, len);
	free(text);
}

static void
report_table(
    void *arg, bool is_error, uint32_t line, uint32_t column, const char *text)
{
	struct files *files = arg;

	files->wrong += is_error;
	fprintf(files->errors, "%s:%u:%u: %s%s\n", files->path, line, column,
	    is_error ? "" : "warning: ", text);
}

static void
report_alias(
    void *arg, bool is_error, uint32_t line, uint32_t column, const char *text)
{
	const struct files *files = arg;

	report_table(arg, is_error || files->strict, line, column, text);
}

static bool
names(const char *name, const struct conf_table *table)
{
	return name != NULL && strcmp(name, table->name) == 0;
}

/* Relays without TLS for an action that demands it. */
static void
check_relays(struct files *files, const struct conf_table *table,
    const struct table_data *data)
{
	const struct conf *conf = files->conf;
	const struct conf_relay *relay;
	char error[256];
	struct url url;

	for (uint32_t i = 0; i < conf->nactions; i++) {
		relay = &conf->actions[i].relay;
		if (conf->actions[i].kind != CONF_ACTION_RELAY ||
		    relay->tls == CONF_RELAY_TLS_OPPORTUNISTIC ||
		    !(names(relay->host, table) || names(relay->domain, table)))
			continue;
		for (uint32_t n = 0; n < data->nentries; n++) {
			const struct table_entry *e = &data->entries[n];
			const char *text = e->value ? e->value : e->key;

			if (url_parse(text, &url, error, sizeof(error)) == 0 &&
			    url_without_tls(url.protocol))
				report_table(files, false, e->line, e->column,
				    "an action with `tls` relays to it, and "
				    "its protocol has no TLS: mail will wait");
		}
	}
}

static void
check_table(struct files *files, const struct conf_table *table)
{
	const uint32_t aliases = 1U << CONF_SERVICE_ALIAS;
	const uint32_t secret =
	    1U << CONF_SERVICE_CREDENTIALS | 1U << CONF_SERVICE_RELAY_AUTH;
	struct table_data *data;
	char error[256], *text;
	size_t len;

	text = readfile(
	    table->config, READFILE_TABLE_MAX, &len, error, sizeof(error));
	if (text == NULL) {
		wrong(files, &table->where, "cannot read the table `%s`: %s",
		    table->config, error);
		return;
	}
	files->path = table->config;
	data = table_parse(text, len, table->uses, report_table, files);
	if (data != NULL) {
		table_data_check(
		    data, table->uses & ~aliases, report_table, files);
		table_data_check(
		    data, table->uses & aliases, report_alias, files);
		check_relays(files, table, data);
	}
	table_data_free(data);
	explicit_bzero(text, len);
	free(text);
	if ((table->uses & secret) != 0)
		check_secret(files, &table->where, table->config);
}

/* Who can write the configuration has commands run as any user. */
static void
check_writers(const char *path, FILE *errors)
{
	struct stat st;

	if (stat(path, &st) == -1 ||
	    ((st.st_uid == 0 || st.st_uid == geteuid()) &&
		(st.st_mode & S_IWOTH) == 0 &&
		((st.st_mode & S_IWGRP) == 0 || st.st_gid == getegid())))
		return;
	fprintf(errors,
	    "%s: warning: others can write this file (uid %u, gid %u, mode "
	    "%04o), and so have commands run; write `chown root %s` and "
	    "`chmod go-w %s`\n",
	    path, (unsigned int)st.st_uid, (unsigned int)st.st_gid,
	    (unsigned int)st.st_mode & 07777, path, path);
}

/* One that is missing gives nobody rights, and says so nowhere else. */
static void
check_group(const char *name, FILE *errors)
{
	if (name != NULL && getgrnam(name) == NULL)
		fprintf(errors,
		    "warning: `set admin-group %s`: there is no such group, so "
		    "only root may use all of smtpctl; write `groupadd %s`, or "
		    "another name\n",
		    name, name);
}

static void
check_anchor(struct files *files, const char *path)
{
	char error[256], *text;
	size_t len;

	if (path == NULL)
		return;
	text = readfile(path, READFILE_PEM_MAX, &len, error, sizeof(error));
	if (text == NULL) {
		files->wrong++;
		fprintf(
		    files->errors, "`set trust-anchor`: %s: %s\n", path, error);
	}
	free(text);
}

unsigned int
files_check(const struct conf *conf, bool strict, FILE *errors)
{
	struct files files = {
		.conf = conf, .strict = strict, .errors = errors
	};
	const struct conf_pki *pki;
	uint32_t i;

	for (i = 0; i < conf->npkis; i++) {
		pki = &conf->pkis[i];
		check_pem(&files, &pki->where, pki->cert_path, "certificate");
		check_pem(&files, &pki->where, pki->key_path, "key");
		check_secret(&files, &pki->where, pki->key_path);
	}
	for (i = 0; i < conf->ncas; i++)
		check_pem(&files, &conf->cas[i].where, conf->cas[i].path,
		    "certificate");
	for (i = 0; i < conf->ntables; i++)
		if (conf->tables[i].kind == CONF_TABLE_FILE)
			check_table(&files, &conf->tables[i]);
	check_anchor(&files, conf->resolver.trust_anchor_path);
	for (i = 0; i < conf->nfiles; i++)
		check_writers(conf->files[i].text, errors);
	check_group(conf->paths.admin_group, errors);
	return files.wrong;
}

/* ---- what tables hold ------------------------------------------------- */

static void
ignore(
    void *arg, bool is_error, uint32_t line, uint32_t column, const char *text)
{
}

struct table_data *
files_read_table(const struct conf_table *table)
{
	struct table_data *data;
	char error[256], *text;
	size_t len;

	if (table->kind == CONF_TABLE_STATIC)
		return table_from_conf(table);
	text = readfile(
	    table->config, READFILE_TABLE_MAX, &len, error, sizeof(error));
	if (text == NULL)
		return NULL;
	data = table_parse(text, len, table->uses, ignore, NULL);
	free(text);
	return data;
}

/* To people a table in place is its number: of its name the rest is a hash. */
static const char *
shown_name(const struct conf_table *t, char *number, size_t size)
{
	if (t->kind == CONF_TABLE_FILE)
		return t->config;
	if (!t->is_inline)
		return t->name;
	snprintf(number, size, "%.*s>", (int)strcspn(t->name, "."), t->name);
	return number;
}

void
files_count_aliases(const struct conf *conf, struct ipc_buf *list)
{
	for (uint32_t i = 0; i < conf->ntables; i++) {
		const struct conf_table *t = &conf->tables[i];
		char number[16];
		struct msg_alias_count count = { 0 };
		struct table_data *data;

		if ((t->uses & 1U << CONF_SERVICE_ALIAS) == 0 ||
		    (data = files_read_table(t)) == NULL)
			continue;
		count.table = shown_name(t, number, sizeof(number));
		for (uint32_t n = 0; n < data->nentries; n++) {
			const struct table_entry *e = &data->entries[n];
			size_t len = e->value != NULL ? strlen(e->value) : 0;

			count.aliases++;
			count.octets += strlen(e->key) + len;
			if (len > count.longest)
				count.longest = (uint32_t)len;
		}
		ipc_add_alias_count(list, &count);
		table_data_free(data);
	}
}
