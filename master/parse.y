/*
 * The grammar of relais.conf: that of smtpd.conf(5) as OpenSMTPD 7 has it,
 * with our additions. A rule says how words may follow each other and calls a
 * builder; what they mean and whether they fit stands in build_*.c and
 * check.c. Words of ours that OpenSMTPD does not reserve are no tokens, so
 * that a table may still be called `recipients` (see relay_word()).
 */
%require "3.7"
%define api.pure full
%define api.location.type {struct conf_where}
%define parse.error custom
%define parse.lac full
%locations
%param {struct parser *p}
%expect 0

%code requires {
#include <stdio.h>

#include "conf/conf.h"

struct parser;
}

%code provides {
/*
 * Reads the configuration file `path` and all that it includes. macros are
 * "name=value" strings that win over those of the file, ended by NULL; NULL
 * for none. Errors and warnings go to `errors`, a line each, as
 * file:line:column. NULL if there was an error.
 */
struct conf *conf_parse(const char *path, const char *const *macros,
    FILE *errors);

/* The same for a text in memory, which cannot include files. `name` stands
 * for the file in messages. */
struct conf *conf_parse_text(const char *name, const char *text, size_t len,
    const char *const *macros, FILE *errors);
}

%code {
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/fields.h"
#include "master/parser.h"

#define YYLLOC_DEFAULT(current, rhs, n)					\
	((current) = YYRHSLOC(rhs, (n) > 0 ? 1 : 0))

int yylex(YYSTYPE *, struct conf_where *, struct parser *);

/* Only called when the parser itself runs out of memory. */
static void
yyerror(const struct conf_where *where, struct parser *p, const char *message)
{
	parse_error(p, where, "%s", message);
}
}

%union {
	const char *string;
	int number;
}

%token END 0 "end of file"
%token EOL "end of line"
%token <string> STRING "a word"
%token ARROW "=>"
%token SET "set"
%token ACTION "action" ADMD "admd" ALIAS "alias" ANY "any" AUTH "auth"
%token AUTH_OPTIONAL "auth-optional" BACKUP "backup" BOUNCE "bounce"
%token BYPASS "bypass" CA "ca" CERT "cert" CHAIN "chain" CHROOT "chroot"
%token CIPHERS "ciphers" COMMIT "commit" COMPRESSION "compression"
%token CONNECT "connect" DATA "data" DHE "dhe" DISCONNECT "disconnect"
%token DOMAIN_ "domain" EHLO "ehlo" ENCRYPTION "encryption"
%token EXPAND_ONLY "expand-only" FCRDNS "fcrdns" FILTER "filter" FOR "for"
%token FORWARD_ONLY "forward-only" FROM "from" GROUP "group" HELO "helo"
%token HELO_SRC "helo-src" HOST "host" HOSTNAME "hostname"
%token HOSTNAMES "hostnames" INCLUDE "include" INET4 "inet4" INET6 "inet6"
%token JUNK "junk" KEY "key" LIMIT "limit" LISTEN "listen" LMTP "lmtp"
%token LOCAL "local" MAIL_FROM "mail-from" MAILDIR "maildir"
%token MASK_SRC "mask-src" MASQUERADE "masquerade" MATCH "match"
%token MAX_DEFERRED "max-deferred" MAX_MESSAGE_SIZE "max-message-size"
%token MBOX "mbox" MDA "mda" MTA "mta" MX "mx" NO_DSN "no-dsn"
%token NO_VERIFY "no-verify" ON "on" PHASE "phase" PKI "pki" PORT "port"
%token PROC "proc" PROC_EXEC "proc-exec" PROTOCOLS "protocols"
%token PROXY_V2 "proxy-v2" QUEUE "queue" RCPT_TO "rcpt-to" RDNS "rdns"
%token RECEIVED_AUTH "received-auth" REGEX "regex" REJECT "reject"
%token RELAY "relay" REPORT "report" REWRITE "rewrite"
%token SCHEDULER "scheduler" SENDERS "senders" SMTP "smtp" SMTPS "smtps"
%token SOCKET "socket" SRC "src" SRS "srs" SUB_ADDR_DELIM "sub-addr-delim"
%token TABLE "table" TAG "tag" TLS "tls" TLS_REQUIRE "tls-require" TTL "ttl"
%token USER "user" USERBASE "userbase" VERIFY "verify" VIRTUAL "virtual"
%token WARN_INTERVAL "warn-interval" WRAPPER "wrapper"

