# What the targets share, and messages between processes.
noinst_LIBRARIES += regress/fuzz/libfuzz.a
regress_fuzz_libfuzz_a_SOURCES = regress/fuzz/fuzz.h regress/fuzz/folder.c \
	regress/fuzz/record.c \
	regress/fuzz/shape.c \
	regress/fuzz/messages_fields.c regress/fuzz/messages_fields.h

noinst_PROGRAMS += regress/fuzz/fuzz_message
regress_fuzz_fuzz_message_SOURCES = regress/fuzz/fuzz_message.c
regress_fuzz_fuzz_message_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_message_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_message_LDADD = $(fuzz_libs)

noinst_PROGRAMS += regress/fuzz/fuzz_channel
regress_fuzz_fuzz_channel_SOURCES = regress/fuzz/fuzz_channel.c
regress_fuzz_fuzz_channel_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_channel_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_channel_LDADD = $(fuzz_libs) $(EVENT_LIBS)
