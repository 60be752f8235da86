/*
 * The client's view of a server: replies come out the same however they are
 * cut, bounded and printable; an EHLO reply that was read can be written and
 * read again; and any text can be sent as a reply. The first octet of the
 * input is the size of the pieces.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "smtp/extension.h"
#include "smtp/reply.h"

static void
require(int condition)
{
	if (!condition)
		abort();
}

static void
check_printable(const char *s)
{
	for (; *s != '\0'; s++)
		require(*s >= ' ' && *s <= '~');
}

/* Reads one reply in pieces of step octets. */
static enum reply_event
read_reply(const char *s, size_t len, size_t step, struct reply_parser *p,
    struct smtp_extensions *ext, size_t *taken)
{
	enum reply_event event = REPLY_EVENT_MORE;
	size_t at = 0, n, used;

	memset(ext, 0, sizeof(*ext));
	reply_parser_init(p);
	while (at < len) {
		n = len - at < step ? len - at : step;
		event = reply_parse(p, s + at, n, &used);
		require(used <= n);
		at += used;
		if (event == REPLY_EVENT_ERROR)
			break;
		if (event == REPLY_EVENT_MORE)
			continue;
		check_printable(p->line);
		require(strlen(p->line) < REPLY_TEXT_SIZE);
		extension_parse_line(ext, p->reply.lines == 1, p->line);
		if (event == REPLY_EVENT_DONE)
			break;
	}
	*taken = at;
	return event;
}

static void
check_extensions(const struct smtp_extensions *ext)
{
	struct smtp_extensions back;
	struct reply_parser p;
	char out[REPLY_SIZE];
	size_t n, taken;

	check_printable(ext->name);
	check_printable(ext->mechanisms);
	/* a longer list does not fit in a line of a reply */
	if (strlen(ext->mechanisms) > 450)
		return;
	n = extension_format(out, sizeof(out), ext, "");
	require(read_reply(out, n, n, &p, &back, &taken) == REPLY_EVENT_DONE);
	require(taken == n);
	require(back.bits == ext->bits && back.size_max == ext->size_max);
	require(back.rcpt_max == ext->rcpt_max);
	require(back.mail_max == ext->mail_max);
	require(strcmp(back.mechanisms, ext->mechanisms) == 0);
	require(strcmp(back.name, ext->name) == 0);
}

/* The input as the text of a reply that another process decided. */
static void
check_build(const char *data, size_t size)
{
	char text[2048], out[REPLY_SIZE];
	struct smtp_extensions ext;
	struct reply_parser p;
	size_t n, taken;

	n = size < sizeof(text) - 1 ? size : sizeof(text) - 1;
	memcpy(text, data, n);
	text[n] = '\0';
	n = reply_build(out, sizeof(out), 550, text, text);
	require(n > 0 && strlen(out) == n);
	if (read_reply(out, n, n, &p, &ext, &taken) == REPLY_EVENT_ERROR)
		require(p.reply.lines > REPLY_CONTINUATION_MAX);
	else
		require(taken == n && p.reply.code == 550);
}

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reply_parser whole, cut;
	struct smtp_extensions ext, ext_cut;
	enum reply_event event, event_cut;
	size_t taken, taken_cut, step;

	if (size == 0)
		return 0;
	step = data[0] + 1u;
	data++;
	size--;
	event =
	    read_reply((const char *)data, size, size, &whole, &ext, &taken);
	event_cut = read_reply(
	    (const char *)data, size, step, &cut, &ext_cut, &taken_cut);
	check_printable(whole.reply.text);
	check_printable(cut.reply.text);
	/* what follows a last whole line is no event of its own */
	if (event == REPLY_EVENT_MORE || event == REPLY_EVENT_LINE)
		require(event_cut != REPLY_EVENT_DONE &&
		    event_cut != REPLY_EVENT_ERROR);
	else
		require(event == event_cut);
	require(strcmp(whole.reply.text, cut.reply.text) == 0);
	require(whole.reply.code == cut.reply.code);
	require(whole.reply.lines == cut.reply.lines);
	require(memcmp(&ext, &ext_cut, sizeof(ext)) == 0);
	if (event == REPLY_EVENT_DONE) {
		require(taken == taken_cut);
		require(whole.reply.code >= 200 && whole.reply.code <= 599);
		require(whole.reply.lines <= REPLY_CONTINUATION_MAX + 1);
		check_extensions(&ext);
	}
	check_build((const char *)data, size);
	return 0;
}