%type <string> table port optional_table
%type <number> not regex verify junk rcpt_to phase

%%

configuration	: %empty
		| configuration EOL
		| configuration statement EOL
		| configuration INCLUDE STRING EOL {
			lex_include(p, &@2, $3);
		}
		| configuration error EOL {
			yyerrok;
		}
		;

statement	: STRING '=' STRING {
			lex_macro_set(p, &@1, $1, $3, false);
		}
		| SET STRING { items_reset(p); } set_values {
			setting_apply(p, &@2, $2);
		}
		| ADMD STRING {
			set_string(p, &@1, &p->conf->admd, "admd", $2);
			p->conf->admd_where = @1;
		}
		| BOUNCE WARN_INTERVAL { p->nwarn = 0; } bounce_delays
		| CA STRING CERT STRING { ca_define(p, &@2, $2, $4); }
		| MDA LIMIT mda_limits
		| MDA WRAPPER STRING STRING {
			wrapper_define(p, &@3, $3, $4);
		}
		| MTA MAX_DEFERRED STRING {
			parse_number(p, &@3, $3, 0, UINT32_MAX,
			    &p->conf->mta.max_deferred);
			p->conf->mta.where = @1;
		}
		| MTA LIMIT { mta_limit_begin(p, &@1, NULL); } mta_limits
		| MTA LIMIT FOR DOMAIN_ STRING {
			mta_limit_begin(p, &@1, $5);
		} mta_limits
		| PKI STRING { pki_begin(p, &@2, $2); } pki_options
		| PROC STRING STRING {
			proc_begin(p, &@2, $2, $3);
		} proc_options
		| QUEUE queue
		| SCHEDULER LIMIT scheduler_limits
		| SMTP smtp
		| SRS srs
		| listen { listener_end(p); }
		| TABLE STRING STRING {
			table_define_source(p, &@2, $2, $3);
		}
		| TABLE STRING list { table_define_items(p, &@2, $2); }
		| ACTION STRING { action_begin(p, &@2, $2); } method {
			action_end(p);
		}
		| MATCH { match_begin(p, &@1); } conditions verdict
		| FILTER filter
		;

/* ---- lists and tables ---- */

list		: '{' { items_reset(p); } items '}'
		;

items		: %empty
		| items ','
		| items STRING { item_add(p, &@2, $2, NULL); }
		| items STRING assign STRING { item_add(p, &@2, $2, $4); }
		;

assign		: '='
		| ARROW
		;

table		: STRING { $$ = table_use_value(p, &@1, $1); }
		| '<' STRING '>' { $$ = table_use_name(p, &@2, $2); }
		| list { $$ = table_use_items(p, &@1); }
		;

optional_table	: %empty { $$ = NULL; }
		| table
		;

not		: %empty { $$ = 0; }
		| '!' { $$ = 1; }
		;

regex		: %empty { $$ = 0; }
		| REGEX { $$ = 1; }
		;

verify		: %empty { $$ = 0; }
		| VERIFY { $$ = 1; }
		;

/* ---- settings ---- */

set_values	: %empty
		| set_values STRING { item_add(p, &@2, $2, NULL); }
		| set_values '{' items '}'
		;

bounce_delays	: STRING { bounce_delay(p, &@1, $1); }
		| bounce_delays ',' STRING { bounce_delay(p, &@3, $3); }
		;

mda_limits	: %empty
		| mda_limits STRING STRING {
			limit_set(p, &@2, &shape_mda, &p->conf->mda, $2, $3);
			p->conf->mda.where = @2;
		}
		;

scheduler_limits: %empty
		| scheduler_limits STRING STRING {
			limit_set(p, &@2, &shape_scheduler,
			    &p->conf->scheduler, $2, $3);
			p->conf->scheduler.where = @2;
		}
		;

