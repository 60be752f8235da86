/*
 * Trace fields; see trace.h. Dates are computed here since gmtime_r of glibc
 * opens the time zone file, which a sandboxed process may not.
 */
#include <stdio.h>
#include <string.h>

#include "mail/text.h"
#include "mail/trace.h"

#define DAY 86400
/* 9999-12-31 23:59:59: the last second with four digits of year. */
#define LAST_SECOND 253402300799
/* A longer address is cut, and not put into `for`: no fold can help it. The
 * longest that the grammar of common/smtp takes is shorter. */
#define ADDRESS_MAX TEXT_WORD_MAX

const char *
trace_with(unsigned flags)
{
	static const char *const extended[2][2][2] = {
		{ { "ESMTP", "ESMTPA" }, { "ESMTPS", "ESMTPSA" } },
		{ { "UTF8SMTP", "UTF8SMTPA" }, { "UTF8SMTPS", "UTF8SMTPSA" } },
	};
	static const char *const lmtp[2][2][2] = {
		{ { "LMTP", "LMTPA" }, { "LMTPS", "LMTPSA" } },
		{ { "UTF8LMTP", "UTF8LMTPA" }, { "UTF8LMTPS", "UTF8LMTPSA" } },
	};
	int utf8 = (flags & TRACE_UTF8) != 0;
	int tls = (flags & TRACE_TLS_USED) != 0;
	int auth = (flags & TRACE_AUTHENTICATED) != 0;

	if (flags & TRACE_LOCAL)
		return "local";
	if (flags & TRACE_LMTP)
		return lmtp[utf8][tls][auth];
	if (flags & TRACE_EXTENDED)
		return extended[utf8][tls][auth];
	return "SMTP";
}

/* Day, month and year of a count of days since 1970 (proleptic Gregorian):
 * years begin in March, so that the leap day comes last. */
static void
civil_date(int64_t days, int *year, int *month, int *day)
{
	int64_t era, doe, yoe, doy, mp;

	days += 719468; /* since 0000-03-01 */
	era = days / 146097; /* days of 400 years */
	doe = days % 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	*day = doy - (153 * mp + 2) / 5 + 1;
	*month = mp < 10 ? mp + 3 : mp - 9;
	*year = yoe + era * 400 + (*month <= 2);
}

