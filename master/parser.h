/*
 * What the parts of the configuration parser share: the lexer (lex.c), the
 * grammar (parse.y), the builders that its rules call, the checks afterwards
 * (check.c) and the wording of errors (advice.c). Nobody else includes this;
 * master/parse.h is what others see.
 */
#ifndef MASTER_PARSER_H
#define MASTER_PARSER_H

#include <sys/types.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "conf/conf.h"

#define PARSER_INCLUDE_DEPTH 16
#define PARSER_ERRORS_MAX 20 /* then it gives up */
#define PARSER_WORD_MAX 8096 /* octets of a word */

/* A text that is being read: a file, or a macro's value. */
struct frame {
	struct frame *outer;
	const char *text;
	size_t len;
	size_t at;
	bool is_macro;
	bool ended; /* a file's last end of line was given out */
	struct conf_where where; /* of the octet at `at` */
	char *path; /* file: to find loops and relative names */
	char *owned; /* file: the text, to be released */
};

struct macro {
	char *name;
	char *value;
	bool fixed; /* given with -D */
	bool used;
	struct conf_where where;
};

enum reference_kind {
	REF_TABLE,
	REF_PKI,
	REF_CA,
	REF_ACTION,
	REF_FILTER,
	REF_PROC,
	REF_WRAPPER
};

/* A name that must be defined somewhere. */
struct reference {
	enum reference_kind kind;
	char *name;
	struct conf_where where;
};

struct parser {
	struct conf *conf;
	FILE *errors;
	unsigned int nerrors;
	unsigned int nsyntax; /* of these: a line could not be read */
	bool may_include; /* false: text from nowhere, no files */

	/* lexer */
	struct frame *frame;
	struct conf_where before; /* of the octet read last */
	bool ungot_end; /* that octet was the end of a file */
	bool line_start; /* no token yet in this line */
	bool plain; /* all words are plain: inside `set` */
	bool after_less; /* a table's name follows */
	unsigned int depth; /* of braces */
	struct conf_where brace; /* where they were opened */
	bool unclosed; /* the text ended inside them */
	bool skipping; /* an error inside braces: to their end */
	int held_token; /* given out after skipping, 0: none */
	struct conf_where held_where;
	struct conf_where quote; /* the last quote over several lines */
	struct macro *macros;
	uint32_t nmacros;
	char **words; /* every word given out, until the end */
	uint32_t nwords;

	/* wording of errors */
	char token_text[64]; /* the word that was read last */
	char directive[32]; /* first word of the statement */
	struct conf_where directive_where;

	/* what the rules are putting together */
	struct conf_listener *listener;
	struct conf_pki *pki;
	struct conf_action *action;
	struct conf_match *match;
	struct conf_filter *filter;
	struct conf_proc *proc;
	struct conf_mta_limit *limit;
	struct conf_entry *items; /* of a list in braces */
	uint32_t nitems;
	bool items_mapping;
	uint32_t ninline; /* tables in place so far */
	uint32_t nwarn; /* delays of bounce warn-interval */
	const char *pending; /* an option of backup waits for its value */
	struct conf_where pending_where;
	struct reference *references;
	uint32_t nreferences;
};

/* ---- advice.c: the wording of errors ---- */
void parse_error(struct parser *, const struct conf_where *, const char *, ...)
    __attribute__((format(printf, 3, 4)));
void parse_warning(struct parser *, const struct conf_where *, const char *,
    ...) __attribute__((format(printf, 3, 4)));
void parse_out_of_memory(struct parser *);
/* A syntax error at `found`; `expected` are names of tokens. */
void advice_syntax(struct parser *, const struct conf_where *,
    const char *found, const char *const *expected, int nexpected);
/* What people mean who write this word in the present statement, or NULL. */
const char *advice_find(const struct parser *, const char *word);
/* The name among `names` that is nearest to a misspelt one, or NULL. */
const char *advice_nearest(
    const char *word, const char *const *names, size_t nnames);

/* ---- old_grammar.c ---- */
/* Whether this statement is of the grammar before OpenSMTPD 6.4; then it has
 * been reported with what to write instead. */
bool old_grammar_report(
    struct parser *, const struct conf_where *, const char *found);

/* ---- lex.c ---- */
void lex_push_text(struct parser *, const char *name, const char *text,
    size_t len, char *owned);
void lex_include(struct parser *, const struct conf_where *, const char *path);
void lex_end(struct parser *);
void lex_macro_set(struct parser *, const struct conf_where *, const char *name,
    const char *value, bool fixed);
/* Whether `=` comes next: the word before is the name of a macro. */
bool lex_equals_follows(const struct parser *);
/* The text from the beginning of the line that a place is in to the end of
 * the file; NULL if it is gone. */
const char *lex_text_from(
    const struct parser *, const struct conf_where *, size_t *len);
/* The line that a place is in, without its end; NULL if it is gone. */
const char *lex_line_text(
    const struct parser *, const struct conf_where *, size_t *len);
/* The token of a keyword, 0 if the word is none (in parse.y). */
int parse_keyword(const char *word);

/* ---- build.c: helpers of all builders ---- */
/* As set_string, of a name to greet or be greeted with: a host name, or an
 * address literal. */
void set_host_name(struct parser *, const struct conf_where *, char **slot,
    const char *option, const char *text);
void set_string(struct parser *, const struct conf_where *, char **slot,
    const char *option, const char *value);
