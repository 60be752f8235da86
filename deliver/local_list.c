/*
 * A list of destinations that the recipient keeps: ~/.forward, or a file that
 * an alias names with :include:. Read as the recipient, so it can name
 * nothing that he could not reach himself.
 *
 * It is read to its end, with all that it includes, before anything is carried
 * out: what was done cannot be undone, and would come again with each attempt
 * if the rest then makes the message wait.
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "conf/alias.h"
#include "conf/alias_item.h"
#include "conf/alias_line.h"
#include "conf/conf.h"
#include "deliver/local.h"
#include "smtp/address.h"

enum {
	LIST_MAX = 1024 * 1024,
	DEPTH_MAX = 10,
	LISTS_MAX = 100, /* of one delivery, each as often as it is included */
	FORWARD_MAX = 1000
};

/* What a list asks of us ourselves; addresses are in the outcome at once, and
 * go nowhere if that becomes a failure. */
struct plan {
	struct alias_item *items; /* commands and files */
	uint32_t nitems;
	int keep; /* the mailbox is among its destinations */
};

/* Where a destination stands. */
struct list {
	const char *path;
	int line;
	int depth;
	int own; /* nobody else can have written it but root */
};

/* The text of the list, NUL-terminated; NULL with an outcome. *own is set where
 * nobody else can have written it but root. */
static char *
read_list(const char *path, int *own, struct local_outcome *out)
{
	char *text = NULL;
	struct stat st;
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &st) == -1) {
		local_error(out, path, errno);
		goto out;
	}
	*own = local_is_own_file(fd);
	if (!S_ISREG(st.st_mode) || st.st_size > LIST_MAX) {
		local_done(out, DELIVERY_PERMFAIL, 550, "5.2.4",
		    "%s is not a regular file of at most 1 MiB", path);
		goto out;
	}
	if ((text = malloc((size_t)st.st_size + 1)) == NULL ||
	    (n = read(fd, text, (size_t)st.st_size)) == -1) {
		local_error(out, path, errno);
		free(text);
		text = NULL;
		goto out;
	}
	text[n] = '\0';
	if (memchr(text, '\0', (size_t)n) != NULL) {
		local_done(out, DELIVERY_TEMPFAIL, 451, "4.3.5",
		    "%s has a NUL octet; this is no text file", path);
		free(text);
		text = NULL;
	}
out:
	if (fd != -1)
		close(fd);
	return text;
}

/* `\user`, or the recipient's own name or address: the mailbox itself. A list
 * of an alias is read as some user, who has no part in it. */
static int
is_own(const struct local_job *job, const char *text)
{
	if (strcmp(job->method, "include") == 0)
		return 0;
	if (text[0] == '\\')
		text++;
	return strcasecmp(text, job->user) == 0 ||
	    strcasecmp(text, job->address) == 0;
}

static int
too_many(struct local_outcome *out)
{
	return local_done(out, DELIVERY_PERMFAIL, 550, "5.2.4",
	    "the list has more than %d destinations", FORWARD_MAX);
}

/* What is no address would be refused further on, at the cost of the sender,
 * who cannot mend it. No name has a slash: it was meant to be a path. */
static int
add_address(
    const struct list *list, const char *text, struct local_outcome *out)
{
	const unsigned flags = ADDRESS_BARE | ADDRESS_UTF8 | ADDRESS_LONG;
	char canonical[ADDRESS_SIZE];
	struct msg_forward_dest dest = { .address = canonical };
	enum address_error error;
	struct address address;

	error = address_parse(text, strlen(text), flags, &address);
	if (error != ADDRESS_OK)
		return local_done(out, DELIVERY_TEMPFAIL, 451, "4.3.5",
		    "%.200s:%d: `%.150s` is no mail address: %s", list->path,
		    list->line, text, address_strerror(error));
	if (address.kind == ADDRESS_IS_BARE && strchr(text, '/') != NULL)
		return local_done(out, DELIVERY_TEMPFAIL, 451, "4.3.5",
		    "%.200s:%d: `%.150s` is no mail address; a path begins "
		    "with /",
		    list->path, list->line, text);
	address_format(&address, canonical);
	ipc_add_forward_dest(&out->forward, &dest);
	return out->forward.failed ? local_error(out, "memory", ENOMEM) : 0;
}

/* Commands and files: not for root, whom they would make a way in, not in a
 * list that others can write, and not where the action only forwards. */
static int
may_deliver(const struct local_job *job, int own, struct local_outcome *out)
{
	if (!own)
		return local_done(out, DELIVERY_TEMPFAIL, 451, "4.3.5",
		    "a list names a command or file, which only its owner "
		    "may write then");
	if (geteuid() == 0 || strcmp(job->method, "forward-only") == 0)
		return local_done(out, DELIVERY_TEMPFAIL, 451, "4.3.5",
		    geteuid() == 0
			? "root's list names a command or file"
			: "a command or file where only addresses may be");
	return 0;
}

