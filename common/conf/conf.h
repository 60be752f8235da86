/*
 * The configuration as a typed tree. Master fills it from relais.conf
 * (master/parse.y) and sends each process the slice that it may see
 * (codec.h); nobody else reads the file. Pure: no I/O, no clock, no globals.
 *
 * One struct conf owns every string and list below it; conf_free() releases
 * all of it. A string that was not given is NULL, a list that was not given
 * has the count 0. Durations are seconds, sizes are octets. A field that a
 * slice may not hold is NULL or 0 in that slice (fields.c says who sees what).
 *
 * `table` fields hold the name of a table of conf.tables. A literal or a list
 * in braces, as in `for domain { "a.org", "b.org" }`, becomes a table of its
 * own with is_inline set, so that who evaluates has one case only.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <sys/types.h>
#include <stdbool.h>
#include <stdint.h>

#define CONF_BOUNCE_WARN_MAX 4 /* delays of `bounce warn-interval` */
#define CONF_NAME_MAX 255 /* octets of any name */
#define CONF_TAG_MAX 63 /* octets of a listener's tag */

/* Where an element stands: conf.files[file], line and column from 1. Line 0
 * means that it is a default and stands nowhere. */
struct conf_where {
	uint32_t file;
	uint32_t line;
	uint32_t column;
};

struct conf_string {
	char *text;
};

enum conf_family { CONF_FAMILY_ANY, CONF_INET4, CONF_INET6 };

/* One address: 4 octets of `octets` are used for CONF_INET4, 16 for
 * CONF_INET6, network order. port is in host order. scope is the interface
 * index of a link-local address, else 0. */
struct conf_address {
	enum conf_family family;
	uint8_t octets[16];
	uint16_t port;
	uint32_t scope;
};

/* ---- listeners -------------------------------------------------------- */

enum conf_listen_tls {
	CONF_LISTEN_PLAIN,
	CONF_LISTEN_TLS, /* STARTTLS offered */
	CONF_LISTEN_TLS_REQUIRE, /* STARTTLS before MAIL FROM */
	CONF_LISTEN_SMTPS /* TLS from the first octet */
};

enum conf_listen_auth { CONF_AUTH_NONE, CONF_AUTH_OPTIONAL, CONF_AUTH_REQUIRE };

struct conf_listener {
	struct conf_where where;
	bool is_socket; /* `listen on socket` */
	char *interface; /* as written: interface, lo0, egress, all,
			  * address or host name; NULL for a socket */
	enum conf_family family;
	uint16_t port; /* never 0 unless is_socket */
	/* What `interface` stands for. The parser fills in a literal address,
	 * master all others before it slices. */
	struct conf_address *addresses;
	uint32_t naddresses;
	enum conf_listen_tls tls;
	bool tls_verify; /* the client must show a valid certificate */
	struct conf_string *pkis; /* names; the first is the default */
	uint32_t npkis;
	char *ca; /* name */
	char *ciphers;
	char *protocols;
	enum conf_listen_auth auth;
	char *auth_table; /* table, NULL for the system's accounts */
	char *hostname; /* NULL: conf.server_name */
	char *hostnames; /* table: local address to host name */
	char *tag;
	uint64_t max_message_size; /* 0: conf.smtp.max_message_size */
	char *senders; /* table: user to addresses */
	bool masquerade;
	bool mask_src;
	bool no_dsn;
	bool received_auth;
	bool proxy_v2;
	struct conf_string *filters; /* names, in order of execution */
	uint32_t nfilters;
};

/* ---- certificates ----------------------------------------------------- */

enum conf_dhe { CONF_DHE_NONE, CONF_DHE_AUTO, CONF_DHE_LEGACY };

struct conf_pki {
	struct conf_where where;
	char *name; /* host name in lower case, or "*" */
	char *cert_path;
	char *key_path; /* master only */
	enum conf_dhe dhe;
	char *cert_pem; /* chain, read by master */
	char *key_pem; /* read by master; keys only */
};

/* The name of the machine's own list of authorities, which master adds and
 * nobody can write; for relays that name no `ca`. */
#define CONF_SYSTEM_CA "<system>"

