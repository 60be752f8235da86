/*
 * The client session against any order of events. The input is a byte of
 * configuration, then events: an octet that says which, an octet of length,
 * that many octets. Checked: what goes out is lines that end with CRLF, no
 * recipient is delivered before the whole body was given, each transaction
 * ends with one result a recipient, and nothing happens after the end.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "deliver/client.h"
#include "regress/fuzz/fuzz.h"

enum { RCPTS = 5, NOW_STEP = 1000 };

struct harness {
	struct client *client;
	int64_t now;
	int closed, idle, body_wanted, body_ended, results_due, binary, probe;
	char last; /* octet written last */
};

static void
check_output(struct harness *h, const char *data, size_t len)
{
	require(len > 0);
	for (size_t i = 0; i < len; i++) {
		if (!h->binary) {
			require(data[i] != '\n' || h->last == '\r');
			require(data[i] == '\n' || h->last != '\r');
		}
		h->last = data[i];
	}
}

static void
check_results(struct harness *h)
{
	const struct client_result *r;

	require(h->results_due);
	h->results_due = 0;
	for (size_t i = 0; i < RCPTS; i++) {
		r = client_result(h->client, i);
		require(r->text != NULL);
		require(r->code / 100 == r->enhanced[0] - '0');
		require((r->status == DELIVERY_OK) == (r->enhanced[0] == '2'));
		require((r->status == DELIVERY_PERMFAIL) ==
		    (r->enhanced[0] == '5'));
		if (r->status == DELIVERY_OK)
			require(h->probe || h->body_ended);
		for (const char *s = r->text; *s != '\0'; s++)
			require(*s >= ' ' && *s <= '~');
	}
}

static void
take_actions(struct harness *h)
{
	struct client_action a;

	while (client_next(h->client, &a)) {
		require(!h->closed);
		switch (a.what) {
		case CLIENT_DO_WRITE:
			check_output(h, a.data, a.len);
			break;
		case CLIENT_DO_BODY_BEGIN:
		case CLIENT_DO_BODY_MORE:
			h->body_wanted = 1;
			break;
		case CLIENT_DO_RESULTS:
			check_results(h);
			break;
		case CLIENT_DO_IDLE:
			require(!h->results_due);
			h->idle = 1;
			break;
		case CLIENT_DO_CLOSE:
			require(!h->results_due);
			require(
			    client_outcome(h->client)->end != CLIENT_END_NONE);
			require(client_deadline(h->client) == 0);
			h->closed = 1;
			break;
		default:
			break;
		}
	}
}

static void
begin_mail(struct harness *h, uint8_t flags)
{
	static const struct client_rcpt rcpts[RCPTS] = {
		{ "c@d.test", "", 0 },
		{ "\xc3\xa4@d.test", "utf-8;\xc3\xa4@d.test", NOTIFY_SUCCESS },
		{ "\"a b\"@d.test", "rfc822;a+b@d.test", NOTIFY_NEVER },
		{ "e@[192.0.2.1]", "", 0 },
		{ "bad", "", 0 },
	};
	static struct client_mail mail;

	if (!client_is_idle(h->client))
		return;
	mail = (struct client_mail){ .sender = flags & 1 ? "" : "a@b.test",
		.envid = "id=1",
		.ret = RET_HDRS,
		.size = 1u << (flags >> 5),
		.probe = (flags >> 4) & 1,
		.rcpts = rcpts,
		.rcpts_count = RCPTS };
	mail.flags = (flags & 2 ? MAIL_8BIT : 0) | (flags & 4 ? MAIL_UTF8 : 0) |
	    (flags & 8 ? MAIL_BINARY : 0);
	h->binary |= (flags & 8) != 0;
	h->probe = mail.probe;
	h->body_ended = h->idle = 0;
	h->results_due = 1;
	client_transaction(h->client, &mail, h->now);
}

