# What queue/ builds: libqueue.a holds all that decides, for the worker and
# its tests alike.
noinst_LIBRARIES += queue/libqueue.a
queue_libqueue_a_SOURCES =

queue_libqueue_a_SOURCES += \
	queue/bounce.c queue/bounce.h \
	queue/destination.c \
	queue/schedule_control.c \
	queue/schedule_entry.c \
	queue/schedule_heap.c queue/schedule_heap.h \
	queue/schedule_index.c queue/schedule_index.h \
	queue/schedule_lane.c queue/schedule_local.h \
	queue/schedule_round.c \
	queue/scheduler.c queue/scheduler.h \
	queue/slab.c queue/slab.h

# The store: Berkeley DB behind queue/store.h, and what goes in and out of it.
queue_libqueue_a_SOURCES += \
	queue/batch.c queue/batch.h \
	queue/body.c queue/body.h \
	queue/envelope.c queue/envelope.h \
	queue/envelope_codec.c queue/envelope_priv.h \
	queue/guard.c queue/guard.h \
	queue/idblock.c queue/idblock.h \
	queue/ingest.c queue/ingest.h \
	queue/known.c queue/known.h \
	queue/share.h \
	queue/store.h \
	queue/store_backup.c \
	queue/store_bdb.c queue/store_bdb.h \
	queue/store_bdb_batch.c \
	queue/store_bdb_read.c \
	queue/store_files.c \
	queue/store_port.c \
	queue/store_settle.c \
	queue/store_spare.c \
	queue/store_spool.c \
	queue/store_ticker.c \
	queue/twins.c queue/twins.h
# The control socket.
queue_libqueue_a_SOURCES += \
	queue/control.c queue/control.h queue/control_private.h \
	queue/control_act.c \
	queue/control_care.c \
	queue/control_explain.c \
	queue/control_show.c \
	queue/control_walk.c \
	queue/control_words.c
queue_libs = queue/libqueue.a libcommon.a $(DB_LIBS) $(DEFLATE_LIBS) \
	$(BSD_LIBS) -lpthread

# The queue worker.
pkglibexec_PROGRAMS += queue/queue
queue_queue_SOURCES = \
	queue/dispatch.c \
	queue/enlist.c \
	queue/etrn.c \
	queue/expanded.c \
	queue/main.c \
	queue/offline.c queue/offline.h \
	queue/operator.c \
	queue/owed.c \
	queue/pauses.c \
	queue/queue.h \
	queue/report.c \
	queue/result.c queue/trace.c
queue_queue_CFLAGS = $(AM_CFLAGS) -pthread
queue_queue_LDADD = $(queue_libs) $(worker_libs)
