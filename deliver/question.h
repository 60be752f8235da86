/*
 * Questions to the resolver and to auth, and who waits for their answers. A
 * question whose peer goes away, or that is not answered in time, is answered
 * with NULL. No answer comes from inside the function that asks.
 */
#ifndef DELIVER_QUESTION_H
#define DELIVER_QUESTION_H

#include "deliver/deliver.h"
#include "conf/conf.h"

struct question;

/* The answer, or NULL for none to be had. A SASL question lives on after its
 * answer, for the next step; every other is gone then. */
typedef void question_done(void *arg, const union ipc_msg *answer);

struct questions *questions_new(struct deliver *);
void questions_free(struct questions *);

/* NULL when the peer is not there or memory is out. */
struct question *question_dns(struct questions *, uint16_t type,
    const char *name, question_done *, void *arg);
struct question *question_table(struct questions *, const char *table,
    enum conf_service, const char *key, question_done *, void *arg);
struct question *question_sasl(struct questions *,
    const struct msg_client_sasl_begin *, question_done *, void *arg);
/* -1 when auth is gone. */
int question_sasl_step(
    struct questions *, struct question *, const void *, size_t);
/* Forgets a question, and tells the peer. NULL is fine. */
void question_cancel(struct questions *, struct question *);

/* What came in. Unknown ids are of questions forgotten, and passed over. Who
 * answers a question that another was asked, or with another kind of answer
 * than was asked for, is refused. */
void questions_answer(struct questions *, struct channel *, enum msg_type,
    uint64_t id, const union ipc_msg *answer);
void questions_peer_down(struct questions *, enum process_kind);
/* Gives up what has waited too long. */
void questions_tick(struct questions *);

#endif
