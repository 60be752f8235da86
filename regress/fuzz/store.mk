
noinst_PROGRAMS += regress/fuzz/fuzz_envelope
regress_fuzz_fuzz_envelope_SOURCES = regress/fuzz/fuzz_envelope.c
regress_fuzz_fuzz_envelope_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_envelope_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_envelope_LDADD = regress/fuzz/libfuzz.a \
	$(queue_libs)
