# One libFuzzer target for each parser and session core.
fuzz_ldflags = -fsanitize=fuzzer
fuzz_libs = regress/fuzz/libfuzz.a libcommon.a $(BSD_LIBS)
include $(srcdir)/regress/fuzz/ipc.mk

noinst_PROGRAMS += regress/fuzz/fuzz_dns_packet
regress_fuzz_fuzz_dns_packet_SOURCES = regress/fuzz/fuzz_dns_packet.c \
	auth/dns_packet.c
regress_fuzz_fuzz_dns_packet_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_dns_packet_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_dns_packet_LDADD = regress/fuzz/libfuzz.a \
	libcommon.a
include $(srcdir)/regress/fuzz/mail.mk
include $(srcdir)/regress/fuzz/smtp.mk
include $(srcdir)/regress/fuzz/net.mk

noinst_PROGRAMS += regress/fuzz/fuzz_client
regress_fuzz_fuzz_client_SOURCES = regress/fuzz/fuzz_client.c
regress_fuzz_fuzz_client_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_client_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_client_LDADD = regress/fuzz/libfuzz.a \
	deliver/libdeliver.a libcommon.a \
	$(IDN2_LIBS) $(BSD_LIBS)

noinst_PROGRAMS += regress/fuzz/fuzz_mx
regress_fuzz_fuzz_mx_SOURCES = regress/fuzz/fuzz_mx.c
regress_fuzz_fuzz_mx_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_mx_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_mx_LDADD = deliver/libdeliver.a libcommon.a \
	$(IDN2_LIBS) $(BSD_LIBS)

include $(srcdir)/regress/fuzz/auth.mk
include $(srcdir)/regress/fuzz/conf.mk
include $(srcdir)/regress/fuzz/store.mk
include $(srcdir)/regress/fuzz/session.mk
include $(srcdir)/regress/fuzz/core.mk
