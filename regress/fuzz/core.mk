# Cores that decide, and what is kept, said or shown.
if HAVE_CMOCKA
noinst_PROGRAMS += regress/fuzz/fuzz_schedule
regress_fuzz_fuzz_schedule_SOURCES = regress/fuzz/fuzz_schedule.c \
	regress/unit/schedule_model.c regress/unit/schedule_model.h
regress_fuzz_fuzz_schedule_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
regress_fuzz_fuzz_schedule_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_schedule_LDADD = $(fuzz_libs) queue/libqueue.a \
	libcommon.a $(CMOCKA_LIBS) $(BSD_LIBS)
endif

noinst_PROGRAMS += regress/fuzz/fuzz_sendmail
regress_fuzz_fuzz_sendmail_SOURCES = regress/fuzz/fuzz_sendmail.c
regress_fuzz_fuzz_sendmail_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_sendmail_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_sendmail_LDADD = smtpctl/libsmtpctl.a $(fuzz_libs) \
	$(IDN2_LIBS)

noinst_PROGRAMS += regress/fuzz/fuzz_rows
regress_fuzz_fuzz_rows_SOURCES = regress/fuzz/fuzz_rows.c
regress_fuzz_fuzz_rows_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_rows_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_rows_LDADD = smtpctl/libsmtpctl.a $(fuzz_libs) $(JANSSON_LIBS)

noinst_PROGRAMS += regress/fuzz/fuzz_control
regress_fuzz_fuzz_control_SOURCES = regress/fuzz/fuzz_control.c
regress_fuzz_fuzz_control_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_control_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_control_LDADD = queue/libqueue.a $(fuzz_libs) $(IDN2_LIBS)

noinst_PROGRAMS += regress/fuzz/fuzz_known
regress_fuzz_fuzz_known_SOURCES = regress/fuzz/fuzz_known.c
regress_fuzz_fuzz_known_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_known_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_known_LDADD = queue/libqueue.a auth/libauth.a \
	$(fuzz_libs) $(DEFLATE_LIBS)

noinst_PROGRAMS += regress/fuzz/fuzz_format
regress_fuzz_fuzz_format_SOURCES = regress/fuzz/fuzz_format.c
regress_fuzz_fuzz_format_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_format_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_format_LDADD = $(fuzz_libs)

noinst_PROGRAMS += regress/fuzz/fuzz_log
regress_fuzz_fuzz_log_SOURCES = regress/fuzz/fuzz_log.c
regress_fuzz_fuzz_log_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_log_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_log_LDADD = $(fuzz_libs)

noinst_PROGRAMS += regress/fuzz/fuzz_route
regress_fuzz_fuzz_route_SOURCES = regress/fuzz/fuzz_route.c
regress_fuzz_fuzz_route_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_route_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_route_LDADD = deliver/libdeliver.a $(fuzz_libs) $(IDN2_LIBS)

noinst_PROGRAMS += regress/fuzz/fuzz_limits
regress_fuzz_fuzz_limits_SOURCES = regress/fuzz/fuzz_limits.c \
	smtpd/limits.c smtpd/limits.h
regress_fuzz_fuzz_limits_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_limits_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_limits_LDADD = $(fuzz_libs)

noinst_PROGRAMS += regress/fuzz/fuzz_trace
regress_fuzz_fuzz_trace_SOURCES = regress/fuzz/fuzz_trace.c
regress_fuzz_fuzz_trace_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_trace_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_trace_LDADD = $(fuzz_libs)

noinst_PROGRAMS += regress/fuzz/fuzz_pem
regress_fuzz_fuzz_pem_SOURCES = regress/fuzz/fuzz_pem.c
regress_fuzz_fuzz_pem_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_pem_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_pem_LDADD = $(fuzz_libs)

noinst_PROGRAMS += regress/fuzz/fuzz_drop
regress_fuzz_fuzz_drop_SOURCES = regress/fuzz/fuzz_drop.c
regress_fuzz_fuzz_drop_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_drop_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_drop_LDADD = smtpctl/libsmtpctl.a $(fuzz_libs) \
	$(IDN2_LIBS)

noinst_PROGRAMS += regress/fuzz/fuzz_copy
regress_fuzz_fuzz_copy_SOURCES = regress/fuzz/fuzz_copy.c \
	deliver/local_copy.c deliver/local.h
regress_fuzz_fuzz_copy_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_copy_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_copy_LDADD = $(fuzz_libs)

noinst_PROGRAMS += regress/fuzz/fuzz_forward
regress_fuzz_fuzz_forward_SOURCES = regress/fuzz/fuzz_forward.c \
	 \
	deliver/local_command.c \
	deliver/local_copy.c \
	deliver/local_list.c \
	deliver/local_maildir.c \
	deliver/local_mbox.c \
	deliver/local_outcome.c \
	deliver/local_trust.c
regress_fuzz_fuzz_forward_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_forward_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_forward_LDADD = $(fuzz_libs) $(SECCOMP_LIBS) \
	$(IDN2_LIBS)
