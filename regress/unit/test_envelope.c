/*
 * The records of an envelope: what goes in comes out, what is torn, damaged
 * or newer is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libdeflate.h>

#include "queue/envelope.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct envelope *
make_envelope(uint32_t msgid, uint32_t rcpts)
{
	struct envelope *env = envelope_new(msgid);
	struct envelope_rcpt r;
	char address[64];

	assert_non_null(env);
	env->session = 0xfedcba9876543210;
	env->flags = 5;
	env->ret = 1;
	env->body_size = 70000;
	env->body_crc = 0xdeadbeef;
	env->size = 70123;
	env->arrival = 1795536000;
	env->lifetime = 432000;
	envelope_set(env, &env->sender, "sender@example.org");
	envelope_set(env, &env->envid, "QQ314159");
	envelope_set(env, &env->client_addr, "2001:db8::1");
	envelope_set(env, &env->client_name, "host.example.org");
	envelope_set(env, &env->helo, "h\xc3\xb6st.example.org");
	envelope_set(env, &env->auth_user, "user");
	envelope_set(env, &env->tag, "submission");
	for (uint32_t i = 0; i < rcpts; i++) {
		envelope_rcpt_init(&r);
		snprintf(address, sizeof(address), "r%u@example.net", i);
		r.address = address;
		r.action = "relay";
		r.state = (uint8_t)(i % ENVELOPE_STATES);
		r.outcome = (uint8_t)(i % ENVELOPE_OUTCOMES);
		r.next = 1795536000 + (int64_t)i;
		r.last = i == 0 ? -1 : (int64_t)i;
		r.code = 451;
		r.enhanced = "4.3.0";
		r.text = "later, please";
		r.remote = "mx.example.net";
		r.attempts = i;
		if (i > 0) {
			r.parent = i - 1;
			r.owner = "owner-list@example.net";
			r.depth = 1;
		}
		assert_int_equal(envelope_add(env, &r), i);
	}
	assert_true(envelope_fit(env));
	return env;
}

static void
assert_same(const struct envelope *a, const struct envelope *b)
{
	assert_int_equal(a->msgid, b->msgid);
	assert_int_equal(a->session, b->session);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->ret, b->ret);
	assert_int_equal(a->hold, b->hold);
	assert_int_equal(a->body, b->body);
	assert_int_equal(a->body_crc, b->body_crc);
	assert_int_equal(a->body_size, b->body_size);
	assert_int_equal(a->size, b->size);
	assert_int_equal(a->arrival, b->arrival);
	assert_int_equal(a->lifetime, b->lifetime);
	assert_string_equal(a->sender, b->sender);
	assert_string_equal(a->envid, b->envid);
	assert_string_equal(a->client_addr, b->client_addr);
	assert_string_equal(a->client_name, b->client_name);
	assert_string_equal(a->helo, b->helo);
	assert_string_equal(a->auth_user, b->auth_user);
	assert_string_equal(a->tag, b->tag);
	assert_int_equal(a->rcpt_count, b->rcpt_count);
	for (uint32_t i = 0; i < a->rcpt_count; i++) {
		const struct envelope_rcpt *x = &a->rcpts[i];
		const struct envelope_rcpt *y = &b->rcpts[i];

		assert_int_equal(x->state, y->state);
		assert_int_equal(x->outcome, y->outcome);
		assert_int_equal(x->parent, y->parent);
		assert_int_equal(x->attempts, y->attempts);
		assert_int_equal(x->next, y->next);
		assert_int_equal(x->last, y->last);
		assert_int_equal(x->code, y->code);
		assert_int_equal(x->depth, y->depth);
		assert_string_equal(x->address, y->address);
		assert_string_equal(x->action, y->action);
		assert_string_equal(x->owner, y->owner);
		assert_string_equal(x->enhanced, y->enhanced);
		assert_string_equal(x->text, y->text);
		assert_string_equal(x->remote, y->remote);
		assert_string_equal(x->user, y->user);
	}
}

static void
test_round_trip(void **state)
{
	static const uint32_t counts[] = { 0, 1, 31, 32, 33, 64, 1000 };
	struct envelope *in, *out = envelope_new(0);
	struct envelope_buf buf = { 0 };
	char error[256];

	for (size_t i = 0; i < COUNT(counts); i++) {
		in = make_envelope(0x80000001, counts[i]);
		assert_int_equal(envelope_records(in),
		    counts[i] == 0 ? 1 : (counts[i] + 31) / 32);
		envelope_reset(out, in->msgid);
		for (uint32_t n = 0; n < envelope_records(in); n++) {
			assert_int_equal(envelope_complete(out), 0);
			buf.len = 0;
			assert_int_equal(envelope_encode(in, n, &buf), 0);
			if (envelope_decode(out, n, buf.data, buf.len, error,
				sizeof(error)) == -1)
				fail_msg("%s", error);
		}
		assert_true(envelope_complete(out));
		assert_same(in, out);
		assert_int_equal(
		    envelope_encode(in, envelope_records(in), &buf), -1);
		envelope_free(in);
	}
	envelope_buf_free(&buf);
	envelope_free(out);
}

static void
test_truncated(void **state)
{
	struct envelope *in = make_envelope(7, 3), *out = envelope_new(7);
	struct envelope_buf buf = { 0 };
	uint8_t *exact;
	char error[256];

	assert_int_equal(envelope_encode(in, 0, &buf), 0);
	for (size_t len = 0; len < buf.len; len++) {
		/* an allocation of just that size, for the sanitizer */
		exact = malloc(len + 1);
		memcpy(exact + 1, buf.data, len);
		envelope_reset(out, 7);
		error[0] = '\0';
		assert_int_equal(envelope_decode(out, 0, exact + 1, len, error,
				     sizeof(error)),
		    -1);
		assert_string_not_equal(error, "");
		free(exact);
	}
	/* one octet too many is as wrong */
	exact = calloc(1, buf.len + 1);
	memcpy(exact, buf.data, buf.len);
	assert_int_equal(
	    envelope_decode(out, 0, exact, buf.len + 1, error, sizeof(error)),
	    -1);
	free(exact);
	envelope_buf_free(&buf);
	envelope_free(in);
	envelope_free(out);
}

