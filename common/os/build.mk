libcommon_a_SOURCES += \
	common/os/log.c common/os/log.h \
	common/os/sandbox.c common/os/sandbox.h
