/*
 * See credentials.h. RFC 5802 and 5803 for SCRAM, crypt(3) of libxcrypt for
 * hashes. Passwords come from clients, stored values from the administrator.
 */
#include <sys/types.h>

#include <crypt.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <gsasl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "auth/credentials.h"
#include "smtp/base64.h"

static const char plain_prefix[] = "{PLAIN}";
static const char crypt_prefix[] = "{CRYPT}";
static const struct {
	const char *prefix;
	const char *digest;
	size_t key_len;
} kinds[] = {
	[CREDENTIALS_SHA1] = { "{SCRAM-SHA-1}", "SHA1", 20 },
	[CREDENTIALS_SHA256] = { "{SCRAM-SHA-256}", "SHA256", 32 },
};

/* What a setting of the system looks like where no other is known. */
static const char usual_setting[] = "$y$j9T$MfO9Ll6Cu1Ye0GTvFXb8y/$";

static const char *
after(const char *stored, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncasecmp(stored, prefix, len) == 0 ? stored + len : NULL;
}

/* Takes one base64 field that ends with a comma or the text. */
static ssize_t
take_field(const char **text, uint8_t *out, size_t size)
{
	size_t len = strcspn(*text, ",");
	ssize_t n = base64_decode(*text, len, out, size);

	*text += len;
	if (**text == ',')
		(*text)++;
	return n;
}

/* -1 when the stored value is no SCRAM entry of this hash. */
static int
parse_scram(
    enum credentials_hash hash, const char *stored, struct credentials_scram *s)
{
	const char *text = after(stored, kinds[hash].prefix);
	ssize_t salt, stored_key, server_key;
	unsigned long iterations;
	char *end;

	if (text == NULL || !isdigit((unsigned char)*text))
		return -1;
	iterations = strtoul(text, &end, 10);
	if (*end != ',' || iterations == 0 || iterations > 10000000)
		return -1;
	text = end + 1;
	salt = take_field(&text, s->salt, sizeof(s->salt));
	stored_key = take_field(&text, s->stored_key, sizeof(s->stored_key));
	server_key = take_field(&text, s->server_key, sizeof(s->server_key));
	if (salt <= 0 || *text != '\0' ||
	    stored_key != (ssize_t)kinds[hash].key_len ||
	    server_key != (ssize_t)kinds[hash].key_len)
		return -1;
	s->hash = hash;
	s->iterations = (uint32_t)iterations;
	s->salt_len = (size_t)salt;
	s->key_len = kinds[hash].key_len;
	return 0;
}

/* Fills in the keys of a password for the hash, salt and iterations of s. */
static int
derive_keys(struct credentials_scram *s, const char *password)
{
	const EVP_MD *md = EVP_get_digestbyname(kinds[s->hash].digest);
	uint8_t salted[EVP_MAX_MD_SIZE], client[EVP_MAX_MD_SIZE];
	char *prepared = NULL;
	unsigned int n;
	int ok;

	if (gsasl_saslprep(password, GSASL_ALLOW_UNASSIGNED, &prepared, NULL) ==
	    GSASL_OK)
		password = prepared;
	s->key_len = kinds[s->hash].key_len;
	ok = md != NULL &&
	    PKCS5_PBKDF2_HMAC(password, (int)strlen(password), s->salt,
		(int)s->salt_len, (int)s->iterations, md, (int)s->key_len,
		salted) == 1 &&
	    HMAC(md, salted, (int)s->key_len,
		(const unsigned char *)"Client Key", 10, client, &n) != NULL &&
	    EVP_Digest(client, s->key_len, s->stored_key, &n, md, NULL) == 1 &&
	    HMAC(md, salted, (int)s->key_len,
		(const unsigned char *)"Server Key", 10, s->server_key,
		&n) != NULL;
	OPENSSL_cleanse(salted, sizeof(salted));
	OPENSSL_cleanse(client, sizeof(client));
	if (prepared != NULL) {
		OPENSSL_cleanse(prepared, strlen(prepared));
		gsasl_free(prepared);
	}
	return ok ? 0 : -1;
}

static int
verify_scram(
    enum credentials_hash hash, const char *stored, const char *password)
{
	struct credentials_scram want, have;
	int same;

