libcommon_a_SOURCES += \
	common/net/buffer.c common/net/buffer.h \
	common/net/key_client.c common/net/key_client.h \
	common/net/key_name.c common/net/key_name.h \
	common/net/key_object.c common/net/key_object.h \
	common/net/key_provider.c common/net/key_provider.h \
	common/net/loop.c common/net/loop.h \
	common/net/pem.c common/net/pem.h \
	common/net/stream.c common/net/stream.h \
	common/net/stream_internal.h common/net/stream_life.c \
	common/net/stream_tls.c \
	common/net/tls.c common/net/tls.h \
	common/net/tls_client.c common/net/tls_describe.c \
	common/net/tls_internal.h common/net/tls_server.c \
	common/net/tls_tickets.c