void set_flag(
    struct parser *, const struct conf_where *, bool *slot, const char *option);
/* Takes a name over and notes that it must be defined. */
void set_reference(struct parser *, const struct conf_where *, char **slot,
    const char *option, enum reference_kind, const char *name);
void note_reference(struct parser *, const struct conf_where *,
    enum reference_kind, const char *name);
bool parse_duration(struct parser *, const struct conf_where *,
    const char *text, uint32_t *seconds);
bool parse_size(struct parser *, const struct conf_where *, const char *text,
    uint64_t *octets);
bool parse_number(struct parser *, const struct conf_where *, const char *text,
    uint32_t min, uint32_t max, uint32_t *number);
char *parse_strdup(struct parser *, const char *);
void item_add(struct parser *, const struct conf_where *, const char *key,
    const char *value);
void items_reset(struct parser *);
/* The names in braces become a list of strings, each a reference. */
void items_take_names(struct parser *, const struct conf_where *,
    enum reference_kind, struct conf_string **, uint32_t *);
void filter_name(struct parser *, const struct conf_where *, const char *name,
    struct conf_string **, uint32_t *);

/* ---- build_table.c ---- */
void table_define_source(struct parser *, const struct conf_where *,
    const char *name, const char *source);
void table_define_items(
    struct parser *, const struct conf_where *, const char *name);
/* A table where it is used; each returns its name. */
const char *table_use_name(
    struct parser *, const struct conf_where *, const char *name);
const char *table_use_value(
    struct parser *, const struct conf_where *, const char *value);
const char *table_use_items(struct parser *, const struct conf_where *);

/* ---- build_listener.c ---- */
void listener_begin(
    struct parser *, const struct conf_where *, const char *interface);
void listener_end(struct parser *);
void listener_tls(struct parser *, const struct conf_where *,
    enum conf_listen_tls, bool verify);
void listener_auth(struct parser *, const struct conf_where *,
    enum conf_listen_auth, const char *table);
void listener_family(
    struct parser *, const struct conf_where *, enum conf_family);
void listener_port(
    struct parser *, const struct conf_where *, const char *port);
void listener_pki(struct parser *, const struct conf_where *, const char *name);
void listener_size(
    struct parser *, const struct conf_where *, const char *size);
void pki_begin(struct parser *, const struct conf_where *, const char *name);
void pki_dhe(struct parser *, const struct conf_where *, const char *mode);
void ca_define(struct parser *, const struct conf_where *, const char *name,
    const char *path);

/* ---- build_action.c ---- */
void action_begin(struct parser *, const struct conf_where *, const char *name);
void action_kind(struct parser *, enum conf_action_kind);
void action_end(struct parser *);
void action_ttl(struct parser *, const struct conf_where *, const char *ttl);
/* A path or a command, which may hold formats. */
void local_format(
    struct parser *, const struct conf_where *, char **slot, const char *text);
void local_lmtp(struct parser *, const struct conf_where *,
    const char *destination, bool rcpt_to);
void local_user(struct parser *, const struct conf_where *, const char *user);
void local_aliases(struct parser *, const struct conf_where *, char **slot,
    const char *option, const char *table);
void relay_tls(struct parser *, const struct conf_where *, enum conf_relay_tls);
void relay_mail_from(
    struct parser *, const struct conf_where *, const char *address);
void relay_backup(struct parser *, const struct conf_where *, const char *mx);
/* A word of ours among the options, or the value of the one before. */
void relay_word(struct parser *, const struct conf_where *, const char *word);
void relay_table(struct parser *, const struct conf_where *, const char *table);

/* ---- build_rule.c: match, filter, proc ---- */
void match_begin(struct parser *, const struct conf_where *);
void match_condition(struct parser *, const struct conf_where *, bool negated,
    enum conf_condition_kind, bool regex, const char *table);
void match_end(struct parser *, const struct conf_where *, const char *action);
/* The word behind a rule's action: open-relay. */
void match_word(struct parser *, const struct conf_where *, const char *word);
void proc_begin(struct parser *, const struct conf_where *, const char *name,
    const char *command);
void filter_begin(struct parser *, const struct conf_where *, const char *name,
    enum conf_filter_kind);
void filter_exec(
    struct parser *, const struct conf_where *, const char *command);
void filter_test(struct parser *, bool negated, enum conf_filter_test,
    bool regex, const char *table);
void filter_decide(struct parser *, enum conf_decision, const char *text);
void filter_phase_end(struct parser *, const struct conf_where *);
void wrapper_define(struct parser *, const struct conf_where *,
    const char *name, const char *command);

/* ---- build_setting.c ---- */
struct shape;
void setting_apply(
    struct parser *, const struct conf_where *, const char *word);
/* One `word number` of a limit; the shape of the group names the words. */
void limit_set(struct parser *, const struct conf_where *, const struct shape *,
    void *group, const char *word, const char *number);
void mta_limit_begin(
    struct parser *, const struct conf_where *, const char *domain);
void bounce_delay(
    struct parser *, const struct conf_where *, const char *delay);
void smtp_delimiter(
    struct parser *, const struct conf_where *, const char *text);

/* ---- check.c ---- */
/* Everything that only the whole tree can show; fills conf_table.uses and
 * numbers the tables in place. */
void check_tree(struct parser *);
/* Rules and actions, check_rules.c. */
void check_rules(struct parser *);

#endif
