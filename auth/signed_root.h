/*
 * Whether the servers hand on a signed root zone: without one every answer
 * would fail DNSSEC, and all mail stop. Called by resolver.c alone, whose
 * questions go to the context that this has found to be the right one.
 */
#ifndef AUTH_SIGNED_ROOT_H
#define AUTH_SIGNED_ROOT_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"

struct loop;
struct signed_root;
struct ub_ctx;

struct signed_root_ops {
	/* Questions go to this context from now on, which is the callee's. */
	void (*use)(void *arg, struct ub_ctx *);
	/* Those that waited for the word may go. */
	void (*decided)(void *arg);
};

struct signed_root *signed_root_new(
    struct loop *, const struct signed_root_ops *, void *arg);
void signed_root_free(struct signed_root *);
/* Begins anew with these settings, which must stay until the next call. Must
 * happen once before the sandbox, while libunbound may open files. -1 with the
 * reason in error leaves all as it was. */
int signed_root_configure(struct signed_root *, const struct conf_resolver *,
    char *error, size_t size);
/* What would be asked now might have to be asked again: it waits for the word,
 * for some 20 s at most. */
bool signed_root_is_awaited(const struct signed_root *);
/* Whether an answer can be known to be secure. */
bool signed_root_validates(const struct signed_root *);
/* An answer has failed DNSSEC. Whether this comes of a root that is not there:
 * then it means nothing, and `use` follows, after which it is to be asked
 * again. */
bool signed_root_explains(struct signed_root *);

#endif
