/* SPDX-License-Identifier: MIT */
/* monitor-config-rules.h - what one [allow] section says; private to the config and the policy. */
#ifndef DAEMON_MONITOR_CONFIG_RULES_H
#define DAEMON_MONITOR_CONFIG_RULES_H

#include "daemon/monitor-config.h"

enum pattern_kind {
	PATTERN_ALL,	/* "*" */
	PATTERN_NAME,	/* "0000:01:00.0" */
	PATTERN_ID,	/* "1234:11e8" */
	PATTERN_CLASS,	/* "class:0108": the leading bits of the 24-bit class code */
	PATTERN_DRIVER, /* "driver:vfio-pci" */
};

struct device_pattern {
	enum pattern_kind kind;
	uint32_t class_code; /* PATTERN_CLASS: shifted right by class_shift */
	uint32_t class_shift;
	uint16_t vendor;
	uint16_t device;
	char text[IOB_NAME_BYTES]; /* PATTERN_NAME, PATTERN_DRIVER */
};

struct config_rule {
	char *name;
	char *file;    /* that it is in */
	unsigned line; /* of the section header */
	uid_t *users;
	size_t user_count;
	unsigned users_line;
	gid_t *groups;
	size_t group_count;
	struct device_pattern *patterns;
	size_t pattern_count;
	uint32_t access; /* IOB_ACCESS_* to all devices that a pattern matches */
	bool domains;
	bool inspect_all;
	bool drivers;	    /* may change the drivers of all devices that a pattern matches */
	struct quota quota; /* what it writes; zero otherwise */
	uint32_t written;   /* QUOTA_BIT() of those */
};

#define QUOTA_BIT(member) (1u << offsetof(struct quota, member) / sizeof(uint32_t))
_Static_assert(sizeof(struct quota) / sizeof(uint32_t) <= 32, "a bit for each");

/* Numbers that nobody has written. */
void policy_fill_quota(struct quota *q, uint32_t written);

/* One word behind vfio-pci of [drivers]. */
struct config_vfio {
	struct device_pattern pattern;
	char word[IOB_NAME_BYTES];
};

/* Where no rule says how many; and what root may use to look, without any rule. */
#define RULE_DEFAULT_SESSIONS 16u
#define RULE_DEFAULT_CONNECTS 50u
#define RULE_DEFAULT_SETUPS   200u

#endif
