# What common/ builds: the library that every process links.
noinst_LIBRARIES += libcommon.a
libcommon_a_SOURCES =

libcommon_a_SOURCES += \
	common/os/log.c common/os/log.h
