/*
 * common/conf: a tree that uses the whole grammar, through the codec, through
 * every slice, and through its canonical form.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/codec.h"
#include "conf/print.h"
#include "master/parse.h"

#define KEY_PEM "-----BEGIN PRIVATE KEY----- needle-key"
#define CERT_PEM "-----BEGIN CERTIFICATE----- needle-cert"
#define CA_PEM "-----BEGIN CERTIFICATE----- needle-ca"

static const char text[] =
    "set server-name needle-server.example.org\n"
    "set spool \"/needle-spool\"\n"
    "set libexec \"/needle-libexec\"\n"
    "set resolver { 192.0.2.53@5353, ::1 }\n"
    "set domain-insecure { needle-insecure.example }\n"
    "set trust-anchor \"/needle-anchor\"\n"
    "set retry min 1m max 2h\n"
    "set workers deliver 3\n"
    "admd needle-admd\n"
    "queue encryption needle-queue-key\n"
    "srs key needle-srs\n"
    "smtp limit max-rcpt 77\n"
    "mta limit for domain needle-limit.example.org session-mail-max 7\n"
    "mta limit inet4\n"
    "pki mx.example.org cert /needle-cert-path key /needle-key-path dhe auto\n"
    "ca roots cert /needle-ca-path\n"
    "table \"file\" file:/needle-table-path\n"
    "table \"virtual\" { needle-virtual = joe }\n"
    "table \"sql\" sqlite:/needle-sql-path\n"
    "proc one needle-proc user joe group joe chroot /x\n"
    "filter a proc one\n"
    "filter b proc-exec needle-exec\n"
    "filter c chain { a, b }\n"
    "filter d phase connect match src <file> reject \"550 needle-reject\"\n"
    "mda wrapper w needle-wrapper\n"
    "listen on needle-if inet6 port 2525 tls-require verify pki "
    "mx.example.org ca roots auth { joe = \"$needle-hash\" } tag T hostname "
    "h.example.org hostnames { \"::1\" = needle-name.example.org } senders { "
    "joe = joe } masquerade proxy-v2 mask-src no-dsn received-auth filter { "
    "a, d } ciphers X protocols Y max-message-size 3M\n"
    "listen on 192.0.2.1\n"
    "action l mbox alias { joe = needle-alias } ttl 2d\n"
    "action m maildir needle-maildir junk virtual <virtual> user needle-user\n"
    "action n mda needle-command userbase <sql>\n"
    "action o lmtp /needle-socket rcpt-to wrapper w\n"
    "action r relay host { \"smtps://isp@needle-host\" } auth { isp = "
    "\"joe:needle-password\" } src { 192.0.2.9 } helo-src { \"192.0.2.9\" = "
    "needle-helo } tls pki mx.example.org ca roots mail-from "
    "needle-from@example.org filter c srs retry max 9h\n"
    "action s relay backup mx needle-mx recipients { needle-recipient@a.org } "
    "call-ahead unknown tempfail refused drop\n"
    "action t relay domain { \"needle-domain\" = \"smtp://relay\" }\n"
    "match from src { 192.0.2.77 } for domain <file> tag T action l\n"
    "match !from rdns regex \"needle-regex\" for any tls reject\n"
    "match from any for any auth action r open-relay\n"
    "match for domain a action m\n"
    "match for domain b action n\n"
    "match for domain c action o\n"
    "match for domain d action s\n"
    "match for domain e action t\n";

static char *
copy(const char *string)
{
	char *c = strdup(string);

	assert_non_null(c);
	return c;
}

/* The tree as master has it when all files are read. */
static struct conf *
tree(void)
{
	struct conf *conf;
	char *errors;
	size_t len;
	FILE *fp = open_memstream(&errors, &len);

	conf = conf_parse_text("test", text, sizeof(text) - 1, NULL, fp);
	fclose(fp);
	if (conf == NULL)
		print_error("%s", errors);
	free(errors);
	assert_non_null(conf);
	conf->pkis[0].cert_pem = copy(CERT_PEM);
	conf->pkis[0].key_pem = copy(KEY_PEM);
	conf->cas[0].ca_pem = copy(CA_PEM);
	conf->resolver.trust_anchor = copy("needle-anchor-text");
	return conf;
}

static void
codec_keeps_all(void **state)
{
	struct conf *conf = tree(), *again;
	char error[256] = "";
	uint8_t *data;
	size_t len;

	assert_int_equal(conf_encode(conf, &data, &len), 0);
	again = conf_decode(data, len, error, sizeof(error));
	assert_string_equal(error, "");
	assert_non_null(again);
	assert_true(conf_equal(conf, again));
	/* and conf_equal can tell */
	again->actions[0].ttl++;
	assert_false(conf_equal(conf, again));
	assert_int_equal(conf->nmatches, again->nmatches);
	assert_int_equal(
	    again->matches[1].where.line, conf->matches[1].where.line);
	conf_free(again);
	conf_free(conf);
	free(data);
}

