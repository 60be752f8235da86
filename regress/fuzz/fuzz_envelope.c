/*
 * Octets of a record: with their own CRC, which must be refused unless right,
 * and with the CRC made right, so that the fields are reached. What decodes
 * must encode, and decode again to the same octets.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <libdeflate.h>

#include "queue/envelope.h"
#include "regress/fuzz/fuzz.h"

enum { HEAD = FUZZ_ENVELOPE_HEAD };

static void
try_record(struct envelope *env, const uint8_t *data, size_t len)
{
	struct envelope_buf one = { 0 }, two = { 0 };
	struct envelope *again = envelope_new(1);
	char error[256];

	envelope_reset(env, 1);
	if (envelope_decode(env, 0, data, len, error, sizeof(error)) == 0) {
		if (envelope_encode(env, 0, &one) == -1 ||
		    envelope_decode(again, 0, one.data, one.len, error,
			sizeof(error)) == -1 ||
		    envelope_encode(again, 0, &two) == -1 ||
		    one.len != two.len ||
		    memcmp(one.data, two.data, one.len) != 0)
			abort();
	} else if (*error == '\0')
		abort();
	envelope_buf_free(&one);
	envelope_buf_free(&two);
	envelope_free(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct envelope *env = envelope_new(1);
	uint8_t *sealed;

	try_record(env, data, len);
	if (len > HEAD) {
		sealed = malloc(len);
		memcpy(sealed, data, len);
		fuzz_seal_envelope(sealed, len);
		try_record(env, sealed, len);
		free(sealed);
	}
	envelope_free(env);
	return 0;
}

/* ---- mutations by field ------------------------------------------------ */

/*
 * The kinds of the fields of a record, in the order of envelope_codec.c: n a
 * number, s a string; those of the first record's message, then those of one
 * recipient after the other.
 */
static const char message[] = "nn"
			      "nnnnnnnnnnsssssss"
			      "nn";
static const char recipient[] = "nnnnnnnnnnnnnnsssssssss";

static char
field_kind(unsigned index)
{
	const unsigned first = sizeof(message) - 1;

	return index < first
	    ? message[index]
	    : recipient[(index - first) % (sizeof(recipient) - 1)];
}

static size_t
number_length(const uint8_t *p, size_t left)
{
	size_t n = 0;

	while (n < left && (p[n] & 0x80))
		n++;
	return n < left ? n + 1 : 0;
}

static size_t
field_length(const uint8_t *data, size_t size, size_t at, unsigned index)
{
	size_t n = number_length(data + at, size - at), len = 0;

	if (field_kind(index) == 'n' || n == 0)
		return n;
	for (size_t i = n < 4 ? n : 4; i-- > 0;)
		len = len << 7 | (data[at + i] & 0x7f);
	return n + len;
}

static size_t
put_number(uint8_t *p, uint64_t v)
{
	size_t n = 0;

	for (; v > 0x7f; v >>= 7)
		p[n++] = (uint8_t)(v | 0x80);
	p[n++] = (uint8_t)v;
	return n;
}

static size_t
change_field(
    struct dice *d, uint8_t *field, size_t len, size_t room, unsigned index)
{
	size_t n = number_length(field, len), text;
	uint8_t number[10];

	if (field_kind(index) == 'n') {
		n = put_number(number, dice_number(d));
		if (n > room)
			return len;
		memcpy(field, number, n);
		return n;
	}
	/* room for a longer length */
	if (n == 0 || room < len + 2)
		return len;
	text = fuzz_octets(field + n, len - n, room - n - 2);
	len = put_number(
	    number, dice_roll(d, 20) == 0 ? dice_number(d) : (uint64_t)text);
	if (len + text > room)
		return n + text;
	memmove(field + len, field + n, text);
	memcpy(field, number, len);
	return len + text;
}

static const struct fuzz_shape fields = { HEAD, field_length, change_field };

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	size = fuzz_mutate(&fields, data, size, max, seed);
	if (size > HEAD && seed % 8 != 0)
		fuzz_seal_envelope(data, size);
	return size;
}

/* The kinds above are those of the codec: one recipient's record is walked to
 * its very end. */
static void
check_kinds(void)
{
	struct envelope_rcpt rcpt = { .address = "a@b.example" };
	const uint8_t *p;
	struct envelope_buf record = { 0 };
	struct envelope *env = envelope_new(1);
	size_t at = HEAD, n;
	unsigned i = 0;

	require(envelope_add(env, &rcpt) == 0);
	require(envelope_encode(env, 0, &record) == 0);
	p = record.data;
	for (; at < record.len; i++, at += n)
		require((n = field_length(p, record.len, at, i)) != 0);
	require(at == record.len &&
	    i == sizeof(message) - 1 + sizeof(recipient) - 1);
	envelope_buf_free(&record);
	envelope_free(env);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	check_kinds();
	return 0;
}
