/*
 * See recipient.h. Names come from clients and are only ever compared.
 */
#include <sys/types.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "auth/recipient.h"
#include "conf/alias.h"
#include "smtp/address.h"

void
recipient_set_reply(struct recipient_reply *r, uint16_t code,
    const char *enhanced, const char *text)
{
	r->code = code;
	snprintf(r->enhanced, sizeof(r->enhanced), "%s", enhanced);
	snprintf(r->text, sizeof(r->text), "%s", text);
}

void
recipient_error_reply(struct recipient_reply *r, const char *text)
{
	struct alias_error error;

	if (alias_error_parse(text, &error) == -1)
		recipient_set_reply(r, 451, "4.3.5", "Bad error: alias");
	else
		recipient_set_reply(r, error.code, error.enhanced, error.text);
}

/* Where the tag of a user name begins, or NULL. */
static const char *
find_tag(const struct policy_host *host, const char *name)
{
	const char *delim = host->conf->smtp.sub_addr_delim;

	if (delim == NULL || *delim == '\0' || *name == '\0')
		return NULL;
	return strchr(name + 1, *delim);
}

static enum policy_answer
ask_key(const struct policy_host *host, const char *table,
    char key[RECIPIENT_KEY_SIZE], const char **value)
{
	return host->lookup(host->arg, table, CONF_SERVICE_ALIAS, key, value);
}

/* Writes `len` octets of name and, if domain is given, @domain. 0 if that is
 * longer than any key, which then cannot be found. */
static int
make_key(char key[RECIPIENT_KEY_SIZE], const char *name, size_t len,
    const char *domain)
{
	int n = snprintf(key, RECIPIENT_KEY_SIZE, "%.*s%s%s", (int)len, name,
	    domain != NULL ? "@" : "", domain != NULL ? domain : "");

	return n >= 0 && n < RECIPIENT_KEY_SIZE;
}

enum policy_answer
recipient_alias(const struct policy_host *host,
    const struct conf_action *action, const char *name,
    char key[RECIPIENT_KEY_SIZE], const char **value)
{
	const char *table = action->local.alias, *tag = find_tag(host, name);
	enum policy_answer a = POLICY_NO;

	/* a quoted local part may look like an address; it is none */
	if (table == NULL || strchr(name, '@') != NULL)
		return POLICY_NO;
	if (make_key(key, name, strlen(name), NULL))
		a = ask_key(host, table, key, value);
	if (a == POLICY_NO && tag != NULL &&
	    make_key(key, name, (size_t)(tag - name), NULL))
		a = ask_key(host, table, key, value);
	return a;
}

enum policy_answer
recipient_virtual(const struct policy_host *host,
    const struct conf_action *action, const char *address,
    char key[RECIPIENT_KEY_SIZE], const char **value)
{
	const char *table = action->local.virtual_table, *tag;
	const char *domain = address_domain(address);
	char name[ADDRESS_LOCAL_SIZE];
	enum policy_answer a = POLICY_NO;
	size_t whole, bare;

	if (table == NULL || address_user(address, name, sizeof(name)) == -1)
		return POLICY_NO;
	whole = bare = strlen(name);
	if ((tag = find_tag(host, name)) != NULL)
		bare = (size_t)(tag - name);
	const struct {
		size_t len;
		const char *domain;
	} forms[] = { { whole, domain }, { bare, domain }, { whole, NULL },
		{ bare, NULL }, { 0, domain }, { 0, "" } };

	for (size_t i = 0; a == POLICY_NO && i < 6; i++) {
		/* of a bare name there is no address and no catch-all */
		if (forms[i].domain != NULL && *domain == '\0')
			continue;
		/* nor may a quoted local part pass for a whole address */
		if (forms[i].domain == NULL && strchr(name, '@') != NULL)
			continue;
		if (make_key(key, name, forms[i].len, forms[i].domain))
			a = ask_key(host, table, key, value);
	}
	return a;
}

/* An account's name has no octet that means something to a password
 * database or a path. */
static int
valid_account(const char *name)
{
	if (*name == '\0' || *name == '.')
		return 0;
	for (; *name != '\0'; name++)
		if ((unsigned char)*name <= ' ' || *name == 0x7f ||
		    strchr("/:,\"\\", *name) != NULL)
			return 0;
	return 1;
}

enum policy_answer
recipient_account(const struct policy_host *host,
    const struct conf_action *action, const char *name,
    char account[RECIPIENT_NAME_SIZE])
{
	const char *tag = find_tag(host, name);
	size_t len = tag != NULL ? (size_t)(tag - name) : strlen(name);

	if (len >= RECIPIENT_NAME_SIZE)
		return POLICY_NO;
	for (size_t i = 0; i < len; i++)
		account[i] = (char)tolower((unsigned char)name[i]);
	account[len] = '\0';
	if (!valid_account(account))
		return POLICY_NO;
	if (action->local.userbase != NULL)
		return host->lookup(host->arg, action->local.userbase,
		    CONF_SERVICE_USERINFO, account, NULL);
	return host->user(host->arg, account);
}

int
recipient_is_postmaster(const char *address)
{
	size_t len = strcspn(address, "@");

	return len == 10 && strncasecmp(address, "postmaster", 10) == 0;
}
