/*
 * Descriptors that come by a Unix socket: whoever passes one cannot make us
 * wait for its end, wherever he puts it.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/passed.h"

enum { LINGER = 20, SOON = 5 };

int __real_setsockopt(int, int, int, const void *, socklen_t);
int __wrap_setsockopt(int, int, int, const void *, socklen_t);

static int keeps; /* whoever passes them has them linger again at once */
static int sink; /* a listener that takes no connection and reads nothing */
static time_t began;

int
__wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	return keeps ? 0 : __real_setsockopt(fd, level, name, value, len);
}

static int
setup(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	sink = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(sink, (void *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(sink, 1), 0);
	began = time(NULL);
	return 0;
}

static int
teardown(void **state)
{
	assert_true(time(NULL) - began < SOON);
	return close(sink);
}

/* A connection with more to send than its other end takes. */
static int
lingering(void)
{
	const struct linger linger = { 1, LINGER };
	static const char octets[65536];
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(getsockname(sink, (void *)&sin, &len), 0);
	assert_int_equal(connect(fd, (void *)&sin, len), 0);
	while (send(fd, octets, sizeof(octets), MSG_DONTWAIT) > 0)
		continue;
	assert_int_equal(
	    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	return fd;
}

static void
pass(int sock, int fd, size_t len)
{
	union passed_control control = { 0 };
	struct iovec iov = { (char[]){ 'x' }, len };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = CMSG_SPACE(sizeof(int)) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	assert_int_equal(sendmsg(sock, &msg, 0), len);
	close(fd);
}

static void
beside_octets(void **state)
{
	int sv[2];
	char c;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	pass(sv[1], lingering(), 1);
	assert_int_equal(passed_recv(sv[0], &c, 1), 1);
	assert_int_equal(c, 'x');
	close(sv[0]);
	close(sv[1]);
}

static void
lingering_again(void **state)
{
	int fd = lingering();

	keeps = 1;
	passed_close(fd);
	keeps = 0;
}

static void
unread(void **state)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	pass(sv[1], lingering(), 1);
	passed_end(sv[0]);
	close(sv[1]);
}

static void
behind_empty_packets(void **state)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(send(sv[1], "", 0, 0), 0);
	pass(sv[1], lingering(), 0);
	passed_close(sv[0]);
	close(sv[1]);
}

static void
in_a_socket(void **state)
{
	int outer[2], inner[2];
	char c;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, outer), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, inner), 0);
	pass(inner[1], lingering(), 1);
	pass(outer[1], inner[0], 1);
	assert_int_equal(passed_recv(outer[0], &c, 1), 1);
	close(outer[0]);
	close(outer[1]);
	close(inner[1]);
}

static void
in_a_connection_that_waits(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(sun);
	int l = socket(AF_UNIX, SOCK_STREAM, 0);
	int c = socket(AF_UNIX, SOCK_STREAM, 0);

	/* the kernel gives it a name that is no file */
	assert_int_equal(bind(l, (void *)&sun, sizeof(sun.sun_family)), 0);
	assert_int_equal(getsockname(l, (void *)&sun, &len), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(connect(c, (void *)&sun, len), 0);
	pass(c, lingering(), 1);
	passed_close(l);
	close(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(beside_octets, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    lingering_again, setup, teardown),
		cmocka_unit_test_setup_teardown(unread, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    behind_empty_packets, setup, teardown),
		cmocka_unit_test_setup_teardown(in_a_socket, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    in_a_connection_that_waits, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
