/*
 * See dns_packet.h; RFC 1035 section 4. Every read is checked against the
 * end, and a compression pointer must lead backwards, so that no packet can
 * make the parser loop.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "auth/dns_packet.h"

enum { CNAMES_MAX = 16, LABEL_MAX = 63, DATA_MAX = 4096 };

struct packet {
	const uint8_t *data;
	size_t len;
	size_t at;
	int bad;
};

struct record {
	char owner[DNS_NAME_SIZE];
	int owner_bad; /* holds octets that no host name has */
	uint16_t type;
	uint16_t class;
	uint32_t ttl;
	size_t data; /* offset */
	size_t len;
};

static uint32_t
take(struct packet *p, size_t octets)
{
	uint32_t v = 0;

	if (p->bad || p->len - p->at < octets) {
		p->bad = 1;
		return 0;
	}
	while (octets-- > 0)
		v = v << 8 | p->data[p->at++];
	return v;
}

static int
is_name_octet(uint8_t c)
{
	return isalnum(c) || c == '-' || c == '_' || c == '/' || c == '*';
}

/* Copies a label in lower case. 0 if it holds an odd octet. */
static int
copy_label(char *out, const uint8_t *label, size_t len)
{
	int good = 1;

	for (size_t i = 0; i < len; i++) {
		if (!is_name_octet(label[i]))
			good = 0;
		out[i] = (char)tolower(label[i]);
	}
	return good;
}

/*
 * Reads the name at p->at, leaving p->at behind it. *odd is set when the name
 * is well-formed but holds octets that no host name has; out is "" then.
 */
static void
take_name(struct packet *p, char out[DNS_NAME_SIZE], int *odd)
{
	size_t at = p->at, n = 0, len, target;
	int jumped = 0;

	*odd = 0;
	for (;;) {
		if (at >= p->len)
			goto bad;
		len = p->data[at];
		if (len == 0)
			break;
		if ((len & 0xc0) == 0xc0) {
			if (at + 1 >= p->len)
				goto bad;
			target = (len & 0x3f) << 8 | p->data[at + 1];
			if (target >= at || target < DNS_HEADER_SIZE)
				goto bad;
			if (!jumped)
				p->at = at + 2;
			jumped = 1;
			at = target;
			continue;
		}
		if (len > LABEL_MAX || p->len - at - 1 < len ||
		    n + len + 1 >= DNS_NAME_SIZE)
			goto bad;
		if (n > 0)
			out[n++] = '.';
		if (!copy_label(out + n, p->data + at + 1, len))
			*odd = 1;
		n += len;
		at += len + 1;
	}
	if (!jumped)
		p->at = at + 1;
	out[*odd ? 0 : n] = '\0';
	return;
bad:
	p->bad = 1;
	out[0] = '\0';
}

static int
take_record(struct packet *p, struct record *r)
{
	take_name(p, r->owner, &r->owner_bad);
	r->type = (uint16_t)take(p, 2);
	r->class = (uint16_t)take(p, 2);
	r->ttl = take(p, 4);
	r->len = take(p, 2);
	r->data = p->at;
	if (p->bad || p->len - p->at < r->len)
		return -1;
	p->at += r->len;
	return 0;
}

/* The data of a record as dns_record has it. 0 if it is to be left out. */
static int
convert(const struct packet *whole, const struct record *r, char *name,
    struct msg_dns_record *out)
{
	struct packet p = { whole->data, r->data + r->len, r->data, 0 };
	int odd = 0;

	memset(out, 0, sizeof(*out));
	out->type = r->type;
	out->name = "";
	switch (r->type) {
	case DNS_A:
	case DNS_AAAA:
		if (r->len != (r->type == DNS_A ? 4 : 16))
			return 0;
		break;
	case DNS_MX:
		out->preference = (uint16_t)take(&p, 2);
		/* fallthrough */
	case DNS_NS:
	case DNS_PTR:
	case DNS_CNAME:
		take_name(&p, name, &odd);
		if (p.bad || odd)
			return 0;
		out->name = name;
		return 1;
	default:
		if (r->len > DATA_MAX)
			return 0;
	}
	out->data = ipc_blob(whole->data + r->data, r->len);
	return 1;
}

/* Moves owner along a CNAME of the answer section; 1 if there was one. */
static int
follow_cname(
    const struct packet *start, unsigned answers, struct dns_reply *reply)
{
	struct packet p = *start;
	struct msg_dns_record out;
	char target[DNS_NAME_SIZE];
	struct record r;

	for (unsigned i = 0; i < answers; i++) {
		if (take_record(&p, &r) == -1)
			return 0;
		if (r.type != DNS_CNAME || r.class != DNS_CLASS_IN ||
		    r.owner_bad || strcmp(r.owner, reply->owner) != 0 ||
		    !convert(&p, &r, target, &out))
			continue;
		memcpy(reply->owner, target, sizeof(reply->owner));
		if (r.ttl < reply->ttl)
			reply->ttl = r.ttl;
		return 1;
	}
	return 0;
}

static int
start_owner(struct dns_reply *reply, const char *name)
{
	size_t len = strlen(name);

	if (len > 0 && name[len - 1] == '.')
		len--;
	if (len >= sizeof(reply->owner))
		return -1;
	for (size_t i = 0; i < len; i++)
		reply->owner[i] = (char)tolower((unsigned char)name[i]);
	reply->owner[len] = '\0';
	return 0;
}

int
dns_packet_parse(const uint8_t *packet, size_t len, const char *name,
    uint16_t type, struct ipc_buf *records, struct dns_reply *reply)
{
	struct packet p = { packet, len, 2, 0 };
	struct msg_dns_record out;
	char target[DNS_NAME_SIZE];
	unsigned flags, questions, answers;
	struct record r;
	int odd;

	memset(reply, 0, sizeof(*reply));
	reply->ttl = UINT32_MAX;
	if (len < DNS_HEADER_SIZE)
		return -1;
	flags = take(&p, 2);
	questions = take(&p, 2);
	answers = take(&p, 2);
	take(&p, 4);
	reply->rcode = flags & 0x0f;
	if (p.bad || start_owner(reply, name) == -1)
		return -1;
	for (unsigned i = 0; i < questions && !p.bad; i++) {
		take_name(&p, target, &odd);
		take(&p, 4);
	}
	if (p.bad)
		return -1;
	if (type != DNS_CNAME)
		for (int i = 0; i < CNAMES_MAX; i++)
			if (!follow_cname(&p, answers, reply))
				break;
	for (unsigned i = 0; i < answers; i++) {
		if (take_record(&p, &r) == -1)
			return -1;
		if (r.type != type || r.class != DNS_CLASS_IN || r.owner_bad ||
		    strcmp(r.owner, reply->owner) != 0 ||
		    reply->count == DNS_RECORDS_MAX)
			continue;
		if (!convert(&p, &r, target, &out)) {
			reply->left_out++;
			continue;
		}
		ipc_add_dns_record(records, &out);
		reply->count++;
		if (r.ttl < reply->ttl)
			reply->ttl = r.ttl;
	}
	if (reply->ttl == UINT32_MAX)
		reply->ttl = 0;
	return 0;
}
