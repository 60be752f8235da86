# What man/ builds.
dist_man_MANS += man/smtpctl.8 man/sendmail.8
