/*
 * Delivery reports of any values: lines end in CRLF and are short enough, no
 * control passes in what we wrote, and all four delimiters stand where they
 * must. The input is cut at NULs into the values; what is left is the
 * original.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mail/dsn.h"

#define VALUES 10
#define REPORT_MAX (1 << 17)
#define DELIMITER "\r\n--=_00000000000000000000000000000000"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct memory {
	const uint8_t *in;
	size_t in_len;
	char out[REPORT_MAX];
	size_t out_len;
};

static void
require(int condition)
{
	if (!condition)
		abort();
}

static ssize_t
memory_read(void *arg, void *buf, size_t size)
{
	struct memory *m = arg;
	size_t n = size < m->in_len ? size : m->in_len;

	memcpy(buf, m->in, n);
	m->in += n;
	m->in_len -= n;
	return n;
}

static int
memory_write(void *arg, const void *buf, size_t len)
{
	struct memory *m = arg;

	require(len < REPORT_MAX - m->out_len);
	memcpy(m->out + m->out_len, buf, len);
	m->out_len += len;
	return 0;
}

/* All before the original. */
static void
check_ours(const char *p, const char *end, int utf8)
{
	const char *line = p;

	for (; p < end; p++) {
		if (*p == '\n') {
			require(p[-1] == '\r' && p - line <= 999);
			line = p + 1;
		} else if (*p == '\r') {
			require(p[1] == '\n');
		} else {
			require((uint8_t)*p >= 32 || *p == '\t');
			require(*p != 127);
			require(utf8 || (uint8_t)*p < 128);
		}
	}
}

static void
check(struct memory *m, int utf8)
{
	const char *p = m->out;
	int i;

	m->out[m->out_len] = '\0';
	for (i = 0; i < 3; i++) {
		p = strstr(p, DELIMITER "\r\n");
		require(p != NULL);
		p += 4;
	}
	check_ours(m->out, p, utf8);
	p = m->out + m->out_len - strlen(DELIMITER "--\r\n");
	require(memcmp(p, DELIMITER "--\r\n", strlen(DELIMITER) + 4) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t zeros[16];
	static struct memory m;
	const struct dsn_io io = { memory_read, memory_write, &m };
	const char *v[VALUES];
	struct dsn_rcpt rcpt = { 0 };
	struct dsn_report r = { 0 };
	const uint8_t *end;
	int i;

	if (len < 3 || len > 8192)
		return 0;
	rcpt.action = data[0] % DSN_ACTIONS;
	rcpt.code = data[1] * 4;
	r.kind = dsn_kind(rcpt.action);
	r.utf8 = data[2] & 1;
	r.ret = data[2] & 2 ? RET_FULL : RET_HDRS;
	data += 3;
	len -= 3;
	for (i = 0; i < VALUES; i++) {
		end = memchr(data, '\0', len);
		if (end == NULL)
			return 0;
		v[i] = (const char *)data;
		len -= end + 1 - data;
		data = end + 1;
	}
	rcpt.address = v[0];
	rcpt.orcpt = v[1];
	rcpt.status = v[2];
	rcpt.text = v[3];
	rcpt.remote_name = v[4];
	r.host = v[5];
	r.sender = v[6];
	r.envid = v[7];
	r.id = v[8];
	r.unique = v[9];
	r.random = zeros;
	r.now.seconds = r.arrival = 1;
	r.full_max = 8192;
	r.size = len;
	r.rcpts = &rcpt;
	r.nrcpts = 1;
	m.in = data;
	m.in_len = len;
	m.out_len = 0;
	require(dsn_build(&r, &io) == 0);
	check(&m, r.utf8);
	return 0;
}
