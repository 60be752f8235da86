# The unit tests of deliver/, each linked with libdeliver.a.
deliver_test_ldadd = deliver/libdeliver.a libcommon.a $(CMOCKA_LIBS) \
	$(SSL_LIBS) $(BSD_LIBS)

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
