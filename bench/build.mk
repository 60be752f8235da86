# What bench/ builds: measurements of pure cores, run by hand.
noinst_PROGRAMS += bench/sched_bench
bench_sched_bench_SOURCES = bench/sched_bench.c
bench_sched_bench_LDADD = queue/libqueue.a libcommon.a $(BSD_LIBS)
