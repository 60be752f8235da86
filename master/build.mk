# What master/ builds: relaisd, and the configuration parser as a library of
# its own for the tests.
noinst_LIBRARIES += master/libparse.a
BUILT_SOURCES += master/parse.h
CLEANFILES += master/parse.c master/parse.h
master_libparse_a_SOURCES = \
	master/advice.c \
	master/build_action.c \
	master/build.c \
	master/build_listener.c \
	master/build_rule.c \
	master/build_setting.c \
	master/build_table.c \
	master/check.c \
	master/check_rules.c \
	master/lex.c master/lex.h \
	master/lex_input.c \
	master/old_grammar.c \
	master/parse.y master/parser.h \
	master/readfile.c master/readfile.h

# clang from 15 on sees that bison's parser counts errors that nobody asks for.
parser_object = master/parse.$(OBJEXT)
$(parser_object): RELAIS_CFLAGS += -Wno-unused-but-set-variable

sbin_PROGRAMS += relaisd
relaisd_SOURCES = \
	master/account.c master/account.h \
	master/action_check.c master/action_check.h \
	master/backoff.c master/backoff.h \
	master/capabilities.c \
	master/contents.c master/contents.h \
	master/drop.c \
	master/files.c master/files.h \
	master/hand_off.c \
	master/interfaces.c \
	master/load.c master/load.h \
	master/local_spawn.c master/local_spawn.h \
	master/main.c master/master.h \
	master/notify.c \
	master/options.c master/options.h \
	master/pid_file.c \
	master/pairs.c \
	master/port.c \
	master/postmaster.c master/postmaster.h \
	master/recipient.c master/recipient.h \
	master/reload.c \
	master/resolv.c master/resolv.h \
	master/servers.c master/servers.h \
	master/requests.c \
	master/sockets.c \
	master/spawn.c \
	master/spool.c \
	master/supervise.c \
	master/tickets.c
relaisd_LDADD = master/libparse.a libcommon.a $(EVENT_LIBS) $(BSD_LIBS)
