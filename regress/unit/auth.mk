# The unit tests of auth/, each linked with libauth.a.
auth_test_ldadd = auth/libauth.a $(unit_libs) $(GSASL_LIBS) $(CRYPT_LIBS)

check_PROGRAMS += regress/unit/test_history
TESTS += regress/unit/test_history
regress_unit_test_history_SOURCES = regress/unit/test_history.c
regress_unit_test_history_CFLAGS = $(unit_cflags)
regress_unit_test_history_LDADD = $(auth_test_ldadd)

check_PROGRAMS += regress/unit/test_policy
TESTS += regress/unit/test_policy
regress_unit_test_policy_SOURCES = regress/unit/test_policy.c
regress_unit_test_policy_CFLAGS = $(unit_cflags)
regress_unit_test_policy_LDADD = $(auth_test_ldadd)

check_PROGRAMS += regress/unit/test_policy_route
TESTS += regress/unit/test_policy_route
regress_unit_test_policy_route_SOURCES = regress/unit/test_policy_route.c
regress_unit_test_policy_route_CFLAGS = $(unit_cflags)
regress_unit_test_policy_route_LDADD = $(auth_test_ldadd)

check_PROGRAMS += regress/unit/test_closed
TESTS += regress/unit/test_closed
regress_unit_test_closed_SOURCES = regress/unit/test_closed.c
regress_unit_test_closed_CFLAGS = $(unit_cflags)
regress_unit_test_closed_LDADD = $(unit_libs)

check_PROGRAMS += regress/unit/test_wide
TESTS += regress/unit/test_wide
regress_unit_test_wide_SOURCES = regress/unit/test_wide.c
regress_unit_test_wide_CFLAGS = $(unit_cflags)
regress_unit_test_wide_LDADD = $(unit_libs)

check_PROGRAMS += regress/unit/test_tables
TESTS += regress/unit/test_tables
regress_unit_test_tables_SOURCES = regress/unit/test_tables.c
regress_unit_test_tables_CFLAGS = $(unit_cflags)
regress_unit_test_tables_LDADD = $(auth_test_ldadd)

check_PROGRAMS += regress/unit/test_expand
TESTS += regress/unit/test_expand
regress_unit_test_expand_SOURCES = regress/unit/test_expand.c \
	regress/unit/expand_scene.c regress/unit/expand_scene.h
regress_unit_test_expand_CFLAGS = $(unit_cflags)
regress_unit_test_expand_LDADD = $(auth_test_ldadd)

check_PROGRAMS += regress/unit/test_sasl
TESTS += regress/unit/test_sasl
regress_unit_test_sasl_SOURCES = regress/unit/test_sasl.c
regress_unit_test_sasl_CFLAGS = $(unit_cflags) $(GSASL_CFLAGS)
regress_unit_test_sasl_LDADD = $(auth_test_ldadd)

check_PROGRAMS += regress/unit/test_callahead
TESTS += regress/unit/test_callahead
regress_unit_test_callahead_SOURCES = regress/unit/test_callahead.c
regress_unit_test_callahead_CFLAGS = $(unit_cflags)
regress_unit_test_callahead_LDADD = $(auth_test_ldadd)

# Runs the worker that was built.
check_PROGRAMS += regress/unit/test_auth_worker
TESTS += regress/unit/test_auth_worker
regress_unit_test_auth_worker_SOURCES = regress/unit/test_auth_worker.c \
	$(worker_fixture)
regress_unit_test_auth_worker_CFLAGS = $(unit_cflags)
regress_unit_test_auth_worker_LDADD = $(auth_test_ldadd)
