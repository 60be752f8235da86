libcommon_a_SOURCES += \
	common/conf/codec.h common/conf/conf.c common/conf/conf.h \
	common/conf/fields.c common/conf/fields.h
