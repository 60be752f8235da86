/*
 * Reads whole files. What is no regular file is refused before it is read, so
 * that a FIFO in the place of a file cannot stop master.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/readfile.h"

/* Fills the buffer until the file ends; its length, or -1 with errno. */
static ssize_t
read_all(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size) {
		n = read(fd, buf + len, size - len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

static char *
read_open(int fd, size_t max, size_t *len, char *error, size_t errorlen)
{
	struct stat st;
	char *text;
	ssize_t n;

	if (fstat(fd, &st) == -1) {
		snprintf(error, errorlen, "%s", strerror(errno));
		return NULL;
	}
	if (!S_ISREG(st.st_mode)) {
		snprintf(error, errorlen, "not a regular file");
		return NULL;
	}
	if (st.st_size > (off_t)max) {
		snprintf(error, errorlen, "larger than %zu octets", max);
		return NULL;
	}
	if ((text = malloc((size_t)st.st_size + 1)) == NULL) {
		snprintf(error, errorlen, "out of memory");
		return NULL;
	}
	if ((n = read_all(fd, text, (size_t)st.st_size)) == -1) {
		snprintf(error, errorlen, "%s", strerror(errno));
		free(text);
		return NULL;
	}
	text[n] = '\0';
	*len = (size_t)n;
	return text;
}

char *
readfile(
    const char *path, size_t max, size_t *len, char *error, size_t errorlen)
{
	char *text;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd == -1) {
		snprintf(error, errorlen, "%s", strerror(errno));
		return NULL;
	}
	text = read_open(fd, max, len, error, errorlen);
	close(fd);
	return text;
}
