/*
 * The deliver worker as one process: what its parts share. main.c owns the
 * context and hands it down. Nothing here is known to libdeliver.a, which
 * decides; these files only carry.
 *
 *	main.c		the worker's life and its messages
 *	settings.c	the configuration in force, actions, TLS
 *	question.c	what resolver and auth were asked
 *	lookup.c	from a destination to candidates, by questions
 *	body.c		where a message's body comes from
 *	pool.c		routes, their idle sessions, figures for smtpctl
 *	session.c	a client core joined to a stream
 *	transfer.c	one transaction of the queue, from its begin to its
 *			results
 */
#ifndef DELIVER_DELIVER_H
#define DELIVER_DELIVER_H

#include <sys/queue.h>

#include <stdint.h>

#include "deliver/mx.h"
#include "ipc/channel.h"

enum { DELIVER_OWN_ADDRESSES = 64 };

struct event;
struct key_client;
struct loop;
struct pool;
struct questions;
struct route_hosts;
struct settings;
struct stream_set;
struct transfers;
struct worker;

struct deliver {
	struct worker *worker;
	struct loop *loop;
	struct stream_set *streams;
	struct key_client *keys;
	struct settings *settings; /* in force */
	struct settings *next; /* checked, to be swapped in */
	struct route_hosts *hosts;
	struct questions *questions;
	struct pool *pool;
	struct transfers *transfers;
	struct event *tick; /* once a second */
	struct mx_address own_addresses[DELIVER_OWN_ADDRESSES];
	size_t own_addresses_count;
	int64_t stop_by; /* worker_stop came; 0: it did not */
};

#endif