mta_limits	: %empty
		| mta_limits INET4 { p->limit->family = CONF_INET4; }
		| mta_limits INET6 { p->limit->family = CONF_INET6; }
		| mta_limits STRING STRING {
			limit_set(p, &@2, &shape_mta_limit, p->limit, $2, $3);
		}
		;

smtp_limits	: %empty
		| smtp_limits STRING STRING {
			limit_set(p, &@2, &shape_smtp, &p->conf->smtp, $2,
			    $3);
		}
		;

smtp		: LIMIT smtp_limits
		| CIPHERS STRING {
			set_string(p, &@1, &p->conf->smtp.ciphers, "ciphers",
			    $2);
		}
		| MAX_MESSAGE_SIZE STRING {
			parse_size(p, &@2, $2,
			    &p->conf->smtp.max_message_size);
		}
		| SUB_ADDR_DELIM STRING { smtp_delimiter(p, &@2, $2); }
		;

queue		: COMPRESSION {
			p->conf->queue.compression = true;
			p->conf->queue.where = @1;
		}
		| ENCRYPTION {
			p->conf->queue.encryption = true;
			p->conf->queue.encryption_where = @1;
		}
		| ENCRYPTION STRING {
			p->conf->queue.encryption = true;
			p->conf->queue.encryption_where = @1;
			set_string(p, &@1, &p->conf->queue.encryption_key,
			    "encryption", strcmp($2, "-") == 0 ? "stdin" : $2);
		}
		| TTL STRING {
			parse_duration(p, &@2, $2, &p->conf->queue.ttl);
		}
		;

srs		: KEY STRING {
			set_string(p, &@1, &p->conf->srs.key, "srs key", $2);
			p->conf->srs.where = @1;
		}
		| KEY BACKUP STRING {
			set_string(p, &@1, &p->conf->srs.key_backup,
			    "srs key backup", $3);
		}
		| TTL STRING {
			parse_duration(p, &@2, $2, &p->conf->srs.ttl);
		}
		;

pki_options	: %empty
		| pki_options CERT STRING {
			set_string(p, &@2, &p->pki->cert_path, "cert", $3);
		}
		| pki_options KEY STRING {
			set_string(p, &@2, &p->pki->key_path, "key", $3);
		}
		| pki_options DHE STRING { pki_dhe(p, &@3, $3); }
		;

proc_options	: %empty
		| proc_options USER STRING {
			set_string(p, &@2, &p->proc->user, "user", $3);
		}
		| proc_options GROUP STRING {
			set_string(p, &@2, &p->proc->group, "group", $3);
		}
		| proc_options CHROOT STRING {
			set_string(p, &@2, &p->proc->chroot, "chroot", $3);
		}
		;

/* ---- listeners ---- */

listen		: LISTEN ON SOCKET {
			listener_begin(p, &@1, NULL);
		} socket_options
		| LISTEN ON STRING {
			listener_begin(p, &@1, $3);
		} listen_options
		;

socket_options	: %empty
		| socket_options socket_option
		;

listen_options	: %empty
		| listen_options socket_option
		| listen_options listen_option
		;

socket_option	: FILTER STRING {
			filter_name(p, &@2, $2, &p->listener->filters,
			    &p->listener->nfilters);
		}
		| FILTER list {
			items_take_names(p, &@2, REF_FILTER,
			    &p->listener->filters, &p->listener->nfilters);
		}
		| MASK_SRC {
			set_flag(p, &@1, &p->listener->mask_src, "mask-src");
		}
		| NO_DSN {
			set_flag(p, &@1, &p->listener->no_dsn, "no-dsn");
		}
		| TAG STRING {
			set_string(p, &@1, &p->listener->tag, "tag", $2);
		}
		;

