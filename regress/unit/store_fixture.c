/*
 * See store_fixture.h.
 */
#include "config.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ftw.h>
#include <libdeflate.h>

#include "store_fixture.h"

char *
fixture_folder(void)
{
	const char *base = getenv("TMPDIR");
	char *path;

	if (asprintf(&path, "%s/relais-store.XXXXXX",
		base != NULL ? base : "/tmp") == -1 ||
	    mkdtemp(path) == NULL)
		err(1, "temporary folder");
	return path;
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	return remove(path);
}

void
fixture_remove(char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(path);
}

struct store *
fixture_open(const char *path)
{
	char error[512];
	struct store *st;

	if ((st = store_open(path, NULL, error, sizeof(error))) == NULL)
		errx(1, "store_open: %s", error);
	return st;
}

struct envelope *
fixture_envelope(uint32_t msgid, uint32_t rcpts)
{
	struct envelope *env = envelope_new(msgid);
	struct envelope_rcpt r;
	char address[64];

	if (env == NULL)
		errx(1, "out of memory");
	env->arrival = 1795536000;
	snprintf(address, sizeof(address), "s%u@example.org", msgid);
	envelope_set(env, &env->sender, address);
	for (uint32_t i = 0; i < rcpts; i++) {
		envelope_rcpt_init(&r);
		snprintf(
		    address, sizeof(address), "r%u.%u@example.net", msgid, i);
		r.address = address;
		r.action = "relay";
		envelope_add(env, &r);
	}
	return env;
}

void
fixture_body(uint32_t msgid, uint8_t *to, size_t len)
{
	uint32_t x = msgid * 2654435761u + 12345;

	for (size_t i = 0; i < len; i++) {
		x = x * 1664525 + 1013904223;
		to[i] = (uint8_t)(x >> 24);
	}
}

enum store_status
fixture_put(
    struct store *st, uint32_t msgid, uint32_t rcpts, size_t len, int spooled)
{
	struct envelope *env = fixture_envelope(msgid, rcpts);
	struct store_spool *spool = NULL;
	struct store_content content = { .size = len };
	uint8_t *data = malloc(len + 1);
	enum store_status status;

	fixture_body(msgid, data, len);
	content.crc = libdeflate_crc32(0, data, len);
	content.data = data;
	if (spooled) {
		if ((spool = store_spool_open(st, NULL)) == NULL ||
		    store_spool_write(spool, data, len) == -1)
			errx(1, "spool");
		content.data = NULL;
		content.spool = spool;
	}
	status = store_put_message(st, env, &content);
	store_spool_close(spool);
	envelope_free(env);
	free(data);
	return status;
}

static const char *
check_body(struct store *st, const struct envelope *env, size_t len)
{
	uint8_t *want = malloc(len + 1), *got = malloc(len + 1);
	const char *wrong = NULL;
	struct store_body *body;
	size_t have = 0;
	ssize_t n = 0;

	fixture_body(env->msgid, want, len);
	if (store_body_open(st, env, &body) != STORE_OK) {
		wrong = "the body does not open";
	} else {
		while (have < len &&
		    (n = store_body_read(body, got + have, len - have)) > 0)
			have += (size_t)n;
		if (n == -1 || have != len)
			wrong = "the body does not read";
		else if (store_body_read(body, got, 1) != 0)
			wrong = "the body does not end";
		else if (memcmp(want, got, len) != 0)
			wrong = "the body differs";
		store_body_close(body);
	}
	free(want);
	free(got);
	return wrong;
}

const char *
fixture_check(struct store *st, uint32_t msgid, uint32_t rcpts, size_t len)
{
	struct envelope *want, *env = envelope_new(0);
	const char *wrong = NULL;

	if (store_read_envelope(st, msgid, env) != STORE_OK) {
		envelope_free(env);
		return "the envelope does not read";
	}
	want = fixture_envelope(msgid, rcpts);
	if (env->body_size != len)
		wrong = "the size differs";
	else if (strcmp(env->sender, want->sender) != 0)
		wrong = "the sender differs";
	else if (env->rcpt_count != rcpts)
		wrong = "the recipients are not as many";
	for (uint32_t i = 0; wrong == NULL && i < rcpts; i++)
		if (strcmp(env->rcpts[i].address, want->rcpts[i].address) != 0)
			wrong = "a recipient differs";
	if (wrong == NULL)
		wrong = check_body(st, env, len);
	envelope_free(want);
	envelope_free(env);
	return wrong;
}
