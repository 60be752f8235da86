# What smtpd/ builds: the pure session, which tests link too.
noinst_LIBRARIES += smtpd/libsession.a
smtpd_libsession_a_SOURCES = \
	smtpd/body.c \
	smtpd/cmd_auth.c smtpd/cmd_bdat.c smtpd/cmd_data.c \
	smtpd/cmd_hello.c smtpd/cmd_mail.c smtpd/cmd_misc.c \
	smtpd/cmd_rcpt.c smtpd/cmd_starttls.c \
	smtpd/session.c smtpd/session.h smtpd/session_private.h \
	smtpd/transaction.c smtpd/turn.c
