/*
 * Octets of a record: with their own CRC, which must be refused unless right,
 * and with the CRC made right, so that the fields are reached. What decodes
 * must encode, and decode again to the same octets.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "queue/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

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
	uLong crc;

	try_record(env, data, len);
	if (len > 5) {
		sealed = malloc(len);
		memcpy(sealed, data, len);
		sealed[0] = ENVELOPE_VERSION;
		crc = crc32_z(0, sealed, 1);
		crc = crc32_z(crc, sealed + 5, len - 5);
		for (int i = 0; i < 4; i++)
			sealed[1 + i] = (uint8_t)(crc >> (24 - 8 * i));
		try_record(env, sealed, len);
		free(sealed);
	}
	envelope_free(env);
	return 0;
}
