/*
 * The portable stream that a queue is imported from, into a real store. The
 * input is parts: a letter, an octet of length, as many octets; checksums are
 * made right, those of envelopes too. A stream is refused with a reason, or as
 * many messages are in the store as it says, all of them whole, none with the
 * id 0; their export can be imported again, and its export is the same. The
 * check of a stream changes nothing, and refuses what is refused and no other.
 */
#include "config.h"

#include <sys/mman.h>

#include <string.h>
#include <unistd.h>

#include <libdeflate.h>

#include "os/log.h"
#include "queue/envelope.h"
#include "queue/store.h"
#include "regress/fuzz/fuzz.h"
#include "regress/unit/store_fixture.h"

enum { IDS_MAX = 512 };

static char *folder;
static struct store *store;

struct ids {
	uint32_t list[IDS_MAX];
	size_t count;
};

static void
end(void)
{
	store_close(store);
	fixture_remove(folder);
}

static int
file(void)
{
	int fd = memfd_create("stream", MFD_CLOEXEC);

	require(fd != -1);
	return fd;
}

static void
put(int fd, const void *data, size_t len)
{
	require(write(fd, data, len) == (ssize_t)len);
}

static int
make_stream(struct input *in)
{
	uint8_t part[256], number[4], letter;
	const uint8_t *data;
	int fd = file();
	size_t len;

	put(fd, "relais-queue 1\n", 16);
	while (in->left > 0) {
		letter = input_u8(in);
		data = input_octets(in, &len);
		if (len > 0)
			memcpy(part, data, len);
		if (letter == 'E' && len > FUZZ_ENVELOPE_HEAD)
			fuzz_seal_envelope(part, len);
		put(fd, &letter, 1);
		fuzz_put_number(number, 4, len);
		put(fd, number, 4);
		put(fd, part, len);
		fuzz_put_number(number, 4, libdeflate_crc32(0, part, len));
		put(fd, number, 4);
	}
	require(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

static int
note(void *arg, const struct envelope *env)
{
	struct ids *ids = arg;

	require(env->msgid != 0 && ids->count < IDS_MAX);
	ids->list[ids->count++] = env->msgid;
	return 0;
}

/* Removes all; how many there were. */
static size_t
empty_store(void)
{
	struct ids ids = { .count = 0 };
	uint32_t next;

	require(store_iterate(store, 0, 0, note, &ids, &next) == STORE_OK);
	if (ids.count == 0)
		return 0;
	require(store_batch_begin(store) == STORE_OK);
	for (size_t i = 0; i < ids.count; i++)
		require(store_remove(store, ids.list[i]) == STORE_OK);
	require(store_batch_commit(store) == STORE_OK);
	return ids.count;
}

static int64_t
import(int fd, uint64_t *skipped)
{
	char error[256] = "";
	int64_t n;

	n = store_import(store, fd, skipped, error, sizeof(error));
	require(n >= 0 || *error != '\0');
	return n;
}

static int export(int64_t count)
{
	char error[256];
	int fd = file();

	require(store_export(store, fd, error, sizeof(error)) == count);
	require(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

static void
require_same(int a, int b)
{
	uint8_t x[4096], y[4096];
	ssize_t n;

	require(lseek(a, 0, SEEK_SET) == 0 && lseek(b, 0, SEEK_SET) == 0);
	while ((n = read(a, x, sizeof(x))) > 0)
		require(
		    read(b, y, sizeof(y)) == n && memcmp(x, y, (size_t)n) == 0);
	require(n == 0 && read(b, y, 1) == 0);
}

/* What Berkeley DB keeps for the life of an environment that stays open is no
 * leak of an input. */
const char *__lsan_default_suppressions(void);
const char *
__lsan_default_suppressions(void)
{
	return "leak:libdb-5.3\n";
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint64_t skipped, checked, there;
	int stream, first, second;
	char error[256];
	int64_t n, fit;

	if (store == NULL) {
		log_init("fuzz", LOG_TO_SINK);
		folder = fixture_folder();
		store = fixture_open(folder);
		atexit(end);
	}
	stream = make_stream(&in);
	fit = store_import_check(store, stream, &there, error, sizeof(error));
	require(empty_store() == 0 && lseek(stream, 0, SEEK_SET) == 0);
	n = import(stream, &skipped);
	require(fit == n && there == 0 && skipped == 0);
	if (n >= 0) {
		require(store_verify(store, &checked) == 0);
		require((int64_t)checked == n);
		first = export(n);
		require(empty_store() == (size_t)n);
		require(import(first, &skipped) == n && skipped == 0);
		second = export(n);
		require_same(first, second);
		close(first);
		close(second);
	}
	close(stream);
	empty_store();
	return 0;
}

static const struct fuzz_shape parts = { 0, fuzz_event_length, NULL };

FUZZ_SHAPED(parts)
