libcommon_a_SOURCES += \
	common/os/direct.c common/os/direct.h common/os/direct_net.c \
	common/os/journal.c common/os/journal.h \
	common/os/log.c common/os/log.h \
	common/os/passed.c common/os/passed.h \
	common/os/reserve.c common/os/reserve.h \
	common/os/sandbox.c common/os/sandbox.h \
	common/os/signals.c common/os/signals.h \
	common/os/spare.c common/os/spare.h
