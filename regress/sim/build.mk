# The simulation. Each worker is linked into one relocatable object: its own
# files and libraries as they are, with the system calls renamed by calls.map
# and all names but its main made local, so that all fit into one program.
sim_dir = regress/sim
sim_workers = $(sim_dir)/w_smtpd0.o $(sim_dir)/w_smtpd1.o \
	$(sim_dir)/w_queue.o $(sim_dir)/w_deliver0.o $(sim_dir)/w_deliver1.o \
	$(sim_dir)/w_auth.o $(sim_dir)/w_resolver.o $(sim_dir)/w_master.o

check_LIBRARIES = regress/sim/libinside.a
# What is linked into one worker or the other.
regress_sim_libinside_a_SOURCES = \
	regress/sim/hasher.c \
	regress/sim/master.c \
	regress/sim/plant.c \
	regress/sim/probe.c \
	regress/sim/resolver.c \
	regress/sim/store.c

check_PROGRAMS += regress/sim/sim
regress_sim_sim_SOURCES = \
	regress/sim/calls.c regress/sim/calls.h \
	regress/sim/check.c \
	regress/sim/clock.c \
	regress/sim/disk.c \
	regress/sim/event.c \
	regress/sim/faults.c \
	regress/sim/host.c \
	regress/sim/judge.c regress/sim/judge.h \
	regress/sim/main.c \
	regress/sim/process.c \
	regress/sim/scene.c regress/sim/scene.h \
	regress/sim/sender.c \
	regress/sim/sim.h \
	regress/sim/socket.c \
	regress/sim/tap.c regress/sim/tap.h \
	regress/sim/zone.c
regress_sim_sim_CFLAGS = $(AM_CFLAGS)
regress_sim_sim_LDADD = $(sim_workers) master/libparse.a libcommon.a \
	$(SSL_LIBS) $(GSASL_LIBS) $(CRYPT_LIBS) $(DEFLATE_LIBS) $(IDN2_LIBS) \
	$(BSD_LIBS)
EXTRA_regress_sim_sim_DEPENDENCIES = $(sim_workers)
EXTRA_DIST += regress/sim/calls.map regress/sim/seeds regress/sim/t_sim

# The libraries without what the simulation has in its stead.
sim_common = $(sim_dir)/libcommon_sim.a
sim_queue = $(sim_dir)/libqueue_sim.a
$(sim_common): libcommon.a
	cp libcommon.a $@ && $(AR) d $@ sandbox.o test_hook.o direct.o \
	    direct_net.o && $(RANLIB) $@
$(sim_queue): queue/libqueue.a
	cp queue/libqueue.a $@ && $(AR) d $@ store_backup.o store_bdb.o \
	    store_bdb_batch.o store_bdb_read.o store_files.o store_port.o \
	    store_spare.o store_spool.o store_ticker.o && $(RANLIB) $@

sim_map = $(srcdir)/regress/sim/calls.map
sim_inside = $(sim_dir)/libinside_a
# A call is also known by the names that it has where off_t or time_t were once
# narrower (pread64, __fcntl_time64).
sim_names = '{ call = $$NF } !(call in to) { sub(/^__/, "", call); \
	sub(/(_time)?64$$/, "", call) } FNR == NR { to[$$1] = $$2; next } \
	call in to { print $$NF, to[call] }'
# sim_link NAME, objects and options
sim_link = name=$(1); \
	$(LD) -r --force-group-allocation -o $(sim_dir)/$$name.tmp $(2) && \
	$(NM) $(sim_dir)/$$name.tmp | \
	    awk $(sim_names) $(sim_map) - >$(sim_dir)/$$name.map && \
	$(OBJCOPY) --redefine-syms=$(sim_dir)/$$name.map \
	    --redefine-sym main=sim_$${name}_main \
	    --keep-global-symbol=sim_$${name}_main \
	    $(sim_dir)/$$name.tmp $@ && \
	rm -f $(sim_dir)/$$name.tmp $(sim_dir)/$$name.map

sim_smtpd = $(smtpd_smtpd_OBJECTS) smtpd/libsession.a $(sim_common)
$(sim_dir)/w_smtpd0.o: $(sim_smtpd) $(sim_map)
	$(call sim_link,smtpd0,$(sim_smtpd))
$(sim_dir)/w_smtpd1.o: $(sim_smtpd) $(sim_map)
	$(call sim_link,smtpd1,$(sim_smtpd))

sim_queue_parts = $(queue_queue_OBJECTS) $(sim_dir)/store.o \
	$(sim_dir)/probe.o $(sim_queue) $(sim_common)
$(sim_dir)/w_queue.o: $(sim_queue_parts) $(sim_map)
	$(call sim_link,queue,--wrap=sched_new --wrap=sched_next \
	    --wrap=sched_finish --wrap=log_event $(sim_queue_parts))

sim_deliver = $(deliver_deliver_OBJECTS) $(sim_dir)/plant.o \
	deliver/libdeliver.a $(sim_common)
$(sim_dir)/w_deliver0.o: $(sim_deliver) $(sim_map)
	$(call sim_link,deliver0,--wrap=mx_candidates $(sim_deliver))
$(sim_dir)/w_deliver1.o: $(sim_deliver) $(sim_map)
	$(call sim_link,deliver1,--wrap=mx_candidates $(sim_deliver))

sim_auth = $(filter-out %hasher.o,$(filter-out %hasher.$(OBJEXT), \
	$(auth_auth_OBJECTS))) $(sim_dir)/hasher.o auth/libauth.a $(sim_common)
$(sim_dir)/w_auth.o: $(sim_auth) $(sim_map)
	$(call sim_link,auth,$(sim_auth))

$(sim_dir)/w_resolver.o: $(sim_dir)/resolver.o $(sim_common) $(sim_map)
	$(call sim_link,resolver,$(sim_dir)/resolver.o $(sim_common))
$(sim_dir)/w_master.o: $(sim_dir)/master.o $(sim_common) $(sim_map)
	$(call sim_link,master,$(sim_dir)/master.o $(sim_common))

CLEANFILES += $(sim_workers) $(sim_common) $(sim_queue)
