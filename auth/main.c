/*
 * The auth worker: the only process that holds tables and credentials. Reads
 * tables through descriptors that master passes, then answers questions and
 * opens nothing.
 */
#include "config.h"

#include <sys/types.h>

#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "auth/auth.h"
#include "conf/codec.h"
#include "net/loop.h"
#include "os/log.h"

enum {
	TABLE_OCTETS_MAX = 256 << 20,
	ACCOUNTS_MAX = 16384,
	CALLAHEAD_MAX = 200000,
	HISTORY_ENTRIES = 65536
};

/* What the thread that hashes needs. */
static const int syscalls[] = {
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
};

int64_t
auth_now(const struct auth *auth)
{
	return loop_now(worker_loop(auth->worker)) / 1000;
}

static void
generation_free(struct generation *g)
{
	conf_free(g->conf);
	tables_free(g->tables);
	g->conf = NULL;
	g->tables = NULL;
}

/* The whole of a descriptor; NULL with errno set. */
static char *
read_all(int fd, size_t *len)
{
	size_t size = 0, used = 0;
	char *text = NULL, *grown;
	ssize_t n;

	for (;;) {
		if (used == size) {
			size = size == 0 ? 65536 : 2 * size;
			if (size > TABLE_OCTETS_MAX) {
				errno = EFBIG;
				break;
			}
			if ((grown = realloc(text, size)) == NULL)
				break;
			text = grown;
		}
		n = read(fd, text + used, size - used);
		if (n == 0) {
			*len = used;
			return text;
		}
		if (n > 0)
			used += (size_t)n;
		else if (errno != EINTR)
			break;
	}
	if (text != NULL)
		explicit_bzero(text, used);
	free(text);
	return NULL;
}

static int
add_file_table(struct tables *tables, const struct conf_table *t,
    const struct worker_file *files, size_t count, char *error, size_t size)
{
	size_t i, len = 0;
	char *text;
	int rc;

	for (i = 0; i < count; i++)
		if (strcmp(files[i].kind, "table") == 0 &&
		    strcmp(files[i].name, t->name) == 0)
			break;
	if (i == count) {
		snprintf(error, size, "table %s: no file was passed", t->name);
		return -1;
	}
	if ((text = read_all(files[i].fd, &len)) == NULL) {
		snprintf(error, size, "table %s: %s", t->name, strerror(errno));
		return -1;
	}
	rc = tables_add(tables, t, text, len, error, size);
	explicit_bzero(text, len);
	free(text);
	return rc;
}

static int
load_tables(struct generation *g, const struct worker_file *files, size_t count,
    char *error, size_t size)
{
	const char *delim = g->conf->smtp.sub_addr_delim;

	g->tables = tables_new(delim != NULL ? *delim : '\0');
	if (g->tables == NULL) {
		snprintf(error, size, "out of memory");
		return -1;
	}
	for (uint32_t i = 0; i < g->conf->ntables; i++) {
		const struct conf_table *t = &g->conf->tables[i];
		int rc = 0;

		if (t->kind == CONF_TABLE_STATIC)
			rc = tables_add(g->tables, t, NULL, 0, error, size);
		else if (t->kind == CONF_TABLE_FILE)
			rc = add_file_table(
			    g->tables, t, files, count, error, size);
		else {
			snprintf(error, size,
			    "table %s: this release has no %s tables", t->name,
			    t->backend);
			rc = -1;
		}
		if (rc == -1)
			return -1;
	}
	return 0;
}

static int
configure(void *arg, struct worker *worker, const uint8_t *slice, size_t len,
    const struct worker_file *files, size_t file_count, char *error,
    size_t size)
{
	struct auth *auth = arg;
	int rc = -1;

	auth->worker = worker;
	generation_free(&auth->next);
	auth->next.conf = conf_decode(slice, len, error, size);
	if (auth->next.conf != NULL)
		rc = load_tables(&auth->next, files, file_count, error, size);
	if (rc == -1)
		generation_free(&auth->next);
	for (size_t i = 0; i < file_count; i++)
		close(files[i].fd);
	return rc;
}

static int
before_sandbox(void *arg, char *error, size_t size)
{
	uint8_t key[HISTORY_KEY_OCTETS];
	struct auth *auth = arg;

	if (RAND_bytes(key, sizeof(key)) != 1 ||
	    RAND_bytes(auth->secret, sizeof(auth->secret)) != 1) {
		snprintf(error, size, "no randomness");
		return -1;
	}
	auth->accounts = accounts_new(ACCOUNTS_MAX);
	auth->callahead = callahead_new(CALLAHEAD_MAX);
	auth->history =
	    history_new(key, &history_default_limits, HISTORY_ENTRIES);
	auth->hasher = hasher_new(worker_loop(auth->worker));
	explicit_bzero(key, sizeof(key));
	if (auth->accounts == NULL || auth->callahead == NULL ||
	    auth->history == NULL || auth->hasher == NULL) {
		snprintf(error, size, "out of memory or descriptors");
		return -1;
	}
	return 0;
}

static void
swap(void *arg)
{
	struct auth *auth = arg;

	generation_free(&auth->now);
	auth->now = auth->next;
	auth->next = (struct generation){ 0 };
	rules_swap(auth);
}

static void
peer_down(void *arg, struct channel *ch)
{
	rules_peer_down(arg, ch);
	logins_peer_down(arg, ch);
}

static void
on_user_answer(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	if (!logins_account(arg, &m->user_answer))
		rules_account(arg, &m->user_answer);
}

static channel_handler *const handlers[MSG_MAX] = {
	[MSG_rcpt_check] = on_rcpt_check,
	[MSG_expand] = on_expand,
	[MSG_table_query] = on_table_query,
	[MSG_sender_check] = on_sender_check,
	[MSG_callahead_done] = on_callahead_done,
	[MSG_callahead_keep] = on_callahead_keep,
	[MSG_explain] = on_explain,
	[MSG_backup_query] = on_backup_query,
	[MSG_user_answer] = on_user_answer,
	[MSG_sasl_begin] = on_sasl_begin,
	[MSG_sasl_step] = on_sasl_step,
	[MSG_sasl_abort] = on_sasl_abort,
	[MSG_client_sasl_begin] = on_client_sasl_begin,
	[MSG_client_sasl_step] = on_client_sasl_step,
	[MSG_client_sasl_abort] = on_client_sasl_abort,
};

static const struct worker_ops ops = {
	.kind = PROC_AUTH,
	.handlers = handlers,
	.syscalls = syscalls,
	.syscall_count = sizeof(syscalls) / sizeof(syscalls[0]),
	.threads = 1,
	.net = SANDBOX_NET_NONE,
	.configure = configure,
	.before_sandbox = before_sandbox,
	.swap = swap,
	.peer_down = peer_down,
};

int
main(int argc, char **argv)
{
	struct auth auth = { 0 };

	TAILQ_INIT(&auth.jobs);
	TAILQ_INIT(&auth.logins);
	TAILQ_INIT(&auth.hashing);
	TAILQ_INIT(&auth.client_logins);
	return worker_main(argc, argv, &ops, &auth);
}
