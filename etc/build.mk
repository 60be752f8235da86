# What etc/ builds: the configuration of a new installation, which never takes
# the place of one that is there, nor leaves with the program; the unit for
# systemd and the profile for AppArmor, installed where configure was told.
EXTRA_DIST += etc/relais.conf etc/relais.service.in etc/apparmor.in

place = sed -e 's|@sbindir[@]|$(sbindir)|g' \
	-e 's|@pkglibexecdir[@]|$(pkglibexecdir)|g' \
	-e 's|@sysconfdir[@]|$(sysconfdir)|g' \
	-e 's|@runstatedir[@]|$(runstatedir)|g' \
	-e 's|@localstatedir[@]|$(localstatedir)|g'

etc/relais.service: $(srcdir)/etc/relais.service.in Makefile
	$(MKDIR_P) etc
	$(place) $(srcdir)/etc/relais.service.in >$@
etc/apparmor: $(srcdir)/etc/apparmor.in Makefile
	$(MKDIR_P) etc
	$(place) $(srcdir)/etc/apparmor.in >$@
CLEANFILES += etc/relais.service etc/apparmor

if SYSTEMD_UNIT
systemdsystemunit_DATA = etc/relais.service
endif
if APPARMOR
apparmor_DATA = etc/apparmor
install-data-hook:
	mv "$(DESTDIR)$(apparmordir)/apparmor" \
	    "$(DESTDIR)$(apparmordir)/relaisd"
endif

install-data-local:
	$(MKDIR_P) "$(DESTDIR)$(sysconfdir)/relais"
	test -e "$(DESTDIR)$(sysconfdir)/relais/relais.conf" || \
	    $(INSTALL_DATA) $(srcdir)/etc/relais.conf \
	    "$(DESTDIR)$(sysconfdir)/relais/relais.conf"

# The administrator's file outlives the program.
distuninstallcheck_listfiles = find . -type f ! -name relais.conf -print
