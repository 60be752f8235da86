# The unit tests of smtpd/'s pure parts, each linked with libsession.a.
session_test_ldadd = smtpd/libsession.a $(unit_libs)

check_PROGRAMS += regress/unit/test_session
TESTS += regress/unit/test_session
regress_unit_test_session_SOURCES = regress/unit/test_session.c \
	regress/unit/session_player.c regress/unit/session_player.h
regress_unit_test_session_CFLAGS = $(unit_cflags)
regress_unit_test_session_LDADD = $(session_test_ldadd)

check_PROGRAMS += regress/unit/test_session_body
TESTS += regress/unit/test_session_body
regress_unit_test_session_body_SOURCES = regress/unit/test_session_body.c \
	regress/unit/session_player.c regress/unit/session_player.h
regress_unit_test_session_body_CFLAGS = $(unit_cflags)
regress_unit_test_session_body_LDADD = $(session_test_ldadd)

check_PROGRAMS += regress/unit/test_session_auth
TESTS += regress/unit/test_session_auth
regress_unit_test_session_auth_SOURCES = regress/unit/test_session_auth.c \
	regress/unit/session_player.c regress/unit/session_player.h
regress_unit_test_session_auth_CFLAGS = $(unit_cflags)
regress_unit_test_session_auth_LDADD = $(session_test_ldadd)
