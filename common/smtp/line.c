/*
 * See line.h. The common line, whole in one read, is handed out without a
 * copy; only a line cut by a read is gathered in the caller's buffer.
 */
#include <string.h>

#include "smtp/line.h"

void
line_init(struct line_splitter *ls, char *buf, size_t size)
{
	memset(ls, 0, sizeof(*ls));
	ls->buf = buf;
	ls->size = size;
	ls->limit = size;
}

void
line_set_limit(struct line_splitter *ls, size_t limit)
{
	ls->limit = limit < ls->size ? limit : ls->size;
}

int
line_is_idle(const struct line_splitter *ls)
{
	return ls->len == 0 && !ls->cr && !ls->skip;
}

/* Offset of the first CR or LF in data, len if there is none. */
static size_t
find_break(const char *data, size_t len)
{
	const char *lf = memchr(data, '\n', len);
	const char *cr;

	if (lf != NULL)
		len = (size_t)(lf - data);
	cr = memchr(data, '\r', len);
	return cr != NULL ? (size_t)(cr - data) : len;
}

/* Drops a spoilt line. 1 when its CRLF was met, *used being behind it. */
static int
skip_line(struct line_splitter *ls, const char *data, size_t len, size_t *used)
{
	const char *lf;
	size_t at = 0;

	while (at < len && (lf = memchr(data + at, '\n', len - at)) != NULL) {
		size_t end = (size_t)(lf - data);

		if (end == 0 ? ls->cr : data[end - 1] == '\r') {
			ls->skip = ls->cr = 0;
			*used = end + 1;
			return 1;
		}
		at = end + 1;
	}
	if (len > 0)
		ls->cr = data[len - 1] == '\r';
	*used = len;
	return 0;
}

static enum line_event
spoil(struct line_splitter *ls, enum line_event event)
{
	ls->len = 0;
	ls->skip = 1;
	return event;
}

enum line_event
line_next(struct line_splitter *ls, const char *data, size_t len, size_t *used,
    const char **line, size_t *line_len)
{
	size_t begin = 0, n;

	*used = 0;
	if (ls->skip && !skip_line(ls, data, len, used))
		return LINE_MORE;
	begin = *used;
	data += begin;
	len -= begin;
	if (len == 0)
		return LINE_MORE;
	/* a CR that ended the last read: only LF may follow */
	if (ls->cr) {
		*used += 1;
		ls->cr = 0;
		if (*data != '\n') {
			ls->cr = *data == '\r';
			return spoil(ls, LINE_BARE);
		}
		*line = ls->buf;
		*line_len = ls->len;
		ls->len = 0;
		return LINE_READY;
	}
	n = find_break(data, len);
	if (n > ls->limit - ls->len) {
		/* the break stays: it may be the CRLF that ends the skipping */
		*used += n;
		return spoil(ls, LINE_OVERLONG);
	}
	if (n < len && data[n] == '\n') {
		*used += n + 1;
		return spoil(ls, LINE_BARE);
	}
	if (n + 1 < len) {
		*used += n + 2;
		if (data[n + 1] != '\n') {
			ls->cr = data[n + 1] == '\r';
			return spoil(ls, LINE_BARE);
		}
		*line = data;
		*line_len = n;
		if (ls->len == 0)
			return LINE_READY;
		memcpy(ls->buf + ls->len, data, n);
		*line = ls->buf;
		*line_len = ls->len + n;
		ls->len = 0;
		return LINE_READY;
	}
	memcpy(ls->buf + ls->len, data, n);
	ls->len += n;
	ls->cr = n < len;
	*used += len;
	return LINE_MORE;
}
