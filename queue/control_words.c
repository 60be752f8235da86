/*
 * The words of a control question: ids, ages and filters. Pure; whoever asks
 * may have written anything. Called by the other files of control.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "queue/control_private.h"
#include "smtp/address.h"

/* In a time that grows with the sum of both lengths, and not their product:
 * whoever asks may have mail for thousands of long addresses. */
int
control_glob(const char *pattern, const char *text)
{
	char part[1025]; /* a word has no more octets */
	size_t n = strcspn(pattern, "*"), len;

	if (pattern[n] == '\0')
		return strcasecmp(pattern, text) == 0;
	if (strncasecmp(pattern, text, n) != 0)
		return 0;
	for (;;) {
		text += n;
		pattern += n;
		pattern += strspn(pattern, "*");
		n = strcspn(pattern, "*");
		if (pattern[n] == '\0')
			break;
		if (n >= sizeof(part))
			return 0;
		memcpy(part, pattern, n);
		part[n] = '\0';
		/* of a part between two `*` the first is as good as any */
		if ((text = strcasestr(text, part)) == NULL)
			return 0;
	}
	len = strlen(text);
	return len >= n && strcasecmp(text + len - n, pattern) == 0;
}

int
control_valid_name(const char *s)
{
	size_t len = strlen(s);

	if (len >= 5 && strcasecmp(s + len - 5, ".part") == 0)
		return 0;
	return len > 0 && len <= CONTROL_NAME_MAX && *s != '.' && *s != '-' &&
	    strspn(s,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789._-") == len;
}

int
control_parse_id(const char *s, uint32_t *msgid, uint32_t *rcpt)
{
	size_t len = strlen(s);
	unsigned long long n;

	if ((len != 8 && len != 16) ||
	    strspn(s, "0123456789abcdefABCDEF") != len)
		return -1;
	n = strtoull(s, NULL, 16);
	*msgid = (uint32_t)(len == 8 ? n : n >> 32);
	*rcpt = len == 8 ? UINT32_MAX : (uint32_t)n;
	return *msgid == 0 ? -1 : 0;
}

int64_t
control_parse_age(const char *s)
{
	static const char units[] = "smhdw";
	static const int64_t seconds[] = { 1, 60, 3600, 86400, 604800 };
	const char *unit;
	int64_t n = 0;
	size_t digits = strspn(s, "0123456789");

	if (digits == 0 || digits > 9)
		return -1;
	for (size_t i = 0; i < digits; i++)
		n = n * 10 + (s[i] - '0');
	if (s[digits] == '\0')
		return n;
	if (s[digits + 1] != '\0' || (unit = strchr(units, s[digits])) == NULL)
		return -1;
	return n * seconds[unit - units];
}

/* Whether rows can show the state that is asked for. */
static int
check_state(const struct control_filter *f, char *error, size_t size)
{
	static const char *const states[] = { "pending", "inflight", "held" };

	if (f->state == NULL)
		return 0;
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcasecmp(f->state, states[i]) == 0)
			return 0;
	snprintf(error, size,
	    "unknown state `%.60s`: there are pending, inflight and held",
	    f->state);
	return -1;
}

static int
set_filter(struct control_filter *f, const char *name, size_t len,
    const char *value, char *error, size_t size)
{
	const struct {
		const char *name;
		const char **text;
	} texts[] = { { "from", &f->from }, { "to", &f->to },
		{ "domain", &f->domain }, { "state", &f->state } };
	int64_t n;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strlen(texts[i].name) == len &&
		    strncmp(texts[i].name, name, len) == 0) {
			/* the null sender, as it is written elsewhere */
			*texts[i].text = strcmp(value, "<>") == 0 ? "" : value;
			return check_state(f, error, size);
		}
	if (len == 5 && strncmp(name, "older", len) == 0) {
		if ((f->older = control_parse_age(value)) != -1)
			return 0;
		snprintf(error, size,
		    "--older: `%.60s` is no age: write 90, 15m, 4h or 5d",
		    value);
		return -1;
	}
	if (len == 5 && strncmp(name, "limit", len) == 0) {
		/* a number without the unit of an age */
		if (value[strspn(value, "0123456789")] == '\0' &&
		    (n = control_parse_age(value)) > 0 && n < UINT32_MAX) {
			f->limit = (uint32_t)n;
			return 0;
		}
		snprintf(error, size, "--limit: `%.60s` is no number", value);
		return -1;
	}
	if (len == 5 && strncmp(name, "after", len) == 0) {
		if (control_parse_id(value, &f->begin, &f->begin_rcpt) == -1) {
			snprintf(
			    error, size, "--after: `%.60s` is no id", value);
			return -1;
		}
		/* behind a whole message no recipient of it comes */
		if (f->begin_rcpt != UINT32_MAX)
			f->begin_rcpt++;
		return 0;
	}
	snprintf(error, size,
	    "unknown filter --%.*s: there are --from, --to, "
	    "--domain, --older, --state, --limit and --after",
	    len > 60 ? 60 : (int)len, name);
	return -1;
}

int
control_parse_filter(const char **words, size_t *count,
    struct control_filter *f, char *error, size_t size)
{
	size_t kept = 0;

	memset(f, 0, sizeof(*f));
	for (size_t i = 0; i < *count; i++) {
		const char *name = words[i], *value;
		size_t len;

		if (strncmp(name, "--", 2) != 0) {
			words[kept++] = name;
			continue;
		}
		name += 2;
		len = strcspn(name, "=");
		if (name[len] == '=')
			value = name + len + 1;
		else if (i + 1 < *count)
			value = words[++i];
		else {
			snprintf(error, size, "--%.60s wants a value", name);
			return -1;
		}
		if (set_filter(f, name, len, value, error, size) == -1)
			return -1;
		f->beyond[CONTROL_NO_FILTER] = name;
		if (len != 6 || strncmp(name, "domain", len) != 0)
			f->beyond[CONTROL_DOMAIN] = name;
	}
	*count = kept;
	return 0;
}

const char *
control_given(const struct envelope *env, const struct envelope_rcpt *r)
{
	return r->parent < env->rcpt_count ? env->rcpts[r->parent].address
					   : r->address;
}

int
control_match(const struct control_filter *f, const struct envelope *env,
    const struct envelope_rcpt *r, const char *state, int64_t now)
{
	const char *given = control_given(env, r);

	if (f->from != NULL && !control_glob(f->from, env->sender))
		return 0;
	if (f->to != NULL && !control_glob(f->to, r->address) &&
	    !control_glob(f->to, given))
		return 0;
	if (f->domain != NULL &&
	    !control_glob(f->domain, address_domain(r->address)) &&
	    !control_glob(f->domain, address_domain(given)))
		return 0;
	if (f->state != NULL && strcasecmp(f->state, state) != 0)
		return 0;
	return f->older == 0 || env->arrival <= now - f->older;
}
