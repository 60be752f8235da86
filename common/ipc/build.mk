libcommon_a_SOURCES += \
	common/ipc/channel.c common/ipc/channel.h \
	common/ipc/enums.h \
	common/ipc/messages.c common/ipc/messages.h common/ipc/messages.tbl \
	common/ipc/stop.h \
	common/ipc/test_hook.c common/ipc/test_hook.h \
	common/ipc/worker.c common/ipc/worker.h