struct conf_ca {
	struct conf_where where;
	char *name;
	char *path;
	char *ca_pem; /* read by master */
};

/* ---- tables ----------------------------------------------------------- */

enum conf_table_kind {
	CONF_TABLE_STATIC, /* entries stand in the configuration */
	CONF_TABLE_FILE, /* read by auth through a descriptor */
	CONF_TABLE_BACKEND /* db:, sqlite:, proc: ... */
};

/* What a table is asked for; conf_table.uses is a set of 1 << service. */
enum conf_service {
	CONF_SERVICE_ALIAS, /* name or address: recipients */
	CONF_SERVICE_DOMAIN, /* domains, *. allowed */
	CONF_SERVICE_CREDENTIALS, /* user: hash (listener's side) */
	CONF_SERVICE_RELAY_AUTH, /* label: user:password */
	CONF_SERVICE_NETADDR, /* addresses and networks */
	CONF_SERVICE_USERINFO, /* user: uid:gid:home */
	CONF_SERVICE_SOURCE, /* own addresses */
	CONF_SERVICE_MAILADDR, /* user, @domain, user@domain */
	CONF_SERVICE_ADDRNAME, /* address: host name */
	CONF_SERVICE_SENDERS, /* user: addresses it may send as */
	CONF_SERVICE_RELAYHOST, /* relay URLs; domain: relay URL */
	CONF_SERVICE_STRING, /* users, tags, names */
	CONF_SERVICE_REGEX, /* extended regular expressions */
	CONF_SERVICE_RECIPIENTS, /* a backup's valid recipients */
	CONF_NSERVICES
};

struct conf_entry {
	char *key;
	char *value; /* NULL in a list */
};

struct conf_table {
	struct conf_where where;
	char *name;
	bool is_inline; /* written in place; name is "<n.hash>" */
	enum conf_table_kind kind;
	char *backend; /* "file", "db", "sqlite"; NULL if static */
	char *config; /* path or parameter; NULL if static */
	bool mapping; /* static: entries have values */
	struct conf_entry *entries; /* static */
	uint32_t nentries;
	uint32_t uses; /* set of 1 << enum conf_service */
};

/* ---- actions ---------------------------------------------------------- */

enum conf_action_kind {
	CONF_ACTION_MBOX,
	CONF_ACTION_MAILDIR,
	CONF_ACTION_MDA,
	CONF_ACTION_LMTP,
	CONF_ACTION_EXPAND_ONLY,
	CONF_ACTION_FORWARD_ONLY,
	CONF_ACTION_RELAY
};

/* The local methods. A format such as %{user.directory} stays as written. */
struct conf_local {
	char *path; /* maildir; NULL: ~/Maildir */
	bool junk; /* maildir */
	char *command; /* mda; master only */
	char *destination; /* lmtp: host:port or socket path */
	bool rcpt_to; /* lmtp: RCPT TO is the address, not the user */
	bool by_address; /* by master: a user's addresses are places of
			  * their own */
	char *user;
	char *alias; /* table */
	char *virtual_table; /* table; never beside alias */
	char *userbase; /* table */
	char *wrapper; /* name of conf.wrappers */
};

enum conf_relay_tls {
	CONF_RELAY_TLS_OPPORTUNISTIC,
	CONF_RELAY_TLS_REQUIRE, /* and verify the certificate */
	CONF_RELAY_TLS_NO_VERIFY /* require, without verifying */
};

/* Backup: what to do with a recipient that is neither listed nor could be
 * asked for at the primary. */
enum conf_unknown { CONF_UNKNOWN_ACCEPT, CONF_UNKNOWN_TEMPFAIL };

/* Backup: what becomes of a message that the primary refuses for good. */
enum conf_refused { CONF_REFUSED_HOLD, CONF_REFUSED_DROP, CONF_REFUSED_BOUNCE };

