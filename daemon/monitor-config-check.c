/* SPDX-License-Identifier: MIT */
/*
 * monitor-config-check.c - iommu-brokerd --check-config: for the administrator, before the daemon is
 * told to read it. What it prints is for people and may change.
 */
#define _DEFAULT_SOURCE /* getgrouplist() */

#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>

#include "daemon/monitor-config-load.h"

static void tell_problem(void *arg, const struct fault *f)
{
	unsigned *told = arg;

	fprintf(stderr, "%s\n", f->text);
	if (++*told == CONFIG_MAX_PROBLEMS)
		fprintf(stderr, "there may be more\n");
}

/* ---- settings without effect: no mistakes, and not what was meant ---- */

static void warn(const struct config_rule *r, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void warn(const struct config_rule *r, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s:%u: warning: [allow %s]: ", r->file, r->line, r->name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

/* The user with all the groups that the database gives him, as when he connects. */
static void peer_of(uid_t uid, struct peer *p)
{
	const struct passwd *user = getpwuid(uid);
	int count = PEER_MAX_GROUPS;

	*p = (struct peer){ .uid = uid, .gid = (gid_t)-1, .pidfd = -1 };
	if (!user)
		return;
	p->gid = user->pw_gid;
	if (getgrouplist(user->pw_name, user->pw_gid, p->groups, &count) < 0)
		count = PEER_MAX_GROUPS;
	p->group_count = (unsigned)count;
}

/* Another rule may give him connections. */
static void warn_of_the_shut_out(const struct config *c, const struct config_rule *r)
{
	struct peer p;
	struct quota q;

	if (r->quota.max_sessions > 0 || !(r->written & QUOTA_BIT(max_sessions)))
		return;
	for (size_t i = 0; i < r->user_count; i++) {
		peer_of(r->users[i], &p);
		policy_quota(c, &p, &q);
		if (q.max_sessions == 0)
			warn(r, "max-sessions = 0: user %u can never connect", r->users[i]);
	}
}

static bool makes_none(const struct config_rule *r)
{
	struct quota q = r->quota;

	policy_fill_quota(&q, r->written);
	return q.max_domains == 0 || q.max_bytes == 0 || q.max_mappings == 0;
}

static void warn_of_rule(const struct config *c, const struct config_rule *r)
{
	if (r->pattern_count == 0 && r->access != IOB_ACCESS_MEDIATED)
		warn(r, "access without device has no effect");
	if (r->pattern_count == 0 && r->drivers)
		warn(r, "drivers = yes without device has no effect");
	if (r->domains && makes_none(r))
		warn(r,
		     "domains = yes has no effect where a limit of them, or of what they map, is 0");
	if (r->quota.max_sessions > c->max_sessions)
		warn(r, "max-sessions = %u is above the %u of the daemon", r->quota.max_sessions,
		     c->max_sessions);
	warn_of_the_shut_out(c, r);
}

/* ---- who ---- */

static void print_users(const struct config_rule *r)
{
	for (size_t i = 0; i < r->user_count; i++) {
		const struct passwd *p = getpwuid(r->users[i]);

		printf("%s%s (%u)",
		       i		 ? ", " :
		       r->user_count > 1 ? "users " :
					   "user ",
		       p ? p->pw_name : "?", r->users[i]);
	}
}

static void print_groups(const struct config_rule *r)
{
	for (size_t i = 0; i < r->group_count; i++) {
		const struct group *g = getgrgid(r->groups[i]);

		printf("%s%s (%u)",
		       i		  ? ", " :
		       r->group_count > 1 ? "groups " :
					    "group ",
		       g ? g->gr_name : "?", r->groups[i]);
	}
}

/* ---- what ---- */

static void print_pattern(const struct device_pattern *t)
{
	switch (t->kind) {
	case PATTERN_ALL:
		printf("all devices");
		break;
	case PATTERN_NAME:
		printf("%s", t->text);
		break;
	case PATTERN_ID:
		printf("%04x:%04x", t->vendor, t->device);
		break;
	case PATTERN_CLASS:
		printf("class %0*x", (int)(24 - t->class_shift) / 4, t->class_code);
		break;
	case PATTERN_DRIVER:
		printf("driver %s", t->text);
		break;
	}
}

static void print_devices(const struct config_rule *r)
{
	if (r->pattern_count == 0) {
		printf("  no device\n");
		return;
	}
	printf("  may open: ");
	for (size_t i = 0; i < r->pattern_count; i++) {
		printf("%s", i ? ", " : "");
		print_pattern(&r->patterns[i]);
	}
	printf("\n  access: %s%s%s\n", r->access & IOB_ACCESS_MEDIATED ? "mediated" : "",
	       r->access == (IOB_ACCESS_MEDIATED | IOB_ACCESS_FD) ? " and " : "",
	       r->access & IOB_ACCESS_FD ? "fd" : "");
	if (r->drivers)
		printf("  may move these devices between the host's driver and vfio-pci\n");
}

static void print_bytes(uint64_t bytes)
{
	static const char suffixes[] = "KMGT";
	unsigned i = 0;

	while (bytes != 0 && bytes % 1024 == 0 && suffixes[i] != '\0') {
		bytes /= 1024;
		i++;
	}
	printf("%ju%.*s", (uintmax_t)bytes, i ? 1 : 0, i ? &suffixes[i - 1] : "");
}

static void print_count(const char *before, uint32_t count, const char *what)
{
	printf("%s%u %s%s", before, count, what, count == 1 ? "" : "s");
}

static void print_rate(const char *what, uint32_t rate)
{
	if (rate == QUOTA_UNLIMITED)
		printf("%s without limit", what);
	else
		printf("%u %s", rate, what);
}

/* What the rule does not write is the default, where no other rule names the user and writes it. */
static void print_quota(const struct config_rule *r)
{
	struct quota q = r->quota;

	policy_fill_quota(&q, r->written);
	printf("  each user at most: ");
	print_bytes(q.max_bytes);
	print_count(" in ", q.max_mappings, "mapping");
	print_count("; ", q.max_sessions, "connection");
	print_count(", ", q.max_domains, "domain");
	print_count(", ", q.max_devices, "device");
	printf("\n");
	printf("  in a second: ");
	print_rate("operations on a connection", q.max_rate);
	printf("; ");
	print_rate("new connections", q.max_connects);
	printf("; ");
	print_rate("domains made, devices opened and bound, drivers looked at or changed",
		   q.max_setups);
	printf("\n");
}

static void print_rule(const struct config_rule *r)
{
	printf("\n[allow %s] %s:%u\n  ", r->name, r->file, r->line);
	print_users(r);
	printf("%s", r->user_count && r->group_count ? "; " : "");
	print_groups(r);
	printf("\n");
	print_devices(r);
	printf("  may%s make domains; sees %s\n", r->domains ? "" : " not",
	       r->inspect_all ? "devices and domains of all" : "only its own domains");
	print_quota(r);
}

static void print_moved_at_start(const struct config *c)
{
	const char *word;

	if (c->vfio_count == 0)
		return;
	printf("at the start to vfio-pci: ");
	for (size_t i = 0; (word = policy_vfio_word(c, i)); i++)
		printf("%s%s", i ? ", " : "", word);
	printf("\n");
}

static void print_config(const char *path, const struct config *c)
{
	printf("%s: right; %u file%s\n", path, c->file_count, c->file_count == 1 ? "" : "s");
	printf("backend %s, socket %s", config_backend_name(c->backend), c->socket_path);
	print_count(", at most ", c->max_sessions, "connection");
	printf("\n");
	if (c->allow_unsafe_interrupts)
		printf("DEVICES MAY FORGE INTERRUPTS: allow-unsafe-interrupts = yes\n");
	if (c->allow_test_kernel)
		printf("A KERNEL MADE FOR TESTS IS TAKEN: allow-test-kernel = yes\n");
	print_moved_at_start(c);
	if (c->rule_count == 0)
		printf("no rule: nobody but root may connect, and nobody gets a device\n");
	for (size_t i = 0; i < c->rule_count; i++)
		print_rule(&c->rules[i]);
}

int config_check(const char *path)
{
	unsigned told = 0;
	const struct config_reading how = { .problem = tell_problem, .arg = &told };
	struct config c;
	struct fault why;

	if (config_load_with(path, &how, &c, &why) < 0)
		return 1;
	for (size_t i = 0; i < c.rule_count; i++)
		warn_of_rule(&c, &c.rules[i]);
	if (config_uids_taken(&c, CONFIG_PASSWD, &why))
		fprintf(stderr, "%s: warning: %s\n", path, why.text);
	print_config(path, &c);
	config_deinit(&c);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
