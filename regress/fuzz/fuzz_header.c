/*
 * The header scanner: any octets, scanned whole and in pieces, give the same
 * fields, and the fields lie one behind the other inside the section. The
 * first octet of the input chooses the pieces.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mail/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
require(int condition)
{
	if (!condition)
		abort();
}

/* A sum of all that was reported. */
static uint64_t
scan(struct header_scan *h, const uint8_t *data, size_t len, size_t piece)
{
	struct header_field f;
	enum header_status status;
	uint64_t sum = 1, last = 0;
	size_t at = 0, used, n;

	header_init(h, NULL);
	do {
		n = piece < len - at ? piece : len - at;
		status = n > 0 ? header_scan(h, data + at, n, &used, &f)
			       : header_finish(h, &f);
		if (n > 0) {
			require(used <= n);
			at += used;
		}
		if (status != HEADER_FIELD)
			continue;
		require(f.start >= last && f.body > f.start &&
		    f.end >= f.body && f.end <= len);
		require(data[f.body - 1] == ':');
		last = f.end;
		sum = sum * 31 + f.start * 7 + f.body * 5 + f.end * 3 + f.id;
	} while (status == HEADER_MORE || status == HEADER_FIELD);
	require(status == HEADER_END && h->end <= h->body && h->body <= len);
	require(h->end >= last);
	return sum;
}

static void
walk(const uint8_t *data, size_t len, uint32_t fields)
{
	struct header_field f;
	char body[64];
	size_t pos = 0, n, want;

	while (header_next(data, len, &pos, &f)) {
		require(fields-- > 0);
		require(f.end <= len && pos == f.end);
		want = header_body(data, &f, body, sizeof(body));
		n = strlen(body);
		require(n <= want && n < sizeof(body));
		for (; n > 0; n--)
			require((uint8_t)body[n - 1] >= 32);
	}
	require(fields == 0);
	header_delivered_to(data, len, "a@example.org");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct header_scan whole, pieces, limited;
	struct header_limits limits = { 200, 50, 5, 8 };
	struct header_field f;
	enum header_status status;
	size_t at = 0, used;

	if (len < 2)
		return 0;
	require(scan(&whole, data + 1, len - 1, len) ==
	    scan(&pieces, data + 1, len - 1, data[0] % 32 + 1));
	require(whole.body == pieces.body && whole.end == pieces.end);
	require(whole.fields == pieces.fields && whole.lines == pieces.lines);
	require(memcmp(whole.count, pieces.count, sizeof(whole.count)) == 0);
	require(whole.bare == pieces.bare &&
	    whole.eight_bit == pieces.eight_bit &&
	    whole.malformed == pieces.malformed &&
	    whole.long_line == pieces.long_line);
	walk(data + 1, len - 1, whole.fields);
	header_init(&limited, &limits);
	do {
		status = header_scan(&limited, data + at, len - at, &used, &f);
		at += used;
		require(at <= limits.octets + 2);
	} while (status == HEADER_FIELD && at < len);
	return 0;
}