listen_option	: INET4 { listener_family(p, &@1, CONF_INET4); }
		| INET6 { listener_family(p, &@1, CONF_INET6); }
		| PORT port { listener_port(p, &@2, $2); }
		| SMTPS verify {
			listener_tls(p, &@1, CONF_LISTEN_SMTPS, $2);
		}
		| TLS { listener_tls(p, &@1, CONF_LISTEN_TLS, false); }
		| TLS_REQUIRE verify {
			listener_tls(p, &@1, CONF_LISTEN_TLS_REQUIRE, $2);
		}
		| CIPHERS STRING {
			set_string(p, &@1, &p->listener->ciphers, "ciphers",
			    $2);
		}
		| PROTOCOLS STRING {
			set_string(p, &@1, &p->listener->protocols,
			    "protocols", $2);
		}
		| PKI STRING { listener_pki(p, &@2, $2); }
		| CA STRING {
			set_reference(p, &@2, &p->listener->ca, "ca", REF_CA,
			    $2);
		}
		| AUTH optional_table {
			listener_auth(p, &@1, CONF_AUTH_REQUIRE, $2);
		}
		| AUTH_OPTIONAL optional_table {
			listener_auth(p, &@1, CONF_AUTH_OPTIONAL, $2);
		}
		| HOSTNAME STRING {
			set_host_name(p, &@2, &p->listener->hostname,
			    "hostname", $2);
		}
		| HOSTNAMES table {
			set_string(p, &@1, &p->listener->hostnames,
			    "hostnames", $2);
		}
		| MAX_MESSAGE_SIZE STRING { listener_size(p, &@2, $2); }
		| RECEIVED_AUTH {
			set_flag(p, &@1, &p->listener->received_auth,
			    "received-auth");
		}
		| PROXY_V2 {
			set_flag(p, &@1, &p->listener->proxy_v2, "proxy-v2");
		}
		| SENDERS table {
			set_string(p, &@1, &p->listener->senders, "senders",
			    $2);
		}
		| SENDERS table MASQUERADE {
			set_string(p, &@1, &p->listener->senders, "senders",
			    $2);
			set_flag(p, &@3, &p->listener->masquerade,
			    "masquerade");
		}
		;

port		: STRING
		| SMTP { $$ = "smtp"; }
		| SMTPS { $$ = "smtps"; }
		| LMTP { $$ = "lmtp"; }
		;

/* ---- actions ---- */

method		: MBOX { action_kind(p, CONF_ACTION_MBOX); } local_options
		| MAILDIR junk {
			action_kind(p, CONF_ACTION_MAILDIR);
			p->action->local.junk = $2;
		} local_options
		| MAILDIR STRING junk {
			action_kind(p, CONF_ACTION_MAILDIR);
			local_format(p, &@2, &p->action->local.path, $2);
			p->action->local.junk = $3;
		} local_options
		| LMTP STRING rcpt_to {
			action_kind(p, CONF_ACTION_LMTP);
			local_lmtp(p, &@2, $2, $3);
		} local_options
		| MDA STRING {
			action_kind(p, CONF_ACTION_MDA);
			local_format(p, &@2, &p->action->local.command,
			    $2);
		} local_options
		| EXPAND_ONLY {
			action_kind(p, CONF_ACTION_EXPAND_ONLY);
		} local_options
		| FORWARD_ONLY {
			action_kind(p, CONF_ACTION_FORWARD_ONLY);
		} local_options
		| RELAY { action_kind(p, CONF_ACTION_RELAY); } relay_options
		;

junk		: %empty { $$ = 0; }
		| JUNK { $$ = 1; }
		;

rcpt_to		: %empty { $$ = 0; }
		| RCPT_TO { $$ = 1; }
		;

local_options	: %empty
		| local_options local_option
		| local_options TTL STRING { action_ttl(p, &@3, $3); }
		;

local_option	: USER STRING { local_user(p, &@1, $2); }
		| ALIAS table {
			local_aliases(p, &@1, &p->action->local.alias,
			    "alias", $2);
		}
		| VIRTUAL table {
			local_aliases(p, &@1, &p->action->local.virtual_table,
			    "virtual", $2);
		}
		| USERBASE table {
			set_string(p, &@1, &p->action->local.userbase,
			    "userbase", $2);
		}
		| WRAPPER STRING {
			set_reference(p, &@2, &p->action->local.wrapper,
			    "wrapper", REF_WRAPPER, $2);
		}
		;

