libcommon_a_SOURCES += \
	common/mail/dsn.h common/mail/header.h common/mail/trace.h
