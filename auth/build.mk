# What auth/ builds: libauth.a holds all that decides, for the worker and its
# tests alike.
noinst_LIBRARIES += auth/libauth.a
auth_libauth_a_SOURCES = \
	auth/accounts.c auth/accounts.h \
	auth/callahead.c auth/callahead.h \
	auth/credentials.c auth/credentials.h \
	auth/expand.c auth/expand.h \
	auth/history.c auth/history.h \
	auth/match.c auth/match.h \
	auth/policy.c auth/policy.h \
	auth/recipient.c auth/recipient.h \
	auth/sasl.c auth/sasl.h \
	auth/sasl_client.c auth/sasl_client.h \
	auth/tables.c auth/tables.h
auth_libauth_a_CFLAGS = $(AM_CFLAGS) $(GSASL_CFLAGS) $(CRYPT_CFLAGS)

# The auth worker.
pkglibexec_PROGRAMS += auth/auth
auth_auth_SOURCES = \
	auth/auth.h auth/explain.c auth/hasher.c auth/hasher.h auth/logins.c \
	auth/main.c auth/rules.c
auth_auth_CFLAGS = $(AM_CFLAGS) -pthread
auth_auth_LDADD = auth/libauth.a libcommon.a $(GSASL_LIBS) $(CRYPT_LIBS) \
	$(worker_libs) -lpthread

# The resolver worker, which alone links libunbound.
pkglibexec_PROGRAMS += auth/resolver
auth_resolver_SOURCES = \
	auth/dns_packet.c auth/dns_packet.h \
	auth/resolver.c auth/resolver.h auth/resolver_main.c \
	auth/signed_root.c auth/signed_root.h \
	auth/turns.c auth/turns.h \
	auth/unbound.c auth/unbound.h
auth_resolver_CFLAGS = $(AM_CFLAGS) $(UNBOUND_CFLAGS)
# libunbound makes its sockets by what the worker has: see common/os/direct.c.
auth_resolver_LDFLAGS = -Wl,-u,socket
auth_resolver_LDADD = libcommon.a $(UNBOUND_LIBS) $(worker_libs)

# The keys worker. libkeys.a holds all that decides; no SMTP, DNS or libssl is
# linked.
noinst_LIBRARIES += auth/libkeys.a
auth_libkeys_a_SOURCES = \
	auth/expiry.c auth/expiry.h \
	auth/keys.c auth/keys.h \
	auth/tls_shape.c auth/tls_shape.h
pkglibexec_PROGRAMS += auth/keys
auth_keys_SOURCES = auth/keys_main.c
auth_keys_LDADD = auth/libkeys.a libcommon.a $(worker_libs)
