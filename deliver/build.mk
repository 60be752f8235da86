# What deliver/ builds: libdeliver.a holds all that decides, for the worker
# and its tests alike.
noinst_LIBRARIES += deliver/libdeliver.a
deliver_libdeliver_a_SOURCES = \
	deliver/mx.c deliver/mx.h