int
local_discards(const char *path)
{
	return strcmp(path, "/dev/null") == 0;
}

/* What is in the outcome is tried again by itself: it goes to those that are
 * forwarded to, with the number by which it is known. */
static int
add_deferred(uint32_t number, struct local_outcome *out)
{
	char address[12];
	struct msg_forward_dest dest = { .address = address,
		.code = (uint16_t)out->code,
		.enhanced = out->enhanced,
		.text = out->text };

	if (out->status != DELIVERY_TEMPFAIL ||
	    out->forward.count >= FORWARD_MAX)
		return -1;
	snprintf(address, sizeof(address), "%u", (unsigned)number);
	ipc_add_forward_dest(&out->forward, &dest);
	return out->forward.failed ? local_error(out, "memory", ENOMEM) : 0;
}

/* What is in the outcome goes to those that are forwarded to, if it is for
 * good: 0. Else, or where there is no room, -1. */
static int
add_refusal(struct local_outcome *out)
{
	struct msg_forward_dest dest = { .address = "",
		.code = (uint16_t)out->code,
		.enhanced = out->enhanced,
		.text = out->text };

	if (out->status != DELIVERY_PERMFAIL ||
	    out->forward.count >= FORWARD_MAX)
		return -1;
	ipc_add_forward_dest(&out->forward, &dest);
	return out->forward.failed ? local_error(out, "memory", ENOMEM) : 0;
}

/* How many go to addresses (class 0), are to be tried again (4), were refused
 * (5). */
static unsigned
count_class(const struct local_outcome *out, int class)
{
	struct ipc_list list = ipc_buf_list(&out->forward);
	struct msg_forward_dest dest;
	unsigned n = 0;

	while (ipc_next_forward_dest(&list, &dest))
		n += dest.code / 100 == class;
	return n;
}

/* Whether anything was done but to note what failed. */
static int
has_success(const struct local_outcome *out)
{
	return out->kept || count_class(out, 0) > 0;
}

int
local_mailbox_failed(struct local_outcome *out)
{
	if (out->status == DELIVERY_TEMPFAIL)
		return has_success(out) ? add_deferred(ENTRY_MAILBOX, out) : -1;
	return out->kept || out->forward.count > count_class(out, 5)
	    ? add_refusal(out)
	    : -1;
}

static int
carry_out_item(const struct local_job *job, const struct alias_item *item,
    struct local_outcome *out)
{
	return item->kind == ALIAS_COMMAND ? local_command(job, item->text, out)
					   : local_file(job, item->text, out);
}

/* One of several. If it fails for good, its sender hears of it, if for now, it
 * is tried again, and the others get theirs all the same. Those of an alias's
 * list have nobody to whom they would be given again. All commands share the
 * time of one: master ends what takes longer, and nothing would be known of
 * what was done. */
static int
try_item(const struct local_job *job, const struct alias_item *item,
    int64_t end, struct local_outcome *out)
{
	struct local_job one = *job;

	one.deadline = (int)((end - local_now()) / 1000);
	if (one.deadline <= 0 && item->kind == ALIAS_COMMAND)
		local_done(out, DELIVERY_TEMPFAIL, 451, "4.3.0",
		    "those before it took all the time");
	else if (carry_out_item(&one, item, out) == 0) {
		out->kept = 1;
		return 0;
	}
	return job->use_forward && out->status == DELIVERY_TEMPFAIL
	    ? add_deferred(alias_item_mark(NULL, item), out)
	    : add_refusal(out);
}

/* error:550 text, as an alias has it. */
static int
say_error(const char *text, struct local_outcome *out)
{
	struct alias_error error;

	if (alias_error_parse(text, &error) == -1)
		return local_done(out, DELIVERY_TEMPFAIL, 451, "4.3.5",
		    "error:%.400s has no code from 400 to 599", text);
	return local_done(out,
	    error.code < 500 ? DELIVERY_TEMPFAIL : DELIVERY_PERMFAIL,
	    error.code, error.enhanced, "%.400s", error.text);
}

/* Each command and file may fail, which must have room in the answer. */
static int
has_no_room(const struct plan *plan, const struct local_outcome *out)
{
	return out->forward.count + plan->nitems >= FORWARD_MAX;
}

/* Takes the text of the item. */
static int
add_to_plan(
    struct plan *plan, struct alias_item *item, struct local_outcome *out)
{
	struct alias_item *added =
	    conf_append(&plan->items, &plan->nitems, sizeof(*added));

	if (added == NULL)
		return local_error(out, "memory", ENOMEM);
	*added = *item;
	item->text = NULL;
	return 0;
}

static int plan_list(const struct local_job *, const char *path, int depth,
    struct plan *, struct local_outcome *);

