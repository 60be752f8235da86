# The unit tests of common/net and of the keys process.
net_test_ldadd = auth/libkeys.a $(unit_libs)

check_PROGRAMS += regress/unit/test_buffer
TESTS += regress/unit/test_buffer
regress_unit_test_buffer_SOURCES = regress/unit/test_buffer.c
regress_unit_test_buffer_CFLAGS = $(unit_cflags)
regress_unit_test_buffer_LDADD = $(unit_libs)

check_PROGRAMS += regress/unit/test_stream
TESTS += regress/unit/test_stream
regress_unit_test_stream_SOURCES = regress/unit/test_stream.c \
	regress/unit/net_fixture.c regress/unit/net_fixture.h
regress_unit_test_stream_CFLAGS = $(unit_cflags)
regress_unit_test_stream_LDADD = $(net_test_ldadd)
