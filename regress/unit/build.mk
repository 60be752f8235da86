# One cmocka program for each pure module: unit_tests_X.
