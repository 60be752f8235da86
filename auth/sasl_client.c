/*
 * See sasl_client.h. Challenges come from a server that nobody vouches for.
 */
#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include <gsasl.h>
#include <openssl/crypto.h>

#include "auth/sasl_client.h"
#include "smtp/base64.h"

enum { BINDING_MAX = 256, CREDENTIALS_MAX = 2048, CHALLENGE_MAX = 16384 };

/* In order of preference. */
static const struct {
	const char *name;
	int binding;
} mechanisms[] = {
	{ "SCRAM-SHA-256-PLUS", 1 },
	{ "SCRAM-SHA-1-PLUS", 1 },
	{ "SCRAM-SHA-256", 0 },
	{ "SCRAM-SHA-1", 0 },
	{ "PLAIN", 0 },
	{ "LOGIN", 0 },
};

struct sasl_client {
	const char *mechanism;
	char *user;
	char *password;
	unsigned int steps; /* taken */
	Gsasl *library;
	Gsasl_session *session;
	char *response;
	size_t response_len;
};

static int
is_offered(const char *offered, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = offered; *at != '\0';) {
		size_t n = strcspn(at, " ");

		if (n == len && strncmp(at, name, len) == 0)
			return 1;
		at += n;
		at += strspn(at, " ");
	}
	return 0;
}

static const char *
choose(const char *offered, size_t binding_len)
{
	for (size_t i = 0; i < sizeof(mechanisms) / sizeof(*mechanisms); i++)
		if ((!mechanisms[i].binding || binding_len > 0) &&
		    is_offered(offered, mechanisms[i].name))
			return mechanisms[i].name;
	return NULL;
}

static void
forget(char **secret, size_t len)
{
	if (*secret != NULL)
		OPENSSL_cleanse(*secret, len);
	free(*secret);
	*secret = NULL;
}

void
sasl_client_free(struct sasl_client *c)
{
	if (c == NULL)
		return;
	if (c->session != NULL)
		gsasl_finish(c->session);
	if (c->library != NULL)
		gsasl_done(c->library);
	forget(&c->response, c->response_len);
	forget(&c->user, c->user != NULL ? strlen(c->user) : 0);
	forget(&c->password, c->password != NULL ? strlen(c->password) : 0);
	free(c);
}

static int
begin_scram(struct sasl_client *c, const uint8_t *binding, size_t binding_len)
{
	char text[BASE64_LENGTH(BINDING_MAX) + 1];

	if (gsasl_init(&c->library) != GSASL_OK ||
	    gsasl_client_start(c->library, c->mechanism, &c->session) !=
		GSASL_OK ||
	    gsasl_property_set(c->session, GSASL_AUTHID, c->user) != GSASL_OK ||
	    gsasl_property_set(c->session, GSASL_PASSWORD, c->password) !=
		GSASL_OK)
		return -1;
	/* only for -PLUS: else the client would say that it could bind and
	 * the server does not, which is so only if it offered none */
	if (binding_len == 0 || strstr(c->mechanism, "-PLUS") == NULL)
		return 0;
	if (base64_encode(binding, binding_len, text, sizeof(text)) == -1)
		return -1;
	return gsasl_property_set(c->session, GSASL_CB_TLS_EXPORTER, text) ==
		GSASL_OK
	    ? 0
	    : -1;
}

struct sasl_client *
sasl_client_new(const char *offered, const uint8_t *binding, size_t binding_len,
    const char *credentials, enum sasl_status *status)
{
	const char *colon = strchr(credentials, ':');
	const char *mechanism = choose(offered, binding_len);
	struct sasl_client *c;

	*status = mechanism == NULL ? SASL_UNSUPPORTED : SASL_TEMPFAIL;
	if (mechanism == NULL || colon == NULL || colon == credentials ||
	    strlen(credentials) > CREDENTIALS_MAX ||
	    binding_len > BINDING_MAX || (c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->mechanism = mechanism;
	c->user = strndup(credentials, (size_t)(colon - credentials));
	c->password = strdup(colon + 1);
	if (c->user == NULL || c->password == NULL ||
	    (strncmp(mechanism, "SCRAM-", 6) == 0 &&
		begin_scram(c, binding, binding_len) == -1)) {
		sasl_client_free(c);
		return NULL;
	}
	return c;
}

const char *
sasl_client_mechanism(const struct sasl_client *c)
{
	return c->mechanism;
}

static enum sasl_status
respond(struct sasl_client *c, const char *octets, size_t len,
    enum sasl_status status)
{
	if ((c->response = malloc(len + 1)) == NULL)
		return SASL_TEMPFAIL;
	memcpy(c->response, octets, len);
	c->response_len = len;
	return status;
}

static enum sasl_status
plain_step(struct sasl_client *c)
{
	size_t user = strlen(c->user), password = strlen(c->password);

	if (c->steps > 1)
		return SASL_MALFORMED;
	c->response_len = user + password + 2;
	if ((c->response = calloc(1, c->response_len)) == NULL)
		return SASL_TEMPFAIL;
	memcpy(c->response + 1, c->user, user);
	memcpy(c->response + user + 2, c->password, password);
	return SASL_OK;
}

/* The prompts are words for people and not looked at. */
static enum sasl_status
login_step(struct sasl_client *c)
{
	switch (c->steps) {
	case 1:
		return respond(c, "", 0, SASL_CONTINUE);
	case 2:
		return respond(c, c->user, strlen(c->user), SASL_CONTINUE);
	case 3:
		return respond(c, c->password, strlen(c->password), SASL_OK);
	default:
		return SASL_MALFORMED;
	}
}

static enum sasl_status
scram_step(struct sasl_client *c, const uint8_t *challenge, size_t len)
{
	enum sasl_status status;
	char *out = NULL;
	size_t n = 0;
	int rc;

	rc = gsasl_step(c->session, (const char *)challenge, len, &out, &n);
	if (rc == GSASL_OK || rc == GSASL_NEEDS_MORE)
		status = respond(c, n > 0 ? out : "", n,
		    rc == GSASL_OK ? SASL_OK : SASL_CONTINUE);
	else if (rc == GSASL_MALLOC_ERROR)
		status = SASL_TEMPFAIL;
	else if (rc == GSASL_AUTHENTICATION_ERROR)
		status = SASL_DENIED;
	else
		status = SASL_MALFORMED;
	if (out != NULL)
		gsasl_free(out);
	return status;
}

enum sasl_status
sasl_client_step(struct sasl_client *c, const uint8_t *challenge, size_t len,
    const uint8_t **response, size_t *response_len)
{
	enum sasl_status status = SASL_MALFORMED;

	forget(&c->response, c->response_len);
	c->response_len = 0;
	c->steps++;
	if (len > CHALLENGE_MAX)
		;
	else if (c->session != NULL)
		status = scram_step(c, challenge, len);
	else if (strcmp(c->mechanism, "PLAIN") == 0)
		status = plain_step(c);
	else
		status = login_step(c);
	*response = (const uint8_t *)(c->response != NULL ? c->response : "");
	*response_len = c->response_len;
	return status;
}
