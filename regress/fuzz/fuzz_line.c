/*
 * The command line splitter: the events are the same however the stream is
 * cut, and no line holds a CR or LF. The first two octets of the input are
 * the limit and the size of the pieces.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "smtp/line.h"

enum { BUF_SIZE = 64, SEEN_SIZE = 1 << 16 };

struct seen {
	size_t len;
	char octets[SEEN_SIZE];
};

static void
require(int condition)
{
	if (!condition)
		abort();
}

static void
run(const char *s, size_t len, size_t limit, size_t step, struct seen *seen)
{
	char buf[BUF_SIZE];
	struct line_splitter ls;
	enum line_event event;
	const char *line;
	size_t at = 0, n, used, line_len;

	seen->len = 0;
	line_init(&ls, buf, sizeof(buf));
	line_set_limit(&ls, limit);
	while (at < len) {
		n = len - at < step ? len - at : step;
		event = line_next(&ls, s + at, n, &used, &line, &line_len);
		require(used <= n);
		at += used;
		if (event == LINE_MORE) {
			require(used == n);
			continue;
		}
		require(seen->len + BUF_SIZE + 1 < SEEN_SIZE);
		seen->octets[seen->len++] = (char)event;
		if (event != LINE_READY)
			continue;
		require(line_len <= limit);
		require(memchr(line, '\r', line_len) == NULL);
		require(memchr(line, '\n', line_len) == NULL);
		memcpy(seen->octets + seen->len, line, line_len);
		seen->len += line_len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct seen whole, cut;
	const char *s = (const char *)data + 2;
	size_t limit;

	if (size < 2 || size > 8192)
		return 0;
	limit = data[0] % (BUF_SIZE + 1);
	run(s, size - 2, limit, size, &whole);
	run(s, size - 2, limit, data[1] + 1u, &cut);
	require(whole.len == cut.len);
	require(memcmp(whole.octets, cut.octets, whole.len) == 0);
	return 0;
}
