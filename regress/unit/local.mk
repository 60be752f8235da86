check_PROGRAMS += regress/unit/test_format
TESTS += regress/unit/test_format
regress_unit_test_format_SOURCES = regress/unit/test_format.c
regress_unit_test_format_CFLAGS = $(unit_cflags)
regress_unit_test_format_LDADD = $(unit_libs)
check_PROGRAMS += regress/unit/test_maildir
TESTS += regress/unit/test_maildir
regress_unit_test_maildir_SOURCES = regress/unit/test_maildir.c \
	deliver/local_copy.c \
	deliver/local_maildir.c \
	deliver/local_mbox.c \
	deliver/local_outcome.c
regress_unit_test_maildir_CFLAGS = $(unit_cflags)
regress_unit_test_maildir_LDADD = $(unit_libs) $(SECCOMP_LIBS)
