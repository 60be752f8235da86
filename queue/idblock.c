/*
 * See idblock.h. A block keeps a bit for each id that was used and goes when
 * all were. Workers use their ids in order, so a look at the newest blocks
 * finds nearly every id.
 */
#include <sys/queue.h>

#include <stdlib.h>

#include "queue/idblock.h"

enum { WORKER_BLOCKS_MAX = 4096 };

struct block {
	TAILQ_ENTRY(block) entry;
	uint32_t worker;
	uint32_t first;
	uint32_t count;
	uint32_t left;
	uint8_t used[IDBLOCK_MAX / 8];
};

struct idblocks {
	TAILQ_HEAD(, block) blocks; /* newest first */
};

struct idblocks *
idblock_new(void)
{
	struct idblocks *ids;

	if ((ids = calloc(1, sizeof(*ids))) != NULL)
		TAILQ_INIT(&ids->blocks);
	return ids;
}

static void
forget(struct idblocks *ids, struct block *b)
{
	TAILQ_REMOVE(&ids->blocks, b, entry);
	free(b);
}

void
idblock_free(struct idblocks *ids)
{
	struct block *b;

	if (ids == NULL)
		return;
	while ((b = TAILQ_FIRST(&ids->blocks)) != NULL)
		forget(ids, b);
	free(ids);
}

static void
forget_oldest(struct idblocks *ids, uint32_t worker)
{
	struct block *b, *oldest = NULL;
	uint32_t n = 0;

	TAILQ_FOREACH (b, &ids->blocks, entry) {
		if (b->worker == worker) {
			oldest = b;
			n++;
		}
	}
	if (n > WORKER_BLOCKS_MAX)
		forget(ids, oldest);
}

int
idblock_give(
    struct idblocks *ids, uint32_t worker, uint32_t first, uint32_t count)
{
	struct block *b;

	if (count == 0 || count > IDBLOCK_MAX ||
	    (b = calloc(1, sizeof(*b))) == NULL)
		return -1;
	b->worker = worker;
	b->first = first;
	b->count = b->left = count;
	TAILQ_INSERT_HEAD(&ids->blocks, b, entry);
	forget_oldest(ids, worker);
	return 0;
}

int
idblock_use(struct idblocks *ids, uint32_t worker, uint32_t msgid)
{
	struct block *b;
	uint32_t n;

	TAILQ_FOREACH (b, &ids->blocks, entry) {
		if (b->worker != worker || msgid < b->first ||
		    msgid - b->first >= b->count)
			continue;
		n = msgid - b->first;
		if (b->used[n / 8] & 1 << n % 8)
			return -1;
		b->used[n / 8] |= (uint8_t)(1 << n % 8);
		if (--b->left == 0)
			forget(ids, b);
		return 0;
	}
	return -1;
}

void
idblock_drop(struct idblocks *ids, uint32_t worker)
{
	struct block *b, *next;

	for (b = TAILQ_FIRST(&ids->blocks); b != NULL; b = next) {
		next = TAILQ_NEXT(b, entry);
		if (b->worker == worker)
			forget(ids, b);
	}
}
