/*
 * Every message of the table from raw octets: two octets of type, then the
 * payload. What decodes must encode to the same octets again, each string
 * must end inside the payload and be within its limit, and a list must hold as
 * many records as it says. The payload is a block of its own, so that a read
 * behind its end is seen.
 */
#include <string.h>

#include "regress/fuzz/messages_fields.h"

static void
check_string(const uint8_t *data, size_t size, const char *s, size_t limit)
{
	const uint8_t *p = (const uint8_t *)s;

	require(p >= data && p < data + size);
	require(memchr(p, '\0', (size_t)(data + size - p)) != NULL);
	require(strlen(s) <= limit);
}

static void
check_octets(const uint8_t *data, size_t size, const uint8_t *p, size_t len)
{
	require(p >= data && p <= data + size);
	require(len <= (size_t)(data + size - p));
}

/* A function for each message and record that checks what was decoded. */
#define RECORD(name)                                                      \
	static void check_##name(                                         \
	    const uint8_t *data, size_t size, const struct msg_##name *m) \
	{
#define END_RECORD(name) }
#define MESSAGE(name, edges, fd) RECORD(name)
#define END(name) }
#define STR(f, limit) check_string(data, size, m->f, limit);
#define BLOB(f, limit)                \
	require(m->f.len <= (limit)); \
	check_octets(data, size, m->f.data, m->f.len);
#define LIST(f, record, limit)                                 \
	do {                                                   \
		struct ipc_list list = m->f;                   \
		struct msg_##record one;                       \
		uint32_t n = 0;                                \
                                                               \
		require(list.count <= (limit));                \
		check_octets(data, size, list.data, list.len); \
		for (; ipc_next_##record(&list, &one); n++)    \
			check_##record(data, size, &one);      \
		require(n == m->f.count && list.len == 0);     \
	} while (0);
#include "ipc/messages.tbl"

static void
check_message(
    enum msg_type type, const uint8_t *data, size_t size, union ipc_msg *m)
{
	switch (type) {
#define MESSAGE(name, edges, fd)                    \
	case MSG_##name:                            \
		check_##name(data, size, &m->name); \
		break;
#include "ipc/messages.tbl"
	default:
		abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct ipc_buf again = { 0 };
	enum msg_type type;
	union ipc_msg m;
	uint8_t *data;

	if (size < 2)
		return 0;
	/* known ones mostly, and those behind the last */
	type = (enum msg_type)((input[0] << 8 | input[1]) % (MSG_MAX + 2));
	size -= 2;
	if ((data = malloc(size)) == NULL)
		return 0;
	memcpy(data, input + 2, size);
	if (msg_decode(type, data, size, &m) == 0) {
		check_message(type, data, size, &m);
		require(msg_encode(type, &m, &again) == 0);
		require(again.len == size);
		require(size == 0 || memcmp(again.data, data, size) == 0);
	}
	ipc_buf_free(&again);
	free(data);
	return 0;
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	struct dice d = { seed };
	const struct message_field *fields;
	unsigned type;

	if (size < 2 || dice_roll(&d, 5) == 0)
		return fuzz_octets(data, size, max);
	type = (unsigned)(data[0] << 8 | data[1]) % (MSG_MAX + 2);
	if (dice_roll(&d, 50) == 0) {
		/* another message */
		type = 1 + dice_roll(&d, MSG_MAX - 1);
		fuzz_put_number(data, 2, type);
		fields = message_fields((enum msg_type)type);
		return 2 + message_empty(fields, data + 2, max - 2);
	}
	if ((fields = message_fields((enum msg_type)type)) == NULL)
		return fuzz_octets(data, size, max);
	return 2 + message_change(fields, &d, data + 2, size - 2, max - 2);
}
