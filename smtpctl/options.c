/*
 * See options.h.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "ipc/enums.h"
#include "smtpctl/options.h"

enum kind {
	NONE,
	FLAG, /* -x */
	VALUE, /* -x value, -xvalue */
	ATTACHED, /* -xvalue, ignored with all that is attached */
	IGNORED, /* -x */
	IGNORED_VALUE,
	REFUSED
};

static enum kind
option_kind(char letter)
{
	static const char *const letters[] = {
		[FLAG] = "tiIv",
		[VALUE] = "bfFrNRVqoe",
		[ATTACHED] = "Ad",
		[IGNORED] = "mnGUxE",
		/* -O with it: -O DeliveryMode=b is in many a script */
		[IGNORED_VALUE] = "BhLpO",
		/* another configuration, a log file, macros */
		[REFUSED] = "CXDM",
	};

	for (enum kind k = FLAG; k <= REFUSED; k++)
		if (strchr(letters[k], letter) != NULL)
			return k;
	return NONE;
}

static int
fail(char *error, size_t size, const char *option, const char *why)
{
	snprintf(error, size, "-%.40s: %s", option, why);
	return -1;
}

static int
has_control(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return 1;
	return 0;
}

int
sendmail_parse_notify(const char *s, uint8_t *notify)
{
	static const struct {
		const char *name;
		uint8_t bit;
	} words[] = { { "never", NOTIFY_NEVER }, { "success", NOTIFY_SUCCESS },
		{ "failure", NOTIFY_FAILURE }, { "delay", NOTIFY_DELAY } };

	*notify = 0;
	for (;; s++) {
		size_t len = strcspn(s, ","), i;

		for (i = 0; i < 4; i++)
			if (strlen(words[i].name) == len &&
			    strncasecmp(words[i].name, s, len) == 0)
				break;
		if (i == 4)
			return -1;
		*notify |= words[i].bit;
		s += len;
		if (*s == '\0')
			break;
	}
	return (*notify & NOTIFY_NEVER) && *notify != NOTIFY_NEVER ? -1 : 0;
}

static int
set_mode(struct sendmail_options *o, const char *option, const char *value,
    char *error, size_t size)
{
	static const struct {
		const char *value;
		enum sendmail_mode mode;
	} modes[] = { { "m", SENDMAIL_MAIL }, { "s", SENDMAIL_SMTP },
		{ "p", SENDMAIL_QUEUE }, { "i", SENDMAIL_ALIASES } };

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(value, modes[i].value) == 0) {
			o->mode = modes[i].mode;
			return 0;
		}
	return fail(error, size, option,
	    *value == 'd' || *value == 'D' || *value == 'e' || *value == 't'
		? "refused: relaisd(8) is the daemon, `relaisd -n` the test"
		: "there are -bm, -bs, -bp and -bi");
}

/* -e: who hears of an error. Mailed, or left to whoever reads our words. */
static void
set_errors(struct sendmail_options *o, const char *value)
{
	o->mail_errors = *value == 'm' || *value == 'e';
}

/* -o: what others kept in their configuration. Few of it matters here. */
static int
set_old(struct sendmail_options *o, const char *option, const char *value,
    char *error, size_t size)
{
	if (strcmp(value, "i") == 0)
		o->keep_dots = 1;
	else if (*value == 'e')
		set_errors(o, value + 1);
	else if (*value == '\0' || strchr("AQCXPK", *value) != NULL)
		return fail(error, size, option,
		    "refused: a caller may not choose files or queues");
	return 0;
}

static int
set_value(struct sendmail_options *o, const char *option, const char *value,
    char *error, size_t size)
{
	if (has_control(value))
		return fail(error, size, option,
		    "control characters may not stand here");
	switch (option[0]) {
	case 'b':
		return set_mode(o, option, value, error, size);
	case 'o':
		return set_old(o, option, value, error, size);
	case 'e':
		set_errors(o, value);
		return 0;
	case 'f':
	case 'r':
		o->sender = value;
		return 0;
	case 'F':
		o->full_name = value;
		return 0;
	case 'V':
		if (strlen(value) > 100)
			return fail(error, size, "V", "over 100 octets");
		o->envid = value;
		return 0;
	case 'N':
		if (sendmail_parse_notify(value, &o->notify) == 0)
			return 0;
		return fail(error, size, "N",
		    "write never, or success, "
		    "failure and delay with commas");
	case 'R':
		o->ret = strcasecmp(value, "full") == 0 ? RET_FULL
		    : strcasecmp(value, "hdrs") == 0    ? RET_HDRS
							: RET_UNSAID;
		return o->ret != RET_UNSAID
		    ? 0
		    : fail(error, size, "R", "write full or hdrs");
	default: /* -q */
		if (*value != '\0')
			return fail(error, size, option,
			    "refused: the daemon runs the queue; plain -q "
			    "tries all of it now");
		o->mode = SENDMAIL_FLUSH;
		return 0;
	}
}

static void
set_flag(struct sendmail_options *o, char letter)
{
	switch (letter) {
	case 't':
		o->extract = 1;
		break;
	case 'i':
		o->keep_dots = 1;
		break;
	case 'I':
		o->mode = SENDMAIL_ALIASES;
		break;
	default:
		o->verbose++;
	}
}

/* One word of options, such as -tif; *i moves on when it takes the next. */
static int
parse_word(int argc, char **argv, int *i, struct sendmail_options *o,
    char *error, size_t size)
{
	for (const char *s = argv[*i] + 1; *s != '\0'; s++) {
		enum kind kind = option_kind(*s);
		const char *value = s + 1;

		if (kind == FLAG)
			set_flag(o, *s);
		if (kind == FLAG || kind == IGNORED)
			continue;
		if (kind == ATTACHED)
			return 0;
		if (kind == REFUSED)
			return fail(error, size, s,
			    "refused: a caller may not change how mail is "
			    "handled");
		if (kind == NONE)
			return fail(error, size, s, "no such option");
		if (*value == '\0' && *s != 'q') { /* which never has one */
			if (*i + 1 >= argc)
				return fail(error, size, s, "wants a value");
			value = argv[++*i];
		}
		return kind == VALUE ? set_value(o, s, value, error, size) : 0;
	}
	return 0;
}

int
sendmail_parse(
    int argc, char **argv, struct sendmail_options *o, char *error, size_t size)
{
	int i;

	memset(o, 0, sizeof(*o));
	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		if (argv[i][0] != '-' || argv[i][1] == '\0')
			break;
		if (parse_word(argc, argv, &i, o, error, size) == -1)
			return -1;
	}
	o->first = i;
	return 0;
}
