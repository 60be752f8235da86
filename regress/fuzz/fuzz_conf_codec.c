/*
 * A slice from master, had anyone tampered with it: an error, or a tree that
 * encodes to the same octets.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf *conf;
	char error[256] = "";
	uint8_t *again;
	size_t len;

	conf = conf_decode(data, size, error, sizeof(error));
	if (conf == NULL) {
		if (error[0] == '\0')
			abort();
		return 0;
	}
	if (conf_encode(conf, &again, &len) == -1 || len != size ||
	    memcmp(again, data, len) != 0)
		abort();
	free(again);
	conf_free(conf);
	return 0;
}
