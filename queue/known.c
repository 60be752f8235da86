/*
 * See known.h. Called by the queue's main file and its tests; trusts its own
 * file as far as the checksums go.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <endian.h>
#include <libdeflate.h>

#include "os/log.h"
#include "queue/known.h"

#define FILE_NAME "callahead"
#define NEW_NAME "callahead.new"

enum {
	HEAD = 8, /* length and checksum */
	FIXED = 9, /* when, good */
	PAYLOAD_MAX = FIXED + 256 + 1026,
	GROWTH_MIN = 1 << 20, /* octets added before it is written anew */
	FILE_MAX = 256 << 20
};

struct known {
	int dirfd;
	int fd;
	int64_t since;
	off_t end; /* of what checks */
	off_t compact; /* octets after it was last written anew */
	off_t at; /* of known_next */
	int failing;
	uint8_t payload[PAYLOAD_MAX];
};

/* Reads the record at an offset into payload: octets it takes, 0 where there
 * is none. */
static size_t
read_record(struct known *k, off_t at, struct msg_callahead_keep *m)
{
	uint32_t head[2], len;
	uint8_t *p = k->payload;
	uint64_t when;
	char *name;

	if (pread(k->fd, head, HEAD, at) != HEAD)
		return 0;
	len = be32toh(head[0]);
	if (len < FIXED + 2 || len > PAYLOAD_MAX ||
	    pread(k->fd, p, len, at + HEAD) != (ssize_t)len ||
	    be32toh(head[1]) != libdeflate_crc32(0, p, len) ||
	    p[len - 1] != '\0')
		return 0;
	memcpy(&when, p, sizeof(when));
	m->when = be64toh(when);
	m->good = p[8];
	m->action = name = (char *)p + FIXED;
	name += strlen(name) + 1;
	if ((uint8_t *)name >= p + len)
		return 0;
	m->recipient = name;
	return HEAD + len;
}

