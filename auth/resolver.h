/*
 * One validating resolver for all workers: libunbound on our event loop, with
 * a deadline for each question and a bound on how many are under way, so that
 * dead domains cannot block good ones.
 */
#ifndef AUTH_RESOLVER_H
#define AUTH_RESOLVER_H

#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "ipc/messages.h"

struct loop;
struct resolver;

/* What a question came to. records are borrowed for the call. */
struct resolver_answer {
	enum dns_status status;
	int secure;
	uint32_t ttl;
	const char *owner;
	struct ipc_list records;
};

typedef void resolver_done(
    void *asker, uint64_t id, const struct resolver_answer *);

struct resolver *resolver_new(struct loop *);
void resolver_free(struct resolver *);
/* Uses these servers from now on; questions under way are asked again. Must
 * happen once before the sandbox, while libunbound may open files. -1 with
 * the reason in error leaves all as it was. */
int resolver_configure(
    struct resolver *, const struct conf_resolver *, char *error, size_t size);
/* Asks; `done` is called with the answer, perhaps before this returns.
 * asker and id name the question. */
void resolver_ask(struct resolver *, void *asker, uint64_t id, const char *name,
    uint16_t type, resolver_done *);
/* Forgets one question, or all of an asker: `done` is not called. */
void resolver_cancel(struct resolver *, void *asker, uint64_t id);
void resolver_forget(struct resolver *, void *asker);

#endif
