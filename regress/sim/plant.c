/*
 * The bug that is planted in the deliver workers: preferences are not kept.
 */
#include "config.h"

#include "deliver/mx.h"
#include "sim.h"

size_t __real_mx_candidates(
    const struct mx *, uint64_t, struct mx_candidate *, size_t);
size_t __wrap_mx_candidates(
    const struct mx *, uint64_t, struct mx_candidate *, size_t);

size_t
__wrap_mx_candidates(
    const struct mx *mx, uint64_t seed, struct mx_candidate *out, size_t limit)
{
	size_t n = __real_mx_candidates(mx, seed, out, limit);
	struct mx_candidate first;

	if (sim.plant == PLANT_WRONG_MX && n > 1 && dice_one_in(20)) {
		first = out[0];
		out[0] = out[n - 1];
		out[n - 1] = first;
	}
	return n;
}
