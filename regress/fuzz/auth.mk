# The fuzz targets of auth/.
auth_fuzz_ldadd = auth/libauth.a libcommon.a $(GSASL_LIBS) $(CRYPT_LIBS) \
	$(SSL_LIBS) $(IDN2_LIBS) $(BSD_LIBS)

noinst_PROGRAMS += regress/fuzz/fuzz_sasl
regress_fuzz_fuzz_sasl_SOURCES = regress/fuzz/fuzz_sasl.c
regress_fuzz_fuzz_sasl_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_sasl_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_sasl_LDADD = $(auth_fuzz_ldadd)

noinst_PROGRAMS += regress/fuzz/fuzz_policy
regress_fuzz_fuzz_policy_SOURCES = regress/fuzz/fuzz_policy.c
regress_fuzz_fuzz_policy_CFLAGS = $(AM_CFLAGS)
regress_fuzz_fuzz_policy_LDFLAGS = $(fuzz_ldflags)
regress_fuzz_fuzz_policy_LDADD = $(auth_fuzz_ldadd)
