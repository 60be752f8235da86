/*
 * The codec of messages.tbl: what goes in comes out, and no prefix, extension
 * or damage of an encoding is taken for a message.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/messages.h"

static void
fill_submit(struct ipc_buf *list, struct msg_submit *m)
{
	struct msg_rcpt_spec r = { .address = "a@example.org",
		.orcpt = "rfc822;a@example.org",
		.notify = NOTIFY_FAILURE,
		.action = "relay" };

	ipc_add_rcpt_spec(list, &r);
	r.address = "b@example.org";
	ipc_add_rcpt_spec(list, &r);
	*m = (struct msg_submit){ .id = 1ull << 40,
		.msgid = 7,
		.session = 9,
		.sender = "",
		.envid = "E",
		.flags = MAIL_8BIT,
		.client_addr = "192.0.2.1",
		.size = 5,
		.body = ipc_blob("a\0b\r\n", 5),
		.rcpts = ipc_buf_list(list) };
}

static void
round_trip(void **state)
{
	struct ipc_buf list = { 0 }, buf = { 0 };
	struct msg_rcpt_spec r;
	struct msg_submit m;
	union ipc_msg out;

	fill_submit(&list, &m);
	assert_int_equal(msg_encode(MSG_submit, &m, &buf), 0);
	assert_int_equal(msg_decode(MSG_submit, buf.data, buf.len, &out), 0);
	assert_int_equal(out.submit.id, 1ull << 40);
	assert_string_equal(out.submit.sender, "");
	assert_string_equal(out.submit.client_addr, "192.0.2.1");
	assert_string_equal(out.submit.helo, "");
	assert_int_equal(out.submit.body.len, 5);
	assert_memory_equal(out.submit.body.data, "a\0b\r\n", 5);
	assert_int_equal(out.submit.rcpts.count, 2);
	assert_int_equal(ipc_next_rcpt_spec(&out.submit.rcpts, &r), 1);
	assert_string_equal(r.address, "a@example.org");
	assert_int_equal(ipc_next_rcpt_spec(&out.submit.rcpts, &r), 1);
	assert_string_equal(r.address, "b@example.org");
	assert_int_equal(r.notify, NOTIFY_FAILURE);
	assert_int_equal(ipc_next_rcpt_spec(&out.submit.rcpts, &r), 0);
	ipc_buf_free(&list);
	ipc_buf_free(&buf);
}

static void
truncated_or_longer(void **state)
{
	struct ipc_buf list = { 0 }, buf = { 0 };
	struct msg_submit m;
	union ipc_msg out;
	uint8_t *copy;

	fill_submit(&list, &m);
	assert_int_equal(msg_encode(MSG_submit, &m, &buf), 0);
	for (size_t len = 0; len < buf.len; len++) {
		/* an exact allocation lets ASan see a read past the end */
		copy = malloc(len ? len : 1);
		memcpy(copy, buf.data, len);
		assert_int_equal(msg_decode(MSG_submit, copy, len, &out), -1);
		free(copy);
	}
	ipc_buf_put(&buf, "x", 1);
	assert_int_equal(msg_decode(MSG_submit, buf.data, buf.len, &out), -1);
	ipc_buf_free(&list);
	ipc_buf_free(&buf);
}

static void
damaged_strings(void **state)
{
	static const struct {
		const char *octets;
		size_t len;
		int result;
	} rows[] = {
		{ "\0\0\0\0\0\0\0\1\0\0\0\3com\0\0", 17, 0 },
		/* no terminator where it belongs */
		{ "\0\0\0\0\0\0\0\1\0\0\0\3comx\0", 17, -1 },
		/* a NUL inside */
		{ "\0\0\0\0\0\0\0\1\0\0\0\3c\0m\0\0", 17, -1 },
		/* a length that wraps or lies */
		{ "\0\0\0\0\0\0\0\1\xff\xff\xff\xff"
		  "com\0\0",
		    17, -1 },
		{ "\0\0\0\0\0\0\0\1\0\0\0\4com\0\0", 17, -1 },
	};
	union ipc_msg out;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
		    msg_decode(MSG_etrn, (const uint8_t *)rows[i].octets,
			rows[i].len, &out),
		    rows[i].result);
}

