/*
 * The right-hand side of an alias: destinations with commas between them, as
 * aliases(5), virtual tables, :include: files and .forward have them. Pure;
 * called by auth, master and local.
 */
#ifndef CONF_ALIAS_H
#define CONF_ALIAS_H

#include <sys/types.h>
#include <stdint.h>

enum alias_kind {
	ALIAS_ADDRESS, /* text: user or user@domain, as written */
	ALIAS_COMMAND, /* text: what follows | */
	ALIAS_FILE, /* text: a path that begins with / */
	ALIAS_INCLUDE, /* text: a path that begins with / */
	ALIAS_ERROR /* text: code and message, of error:"550 ..." */
};

struct alias_item {
	enum alias_kind kind;
	char *text;
};

struct alias {
	struct alias_item *items;
	uint32_t nitems;
};

/* Parses one value. 0 with at least one item, which alias_free() releases, or
 * -1 with a clause in `error` and the octet where it went wrong (from 0) in
 * *at. Nothing to release then. */
int alias_parse(const char *text, size_t len, struct alias *, char *error,
    size_t errorlen, size_t *at);
void alias_free(struct alias *);

/* What an ALIAS_ERROR says. */
struct alias_error {
	uint16_t code; /* 400 to 599 */
	char enhanced[12]; /* x.2.0 if it has none */
	const char *text; /* behind the codes */
};

/* Reads the text of an ALIAS_ERROR, which the text found points into. 0, or -1
 * if it has another form than a code, a blank and a text. */
int alias_error_parse(const char *text, struct alias_error *);

#endif
