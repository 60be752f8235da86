# A library in all but its name: glibc loads it where nsswitch.conf names it.
check_PROGRAMS += regress/local/directory.so
regress_local_directory_so_SOURCES = regress/local/directory.c
regress_local_directory_so_CFLAGS = $(AM_CFLAGS) -fPIC -fno-sanitize=all
regress_local_directory_so_LDFLAGS = -shared -fPIC -fno-sanitize=all
