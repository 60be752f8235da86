/*
 * See transparency.h. The hot path of the server: find_special looks at 16
 * octets a step, and the state machine runs only at line ends, dots and
 * faults.
 *
 * Why spans of the input suffice: a dot at the start of a line is never
 * handed out, and the CR behind it is either part of the end or a fault, after
 * which nothing is handed out at all.
 */
#include <string.h>

#include "smtp/transparency.h"

/* What the decoder read last. */
enum {
	LINE_START, /* CRLF, or nothing yet */
	INSIDE, /* something in a line */
	AFTER_CR, /* CR in a line */
	AFTER_DOT, /* a dot at the start of a line */
	DOT_CR /* that dot, then CR */
};

/* What the encoder sent last; in SEND_CR a CR was read and not yet sent. */
enum { SEND_START, SEND_INSIDE, SEND_CR };

typedef unsigned char octets16 __attribute__((vector_size(16)));
typedef uint64_t words2 __attribute__((vector_size(16)));

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Index in memory of the first octet that is not 0; word is not 0. */
static size_t
first_octet(uint64_t word)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (size_t)__builtin_ctzll(word) / 8;
#else
	return (size_t)__builtin_clzll(word) / 8;
#endif
}

/* The high bits of the first n octets in memory, n < 8. */
static uint64_t
high_before(uint64_t word, size_t n)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return word & HIGH_BITS & ((UINT64_C(1) << 8 * n) - 1);
#else
	return word & HIGH_BITS & ~(~UINT64_C(0) >> 8 * n);
#endif
}

/* Offset of the first CR, LF or NUL, len if there is none. *high gets bits
 * set when an octet before it is over 127. */
static size_t
find_special(const char *data, size_t len, uint64_t *high)
{
	octets16 v, all = { 0 };
	words2 hit, words;
	size_t i, n;

	for (i = 0; len - i >= sizeof(v); i += sizeof(v)) {
		memcpy(&v, data + i, sizeof(v));
		hit = (words2)((v == '\r') | (v == '\n') | (v == '\0'));
		if ((hit[0] | hit[1]) != 0) {
			words = (words2)v;
			if (hit[0] != 0) {
				n = first_octet(hit[0]);
				*high |= high_before(words[0], n);
			} else {
				n = first_octet(hit[1]);
				*high |= words[0] & HIGH_BITS;
				*high |= high_before(words[1], n);
				n += 8;
			}
			words = (words2)all;
			*high |= (words[0] | words[1]) & HIGH_BITS;
			return i + n;
		}
		all |= v;
	}
	words = (words2)all;
	*high |= (words[0] | words[1]) & HIGH_BITS;
	for (; i < len; i++) {
		if (data[i] == '\r' || data[i] == '\n' || data[i] == '\0')
			break;
		*high |= (unsigned char)data[i] & 0x80;
	}
	return i;
}

void
body_decoder_init(struct body_decoder *d, enum body_mode mode, size_t line_max)
{
	memset(d, 0, sizeof(*d));
	d->mode = mode;
	d->line_max = line_max;
	d->state = LINE_START;
}

static void
set_fault(struct body_decoder *d, enum body_fault fault)
{
	if (d->fault == BODY_OK)
		d->fault = fault;
}

/* Reads on in a line, up to CRLF, a fault or the end of data; returns the
 * octets taken, and in *good those before the first fault. */
static size_t
decode_line(struct body_decoder *d, const char *data, size_t len, size_t *good)
{
	uint64_t high = 0;
	size_t n = find_special(data, len, &high);

	if (high != 0)
		d->eightbit = 1;
	*good = n;
	if (d->line_max != 0 && d->line_len + n > d->line_max &&
	    d->fault == BODY_OK) {
		*good = d->line_max - d->line_len;
		set_fault(d, BODY_LONG_LINE);
	}
	d->line_len += n;
	if (n == len)
		return n;
	switch (data[n++]) {
	case '\r':
		if (n == len || data[n] != '\n') {
			d->state = AFTER_CR;
		} else {
			n++;
			d->line_len = 0;
			d->state = LINE_START;
		}
		if (d->fault == BODY_OK)
			*good = n;
		break;
	case '\n':
		set_fault(d, BODY_BARE_LF);
		d->line_len = 0;
		break;
	default:
		set_fault(d, BODY_NUL);
		d->line_len++;
		break;
	}
	return n;
}

