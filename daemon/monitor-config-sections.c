/* SPDX-License-Identifier: MIT */
/* monitor-config-sections.c - [daemon], [drivers] and [allow NAME]: their headers, and the keys in them. */
#define _GNU_SOURCE /* reallocarray() */

#include "daemon/monitor-config-load.h"
#include "proto/rate.h"

#include <stdlib.h>
#include <string.h>

#define CONFIG_MAX_SIM 64u /* struct glue_options */
#define MAX_RULE_NAME  40u

#define DAEMON(member) offsetof(struct config, member)
#define RULE(member)   offsetof(struct config_rule, member)

static const struct key daemon_keys[] = {
	{ "backend", load_parse_backend, DAEMON(backend), 0, 0 },
	{ "socket", load_parse_socket, DAEMON(socket_path), 0, 0 },
	{ "session-uid-base", load_parse_u32, DAEMON(session_uid_base), 1000, CONFIG_UID_END - 1 },
	{ "max-sessions", load_parse_u32, DAEMON(max_sessions), 1, 65536 },
	{ "sim-devices", load_parse_u32, DAEMON(sim_devices), 1, CONFIG_MAX_SIM },
	{ "allow-unsafe-interrupts", load_parse_bool, DAEMON(allow_unsafe_interrupts), 0, 0 },
	{ "allow-test-kernel", load_parse_bool, DAEMON(allow_test_kernel), 0, 0 },
	{ NULL, NULL, 0, 0, 0 },
};

/* The list keys take the whole rule, because they fill more than one member. */
static const struct key rule_keys[] = {
	{ "user", load_parse_users, 0, 0, 0 },
	{ "group", load_parse_groups, 0, 0, 0 },
	{ "device", load_parse_devices, 0, 0, 0 },
	{ "access", load_parse_access, 0, 0, 0 },
	{ "domains", load_parse_bool, RULE(domains), 0, 0 },
	{ "inspect-all", load_parse_bool, RULE(inspect_all), 0, 0 },
	{ "drivers", load_parse_bool, RULE(drivers), 0, 0 },
	{ "max-bytes", load_parse_bytes, RULE(quota.max_bytes), 0, UINT64_C(1) << 50 },
	{ "max-mappings", load_parse_u32, RULE(quota.max_mappings), 0, 1 << 24 },
	{ "max-sessions", load_parse_u32, RULE(quota.max_sessions), 0, 65536 },
	{ "max-domains", load_parse_u32, RULE(quota.max_domains), 0, 65536 },
	{ "max-devices", load_parse_u32, RULE(quota.max_devices), 0, 65536 },
	{ "max-rate", load_parse_rate, RULE(quota.max_rate), 1, RATE_MAX },
	{ "max-connects", load_parse_rate, RULE(quota.max_connects), 1, RATE_MAX },
	{ "max-setups", load_parse_rate, RULE(quota.max_setups), 1, RATE_MAX },
	{ NULL, NULL, 0, 0, 0 },
};

static const struct key drivers_keys[] = {
	{ "vfio-pci", load_parse_vfio, 0, 0, 0 },
	{ NULL, NULL, 0, 0, 0 },
};

static struct config_rule *current_rule(struct load *l)
{
	return &l->config->rules[l->config->rule_count - 1];
}

_Static_assert(RULE(quota) > RULE(drivers), "what lies behind it is a number of the quota");

/* inih knows "#" at the beginning of a line only. */
static bool has_hash_comment(const char *value)
{
	const char *hash = strchr(value, '#');

	return hash && (hash == value || strchr(CONFIG_BLANKS, hash[-1]));
}

static bool has_key(const struct key *keys, const char *name)
{
	while (keys->name && strcmp(keys->name, name) != 0)
		keys++;
	return keys->name != NULL;
}

static int refuse_key(struct load *l, const char *name)
{
	const char *home = has_key(daemon_keys, name)  ? "[daemon]" :
			   has_key(rule_keys, name)    ? "[allow NAME]" :
			   has_key(drivers_keys, name) ? "[drivers]" :
							 NULL;

	return home ? load_refuse(l, "\"%.40s\" belongs in %s", name, home) :
		      load_refuse(l, "unknown key \"%.40s\"", name);
}

static int set_key(struct load *l, const struct key *keys, void *object, const char *name,
		   const char *value)
{
	const struct key *k = keys;
	int r;

	while (k->name && strcmp(k->name, name) != 0)
		k++;
	if (!k->name)
		return refuse_key(l, name);
	if (l->keys_seen & 1u << (k - keys))
		return load_refuse(l, "%s is given twice in this section", name);
	l->keys_seen |= 1u << (k - keys);
	if (*value == '\0')
		return load_refuse(l, "%s has no value", name);
	l->hint = has_hash_comment(value) ? " (a comment after a value begins with ;)" : NULL;
	r = k->parse(l, k, (char *)object + k->offset, value);
	l->hint = NULL;
	if (r == 0 && keys == rule_keys && k->offset >= RULE(quota))
		current_rule(l)->written |= 1u << (k->offset - RULE(quota)) / sizeof(uint32_t);
	return r;
}

