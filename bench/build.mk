# What bench/ builds: measurements of pure cores, run by hand.
noinst_PROGRAMS += bench/sched_bench
bench_sched_bench_SOURCES = bench/sched_bench.c
bench_sched_bench_LDADD = queue/libqueue.a libcommon.a $(BSD_LIBS)

noinst_PROGRAMS += bench/store_bench
bench_store_bench_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/regress/unit
bench_store_bench_SOURCES = bench/store_bench.c \
	regress/unit/store_fixture.c regress/unit/store_fixture.h
bench_store_bench_LDADD = $(queue_libs)
