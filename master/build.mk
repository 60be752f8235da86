# What master/ builds: relaisd.
sbin_PROGRAMS += relaisd
relaisd_SOURCES = master/main.c
relaisd_LDADD = libcommon.a $(BSD_LIBS)
