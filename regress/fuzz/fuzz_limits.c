/*
 * Connections that come and go in any order under limits that change: what
 * smtpd counts agrees with a plain list of them; no limit is passed and none
 * applies too early. Octets choose what happens and to which address.
 */
#include <string.h>

#include "regress/fuzz/fuzz.h"
#include "smtpd/limits.h"

enum { MOST = 64, ADDRESSES = 24 };

struct model {
	struct limits *l;
	struct limits_settings set;
	struct limits_address open[MOST];
	int counted[MOST]; /* has an address */
	uint32_t count;
	int64_t now;
};

static struct limits_address
some_address(uint8_t n)
{
	uint8_t four[4] = { 192, 0, 2, n % (ADDRESSES / 2) };
	uint8_t six[16] = { 0x20, 1, 0xd, 0xb8, 0, 0, 0, n % (ADDRESSES / 2) };

	six[15] = n; /* below a /64 nothing counts */
	return n & 1 ? limits_address(six, 16) : limits_address(four, 4);
}

static uint32_t
open_of(const struct model *m, const struct limits_address *a)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->count; i++)
		n += m->counted[i] && m->open[i].high == a->high &&
		    m->open[i].low == a->low;
	return n;
}

static void
op_open(struct model *m, uint8_t who)
{
	struct limits_address a = some_address(who);
	int known = who != 255;
	enum limits_verdict v;

	v = limits_open(m->l, known ? &a : NULL, m->now);
	require((v == LIMITS_TOTAL) == (m->count >= m->set.total));
	if (v == LIMITS_ADDRESS)
		require(open_of(m, &a) >= m->set.per_address);
	if (v == LIMITS_RATE || v == LIMITS_ADDRESS)
		require(known);
	if (v != LIMITS_OK)
		return;
	require(!known || open_of(m, &a) < m->set.per_address);
	require(m->count < MOST);
	m->open[m->count] = a;
	m->counted[m->count++] = known;
}

static void
op_close(struct model *m, uint8_t which)
{
	uint32_t i;

	if (m->count == 0)
		return;
	i = which % m->count;
	limits_close(m->l, m->counted[i] ? &m->open[i] : NULL);
	m->count--;
	m->open[i] = m->open[m->count];
	m->counted[i] = m->counted[m->count];
}

static void
op_configure(struct model *m, uint8_t how)
{
	m->set.total = 1 + how % MOST;
	m->set.per_address = how % 7;
	m->set.rate = how & 1 ? 1000 : 1 + how % 9;
	m->set.window = 1 + how * 10;
	require(limits_configure(m->l, &m->set) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t key[2] = { 1, 2 };
	struct input in = { data, size };
	struct model m = { .set = { 4, 2, 1000, 1000 } };

	require((m.l = limits_new(&m.set, key)) != NULL);
	while (in.left > 0) {
		uint8_t what = input_u8(&in), arg = input_u8(&in);

		if (what % 8 < 4)
			op_open(&m, arg);
		else if (what % 8 < 6)
			op_close(&m, arg);
		else if (what % 8 == 6)
			op_configure(&m, arg);
		else
			m.now += arg * 5;
		require(limits_count(m.l) == m.count);
	}
	while (m.count > 0)
		op_close(&m, 0);
	require(limits_count(m.l) == 0);
	limits_free(m.l);
	return 0;
}
