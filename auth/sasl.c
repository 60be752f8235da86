/*
 * See sasl.h. PLAIN and LOGIN are framed here; SCRAM is libgsasl's, after the
 * user's name was read from the first message so that his keys can be had
 * before it runs. Every octet comes from a client.
 */
#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gsasl.h>
#include <openssl/crypto.h>

#include "auth/credentials.h"
#include "auth/sasl.h"
#include "smtp/base64.h"

enum mechanism_kind { KIND_PLAIN, KIND_LOGIN, KIND_SCRAM };

struct mechanism {
	const char *name;
	enum mechanism_kind kind;
	enum credentials_hash hash;
	int binding;
};

static const struct mechanism mechanisms[] = {
	{ "PLAIN", KIND_PLAIN, 0, 0 },
	{ "LOGIN", KIND_LOGIN, 0, 0 },
	{ "SCRAM-SHA-1", KIND_SCRAM, CREDENTIALS_SHA1, 0 },
	{ "SCRAM-SHA-1-PLUS", KIND_SCRAM, CREDENTIALS_SHA1, 1 },
	{ "SCRAM-SHA-256", KIND_SCRAM, CREDENTIALS_SHA256, 0 },
	{ "SCRAM-SHA-256-PLUS", KIND_SCRAM, CREDENTIALS_SHA256, 1 },
};

enum { BINDING_MAX = 256 };

struct sasl {
	const struct mechanism *mechanism;
	uint8_t secret[SASL_SECRET_OCTETS];
	char binding[BASE64_LENGTH(BINDING_MAX) + 1];
	char user[SASL_USER_SIZE];
	char password[CREDENTIALS_PASSWORD_MAX + 1];
	char *stored;
	int known; /* the user exists and his stored value serves */
	int asked_user; /* LOGIN: the user's name has come */
	uint8_t *first; /* SCRAM: the client's first message */
	size_t first_len;
	Gsasl *library;
	Gsasl_session *session;
	char *challenge; /* of libgsasl */
	size_t challenge_len;
	const char *prompt; /* else this one */
};

