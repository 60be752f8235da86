/*
 * What the fuzz targets share: the entries that libFuzzer calls, a reader for
 * inputs that are made of parts, and mutators that know how an input is made.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Once, before the first input; of a target that needs it. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);
size_t LLVMFuzzerCustomMutator(uint8_t *, size_t, size_t max, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *, size_t, const uint8_t *,
    size_t, uint8_t *out, size_t max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *, size_t, size_t max);

/* What must hold; if it does not, the run is over. */
#define require(condition) \
	((condition) ? (void)0 : fuzz_failed(#condition, __FILE__, __LINE__))
void fuzz_failed(const char *condition, const char *file, int line)
    __attribute__((noreturn));

/* A hash of what happened, to compare two runs of it. */
static inline void
fuzz_mix(uint64_t *hash, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		*hash = (*hash ^ p[i]) * UINT64_C(0x100000001b3);
}

/* A folder for files of this program; it goes with all in it at exit. */
const char *fuzz_folder(void);

/* ---- reading an input ------------------------------------------------- */

struct input {
	const uint8_t *data;
	size_t left;
};

/* 0 at the end. */
uint8_t input_u8(struct input *);
uint32_t input_u32(struct input *);
/* An octet of length and as many octets, fewer at the end. */
const uint8_t *input_octets(struct input *, size_t *len);
/* The same as a string, which ends at a NUL; in buf. */
const char *input_text(struct input *, char *buf, size_t size);

/* ---- mutating an input by its pieces ----------------------------------- */

struct dice {
	uint64_t state;
};
uint32_t dice_roll(struct dice *, uint32_t sides);
/* A number that is likely to lie at some edge. */
uint64_t dice_number(struct dice *);
/* libFuzzer's own mutations, which must have room for one octet. */
static inline size_t
fuzz_octets(uint8_t *p, size_t len, size_t room)
{
	return room > 0 ? LLVMFuzzerMutate(p, len, room) : len;
}
/* Network order. */
void fuzz_put_number(uint8_t *, unsigned octets, uint64_t);

/*
 * How the inputs of a target are made: `head` octets, then pieces. `length`
 * tells how many octets the piece has that begins at data + at, the index-th;
 * 0 where none does. `change` changes one piece of len octets in place, which
 * may grow to room, and returns its new length; NULL leaves that to libFuzzer.
 */
struct fuzz_shape {
	size_t head;
	size_t (*length)(
	    const uint8_t *data, size_t size, size_t at, unsigned index);
	size_t (*change)(struct dice *, uint8_t *piece, size_t len, size_t room,
	    unsigned index);
};

/* Doubles, drops, swaps, moves or changes pieces; now and then libFuzzer's
 * own mutations. For LLVMFuzzerCustomMutator. */
size_t fuzz_mutate(
    const struct fuzz_shape *, uint8_t *, size_t, size_t max, unsigned seed);
/* The first pieces of one, then pieces of the other. */
size_t fuzz_cross(const struct fuzz_shape *, const uint8_t *, size_t,
    const uint8_t *, size_t, uint8_t *out, size_t max, unsigned seed);

/* A piece of the sessions' inputs: which event, its length, its octets. */
size_t fuzz_event_length(const uint8_t *, size_t, size_t at, unsigned index);

/* Version and checksum of an envelope's record, which it begins with. */
enum { FUZZ_ENVELOPE_HEAD = 5 };
void fuzz_seal_envelope(uint8_t *record, size_t len);

/* The mutator and the crossover of a target with a constant shape. */
#define FUZZ_SHAPED(shape)                                           \
	size_t LLVMFuzzerCustomMutator(                              \
	    uint8_t *data, size_t size, size_t max, unsigned seed)   \
	{                                                            \
		return fuzz_mutate(&(shape), data, size, max, seed); \
	}                                                            \
	FUZZ_CROSSED(shape)
#define FUZZ_CROSSED(shape)                                               \
	size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, \
	    const uint8_t *b, size_t b_size, uint8_t *out, size_t max,    \
	    unsigned seed)                                                \
	{                                                                 \
		return fuzz_cross(                                        \
		    &(shape), a, a_size, b, b_size, out, max, seed);      \
	}

#endif
