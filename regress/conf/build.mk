# The configuration cases: relaisd -n -v in, canonical form or errors out.
dist_check_SCRIPTS += regress/conf/t_conf
TESTS += regress/conf/t_conf
EXTRA_DIST += \
	regress/conf/action.case \
	regress/conf/filter.case \
	regress/conf/lex.case \
	regress/conf/listen.case \
	regress/conf/match.case \
	regress/conf/setting.case \
	regress/conf/table.case \
	regress/conf/wild.case
