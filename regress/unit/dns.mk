check_PROGRAMS += regress/unit/test_dns_packet
TESTS += regress/unit/test_dns_packet
regress_unit_test_dns_packet_SOURCES = regress/unit/test_dns_packet.c \
	auth/dns_packet.c
regress_unit_test_dns_packet_CFLAGS = $(unit_cflags)
regress_unit_test_dns_packet_LDADD = $(unit_libs)

check_PROGRAMS += regress/unit/test_turns
TESTS += regress/unit/test_turns
regress_unit_test_turns_SOURCES = regress/unit/test_turns.c auth/turns.c
regress_unit_test_turns_CFLAGS = $(unit_cflags)
regress_unit_test_turns_LDADD = $(unit_libs)

# Runs the worker that was built.
check_PROGRAMS += regress/unit/test_resolver_process
TESTS += regress/unit/test_resolver_process
regress_unit_test_resolver_process_SOURCES = \
	regress/unit/test_resolver_process.c $(worker_fixture)
regress_unit_test_resolver_process_CFLAGS = $(unit_cflags)
regress_unit_test_resolver_process_LDADD = $(unit_libs)

# Of relaisd, which is no library.
check_PROGRAMS += regress/unit/test_resolv
TESTS += regress/unit/test_resolv
regress_unit_test_resolv_SOURCES = regress/unit/test_resolv.c master/resolv.c
regress_unit_test_resolv_CFLAGS = $(unit_cflags)
regress_unit_test_resolv_LDADD = $(unit_libs)
