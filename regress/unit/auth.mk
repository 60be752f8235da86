# The unit tests of auth/, each linked with libauth.a.
auth_test_ldadd = auth/libauth.a libcommon.a $(CMOCKA_LIBS) $(GSASL_LIBS) \
	$(CRYPT_LIBS) $(SSL_LIBS) $(BSD_LIBS)

check_PROGRAMS += regress/unit/test_history
TESTS += regress/unit/test_history
regress_unit_test_history_SOURCES = regress/unit/test_history.c
regress_unit_test_history_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
regress_unit_test_history_LDADD = $(auth_test_ldadd)
