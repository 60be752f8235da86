# What smtpctl/ builds.