/* One "name = value" of the section that the file is in. */
int load_setting(struct load *l, const char *name, const char *value)
{
	if (l->section == SECTION_DAEMON)
		return set_key(l, daemon_keys, l->config, name, value);
	if (l->section == SECTION_ALLOW)
		return set_key(l, rule_keys, current_rule(l), name, value);
	if (l->section == SECTION_DRIVERS)
		return set_key(l, drivers_keys, l->config, name, value);
	if (l->section == SECTION_BROKEN)
		return 0;
	return load_refuse(l, "a setting before any section (is the section's line still a "
			      "comment?)");
}

/* After a rule is complete. Blamed on its header. */
void load_finish_section(struct load *l)
{
	unsigned here = l->line;

	if (l->section != SECTION_ALLOW || l->people_seen)
		return;
	l->line = current_rule(l)->line;
	load_refuse(l, "the rule names neither user nor group");
	l->line = here;
}

static void rule_init(struct config_rule *rule, char *name, char *file, unsigned line)
{
	*rule = (struct config_rule){
		.name = name,
		.file = file,
		.line = line,
		.access = IOB_ACCESS_MEDIATED,
	};
}

static int refuse_name_of(struct load *l, const struct config_rule *other)
{
	char place[CONFIG_PLACE_BYTES];

	if (strcmp(other->file, l->path) == 0)
		return load_refuse(l, "rule \"%s\" is also in line %u", other->name, other->line);
	return load_refuse(l, "rule \"%s\" is also in %s:%u", other->name,
			   config_place(other->file, place), other->line);
}

/* Beyond those of ASCII, which no line may have: U+0080 to U+009F, and what an 8-bit terminal takes for
 * them. Within UTF-8 such a byte follows another one above ASCII. */
static bool has_controls(const char *text)
{
	unsigned char before = 0;

	for (const unsigned char *p = (const unsigned char *)text; *p; before = *p++)
		if (*p >= 0x80 && *p <= 0x9f && (before < 0x80 || before == 0xc2))
			return true;
	return false;
}

static int check_rule_name(struct load *l, const char *name)
{
	const struct config *c = l->config;

	if (*name == '\0' || strlen(name) > MAX_RULE_NAME)
		return load_refuse(l, "a rule needs a name of 1 to %u bytes", MAX_RULE_NAME);
	if (has_controls(name))
		return load_refuse(l, "a rule's name is shown on terminals: no control characters");
	for (size_t i = 0; i < c->rule_count; i++) {
		if (strcmp(c->rules[i].name, name) == 0)
			return refuse_name_of(l, &c->rules[i]);
	}
	if (c->rule_count == CONFIG_MAX_RULES)
		return load_refuse(l, "more than %u rules", CONFIG_MAX_RULES);
	return 0;
}

static int begin_rule(struct load *l, const char *name)
{
	struct config *c = l->config;
	struct config_rule *more;
	char *copy, *file;
	int r = check_rule_name(l, name);

	if (r < 0)
		return r;
	more = reallocarray(c->rules, c->rule_count + 1, sizeof(*more));
	if (!more)
		return load_no_memory(l);
	c->rules = more;
	copy = strdup(name);
	file = strdup(l->path);
	if (!copy || !file) {
		free(copy);
		free(file);
		return load_no_memory(l);
	}
	rule_init(&more[c->rule_count++], copy, file, l->line);
	l->section = SECTION_ALLOW;
	return 0;
}

static int begin_daemon(struct load *l)
{
	if (l->daemon_seen)
		return load_refuse(l, "a second [daemon] section");
	l->daemon_seen = true;
	l->section = SECTION_DAEMON;
	return 0;
}

/* What stands between the brackets; cut out of text, which is changed. NULL when wrong. */
static char *section_name(struct load *l, char *text)
{
	char *end = strchr(text, ']');

	if (!end || strchr(text + 1, '[')) {
		load_refuse(l, "not [section]");
		return NULL;
	}
	if (end[1] != '\0' && !strchr(";#", end[1 + strspn(end + 1, CONFIG_BLANKS)])) {
		load_refuse(l, "junk after the section header");
		return NULL;
	}
	while (end > text + 1 && strchr(CONFIG_BLANKS, end[-1]))
		end--;
	*end = '\0';
	return text + 1;
}

/* text: "[...", without blanks around. Changed in place. */
void load_header(struct load *l, char *text)
{
	char *name, *rest, *kind;

	load_finish_section(l);
	l->section = SECTION_BROKEN;
	l->people_seen = false;
	l->keys_seen = 0;
	name = rest = section_name(l, text);
	if (!name)
		return;
	kind = config_next_word(&rest);
	rest += strspn(rest, CONFIG_BLANKS);
	if (kind && strcmp(kind, "allow") == 0)
		begin_rule(l, rest);
	else if (kind && strcmp(kind, "daemon") == 0 && *rest == '\0')
		begin_daemon(l);
	else if (kind && strcmp(kind, "drivers") == 0 && *rest == '\0')
		l->section = SECTION_DRIVERS; /* any number of them: they add up */
	else if (kind && (strcmp(kind, "daemon") == 0 || strcmp(kind, "drivers") == 0))
		load_refuse(l, "[%s] takes no name", kind);
	else
		load_refuse(l, "unknown section \"%.40s\": use daemon, drivers or allow NAME",
			    name);
}
