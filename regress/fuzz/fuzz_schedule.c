/*
 * The scheduler as a core: the octets of the input choose what happens next
 * and to whom, and the model of the unit tests says after it what must hold:
 * nothing is lost, windows, limits, pauses and times are kept, a blocked
 * destination has one probe, and in the end all drains.
 */
#include "regress/unit/schedule_model.h"
#include "regress/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0)
		schedule_model_play(data, size);
	return 0;
}
