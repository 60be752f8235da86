/*
 * The body of a message on its way out: a file that the queue has opened, or
 * octets that it sent. It can be read from its beginning as often as a
 * transaction needs. Trusts the queue, but not the disk under the file.
 */
#ifndef DELIVER_BODY_H
#define DELIVER_BODY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	/* octets taken by body_data; larger bodies are files */
	BODY_MEMORY_MAX = 4 << 20
};

struct body {
	int fd; /* -1: none */
	uint64_t size; /* of the file */
	uint32_t crc; /* of the file: crc32 of gzip */
	uint32_t sum; /* of what was read of it */
	int damaged; /* it is not what the queue stored */
	uint64_t at; /* next octet to read */
	char *data; /* octets sent */
	size_t len;
	int complete; /* all of it is here */
};

void body_init(struct body *);
void body_free(struct body *);
/* More octets; -1 when there are too many or memory is out. */
int body_add(struct body *, const void *, size_t, int last);
/* Takes fd. */
void body_set_file(struct body *, int fd, uint64_t size, uint32_t crc);
void body_rewind(struct body *);
/* Whether body_read would return something now. */
int body_ready(const struct body *);
/* Reads the next octets; *last is set with the final ones. -1 when the file
 * cannot be read, or is not what was said, which damaged tells: then its last
 * octets are not given out. */
ssize_t body_read(struct body *, char *out, size_t size, int *last);

#endif