/* A CR was read: LF makes it a line end, and anything else a fault. */
static size_t
decode_after_cr(struct body_decoder *d, char c)
{
	if (c != '\n') {
		set_fault(d, BODY_BARE_CR);
		d->state = INSIDE;
		d->line_len++;
		return 0;
	}
	if (d->state == DOT_CR)
		d->done = 1;
	d->state = LINE_START;
	d->line_len = 0;
	return 1;
}

void
body_decode(struct body_decoder *d, const char *data, size_t len, size_t *used,
    struct smtp_span *out)
{
	size_t begin = 0, end = 0, i = 0, good;
	int open; /* no fault before this step */

	while (i < len && !d->done) {
		open = d->fault == BODY_OK;
		switch (d->state) {
		case LINE_START:
			if (data[i] != '.' || d->mode != BODY_DATA) {
				d->state = INSIDE;
				break;
			}
			/* what stands before the dot goes out first */
			if (end > begin)
				goto out;
			d->state = AFTER_DOT;
			begin = end = ++i;
			break;
		case AFTER_DOT:
			if (data[i] == '\r') {
				d->state = DOT_CR;
				begin = end = ++i;
			} else
				d->state = INSIDE;
			break;
		case DOT_CR:
			i += decode_after_cr(d, data[i]);
			begin = end = i;
			break;
		case AFTER_CR:
			i += decode_after_cr(d, data[i]);
			if (open)
				end = i;
			break;
		default:
			i += decode_line(d, data + i, len - i, &good);
			if (open)
				end += good;
			break;
		}
	}
out:
	*used = i;
	out->data = data + begin;
	out->len = end - begin;
	d->size += out->len;
}

enum body_fault
body_decoder_finish(struct body_decoder *d, int *open_line)
{
	if (d->state == AFTER_CR)
		set_fault(d, BODY_BARE_CR);
	if (open_line != NULL)
		*open_line = d->state != LINE_START;
	return d->fault;
}

void
body_encoder_init(struct body_encoder *e)
{
	e->state = SEND_START;
}

/*
 * Octets of data that can go out as they are, data being where a line begins
 * or goes on; sets the state behind them.
 */
static size_t
encode_run(struct body_encoder *e, const char *data, size_t len)
{
	uint64_t high = 0;
	size_t i = 0;

	e->state = SEND_INSIDE;
	while (i < len) {
		i += find_special(data + i, len - i, &high);
		if (i == len)
			break;
		if (data[i] == '\0') {
			i++;
			continue;
		}
		if (data[i] == '\n' || i + 1 == len || data[i + 1] != '\n')
			break;
		i += 2;
		if (i == len || data[i] == '.') {
			e->state = SEND_START;
			break;
		}
	}
	return i;
}

void
body_encode(struct body_encoder *e, const char *data, size_t len, size_t *used,
    struct smtp_span *out)
{
	static const char crlf[] = "\r\n";
	size_t n;

	*used = 0;
	out->data = data;
	out->len = 0;
	if (len == 0)
		return;
	if (e->state == SEND_CR) {
		*used = *data == '\n';
		*out = (struct smtp_span){ crlf, 2 };
		e->state = SEND_START;
		return;
	}
	if (e->state == SEND_START && *data == '.') {
		/* the dot itself goes out with what follows it */
		out->len = 1;
		e->state = SEND_INSIDE;
		return;
	}
	if ((n = encode_run(e, data, len)) > 0) {
		*used = out->len = n;
		return;
	}
	/* a CR or LF that is not CRLF, or a CR that may yet be one */
	*used = 1;
	if (*data == '\r' && len == 1) {
		e->state = SEND_CR;
		return;
	}
	*out = (struct smtp_span){ crlf, 2 };
	e->state = SEND_START;
}

struct smtp_span
body_encode_end(struct body_encoder *e)
{
	static const char end[] = "\r\n.\r\n";

	if (e->state == SEND_START)
		return (struct smtp_span){ end + 2, 3 };
	e->state = SEND_START;
	return (struct smtp_span){ end, 5 };
}
