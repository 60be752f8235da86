# The configuration, its codec, and table files.
noinst_PROGRAMS += regress/fuzz/fuzz_conf_parse
regress_fuzz_fuzz_conf_parse_SOURCES = regress/fuzz/fuzz_conf_parse.c
regress_fuzz_fuzz_conf_parse_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_conf_parse_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_conf_parse_LDADD = regress/fuzz/libfuzz.a \
	master/libparse.a libcommon.a $(BSD_LIBS)

noinst_PROGRAMS += regress/fuzz/fuzz_conf_codec
regress_fuzz_fuzz_conf_codec_SOURCES = regress/fuzz/fuzz_conf_codec.c
regress_fuzz_fuzz_conf_codec_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_conf_codec_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_conf_codec_LDADD = libcommon.a $(BSD_LIBS)

noinst_PROGRAMS += regress/fuzz/fuzz_tablefile
regress_fuzz_fuzz_tablefile_SOURCES = regress/fuzz/fuzz_tablefile.c
regress_fuzz_fuzz_tablefile_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_tablefile_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_tablefile_LDADD = libcommon.a $(BSD_LIBS)