static void
codec_refuses_each_cut(void **state)
{
	struct conf *conf = tree();
	char error[256];
	uint8_t *data, *cut;
	size_t len, i;

	assert_int_equal(conf_encode(conf, &data, &len), 0);
	for (i = 0; i < len; i++) {
		/* of its own, so that a read past it is seen */
		cut = malloc(i + 1);
		assert_non_null(cut);
		memcpy(cut, data, i);
		assert_null(conf_decode(cut, i, error, sizeof(error)));
		assert_string_not_equal(error, "");
		free(cut);
	}
	data = realloc(data, len + 1);
	assert_non_null(data);
	data[len] = 0;
	assert_null(conf_decode(data, len + 1, error, sizeof(error)));
	assert_non_null(strstr(error, "after its end"));
	conf_free(conf);
	free(data);
}

/* Any octet changed: an error or another tree, never a crash. */
static void
codec_survives_each_change(void **state)
{
	static const uint8_t changes[] = { 0x01, 0x80, 0xff };
	struct conf *conf = tree(), *again;
	unsigned int refused = 0;
	char error[256];
	uint8_t *data;
	size_t len, i, j;

	assert_int_equal(conf_encode(conf, &data, &len), 0);
	for (i = 0; i < len; i++)
		for (j = 0; j < sizeof(changes); j++) {
			data[i] ^= changes[j];
			again = conf_decode(data, len, error, sizeof(error));
			refused += again == NULL;
			conf_free(again);
			data[i] ^= changes[j];
		}
	assert_true(refused > len / 2);
	conf_free(conf);
	free(data);
}

static void
codec_keeps_the_limits(void **state)
{
	struct conf *conf = tree();
	uint8_t *data;
	size_t len;
	char *name = malloc(CONF_NAME_MAX + 2);

	assert_non_null(name);
	memset(name, 'a', CONF_NAME_MAX + 1);
	name[CONF_NAME_MAX + 1] = '\0';
	free(conf->actions[0].name);
	conf->actions[0].name = name;
	assert_int_equal(conf_encode(conf, &data, &len), -1);
	assert_int_equal(errno, EMSGSIZE);
	name[CONF_NAME_MAX] = '\0';
	assert_int_equal(conf_encode(conf, &data, &len), 0);
	free(data);
	conf_free(conf);
}

#define S (1 << PROC_SMTPD)
#define Q (1 << PROC_QUEUE)
#define D (1 << PROC_DELIVER)
#define A (1 << PROC_AUTH)
#define K (1 << PROC_KEYS)
#define R (1 << PROC_RESOLVER)

/* Who may see what, each by a text that stands nowhere else. */
static const struct {
	const char *needle;
	int seen;
} needles[] = {
	{ "needle-server", S | Q | D | A },
	{ "needle-spool", Q },
	{ "needle-libexec", 0 },
	{ "needle-insecure.example", R },
	{ "/needle-anchor", 0 },
	{ "needle-anchor-text", R },
	{ "needle-admd", S },
	{ "needle-queue-key", Q },
	{ "needle-srs", Q },
	{ "needle-limit", Q | D },
	{ "needle-key-path", 0 },
	{ "needle-cert-path", 0 },
	{ "needle-ca-path", 0 },
	{ "BEGIN PRIVATE KEY", K },
	{ "needle-key", K },
	{ "----- needle-cert", S | D | K },
	{ "----- needle-ca", S | D },
	{ "needle-table-path", A },
	{ "needle-virtual", A },
	{ "needle-sql-path", A },
	{ "needle-proc", 0 },
	{ "needle-exec", 0 },
	{ "needle-reject", S },
	{ "needle-wrapper", 0 },
	{ "needle-if", S },
	{ "needle-hash", A },
	/* hostnames is asked by smtpd through auth, helo-src by deliver */
	{ "needle-alias", A },
	{ "needle-maildir", 0 },
	{ "needle-user", Q | A },
	{ "needle-command", 0 },
	{ "/needle-socket", 0 },
	{ "needle-host", D | A },
	{ "needle-password", A },
	{ "needle-helo", D | A },
	{ "needle-from", D },
	{ "needle-mx", D },
	{ "needle-recipient", A },
	{ "needle-domain", D | A },
	{ "needle-regex", A },
	{ "192.0.2.77", A },
};