struct conf_relay {
	char *host; /* table of relay URLs (url.h) */
	char *domain; /* table: domain to relay URL */
	char *helo;
	char *helo_src; /* table: own address to HELO name */
	char *src; /* table of own addresses */
	enum conf_relay_tls tls;
	char *pki; /* name */
	char *ca; /* name */
	char *ciphers;
	char *protocols;
	char *auth; /* table; never in deliver's slice */
	char *mail_from;
	bool srs;
	struct conf_string *filters;
	uint32_t nfilters;
	uint32_t retry_min; /* 0: conf.retry */
	uint32_t retry_max; /* 0: conf.retry */
	bool backup;
	char *backup_mx; /* our name among the MX; NULL: own addresses */
	char *recipients; /* table of valid recipients */
	bool call_ahead; /* ask the primary at RCPT TO */
	uint32_t probe_interval; /* how often a dead primary is tried */
	enum conf_unknown unknown;
	enum conf_refused refused;
};

struct conf_action {
	struct conf_where where;
	char *name;
	enum conf_action_kind kind;
	uint32_t ttl; /* 0: see conf_action_ttl() */
	struct conf_local local; /* if kind is not RELAY */
	struct conf_relay relay; /* if kind is RELAY */
};

/* ---- rules ------------------------------------------------------------ */

/* In canonical order. A rule has exactly one FROM_ and one FOR_ condition;
 * `from local` and `for local` are filled in where none is written. */
enum conf_condition_kind {
	CONF_FROM_ANY,
	CONF_FROM_LOCAL, /* a local address or the socket */
	CONF_FROM_SOCKET,
	CONF_FROM_SRC, /* table */
	CONF_FROM_RDNS, /* table or NULL: has a reverse name */
	CONF_FROM_AUTH, /* table or NULL: is authenticated */
	CONF_FROM_MAIL_FROM, /* table */
	CONF_FOR_ANY,
	CONF_FOR_LOCAL,
	CONF_FOR_DOMAIN, /* table */
	CONF_FOR_RCPT_TO, /* table */
	CONF_IF_TAG, /* table */
	CONF_IF_HELO, /* table */
	CONF_IF_AUTH, /* table or NULL */
	CONF_IF_TLS,
	CONF_IF_MAIL_FROM, /* table */
	CONF_IF_RCPT_TO /* table */
};

struct conf_condition {
	enum conf_condition_kind kind;
	bool negated;
	bool regex; /* the table holds regular expressions */
	char *table;
};

/* All conditions must hold; the first rule that matches decides. */
struct conf_match {
	struct conf_where where;
	struct conf_condition *conditions; /* sorted by kind */
	uint32_t nconditions;
	bool reject;
	bool open_relay; /* `open-relay`: relays for strangers, and the
			  * administrator says so (closed.h) */
	bool names_source; /* by master: whether it takes mail only from
			    * sources that it names (closed.h) */
	char *action; /* name; NULL if reject */
};

/* ---- filters ---------------------------------------------------------- */

/* A program that speaks the filter protocol. */
struct conf_proc {
	struct conf_where where;
	char *name;
	char *command;
	char *user;
	char *group;
	char *chroot;
};

enum conf_filter_kind {
	CONF_FILTER_PHASE,
	CONF_FILTER_PROC, /* uses a `proc` */
	CONF_FILTER_PROC_EXEC, /* has a program of its own */
	CONF_FILTER_CHAIN
};

enum conf_phase {
	CONF_PHASE_CONNECT,
	CONF_PHASE_HELO,
	CONF_PHASE_EHLO,
	CONF_PHASE_AUTH,
	CONF_PHASE_MAIL_FROM,
	CONF_PHASE_RCPT_TO,
	CONF_PHASE_DATA,
	CONF_PHASE_COMMIT
};

enum conf_filter_test {
	CONF_TEST_FCRDNS,
	CONF_TEST_RDNS, /* table or NULL */
	CONF_TEST_SRC, /* table */
	CONF_TEST_HELO, /* table */
	CONF_TEST_AUTH, /* table or NULL */
	CONF_TEST_MAIL_FROM, /* table */
	CONF_TEST_RCPT_TO /* table */
};

enum conf_decision {
	CONF_DECISION_BYPASS,
	CONF_DECISION_DISCONNECT, /* text: code and message */
	CONF_DECISION_JUNK,
	CONF_DECISION_REJECT, /* text: code and message */
	CONF_DECISION_REPORT, /* text */
	CONF_DECISION_REWRITE /* text */
};

