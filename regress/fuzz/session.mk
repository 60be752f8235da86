# The server session.
noinst_PROGRAMS += regress/fuzz/fuzz_session
regress_fuzz_fuzz_session_SOURCES = regress/fuzz/fuzz_session.c \
	regress/fuzz/session_events.c
regress_fuzz_fuzz_session_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_session_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_session_LDADD = regress/fuzz/libfuzz.a \
	smtpd/libsession.a libcommon.a $(IDN2_LIBS) \
	$(BSD_LIBS)
