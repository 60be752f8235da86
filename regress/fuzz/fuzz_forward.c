/*
 * A user's .forward and the lists that it includes: up to five files of any
 * text, in which the octets 1 to 5 stand for their paths. Only addresses are
 * obeyed, as where an action only forwards. There is an outcome whatever they
 * hold; lists that include each other end; what is forwarded to is a canonical
 * address each, no more of them than may be, and a refusal is a reply with its
 * code.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "deliver/local.h"
#include "os/log.h"
#include "regress/fuzz/fuzz.h"
#include "smtp/address.h"

enum { FILES = 5, FORWARD_MAX = 1000, LISTS_MAX = 100 };

static const char *
path_of(int file)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/%d", fuzz_folder(), file);
	return path;
}

/* A line may not name what lies outside: a run would not be the same again. */
static void
write_list(int file, const uint8_t *data, size_t size)
{
	FILE *f = fopen(path_of(file), "we");

	require(f != NULL);
	for (size_t i = 0; i < size; i++) {
		if (data[i] >= 1 && data[i] <= FILES)
			fputs(path_of(data[i]), f);
		else
			putc(data[i] == '/' ? '!' : data[i], f);
	}
	require(fclose(f) == 0);
}

static void
check_outcome(int rc, const struct local_outcome *out)
{
	struct ipc_list list = ipc_buf_list(&out->forward);
	struct msg_forward_dest dest;
	struct address address;

	require(list.count <= FORWARD_MAX && out->lists <= LISTS_MAX + 1);
	while (ipc_next_forward_dest(&list, &dest)) {
		require((*dest.address == '\0') == (dest.code != 0));
		require(dest.code == 0 || dest.code / 100 == 5);
		require(address_parse(dest.address, strlen(dest.address),
			    ADDRESS_CANONICAL, &address) == ADDRESS_OK);
	}
	if (rc == 0)
		return;
	require(out->code / 100 == 4 || out->code / 100 == 5);
	require(out->enhanced[0] == '0' + out->code / 100);
	require((out->code / 100 == 5) == (out->status == DELIVERY_PERMFAIL));
	require(out->text[0] != '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char method[] = "forward-only", user[] = "alice",
		    address[] = "alice@host.example";
	struct local_job job = { .method = method,
		.user = user,
		.address = address,
		.recipient = address,
		.sender = address,
		.delimiter = "+" };
	struct local_outcome out = { 0 };
	struct input in = { data, size };
	const uint8_t *text;
	int keep = 0;
	size_t len;

	for (int i = FILES; i > 1; i--) {
		text = input_octets(&in, &len);
		write_list(i, text, len);
	}
	write_list(1, in.data, in.left);
	check_outcome(local_list(&job, path_of(1), 0, &keep, &out), &out);
	ipc_buf_free(&out.forward);
	return 0;
}
