/*
 * The fields that we add, with any values in them: each is one field by its
 * name, in lines that end with CRLF, go on with white space and are no longer
 * than RFC 5322 allows, without a control character, and it fits or is "".
 */
#include <string.h>

#include "mail/header.h"
#include "mail/trace.h"
#include "regress/fuzz/fuzz.h"

static void
check_field(const char *field, size_t len, const char *name)
{
	struct header_field f;
	size_t pos = 0, line = 0;

	require(strlen(field) == len);
	if (len == 0)
		return;
	require(strncasecmp(field, name, strlen(name)) == 0);
	for (size_t i = 0; i < len; i++, line++) {
		unsigned char c = (unsigned char)field[i];

		if (c == '\r') {
			require(field[i + 1] == '\n');
			require(line <= 998);
			i++;
			line = (size_t)-1;
			require(i + 1 == len || field[i + 1] == ' ' ||
			    field[i + 1] == '\t');
		} else
			require((c >= ' ' || c == '\t') && c != 0x7f);
	}
	require(field[len - 1] == '\n');
	require(header_next(field, len, &pos, &f) == 1);
	require((size_t)f.end == len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[9][256], *out;
	struct input in = { data, size };
	struct trace_received r = { 0 };
	size_t room, len;

	r.flags = input_u8(&in) & 63;
	r.when.seconds = (int32_t)input_u32(&in);
	r.when.offset = (int8_t)input_u8(&in) * 7;
	room = input_u8(&in);
	room = room == 255 ? TRACE_FIELD_MAX : 1 + room * 4;
	for (size_t i = 0; i < 9; i++)
		input_text(&in, text[i], sizeof(text[i]));
	r.helo = text[0];
	r.client_name = text[1];
	r.client_addr = text[2];
	r.auth_user = text[3];
	r.local_user = text[4];
	r.by =
	    *text[5] != '\0' ? text[5] : "host.example"; /* is always there */
	r.tls = text[6];
	r.id = text[7];
	r.recipient = text[8];
	require((out = malloc(room)) != NULL);
	len = trace_received(out, room, &r);
	require(len > 0 || room < TRACE_FIELD_MAX);
	check_field(out, len, "Received: ");
	check_field(out, trace_return_path(out, room, text[0]), "Return-Path:");
	check_field(
	    out, trace_delivered_to(out, room, text[1]), "Delivered-To:");
	check_field(out, trace_date(out, room, &r.when), "Date: ");
	check_field(
	    out, trace_message_id(out, room, text[2], text[3]), "Message-ID:");
	free(out);
	return 0;
}
