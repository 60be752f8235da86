/*
 * Where the lexer's octets come from: files, and the values of macros pushed
 * on top of them. Keeps the place of each octet, joins lines that a backslash
 * continues, and reads the files that `include` names.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "master/lex.h"
#include "master/readfile.h"

/* ---- frames ----------------------------------------------------------- */

static void
frame_pop(struct parser *p)
{
	struct frame *frame = p->frame;

	p->frame = frame->outer;
	free(frame->path);
	free(frame->owned);
	free(frame);
}

void
lex_end(struct parser *p)
{
	while (p->frame != NULL)
		frame_pop(p);
}

struct frame *
lex_push(struct parser *p, const char *text, size_t len)
{
	struct frame *frame;

	if ((frame = calloc(1, sizeof(*frame))) == NULL) {
		parse_out_of_memory(p);
		return NULL;
	}
	frame->outer = p->frame;
	frame->text = text;
	frame->len = len;
	p->frame = frame;
	return frame;
}

void
lex_push_text(struct parser *p, const char *name, const char *text, size_t len,
    char *owned)
{
	struct conf *conf = p->conf;
	struct conf_string *file;
	struct frame *frame;

	file = conf_append(&conf->files, &conf->nfiles, sizeof(*file));
	if (file == NULL || (frame = lex_push(p, text, len)) == NULL) {
		parse_out_of_memory(p);
		free(owned);
		return;
	}
	file->text = parse_strdup(p, name);
	frame->owned = owned;
	frame->path = parse_strdup(p, name);
	frame->where.file = conf->nfiles - 1;
	frame->where.line = frame->where.column = 1;
	p->line_start = true;
}

static struct frame *
frame_file(struct parser *p)
{
	struct frame *frame = p->frame;

	while (frame != NULL && frame->is_macro)
		frame = frame->outer;
	return frame;
}

/* A relative name is one beside the file that includes it. */
static char *
include_path(struct parser *p, const char *path)
{
	const struct frame *file = frame_file(p);
	const char *slash;
	char *joined;

	if (*path == '/' || file == NULL || file->path == NULL ||
	    (slash = strrchr(file->path, '/')) == NULL)
		return parse_strdup(p, path);
	if (asprintf(&joined, "%.*s/%s", (int)(slash - file->path), file->path,
		path) == -1) {
		parse_out_of_memory(p);
		return NULL;
	}
	return joined;
}

static bool
include_loops(
    struct parser *p, const struct conf_where *where, const char *path)
{
	const struct frame *frame;
	unsigned int depth = 0;

	for (frame = p->frame; frame != NULL; frame = frame->outer) {
		if (frame->path != NULL && strcmp(frame->path, path) == 0) {
			parse_error(p, where, "`%s` includes itself", path);
			return true;
		}
		depth++;
	}
	if (depth < PARSER_INCLUDE_DEPTH)
		return false;
	parse_error(p, where, "files include each other more than %d deep",
	    PARSER_INCLUDE_DEPTH);
	return true;
}

void
lex_include(struct parser *p, const struct conf_where *where, const char *path)
{
	char error[256], *full, *text;
	size_t len;

	if (!p->may_include) {
		parse_error(p, where, "nothing can be included here");
		return;
	}
	if ((full = include_path(p, path)) == NULL)
		return;
	if (!include_loops(p, where, full)) {
		text = readfile(
		    full, READFILE_CONFIG_MAX, &len, error, sizeof(error));
		if (text == NULL)
			parse_error(
			    p, where, "cannot read `%s`: %s", full, error);
		else
			lex_push_text(p, full, text, len, text);
	}
	free(full);
}

const char *
lex_text_from(
    const struct parser *p, const struct conf_where *where, size_t *len)
{
	const struct frame *frame = p->frame;
	const char *line;
	uint32_t i;

	while (frame != NULL &&
	    (frame->is_macro || frame->where.file != where->file))
		frame = frame->outer;
	if (frame == NULL || where->line == 0)
		return NULL;
	line = frame->text;
	for (i = 1; i < where->line; i++) {
		line = memchr(
		    line, '\n', frame->len - (size_t)(line - frame->text));
		if (line++ == NULL)
			return NULL;
	}
	*len = frame->len - (size_t)(line - frame->text);
	return line;
}

const char *
lex_line_text(
    const struct parser *p, const struct conf_where *where, size_t *len)
{
	const char *line = lex_text_from(p, where, len), *end;

	if (line != NULL && (end = memchr(line, '\n', *len)) != NULL)
		*len = (size_t)(end - line);
	return line;
}

/* ---- octets ----------------------------------------------------------- */

int
lex_raw(struct parser *p)
{
	struct frame *frame;
	int c;

	while ((frame = p->frame) != NULL) {
		p->before = frame->where;
		p->ungot_end = false;
		if (frame->at < frame->len) {
			c = (unsigned char)frame->text[frame->at++];
			if (frame->is_macro)
				return c;
			frame->where.column++;
			if (c == '\n') {
				frame->where.line++;
				frame->where.column = 1;
			}
			return c;
		}
		if (!frame->is_macro && !frame->ended) {
			frame->ended = true;
			p->ungot_end = true;
			return '\n';
		}
		if (frame->outer == NULL)
			return LEX_EOF;
		frame_pop(p);
	}
	return LEX_EOF;
}

void
lex_unread(struct parser *p, int c)
{
	if (c == LEX_EOF)
		return;
	if (p->ungot_end) {
		p->frame->ended = false;
		return;
	}
	p->frame->at--;
	p->frame->where = p->before;
}

/* Whether only blanks stand between here and the end of the line; then the
 * frame moves to that end. */
static bool
blanks_to_end(struct frame *frame)
{
	size_t at = frame->at;

	while (at < frame->len &&
	    (frame->text[at] == ' ' || frame->text[at] == '\t' ||
		frame->text[at] == '\r'))
		at++;
	if (at < frame->len && frame->text[at] != '\n')
		return false;
	frame->where.column += (uint32_t)(at - frame->at);
	frame->at = at;
	return true;
}

int
lex_get(struct parser *p, bool in_comment)
{
	struct conf_where where;
	int c, next;

	while ((c = lex_raw(p)) == '\\') {
		where = p->before;
		next = lex_raw(p);
		if (next == '\r' && !p->frame->is_macro &&
		    blanks_to_end(p->frame))
			next = lex_raw(p);
		else if ((next == ' ' || next == '\t') && !in_comment &&
		    !p->frame->is_macro && blanks_to_end(p->frame)) {
			parse_error(p, &where,
			    "a space follows the backslash, "
			    "which then does not continue the line; remove "
			    "the space");
			next = lex_raw(p);
		}
		if (next != '\n')
			return next;
	}
	return c;
}
