/*
 * The settings in canonical form: those that differ from what conf_new()
 * gives, a line each. Limits take their words from the rows of fields.c.
 */
#include <arpa/inet.h>

#include <string.h>

#include "conf/fields.h"
#include "conf/print_private.h"

static bool
same_text(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

static void
print_word(FILE *out, const struct field *field)
{
	const char *p;

	putc(' ', out);
	for (p = field->name; *p != '\0'; p++)
		putc(*p == '_' ? '-' : *p, out);
}

/* `set spool "/x"` and its like, one for each row of the paths. */
static void
print_paths(const struct conf *conf, const struct conf *base, FILE *out)
{
	const struct field *field = shape_paths.fields;
	const char *text;
	size_t i;

	for (i = 0; i < shape_paths.nfields; i++, field++) {
		text = *field_string(field, &conf->paths);
		if (text == NULL ||
		    same_text(text, *field_string(field, &base->paths)))
			continue;
		fputs("set", out);
		print_word(out, field);
		putc(' ', out);
		print_quoted(out, text);
		putc('\n', out);
	}
}

/* The numbers of a group that differ, behind words; nothing when none does.
 * Whether there were any. */
static bool
print_limits(FILE *out, const char *words, const struct shape *shape,
    const void *group, const void *base)
{
	const struct field *field = shape->fields;
	uint32_t value, normal;
	bool begun = false;
	size_t i;

	for (i = 0; i < shape->nfields; i++, field++) {
		if (field->type != FIELD_U32 && field->type != FIELD_SECONDS)
			continue;
		memcpy(&value, field_at(field, group), sizeof(value));
		memcpy(&normal, field_at(field, base), sizeof(normal));
		if (value == normal)
			continue;
		if (!begun)
			fputs(words, out);
		begun = true;
		print_word(out, field);
		putc(' ', out);
		if (field->type == FIELD_SECONDS)
			print_duration(out, value);
		else
			fprintf(out, "%u", value);
	}
	return begun;
}

/* The same as a line of its own. */
static void
print_limits_line(FILE *out, const char *words, const struct shape *shape,
    const void *group, const void *base)
{
	if (print_limits(out, words, shape, group, base))
		putc('\n', out);
}

static void
print_family(FILE *out, enum conf_family family)
{
	if (family != CONF_FAMILY_ANY)
		fputs(family == CONF_INET4 ? " inet4" : " inet6", out);
}

/* A domain takes over what stands above it for all, and no word takes back a
 * family; so the domains come first, each with all that differs. */
static void
print_mta(const struct conf *conf, const struct conf *base, FILE *out)
{
	const struct conf_mta *mta = &conf->mta;
	uint32_t i;

	if (mta->max_deferred != base->mta.max_deferred)
		fprintf(out, "mta max-deferred %u\n", mta->max_deferred);
	for (i = 1; i < mta->nlimits; i++) {
		fputs("mta limit for domain ", out);
		print_quoted(out, mta->limits[i].domain);
		print_family(out, mta->limits[i].family);
		print_limits(out, "", &shape_mta_limit, &mta->limits[i],
		    &base->mta.limits[0]);
		putc('\n', out);
	}
	if (mta->limits[0].family != CONF_FAMILY_ANY) {
		fputs("mta limit", out);
		print_family(out, mta->limits[0].family);
		putc('\n', out);
	}
	print_limits_line(out, "mta limit", &shape_mta_limit, &mta->limits[0],
	    &base->mta.limits[0]);
}

static void
print_smtp(const struct conf *conf, const struct conf *base, FILE *out)
{
	const struct conf_smtp *smtp = &conf->smtp;

	if (smtp->max_message_size != base->smtp.max_message_size)
		fprintf(out, "smtp max-message-size %llu\n",
		    (unsigned long long)smtp->max_message_size);
	print_limits_line(out, "smtp limit", &shape_smtp, smtp, &base->smtp);
	if (smtp->ciphers != NULL) {
		fputs("smtp", out);
		print_option(out, "ciphers", smtp->ciphers);
		putc('\n', out);
	}
	if (!same_text(smtp->sub_addr_delim, base->smtp.sub_addr_delim)) {
		fputs("smtp", out);
		print_option(out, "sub-addr-delim", smtp->sub_addr_delim);
		putc('\n', out);
	}
}

static void
print_queue(const struct conf *conf, const struct conf *base, FILE *out)
{
	const struct conf_queue *queue = &conf->queue;
	uint32_t i;

	if (queue->ttl != base->queue.ttl) {
		fputs("queue ttl ", out);
		print_duration(out, queue->ttl);
		putc('\n', out);
	}
	if (queue->compression)
		fputs("queue compression\n", out);
	if (queue->encryption) {
		fputs("queue", out);
		if (queue->encryption_key == NULL)
			fputs(" encryption", out);
		print_option(out, "encryption", queue->encryption_key);
		putc('\n', out);
	}
	if (memcmp(conf->bounce.warn, base->bounce.warn,
		sizeof(base->bounce.warn)) == 0)
		return;
	fputs("bounce warn-interval", out);
	for (i = 0; i < CONF_BOUNCE_WARN_MAX && conf->bounce.warn[i] != 0;
	     i++) {
		fputs(i > 0 ? ", " : " ", out);
		print_duration(out, conf->bounce.warn[i]);
	}
	putc('\n', out);
}

static void
print_srs(const struct conf *conf, const struct conf *base, FILE *out)
{
	const struct conf_srs *srs = &conf->srs;

	if (srs->key != NULL) {
		fputs("srs", out);
		print_option(out, "key", srs->key);
		putc('\n', out);
	}
	if (srs->key_backup != NULL) {
		fputs("srs key", out);
		print_option(out, "backup", srs->key_backup);
		putc('\n', out);
	}
	if (srs->ttl != base->srs.ttl) {
		fputs("srs ttl ", out);
		print_duration(out, srs->ttl);
		putc('\n', out);
	}
}

static void
print_resolver(const struct conf *conf, FILE *out)
{
	const struct conf_resolver *resolver = &conf->resolver;
	char text[INET6_ADDRSTRLEN];
	uint32_t i;

	if (resolver->nservers > 0) {
		fputs("set resolver {", out);
		for (i = 0; i < resolver->nservers; i++) {
			inet_ntop(resolver->servers[i].family == CONF_INET4
				? AF_INET
				: AF_INET6,
			    resolver->servers[i].octets, text, sizeof(text));
			fprintf(out, "%s \"%s@%u\"", i > 0 ? "," : "", text,
			    resolver->servers[i].port);
		}
		fputs(" }\n", out);
	}
	if (resolver->recursive)
		fputs("set resolver recursive\n", out);
	if (resolver->ninsecure > 0) {
		fputs("set domain-insecure {", out);
		for (i = 0; i < resolver->ninsecure; i++) {
			fputs(i > 0 ? ", " : " ", out);
			print_quoted(out, resolver->insecure[i].text);
		}
		fputs(" }\n", out);
	}
	if (resolver->trust_anchor_path != NULL) {
		fputs("set", out);
		print_option(out, "trust-anchor", resolver->trust_anchor_path);
		putc('\n', out);
	}
}

static void
print_set(const struct conf *conf, const struct conf *base, FILE *out)
{
	if (conf->server_name != NULL) {
		fputs("set", out);
		print_option(out, "server-name", conf->server_name);
		putc('\n', out);
	}
	print_paths(conf, base, out);
	if (conf->workers.smtpd != 0)
		fprintf(out, "set workers smtpd %u\n", conf->workers.smtpd);
	if (conf->workers.deliver != 0)
		fprintf(out, "set workers deliver %u\n", conf->workers.deliver);
	if (conf->retry.min != base->retry.min ||
	    conf->retry.max != base->retry.max) {
		fputs("set retry min ", out);
		print_duration(out, conf->retry.min);
		fputs(" max ", out);
		print_duration(out, conf->retry.max);
		putc('\n', out);
	}
	if (conf->mta.port != base->mta.port)
		fprintf(out, "set mx-port %u\n", conf->mta.port);
	if (conf->mta.allow_loopback)
		fputs("set mx-loopback yes\n", out);
	print_resolver(conf, out);
}

int
print_settings(const struct conf *conf, FILE *out)
{
	struct conf *base;

	if ((base = conf_new()) == NULL)
		return -1;
	print_set(conf, base, out);
	if (conf->admd != NULL) {
		fputs("admd ", out);
		print_quoted(out, conf->admd);
		putc('\n', out);
	}
	print_smtp(conf, base, out);
	print_mta(conf, base, out);
	print_limits_line(out, "mda limit", &shape_mda, &conf->mda, &base->mda);
	print_limits_line(out, "scheduler limit", &shape_scheduler,
	    &conf->scheduler, &base->scheduler);
	print_queue(conf, base, out);
	print_srs(conf, base, out);
	conf_free(base);
	return 0;
}
