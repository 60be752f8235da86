libcommon_a_SOURCES += \
	common/smtp/base64.c common/smtp/base64.h \
	common/smtp/address.h common/smtp/command.h common/smtp/extension.h \
	common/smtp/line.h common/smtp/reply.h common/smtp/replies.tbl \
	common/smtp/transparency.h common/smtp/utf8.h common/smtp/xtext.h
