libcommon_a_SOURCES += \
	common/mail/dsn.c common/mail/dsn.h \
	common/mail/dsn_text.c common/mail/dsn_text.h \
	common/mail/header.c common/mail/header.h \
	common/mail/mime.c common/mail/mime.h \
	common/mail/text.c common/mail/text.h \
	common/mail/trace.c common/mail/trace.h
