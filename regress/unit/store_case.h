/*
 * What the tests of the store, test_store.c and test_store_port.c, begin and
 * end with: see store_fixture.h for the messages. Any failure is that of the
 * test.
 */
#ifndef UNIT_STORE_CASE_H
#define UNIT_STORE_CASE_H

#include "store_fixture.h"

struct store_case {
	char *path;
	struct store *st;
};

/* A test whose state is an empty store. */
#define STORE_CASE(f)                    \
	cmocka_unit_test_setup_teardown( \
	    f, store_case_setup, store_case_teardown)

int store_case_setup(void **state);
int store_case_teardown(void **state);

/* A message in a batch of its own. */
void store_case_put(
    struct store *, uint32_t msgid, uint32_t rcpts, size_t len, int spooled);
/* Fails the test unless that message is there, as it was put. */
void store_case_assert(
    struct store *, uint32_t msgid, uint32_t rcpts, size_t len);

#endif