static int
plan_item(const struct local_job *job, struct alias_item *item,
    const struct list *list, struct plan *plan, struct local_outcome *out)
{
	if (item->kind == ALIAS_INCLUDE)
		return plan_list(job, item->text, list->depth + 1, plan, out);
	out->items++;
	if (item->kind == ALIAS_ERROR)
		return say_error(item->text, out) == 0 ? 0 : add_refusal(out);
	if (item->kind == ALIAS_ADDRESS) {
		if (!is_own(job, item->text))
			return has_no_room(plan, out)
			    ? too_many(out)
			    : add_address(list, item->text, out);
		plan->keep = 1;
		return 0;
	}
	if (item->kind == ALIAS_FILE && local_discards(item->text))
		return 0;
	if (has_no_room(plan, out))
		return too_many(out);
	return may_deliver(job, list->own, out) == 0
	    ? add_to_plan(plan, item, out)
	    : -1;
}

static int
plan_line(const struct local_job *job, const char *text,
    const struct list *list, struct plan *plan, struct local_outcome *out)
{
	struct alias alias;
	char error[128];
	size_t at;
	int rc = 0;

	if (alias_parse(
		text, strlen(text), &alias, error, sizeof(error), &at) == -1)
		return local_done(out, DELIVERY_TEMPFAIL, 451, "4.3.5",
		    "%s:%d:%zu: %s", list->path, list->line, at + 1, error);
	for (uint32_t i = 0; i < alias.nitems && rc == 0; i++)
		rc = plan_item(job, &alias.items[i], list, plan, out);
	alias_free(&alias);
	return rc;
}

static int
plan_list(const struct local_job *job, const char *path, int depth,
    struct plan *plan, struct local_outcome *out)
{
	struct list list = { .path = path, .depth = depth };
	struct alias_lines lines = { 0 };
	char *text, *line;
	int rc = 0;

	if (depth > DEPTH_MAX || ++out->lists > LISTS_MAX)
		return local_done(out, DELIVERY_PERMFAIL, 550, "5.4.6",
		    "lists include each other too deep or too often");
	if ((text = read_list(path, &list.own, out)) == NULL)
		return depth > 0 ? add_refusal(out) : -1;
	lines.rest = text;
	while (rc == 0 && (line = alias_next_line(&lines)) != NULL) {
		list.line = lines.line;
		rc = plan_line(job, line, &list, plan, out);
	}
	free(text);
	return rc;
}

/* Commands are the likeliest to fail for now, so they come before files, and
 * both before the mailbox and the addresses: what comes later is not done
 * again with an attempt that they end. */
static int
carry_out(const struct local_job *job, const struct plan *plan,
    struct local_outcome *out)
{
	static const enum alias_kind kinds[] = { ALIAS_COMMAND, ALIAS_FILE };
	const int64_t end = local_now() + job->deadline * 1000LL;
	int rc = 0;

	for (size_t k = 0; k < 2; k++)
		for (uint32_t i = 0; i < plan->nitems && rc == 0; i++)
			if (plan->items[i].kind == kinds[k])
				rc = try_item(job, &plan->items[i], end, out);
	return rc;
}

static const struct alias_item *
find_item(const struct plan *plan, uint32_t mark)
{
	const struct alias all = { plan->items, plan->nitems };
	const struct alias_item *item;

	if (!alias_item_is_mark(mark))
		return NULL;
	item = alias_item_find(&all, ALIAS_COMMAND, mark);
	return item != NULL ? item : alias_item_find(&all, ALIAS_FILE, mark);
}

static int
carry_out_all(const struct local_job *job, const char *path,
    const struct plan *plan, int *keep, struct local_outcome *out)
{
	if (carry_out(job, plan, out) == -1)
		return -1;
	/* it is the outcome of the whole: as a report, or as another attempt */
	if (!plan->keep && !has_success(out) &&
	    (count_class(out, 5) > 0) != (count_class(out, 4) > 0))
		return -1;
	*keep = plan->keep || out->items == 0;
	return local_done(out, DELIVERY_OK, 250, "2.0.0", "%s as %s says",
	    *keep || out->kept || out->forward.count > 0 ? "delivered"
							 : "discarded",
	    strrchr(path, '/') + 1);
}

int
local_list(const struct local_job *job, const char *path, uint32_t item,
    int *keep, struct local_outcome *out)
{
	struct plan plan = { 0 };
	const struct alias_item *one;
	int rc = plan_list(job, path, 0, &plan, out);

	*keep = 0;
	if (rc == 0 && (one = find_item(&plan, item)) != NULL) {
		/* the others had theirs */
		ipc_buf_reset(&out->forward);
		rc = carry_out_item(job, one, out);
	} else if (rc == 0)
		rc = carry_out_all(job, path, &plan, keep, out);
	for (uint32_t i = 0; i < plan.nitems; i++)
		free(plan.items[i].text);
	free(plan.items);
	return rc;
}
