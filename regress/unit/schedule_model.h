/*
 * The scheduler against a naive model: operations on a few destinations, some
 * of them ill, and after each one what must hold. Each entry is in exactly one
 * state and nothing is lost; windows, limits, pauses and times are kept; a
 * blocked destination has one probe; and in the end all drains. What does not
 * hold is an assertion of cmocka.
 */
#ifndef UNIT_SCHEDULE_MODEL_H
#define UNIT_SCHEDULE_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "queue/scheduler.h"

#define T0 1000000

/* Decides what happens: a random number that is not 0, or a script, whose
 * octets count as long as there are any. */
struct schedule_dice {
	uint64_t random;
	const uint8_t *script;
	size_t left;
};
uint32_t schedule_roll(struct schedule_dice *, uint32_t sides);

static inline uint64_t
schedule_seed(uint64_t seed)
{
	return (seed + 1) * 0x9e3779b97f4a7c15u;
}

/* A few hundred operations of a seed. */
void schedule_model_run(uint64_t seed);
/* The operations that a script chooses. */
void schedule_model_play(const uint8_t *script, size_t len);

#endif
