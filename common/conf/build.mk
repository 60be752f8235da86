libcommon_a_SOURCES += \
	common/conf/alias.c common/conf/alias.h \
	common/conf/alias_item.c common/conf/alias_item.h \
	common/conf/alias_line.c common/conf/alias_line.h \
	common/conf/closed.c common/conf/closed.h \
	common/conf/codec.c common/conf/codec.h \
	common/conf/conf.c common/conf/conf.h \
	common/conf/fields.c common/conf/fields.h \
	common/conf/format.c common/conf/format.h \
	common/conf/overlap.c common/conf/overlap.h \
	common/conf/print.c common/conf/print.h \
	common/conf/print_private.h \
	common/conf/print_settings.c \
	common/conf/service.c \
	common/conf/tablefile.c common/conf/tablefile.h \
	common/conf/unbuilt.c \
	common/conf/url.c common/conf/url.h \
	common/conf/wide.c common/conf/wide.h
