# What deliver/ builds: libdeliver.a holds all that decides, for the worker
# and its tests alike.
noinst_LIBRARIES += deliver/libdeliver.a
deliver_libdeliver_a_SOURCES = \
	deliver/client.c deliver/client.h deliver/client_private.h \
	deliver/client_auth.c \
	deliver/client_body.c \
	deliver/client_hello.c \
	deliver/client_mail.c \
	deliver/client_result.c \
	deliver/mx.c deliver/mx.h \
	deliver/route.c deliver/route.h

# The program that is a recipient for one delivery.
pkglibexec_PROGRAMS += deliver/local
deliver_local_SOURCES = \
	deliver/local.h \
	deliver/local_command.c \
	deliver/local_copy.c \
	deliver/local_list.c \
	deliver/local_lmtp.c \
	deliver/local_maildir.c \
	deliver/local_main.c \
	deliver/local_mbox.c \
	deliver/local_outcome.c \
	deliver/local_trust.c
deliver_local_LDADD = deliver/libdeliver.a libcommon.a $(DEFLATE_LIBS) \
	$(worker_libs)

# For a recipient it runs as himself. The kernel keeps from him what he cannot
# read: its descriptors, which are master's log and its channel, are not his.
install-exec-hook: install-local-unread
install-local-unread:
	chmod 711 "$(DESTDIR)$(pkglibexecdir)/local"
.PHONY: install-local-unread

# The worker: libdeliver.a joined to sockets and the other processes.
pkglibexec_PROGRAMS += deliver/deliver
deliver_deliver_SOURCES = \
	deliver/body.c deliver/body.h \
	deliver/deliver.h \
	deliver/lookup.c deliver/lookup.h \
	deliver/main.c \
	deliver/pool.c deliver/pool.h \
	deliver/question.c deliver/question.h \
	deliver/session.c deliver/session.h \
	deliver/settings.c deliver/settings.h \
	deliver/transfer.c deliver/transfer.h deliver/transfer_private.h \
	deliver/transfer_heading.c \
	deliver/transfer_probe.c \
	deliver/transfer_route.c
deliver_deliver_LDADD = deliver/libdeliver.a libcommon.a $(DEFLATE_LIBS) \
	$(worker_libs)
