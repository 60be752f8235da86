noinst_PROGRAMS += regress/fuzz/fuzz_keys
regress_fuzz_fuzz_keys_SOURCES = regress/fuzz/fuzz_keys.c
regress_fuzz_fuzz_keys_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_keys_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_keys_LDADD = auth/libkeys.a libcommon.a $(SSL_LIBS)

noinst_PROGRAMS += regress/fuzz/fuzz_messages
regress_fuzz_fuzz_messages_SOURCES = regress/fuzz/fuzz_messages.c
regress_fuzz_fuzz_messages_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_messages_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_messages_LDADD = libcommon.a $(EVENT_LIBS) $(BSD_LIBS)

noinst_PROGRAMS += regress/fuzz/fuzz_channel
regress_fuzz_fuzz_channel_SOURCES = regress/fuzz/fuzz_channel.c
regress_fuzz_fuzz_channel_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_channel_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_channel_LDADD = libcommon.a $(EVENT_LIBS) $(BSD_LIBS)

noinst_PROGRAMS += regress/fuzz/fuzz_compose
regress_fuzz_fuzz_compose_SOURCES = regress/fuzz/fuzz_compose.c
regress_fuzz_fuzz_compose_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_compose_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_compose_LDADD = smtpctl/libsmtpctl.a libcommon.a \
	$(IDN2_LIBS) $(BSD_LIBS)
