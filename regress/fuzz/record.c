/*
 * See fuzz.h: what makes a record of the queue right. Apart from the other
 * helpers, since few targets link with zlib.
 */
#include <zlib.h>

#include "queue/envelope.h"
#include "regress/fuzz/fuzz.h"

void
fuzz_seal_envelope(uint8_t *record, size_t len)
{
	uLong crc;

	record[0] = ENVELOPE_VERSION;
	crc = crc32_z(0, record, 1);
	crc =
	    crc32_z(crc, record + FUZZ_ENVELOPE_HEAD, len - FUZZ_ENVELOPE_HEAD);
	fuzz_put_number(record + 1, 4, crc);
}
