# What regress/ builds: cmocka programs and fuzz targets.
if HAVE_CMOCKA
include $(srcdir)/regress/unit/build.mk
endif
if FUZZ
include $(srcdir)/regress/fuzz/build.mk
endif
include $(srcdir)/regress/conf/build.mk
include $(srcdir)/regress/crash/build.mk
include $(srcdir)/regress/local/build.mk
include $(srcdir)/regress/sim/build.mk
