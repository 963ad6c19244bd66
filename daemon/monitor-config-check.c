/* SPDX-License-Identifier: MIT */
/*
 * monitor-config-check.c - iommu-brokerd --check-config: for the administrator, before the daemon is
 * told to read it. What it prints is for people and may change.
 */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>

#include "daemon/monitor-config-rules.h"

static void tell_problem(void *arg, const struct fault *f)
{
	fprintf(arg, "%s\n", f->text);
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

static void print_rate(const char *what, uint32_t rate)
{
	if (rate == QUOTA_UNLIMITED)
		printf("%s without limit", what);
	else
		printf("%u %s", rate, what);
}

static void print_quota(const struct quota *q)
{
	printf("  each user at most: ");
	print_bytes(q->max_bytes);
	printf(" in %u mappings; %u connections, %u domains, %u devices\n", q->max_mappings,
	       q->max_sessions, q->max_domains, q->max_devices);
	printf("  in a second: ");
	print_rate("operations on a connection", q->max_rate);
	printf("; ");
	print_rate("new connections", q->max_connects);
	printf("; ");
	print_rate("domains made, devices opened and bound", q->max_setups);
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
	       r->inspect_all ? "the domains of all" : "the own domains only");
	print_quota(&r->quota);
}

static void print_config(const char *path, const struct config *c)
{
	printf("%s: right; %u file%s\n", path, c->file_count, c->file_count == 1 ? "" : "s");
	printf("backend %s, socket %s, at most %u connections\n", config_backend_name(c->backend),
	       c->socket_path, c->max_sessions);
	if (c->allow_unsafe_interrupts)
		printf("DEVICES MAY FORGE INTERRUPTS: allow-unsafe-interrupts = yes\n");
	if (c->allow_test_kernel)
		printf("A KERNEL MADE FOR TESTS IS TAKEN: allow-test-kernel = yes\n");
	if (c->rule_count == 0)
		printf("no rule: nobody but root may connect, and nobody gets a device\n");
	for (size_t i = 0; i < c->rule_count; i++)
		print_rule(&c->rules[i]);
}

int config_check(const char *path)
{
	const struct config_reading how = { .problem = tell_problem, .arg = stderr };
	struct config c;
	struct fault why;

	if (config_load_with(path, &how, &c, &why) < 0)
		return 1;
	print_config(path, &c);
	config_deinit(&c);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
