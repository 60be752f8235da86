/*
 * Any packet: no crash, and every record that comes out is well-formed.
 */
#include <assert.h>
#include <string.h>

#include "auth/dns_packet.h"
#include "regress/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t types[] = { DNS_MX, DNS_A, DNS_AAAA, DNS_PTR,
		DNS_TXT, DNS_TLSA, DNS_CNAME };
	struct ipc_buf records = { 0 };
	struct msg_dns_record r;
	struct dns_reply reply;
	struct ipc_list list;
	uint32_t n = 0;

	if (size < 1)
		return 0;
	if (dns_packet_parse(data + 1, size - 1, "example.org",
		types[data[0] % 7], &records, &reply) == 0) {
		list = ipc_buf_list(&records);
		while (ipc_next_dns_record(&list, &r)) {
			assert(strlen(r.name) < DNS_NAME_SIZE);
			assert(strpbrk(r.name, " \r\n\t\"\\") == NULL);
			n++;
		}
		assert(n == reply.count && n <= DNS_RECORDS_MAX);
	}
	ipc_buf_free(&records);
	return 0;
}

/* ---- mutations by question and record ---------------------------------- */

/* The octet of ours, then the packet: its head, questions, records. */
enum { PACKET = 1, HEAD = PACKET + 12, FIXED = 10, POINTER = 0xc0 };

static size_t
name_length(const uint8_t *p, size_t left)
{
	size_t at = 0;

	while (at < left) {
		if (p[at] >= POINTER)
			return at + 2;
		if (p[at] == 0)
			return at + 1;
		at += 1 + (size_t)p[at];
	}
	return 0;
}

static size_t
part_length(const uint8_t *data, size_t size, size_t at, unsigned index)
{
	size_t left = size - at, n = name_length(data + at, left);

	if (n == 0 || n + 4 > left)
		return 0;
	/* one question, as every answer repeats */
	if (index == 0)
		return n + 4;
	if (n + FIXED > left)
		return 0;
	return n + FIXED + (size_t)(data[at + n + 8] << 8 | data[at + n + 9]);
}

/* Puts a name in place of `old` octets: a pointer, mostly to the question, or
 * labels of any length; the new length of the part. */
static size_t
put_name(struct dice *d, uint8_t *part, size_t len, size_t room, size_t at,
    size_t old)
{
	uint8_t name[80];
	size_t n = 0;

	for (uint32_t labels = dice_roll(d, 3); labels > 0; labels--) {
		size_t octets = 1 + dice_roll(d, 20);

		name[n++] = (uint8_t)octets;
		memset(name + n, 'a' + (int)dice_roll(d, 26), octets);
		n += octets;
	}
	if (dice_roll(d, 3) != 0) {
		name[n++] = POINTER;
		name[n++] = (uint8_t)(dice_roll(d, 3) == 0 ? dice_roll(d, 256)
							   : HEAD - PACKET);
	} else
		name[n++] = 0;
	if (len - old + n > room)
		return len;
	memmove(part + at + n, part + at + old, len - at - old);
	memcpy(part + at, name, n);
	return len - old + n;
}

static size_t
change_record(
    struct dice *d, uint8_t *part, size_t len, size_t room, size_t fixed)
{
	static const uint16_t types[] = { DNS_A, DNS_NS, DNS_CNAME, DNS_PTR,
		DNS_MX, DNS_TXT, DNS_AAAA, DNS_TLSA, 46, 41 };
	size_t data = fixed + FIXED, n = len - data;

	switch (dice_roll(d, 6)) {
	case 0:
		fuzz_put_number(part + fixed, 2,
		    types[dice_roll(d, sizeof(types) / sizeof(*types))]);
		return len;
	case 1:
		fuzz_put_number(part + fixed + 4, 4, dice_number(d));
		return len;
	case 2: /* a length that is not its own */
		fuzz_put_number(part + fixed + 8, 2, dice_number(d));
		return len;
	case 3: /* a name, as of a CNAME, or behind a preference */
		n = dice_roll(d, 2) * 2 < n ? dice_roll(d, 2) * 2 : 0;
		len = put_name(d, part, len, room, data + n, len - data - n);
		break;
	case 4:
		fuzz_put_number(part + fixed + 2, 2, dice_roll(d, 4));
		return len;
	default:
		len = data + fuzz_octets(part + data, n, room - data);
	}
	fuzz_put_number(part + fixed + 8, 2, len - data);
	return len;
}

static size_t
change_part(
    struct dice *d, uint8_t *part, size_t len, size_t room, unsigned index)
{
	size_t fixed = name_length(part, len);

	if (fixed == 0 || dice_roll(d, 4) == 0)
		return put_name(d, part, len, room, 0, fixed);
	if (index == 0 || len < fixed + FIXED)
		return fuzz_octets(part, len, room);
	return change_record(d, part, len, room, fixed);
}

static const struct fuzz_shape parts = { HEAD, part_length, change_part };

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	struct dice d = { seed };
	uint16_t records = 0;
	size_t at = HEAD, n;

	size = fuzz_mutate(&parts, data, size, max, seed);
	if (size <= HEAD || dice_roll(&d, 4) == 0)
		return size;
	/* a reply without error, with as many records as there are */
	for (unsigned i = 0; at < size &&
	     (n = part_length(data, size, at, i)) != 0 && n <= size - at;
	     i++, at += n)
		records += i > 0;
	data[PACKET + 2] |= 0x80;
	if (dice_roll(&d, 4) != 0)
		data[PACKET + 3] &= 0xf0;
	fuzz_put_number(data + PACKET + 4, 2, 1);
	fuzz_put_number(data + PACKET + 6, 2, records);
	fuzz_put_number(data + PACKET + 8, 4, 0);
	return size;
}

FUZZ_CROSSED(parts)
