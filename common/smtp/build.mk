libcommon_a_SOURCES += \
	common/smtp/address.c \
	common/smtp/address.h \
	common/smtp/address_domain.c \
	common/smtp/address_order.c \
	common/smtp/base64.c \
	common/smtp/base64.h \
	common/smtp/command.c \
	common/smtp/command.h \
	common/smtp/command_format.c \
	common/smtp/decimal.c \
	common/smtp/decimal.h \
	common/smtp/extension.c \
	common/smtp/extension.h \
	common/smtp/line.c \
	common/smtp/line.h \
	common/smtp/parameter.c \
	common/smtp/parameter.h \
	common/smtp/replies.tbl \
	common/smtp/reply.c \
	common/smtp/reply.h \
	common/smtp/reply_parser.c \
	common/smtp/transparency.c \
	common/smtp/transparency.h \
	common/smtp/utf8.c \
	common/smtp/utf8.h \
	common/smtp/xtext.c \
	common/smtp/xtext.h
