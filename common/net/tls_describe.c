/*
 * What there is to say of an established TLS session: for the log, for the
 * Received field, for policy, and for channel binding.
 */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "net/tls_internal.h"

static void
copy(char *out, size_t size, const char *from)
{
	snprintf(out, size, "%s", from != NULL ? from : "");
}

/* The subject by RFC 2253, whose escapes leave nothing but printable ASCII. */
static void
describe_subject(X509 *x, char *out, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int n = -1;

	if (bio != NULL &&
	    X509_NAME_print_ex(bio, X509_get_subject_name(x), 0,
		XN_FLAG_RFC2253 | ASN1_STRFLGS_ESC_CTRL |
		    ASN1_STRFLGS_ESC_MSB) >= 0)
		n = BIO_read(bio, out, (int)size - 1);
	out[n > 0 ? n : 0] = '\0';
	BIO_free(bio);
	ERR_clear_error();
}

static void
describe_fingerprint(X509 *x, char *out, size_t size)
{
	uint8_t md[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	out[0] = '\0';
	if (X509_digest(x, EVP_sha256(), md, &len) != 1 || size < 2 * len + 1)
		return;
	for (unsigned i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", md[i]);
}

/* Whether the session was told whom to expect, so that a good chain means
 * that it is the right peer. */
static int
knew_whom(SSL *ssl)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	char *ip;

	if (SSL_is_server(ssl))
		return SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE;
	if (X509_VERIFY_PARAM_get0_host(param, 0) != NULL)
		return 1;
	ip = X509_VERIFY_PARAM_get1_ip_asc(param);
	OPENSSL_free(ip);
	return ip != NULL;
}

void
tls_describe(const SSL *session, struct tls_info *info)
{
	SSL *ssl = (SSL *)session; /* OpenSSL's getters are not all const */
	X509 *x = SSL_get0_peer_certificate(ssl);
	long result = SSL_get_verify_result(ssl);

	memset(info, 0, sizeof(*info));
	copy(info->version, sizeof(info->version), SSL_get_version(ssl));
	copy(info->cipher, sizeof(info->cipher), SSL_get_cipher_name(ssl));
	info->bits = SSL_get_cipher_bits(ssl, NULL);
	info->resumed = SSL_session_reused(ssl);
	info->peer_certificate = x != NULL;
	if (x == NULL)
		return;
	describe_subject(x, info->subject, sizeof(info->subject));
	describe_fingerprint(x, info->fingerprint, sizeof(info->fingerprint));
	if (!knew_whom(ssl))
		return;
	info->verified = result == X509_V_OK;
	if (!info->verified)
		copy(info->verify_error, sizeof(info->verify_error),
		    X509_verify_cert_error_string(result));
}

char *
tls_describe_string(const struct tls_info *info, char *out, size_t size)
{
	snprintf(out, size, "%s cipher %s bits %d verify %s", info->version,
	    info->cipher, info->bits, info->verified ? "YES" : "NO");
	return out;
}

int
tls_channel_binding(SSL *ssl, uint8_t out[TLS_BINDING_LEN])
{
	static const char label[] = "EXPORTER-Channel-Binding";

	if (SSL_version(ssl) < TLS1_3_VERSION &&
	    SSL_get_extms_support(ssl) != 1)
		return -1;
	return SSL_export_keying_material(ssl, out, TLS_BINDING_LEN, label,
		   sizeof(label) - 1, NULL, 0, 0) == 1
	    ? 0
	    : -1;
}
