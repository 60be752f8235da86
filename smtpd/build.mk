# What smtpd/ builds: the pure session, which tests link too.
noinst_LIBRARIES += smtpd/libsession.a
smtpd_libsession_a_SOURCES = \
	smtpd/body.c \
	smtpd/cmd_auth.c smtpd/cmd_bdat.c smtpd/cmd_data.c \
	smtpd/cmd_hello.c smtpd/cmd_mail.c smtpd/cmd_misc.c \
	smtpd/cmd_rcpt.c smtpd/cmd_starttls.c \
	smtpd/session.c smtpd/session.h smtpd/session_private.h \
	smtpd/transaction.c smtpd/turn.c

# The worker. Connection limits and reverse names are pure and tested alone.
smtpd_libsession_a_SOURCES += \
	smtpd/limits.c smtpd/limits.h \
	smtpd/rdns.c smtpd/rdns.h
pkglibexec_PROGRAMS += smtpd/smtpd
smtpd_smtpd_SOURCES = \
	smtpd/driver.c smtpd/listen.c smtpd/main.c smtpd/names.c \
	smtpd/settings.c smtpd/settings.h smtpd/smtpd.h
smtpd_smtpd_LDADD = smtpd/libsession.a libcommon.a $(worker_libs)