relay_options	: %empty
		| relay_options relay_option
		| relay_options TTL STRING { action_ttl(p, &@3, $3); }
		| relay_options STRING { relay_word(p, &@2, $2); }
		| relay_options BOUNCE { relay_word(p, &@2, "bounce"); }
		| relay_options '<' STRING '>' {
			relay_table(p, &@3, table_use_name(p, &@3, $3));
		}
		| relay_options list {
			relay_table(p, &@2, table_use_items(p, &@2));
		}
		;

relay_option	: HELO STRING {
			set_host_name(p, &@2, &p->action->relay.helo, "helo",
			    $2);
		}
		| HELO_SRC table {
			set_string(p, &@1, &p->action->relay.helo_src,
			    "helo-src", $2);
		}
		| PKI STRING {
			set_reference(p, &@2, &p->action->relay.pki, "pki",
			    REF_PKI, $2);
		}
		| CA STRING {
			set_reference(p, &@2, &p->action->relay.ca, "ca",
			    REF_CA, $2);
		}
		| CIPHERS STRING {
			set_string(p, &@1, &p->action->relay.ciphers,
			    "ciphers", $2);
		}
		| PROTOCOLS STRING {
			set_string(p, &@1, &p->action->relay.protocols,
			    "protocols", $2);
		}
		| SRC table {
			set_string(p, &@1, &p->action->relay.src, "src", $2);
		}
		| MAIL_FROM STRING {
			relay_mail_from(p, &@2, $2);
		}
		| BACKUP { relay_backup(p, &@1, NULL); }
		| BACKUP MX STRING { relay_backup(p, &@1, $3); }
		| HOST table {
			set_string(p, &@1, &p->action->relay.host, "host",
			    $2);
		}
		| DOMAIN_ table {
			set_string(p, &@1, &p->action->relay.domain, "domain",
			    $2);
		}
		| TLS { relay_tls(p, &@1, CONF_RELAY_TLS_REQUIRE); }
		| TLS NO_VERIFY {
			relay_tls(p, &@1, CONF_RELAY_TLS_NO_VERIFY);
		}
		| AUTH table {
			set_string(p, &@1, &p->action->relay.auth, "auth",
			    $2);
		}
		| FILTER STRING {
			filter_name(p, &@2, $2, &p->action->relay.filters,
			    &p->action->relay.nfilters);
		}
		| FILTER list {
			items_take_names(p, &@2, REF_FILTER,
			    &p->action->relay.filters,
			    &p->action->relay.nfilters);
		}
		| SRS {
			set_flag(p, &@1, &p->action->relay.srs, "srs");
		}
		;

/* ---- rules ---- */

conditions	: %empty
		| conditions condition
		;

condition	: not FROM ANY {
			match_condition(p, &@2, $1, CONF_FROM_ANY, 0, NULL);
		}
		| not FROM LOCAL {
			match_condition(p, &@2, $1, CONF_FROM_LOCAL, 0, NULL);
		}
		| not FROM SOCKET {
			match_condition(p, &@2, $1, CONF_FROM_SOCKET, 0,
			    NULL);
		}
		| not FROM SRC regex table {
			match_condition(p, &@2, $1, CONF_FROM_SRC, $4, $5);
		}
		| not FROM RDNS {
			match_condition(p, &@2, $1, CONF_FROM_RDNS, 0, NULL);
		}
		| not FROM RDNS regex table {
			match_condition(p, &@2, $1, CONF_FROM_RDNS, $4, $5);
		}
		| not FROM AUTH {
			match_condition(p, &@2, $1, CONF_FROM_AUTH, 0, NULL);
		}
		| not FROM AUTH regex table {
			match_condition(p, &@2, $1, CONF_FROM_AUTH, $4, $5);
		}
		| not FROM MAIL_FROM regex table {
			match_condition(p, &@2, $1, CONF_FROM_MAIL_FROM, $4,
			    $5);
		}
		| not FOR ANY {
			match_condition(p, &@2, $1, CONF_FOR_ANY, 0, NULL);
		}
		| not FOR LOCAL {
			match_condition(p, &@2, $1, CONF_FOR_LOCAL, 0, NULL);
		}
		| not FOR DOMAIN_ regex table {
			match_condition(p, &@2, $1, CONF_FOR_DOMAIN, $4, $5);
		}
		| not FOR RCPT_TO regex table {
			match_condition(p, &@2, $1, CONF_FOR_RCPT_TO, $4, $5);
		}
		| not TAG regex table {
			match_condition(p, &@2, $1, CONF_IF_TAG, $3, $4);
		}
		| not HELO regex table {
			match_condition(p, &@2, $1, CONF_IF_HELO, $3, $4);
		}
		| not AUTH {
			match_condition(p, &@2, $1, CONF_IF_AUTH, 0, NULL);
		}
		| not AUTH regex table {
			match_condition(p, &@2, $1, CONF_IF_AUTH, $3, $4);
		}
		| not TLS {
			match_condition(p, &@2, $1, CONF_IF_TLS, 0, NULL);
		}
		| not MAIL_FROM regex table {
			match_condition(p, &@2, $1, CONF_IF_MAIL_FROM, $3,
			    $4);
		}
		| not RCPT_TO regex table {
			match_condition(p, &@2, $1, CONF_IF_RCPT_TO, $3, $4);
		}
		;