struct sasl *
sasl_new(const char *name, const uint8_t *binding, size_t binding_len,
    const uint8_t secret[SASL_SECRET_OCTETS])
{
	const struct mechanism *m = NULL;
	struct sasl *s;

	for (size_t i = 0; i < sizeof(mechanisms) / sizeof(*mechanisms); i++)
		if (strcmp(mechanisms[i].name, name) == 0)
			m = &mechanisms[i];
	if (m == NULL || binding_len > BINDING_MAX ||
	    (m->binding && binding_len == 0) ||
	    (s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	s->mechanism = m;
	memcpy(s->secret, secret, sizeof(s->secret));
	if (binding_len > 0)
		base64_encode(
		    binding, binding_len, s->binding, sizeof(s->binding));
	return s;
}

static void
forget_challenge(struct sasl *s)
{
	if (s->challenge != NULL)
		gsasl_free(s->challenge);
	s->challenge = NULL;
	s->challenge_len = 0;
	s->prompt = "";
}

static void
forget_stored(struct sasl *s)
{
	if (s->stored != NULL) {
		OPENSSL_cleanse(s->stored, strlen(s->stored));
		free(s->stored);
		s->stored = NULL;
	}
}

void
sasl_free(struct sasl *s)
{
	if (s == NULL)
		return;
	forget_challenge(s);
	forget_stored(s);
	if (s->session != NULL)
		gsasl_finish(s->session);
	if (s->library != NULL)
		gsasl_done(s->library);
	free(s->first);
	OPENSSL_cleanse(s, sizeof(*s));
	free(s);
}

/* Copies octets that must be text; 0 if they are not or do not fit. */
static int
take_text(char *out, size_t size, const uint8_t *octets, size_t len)
{
	if (len == 0 || len >= size || memchr(octets, '\0', len) != NULL)
		return 0;
	memcpy(out, octets, len);
	out[len] = '\0';
	return 1;
}

static enum sasl_state
ask(struct sasl *s, const char *prompt)
{
	s->prompt = prompt;
	return SASL_WANT_RESPONSE;
}

/* A name that holds a control character is nobody's, and must not reach a
 * log or a helper as if it were. */
static enum sasl_state
want_stored(struct sasl *s)
{
	for (const char *c = s->user; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f) {
			s->user[0] = '\0';
			return SASL_REFUSED;
		}
	return SASL_WANT_STORED;
}

/* [authzid] NUL authcid NUL password */
static enum sasl_state
plain_respond(struct sasl *s, const uint8_t *in, size_t len)
{
	const uint8_t *user, *password;
	size_t zid_len, user_len;

	if ((user = memchr(in, '\0', len)) == NULL)
		return SASL_BROKEN;
	zid_len = (size_t)(user++ - in);
	password = memchr(user, '\0', len - zid_len - 1);
	if (password == NULL)
		return SASL_BROKEN;
	user_len = (size_t)(password++ - user);
	if (!take_text(s->user, sizeof(s->user), user, user_len) ||
	    !take_text(s->password, sizeof(s->password), password,
		len - zid_len - user_len - 2))
		return SASL_BROKEN;
	/* nobody may act for another */
	if (zid_len > 0 &&
	    (zid_len != user_len || memcmp(in, user, user_len) != 0))
		return SASL_REFUSED;
	return want_stored(s);
}

static enum sasl_state
login_respond(struct sasl *s, const uint8_t *in, size_t len)
{
	if (!s->asked_user) {
		if (!take_text(s->user, sizeof(s->user), in, len))
			return SASL_BROKEN;
		s->asked_user = 1;
		return ask(s, "Password:");
	}
	if (!take_text(s->password, sizeof(s->password), in, len))
		return SASL_BROKEN;
	return want_stored(s);
}

/* Reads one saslname up to its comma, with =2C and =3D; NULL if malformed. */
static const char *
scram_name(const char *in, char *out, size_t size)
{
	size_t n = 0;

	for (; *in != ',' && *in != '\0'; in++) {
		if (n + 1 >= size)
			return NULL;
		if (*in != '=')
			out[n++] = *in;
		else if (strncmp(in, "=2C", 3) == 0 ||
		    strncmp(in, "=3D", 3) == 0) {
			out[n++] = in[2] == 'C' ? ',' : '=';
			in += 2;
		} else
			return NULL;
	}
	out[n] = '\0';
	return *in == ',' && n > 0 ? in + 1 : NULL;
}

/* gs2-cbind-flag "," [ "a=" authzid ] "," "n=" user "," ... */
static enum sasl_state
scram_read_first(struct sasl *s, const char *text)
{
	char authzid[SASL_USER_SIZE] = "";
	const char *at = strchr(text, ',');

	if (at == NULL)
		return SASL_BROKEN;
	/* the client believes that we cannot bind, and we can: someone took
	 * -PLUS out of what we offered (RFC 5802, 6) */
	if (*text == 'y' && *s->binding != '\0')
		return SASL_REFUSED;
	if ((*text == 'p') != s->mechanism->binding)
		return SASL_BROKEN;
	at++;
	if (strncmp(at, "a=", 2) == 0)
		at = scram_name(at + 2, authzid, sizeof(authzid));
	else if (*at == ',')
		at++;
	else
		return SASL_BROKEN;
	if (at == NULL || strncmp(at, "n=", 2) != 0 ||
	    scram_name(at + 2, s->user, sizeof(s->user)) == NULL) {
		s->user[0] = '\0';
		return SASL_BROKEN;
	}
	if (*authzid != '\0' && strcmp(authzid, s->user) != 0)
		return SASL_REFUSED;
	return want_stored(s);
}

static enum sasl_state
scram_begin(struct sasl *s, const uint8_t *in, size_t len)
{
	if (len == 0 || memchr(in, '\0', len) != NULL)
		return SASL_BROKEN;
	if ((s->first = malloc(len + 1)) == NULL)
		return SASL_FAULT;
	memcpy(s->first, in, len);
	s->first[len] = '\0';
	s->first_len = len;
	return scram_read_first(s, (const char *)s->first);
}

static enum sasl_state
scram_step(struct sasl *s, const uint8_t *in, size_t len)
{
	int rc;

	forget_challenge(s);
	rc = gsasl_step(s->session, (const char *)in, len, &s->challenge,
	    &s->challenge_len);
	switch (rc) {
	case GSASL_NEEDS_MORE:
		return SASL_WANT_RESPONSE;
	case GSASL_OK:
		return s->known ? SASL_ACCEPTED : SASL_REFUSED;
	case GSASL_MALLOC_ERROR:
		return SASL_FAULT;
	case GSASL_MECHANISM_PARSE_ERROR:
	case GSASL_MECHANISM_CALLED_TOO_MANY_TIMES:
	case GSASL_BASE64_ERROR:
		return SASL_BROKEN;
	default:
		return SASL_REFUSED;
	}
}

static int
scram_set(
    struct sasl *s, Gsasl_property property, const uint8_t *octets, size_t len)
{
	char text[BASE64_LENGTH(CREDENTIALS_SALT_MAX) + 1];

	return base64_encode(octets, len, text, sizeof(text)) != -1 &&
	    gsasl_property_set(s->session, property, text) == GSASL_OK;
}

static enum sasl_state
scram_stored(struct sasl *s, const char *stored, const char *model)
{
	const struct mechanism *m = s->mechanism;
	struct credentials_scram keys;
	char iterations[16];
	int ok;

	s->known = credentials_scram(
		       m->hash, stored, model, s->user, s->secret, &keys) == 0;
	if (gsasl_init(&s->library) != GSASL_OK ||
	    gsasl_server_start(s->library, m->name, &s->session) != GSASL_OK)
		return SASL_FAULT;
	snprintf(iterations, sizeof(iterations), "%u", keys.iterations);
	ok = gsasl_property_set(s->session, GSASL_SCRAM_ITER, iterations) ==
		GSASL_OK &&
	    scram_set(s, GSASL_SCRAM_SALT, keys.salt, keys.salt_len) &&
	    scram_set(
		s, GSASL_SCRAM_STOREDKEY, keys.stored_key, keys.key_len) &&
	    scram_set(
		s, GSASL_SCRAM_SERVERKEY, keys.server_key, keys.key_len) &&
	    (*s->binding == '\0' ||
		gsasl_property_set(
		    s->session, GSASL_CB_TLS_EXPORTER, s->binding) == GSASL_OK);
	OPENSSL_cleanse(&keys, sizeof(keys));
	return ok ? scram_step(s, s->first, s->first_len) : SASL_FAULT;
}

enum sasl_state
sasl_respond(struct sasl *s, const uint8_t *response, size_t len)
{
	forget_challenge(s);
	if (len > SASL_OCTETS_MAX)
		return SASL_BROKEN;
	switch (s->mechanism->kind) {
	case KIND_PLAIN:
		return plain_respond(s, response, len);
	case KIND_LOGIN:
		return login_respond(s, response, len);
	case KIND_SCRAM:
		break;
	}
	if (s->session != NULL)
		return scram_step(s, response, len);
	return s->first == NULL ? scram_begin(s, response, len) : SASL_BROKEN;
}

enum sasl_state
sasl_begin(struct sasl *s, const uint8_t *initial, size_t len)
{
	forget_challenge(s);
	if (initial != NULL)
		return sasl_respond(s, initial, len);
	return ask(s, s->mechanism->kind == KIND_LOGIN ? "Username:" : "");
}

enum sasl_state
sasl_stored(struct sasl *s, const char *stored, const char *model)
{
	if (s->mechanism->kind == KIND_SCRAM)
		return scram_stored(s, stored, model);
	s->known = stored != NULL && *stored != '\0';
	forget_stored(s);
	s->stored = strdup(s->known ? stored : credentials_stand_in(model));
	return s->stored != NULL ? SASL_WANT_VERDICT : SASL_FAULT;
}

void
sasl_question(const struct sasl *s, const char **stored, const char **password)
{
	*stored = s->stored;
	*password = s->password;
}

enum sasl_state
sasl_verdict(struct sasl *s, int fits)
{
	OPENSSL_cleanse(s->password, sizeof(s->password));
	forget_stored(s);
	return fits && s->known ? SASL_ACCEPTED : SASL_REFUSED;
}

const uint8_t *
sasl_challenge(const struct sasl *s, size_t *len)
{
	const char *data = s->challenge != NULL ? s->challenge : s->prompt;

	if (data == NULL)
		data = "";
	*len = s->challenge != NULL ? s->challenge_len : strlen(data);
	return (const uint8_t *)data;
}

const char *
sasl_user(const struct sasl *s)
{
	return s->user;
}
