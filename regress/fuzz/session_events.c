/*
 * How the inputs of fuzz_session.c are mutated: by whole events, with other
 * sizes of BDAT, other parameters and ends of lines, and other cut points.
 */
#include "config.h"

#include <string.h>

#include "regress/fuzz/fuzz.h"

static const char *const sizes[] = { "0", "1", "7", "10", "1000", "65536",
	"2147483648", "4294967295", "18446744073709551615",
	"99999999999999999999999", "007", "-1", "" };

static const char *const words[] = { " SIZE=", " BODY=8BITMIME",
	" BODY=BINARYMIME", " SMTPUTF8", " AUTH=<>", " RET=HDRS",
	" ENVID=", " NOTIFY=SUCCESS,DELAY", " ORCPT=rfc822;", " LAST", "BDAT ",
	"MAIL FROM:<", "RCPT TO:<", "@b.example>", "+2B", "\r\n", "\n", "\r",
	".\r\n", "\r\n.\r\n" };

/* Puts a text in place of old octets of the piece, if there is room. */
static size_t
put_text(uint8_t *piece, size_t len, size_t room, size_t at, size_t old,
    const char *text)
{
	size_t n = strlen(text);

	if (len - old + n > room || len - old + n > 2 + 255)
		return len;
	memmove(piece + at + n, piece + at + old, len - at - old);
	memcpy(piece + at, text, n);
	return len - old + n;
}

/* The size of a BDAT is another. */
static size_t
change_size(struct dice *d, uint8_t *piece, size_t len, size_t room)
{
	uint8_t *p = memmem(piece + 2, len - 2, "BDAT ", 5);
	size_t at, old = 0;

	if (p == NULL)
		return put_text(piece, len, room, len, 0, "BDAT 7 LAST\r\n");
	at = (size_t)(p + 5 - piece);
	while (
	    at + old < len && piece[at + old] >= '0' && piece[at + old] <= '9')
		old++;
	return put_text(piece, len, room, at, old,
	    sizes[dice_roll(d, sizeof(sizes) / sizeof(*sizes))]);
}

/* The octets of one event come as two. */
static size_t
cut_event(struct dice *d, uint8_t *piece, size_t len, size_t room)
{
	size_t n = len - 2, first = dice_roll(d, (uint32_t)n + 1);

	if (len + 2 > room)
		return len;
	memmove(piece + 2 + first + 2, piece + 2 + first, n - first);
	piece[1] = (uint8_t)first;
	piece[2 + first] = piece[0];
	piece[2 + first + 1] = (uint8_t)(n - first);
	return len + 2;
}

static size_t
change_event(
    struct dice *d, uint8_t *piece, size_t len, size_t room, unsigned index)
{
	size_t most = room < 2 + 255 ? room : 2 + 255;

	if (len < 2)
		return len;
	switch (dice_roll(d, 6)) {
	case 0:
		piece[0] = (uint8_t)dice_roll(d, 256);
		return len;
	case 1:
		return cut_event(d, piece, len, room);
	case 2:
		len = change_size(d, piece, len, room);
		break;
	case 3:
		len = put_text(piece, len, room,
		    2 + dice_roll(d, (uint32_t)len - 1), 0,
		    words[dice_roll(d, sizeof(words) / sizeof(*words))]);
		break;
	case 4: /* lines of the table in one breath */
		piece[0] = 2;
		/* FALLTHROUGH */
	default:
		len = 2 + fuzz_octets(piece + 2, len - 2, most - 2);
	}
	piece[1] = (uint8_t)(len - 2);
	return len;
}

static const struct fuzz_shape events = { 2, fuzz_event_length, change_event };

FUZZ_SHAPED(events)
