libcommon_a_SOURCES += \
	common/net/loop.c common/net/loop.h
