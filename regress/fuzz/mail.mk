# The header scanner and the delivery reports of common/mail.
noinst_PROGRAMS += regress/fuzz/fuzz_header
regress_fuzz_fuzz_header_SOURCES = regress/fuzz/fuzz_header.c
regress_fuzz_fuzz_header_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_header_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_header_LDADD = libcommon.a $(IDN2_LIBS)
noinst_PROGRAMS += regress/fuzz/fuzz_dsn
regress_fuzz_fuzz_dsn_SOURCES = regress/fuzz/fuzz_dsn.c
regress_fuzz_fuzz_dsn_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_dsn_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_dsn_LDADD = libcommon.a $(IDN2_LIBS)
