/*
 * The configuration in force, shared by the transfers that began under it.
 * Owns the TLS contexts of the actions, made when first needed.
 */
#ifndef DELIVER_SETTINGS_H
#define DELIVER_SETTINGS_H

#include "conf/conf.h"
#include "conf/url.h"
#include "deliver/client.h"
#include "deliver/deliver.h"

struct tls_client;

struct settings {
	unsigned references;
	uint32_t generation; /* once it is in force */
	struct conf *conf;
	struct tls_client **tls; /* one an action */
};

/* Takes conf. NULL without memory; conf is freed then. The caller holds the
 * first reference. */
struct settings *settings_new(struct conf *);
struct settings *settings_hold(struct settings *);
void settings_release(struct settings *);

/* The relay action of this name, or NULL. */
const struct conf_action *settings_relay(
    const struct settings *, const char *name);
/* Makes the TLS of each action that names something for it, so that words that
 * are wrong are refused with the configuration, instead of sending its mail in
 * clear. -1 with the reason in error. */
int settings_check_tls(
    struct settings *, struct key_client *, char *error, size_t size);
/* The TLS of an action; NULL with the reason in error. */
struct tls_client *settings_tls(struct settings *, const struct conf_action *,
    struct key_client *, char *error, size_t size);
/* Whether an action demands TLS of a host whose protocol has none. */
int settings_tls_contradicts(const struct conf_action *, enum url_protocol);
/* The policy for sessions of an action with a host of this protocol, which
 * does not contradict it. */
enum client_tls settings_tls_policy(
    const struct conf_action *, enum url_protocol);
/* What stands for a key in a table of the configuration. NULL when there is
 * nothing; *elsewhere says that auth has to be asked. */
const char *settings_entry(const struct settings *, const char *table,
    const char *key, int *elsewhere);
/* Likewise the name of an own address, however that is written. */
const char *settings_addrname(const struct settings *, const char *table,
    const char *address, int *elsewhere);
/* Likewise an entry of a list: the one behind another, the first behind the
 * last, and any by seed where that is NULL. From one to the next it comes to
 * each once, though it stand there more often. */
const char *settings_next(const struct settings *, const char *table,
    const char *before, uint64_t seed, int *elsewhere);
/* Whether a list has more than one entry, as far as is known here. */
int settings_has_several(const struct settings *, const char *table);
/* Answers a relay_query: which hosts each action names. */
void settings_report(const struct settings *, struct channel *, uint64_t id);
/* An own address of this family to send from; 0, or -1 for no wish, or where
 * *elsewhere says that auth has to be asked. */
int settings_source(const struct settings *, const struct conf_action *,
    enum mx_family, uint64_t seed, struct mx_address *, int *elsewhere);
/* The same of one entry; -1 if it is none of this family. */
int settings_own_address(const char *text, enum mx_family, struct mx_address *);

#endif
