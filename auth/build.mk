# What auth/ builds: libauth.a holds all that decides, for the worker and its
# tests alike.
noinst_LIBRARIES += auth/libauth.a
auth_libauth_a_SOURCES = \
	auth/history.c auth/history.h \
	auth/match.c auth/match.h \
	auth/policy.c auth/policy.h \
	auth/tables.c auth/tables.h
auth_libauth_a_CFLAGS = $(AM_CFLAGS) $(GSASL_CFLAGS) $(CRYPT_CFLAGS)
