/*
 * What a seed makes: the configuration, the domains and hosts, who sends when,
 * and what breaks. After some days all is mended, and what is queued must
 * come to its end.
 */
#include "config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "scene.h"
/* its tokens have names that messages.h uses and forgets */
#include "master/parse.h"

struct world world;

static const char *const accounts[] = { "alice", "bob", "carol", "walker" };

int
scene_account(const char *name)
{
	for (size_t i = 0; i < sizeof(accounts) / sizeof(accounts[0]); i++)
		if (strcmp(accounts[i], name) == 0)
			return 1;
	return 0;
}

/* ---- configuration ---------------------------------------------------- */

static void
make_configuration(void)
{
	static const char *const refused[] = { "bounce", "drop", "hold" };
	static const char *const warn[] = { "", "bounce warn-interval 4h\n",
		"bounce warn-interval 1h, 6h\n" };
	char *errors, *text;
	size_t len, size;
	FILE *out = open_memstream(&text, &len);
	FILE *log = open_memstream(&errors, &size);
	unsigned days = 1 + dice_under(4), policy = dice_under(3);

	world.lifetime = (days > 3 ? days : 3) * (int64_t)DAY;
	fprintf(out,
	    "table trusted { 192.0.2.0/24 }\n"
	    "table aliases { list = \"alice, bob, far@mx0.test\" }\n"
	    "set retry min %um max %uh\n"
	    "queue ttl %ud\n%s"
	    "listen on all\n"
	    "action \"local\" mbox alias <aliases>\n"
	    "action \"backup\" relay backup mx \"mx.ours.test\" "
	    "probe-interval %um refused %s ttl 3d\n"
	    "action \"out\" relay\n"
	    "match from any for domain \"ours.test\" action \"local\"\n"
	    "match from any for domain \"backup.test\" action \"backup\"\n"
	    "match from src <trusted> for any action \"out\"\n"
	    "match from local for any action \"out\"\n",
	    1 + dice_under(20), 1 + dice_under(4), days, warn[dice_under(3)],
	    1 + dice_under(30), refused[policy]);
	world.drops = policy == 1;
	fclose(out);
	world.conf = conf_parse_text("sim", text, len, NULL, log);
	fclose(log);
	if (world.conf == NULL)
		fail("the configuration is refused: %s", errors);
	free(errors);
	world.conf_text = text;
	free(world.conf->server_name);
	world.conf->server_name = strdup("mx.ours.test");
}

/* ---- domains and hosts ------------------------------------------------ */

static struct domain *
add_domain(const char *name, enum domain_kind kind)
{
	struct domain *d = &world.domains[world.ndomains++];

	snprintf(d->name, sizeof(d->name), "%s", name);
	d->kind = kind;
	return d;
}

static struct host *
add_host(struct domain *d, const char *prefix, uint16_t preference)
{
	struct host *h = &world.hosts[world.nhosts++];

	snprintf(h->name, sizeof(h->name), "%s.%s", prefix, d->name);
	h->domain = d;
	h->preference = preference;
	h->options = dice_under(8);
	h->address[0] = 203;
	h->address[1] = 0;
	h->address[2] = 112;
	h->address[3] = (uint8_t)world.nhosts;
	d->hosts[d->nhosts++] = h;
	return h;
}

static void
make_domains(void)
{
	struct domain *d;
	char name[32];
	uint16_t preference;

	add_domain("ours.test", DOMAIN_OURS);
	d = add_domain("backup.test", DOMAIN_BACKUP);
	add_host(d, "primary", 5);
	if (dice_one_in(2))
		add_host(d, "second", 10);
	add_host(d, "us", 20)->is_us = 1;
	snprintf(d->hosts[d->nhosts - 1]->name, 32, "mx.ours.test");
	inet_pton(AF_INET, "198.51.100.1", d->hosts[d->nhosts - 1]->address);
	if (dice_one_in(2))
		add_host(d, "worse", dice_one_in(2) ? 20 : 30);
	for (unsigned i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "mx%u.test", i);
		d = add_domain(name, DOMAIN_MX);
		preference = 0;
		for (uint32_t n = 1 + dice_under(4); n > 0; n--) {
			snprintf(name, sizeof(name), "h%u", n);
			preference += (uint16_t)(dice_under(3) * 10);
			add_host(d, name, preference);
		}
	}
	d = add_domain("plain.test", DOMAIN_PLAIN);
	add_host(d, "only", 0);
	add_domain("nullmx.test", DOMAIN_NULL_MX);
	add_domain("missing.test", DOMAIN_MISSING);
}

void
scene_make(void)
{
	make_configuration();
	make_domains();
	world.listener = socket_listener();
	world.control = socket_listener();
}
