/*
 * The copy of a message in an mbox and in a file of its own. The first octet
 * chooses the style and whether the message is binary, the rest are two texts
 * for the addresses and the body. The quoting of From lines can be undone, and
 * then the copy is the message with LF line ends, or with a binary body as it
 * was, behind its three lines; no line of it but the first begins an mbox
 * message.
 */
#include "config.h"

#include <sys/mman.h>

#include <string.h>
#include <unistd.h>

#include "deliver/local.h"
#include "regress/fuzz/fuzz.h"

enum { MBOX = 1, BINARY = 2 };

/* What the body must become: LF line ends, and one at the end; of what is
 * binary this holds for the header, and for the end in an mbox. */
static size_t
expected(const uint8_t *body, size_t size, unsigned style, char *out)
{
	int in_body = 0;
	size_t n = 0;

	for (size_t i = 0; i < size; i++) {
		if (!in_body && body[i] == '\r' && i + 1 < size &&
		    body[i + 1] == '\n')
			continue;
		in_body |= (style & BINARY) && body[i] == '\n' &&
		    (n == 0 || out[n - 1] == '\n');
		out[n++] = (char)body[i];
	}
	if (n > 0 && out[n - 1] != '\n' && (!in_body || (style & MBOX)))
		out[n++] = '\n';
	return n;
}

/* The end of the lines that we put before the message. */
static const char *
skip_heading(const char *s, const char *end, int mbox)
{
	if (mbox) {
		require(strncmp(s, "From ", 5) == 0);
		s = memchr(s, '\n', (size_t)(end - s));
		require(s++ != NULL);
	}
	require(strncmp(s, "Return-Path:", 12) == 0);
	s = strstr(s, "\nDelivered-To:");
	require(s++ != NULL);
	s = memchr(s, '\n', (size_t)(end - s));
	require(s++ != NULL);
	return s;
}

/* Takes one `>` from each quoted line; the new length. */
static size_t
unquote(char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0, start = 1; i < len; i++) {
		size_t marks = 0;

		while (start && i + marks < len && text[i + marks] == '>')
			marks++;
		if (start && len - i - marks >= 5 &&
		    memcmp(text + i + marks, "From ", 5) == 0) {
			require(marks > 0);
			i++;
		}
		start = text[i] == '\n';
		text[n++] = text[i];
	}
	return n;
}

static void
check(char *copy, size_t len, const uint8_t *body, size_t size, unsigned style)
{
	const char *text = skip_heading(copy, copy + len, style & MBOX);
	char *want = malloc(size + 1), *got;
	size_t n;

	require(want != NULL);
	len -= (size_t)(text - copy);
	got = copy + (text - copy);
	if (style & MBOX) {
		/* the empty line between messages */
		require(len > 0 && got[--len] == '\n');
		len = unquote(got, len);
	}
	n = expected(body, size, style, want);
	require(n == len && memcmp(got, want, n) == 0);
	free(want);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int body = -1, file = -1;
	char sender[256], address[256], *copy;
	struct input in = { data, size };
	struct local_job job = { 0 };
	uint8_t style = input_u8(&in);
	off_t len;

	if (body == -1) {
		body = memfd_create("body", MFD_CLOEXEC);
		file = memfd_create("copy", MFD_CLOEXEC);
		require(body != -1 && file != -1);
	}
	job.sender = (char *)(uintptr_t)input_text(&in, sender, sizeof(sender));
	job.address =
	    (char *)(uintptr_t)input_text(&in, address, sizeof(address));
	/* an address has no control character, or it was never accepted */
	for (char *s = sender; *s != '\0'; s++)
		*s = (unsigned char)*s < ' ' ? ' ' : *s;
	job.body = body;
	job.size = in.left;
	require(ftruncate(body, 0) == 0 && ftruncate(file, 0) == 0);
	require(lseek(file, 0, SEEK_SET) == 0);
	require(pwrite(body, in.data, in.left, 0) == (ssize_t)in.left);
	job.flags = style & BINARY ? MAIL_BINARY : 0;
	require(local_copy(&job, file, style & MBOX ? COPY_MBOX : 0) == 0);
	len = lseek(file, 0, SEEK_CUR);
	require((copy = malloc((size_t)len + 1)) != NULL);
	require(pread(file, copy, (size_t)len, 0) == len);
	copy[len] = '\0';
	check(copy, (size_t)len, in.data, in.left, style);
	free(copy);
	/* a body that is shorter than it was is not delivered */
	job.size++;
	require(local_copy(&job, file, 0) == -1);
	return 0;
}
