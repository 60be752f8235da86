
noinst_PROGRAMS += regress/fuzz/fuzz_envelope
regress_fuzz_fuzz_envelope_SOURCES = regress/fuzz/fuzz_envelope.c
regress_fuzz_fuzz_envelope_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_envelope_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_envelope_LDADD = regress/fuzz/libfuzz.a \
	$(queue_libs)

noinst_PROGRAMS += regress/fuzz/fuzz_import
regress_fuzz_fuzz_import_SOURCES = regress/fuzz/fuzz_import.c \
	$(store_fixture)
regress_fuzz_fuzz_import_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_import_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_import_LDADD = regress/fuzz/libfuzz.a $(queue_libs)
