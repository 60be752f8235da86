/*
 * See fuzz.h: what makes a record of the queue right. Apart from the other
 * helpers, since few targets link with libdeflate.
 */
#include <libdeflate.h>

#include "queue/envelope.h"
#include "regress/fuzz/fuzz.h"

void
fuzz_seal_envelope(uint8_t *record, size_t len)
{
	uint32_t crc;

	record[0] = ENVELOPE_VERSION;
	crc = libdeflate_crc32(0, record, 1);
	crc = libdeflate_crc32(
	    crc, record + FUZZ_ENVELOPE_HEAD, len - FUZZ_ENVELOPE_HEAD);
	fuzz_put_number(record + 1, 4, crc);
}
