# What smtpctl/ builds: smtpctl, with its pure parts as a library for their
# tests. sendmail, mailq and newaliases are names of the same program. A
# packager makes it setgid to the queue's group, for the drop folder.
noinst_LIBRARIES += smtpctl/libsmtpctl.a
smtpctl_libsmtpctl_a_SOURCES = \
	smtpctl/addresses.c smtpctl/addresses.h \
	smtpctl/compose.c smtpctl/compose.h \
	smtpctl/drop.c smtpctl/drop.h \
	smtpctl/options.c smtpctl/options.h \
	smtpctl/print.c smtpctl/print.h

sbin_PROGRAMS += smtpctl/smtpctl
smtpctl_smtpctl_SOURCES = \
	smtpctl/ask.c \
	smtpctl/client.c smtpctl/client.h \
	smtpctl/dialogue.c smtpctl/dialogue.h \
	smtpctl/main.c \
	smtpctl/sendmail.c smtpctl/sendmail.h
smtpctl_smtpctl_LDADD = smtpctl/libsmtpctl.a libcommon.a $(JANSSON_LIBS) \
	$(CRYPT_LIBS) $(EVENT_LIBS) $(IDN2_LIBS) $(BSD_LIBS)

install-exec-hook: install-smtpctl-names
install-smtpctl-names:
	$(MKDIR_P) $(DESTDIR)$(bindir) $(DESTDIR)$(sbindir)
	ln -sf smtpctl $(DESTDIR)$(sbindir)/sendmail
	ln -sf $(sbindir)/smtpctl $(DESTDIR)$(bindir)/mailq
	ln -sf $(sbindir)/smtpctl $(DESTDIR)$(bindir)/newaliases
uninstall-hook:
	rm -f $(DESTDIR)$(sbindir)/sendmail $(DESTDIR)$(bindir)/mailq \
		$(DESTDIR)$(bindir)/newaliases
.PHONY: install-smtpctl-names
