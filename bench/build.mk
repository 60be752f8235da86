# What bench/ builds. First the measurements of pure cores, run by hand.
noinst_PROGRAMS += bench/sched_bench
bench_sched_bench_SOURCES = bench/sched_bench.c
bench_sched_bench_LDADD = queue/libqueue.a libcommon.a $(BSD_LIBS)

noinst_PROGRAMS += bench/store_bench
bench_store_bench_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/regress/unit
bench_store_bench_SOURCES = bench/store_bench.c \
	regress/unit/store_fixture.c regress/unit/store_fixture.h
bench_store_bench_LDADD = $(queue_libs)

noinst_PROGRAMS += bench/sync_bench
bench_sync_bench_SOURCES = bench/sync_bench.c
bench_sync_bench_LDADD = -lpthread

# The generator and the next hop of ./dev bench.
noinst_PROGRAMS += bench/source bench/sink
bench_source_SOURCES = bench/source.c bench/source_tls.c \
	bench/source_lean.c bench/source_tls.h
bench_source_LDADD = $(SSL_LIBS) $(BSD_LIBS) -lm
bench_sink_SOURCES = bench/sink.c
bench_sink_LDADD = $(BSD_LIBS)