verdict		: REJECT { match_end(p, &@1, NULL); }
		| ACTION STRING { match_end(p, &@2, $2); }
		| ACTION STRING STRING {
			match_end(p, &@2, $2);
			match_word(p, &@3, $3);
		}
		;

/* ---- filters ---- */

filter		: STRING PROC STRING {
			filter_begin(p, &@1, $1, CONF_FILTER_PROC);
			set_reference(p, &@3, &p->filter->proc, "proc",
			    REF_PROC, $3);
		}
		| STRING PROC_EXEC STRING {
			filter_begin(p, &@1, $1, CONF_FILTER_PROC_EXEC);
			filter_exec(p, &@1, $3);
		} proc_options
		| STRING CHAIN list {
			filter_begin(p, &@1, $1, CONF_FILTER_CHAIN);
			items_take_names(p, &@3, REF_FILTER,
			    &p->filter->chain, &p->filter->nchain);
		}
		| STRING PHASE phase MATCH {
			filter_begin(p, &@1, $1, CONF_FILTER_PHASE);
			p->filter->phase = $3;
		} test decision {
			filter_phase_end(p, &@3);
		}
		;

phase		: CONNECT { $$ = CONF_PHASE_CONNECT; }
		| HELO { $$ = CONF_PHASE_HELO; }
		| EHLO { $$ = CONF_PHASE_EHLO; }
		| AUTH { $$ = CONF_PHASE_AUTH; }
		| MAIL_FROM { $$ = CONF_PHASE_MAIL_FROM; }
		| RCPT_TO { $$ = CONF_PHASE_RCPT_TO; }
		| DATA { $$ = CONF_PHASE_DATA; }
		| COMMIT { $$ = CONF_PHASE_COMMIT; }
		;

test		: not FCRDNS {
			filter_test(p, $1, CONF_TEST_FCRDNS, 0, NULL);
		}
		| not RDNS {
			filter_test(p, $1, CONF_TEST_RDNS, 0, NULL);
		}
		| not RDNS regex table {
			filter_test(p, $1, CONF_TEST_RDNS, $3, $4);
		}
		| not SRC regex table {
			filter_test(p, $1, CONF_TEST_SRC, $3, $4);
		}
		| not HELO regex table {
			filter_test(p, $1, CONF_TEST_HELO, $3, $4);
		}
		| not AUTH {
			filter_test(p, $1, CONF_TEST_AUTH, 0, NULL);
		}
		| not AUTH regex table {
			filter_test(p, $1, CONF_TEST_AUTH, $3, $4);
		}
		| not MAIL_FROM regex table {
			filter_test(p, $1, CONF_TEST_MAIL_FROM, $3, $4);
		}
		| not RCPT_TO regex table {
			filter_test(p, $1, CONF_TEST_RCPT_TO, $3, $4);
		}
		;