static void
list_that_lies(void **state)
{
	struct ipc_buf buf = { 0 }, list = { 0 };
	struct msg_forward_dest d = { .address = "a@b" };
	struct msg_local_done m = { .id = 1 };
	union ipc_msg out;

	ipc_add_forward_dest(&list, &d);
	m.forward = ipc_buf_list(&list);
	m.forward.count = 2;
	assert_int_equal(msg_encode(MSG_local_done, &m, &buf), 0);
	assert_int_equal(
	    msg_decode(MSG_local_done, buf.data, buf.len, &out), -1);
	ipc_buf_reset(&buf);
	m.forward.count = 0;
	assert_int_equal(msg_encode(MSG_local_done, &m, &buf), 0);
	assert_int_equal(
	    msg_decode(MSG_local_done, buf.data, buf.len, &out), -1);
	ipc_buf_free(&list);
	ipc_buf_free(&buf);
}

static void
over_the_limit(void **state)
{
	struct msg_etrn m = { .id = 1 };
	struct ipc_buf buf = { 0 };
	char name[300];

	memset(name, 'a', sizeof(name));
	name[256] = '\0';
	m.domain = name;
	assert_int_equal(msg_encode(MSG_etrn, &m, &buf), -1);
	assert_int_equal(buf.len, 0);
	name[255] = '\0';
	assert_int_equal(msg_encode(MSG_etrn, &m, &buf), 0);
	ipc_buf_free(&buf);
}

/* The largest submit that a session may make fits. */
static void
largest_submit(void **state)
{
	struct msg_rcpt_spec r = { .address = "a", .orcpt = "", .action = "" };
	struct ipc_buf list = { .limit = SUBMIT_RCPTS_OCTETS }, buf = { 0 };
	char *rcpts = calloc(1, SUBMIT_RCPTS_OCTETS), *text = malloc(1025);
	struct msg_submit m = { .body_sent = 0 };

	assert_non_null(rcpts);
	assert_non_null(text);
	memset(text, 'x', 1024);
	text[1024] = '\0';
	m.sender = text;
	m.envid = text + 1024 - 400;
	m.client_addr = m.tag = text + 1024 - 64;
	m.client_name = m.helo = m.auth_user = text + 1024 - 255;
	m.body = ipc_blob(rcpts, BODY_INLINE);
	m.rcpts = (struct ipc_list){ (uint8_t *)rcpts, SUBMIT_RCPTS_OCTETS,
		SUBMIT_RCPTS_MAX };
	assert_int_equal(msg_encode(MSG_submit, &m, &buf), 0);
	ipc_buf_reset(&buf);
	m.rcpts.count++;
	assert_int_equal(msg_encode(MSG_submit, &m, &buf), -1);
	/* and a list grows to its limit and no further */
	while (!list.failed)
		ipc_add_rcpt_spec(&list, &r);
	assert_false(list.no_memory);
	assert_true(list.len <= SUBMIT_RCPTS_OCTETS);
	ipc_buf_free(&list);
	ipc_buf_free(&buf);
	free(rcpts);
	free(text);
}

static void
edges(void **state)
{
	assert_true(msg_may_travel(MSG_submit, PROC_SMTPD, PROC_QUEUE));
	assert_false(msg_may_travel(MSG_submit, PROC_QUEUE, PROC_SMTPD));
	assert_false(msg_may_travel(MSG_submit, PROC_DELIVER, PROC_QUEUE));
	assert_false(msg_may_travel(MSG_key_sign, PROC_QUEUE, PROC_KEYS));
	assert_false(msg_may_travel(MSG_NONE, PROC_SMTPD, PROC_QUEUE));
	assert_false(msg_may_travel(MSG_MAX, PROC_SMTPD, PROC_QUEUE));
	for (int type = 0; type < MSG_MAX; type++)
		for (int to = 0; to < PROC_MAX; to++)
			if (to != PROC_QUEUE || type != MSG_ctl_request)
				assert_false(msg_may_travel((enum msg_type)type,
				    PROC_CONTROL, (enum process_kind)to));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(truncated_or_longer),
		cmocka_unit_test(damaged_strings),
		cmocka_unit_test(list_that_lies),
		cmocka_unit_test(over_the_limit),
		cmocka_unit_test(largest_submit),
		cmocka_unit_test(edges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