static void
test_flipped(void **state)
{
	struct envelope *in = make_envelope(7, 2), *out = envelope_new(7);
	struct envelope_buf buf = { 0 };
	char error[256];

	assert_int_equal(envelope_encode(in, 0, &buf), 0);
	for (size_t bit = 0; bit < buf.len * 8; bit++) {
		buf.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		envelope_reset(out, 7);
		assert_int_equal(envelope_decode(out, 0, buf.data, buf.len,
				     error, sizeof(error)),
		    -1);
		buf.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	envelope_reset(out, 7);
	assert_int_equal(
	    envelope_decode(out, 0, buf.data, buf.len, error, sizeof(error)),
	    0);
	envelope_buf_free(&buf);
	envelope_free(in);
	envelope_free(out);
}

/* Gives a record the CRC that its octets ask for. */
static void
seal(struct envelope_buf *buf)
{
	uint32_t crc = libdeflate_crc32(0, buf->data, 1);

	crc = libdeflate_crc32(crc, buf->data + 5, buf->len - 5);
	for (int i = 0; i < 4; i++)
		buf->data[1 + i] = (uint8_t)(crc >> (24 - 8 * i));
}

/* Octets that lie although their CRC is right: no crash, and what is taken
 * can be encoded again. */
static void
test_lying(void **state)
{
	struct envelope *in = make_envelope(7, 2), *out = envelope_new(7);
	struct envelope_buf buf = { 0 }, again = { 0 };
	char error[256];
	int taken = 0;

	assert_int_equal(envelope_encode(in, 0, &buf), 0);
	for (size_t i = 5; i < buf.len; i++) {
		for (int value = 0; value < 256; value += 5) {
			uint8_t was = buf.data[i];

			buf.data[i] = (uint8_t)value;
			seal(&buf);
			envelope_reset(out, 7);
			if (envelope_decode(out, 0, buf.data, buf.len, error,
				sizeof(error)) == 0) {
				taken++;
				again.len = 0;
				assert_int_equal(
				    envelope_encode(out, 0, &again), 0);
			}
			buf.data[i] = was;
		}
	}
	assert_true(taken > 0);
	envelope_buf_free(&buf);
	envelope_buf_free(&again);
	envelope_free(in);
	envelope_free(out);
}

static void
test_newer(void **state)
{
	struct envelope *in = make_envelope(7, 1), *out = envelope_new(7);
	struct envelope_buf buf = { 0 };
	char error[256];

	assert_int_equal(envelope_encode(in, 0, &buf), 0);
	buf.data[0] = ENVELOPE_VERSION + 1;
	seal(&buf);
	assert_int_equal(
	    envelope_decode(out, 0, buf.data, buf.len, error, sizeof(error)),
	    -1);
	assert_non_null(strstr(error, "newer"));
	envelope_buf_free(&buf);
	envelope_free(in);
	envelope_free(out);
}

/* A record of another message, or out of its turn. */
static void
test_misplaced(void **state)
{
	struct envelope *in = make_envelope(7, 40), *out = envelope_new(8);
	struct envelope_buf zero = { 0 }, one = { 0 };
	char error[256];

	assert_int_equal(envelope_encode(in, 0, &zero), 0);
	assert_int_equal(envelope_encode(in, 1, &one), 0);
	assert_int_equal(
	    envelope_decode(out, 0, zero.data, zero.len, error, sizeof(error)),
	    -1);
	assert_non_null(strstr(error, "msgid"));
	envelope_reset(out, 7);
	assert_int_equal(
	    envelope_decode(out, 0, one.data, one.len, error, sizeof(error)),
	    -1);
	assert_int_equal(
	    envelope_decode(out, 1, one.data, one.len, error, sizeof(error)),
	    -1);
	envelope_buf_free(&zero);
	envelope_buf_free(&one);
	envelope_free(in);
	envelope_free(out);
}

/* A parent that does not stand before its child could make a circle. */
static void
test_parent(void **state)
{
	struct envelope *in = make_envelope(7, 2), *out = envelope_new(7);
	struct envelope_buf buf = { 0 };
	char error[256];

	envelope_edit(in, 0)->parent = 1;
	assert_int_equal(envelope_encode(in, 0, &buf), 0);
	assert_int_equal(
	    envelope_decode(out, 0, buf.data, buf.len, error, sizeof(error)),
	    -1);
	assert_non_null(strstr(error, "parent"));
	envelope_buf_free(&buf);
	envelope_free(in);
	envelope_free(out);
}

static void
test_changed(void **state)
{
	struct envelope *env = make_envelope(7, 100);
	struct envelope_rcpt r;

	for (uint32_t n = 0; n < 4; n++)
		assert_true(envelope_changed(env, n));
	envelope_clean(env);
	for (uint32_t n = 0; n < 4; n++)
		assert_false(envelope_changed(env, n));
	envelope_edit(env, 70)->state = ENVELOPE_DONE;
	assert_false(envelope_changed(env, 0));
	assert_true(envelope_changed(env, 2));
	assert_null(envelope_edit(env, 100));
	envelope_clean(env);
	envelope_rcpt_init(&r);
	/* the count of recipients stands in record 0 */
	assert_int_equal(envelope_add(env, &r), 100);
	assert_true(envelope_changed(env, 0));
	assert_false(envelope_changed(env, 1));
	assert_true(envelope_changed(env, 3));
	assert_false(envelope_finished(env));
	for (uint32_t i = 0; i <= 100; i++)
		envelope_edit(env, i)->state = ENVELOPE_DONE;
	assert_true(envelope_finished(env));
	envelope_free(env);
}

static void
test_strings(void **state)
{
	struct envelope *env = envelope_new(1);
	char *long_one = malloc(ENVELOPE_STRING_MAX + 10);
	struct envelope_buf buf = { 0 };

	memset(long_one, 'a', ENVELOPE_STRING_MAX + 9);
	long_one[ENVELOPE_STRING_MAX + 9] = '\0';
	envelope_set(env, &env->helo, long_one);
	assert_int_equal(strlen(env->helo), ENVELOPE_STRING_MAX);
	envelope_set(env, &env->helo, NULL);
	assert_string_equal(env->helo, "");
	/* longer than a record may hold: refused, not cut */
	env->helo = long_one;
	assert_int_equal(envelope_encode(env, 0, &buf), -1);
	assert_int_equal(buf.len, 0);
	assert_int_equal(envelope_evpid(0x12345678, 9), 0x1234567800000009);
	free(long_one);
	envelope_buf_free(&buf);
	envelope_free(env);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_flipped),
		cmocka_unit_test(test_lying),
		cmocka_unit_test(test_newer),
		cmocka_unit_test(test_misplaced),
		cmocka_unit_test(test_parent),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
