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
	queue/scheduler.c queue/scheduler.h \
	queue/slab.c queue/slab.h