static void
play_event(struct harness *h, uint8_t what, const uint8_t *data, size_t len)
{
	struct client *c = h->client;
	uint8_t first = len > 0 ? data[0] : 0;

	switch (what % 12) {
	case 0:
		client_connected(c, h->now);
		break;
	case 1:
	case 2:
		client_octets(c, (const char *)data, len, h->now);
		break;
	case 3:
		client_octets(c, (const char *)data, len, h->now);
		client_octets(c, "\r\n", 2, h->now);
		break;
	case 4:
		client_tls_established(c, first & 1, h->now);
		break;
	case 5:
		client_sasl(c, (enum sasl_status)(first % SASL_STATUS_MAX),
		    first & 16 ? "PLAIN" : "SCRAM-SHA-256", data, len, h->now);
		break;
	case 6:
		if (!h->body_wanted || (len == 0 && (what & 64) == 0))
			break;
		h->body_wanted = 0;
		h->body_ended |= (what & 64) != 0;
		client_body(
		    c, (const char *)data, len, (what & 64) != 0, h->now);
		break;
	case 7:
	case 8:
		begin_mail(h, first);
		break;
	case 9:
		if (client_deadline(c) != 0 && (first & 1))
			client_timeout(c);
		break;
	case 10:
		if (first == 0)
			client_eof(c);
		else if (first == 1)
			client_tls_failed(c, "x");
		else if (first == 2)
			client_abort(c, "x");
		else if (first == 3)
			client_body_failed(c, "x");
		break;
	case 11:
		client_quit(c, h->now);
		break;
	}
	take_actions(h);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct client_config config = { .helo = "us.test" };
	struct harness h = { .now = 1 };
	size_t len;

	if (size == 0)
		return 0;
	config.lmtp = data[0] & 1;
	config.implicit_tls = (data[0] >> 1) & 1;
	config.tls = (enum client_tls)((data[0] >> 2) & 3);
	config.authenticate = (data[0] >> 4) & 1;
	config.clear_password = (data[0] >> 5) & 1;
	config.own_name = data[0] & 64 ? "us.test" : NULL;
	if ((h.client = client_new(&config, h.now)) == NULL)
		return 0;
	client_trace(h.client, 1);
	for (data++, size--; size >= 2; data += len, size -= len) {
		uint8_t what = data[0];

		len = data[1];
		data += 2;
		size -= 2;
		if (len > size)
			len = size;
		h.now += NOW_STEP;
		play_event(&h, what, data, len);
	}
	client_abort(h.client, "over");
	take_actions(&h);
	require(h.closed && !h.results_due);
	client_free(h.client);
	return 0;
}

/* ---- mutations by whole replies ---------------------------------------- */

static const char *const replies[] = { "220 mx.test ESMTP\r\n",
	"250 mx.test\r\n",
	"250-mx.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 CHUNKING\r\n",
	"250-BINARYMIME\r\n250-DSN\r\n250-SIZE 1000\r\n250 SMTPUTF8\r\n",
	"250-mx.test\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n",
	"250-mx.test\r\n250-SIZE\r\n250-AUTH\r\n250 AUTH=SCRAM-SHA-256\r\n",
	"220 2.0.0 go\r\n", "235 2.7.0 in\r\n", "334 \r\n", "334 VXNlcg==\r\n",
	"354 go on\r\n", "250 2.1.0 ok\r\n", "250 2.1.5 ok\r\n",
	"251 2.1.5 elsewhere\r\n", "421 4.3.2 bye\r\n", "450 4.2.0 later\r\n",
	"452 4.5.3 too many\r\n", "454 4.7.0 no TLS\r\n", "501 5.5.4 no\r\n",
	"503 5.5.1 bad order\r\n", "535 5.7.8 no\r\n", "550 5.1.1 nobody\r\n",
	"552 5.3.4 too big\r\n", "554-5.7.1 one\r\n554 5.7.1 two\r\n",
	"555 no\r\n", "250-", "999 \r\n", "2\r\n", "250\n", "\r\n" };

static size_t
change_event(
    struct dice *d, uint8_t *piece, size_t len, size_t room, unsigned index)
{
	const char *reply =
	    replies[dice_roll(d, sizeof(replies) / sizeof(*replies))];
	size_t n = strlen(reply), most = room < 2 + 255 ? room : 2 + 255;

	if (len < 2)
		return len;
	switch (dice_roll(d, 4)) {
	case 0:
		piece[0] = (uint8_t)dice_roll(d, 256);
		return len;
	case 1: /* one more behind what it says */
		if (len + n > most)
			return len;
		piece[0] = 1;
		memcpy(piece + len, reply, n);
		len += n;
		break;
	case 2: /* another */
		if (2 + n > most)
			return len;
		piece[0] = 1;
		memcpy(piece + 2, reply, n);
		len = 2 + n;
		break;
	default:
		len = 2 + fuzz_octets(piece + 2, len - 2, most - 2);
	}
	piece[1] = (uint8_t)(len - 2);
	return len;
}

static const struct fuzz_shape events = { 1, fuzz_event_length, change_event };

FUZZ_SHAPED(events)
