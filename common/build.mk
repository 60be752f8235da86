# What common/ builds: the library that every process links.
noinst_LIBRARIES += libcommon.a
libcommon_a_SOURCES =

libcommon_a_SOURCES += \
	common/ipc/channel.c common/ipc/channel.h \
	common/ipc/enums.h \
	common/ipc/messages.c common/ipc/messages.h common/ipc/messages.tbl

libcommon_a_SOURCES += \
	common/net/buffer.c common/net/buffer.h \
	common/net/key_client.h common/net/key_provider.h \
	common/net/loop.c common/net/loop.h \
	common/net/stream.h common/net/tls.h

libcommon_a_SOURCES += \
	common/os/log.c common/os/log.h

libcommon_a_SOURCES += \
	common/smtp/address.h common/smtp/command.h common/smtp/extension.h \
	common/smtp/line.h common/smtp/reply.h common/smtp/replies.tbl \
	common/smtp/transparency.h common/smtp/utf8.h common/smtp/xtext.h

libcommon_a_SOURCES += \
	common/conf/alias.c common/conf/alias.h \
	common/conf/codec.c common/conf/codec.h \
	common/conf/conf.c common/conf/conf.h \
	common/conf/fields.c common/conf/fields.h \
	common/conf/service.c \
	common/conf/tablefile.c common/conf/tablefile.h \
	common/conf/url.c common/conf/url.h
include $(srcdir)/common/conf/build.mk
include $(srcdir)/common/ipc/build.mk
include $(srcdir)/common/mail/build.mk
include $(srcdir)/common/net/build.mk
include $(srcdir)/common/os/build.mk
include $(srcdir)/common/smtp/build.mk
	common/smtp/address.c common/smtp/address.h \
	common/smtp/address_domain.c \
	common/smtp/command.c common/smtp/command.h \
	common/smtp/command_format.c \
	common/smtp/decimal.c common/smtp/decimal.h \
	common/smtp/extension.c common/smtp/extension.h \
	common/smtp/line.c common/smtp/line.h \
	common/smtp/parameter.c common/smtp/parameter.h \
	common/smtp/reply.c common/smtp/reply.h common/smtp/replies.tbl \
	common/smtp/reply_parser.c \
	common/smtp/transparency.c common/smtp/transparency.h \
	common/smtp/utf8.c common/smtp/utf8.h \
	common/smtp/xtext.c common/smtp/xtext.h