struct conf_filter {
	struct conf_where where;
	char *name;
	enum conf_filter_kind kind;
	enum conf_phase phase; /* PHASE, and down to text */
	enum conf_filter_test test;
	bool negated;
	bool regex;
	char *table;
	enum conf_decision decision;
	char *text;
	char *proc; /* PROC: name of conf.procs */
	struct conf_proc exec; /* PROC_EXEC; its name is NULL */
	struct conf_string *chain; /* CHAIN: names */
	uint32_t nchain;
};

struct conf_wrapper {
	struct conf_where where;
	char *name;
	char *command;
};

/* ---- settings --------------------------------------------------------- */

struct conf_paths {
	char *spool;
	char *control_socket;
	char *drop_folder; /* where sendmail leaves mail while we are
			    * down; NULL: "drop" inside the spool */
	char *pid_file;
	char *chroot; /* the empty folder of the workers */
	char *libexec; /* where the workers' programs are */
	char *user_prefix; /* _relais: _relais, _relaisq, ... */
	char *admin_group; /* may control; NULL: root only */
};

/* How many processes of a kind; 0: one per core. */
struct conf_workers {
	uint32_t smtpd;
	uint32_t deliver;
};

struct conf_smtp {
	uint64_t max_message_size;
	uint32_t max_mails; /* messages in a session */
	uint32_t max_rcpt; /* recipients of a message */
	uint32_t max_errors; /* of a client before it is cut off */
	uint32_t max_commands; /* between two messages */
	/* connections to one smtpd worker */
	uint32_t max_conn;
	uint32_t max_conn_per_host;
	uint32_t max_conn_rate; /* new ones of a host in a minute */
	/* seconds for the client */
	uint32_t command_timeout;
	uint32_t tls_timeout; /* a handshake */
	uint32_t auth_timeout; /* a whole AUTH exchange */
	uint32_t data_timeout; /* a message, and a second for each KiB */
	uint32_t session_timeout;
	uint32_t greet_delay; /* before strangers are greeted; 0: none */
	char *ciphers; /* NULL: OpenSSL's own choice */
	char *sub_addr_delim; /* one character */
	bool names_matter; /* a rule asks what clients are called */
};

/*
 * Limits of the client; the one with domain NULL holds for all others. Only
 * max_conn_per_relay and max_conn_per_domain, session_mail_max and
 * session_keepalive are executed; of the others 0 means that nobody asked for
 * them (conf_unbuilt).
 */
struct conf_mta_limit {
	struct conf_where where;
	char *domain;
	enum conf_family family;
	uint32_t max_conn_per_host;
	uint32_t max_conn_per_route;
	uint32_t max_conn_per_source;
	uint32_t max_conn_per_connector;
	uint32_t max_conn_per_relay;
	uint32_t max_conn_per_domain;
	uint32_t conn_delay_host;
	uint32_t conn_delay_route;
	uint32_t conn_delay_source;
	uint32_t conn_delay_connector;
	uint32_t conn_delay_relay;
	uint32_t conn_delay_domain;
	uint32_t reconn_delay_route;
	uint32_t session_mail_max;
	uint32_t session_transaction_delay;
	uint32_t session_keepalive;
	uint32_t max_failures_per_session;
	uint32_t task_hiwat;
	uint32_t task_lowat;
	uint32_t task_release;
};

struct conf_mta {
	struct conf_where where; /* of max-deferred */
	uint32_t max_deferred;
	uint32_t port; /* of the hosts that an MX names: 25 */
	bool allow_loopback; /* an MX may lead to 127/8 and ::1 */
	struct conf_mta_limit *limits; /* limits[0] is the default */
	uint32_t nlimits;
};

struct conf_mda {
	struct conf_where where;
	uint32_t max_session;
	uint32_t max_session_per_user;
	uint32_t task_hiwat;
	uint32_t task_lowat;
	uint32_t task_release;
};

struct conf_scheduler {
	struct conf_where where;
	uint32_t max_inflight;
	uint32_t max_evp_batch_size;
	uint32_t max_msg_batch_size;
	uint32_t max_schedule;
};

struct conf_queue {
	struct conf_where where; /* of compression */
	struct conf_where encryption_where;
	uint32_t ttl;
	bool compression;
	bool encryption;
	char *encryption_key; /* NULL: asked for; "stdin" */
};

