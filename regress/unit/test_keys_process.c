/*
 * The keys executable itself, in its sandbox, with this test as its master and
 * its peers: configured, asked, configured anew, and lied to.
 */
#include "config.h"

#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "net_fixture.h"
#include "worker_fixture.h"

static struct stage stage;
static uint8_t signature[2048];
static size_t signature_len;

static void
on_key_signed(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	const struct ipc_blob *b = &m->key_signed.signature;

	assert_int_equal(m->key_signed.id, 7);
	assert_true(b->len <= sizeof(signature));
	signature_len = b->len;
	if (b->len > 0)
		memcpy(signature, b->data, b->len);
	stage_got(&stage, MSG_key_signed);
}

static channel_handler *const handlers[MSG_MAX] = {
	[MSG_key_signed] = on_key_signed,
};

static int told; /* of the end of one's certificate */

/* The log may say why, but nothing of what was to be signed. */
static void
check_log(const char *line)
{
	told += strstr(line, "pki one: the certificate ends on ") != NULL;
	assert_null(strstr(line, "CertificateVerify"));
	assert_null(strstr(line, "From: me"));
}

static struct stage stage = { .kind = PROC_KEYS,
	.patience = 10,
	.handlers = handlers,
	.log_line = check_log };

static void
start(void)
{
	static const char *const argv[] = { "keys", NULL };

	stage.loop = loop_new();
	stage_start(&stage, "auth/keys", argv);
}

/* It ends by itself when master is gone. */
static void
stop(void)
{
	int status = stage_close(&stage);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	loop_free(stage.loop);
}

/* Sends a configuration with these keys; 1 when it was accepted. */
static int
configure(const struct cert *const *certs, size_t count, const char *bad_pem)
{
	struct conf *conf = conf_new();
	struct conf_pki *pki;

	for (size_t i = 0; i < count; i++) {
		pki = conf_append(&conf->pkis, &conf->npkis, sizeof(*pki));
		pki->name = strdup(certs[i]->name);
		pki->cert_path = strdup("/cert");
		pki->key_path = strdup("/key");
		pki->cert_pem = strdup(certs[i]->pem);
		pki->key_pem =
		    strdup(bad_pem != NULL ? bad_pem : certs[i]->key_pem);
	}
	stage_configure(&stage, conf);
	conf_free(conf);
	return stage.error[0] == '\0';
}

/* Asks for a signature of the text; 1 when there is one and it is right. */
static int
ask(enum process_kind kind, const struct cert *cert, const char *text,
    size_t len)
{
	char name[KEY_NAME_SIZE];
	struct msg_key_sign m = { .id = 7,
		.pki = name,
		.digest = "SHA256",
		.data = ipc_blob(text, len) };
	EVP_MD_CTX *ctx;
	int good;

	key_name(name, cert->name, cert->key);
	stage_ask(&stage, kind, key_sign, &m, key_signed);
	if (signature_len == 0)
		return 0;
	ctx = EVP_MD_CTX_new();
	good = EVP_DigestVerifyInit_ex(
		   ctx, NULL, "SHA256", NULL, NULL, cert->key, NULL) == 1 &&
	    EVP_DigestVerify(ctx, signature, signature_len,
		(const unsigned char *)text, len) == 1;
	EVP_MD_CTX_free(ctx);
	assert_true(good);
	return 1;
}

#define EIGHT "        "
#define SPACES EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT
#define HASH "0123456789abcdef0123456789abcdef"
static const char server_text[] =
    SPACES "TLS 1.3, server CertificateVerify\0" HASH;
static const char client_text[] =
    SPACES "TLS 1.3, client CertificateVerify\0" HASH;
enum { TEXT_LEN = sizeof(server_text) - 1 };

static void
test_life(void **state)
{
	struct cert one, two;
	const struct cert *certs[] = { &one, &two };

	cert_make(&one, CERT_P256, "one");
	cert_make(&two, CERT_P256, "two");
	start();
	assert_true(configure(certs, 1, NULL));
	stage_add_peer(&stage, PROC_SMTPD);
	stage_swap(&stage);
	assert_int_equal(ask(PROC_SMTPD, &one, server_text, TEXT_LEN), 1);
	assert_int_equal(ask(PROC_SMTPD, &one, client_text, TEXT_LEN), 0);
	assert_int_equal(ask(PROC_SMTPD, &one, "From: me\r\n", 10), 0);
	assert_int_equal(ask(PROC_SMTPD, &two, server_text, TEXT_LEN), 0);

	/* a configuration that cannot be used changes nothing */
	assert_false(configure(certs, 2, "garbage"));
	assert_non_null(strstr(stage.error, "pki one"));
	assert_int_equal(ask(PROC_SMTPD, &one, server_text, TEXT_LEN), 1);
	/* one that can holds from the swap on, inside the sandbox too */
	assert_true(configure(certs, 2, NULL));
	assert_int_equal(ask(PROC_SMTPD, &two, server_text, TEXT_LEN), 0);
	stage_swap(&stage);
	assert_int_equal(ask(PROC_SMTPD, &two, server_text, TEXT_LEN), 1);
	/* what is taken away is there for sessions until the next reload */
	assert_true(configure(certs + 1, 1, NULL));
	stage_swap(&stage);
	assert_int_equal(ask(PROC_SMTPD, &one, server_text, TEXT_LEN), 1);
	assert_true(configure(certs + 1, 1, NULL));
	assert_int_equal(ask(PROC_SMTPD, &one, server_text, TEXT_LEN), 0);
	stage_swap(&stage);
	assert_int_equal(ask(PROC_SMTPD, &one, server_text, TEXT_LEN), 0);
	assert_int_equal(ask(PROC_SMTPD, &two, server_text, TEXT_LEN), 1);

	/* another peer, other rights */
	stage_drop_peer(&stage, PROC_SMTPD);
	stage_await(&stage, MSG_peer_lost);
	assert_int_equal(stage.broken, 0);
	stage_add_peer(&stage, PROC_DELIVER);
	assert_int_equal(ask(PROC_DELIVER, &two, client_text, TEXT_LEN), 1);
	assert_int_equal(ask(PROC_DELIVER, &two, server_text, TEXT_LEN), 0);
	stop();
	cert_free(&one);
	cert_free(&two);
}

