# The unit tests of deliver/, each linked with libdeliver.a.
deliver_test_ldadd = deliver/libdeliver.a libcommon.a $(CMOCKA_LIBS) \
	$(SSL_LIBS) $(IDN2_LIBS) $(BSD_LIBS)

check_PROGRAMS += regress/unit/test_mx
TESTS += regress/unit/test_mx
regress_unit_test_mx_SOURCES = regress/unit/test_mx.c
regress_unit_test_mx_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
regress_unit_test_mx_LDADD = $(deliver_test_ldadd)

check_PROGRAMS += regress/unit/test_base64
TESTS += regress/unit/test_base64
regress_unit_test_base64_SOURCES = regress/unit/test_base64.c
regress_unit_test_base64_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
regress_unit_test_base64_LDADD = $(deliver_test_ldadd)

check_PROGRAMS += regress/unit/test_client
TESTS += regress/unit/test_client
regress_unit_test_client_SOURCES = regress/unit/test_client.c \
	regress/unit/client_script.c regress/unit/client_script.h
regress_unit_test_client_CPPFLAGS = $(AM_CPPFLAGS) \
	-I$(top_srcdir)/regress/unit
regress_unit_test_client_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
regress_unit_test_client_LDADD = $(deliver_test_ldadd)

check_PROGRAMS += regress/unit/test_client_mail
TESTS += regress/unit/test_client_mail
regress_unit_test_client_mail_SOURCES = regress/unit/test_client_mail.c \
	regress/unit/client_script.c regress/unit/client_script.h
regress_unit_test_client_mail_CPPFLAGS = $(AM_CPPFLAGS) \
	-I$(top_srcdir)/regress/unit
regress_unit_test_client_mail_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
regress_unit_test_client_mail_LDADD = $(deliver_test_ldadd)

check_PROGRAMS += regress/unit/test_route
TESTS += regress/unit/test_route
regress_unit_test_route_SOURCES = regress/unit/test_route.c
regress_unit_test_route_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
regress_unit_test_route_LDADD = $(deliver_test_ldadd)

# Runs the worker itself, which must have been built.
check_PROGRAMS += regress/unit/test_deliver
TESTS += regress/unit/test_deliver
regress_unit_test_deliver_SOURCES = regress/unit/test_deliver.c \
	regress/unit/deliver_fixture.c regress/unit/deliver_fixture.h \
	$(net_fixture) $(worker_fixture)
regress_unit_test_deliver_CPPFLAGS = $(AM_CPPFLAGS) \
	-I$(top_srcdir)/regress/unit
regress_unit_test_deliver_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
regress_unit_test_deliver_LDADD = auth/libkeys.a $(DEFLATE_LIBS) $(unit_libs)
