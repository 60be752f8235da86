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
