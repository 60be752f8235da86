/*
 * What one configuration means for smtpd: each listener with the settings of
 * its sessions and its TLS. Counted, since sessions finish under the
 * configuration that they began with.
 */
#ifndef SMTPD_SETTINGS_H
#define SMTPD_SETTINGS_H

#include "conf/conf.h"
#include "smtpd/limits.h"
#include "smtpd/session.h"

struct key_signer;
struct tls_server;
struct tls_tickets;
struct settings;

struct listener {
	struct settings *settings;
	struct session_conf session;
	struct tls_server *tls; /* NULL without */
	const char *hostnames; /* table of our names by address, or NULL */
};

struct settings {
	unsigned refs;
	struct conf *conf;
	uint32_t since; /* generation that brought what the listeners demand */
	struct listener *listeners; /* conf->nlisteners of them */
	struct listener socket; /* of sessions by the control socket */
};

/*
 * Takes conf, whatever happens; one reference is the caller's. tickets and keys
 * must outlive it. NULL with a message when a certificate or a cipher list
 * cannot be used.
 */
struct settings *settings_new(struct conf *, struct tls_tickets *,
    const struct key_signer *, char *error, size_t size);
/* Begins to hold as that generation, after another or as the first (NULL).
 * Sessions learn by it whether the listeners are as they were. */
void settings_begin(
    struct settings *, const struct settings *before, uint32_t generation);
/* How many connections it lets in. */
void settings_limits(const struct settings *, struct limits_settings *);
void settings_ref(struct settings *);
void settings_unref(struct settings *);

#endif
