check_PROGRAMS += regress/unit/test_dns_packet
TESTS += regress/unit/test_dns_packet
regress_unit_test_dns_packet_SOURCES = regress/unit/test_dns_packet.c \
	auth/dns_packet.c
regress_unit_test_dns_packet_CFLAGS = $(unit_cflags)
regress_unit_test_dns_packet_LDADD = $(unit_libs)
