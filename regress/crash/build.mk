# What dies at the wrong moment, and what must be there afterwards.
check_PROGRAMS += regress/crash/store_kill regress/crash/store_full
TESTS += regress/crash/store_kill regress/crash/store_full
crash_cppflags = $(AM_CPPFLAGS) -I$(top_srcdir)/regress/unit
regress_crash_store_kill_SOURCES = regress/crash/store_kill.c \
	$(store_fixture)
regress_crash_store_kill_CPPFLAGS = $(crash_cppflags)
regress_crash_store_kill_LDADD = $(queue_libs)
regress_crash_store_full_SOURCES = regress/crash/store_full.c \
	$(store_fixture)
regress_crash_store_full_CPPFLAGS = $(crash_cppflags)
regress_crash_store_full_LDADD = $(queue_libs)

# A library in all but its name: it is put under the workers.
check_PROGRAMS += regress/crash/preload.so
regress_crash_preload_so_SOURCES = regress/crash/preload.c
regress_crash_preload_so_CFLAGS = $(AM_CFLAGS) -fPIC -fno-sanitize=all
regress_crash_preload_so_LDFLAGS = -shared -fPIC -fno-sanitize=all
