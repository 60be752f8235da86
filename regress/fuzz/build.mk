# One libFuzzer target for each parser and session core.
fuzz_ldflags = -fsanitize=fuzzer

noinst_PROGRAMS += regress/fuzz/fuzz_dns_packet
regress_fuzz_fuzz_dns_packet_SOURCES = regress/fuzz/fuzz_dns_packet.c \
	auth/dns_packet.c
regress_fuzz_fuzz_dns_packet_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_dns_packet_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_dns_packet_LDADD = libcommon.a
include $(srcdir)/regress/fuzz/smtp.mk
