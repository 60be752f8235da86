/*
 * Writes the canonical form: elements (listeners, tables, actions, rules,
 * filters). The settings stand in print_settings.c. Every argument is quoted,
 * so that no name can be taken for a reserved word. Pure but for the stream.
 */
#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "conf/print.h"
#include "conf/print_private.h"

/* What the lexer undoes inside quotes: a backslash makes a quote, a blank or a
 * tab literal and stands for itself before all others. */
static void
print_escaped(FILE *out, const char *text)
{
	const char *p;

	for (p = text; *p != '\0'; p++) {
		if (*p == '"' ||
		    (p != text && p[-1] == '\\' && isblank((unsigned char)*p)))
			putc('\\', out);
		putc(*p, out);
	}
}

void
print_quoted(FILE *out, const char *text)
{
	putc('"', out);
	print_escaped(out, text);
	putc('"', out);
}

void
print_option(FILE *out, const char *word, const char *text)
{
	if (text == NULL)
		return;
	fprintf(out, " %s ", word);
	print_quoted(out, text);
}

void
print_duration(FILE *out, uint32_t seconds)
{
	static const struct {
		uint32_t seconds;
		char unit;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' } };
	size_t i;

	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (seconds % units[i].seconds == 0 && seconds != 0) {
			fprintf(out, "%u%c", seconds / units[i].seconds,
			    units[i].unit);
			return;
		}
	fprintf(out, "%us", seconds);
}

static void
print_entries(FILE *out, const struct conf_table *table)
{
	uint32_t i;

	fputs("{ ", out);
	for (i = 0; i < table->nentries; i++) {
		if (i > 0)
			fputs(", ", out);
		print_quoted(out, table->entries[i].key);
		if (table->entries[i].value == NULL)
			continue;
		fputs(" = ", out);
		print_quoted(out, table->entries[i].value);
	}
	fputs(" }", out);
}

static void
print_table_name(FILE *out, const char *name)
{
	const char *p;

	for (p = name; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && strchr("_-.", *p) == NULL)
			break;
	putc('<', out);
	if (*p == '\0')
		fputs(name, out);
	else
		print_quoted(out, name);
	putc('>', out);
}

/* A table where it is used: <name>, one value, or a list in braces. */
static void
print_table_use(
    const struct conf *conf, FILE *out, const char *word, const char *name)
{
	const struct conf_table *table;

	if (name == NULL)
		return;
	fprintf(out, "%s%s ", *word == '\0' ? "" : " ", word);
	table = conf_find_table(conf, name);
	if (table == NULL || !table->is_inline)
		print_table_name(out, name);
	else if (table->nentries == 1 && !table->mapping)
		print_quoted(out, table->entries[0].key);
	else
		print_entries(out, table);
}

static void
print_names(FILE *out, const char *word, const struct conf_string *names,
    uint32_t count)
{
	uint32_t i;

	if (count == 0)
		return;
	fprintf(out, " %s%s ", word, count > 1 ? " {" : "");
	for (i = 0; i < count; i++) {
		if (i > 0)
			fputs(", ", out);
		print_quoted(out, names[i].text);
	}
	if (count > 1)
		fputs(" }", out);
}

static void
print_flag(FILE *out, const char *word, bool set)
{
	if (set)
		fprintf(out, " %s", word);
}

static void
print_listener_tls(const struct conf_listener *listener, FILE *out)
{
	static const char *const words[] = {
		[CONF_LISTEN_PLAIN] = "",
		[CONF_LISTEN_TLS] = " tls",
		[CONF_LISTEN_TLS_REQUIRE] = " tls-require",
		[CONF_LISTEN_SMTPS] = " smtps",
	};
	uint32_t i;

	fputs(words[listener->tls], out);
	print_flag(out, "verify", listener->tls_verify);
	for (i = 0; i < listener->npkis; i++)
		print_option(out, "pki", listener->pkis[i].text);
	print_option(out, "ca", listener->ca);
	print_option(out, "protocols", listener->protocols);
	print_option(out, "ciphers", listener->ciphers);
}

void
conf_print_listener(
    const struct conf *conf, const struct conf_listener *listener, FILE *out)
{
	static const char *const families[] = { "", " inet4", " inet6" };
	static const char *const auths[] = { "", "auth-optional", "auth" };

	fputs("listen on ", out);
	if (listener->is_socket)
		fputs("socket", out);
	else
		print_quoted(out, listener->interface);
	fputs(families[listener->family], out);
	if (listener->port != 0)
		fprintf(out, " port %u", listener->port);
	print_listener_tls(listener, out);
	if (listener->auth != CONF_AUTH_NONE) {
		print_flag(out, auths[listener->auth], true);
		print_table_use(conf, out, "", listener->auth_table);
	}
	print_table_use(conf, out, "senders", listener->senders);
	print_flag(out, "masquerade", listener->masquerade);
	print_option(out, "hostname", listener->hostname);
	print_table_use(conf, out, "hostnames", listener->hostnames);
	print_option(out, "tag", listener->tag);
	if (listener->max_message_size != 0)
		fprintf(out, " max-message-size %llu",
		    (unsigned long long)listener->max_message_size);
	print_flag(out, "mask-src", listener->mask_src);
	print_flag(out, "no-dsn", listener->no_dsn);
	print_flag(out, "received-auth", listener->received_auth);
	print_flag(out, "proxy-v2", listener->proxy_v2);
	print_names(out, "filter", listener->filters, listener->nfilters);
	putc('\n', out);
}

static void
print_local(
    const struct conf *conf, const struct conf_action *action, FILE *out)
{
	static const char *const methods[] = {
		[CONF_ACTION_MBOX] = "mbox",
		[CONF_ACTION_MAILDIR] = "maildir",
		[CONF_ACTION_MDA] = "mda",
		[CONF_ACTION_LMTP] = "lmtp",
		[CONF_ACTION_EXPAND_ONLY] = "expand-only",
		[CONF_ACTION_FORWARD_ONLY] = "forward-only",
	};
	const struct conf_local *local = &action->local;
	const char *argument = NULL;

	if (action->kind == CONF_ACTION_MAILDIR)
		argument = local->path;
	else if (action->kind == CONF_ACTION_MDA)
		argument = local->command;
	else if (action->kind == CONF_ACTION_LMTP)
		argument = local->destination;
	print_flag(out, methods[action->kind], true);
	if (argument != NULL) {
		putc(' ', out);
		print_quoted(out, argument);
	}
	print_flag(out, "junk", local->junk);
	print_flag(out, "rcpt-to", local->rcpt_to);
	print_option(out, "user", local->user);
	print_table_use(conf, out, "alias", local->alias);
	print_table_use(conf, out, "virtual", local->virtual_table);
	print_table_use(conf, out, "userbase", local->userbase);
	print_option(out, "wrapper", local->wrapper);
}

static void
print_backup(const struct conf *conf, const struct conf_relay *relay, FILE *out)
{
	static const char *const refused[] = { "hold", "drop", "bounce" };
	static const char *const unknown[] = { "accept", "tempfail" };

	fputs(" backup", out);
	print_option(out, "mx", relay->backup_mx);
	print_table_use(conf, out, "recipients", relay->recipients);
	print_flag(out, "call-ahead", relay->call_ahead);
	fputs(" probe-interval ", out);
	print_duration(out, relay->probe_interval);
	fprintf(out, " unknown %s refused %s", unknown[relay->unknown],
	    refused[relay->refused]);
}

static void
print_relay(const struct conf *conf, const struct conf_relay *relay, FILE *out)
{
	static const char *const tls[] = { "", " tls", " tls no-verify" };

	fputs(" relay", out);
	print_table_use(conf, out, "host", relay->host);
	print_table_use(conf, out, "domain", relay->domain);
	print_table_use(conf, out, "auth", relay->auth);
	fputs(tls[relay->tls], out);
	print_option(out, "pki", relay->pki);
	print_option(out, "ca", relay->ca);
	print_option(out, "protocols", relay->protocols);
	print_option(out, "ciphers", relay->ciphers);
	print_option(out, "helo", relay->helo);
	print_table_use(conf, out, "helo-src", relay->helo_src);
	print_table_use(conf, out, "src", relay->src);
	print_option(out, "mail-from", relay->mail_from);
	print_flag(out, "srs", relay->srs);
	print_names(out, "filter", relay->filters, relay->nfilters);
	if (relay->backup)
		print_backup(conf, relay, out);
	if (relay->retry_max == 0)
		return;
	fputs(" retry min ", out);
	print_duration(out, relay->retry_min);
	fputs(" max ", out);
	print_duration(out, relay->retry_max);
}

void
conf_print_action(
    const struct conf *conf, const struct conf_action *action, FILE *out)
{
	fputs("action ", out);
	print_quoted(out, action->name);
	if (action->kind == CONF_ACTION_RELAY)
		print_relay(conf, &action->relay, out);
	else
		print_local(conf, action, out);
	if (action->ttl != 0) {
		fputs(" ttl ", out);
		print_duration(out, action->ttl);
	}
	putc('\n', out);
}

static const char *const condition_words[] = {
	[CONF_FROM_ANY] = "from any",
	[CONF_FROM_LOCAL] = "from local",
	[CONF_FROM_SOCKET] = "from socket",
	[CONF_FROM_SRC] = "from src",
	[CONF_FROM_RDNS] = "from rdns",
	[CONF_FROM_AUTH] = "from auth",
	[CONF_FROM_MAIL_FROM] = "from mail-from",
	[CONF_FOR_ANY] = "for any",
	[CONF_FOR_LOCAL] = "for local",
	[CONF_FOR_DOMAIN] = "for domain",
	[CONF_FOR_RCPT_TO] = "for rcpt-to",
	[CONF_IF_TAG] = "tag",
	[CONF_IF_HELO] = "helo",
	[CONF_IF_AUTH] = "auth",
	[CONF_IF_TLS] = "tls",
	[CONF_IF_MAIL_FROM] = "mail-from",
	[CONF_IF_RCPT_TO] = "rcpt-to",
};

void
conf_print_match(
    const struct conf *conf, const struct conf_match *match, FILE *out)
{
	const struct conf_condition *condition;
	uint32_t i;

	fputs("match", out);
	for (i = 0; i < match->nconditions; i++) {
		condition = &match->conditions[i];
		fprintf(out, " %s%s%s", condition->negated ? "! " : "",
		    condition_words[condition->kind],
		    condition->regex ? " regex" : "");
		print_table_use(conf, out, "", condition->table);
	}
	if (match->reject)
		fputs(" reject", out);
	else
		print_option(out, "action", match->action);
	print_flag(out, "open-relay", match->open_relay);
	putc('\n', out);
}

static void
print_table(const struct conf_table *table, FILE *out)
{
	if (table->is_inline)
		return;
	fputs("table ", out);
	print_quoted(out, table->name);
	putc(' ', out);
	if (table->kind == CONF_TABLE_STATIC)
		print_entries(out, table);
	else {
		/* The backend's name and its parameter are one word. */
		putc('"', out);
		print_escaped(out, table->backend);
		putc(':', out);
		print_escaped(out, table->config);
		putc('"', out);
	}
	putc('\n', out);
}

static void
print_program(const struct conf_proc *proc, FILE *out)
{
	putc(' ', out);
	print_quoted(out, proc->command);
	print_option(out, "user", proc->user);
	print_option(out, "group", proc->group);
	print_option(out, "chroot", proc->chroot);
}

static void
print_phase(
    const struct conf *conf, const struct conf_filter *filter, FILE *out)
{
	static const char *const phases[] = { "connect", "helo", "ehlo", "auth",
		"mail-from", "rcpt-to", "data", "commit" };
	static const char *const tests[] = { "fcrdns", "rdns", "src", "helo",
		"auth", "mail-from", "rcpt-to" };
	static const char *const decisions[] = { "bypass", "disconnect", "junk",
		"reject", "report", "rewrite" };

	fprintf(out, " phase %s match %s%s%s", phases[filter->phase],
	    filter->negated ? "! " : "", tests[filter->test],
	    filter->regex ? " regex" : "");
	print_table_use(conf, out, "", filter->table);
	fprintf(out, " %s", decisions[filter->decision]);
	if (filter->text != NULL) {
		putc(' ', out);
		print_quoted(out, filter->text);
	}
}

static void
print_filter(
    const struct conf *conf, const struct conf_filter *filter, FILE *out)
{
	uint32_t i;

	fputs("filter ", out);
	print_quoted(out, filter->name);
	switch (filter->kind) {
	case CONF_FILTER_PHASE:
		print_phase(conf, filter, out);
		break;
	case CONF_FILTER_PROC:
		print_option(out, "proc", filter->proc);
		break;
	case CONF_FILTER_PROC_EXEC:
		fputs(" proc-exec", out);
		print_program(&filter->exec, out);
		break;
	case CONF_FILTER_CHAIN:
		fputs(" chain { ", out);
		for (i = 0; i < filter->nchain; i++) {
			fputs(i > 0 ? ", " : "", out);
			print_quoted(out, filter->chain[i].text);
		}
		fputs(" }", out);
		break;
	}
	putc('\n', out);
}

static void
print_pki(const struct conf_pki *pki, FILE *out)
{
	static const char *const dhe[] = { "none", "auto", "legacy" };

	fputs("pki ", out);
	print_quoted(out, pki->name);
	print_option(out, "cert", pki->cert_path);
	print_option(out, "key", pki->key_path);
	if (pki->dhe != CONF_DHE_NONE)
		print_option(out, "dhe", dhe[pki->dhe]);
	putc('\n', out);
}

static void
print_named(FILE *out, const char *words, const char *name, const char *option,
    const char *text)
{
	fprintf(out, "%s ", words);
	print_quoted(out, name);
	fprintf(out, "%s ", option);
	print_quoted(out, text);
	putc('\n', out);
}

int
conf_print(const struct conf *conf, FILE *out)
{
	uint32_t i;

	if (print_settings(conf, out) == -1)
		return -1;
	for (i = 0; i < conf->npkis; i++)
		print_pki(&conf->pkis[i], out);
	for (i = 0; i < conf->ncas; i++)
		print_named(
		    out, "ca", conf->cas[i].name, " cert", conf->cas[i].path);
	for (i = 0; i < conf->ntables; i++)
		print_table(&conf->tables[i], out);
	for (i = 0; i < conf->nprocs; i++) {
		fputs("proc ", out);
		print_quoted(out, conf->procs[i].name);
		print_program(&conf->procs[i], out);
		putc('\n', out);
	}
	for (i = 0; i < conf->nfilters; i++)
		print_filter(conf, &conf->filters[i], out);
	for (i = 0; i < conf->nwrappers; i++)
		print_named(out, "mda wrapper", conf->wrappers[i].name, "",
		    conf->wrappers[i].command);
	for (i = 0; i < conf->nlisteners; i++)
		conf_print_listener(conf, &conf->listeners[i], out);
	for (i = 0; i < conf->nactions; i++)
		conf_print_action(conf, &conf->actions[i], out);
	for (i = 0; i < conf->nmatches; i++)
		conf_print_match(conf, &conf->matches[i], out);
	return ferror(out) ? -1 : 0;
}
