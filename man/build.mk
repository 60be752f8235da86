# What man/ builds.
dist_man_MANS += man/smtpctl.8 man/sendmail.8
dist_man_MANS += man/relais.conf.5 man/relais-table.5 man/relaisd.8
dist_man_MANS += man/aliases.5 man/forward.5