const char *
trace_date_text(char *out, const struct trace_time *when)
{
	static const char *const weekdays[] = { "Thu", "Fri", "Sat", "Sun",
		"Mon", "Tue", "Wed" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May",
		"Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	int64_t utc = when->seconds, t;
	int offset = when->offset, year, month, day, s;

	if (utc < 0)
		utc = 0;
	if (utc > LAST_SECOND)
		utc = LAST_SECOND;
	t = utc + (int64_t)offset * 60;
	if (offset < -1439 || offset > 1439 || t < 0 || t > LAST_SECOND) {
		offset = 0;
		t = utc;
	}
	civil_date(t / DAY, &year, &month, &day);
	s = t % DAY;
	snprintf(out, TRACE_DATE_MAX,
	    "%s, %d %s %04d %02d:%02d:%02d %c%02d%02d", weekdays[(t / DAY) % 7],
	    day, months[month - 1], year, s / 3600, s / 60 % 60, s % 60,
	    offset < 0 ? '-' : '+', (offset < 0 ? -offset : offset) / 60,
	    (offset < 0 ? -offset : offset) % 60);
	return out;
}

/* "(name [address])" after `from`. */
static void
add_client(struct text *t, const struct trace_received *r)
{
	char name[256], addr[64], word[264];

	if (!text_is_set(r->client_addr))
		return;
	text_safe(addr, sizeof(addr), r->client_addr, TEXT_TOKEN, 0);
	text_safe(name, sizeof(name),
	    text_is_set(r->client_name) ? r->client_name : "unknown",
	    TEXT_TOKEN, 0);
	snprintf(word, sizeof(word), "(%s", name);
	text_word(t, word);
	snprintf(word, sizeof(word), "[%s%s])",
	    strchr(addr, ':') != NULL ? "IPv6:" : "", addr);
	text_word(t, word);
}

/* " (label value)" with the value escaped; on one line if it fits there. */
static void
add_comment(struct text *t, const char *label, const char *value, int utf8)
{
	char safe[512], comment[600];

	if (!text_is_set(value))
		return;
	text_safe(safe, sizeof(safe), value, TEXT_COMMENT, utf8);
	snprintf(comment, sizeof(comment), "(%s%s)", label, safe);
	if (strlen(comment) < TEXT_COLUMNS - 8)
		text_word(t, comment);
	else
		text_words(t, comment);
}

static void
add_token(struct text *t, const char *label, const char *value)
{
	char safe[256];

	if (!text_is_set(value))
		return;
	text_safe(safe, sizeof(safe), value, TEXT_TOKEN, 0);
	text_word(t, label);
	text_word(t, safe);
}

size_t
trace_received(char *out, size_t size, const struct trace_received *r)
{
	struct text t;
	char safe[ADDRESS_MAX + 3], date[TRACE_DATE_MAX];
	int utf8 = (r->flags & TRACE_UTF8) != 0;
	size_t n;

	text_init(&t, out, size);
	text_add(&t, "Received:");
	if (text_is_set(r->helo) || text_is_set(r->client_addr)) {
		add_token(
		    &t, "from", text_is_set(r->helo) ? r->helo : "unknown");
		add_client(&t, r);
		add_comment(&t, "Authenticated sender: ", r->auth_user, utf8);
		text_break(&t);
	}
	add_token(&t, "by", r->by);
	add_comment(&t, "Relais, from user ", r->local_user, utf8);
	if (!text_is_set(r->local_user))
		text_word(&t, "(Relais)");
	add_token(&t, "with", trace_with(r->flags));
	add_comment(&t, "", r->tls, 0);
	add_token(&t, "id", r->id);
	if (text_is_set(r->recipient) && strlen(r->recipient) <= ADDRESS_MAX) {
		n = text_safe(
		    safe + 1, ADDRESS_MAX + 1, r->recipient, TEXT_PLAIN, utf8);
		safe[0] = '<';
		safe[n + 1] = '>';
		safe[n + 2] = '\0';
		text_break(&t);
		text_word(&t, "for");
		text_word(&t, safe);
	}
	text_add(&t, ";");
	text_word(&t, trace_date_text(date, &r->when));
	return text_end(&t);
}

size_t
trace_return_path(char *out, size_t size, const char *sender)
{
	struct text t;
	char safe[ADDRESS_MAX + 1];

	text_safe(safe, sizeof(safe), sender, TEXT_PLAIN, 1);
	text_init(&t, out, size);
	text_add(&t, "Return-Path: <");
	text_add(&t, safe);
	text_add(&t, ">");
	return text_end(&t);
}

size_t
trace_delivered_to(char *out, size_t size, const char *address)
{
	struct text t;
	char safe[ADDRESS_MAX + 1];

	text_safe(safe, sizeof(safe), address, TEXT_PLAIN, 1);
	text_init(&t, out, size);
	text_add(&t, "Delivered-To: ");
	text_add(&t, safe);
	return text_end(&t);
}

size_t
trace_date(char *out, size_t size, const struct trace_time *when)
{
	struct text t;
	char date[TRACE_DATE_MAX];

	text_init(&t, out, size);
	text_add(&t, "Date: ");
	text_add(&t, trace_date_text(date, when));
	return text_end(&t);
}

size_t
trace_message_id(char *out, size_t size, const char *unique, const char *host)
{
	struct text t;
	char left[128], right[256];
	size_t n = 0;

	for (; *unique != '\0' && n < sizeof(left) - 1; unique++) {
		if ((*unique >= '0' && *unique <= '9') ||
		    (*unique >= 'A' && *unique <= 'Z') ||
		    (*unique >= 'a' && *unique <= 'z') || *unique == '.' ||
		    *unique == '-')
			left[n++] = *unique;
	}
	left[n] = '\0';
	text_safe(right, sizeof(right), host, TEXT_TOKEN, 0);
	text_init(&t, out, size);
	text_add(&t, "Message-ID: <");
	text_add(&t, left);
	text_add(&t, "@");
	text_add(&t, right);
	text_add(&t, ">");
	return text_end(&t);
}