	if (parse_scram(hash, stored, &want) == -1)
		return 0;
	have = want;
	same = derive_keys(&have, password) == 0 &&
	    CRYPTO_memcmp(have.stored_key, want.stored_key, want.key_len) == 0;
	OPENSSL_cleanse(&have, sizeof(have));
	OPENSSL_cleanse(&want, sizeof(want));
	return same;
}

/* Digests are compared, so that neither length nor a shared beginning
 * shows. */
static int
same_text(const char *a, const char *b)
{
	uint8_t da[EVP_MAX_MD_SIZE] = { 0 }, db[EVP_MAX_MD_SIZE] = { 1 };
	unsigned int n;

	if (EVP_Digest(a, strlen(a), da, &n, EVP_sha256(), NULL) != 1 ||
	    EVP_Digest(b, strlen(b), db, &n, EVP_sha256(), NULL) != 1)
		return 0;
	return CRYPTO_memcmp(da, db, 32) == 0;
}

static int
verify_crypt(const char *stored, const char *password)
{
	struct crypt_data *data;
	const char *hash;
	int same;

	if (*stored != '$' && *stored != '_' && strlen(stored) != 13)
		return 0;
	if ((data = calloc(1, sizeof(*data))) == NULL)
		return 0;
	hash = crypt_r(password, stored, data);
	same = hash != NULL && *hash != '*' && same_text(hash, stored);
	OPENSSL_cleanse(data, sizeof(*data));
	free(data);
	return same;
}

int
credentials_verify(const char *stored, const char *password)
{
	const char *text;

	if (stored == NULL || *stored == '\0' ||
	    strlen(password) > CREDENTIALS_PASSWORD_MAX)
		return 0;
	if ((text = after(stored, plain_prefix)) != NULL)
		return *text != '\0' && same_text(text, password);
	for (unsigned int h = 0; h < sizeof(kinds) / sizeof(kinds[0]); h++)
		if (after(stored, kinds[h].prefix) != NULL)
			return verify_scram(h, stored, password);
	if ((text = after(stored, crypt_prefix)) != NULL)
		stored = text;
	return verify_crypt(stored, password);
}

const char *
credentials_stand_in(const char *model)
{
	return model != NULL && *model != '\0' ? model : usual_setting;
}

/* 32 octets that nobody stored: always the same for one user and purpose. */
static void
make_octets(const char *purpose, const char *user, const uint8_t secret[32],
    uint8_t out[32])
{
	char name[300];
	unsigned int n;
	int len;

	len = snprintf(name, sizeof(name), "%s %.255s", purpose, user);
	for (int i = 0; i < len; i++)
		name[i] = (char)tolower((unsigned char)name[i]);
	memset(out, 0, 32);
	HMAC(EVP_sha256(), secret, 32, (const unsigned char *)name, (size_t)len,
	    out, &n);
}

size_t
credentials_model(const char *user, const uint8_t secret[32], size_t count)
{
	uint8_t octets[32];
	uint32_t n;

	make_octets("model", user, secret, octets);
	memcpy(&n, octets, sizeof(n));
	return count > 0 ? n % count : 0;
}

int
credentials_scram(enum credentials_hash hash, const char *stored,
    const char *model, const char *user, const uint8_t secret[32],
    struct credentials_scram *out)
{
	struct credentials_scram like = { .iterations = 0 }, own;
	const char *password = NULL;
	int have;

	if (stored == NULL)
		stored = "";
	have = parse_scram(hash, stored, out) == 0;
	if (!have && (password = after(stored, plain_prefix)) != NULL &&
	    *password == '\0')
		password = NULL;
	/* derived whether it is needed or not, for the sake of its time */
	memset(&own, 0, sizeof(own));
	own.hash = hash;
	own.iterations = CREDENTIALS_ITERATIONS;
	own.salt_len = 16;
	make_octets("salt", user, secret, own.salt);
	if (derive_keys(&own, password != NULL ? password : "-") == -1)
		return -1;
	if (have)
		return 0;
	*out = own;
	if (password != NULL)
		return 0;
	if (model != NULL && parse_scram(hash, model, &like) == 0) {
		out->iterations = like.iterations;
		out->salt_len = like.salt_len > 32 ? 32 : like.salt_len;
	}
	/* no password gives these keys */
	make_octets("stored", user, secret, out->stored_key);
	make_octets("server", user, secret, out->server_key);
	OPENSSL_cleanse(&own, sizeof(own));
	return -1;
}
