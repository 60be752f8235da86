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

check_PROGRAMS += regress/unit/test_session_reach
TESTS += regress/unit/test_session_reach
regress_unit_test_session_reach_SOURCES = regress/unit/test_session_reach.c \
	regress/unit/session_player.c regress/unit/session_player.h
regress_unit_test_session_reach_CFLAGS = $(unit_cflags)
regress_unit_test_session_reach_LDADD = $(session_test_ldadd)

# Runs the worker that was built.
check_PROGRAMS += regress/unit/test_smtpd_worker
TESTS += regress/unit/test_smtpd_worker
regress_unit_test_smtpd_worker_SOURCES = regress/unit/test_smtpd_worker.c \
	regress/unit/blocking_client.c regress/unit/blocking_client.h \
	$(net_fixture) $(worker_fixture)
regress_unit_test_smtpd_worker_CFLAGS = $(unit_cflags)
regress_unit_test_smtpd_worker_LDADD = $(net_test_ldadd)

check_PROGRAMS += regress/unit/test_limits
TESTS += regress/unit/test_limits
regress_unit_test_limits_SOURCES = regress/unit/test_limits.c
regress_unit_test_limits_CFLAGS = $(unit_cflags)
regress_unit_test_limits_LDADD = $(session_test_ldadd)

check_PROGRAMS += regress/unit/test_rdns
TESTS += regress/unit/test_rdns
regress_unit_test_rdns_SOURCES = regress/unit/test_rdns.c
regress_unit_test_rdns_CFLAGS = $(unit_cflags)
regress_unit_test_rdns_LDADD = $(session_test_ldadd)
