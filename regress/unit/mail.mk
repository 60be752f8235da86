# The unit tests of common/mail.
check_PROGRAMS += regress/unit/test_header
TESTS += regress/unit/test_header
regress_unit_test_header_SOURCES = regress/unit/test_header.c
regress_unit_test_header_CFLAGS = $(unit_cflags)
regress_unit_test_header_LDADD = $(unit_libs)

check_PROGRAMS += regress/unit/test_trace
TESTS += regress/unit/test_trace
regress_unit_test_trace_SOURCES = regress/unit/test_trace.c
regress_unit_test_trace_CFLAGS = $(unit_cflags)
regress_unit_test_trace_LDADD = $(unit_libs)

check_PROGRAMS += regress/unit/test_dsn
TESTS += regress/unit/test_dsn
regress_unit_test_dsn_SOURCES = regress/unit/test_dsn.c
regress_unit_test_dsn_CFLAGS = $(unit_cflags)
regress_unit_test_dsn_LDADD = $(unit_libs)

# Another reader of the reports that test_dsn writes.
dist_check_SCRIPTS += regress/unit/test_dsn_email.py
TESTS += regress/unit/test_dsn_email.py
