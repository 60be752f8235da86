/*
 * A store in a temporary folder, and messages whose content follows from
 * their id, so that what is read back can be checked without a copy.
 */
#ifndef UNIT_STORE_FIXTURE_H
#define UNIT_STORE_FIXTURE_H

#include "queue/store.h"

/* Makes a folder; its name is to be given to fixture_remove. */
char *fixture_folder(void);
void fixture_remove(char *path);
/* Ends the program when the store does not open. */
struct store *fixture_open(const char *path);

/* An envelope with rcpts recipients, and the octets of its body. */
struct envelope *fixture_envelope(uint32_t msgid, uint32_t rcpts);
void fixture_body(uint32_t msgid, uint8_t *to, size_t len);
/* Puts a message of that many octets into the open batch, by memory or, when
 * spooled is set, by a spool file. */
enum store_status fixture_put(
    struct store *, uint32_t msgid, uint32_t rcpts, size_t len, int spooled);
/* NULL when the message is there and all of it is right, else what is not.*/
const char *fixture_check(
    struct store *, uint32_t msgid, uint32_t rcpts, size_t len);

#endif
