/*
 * The file of what primaries said (queue/known.h), with any content, and the
 * memory of auth that it is given back to. The first octet says how: as it
 * is, or as records whose checksums were made right. What comes back from the
 * file comes back again when it is opened again; one record a recipient; and
 * what is added stands behind it. Of the memory: what was imported is known
 * and never refused on another's word, and no more is kept than may be.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <endian.h>
#include <libdeflate.h>

#include "auth/callahead.h"
#include "os/log.h"
#include "queue/known.h"
#include "regress/fuzz/fuzz.h"

enum { NOW = 1000000, KEPT = 8, HEAD = 8 };

static void
write_file(const uint8_t *data, size_t size)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/callahead", fuzz_folder());
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	require(fd != -1 && write(fd, data, size) == (ssize_t)size);
	close(fd);
}

/* How many records there are, and a hash of them. */
static unsigned
read_all(struct known *k, uint64_t *hash)
{
	struct msg_callahead_keep m;
	struct ipc_buf wire = { 0 };
	unsigned n = 0;

	*hash = 1;
	for (known_rewind(k); known_next(k, &m); n++) {
		/* it travels to auth */
		require(msg_encode(MSG_callahead_keep, &m, &wire) == 0);
		fuzz_mix(hash, m.action, strlen(m.action) + 1);
		fuzz_mix(hash, m.recipient, strlen(m.recipient) + 1);
		*hash += m.when ^ m.good;
	}
	ipc_buf_free(&wire);
	return n;
}

static void
give_back(struct known *k)
{
	struct callahead *c = callahead_new(KEPT);
	struct msg_callahead_keep m;
	enum callahead_advice advice;

	require(c != NULL);
	for (known_rewind(k); known_next(k, &m);) {
		if (callahead_import(c, m.action, m.recipient, m.good,
			(int64_t)m.when) == -1) {
			/* good ones have all the room */
			require(!m.good);
			continue;
		}
		advice = callahead_look(c, m.action, m.recipient, NOW);
		require(advice != CALLAHEAD_TEMPFAIL);
		require(
		    advice != (m.good ? CALLAHEAD_REFUSE : CALLAHEAD_ACCEPT));
		advice = callahead_answer(c, m.action, m.recipient,
		    CALLAHEAD_NONE, CONF_UNKNOWN_TEMPFAIL, NOW);
		require(advice != CALLAHEAD_REFUSE && advice != CALLAHEAD_ASK);
		require(m.good || advice == CALLAHEAD_TEMPFAIL);
		require(
		    callahead_worth(c, m.action, m.recipient, CALLAHEAD_GOOD));
		require(callahead_worth(
			    c, m.action, m.recipient, CALLAHEAD_BAD) == m.good);
	}
	callahead_free(c);
}

static void
try_file(void)
{
	struct msg_callahead_keep m = { .action = "act",
		.recipient = "last@x.test",
		.good = 1,
		.when = NOW };
	uint64_t first, again, hash;
	struct known *k;
	unsigned n;

	require((k = known_open(fuzz_folder(), 0)) != NULL);
	n = read_all(k, &first);
	give_back(k);
	known_close(k);
	require((k = known_open(fuzz_folder(), 0)) != NULL);
	require(read_all(k, &again) == n && again == first);
	known_keep(k, &m);
	require(read_all(k, &hash) == n + 1);
	known_close(k);
	require((k = known_open(fuzz_folder(), 0)) != NULL);
	hash = read_all(k, &hash);
	/* it may have taken the place of one */
	require(hash == n + 1 || hash == n);
	known_close(k);
}

/* Makes length and checksum of each record right: a record is an octet of
 * length and as many octets. */
static size_t
seal(const uint8_t *data, size_t size, uint8_t *out)
{
	struct input in = { data, size };
	size_t n = 0, len;

	while (in.left > 0) {
		const uint8_t *payload = input_octets(&in, &len);

		memcpy(out + n + HEAD, payload, len);
		/* the last string ends */
		out[n + HEAD + len++] = '\0';
		fuzz_put_number(out + n, 4, len);
		fuzz_put_number(
		    out + n + 4, 4, libdeflate_crc32(0, out + n + HEAD, len));
		n += HEAD + len;
	}
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *sealed;
	size_t len;

	if (size == 0 || size > 4096)
		return 0;
	/* what is written anew is not for the reader of this run */
	log_init("fuzz", LOG_TO_SINK);
	if (data[0] & 1) {
		write_file(data + 1, size - 1);
	} else {
		require((sealed = malloc(size * (HEAD + 2))) != NULL);
		len = seal(data + 1, size - 1, sealed);
		write_file(sealed, len);
		free(sealed);
	}
	try_file();
	return 0;
}

static size_t
record_length(const uint8_t *data, size_t size, size_t at, unsigned index)
{
	return 1 + (size_t)data[at];
}

static const struct fuzz_shape records = { 1, record_length, NULL };

FUZZ_SHAPED(records)
