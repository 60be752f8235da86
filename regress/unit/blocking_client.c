/*
 * See blocking_client.h.
 */
#include <sys/socket.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "blocking_client.h"

void
client_fail(const char *what, const char *line)
{
	fprintf(stderr, "client: wanted %s, got %s\n", what, line);
	_exit(1);
}

int
client_connect(in_port_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = port };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1)
		client_fail("a connection", "none");
	return fd;
}

void
say(int fd, const char *text)
{
	size_t len = strlen(text);
	ssize_t n;

	for (; len > 0; text += n, len -= (size_t)n)
		if ((n = write(fd, text, len)) <= 0)
			client_fail("to write", "an error");
}

/* Reads one reply, all of its lines; fails unless the last begins so. */
void
hear(int fd, const char *want)
{
	char line[1024];
	size_t n;

	do {
		for (n = 0; n < sizeof(line) - 1; n++) {
			if (read(fd, line + n, 1) != 1) {
				line[n] = '\0';
				client_fail(want, n > 0 ? line : "the end");
			}
			if (line[n] == '\n')
				break;
		}
		line[n] = '\0';
	} while (n > 3 && line[3] == '-');
	if (strncmp(line, want, strlen(want)) != 0)
		client_fail(want, line);
}

void
hear_end(int fd)
{
	char octet;

	if (read(fd, &octet, 1) != 0)
		client_fail("the end", "an octet");
}

void
tls_say(SSL *ssl, const char *text)
{
	if (SSL_write(ssl, text, (int)strlen(text)) <= 0)
		client_fail("to write TLS", "an error");
}

void
tls_hear(SSL *ssl, const char *want)
{
	char buf[4096], *last;
	int n = 0, more;

	do {
		more = SSL_read(ssl, buf + n, (int)sizeof(buf) - 1 - n);
		if (more <= 0)
			client_fail(want, "the end of TLS");
		n += more;
		buf[n] = '\0';
		/* the beginning of the last line */
		for (last = buf + n - 2; last > buf && last[-1] != '\n';)
			last--;
	} while (buf[n - 1] != '\n' || last[3] == '-');
	if (strncmp(last, want, strlen(want)) != 0)
		client_fail(want, last);
}