/* Floor and ceiling of the pause between two attempts. */
struct conf_retry {
	uint32_t min;
	uint32_t max;
};

struct conf_bounce {
	uint32_t warn[CONF_BOUNCE_WARN_MAX]; /* 0: no more */
};

struct conf_srs {
	struct conf_where where;
	char *key;
	char *key_backup;
	uint32_t ttl;
};

struct conf_resolver {
	struct conf_address *servers; /* none: master fills in those of
				       * /etc/resolv.conf */
	uint32_t nservers;
	bool from_system; /* they are, and may change */
	bool recursive; /* ask the root servers ourselves */
	struct conf_string *insecure; /* domains without DNSSEC */
	uint32_t ninsecure;
	char *trust_anchor_path;
	char *trust_anchor; /* its content, read by master */
};

struct conf {
	struct conf_string *files; /* names, for conf_where */
	uint32_t nfiles;
	char *server_name; /* set server-name, or filled by master from
			    * mailname or the host's name */
	char *host_name; /* the host's own, where server_name was not set;
			  * may be NULL */
	char *admd; /* NULL: server_name */
	struct conf_where admd_where;
	struct conf_paths paths;
	struct conf_workers workers;
	struct conf_smtp smtp;
	struct conf_mta mta;
	struct conf_mda mda;
	struct conf_scheduler scheduler;
	struct conf_queue queue;
	struct conf_retry retry;
	struct conf_bounce bounce;
	struct conf_srs srs;
	struct conf_resolver resolver;
	struct conf_pki *pkis;
	uint32_t npkis;
	struct conf_ca *cas;
	uint32_t ncas;
	struct conf_table *tables;
	uint32_t ntables;
	struct conf_proc *procs;
	uint32_t nprocs;
	struct conf_filter *filters;
	uint32_t nfilters;
	struct conf_wrapper *wrappers;
	uint32_t nwrappers;
	struct conf_listener *listeners;
	uint32_t nlisteners;
	struct conf_action *actions;
	uint32_t nactions;
	struct conf_match *matches; /* in the order of evaluation */
	uint32_t nmatches;
};

/* A tree with all defaults set; NULL when memory is short. */
struct conf *conf_new(void);
void conf_free(struct conf *);

/* Whether two trees say the same; where it was said does not count. */
bool conf_equal(const struct conf *, const struct conf *);

/* Look up by name, which may be NULL; NULL if there is none. Tags and names
 * are compared exactly, pki and ca names without case. */
const struct conf_action *conf_find_action(const struct conf *, const char *);
const struct conf_table *conf_find_table(const struct conf *, const char *);
const struct conf_pki *conf_find_pki(const struct conf *, const char *);
const struct conf_ca *conf_find_ca(const struct conf *, const char *);
const struct conf_filter *conf_find_filter(const struct conf *, const char *);
const struct conf_proc *conf_find_proc(const struct conf *, const char *);
const struct conf_wrapper *conf_find_wrapper(const struct conf *, const char *);
/* The first listener with this tag. */
const struct conf_listener *conf_find_listener(
    const struct conf *, const char *tag);
/* The limits for a domain, or the default ones; never NULL in a tree that
 * has its mta section. */
const struct conf_mta_limit *conf_find_mta_limit(
    const struct conf *, const char *domain);

/* Lifetime of a message under this action: its ttl, else 30 days for a
 * backup, else queue.ttl. */
uint32_t conf_action_ttl(const struct conf *, const struct conf_action *);

/* "file:line:column" of an element, or "default"; always terminated. */
void conf_where_text(
    const struct conf *, const struct conf_where *, char *, size_t);

/* Appends a zeroed element to a list (`*list` of `*count` elements of `size`
 * octets, made by this function alone) and returns it, NULL when memory is
 * short. */
void *conf_append(void *list, uint32_t *count, size_t size);

/* Calls report for each thing that the tree asks for and this release does
 * not do; returns how many there were. */
typedef void conf_report(
    void *arg, const struct conf_where *, const char *what);
unsigned int conf_unbuilt(const struct conf *, conf_report *, void *arg);

#endif
