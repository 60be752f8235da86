# The unit tests of the scheduler and of what it decides about reports.
scheduler_libs = queue/libqueue.a libcommon.a $(CMOCKA_LIBS) $(BSD_LIBS)

check_PROGRAMS += regress/unit/test_scheduler
TESTS += regress/unit/test_scheduler
regress_unit_test_scheduler_SOURCES = regress/unit/test_scheduler.c \
	regress/unit/schedule_scene.c regress/unit/schedule_scene.h
regress_unit_test_scheduler_CFLAGS = $(unit_cflags)
regress_unit_test_scheduler_LDADD = $(scheduler_libs)

check_PROGRAMS += regress/unit/test_schedule_breaks
TESTS += regress/unit/test_schedule_breaks
regress_unit_test_schedule_breaks_SOURCES = \
	regress/unit/test_schedule_breaks.c \
	regress/unit/schedule_scene.c regress/unit/schedule_scene.h
regress_unit_test_schedule_breaks_CFLAGS = $(unit_cflags)
regress_unit_test_schedule_breaks_LDADD = $(scheduler_libs)

check_PROGRAMS += regress/unit/test_schedule_model
TESTS += regress/unit/test_schedule_model
regress_unit_test_schedule_model_SOURCES = \
	regress/unit/test_schedule_model.c \
	regress/unit/schedule_model.c regress/unit/schedule_model.h
regress_unit_test_schedule_model_CFLAGS = $(unit_cflags)
regress_unit_test_schedule_model_LDADD = $(scheduler_libs)

check_PROGRAMS += regress/unit/test_bounce
TESTS += regress/unit/test_bounce
regress_unit_test_bounce_SOURCES = regress/unit/test_bounce.c
regress_unit_test_bounce_CFLAGS = $(unit_cflags)
regress_unit_test_bounce_LDADD = $(scheduler_libs)

check_PROGRAMS += regress/unit/test_twins
TESTS += regress/unit/test_twins
regress_unit_test_twins_SOURCES = regress/unit/test_twins.c
regress_unit_test_twins_CFLAGS = $(unit_cflags)
regress_unit_test_twins_LDADD = queue/libqueue.a $(unit_libs)

check_PROGRAMS += regress/unit/test_schedule_control
TESTS += regress/unit/test_schedule_control
regress_unit_test_schedule_control_SOURCES = \
	regress/unit/test_schedule_control.c \
	regress/unit/schedule_scene.c regress/unit/schedule_scene.h
regress_unit_test_schedule_control_CFLAGS = $(unit_cflags)
regress_unit_test_schedule_control_LDADD = $(scheduler_libs)
