libcommon_a_SOURCES += \
	common/conf/codec.h common/conf/conf.c common/conf/conf.h \
	common/conf/fields.c common/conf/fields.h

libcommon_a_SOURCES += \
	common/conf/closed.c common/conf/closed.h
