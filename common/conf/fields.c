/*
 * The rows behind fields.h. Read the right-hand column as the privilege
 * matrix of the configuration: S smtpd, Q queue, D deliver, A auth, K keys,
 * R resolver; master sees all. A private key stands in one row only.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "conf/fields.h"

#define N 0U
#define S (1U << PROC_SMTPD)
#define Q (1U << PROC_QUEUE)
#define D (1U << PROC_DELIVER)
#define A (1U << PROC_AUTH)
#define K (1U << PROC_KEYS)
#define R (1U << PROC_RESOLVER)
#define ALL (S | Q | D | A | K | R)

#define NAME_LIMIT CONF_NAME_MAX
#define TEXT_LIMIT 8192
#define PEM_LIMIT (4 << 20)
#define LIST_LIMIT 65536
#define ENTRIES_LIMIT 1000000

/* The rows. OF names the struct that a group of rows describes. */
#define ROW(ftype, field, flimit, fsee)                                       \
	{                                                                     \
		.name = #field, .type = ftype, .offset = offsetof(OF, field), \
		.limit = flimit, .see = fsee                                  \
	}
#define FLAG(field, fsee) ROW(FIELD_BOOL, field, 0, fsee)
#define NUM16(field, fsee) ROW(FIELD_U16, field, 0, fsee)
#define NUM(field, fsee) ROW(FIELD_U32, field, 0, fsee)
#define NUM_TO(field, most, fsee) ROW(FIELD_U32, field, most, fsee)
#define SECONDS(field, fsee) ROW(FIELD_SECONDS, field, 0, fsee)
#define NUM64(field, fsee) ROW(FIELD_U64, field, 0, fsee)
#define ENUM(field, last, fsee) ROW(FIELD_ENUM, field, last, fsee)
#define STR(field, flimit, fsee) ROW(FIELD_STRING, field, flimit, fsee)
#define WHERE ROW(FIELD_WHERE, where, 0, ALL)
#define TABLE(field, fservice, fsee)                                \
	{                                                           \
		.name = #field, .type = FIELD_TABLE,                \
		.offset = offsetof(OF, field), .limit = NAME_LIMIT, \
		.see = fsee, .service = fservice                    \
	}
#define STRUCT(field, fshape, fsee)                                         \
	{                                                                   \
		.name = #field, .type = FIELD_STRUCT,                       \
		.offset = offsetof(OF, field), .shape = fshape, .see = fsee \
	}
