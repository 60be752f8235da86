/*
 * MX selection against any answers. The input is a byte of policy, then for
 * each question the status and records of its answer. Checked: the questions
 * end, candidates are within the limits, in order of preference, better than
 * ourselves, and none has an address that policy forbids.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "deliver/mx.h"

static const char *const own_names[] = { "us.test" };
static const struct mx_address own_address = { MX_INET4, { 192, 0, 2, 77 } };

struct input {
	const uint8_t *data;
	size_t size;
};

static uint8_t
take(struct input *in)
{
	if (in->size == 0)
		return 0;
	in->size--;
	return *in->data++;
}

static void
require(int condition)
{
	if (!condition)
		abort();
}

static void
take_record(struct input *in, uint16_t asked, struct ipc_buf *buf)
{
	static const char *const names[] = { "us.test", "m.test", "n.test", ".",
		"", "US.test.", "o.test", "bad name" };
	struct msg_dns_record r = { .name = "" };
	uint8_t kind = take(in), octets[16];
	char name[256];
	size_t len;

	r.type = kind & 1 ? asked : 28;
	r.preference = take(in);
	if (kind & 2)
		r.name = names[take(in) % 8];
	else {
		for (len = 0; len < take(in) % 32u; len++)
			name[len] = (char)(take(in) | 1);
		name[len] = '\0';
		r.name = name;
	}
	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = kind & 4 ? take(in) : (uint8_t)(i == 15);
	r.data = ipc_blob(octets,
	    kind & 8           ? take(in) % 17u
		: r.type == 28 ? 16
			       : 4);
	ipc_add_dns_record(buf, &r);
}

static void
check(const struct mx *mx, const struct mx_policy *policy, uint64_t seed)
{
	static struct mx_candidate list[MX_CANDIDATE_LIMIT];
	size_t n = mx_candidates(mx, seed, list, MX_CANDIDATE_LIMIT);

	require(mx_state(mx) != MX_WAIT);
	require((n > 0) == (mx_state(mx) == MX_READY));
	if (n == 0) {
		require(mx_failure(mx)->text[0] != '\0');
		require(mx_failure(mx)->status != DELIVERY_OK);
	}
	for (size_t i = 0; i < n; i++) {
		const struct mx_address *a = &list[i].address;

		require(i == 0 || list[i - 1].preference <= list[i].preference);
		require(memchr(list[i].host, '\0', MX_NAME_SIZE) != NULL);
		if (policy->explicit_host)
			continue;
		require(strcmp(list[i].host, own_names[0]) != 0);
		require(!mx_address_equal(a, &own_address));
		require(policy->allow_loopback || !mx_address_loopback(a));
		require(a->family != MX_INET4 ||
		    (a->octets[0] != 0 && a->octets[0] < 224));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint8_t flags = take(&in), dest = take(&in);
	struct mx_policy policy = { .own_names = own_names,
		.own_names_count = 1,
		.own_addresses = &own_address,
		.own_addresses_count = 1,
		.explicit_host = flags & 1,
		.backup = (flags >> 1) & 1,
		.allow_loopback = (flags >> 2) & 1,
		.use_inet4 = (flags >> 3) & 1,
		.use_inet6 = (flags >> 4) & 1 };
	static const char *const owners[] = { "", "us.test", "x.test" };
	struct msg_dns_answer answer;
	struct ipc_buf buf = { 0 };
	char literal[64] = "a.test";
	const char *name;
	unsigned slot, questions = 0;
	uint16_t type;
	struct mx *mx;

	if (dest & 1) {
		for (size_t i = 0; i < dest / 4u && i < 63; i++)
			literal[i] = (char)take(&in);
		literal[63] = '\0';
	}
	if ((mx = mx_new(&policy, literal)) == NULL)
		return 0;
	while (mx_query(mx, &slot, &type, &name)) {
		require(++questions <= 1 + 2 * MX_HOST_LIMIT);
		require(*name != '\0');
		memset(&answer, 0, sizeof(answer));
		ipc_buf_reset(&buf);
		answer.status = take(&in) % DNS_STATUS_MAX;
		answer.secure = take(&in) & 1;
		answer.name = owners[take(&in) % 3];
		for (unsigned i = take(&in); i > 0 && in.size > 0; i--)
			take_record(&in, type, &buf);
		answer.records = ipc_buf_list(&buf);
		mx_answer(mx, slot, &answer);
	}
	check(mx, &policy, size);
	ipc_buf_free(&buf);
	mx_free(mx);
	return 0;
}
