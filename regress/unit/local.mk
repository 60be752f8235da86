check_PROGRAMS += regress/unit/test_format
TESTS += regress/unit/test_format
regress_unit_test_format_SOURCES = regress/unit/test_format.c
regress_unit_test_format_CFLAGS = $(unit_cflags)
regress_unit_test_format_LDADD = $(unit_libs)
