/*
 * See decimal.h. Called for SIZE, BDAT and LIMITS.
 */
#include "smtp/decimal.h"

int
decimal_parse(const char *s, size_t len, uint64_t max, uint64_t *number)
{
	uint64_t n = 0, digit;

	if (len == 0)
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		digit = (uint64_t)(s[i] - '0');
		if (n > (max - digit) / 10 || digit > max)
			return -1;
		n = n * 10 + digit;
	}
	*number = n;
	return 0;
}
