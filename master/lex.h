/*
 * Between the lexer (lex.c) and its input (lex_input.c). Nobody else includes
 * this.
 */
#ifndef MASTER_LEX_H
#define MASTER_LEX_H

#include <stddef.h>

#include "master/parser.h"

#define LEX_EOF (-1)
#define LEX_ERROR (-2) /* reported */

/* A frame on top of the present one; NULL after an error was reported. The
 * text must outlive it. */
struct frame *lex_push(struct parser *, const char *text, size_t len);

/* The next octet as it stands, or LEX_EOF. The last line of a file always has
 * an end. Its place is in parser.before. */
int lex_raw(struct parser *);
/* Takes back what lex_raw() returned last. */
void lex_unread(struct parser *, int c);
/* The next octet outside quotes: a backslash at the end of a line joins it
 * with the next; before any other octet it says nothing. */
int lex_get(struct parser *, bool in_comment);

#endif
