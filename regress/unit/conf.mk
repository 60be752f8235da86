# The configuration: common/conf and the parser in master.
check_PROGRAMS += regress/unit/test_conf_codec
TESTS += regress/unit/test_conf_codec
regress_unit_test_conf_codec_SOURCES = regress/unit/test_conf_codec.c
regress_unit_test_conf_codec_CFLAGS = $(unit_cflags)
regress_unit_test_conf_codec_LDADD = master/libparse.a $(unit_libs)

check_PROGRAMS += regress/unit/test_alias_item
TESTS += regress/unit/test_alias_item
regress_unit_test_alias_item_SOURCES = regress/unit/test_alias_item.c
regress_unit_test_alias_item_CFLAGS = $(unit_cflags)
regress_unit_test_alias_item_LDADD = $(unit_libs)

check_PROGRAMS += regress/unit/test_alias_line
TESTS += regress/unit/test_alias_line
regress_unit_test_alias_line_SOURCES = regress/unit/test_alias_line.c
regress_unit_test_alias_line_CFLAGS = $(unit_cflags)
regress_unit_test_alias_line_LDADD = $(unit_libs)

check_PROGRAMS += regress/unit/test_conf_table
TESTS += regress/unit/test_conf_table
regress_unit_test_conf_table_SOURCES = regress/unit/test_conf_table.c
regress_unit_test_conf_table_CFLAGS = $(unit_cflags)
regress_unit_test_conf_table_LDADD = $(unit_libs)
