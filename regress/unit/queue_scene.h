/*
 * The queue worker as a process, in its sandbox, with a master, an smtpd, an
 * auth and a deliver made of channels, for the tests of what it does. Users
 * joe and ann are of this host, and joe has all of its virtual users; what
 * others are is in queue_scene.c.
 */
#ifndef QUEUE_SCENE_H
#define QUEUE_SCENE_H

#include <stddef.h>
#include <stdint.h>

#include "worker_fixture.h"

enum {
	LARGE = 200000,
	LOCAL_MAX = 16, /* deliveries at once */
	LOCAL_PER_USER = 2
};

struct world {
	char *path;
	uint32_t next_id;
	uint32_t ids;
	/* how deliver and local answer, and with which route */
	enum delivery_status verdict;
	enum route_status route;
	enum hop_kind hop;
	int silent; /* deliver takes and says nothing */
	/* what was seen last */
	uint16_t code;
	uint8_t accepting;
	uint32_t transfers;
	uint32_t rcpts; /* of the transfer */
	uint32_t sent; /* recipients of all transfers */
	uint64_t transfer_id;
	char sender[256];
	char rcpt[256];
	char delivered_to[256];
	char destination[256];
	uint32_t expansions;
	int unknown; /* auth knows nobody */
	int lacking; /* nor the action, as the configuration that it has says */
	uint32_t locals;
	char users[256];
	char entries[64]; /* of the user items, each behind a blank */
	/* local says nothing of joe, joe1 and so on, but for quick@ */
	int hold;
	uint64_t held[LOCAL_MAX];
	uint32_t nheld;
	uint8_t body[LARGE + 1];
	size_t body_len;
	uint32_t long_lists; /* of which was told, and in how many reports */
	uint32_t long_reports;
};

extern struct world world;
extern struct stage stage;
extern struct conf scene_conf;
extern const char scene_message[];

/* A test begins with an empty store, and a worker that serves. */
int scene_setup(void **state);
int scene_teardown(void **state);
void scene_start(void);
void scene_kill(void);
/* Hands a message in, which must be taken. body: NULL for the LARGE octets
 * that went ahead. */
void scene_submit(
    const char *rcpt, const char *action, const char *body, uint8_t notify);
int scene_body_has(const char *text);
/* How many messages are in the store, which nobody else may have open. */
uint32_t scene_count(void);
/* Stops the worker: nothing was lost, and nothing is left. */
void scene_end_empty(void);

#endif
