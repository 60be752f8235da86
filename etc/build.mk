# What etc/ builds: the configuration of a new installation, which never takes
# the place of one that is there.
EXTRA_DIST += etc/relais.conf

install-data-local:
	$(MKDIR_P) "$(DESTDIR)$(sysconfdir)/relais"
	test -e "$(DESTDIR)$(sysconfdir)/relais/relais.conf" || \
	    $(INSTALL_DATA) $(srcdir)/etc/relais.conf \
	    "$(DESTDIR)$(sysconfdir)/relais/relais.conf"
