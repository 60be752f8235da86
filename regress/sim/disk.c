/*
 * A disk with one log. What was appended is seen by all processes at once and
 * survives their deaths, but a power cut leaves of what was not synced only
 * some part, and its last octets may be anything.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define ROOM_AT_FIRST (UINT64_C(10) << 30)

static struct {
	uint8_t *octets;
	size_t len;
	size_t size;
	size_t synced;
	uint64_t free;
} disk = { .free = ROOM_AT_FIRST };

void
disk_append(const void *data, size_t len)
{
	if (disk.len + len > disk.size) {
		disk.size = 2 * (disk.len + len);
		disk.octets = realloc(disk.octets, disk.size);
		if (disk.octets == NULL)
			fail("out of memory");
	}
	memcpy(disk.octets + disk.len, data, len);
	disk.len += len;
}

void
disk_sync(void)
{
	disk.synced = disk.len;
}

const uint8_t *
disk_octets(size_t *len)
{
	*len = disk.len;
	return disk.octets;
}

void
disk_truncate(size_t len)
{
	disk.len = len;
	if (disk.synced > len)
		disk.synced = len;
}

void
disk_power_cut(void)
{
	size_t loose = disk.len - disk.synced, kept;

	sim.power_cuts++;
	kept = loose > 0 ? dice_under((uint32_t)loose + 1) : 0;
	say("the power fails; of %zu octets not synced %zu stay", loose, kept);
	disk.len = disk.synced + kept;
	/* a sector that was being written */
	for (size_t i = 0; i < kept && i < 512; i++)
		if (dice_one_in(4))
			disk.octets[disk.len - 1 - i] = (uint8_t)dice();
}

uint64_t
disk_free(void)
{
	return disk.free;
}

void
disk_set_free(uint64_t octets)
{
	disk.free = octets != 0 ? octets : ROOM_AT_FIRST;
}
