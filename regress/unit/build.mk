# One cmocka program for each pure module.
unit_cflags = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
unit_libs = libcommon.a $(CMOCKA_LIBS) $(EVENT_LIBS) $(SSL_LIBS) $(BSD_LIBS) \
	$(IDN2_LIBS)

# For the programs that run a worker that was built.
worker_fixture = regress/unit/worker_fixture.c regress/unit/worker_fixture.h

check_PROGRAMS += regress/unit/test_messages
TESTS += regress/unit/test_messages
regress_unit_test_messages_SOURCES = regress/unit/test_messages.c
regress_unit_test_messages_CFLAGS = $(unit_cflags)
regress_unit_test_messages_LDADD = $(unit_libs)

check_PROGRAMS += regress/unit/test_channel
TESTS += regress/unit/test_channel
regress_unit_test_channel_SOURCES = regress/unit/test_channel.c
regress_unit_test_channel_CFLAGS = $(unit_cflags)
regress_unit_test_channel_LDADD = $(unit_libs)

check_PROGRAMS += regress/unit/test_log
TESTS += regress/unit/test_log
regress_unit_test_log_SOURCES = regress/unit/test_log.c
regress_unit_test_log_CFLAGS = $(unit_cflags)
regress_unit_test_log_LDADD = $(unit_libs)

check_PROGRAMS += regress/unit/test_account
TESTS += regress/unit/test_account
regress_unit_test_account_SOURCES = regress/unit/test_account.c master/account.c
regress_unit_test_account_CFLAGS = $(unit_cflags)
regress_unit_test_account_LDADD = master/libparse.a $(unit_libs)

check_PROGRAMS += regress/unit/test_readfile
TESTS += regress/unit/test_readfile
regress_unit_test_readfile_SOURCES = regress/unit/test_readfile.c
regress_unit_test_readfile_CFLAGS = $(unit_cflags)
regress_unit_test_readfile_LDADD = master/libparse.a $(unit_libs)

check_PROGRAMS += regress/unit/test_passed
TESTS += regress/unit/test_passed
regress_unit_test_passed_SOURCES = regress/unit/test_passed.c
regress_unit_test_passed_CFLAGS = $(unit_cflags)
regress_unit_test_passed_LDFLAGS = -Wl,--wrap=setsockopt
regress_unit_test_passed_LDADD = $(unit_libs)

check_PROGRAMS += regress/unit/test_reserve
TESTS += regress/unit/test_reserve
regress_unit_test_reserve_SOURCES = regress/unit/test_reserve.c
regress_unit_test_reserve_CFLAGS = $(unit_cflags)
regress_unit_test_reserve_LDADD = $(unit_libs)

# Of relaisd, which is no library.
check_PROGRAMS += regress/unit/test_pairs
TESTS += regress/unit/test_pairs
regress_unit_test_pairs_SOURCES = regress/unit/test_pairs.c \
	master/backoff.c master/pairs.c
regress_unit_test_pairs_CFLAGS = $(unit_cflags)
regress_unit_test_pairs_LDADD = $(unit_libs)

include $(srcdir)/regress/unit/mail.mk
include $(srcdir)/regress/unit/scheduler.mk
include $(srcdir)/regress/unit/conf.mk
include $(srcdir)/regress/unit/auth.mk
include $(srcdir)/regress/unit/deliver.mk
include $(srcdir)/regress/unit/dns.mk
include $(srcdir)/regress/unit/smtp.mk
include $(srcdir)/regress/unit/net.mk
include $(srcdir)/regress/unit/session.mk
include $(srcdir)/regress/unit/store.mk
include $(srcdir)/regress/unit/local.mk
include $(srcdir)/regress/unit/control.mk
