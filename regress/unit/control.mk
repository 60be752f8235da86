# smtpctl and the queue's side of its socket.
check_PROGRAMS += regress/unit/test_control_words
TESTS += regress/unit/test_control_words
regress_unit_test_control_words_SOURCES = regress/unit/test_control_words.c
regress_unit_test_control_words_CFLAGS = $(unit_cflags)
regress_unit_test_control_words_LDADD = queue/libqueue.a $(unit_libs)

check_PROGRAMS += regress/unit/test_sendmail
TESTS += regress/unit/test_sendmail
regress_unit_test_sendmail_SOURCES = regress/unit/test_sendmail.c
regress_unit_test_sendmail_CFLAGS = $(unit_cflags)
regress_unit_test_sendmail_LDADD = smtpctl/libsmtpctl.a $(JANSSON_LIBS) \
	$(unit_libs)

# What auth has kept over a restart.
check_PROGRAMS += regress/unit/test_known
TESTS += regress/unit/test_known
regress_unit_test_known_SOURCES = regress/unit/test_known.c
regress_unit_test_known_CFLAGS = $(unit_cflags)
regress_unit_test_known_LDADD = queue/libqueue.a libcommon.a $(DEFLATE_LIBS) \
	$(unit_libs)