static int
write_record(int fd, off_t at, const struct msg_callahead_keep *m, size_t *size)
{
	size_t a = strlen(m->action) + 1, r = strlen(m->recipient) + 1;
	uint8_t record[HEAD + PAYLOAD_MAX], *p = record + HEAD;
	uint64_t when = htobe64(m->when);
	size_t len = FIXED + a + r;
	uint32_t head[2];

	if (len > PAYLOAD_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	memcpy(p, &when, sizeof(when));
	p[8] = m->good != 0;
	memcpy(p + FIXED, m->action, a);
	memcpy(p + FIXED + a, m->recipient, r);
	head[0] = htobe32((uint32_t)len);
	head[1] = htobe32(libdeflate_crc32(0, p, len));
	memcpy(record, head, HEAD);
	*size = HEAD + len;
	if (pwrite(fd, record, *size, at) == (ssize_t)*size)
		return 0;
	if (errno == 0)
		errno = ENOSPC;
	return -1;
}

/* ---- written anew ------------------------------------------------------- */

struct line {
	off_t at;
	char *key; /* action, NUL, recipient */
	size_t action;
};

static int
line_compare(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int c = strcmp(x->key, y->key);

	if (c == 0)
		c = strcasecmp(x->key + x->action, y->key + y->action);
	if (c == 0)
		c = x->at < y->at ? -1 : x->at > y->at;
	return c;
}

static int
same_recipient(const struct line *x, const struct line *y)
{
	return strcmp(x->key, y->key) == 0 &&
	    strcasecmp(x->key + x->action, y->key + y->action) == 0;
}

static int
line_order(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

static void
lines_free(struct line *lines, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(lines[i].key);
	free(lines);
}

/* All records that check and are not too old; sets k->end. NULL without
 * memory. */
static struct line *
read_lines(struct known *k, size_t *count)
{
	struct line *lines = calloc(1, sizeof(*lines)), *grown;
	struct msg_callahead_keep m;
	size_t n = 0, room = 1, size, a, r;

	for (k->end = 0;
	     lines != NULL && (size = read_record(k, k->end, &m)) != 0;
	     k->end += (off_t)size) {
		if ((int64_t)m.when < k->since)
			continue;
		if (n == room) {
			room *= 2;
			grown = reallocarray(lines, room, sizeof(*lines));
			if (grown == NULL)
				break;
			lines = grown;
		}
		a = strlen(m.action) + 1;
		r = strlen(m.recipient) + 1;
		lines[n].at = k->end;
		lines[n].action = a;
		if ((lines[n].key = malloc(a + r)) == NULL)
			break;
		memcpy(lines[n].key, m.action, a);
		memcpy(lines[n++].key + a, m.recipient, r);
	}
	if (lines != NULL && size != 0) {
		lines_free(lines, n);
		lines = NULL;
	}
	*count = n;
	return lines;
}

/* Keeps the last record of each recipient, in the order of their age. */
static size_t
drop_older(struct line *lines, size_t n)
{
	size_t kept = 0;

	qsort(lines, n, sizeof(*lines), line_compare);
	for (size_t i = 0; i < n; i++) {
		if (i + 1 < n && same_recipient(&lines[i], &lines[i + 1]))
			free(lines[i].key);
		else
			lines[kept++] = lines[i];
	}
	qsort(lines, kept, sizeof(*lines), line_order);
	return kept;
}

static int
write_lines(
    struct known *k, int fd, const struct line *lines, size_t n, off_t *end)
{
	struct msg_callahead_keep m;
	size_t size;

	*end = 0;
	for (size_t i = 0; i < n; i++) {
		if (read_record(k, lines[i].at, &m) == 0 ||
		    write_record(fd, *end, &m, &size) == -1)
			return -1;
		*end += (off_t)size;
	}
	return 0;
}

static int
write_anew(struct known *k)
{
	struct line *lines;
	off_t end;
	size_t n;
	int fd;

	if ((lines = read_lines(k, &n)) == NULL)
		return -1;
	n = drop_older(lines, n);
	fd = openat(k->dirfd, NEW_NAME,
	    O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1 || write_lines(k, fd, lines, n, &end) == -1 ||
	    fdatasync(fd) == -1 ||
	    renameat(k->dirfd, NEW_NAME, k->dirfd, FILE_NAME) == -1) {
		if (fd != -1)
			close(fd);
		lines_free(lines, n);
		return -1;
	}
	lines_free(lines, n);
	close(k->fd);
	k->fd = fd;
	k->end = k->compact = end;
	k->at = 0;
	return 0;
}

/* ---- the interface ------------------------------------------------------ */

struct known *
known_open(const char *path, int64_t since)
{
	struct known *k;

	if ((k = calloc(1, sizeof(*k))) == NULL)
		return NULL;
	k->since = since;
	k->fd = -1;
	k->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (k->dirfd != -1)
		k->fd = openat(k->dirfd, FILE_NAME,
		    O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (k->fd != -1 && write_anew(k) == 0)
		return k;
	log_warn("what primaries said of recipients is not kept: %s",
	    strerror(errno));
	known_close(k);
	return NULL;
}

void
known_close(struct known *k)
{
	if (k == NULL)
		return;
	if (k->fd != -1)
		close(k->fd);
	if (k->dirfd != -1)
		close(k->dirfd);
	free(k);
}

void
known_keep(struct known *k, const struct msg_callahead_keep *m)
{
	size_t size;

	if (k == NULL)
		return;
	if (k->end - k->compact > k->compact + GROWTH_MIN &&
	    write_anew(k) == -1)
		log_warn("%s: %s", FILE_NAME, strerror(errno));
	errno = 0;
	if (k->end > FILE_MAX || write_record(k->fd, k->end, m, &size) == -1) {
		if (!k->failing)
			log_warn("%s: %s", FILE_NAME,
			    errno != 0 ? strerror(errno) : "it is full");
		k->failing = 1;
		return;
	}
	k->failing = 0;
	k->end += (off_t)size;
}

void
known_rewind(struct known *k)
{
	k->at = 0;
}

int
known_next(struct known *k, struct msg_callahead_keep *m)
{
	size_t size;

	if (k->at >= k->end || (size = read_record(k, k->at, m)) == 0)
		return 0;
	k->at += (off_t)size;
	return 1;
}