decision	: BYPASS { filter_decide(p, CONF_DECISION_BYPASS, NULL); }
		| JUNK { filter_decide(p, CONF_DECISION_JUNK, NULL); }
		| DISCONNECT STRING {
			filter_decide(p, CONF_DECISION_DISCONNECT, $2);
		}
		| REJECT STRING {
			filter_decide(p, CONF_DECISION_REJECT, $2);
		}
		| REPORT STRING {
			filter_decide(p, CONF_DECISION_REPORT, $2);
		}
		| REWRITE STRING {
			filter_decide(p, CONF_DECISION_REWRITE, $2);
		}
		;

%%

/* Every keyword token has its word as its name, so no other list is needed. */
int
parse_keyword(const char *word)
{
	int token;

	for (token = SET; token <= WRAPPER; token++)
		if (strcmp(yysymbol_name(YYTRANSLATE(token)), word) == 0)
			return token;
	return 0;
}

static int
yyreport_syntax_error(const yypcontext_t *context, struct parser *p)
{
	yysymbol_kind_t kinds[YYNTOKENS], found;
	const char *names[YYNTOKENS];
	int i, n;

	n = yypcontext_expected_tokens(context, kinds, YYNTOKENS);
	if (n < 0)
		return n;
	for (i = 0; i < n; i++)
		names[i] = yysymbol_name(kinds[i]);
	found = yypcontext_token(context);
	advice_syntax(p, yypcontext_location(context),
	    found == YYSYMBOL_YYEMPTY ? "" : yysymbol_name(found), names, n);
	return 0;
}

static void
parser_release(struct parser *p)
{
	uint32_t i;

	lex_end(p);
	items_reset(p);
	free(p->items);
	for (i = 0; i < p->nwords; i++) {
		explicit_bzero(p->words[i], strlen(p->words[i]));
		free(p->words[i]);
	}
	free(p->words);
	for (i = 0; i < p->nmacros; i++) {
		free(p->macros[i].name);
		free(p->macros[i].value);
	}
	free(p->macros);
	for (i = 0; i < p->nreferences; i++)
		free(p->references[i].name);
	free(p->references);
}

/* Macros of the command line: "name=value". */
static void
parser_macros(struct parser *p, const char *const *macros)
{
	static const struct conf_where nowhere;
	const char *equals;
	char *name;

	for (; macros != NULL && *macros != NULL; macros++) {
		if ((equals = strchr(*macros, '=')) == NULL ||
		    equals == *macros) {
			parse_error(p, &nowhere, "-D %s: write name=value",
			    *macros);
			continue;
		}
		if ((name = strndup(*macros, (size_t)(equals - *macros))) ==
		    NULL) {
			parse_out_of_memory(p);
			return;
		}
		lex_macro_set(p, &nowhere, name, equals + 1, true);
		free(name);
	}
}

/* Parses the frame that was pushed. */
static struct conf *
parser_run(struct parser *p, const char *const *macros)
{
	struct conf *conf;

	parser_macros(p, macros);
	if (p->frame != NULL && yyparse(p) == 2)
		parse_out_of_memory(p);
	/* What a line that was not understood defines would be missed. */
	if (p->nsyntax == 0 && p->frame != NULL)
		check_tree(p);
	conf = p->conf;
	if (p->nerrors + p->nsyntax > 0) {
		conf_free(conf);
		conf = NULL;
	}
	parser_release(p);
	return conf;
}

struct conf *
conf_parse_text(const char *name, const char *text, size_t len,
    const char *const *macros, FILE *errors)
{
	struct parser p = { .errors = errors };

	if ((p.conf = conf_new()) == NULL) {
		fprintf(errors, "%s: out of memory\n", name);
		return NULL;
	}
	lex_push_text(&p, name, text, len, NULL);
	return parser_run(&p, macros);
}

struct conf *
conf_parse(const char *path, const char *const *macros, FILE *errors)
{
	static const struct conf_where nowhere;
	struct parser p = { .errors = errors, .may_include = true };

	if ((p.conf = conf_new()) == NULL) {
		fprintf(errors, "%s: out of memory\n", path);
		return NULL;
	}
	lex_include(&p, &nowhere, path);
	return parser_run(&p, macros);
}
