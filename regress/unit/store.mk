# The envelope, the store and what feeds it.
store_libs = $(queue_libs) $(CMOCKA_LIBS)
store_fixture = regress/unit/store_fixture.c regress/unit/store_fixture.h
store_case = regress/unit/store_case.c regress/unit/store_case.h \
	$(store_fixture)

check_PROGRAMS += regress/unit/test_envelope
TESTS += regress/unit/test_envelope
regress_unit_test_envelope_SOURCES = regress/unit/test_envelope.c
regress_unit_test_envelope_CFLAGS = $(unit_cflags)
regress_unit_test_envelope_LDADD = $(store_libs)

check_PROGRAMS += regress/unit/test_store
TESTS += regress/unit/test_store
regress_unit_test_store_SOURCES = regress/unit/test_store.c $(store_case)
regress_unit_test_store_CFLAGS = $(unit_cflags)
regress_unit_test_store_LDADD = $(store_libs)

check_PROGRAMS += regress/unit/test_store_port
TESTS += regress/unit/test_store_port
regress_unit_test_store_port_SOURCES = regress/unit/test_store_port.c \
	$(store_case)
regress_unit_test_store_port_CFLAGS = $(unit_cflags)
regress_unit_test_store_port_LDADD = $(store_libs)

check_PROGRAMS += regress/unit/test_guard
TESTS += regress/unit/test_guard
regress_unit_test_guard_SOURCES = regress/unit/test_guard.c \
	$(store_fixture)
regress_unit_test_guard_CFLAGS = $(unit_cflags)
regress_unit_test_guard_LDADD = $(store_libs)

check_PROGRAMS += regress/unit/test_ingest
TESTS += regress/unit/test_ingest
regress_unit_test_ingest_SOURCES = regress/unit/test_ingest.c \
	$(store_fixture)
regress_unit_test_ingest_CFLAGS = $(unit_cflags)
regress_unit_test_ingest_LDADD = $(store_libs) $(IDN2_LIBS)

# These run the worker that was built.
queue_scene = regress/unit/queue_scene.c regress/unit/queue_scene.h \
	$(store_fixture) \
	$(worker_fixture)

check_PROGRAMS += regress/unit/test_queue_worker
TESTS += regress/unit/test_queue_worker
regress_unit_test_queue_worker_SOURCES = regress/unit/test_queue_worker.c \
	$(queue_scene)
regress_unit_test_queue_worker_CFLAGS = $(unit_cflags)
regress_unit_test_queue_worker_LDADD = $(store_libs) $(unit_libs)

check_PROGRAMS += regress/unit/test_queue_local
TESTS += regress/unit/test_queue_local
regress_unit_test_queue_local_SOURCES = regress/unit/test_queue_local.c \
	$(queue_scene)
regress_unit_test_queue_local_CFLAGS = $(unit_cflags)
regress_unit_test_queue_local_LDADD = $(store_libs) $(unit_libs)
