/* SPDX-License-Identifier: MIT */
/*
 * monitor-policy.c - what a peer may do, from the rules that name it.
 *
 * Rules only ever add: whoever several rules name has what any of them gives. Nothing forbids, so
 * that the order of the rules does not matter and none can be undone by a later one.
 *
 * Root gets nothing special, with two exceptions: an administrator may always look, and may move
 * devices between drivers. uid 0 is let in without a rule, sees devices and domains of all, and has the
 * sessions that looking takes; devices and domains of its own it has only by a rule, like everybody
 * else.
 */
#include "daemon/monitor-config-rules.h"

#include <string.h>

static bool has_group(const struct peer *p, gid_t gid)
{
	if (p->gid == gid)
		return true;
	for (unsigned i = 0; i < p->group_count && i < PEER_MAX_GROUPS; i++) {
		if (p->groups[i] == gid)
			return true;
	}
	return false;
}

/* The broker's own sessions parse client bytes: a subverted one must not become a client. Of those
 * adopted from outside today's range session_admit() takes care. */
static bool is_session(const struct config *c, const struct peer *p)
{
	return p->uid >= c->session_uid_base && p->uid - c->session_uid_base < c->session_uids;
}

static bool rule_names(const struct config *c, const struct config_rule *r, const struct peer *p)
{
	if (is_session(c, p))
		return false;
	for (size_t i = 0; i < r->user_count; i++) {
		if (r->users[i] == p->uid)
			return true;
	}
	for (size_t i = 0; i < r->group_count; i++) {
		if (has_group(p, r->groups[i]))
			return true;
	}
	return false;
}

static bool pattern_matches(const struct device_pattern *t, const struct glue_device *d)
{
	switch (t->kind) {
	case PATTERN_ALL:
		return true;
	case PATTERN_NAME:
		return strncmp(t->text, d->name, sizeof(d->name)) == 0;
	case PATTERN_ID:
		return t->vendor == d->vendor && t->device == d->device;
	case PATTERN_CLASS:
		return t->class_code == d->class_code >> t->class_shift;
	case PATTERN_DRIVER:
		return strncmp(t->text, d->driver, sizeof(d->driver)) == 0;
	}
	return false;
}

static bool rule_matches_device(const struct config_rule *r, const struct glue_device *d)
{
	for (size_t i = 0; i < r->pattern_count; i++) {
		if (pattern_matches(&r->patterns[i], d))
			return true;
	}
	return false;
}

bool policy_knows(const struct config *c, const struct peer *p)
{
	if (p->uid == 0)
		return true;
	for (size_t i = 0; i < c->rule_count; i++) {
		if (rule_names(c, &c->rules[i], p))
			return true;
	}
	return false;
}

uint32_t policy_device_access(const struct config *c, const struct peer *p,
			      const struct glue_device *d)
{
	uint32_t access = 0;

	for (size_t i = 0; i < c->rule_count; i++) {
		const struct config_rule *r = &c->rules[i];

		if (rule_names(c, r, p) && rule_matches_device(r, d))
			access |= r->access;
	}
	return access;
}

bool policy_may_create_domain(const struct config *c, const struct peer *p)
{
	for (size_t i = 0; i < c->rule_count; i++) {
		if (c->rules[i].domains && rule_names(c, &c->rules[i], p))
			return true;
	}
	return false;
}

bool policy_may_inspect_all(const struct config *c, const struct peer *p)
{
	if (p->uid == 0)
		return true;
	for (size_t i = 0; i < c->rule_count; i++) {
		if (c->rules[i].inspect_all && rule_names(c, &c->rules[i], p))
			return true;
	}
	return false;
}

/* Root could write to sysfs itself. */
bool policy_may_move(const struct config *c, const struct peer *p, const struct glue_device *d)
{
	if (p->uid == 0)
		return true;
	for (size_t i = 0; i < c->rule_count; i++) {
		const struct config_rule *r = &c->rules[i];

		if (r->drivers && rule_names(c, r, p) && rule_matches_device(r, d))
			return true;
	}
	return false;
}

const char *policy_vfio_word(const struct config *c, size_t index)
{
	return index < c->vfio_count ? c->vfio[index].word : NULL;
}

bool policy_vfio_matches(const struct config *c, size_t index, const struct glue_device *d)
{
	return pattern_matches(&c->vfio[index].pattern, d);
}

bool policy_wants_vfio(const struct config *c, const struct glue_device *d)
{
	if (glue_is_bridge(d))
		return false;
	for (size_t i = 0; i < c->vfio_count; i++) {
		if (policy_vfio_matches(c, i, d))
			return true;
	}
	return false;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static void add_largest(struct quota *q, const struct quota *more)
{
	if (more->max_bytes > q->max_bytes)
		q->max_bytes = more->max_bytes;
	q->max_mappings = larger(q->max_mappings, more->max_mappings);
	q->max_sessions = larger(q->max_sessions, more->max_sessions);
	q->max_domains = larger(q->max_domains, more->max_domains);
	q->max_devices = larger(q->max_devices, more->max_devices);
	q->max_rate = larger(q->max_rate, more->max_rate);
	q->max_connects = larger(q->max_connects, more->max_connects);
	q->max_setups = larger(q->max_setups, more->max_setups);
}

void policy_fill_quota(struct quota *q, uint32_t written)
{
	static const struct {
		struct quota quota;
		uint32_t bit;
	} defaults[] = {
		{ { .max_bytes = UINT64_C(256) << 20 }, QUOTA_BIT(max_bytes) },
		{ { .max_mappings = 65536 }, QUOTA_BIT(max_mappings) },
		{ { .max_sessions = RULE_DEFAULT_SESSIONS }, QUOTA_BIT(max_sessions) },
		{ { .max_domains = 16 }, QUOTA_BIT(max_domains) },
		{ { .max_devices = 16 }, QUOTA_BIT(max_devices) },
		{ { .max_rate = QUOTA_UNLIMITED }, QUOTA_BIT(max_rate) },
		{ { .max_connects = RULE_DEFAULT_CONNECTS }, QUOTA_BIT(max_connects) },
		{ { .max_setups = RULE_DEFAULT_SETUPS }, QUOTA_BIT(max_setups) },
	};

	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
		if (!(written & defaults[i].bit))
			add_largest(q, &defaults[i].quota);
}

/* What a rule does not write does not undo what another one does. Nothing but zeros for a stranger. */
void policy_quota(const struct config *c, const struct peer *p, struct quota *q)
{
	static const struct quota root = {
		.max_sessions = RULE_DEFAULT_SESSIONS,
		.max_rate = QUOTA_UNLIMITED,
		.max_connects = RULE_DEFAULT_CONNECTS,
		.max_setups = RULE_DEFAULT_SETUPS,
	};
	uint32_t written = 0;
	bool named = false;

	*q = (struct quota){ 0 };
	for (size_t i = 0; i < c->rule_count; i++) {
		if (!rule_names(c, &c->rules[i], p))
			continue;
		named = true;
		written |= c->rules[i].written;
		add_largest(q, &c->rules[i].quota);
	}
	if (named)
		policy_fill_quota(q, written);
	if (p->uid == 0)
		add_largest(q, &root);
}