static void
slices_hold_what_they_may(void **state)
{
	struct conf *conf = tree();
	enum process_kind process;
	uint8_t *data;
	size_t len, i;

	for (process = PROC_SMTPD; process <= PROC_RESOLVER; process++) {
		assert_int_equal(conf_slice(conf, process, &data, &len), 0);
		for (i = 0; i < sizeof(needles) / sizeof(needles[0]); i++) {
			bool found = memmem(data, len, needles[i].needle,
					 strlen(needles[i].needle)) != NULL;
			bool may = (needles[i].seen & (1 << process)) != 0;

			if (found != may)
				fail_msg("%s %s %s", process_name(process),
				    found ? "sees" : "misses",
				    needles[i].needle);
		}
		free(data);
	}
	conf_free(conf);
}

static struct conf *
slice(const struct conf *conf, enum process_kind process)
{
	struct conf *part;
	char error[256];
	uint8_t *data;
	size_t len;

	assert_int_equal(conf_slice(conf, process, &data, &len), 0);
	part = conf_decode(data, len, error, sizeof(error));
	assert_non_null(part);
	free(data);
	return part;
}

static void
slices_can_be_worked_with(void **state)
{
	struct conf *conf = tree(), *part;
	const struct conf_action *action;

	part = slice(conf, PROC_SMTPD);
	assert_int_equal(part->nlisteners, conf->nlisteners);
	/* that there is a backup, and no more of it */
	assert_int_equal(part->nactions, 1);
	assert_true(part->actions[0].relay.backup);
	assert_null(part->actions[0].name);
	assert_null(part->actions[0].relay.backup_mx);
	assert_int_equal(part->ntables, conf->ntables);
	assert_int_equal(part->tables[0].nentries, 0);
	assert_int_equal(part->smtp.max_rcpt, 77);
	assert_null(part->pkis[0].key_pem);
	assert_string_equal(part->listeners[0].pkis[0].text, "mx.example.org");
	conf_free(part);

	part = slice(conf, PROC_DELIVER);
	assert_int_equal(part->nlisteners, 0);
	assert_int_equal(part->nmatches, 0);
	assert_int_equal(part->nactions, 3);
	action = conf_find_action(part, "r");
	assert_non_null(action);
	assert_null(action->relay.auth);
	assert_string_equal(
	    conf_find_table(part, action->relay.host)->entries[0].key,
	    "smtps://isp@needle-host");
	assert_null(conf_find_action(part, "l"));
	conf_free(part);

	part = slice(conf, PROC_AUTH);
	assert_int_equal(part->nmatches, conf->nmatches);
	assert_int_equal(part->nactions, conf->nactions);
	assert_int_equal(part->npkis, 0);
	assert_true(part->matches[2].open_relay);
	assert_string_equal(part->files[0].text, "test");
	conf_free(part);

	part = slice(conf, PROC_KEYS);
	assert_int_equal(part->npkis, 1);
	assert_string_equal(part->pkis[0].key_pem, KEY_PEM);
	assert_int_equal(part->ncas + part->ntables + part->nactions +
		part->nlisteners + part->nmatches,
	    0);
	conf_free(part);

	part = slice(conf, PROC_RESOLVER);
	assert_int_equal(part->resolver.nservers, 2);
	assert_int_equal(part->resolver.servers[0].port, 5353);
	assert_int_equal(part->resolver.ninsecure, 1);
	assert_int_equal(part->npkis + part->nactions, 0);
	conf_free(part);

	part = slice(conf, PROC_QUEUE);
	assert_int_equal(part->retry.min, 60);
	assert_int_equal(
	    conf_action_ttl(part, conf_find_action(part, "l")), 2 * 86400);
	assert_int_equal(
	    conf_action_ttl(part, conf_find_action(part, "s")), 30 * 86400);
	assert_int_equal(
	    conf_action_ttl(part, conf_find_action(part, "r")), 5 * 86400);
	conf_free(part);
	conf_free(conf);
}

static void
canonical_form_is_the_same_tree(void **state)
{
	struct conf *conf = tree(), *again;
	char *printed, *errors;
	size_t len, errlen;
	FILE *fp;

	fp = open_memstream(&printed, &len);
	assert_int_equal(conf_print(conf, fp), 0);
	fclose(fp);
	fp = open_memstream(&errors, &errlen);
	again = conf_parse_text("again", printed, len, NULL, fp);
	fclose(fp);
	if (again == NULL)
		print_error("%s\n%s", printed, errors);
	assert_non_null(again);
	/* what master reads from files is not printed */
	again->pkis[0].cert_pem = copy(CERT_PEM);
	again->pkis[0].key_pem = copy(KEY_PEM);
	again->cas[0].ca_pem = copy(CA_PEM);
	again->resolver.trust_anchor = copy("needle-anchor-text");
	assert_true(conf_equal(conf, again));
	free(printed);
	free(errors);
	conf_free(again);
	conf_free(conf);
}

