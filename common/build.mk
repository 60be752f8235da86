# What common/ builds: the library that every process links. Each folder
# lists its own sources.
noinst_LIBRARIES += libcommon.a
libcommon_a_SOURCES =

include $(srcdir)/common/conf/build.mk
include $(srcdir)/common/ipc/build.mk
include $(srcdir)/common/mail/build.mk
include $(srcdir)/common/net/build.mk
include $(srcdir)/common/os/build.mk
include $(srcdir)/common/smtp/build.mk