/* Both keys of a pki that is renewed sign, each for its own certificate, and
 * the newest two of three. */
static void
test_renewal(void **state)
{
	struct cert made[3];
	const struct cert *cert;

	start();
	stage_add_peer(&stage, PROC_SMTPD);
	for (int i = 0; i < 3; i++) {
		cert_make(&made[i], i == 1 ? CERT_P384 : CERT_P256, "one");
		cert = &made[i];
		assert_true(configure(&cert, 1, NULL));
		stage_swap(&stage);
		for (int k = 0; k <= i; k++)
			assert_int_equal(
			    ask(PROC_SMTPD, &made[k], server_text, TEXT_LEN),
			    k + 1 >= i);
	}
	stop();
	for (int i = 0; i < 3; i++)
		cert_free(&made[i]);
}

/* The end of a certificate is told at the start, in the sandbox, each day, and
 * no more once the configuration has another. */
static void
test_expiry(void **state)
{
	struct cert brief, other;
	const struct cert *cert = &brief;

	cert_make(&brief, CERT_P256, "one");
	cert_make(&other, CERT_P256, "one");
	X509_gmtime_adj(X509_getm_notAfter(other.x509), 90 * 86400);
	cert_sign_anew(&other);
	setenv("RELAIS_TEST_DAY", "1", 1);
	start();
	told = 0;
	assert_true(configure(NULL, 0, NULL));
	stage_swap(&stage);
	assert_true(configure(&cert, 1, NULL));
	run_for(stage.loop, 1500);
	assert_int_equal(told, 0);
	stage_swap(&stage);
	run_for(stage.loop, 200);
	assert_int_equal(told, 1);
	run_for(stage.loop, 2100);
	/* only the test hooks make a day of a second */
#ifdef RELAIS_TEST_HOOKS
	assert_in_range(told, 2, 3);
#else
	assert_int_equal(told, 1);
#endif
	cert = &other;
	assert_true(configure(&cert, 1, NULL));
	stage_swap(&stage);
	told = 0;
	run_for(stage.loop, 1500);
	assert_int_equal(told, 0);
	stop();
	unsetenv("RELAIS_TEST_DAY");
	cert_free(&brief);
	cert_free(&other);
}

/* No key at all is a configuration as well. */
static void
test_no_keys(void **state)
{
	struct cert one;

	cert_make(&one, CERT_P256, "one");
	start();
	assert_true(configure(NULL, 0, NULL));
	stage_swap(&stage);
	stage_add_peer(&stage, PROC_SMTPD);
	assert_int_equal(ask(PROC_SMTPD, &one, server_text, TEXT_LEN), 0);
	stop();
	cert_free(&one);
}

/* A peer that speaks garbage loses its channel; the next one is served. */
static void
test_garbage(void **state)
{
	static const uint8_t junk[64] = { 0xff, 0xfe, 0xfd };
	struct cert one;
	const struct cert *certs[] = { &one };

	cert_make(&one, CERT_P256, "one");
	start();
	assert_true(configure(certs, 1, NULL));
	stage_swap(&stage);
	stage_add_peer(&stage, PROC_SMTPD);
	run_for(stage.loop, 20);
	assert_int_equal(
	    write(channel_fd(stage.peer[PROC_SMTPD]), junk, sizeof(junk)),
	    sizeof(junk));
	while (stage.peer[PROC_SMTPD] != NULL)
		stage_await(&stage, MSG_NONE);
	assert_non_null(stage.master);
	if (!stage.broken)
		stage_await(&stage, MSG_peer_lost);
	assert_int_equal(stage.broken, 1);
	stage_add_peer(&stage, PROC_SMTPD);
	assert_int_equal(ask(PROC_SMTPD, &one, server_text, TEXT_LEN), 1);
	stop();
	cert_free(&one);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_renewal),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_no_keys),
		cmocka_unit_test(test_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
