noinst_PROGRAMS += regress/fuzz/fuzz_keys
regress_fuzz_fuzz_keys_SOURCES = regress/fuzz/fuzz_keys.c
regress_fuzz_fuzz_keys_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_keys_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_keys_LDADD = auth/libkeys.a libcommon.a $(SSL_LIBS)
