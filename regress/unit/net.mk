# The unit tests of common/net and of the keys process.
net_test_ldadd = auth/libkeys.a $(unit_libs)
net_fixture = regress/unit/net_fixture.c regress/unit/net_fixture.h
tls_fixture = regress/unit/tls_fixture.c regress/unit/tls_fixture.h

check_PROGRAMS += regress/unit/test_buffer
TESTS += regress/unit/test_buffer
regress_unit_test_buffer_SOURCES = regress/unit/test_buffer.c
regress_unit_test_buffer_CFLAGS = $(unit_cflags)
regress_unit_test_buffer_LDADD = $(unit_libs)

check_PROGRAMS += regress/unit/test_pem
TESTS += regress/unit/test_pem
regress_unit_test_pem_SOURCES = regress/unit/test_pem.c
regress_unit_test_pem_CFLAGS = $(unit_cflags)
regress_unit_test_pem_LDADD = $(unit_libs)

check_PROGRAMS += regress/unit/test_stream
TESTS += regress/unit/test_stream
regress_unit_test_stream_SOURCES = regress/unit/test_stream.c \
	$(net_fixture)
regress_unit_test_stream_CFLAGS = $(unit_cflags)
regress_unit_test_stream_LDADD = $(net_test_ldadd)

check_PROGRAMS += regress/unit/test_tls
TESTS += regress/unit/test_tls
regress_unit_test_tls_SOURCES = regress/unit/test_tls.c \
	$(net_fixture) $(tls_fixture)
regress_unit_test_tls_CFLAGS = $(unit_cflags)
regress_unit_test_tls_LDADD = $(net_test_ldadd)

check_PROGRAMS += regress/unit/test_tls_options
TESTS += regress/unit/test_tls_options
regress_unit_test_tls_options_SOURCES = regress/unit/test_tls_options.c \
	$(net_fixture) $(tls_fixture)
regress_unit_test_tls_options_CFLAGS = $(unit_cflags)
regress_unit_test_tls_options_LDADD = $(net_test_ldadd)

check_PROGRAMS += regress/unit/test_key_client
TESTS += regress/unit/test_key_client
regress_unit_test_key_client_SOURCES = regress/unit/test_key_client.c \
	$(net_fixture) $(tls_fixture)
regress_unit_test_key_client_CFLAGS = $(unit_cflags)
regress_unit_test_key_client_LDADD = $(net_test_ldadd)

check_PROGRAMS += regress/unit/test_keys
TESTS += regress/unit/test_keys
regress_unit_test_keys_SOURCES = regress/unit/test_keys.c $(net_fixture)
regress_unit_test_keys_CFLAGS = $(unit_cflags)
regress_unit_test_keys_LDADD = $(net_test_ldadd)

check_PROGRAMS += regress/unit/test_expiry
TESTS += regress/unit/test_expiry
regress_unit_test_expiry_SOURCES = regress/unit/test_expiry.c
regress_unit_test_expiry_CFLAGS = $(unit_cflags)
regress_unit_test_expiry_LDADD = $(net_test_ldadd)

check_PROGRAMS += regress/unit/test_keys_process
TESTS += regress/unit/test_keys_process
regress_unit_test_keys_process_SOURCES = \
	regress/unit/test_keys_process.c $(net_fixture) $(worker_fixture)
regress_unit_test_keys_process_CFLAGS = $(unit_cflags)
regress_unit_test_keys_process_LDADD = $(net_test_ldadd)