static void
names_are_found(void **state)
{
	struct conf *conf = tree();
	const char *c, *rule = strstr(text, "match from src");
	char where[64], wanted[64];
	unsigned int line = 1;

	for (c = text; c < rule; c++)
		line += *c == '\n';
	snprintf(wanted, sizeof(wanted), "test:%u:1", line);
	assert_ptr_equal(conf_find_pki(conf, "MX.example.ORG"), &conf->pkis[0]);
	assert_null(conf_find_pki(conf, "mx"));
	assert_null(conf_find_pki(conf, NULL));
	assert_ptr_equal(conf_find_listener(conf, "T"), &conf->listeners[0]);
	assert_null(conf_find_listener(conf, "t"));
	assert_non_null(conf_find_table(conf, "file"));
	assert_null(conf_find_action(conf, "L"));
	assert_int_equal(conf_find_mta_limit(conf, "NEEDLE-limit.example.org")
			     ->session_mail_max,
	    7);
	assert_int_equal(conf_find_mta_limit(conf, "x")->session_mail_max, 100);
	assert_int_equal(
	    conf_find_mta_limit(conf, NULL)->session_mail_max, 100);
	conf_where_text(conf, &conf->matches[0].where, where, sizeof(where));
	assert_string_equal(where, wanted);
	conf_where_text(conf, &(struct conf_where){ 0 }, where, sizeof(where));
	assert_string_equal(where, "default");
	conf_free(conf);
}

static void
count_unbuilt(void *arg, const struct conf_where *where, const char *what)
{
	assert_string_not_equal(what, "");
	(*(unsigned int *)arg)++;
}

static void
unbuilt_is_told(void **state)
{
	static const char plain[] = "listen on lo0\naction l mbox\n"
				    "match for local action l\n";
	unsigned int told = 0;
	struct conf *conf = tree();

	/* admd, srs; encryption, sql, proc, 4 filters, wrapper; listen filter,
	 * masquerade, proxy; relay filter, srs, wrapper */
	assert_int_equal(conf_unbuilt(conf, count_unbuilt, &told), 16);
	assert_int_equal(told, 16);
	conf_free(conf);
	conf = conf_parse_text("plain", plain, sizeof(plain) - 1, NULL, stderr);
	assert_non_null(conf);
	assert_int_equal(conf_unbuilt(conf, count_unbuilt, &told), 0);
	conf_free(conf);
}

/* smtpd waits for the name of a client where a rule asks for it, however it
 * asks, and only there. */
static void
names_matter_to_rules_that_ask(void **state)
{
	static const struct {
		const char *rule;
		int matter;
	} rows[] = {
		{ "match for local action l", 0 },
		{ "match from any for domain a action l", 0 },
		{ "match from src { 192.0.2.1 } for domain a action l", 0 },
		{ "match helo { mx.a } for local action l", 0 },
		{ "match from auth for any action l", 0 },
		{ "match from rdns for domain a action l", 1 },
		{ "match !from rdns for domain a reject", 1 },
		{ "match from rdns { mx.a } for domain a action l", 1 },
		{ "match !from rdns { mx.a } for domain a reject", 1 },
		{ "match from rdns regex { \"^mx\" } for domain a reject", 1 },
		{ "match for domain a from rdns { mx.a } action l", 1 },
		{ "match for local action l\n"
		  "match from rdns { mx.a } for domain a action l\n"
		  "match from any for domain b action l",
		    1 },
	};
	struct conf *conf, *part;
	char config[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(config, sizeof(config), "action l mbox\n%s\n",
		    rows[i].rule);
		conf = conf_parse_text(
		    "rows", config, strlen(config), NULL, stderr);
		assert_non_null(conf);
		part = slice(conf, PROC_SMTPD);
		if (part->smtp.names_matter != rows[i].matter)
			fail_msg("%s", rows[i].rule);
		conf_free(part);
		conf_free(conf);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codec_keeps_all),
		cmocka_unit_test(codec_refuses_each_cut),
		cmocka_unit_test(codec_survives_each_change),
		cmocka_unit_test(codec_keeps_the_limits),
		cmocka_unit_test(slices_hold_what_they_may),
		cmocka_unit_test(slices_can_be_worked_with),
		cmocka_unit_test(canonical_form_is_the_same_tree),
		cmocka_unit_test(names_are_found),
		cmocka_unit_test(unbuilt_is_told),
		cmocka_unit_test(names_matter_to_rules_that_ask),
	};

	return cmocka_run_group_tests_name("conf_codec", tests, NULL, NULL);
}
