libcommon_a_SOURCES += \
	common/net/buffer.c common/net/buffer.h \
	common/net/key_client.h common/net/key_provider.h \
	common/net/loop.c common/net/loop.h \
	common/net/stream.h common/net/tls.h