#define LIST(field, fshape, flimit, fsee)                                \
	{                                                                \
		.name = #field, .type = FIELD_LIST,                      \
		.offset = offsetof(OF, field),                           \
		.count_offset = offsetof(OF, n##field), .limit = flimit, \
		.shape = fshape, .see = fsee                             \
	}
#define SHAPE(label, fwanted)                                                  \
	const struct shape shape_##label = { .size = sizeof(OF),               \
		.fields = label##_fields,                                      \
		.nfields = sizeof(label##_fields) / sizeof(label##_fields[0]), \
		.wanted = fwanted }

/* Tables whose content deliver evaluates itself. */
#define DELIVER_SERVICES                                            \
	(1U << CONF_SERVICE_RELAYHOST | 1U << CONF_SERVICE_SOURCE | \
	    1U << CONF_SERVICE_ADDRNAME)
#define SECRET_SERVICES \
	(1U << CONF_SERVICE_CREDENTIALS | 1U << CONF_SERVICE_RELAY_AUTH)

static bool
table_wanted(const void *element, enum process_kind process)
{
	const struct conf_table *table = element;

	if (process == PROC_DELIVER)
		return (table->uses & DELIVER_SERVICES) != 0 &&
		    (table->uses & SECRET_SERVICES) == 0;
	return true;
}

static bool
action_wanted(const void *element, enum process_kind process)
{
	const struct conf_action *action = element;

	/* smtpd needs to know whether ETRN is of any use */
	if (process == PROC_SMTPD)
		return action->kind == CONF_ACTION_RELAY &&
		    action->relay.backup;
	return process != PROC_DELIVER || action->kind == CONF_ACTION_RELAY;
}

#define OF struct conf_string
static const struct field string_fields[] = {
	STR(text, TEXT_LIMIT, ALL),
};
static SHAPE(string, NULL);
#undef OF

#define OF struct conf_address
static const struct field address_fields[] = {
	ENUM(family, CONF_INET6, ALL),
	ROW(FIELD_OCTETS, octets, 16, ALL),
	NUM16(port, ALL),
	NUM(scope, ALL),
};
static SHAPE(address, NULL);
#undef OF

#define OF struct conf_listener
static const struct field listener_fields[] = {
	WHERE,
	FLAG(is_socket, S),
	STR(interface, NAME_LIMIT, S),
	ENUM(family, CONF_INET6, S),
	NUM16(port, S),
	LIST(addresses, &shape_address, LIST_LIMIT, S),
	ENUM(tls, CONF_LISTEN_SMTPS, S),
	FLAG(tls_verify, S),
	LIST(pkis, &shape_string, LIST_LIMIT, S),
	STR(ca, NAME_LIMIT, S),
	STR(ciphers, TEXT_LIMIT, S),
	STR(protocols, TEXT_LIMIT, S),
	ENUM(auth, CONF_AUTH_REQUIRE, S | A),
	TABLE(auth_table, CONF_SERVICE_CREDENTIALS, S | A),
	STR(hostname, NAME_LIMIT, S),
	TABLE(hostnames, CONF_SERVICE_ADDRNAME, S),
	STR(tag, CONF_TAG_MAX, S),
	NUM64(max_message_size, S),
	TABLE(senders, CONF_SERVICE_SENDERS, S),
	FLAG(masquerade, S),
	FLAG(mask_src, S),
	FLAG(no_dsn, S),
	FLAG(received_auth, S),
	FLAG(proxy_v2, S),
	LIST(filters, &shape_string, LIST_LIMIT, S),
};
static SHAPE(listener, NULL);
#undef OF

#define OF struct conf_pki
static const struct field pki_fields[] = {
	WHERE,
	STR(name, NAME_LIMIT, S | D | K),
	STR(cert_path, TEXT_LIMIT, N),
	STR(key_path, TEXT_LIMIT, N),
	ENUM(dhe, CONF_DHE_LEGACY, S | D),
	STR(cert_pem, PEM_LIMIT, S | D | K),
	STR(key_pem, PEM_LIMIT, K),
};
static SHAPE(pki, NULL);
#undef OF

#define OF struct conf_ca
static const struct field ca_fields[] = {
	WHERE,
	STR(name, NAME_LIMIT, S | D),
	STR(path, TEXT_LIMIT, N),
	STR(ca_pem, PEM_LIMIT, S | D),
};
static SHAPE(ca, NULL);
#undef OF

#define OF struct conf_entry
static const struct field entry_fields[] = {
	STR(key, TEXT_LIMIT, A | D),
	STR(value, TEXT_LIMIT, A | D),
};
static SHAPE(entry, NULL);
#undef OF

#define OF struct conf_table
static const struct field table_fields[] = {
	WHERE,
	STR(name, NAME_LIMIT, S | D | A),
	FLAG(is_inline, S | D | A),
	ENUM(kind, CONF_TABLE_BACKEND, S | D | A),
	STR(backend, NAME_LIMIT, A),
	STR(config, TEXT_LIMIT, A),
	FLAG(mapping, S | D | A),
	LIST(entries, &shape_entry, ENTRIES_LIMIT, D | A),
	NUM(uses, S | D | A),
};
static SHAPE(table, table_wanted);
#undef OF

#define OF struct conf_local
static const struct field local_fields[] = {
	STR(path, TEXT_LIMIT, N),
	FLAG(junk, N),
	STR(command, TEXT_LIMIT, N),
	STR(destination, TEXT_LIMIT, N),
	FLAG(rcpt_to, N),
	FLAG(by_address, Q | A),
	STR(user, NAME_LIMIT, Q | A),
	TABLE(alias, CONF_SERVICE_ALIAS, A),
	TABLE(virtual_table, CONF_SERVICE_ALIAS, Q | A),
	TABLE(userbase, CONF_SERVICE_USERINFO, Q | A),
	STR(wrapper, NAME_LIMIT, N),
};
static SHAPE(local, NULL);
#undef OF

#define OF struct conf_relay
static const struct field relay_fields[] = {
	TABLE(host, CONF_SERVICE_RELAYHOST, Q | D | A),
	TABLE(domain, CONF_SERVICE_RELAYHOST, Q | D | A),
	STR(helo, NAME_LIMIT, D),
	TABLE(helo_src, CONF_SERVICE_ADDRNAME, D),
	TABLE(src, CONF_SERVICE_SOURCE, D),
	ENUM(tls, CONF_RELAY_TLS_NO_VERIFY, D),
	STR(pki, NAME_LIMIT, D),
	STR(ca, NAME_LIMIT, D),
	STR(ciphers, TEXT_LIMIT, D),
	STR(protocols, TEXT_LIMIT, D),
	TABLE(auth, CONF_SERVICE_RELAY_AUTH, A),
	STR(mail_from, TEXT_LIMIT, D),
	FLAG(srs, D),
	LIST(filters, &shape_string, LIST_LIMIT, D),
	NUM(retry_min, Q),
	NUM(retry_max, Q),
	FLAG(backup, Q | D | A | S),
	STR(backup_mx, NAME_LIMIT, D),
	TABLE(recipients, CONF_SERVICE_RECIPIENTS, A),
	FLAG(call_ahead, D | A),
	NUM(probe_interval, Q | D),
	ENUM(unknown, CONF_UNKNOWN_TEMPFAIL, A),
	ENUM(refused, CONF_REFUSED_BOUNCE, Q),
};
static SHAPE(relay, NULL);
#undef OF

#define OF struct conf_action
static const struct field action_fields[] = {
	WHERE,
	STR(name, NAME_LIMIT, Q | D | A),
	ENUM(kind, CONF_ACTION_RELAY, Q | D | A),
	NUM(ttl, Q),
	STRUCT(local, &shape_local, Q | D | A),
	STRUCT(relay, &shape_relay, Q | D | A | S),
};
static SHAPE(action, action_wanted);
#undef OF

#define OF struct conf_condition
static const struct field condition_fields[] = {
	ENUM(kind, CONF_IF_RCPT_TO, A),
	FLAG(negated, A),
	FLAG(regex, A),
	TABLE(table, CONF_SERVICE_STRING, A),
};
static SHAPE(condition, NULL);
#undef OF

#define OF struct conf_match
static const struct field match_fields[] = {
	WHERE,
	LIST(conditions, &shape_condition, LIST_LIMIT, A),
	FLAG(reject, A),
	FLAG(open_relay, A),
	FLAG(names_source, A),
	STR(action, NAME_LIMIT, A),
};
static SHAPE(match, NULL);
#undef OF

#define OF struct conf_proc
static const struct field proc_fields[] = {
	WHERE,
	STR(name, NAME_LIMIT, N),
	STR(command, TEXT_LIMIT, N),
	STR(user, NAME_LIMIT, N),
	STR(group, NAME_LIMIT, N),
	STR(chroot, TEXT_LIMIT, N),
};
static SHAPE(proc, NULL);
#undef OF

#define OF struct conf_filter
static const struct field filter_fields[] = {
	WHERE,
	STR(name, NAME_LIMIT, S),
	ENUM(kind, CONF_FILTER_CHAIN, S),
	ENUM(phase, CONF_PHASE_COMMIT, S),
	ENUM(test, CONF_TEST_RCPT_TO, S),
	FLAG(negated, S),
	FLAG(regex, S),
	TABLE(table, CONF_SERVICE_STRING, S),
	ENUM(decision, CONF_DECISION_REWRITE, S),
	STR(text, TEXT_LIMIT, S),
	STR(proc, NAME_LIMIT, S),
	STRUCT(exec, &shape_proc, N),
	LIST(chain, &shape_string, LIST_LIMIT, S),
};
static SHAPE(filter, NULL);
#undef OF

#define OF struct conf_wrapper
static const struct field wrapper_fields[] = {
	WHERE,
	STR(name, NAME_LIMIT, N),
	STR(command, TEXT_LIMIT, N),
};
static SHAPE(wrapper, NULL);
#undef OF

#define OF struct conf_paths
static const struct field paths_fields[] = {
	STR(spool, TEXT_LIMIT, Q),
	STR(control_socket, TEXT_LIMIT, Q),
	STR(drop_folder, TEXT_LIMIT, Q),
	STR(pid_file, TEXT_LIMIT, N),
	STR(chroot, TEXT_LIMIT, N),
	STR(libexec, TEXT_LIMIT, N),
	STR(user_prefix, NAME_LIMIT, N),
	STR(admin_group, NAME_LIMIT, N),
};
SHAPE(paths, NULL);
#undef OF

#define OF struct conf_workers
static const struct field workers_fields[] = {
	NUM(smtpd, Q),
	NUM(deliver, Q),
};
static SHAPE(workers, NULL);
#undef OF

#define OF struct conf_smtp
static const struct field smtp_fields[] = {
	NUM64(max_message_size, S | Q),
	NUM(max_mails, S),
	NUM_TO(max_rcpt, SUBMIT_RCPTS_MAX, S | Q),
	NUM(max_errors, S),
	NUM(max_commands, S),
	NUM(max_conn, S),
	NUM(max_conn_per_host, S),
	NUM(max_conn_rate, S),
	SECONDS(command_timeout, S),
	SECONDS(tls_timeout, S),
	SECONDS(auth_timeout, S),
	SECONDS(data_timeout, S),
	SECONDS(session_timeout, S),
	SECONDS(greet_delay, S),
	STR(ciphers, TEXT_LIMIT, S),
	STR(sub_addr_delim, 1, S | Q | A),
	FLAG(names_matter, S),
};
SHAPE(smtp, NULL);
#undef OF

#define OF struct conf_mta_limit
static const struct field mta_limit_fields[] = {
	WHERE,
	STR(domain, NAME_LIMIT, Q | D),
	ENUM(family, CONF_INET6, D),
	NUM(max_conn_per_host, Q | D),
	NUM(max_conn_per_route, Q | D),
	NUM(max_conn_per_source, Q | D),
	NUM(max_conn_per_connector, Q | D),
	NUM(max_conn_per_relay, Q | D),
	NUM(max_conn_per_domain, Q | D),
	NUM(conn_delay_host, D),
	NUM(conn_delay_route, D),
	NUM(conn_delay_source, D),
	NUM(conn_delay_connector, D),
	NUM(conn_delay_relay, D),
	NUM(conn_delay_domain, D),
	NUM(reconn_delay_route, D),
	NUM(session_mail_max, Q | D),
	NUM(session_transaction_delay, D),
	NUM(session_keepalive, D),
	NUM(max_failures_per_session, D),
	NUM(task_hiwat, D),
	NUM(task_lowat, D),
	NUM(task_release, D),
};
SHAPE(mta_limit, NULL);
#undef OF

#define OF struct conf_mta
static const struct field mta_fields[] = {
	WHERE,
	NUM(max_deferred, Q | D),
	NUM(port, D),
	FLAG(allow_loopback, D),
	LIST(limits, &shape_mta_limit, LIST_LIMIT, Q | D),
};
static SHAPE(mta, NULL);
#undef OF

#define OF struct conf_mda
static const struct field mda_fields[] = {
	WHERE,
	NUM(max_session, Q),
	NUM(max_session_per_user, Q),
	NUM(task_hiwat, Q),
	NUM(task_lowat, Q),
	NUM(task_release, Q),
};
SHAPE(mda, NULL);
#undef OF

#define OF struct conf_scheduler
static const struct field scheduler_fields[] = {
	WHERE,
	NUM(max_inflight, Q),
	NUM(max_evp_batch_size, Q),
	NUM(max_msg_batch_size, Q),
	NUM(max_schedule, Q),
};
SHAPE(scheduler, NULL);
#undef OF

#define OF struct conf_queue
static const struct field queue_fields[] = {
	WHERE,
	ROW(FIELD_WHERE, encryption_where, 0, Q),
	NUM(ttl, Q),
	FLAG(compression, Q),
	FLAG(encryption, Q),
	STR(encryption_key, TEXT_LIMIT, Q),
};
static SHAPE(queue, NULL);
#undef OF

#define OF struct conf_retry
static const struct field retry_fields[] = {
	NUM(min, Q),
	NUM(max, Q),
};
static SHAPE(retry, NULL);
#undef OF

#define OF struct conf_bounce
static const struct field bounce_fields[] = {
	NUM(warn[0], Q),
	NUM(warn[1], Q),
	NUM(warn[2], Q),
	NUM(warn[3], Q),
};
static SHAPE(bounce, NULL);
#undef OF
_Static_assert(CONF_BOUNCE_WARN_MAX == 4, "bounce_fields has a row each");

#define OF struct conf_srs
static const struct field srs_fields[] = {
	WHERE,
	STR(key, TEXT_LIMIT, Q),
	STR(key_backup, TEXT_LIMIT, Q),
	NUM(ttl, Q),
};
static SHAPE(srs, NULL);
#undef OF

#define OF struct conf_resolver
static const struct field resolver_fields[] = {
	LIST(servers, &shape_address, LIST_LIMIT, R),
	FLAG(from_system, N),
	FLAG(recursive, R),
	LIST(insecure, &shape_string, LIST_LIMIT, R),
	STR(trust_anchor_path, TEXT_LIMIT, N),
	STR(trust_anchor, PEM_LIMIT, R),
};
static SHAPE(resolver, NULL);
#undef OF

/* Sections stand in the order in which the canonical form prints them. */
#define OF struct conf
static const struct field conf_fields[] = {
	LIST(files, &shape_string, LIST_LIMIT, A),
	STR(server_name, NAME_LIMIT, S | Q | D | A),
	STR(host_name, NAME_LIMIT, A),
	STR(admd, NAME_LIMIT, S),
	ROW(FIELD_WHERE, admd_where, 0, S),
	STRUCT(paths, &shape_paths, Q),
	STRUCT(workers, &shape_workers, Q),
	STRUCT(smtp, &shape_smtp, S | Q | A),
	STRUCT(mta, &shape_mta, Q | D),
	STRUCT(mda, &shape_mda, Q),
	STRUCT(scheduler, &shape_scheduler, Q),
	STRUCT(queue, &shape_queue, Q),
	STRUCT(retry, &shape_retry, Q),
	STRUCT(bounce, &shape_bounce, Q),
	STRUCT(srs, &shape_srs, Q),
	STRUCT(resolver, &shape_resolver, R),
	LIST(pkis, &shape_pki, LIST_LIMIT, S | D | K),
	LIST(cas, &shape_ca, LIST_LIMIT, S | D),
	LIST(tables, &shape_table, LIST_LIMIT, S | D | A),
	LIST(procs, &shape_proc, LIST_LIMIT, N),
	LIST(filters, &shape_filter, LIST_LIMIT, S),
	LIST(wrappers, &shape_wrapper, LIST_LIMIT, N),
	LIST(listeners, &shape_listener, LIST_LIMIT, S | A),
	LIST(actions, &shape_action, LIST_LIMIT, Q | D | A | S),
	LIST(matches, &shape_match, LIST_LIMIT, A),
};
SHAPE(conf, NULL);
#undef OF

static bool
word_is(const char *word, const char *name)
{
	for (; *word != '\0'; word++, name++)
		if (*name != (*word == '-' ? '_' : *word))
			return false;
	return *name == '\0';
}

const struct field *
field_by_word(const struct shape *shape, enum field_type type, const char *word)
{
	size_t i;

	for (i = 0; i < shape->nfields; i++)
		if (shape->fields[i].type == type &&
		    word_is(word, shape->fields[i].name))
			return &shape->fields[i];
	return NULL;
}

/* The place of the nearest enclosing element that has one. */
static const struct conf_where *
shape_where(const struct shape *shape, const void *element,
    const struct conf_where *outer)
{
	if (shape->nfields > 0 && shape->fields[0].type == FIELD_WHERE)
		return field_at(&shape->fields[0], element);
	return outer;
}

static int
walk_strings(const struct shape *shape, void *element,
    const struct conf_where *where, field_visit *visit, void *arg)
{
	const struct field *field, *end = shape->fields + shape->nfields;
	char *child = NULL;
	uint32_t n;
	int rc;

	where = shape_where(shape, element, where);
	for (field = shape->fields; field < end; field++) {
		if ((field->type == FIELD_TABLE ||
			field->type == FIELD_STRING) &&
		    *field_string(field, element) != NULL &&
		    (rc = visit(arg, field, element, where)) != 0)
			return rc;
		for (n = field_children(field, element, &child); n > 0; n--) {
			if ((rc = walk_strings(
				 field->shape, child, where, visit, arg)) != 0)
				return rc;
			child += field->shape->size;
		}
	}
	return 0;
}

int
field_walk_strings(struct conf *conf, field_visit *visit, void *arg)
{
	static const struct conf_where nowhere;

	return walk_strings(&shape_conf, conf, &nowhere, visit, arg);
}
