/* SPDX-License-Identifier: MIT */
/* monitor-config-users.c - whom a rule is for: users and groups, by name or by number. */
#define _GNU_SOURCE /* fgetpwent(), reallocarray() */

#include "daemon/monitor-config-load.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LOOKUP_BYTES (1u << 20) /* of one passwd or group entry */

typedef int lookup_fn(const char *name, char *buffer, size_t bytes, uint32_t *id);

/* Both: 0, -ENOENT for an unknown name, -ERANGE for a small buffer, or what the service says. */
static int lookup_user(const char *name, char *buffer, size_t bytes, uint32_t *id)
{
	struct passwd entry, *found = NULL;
	int r = getpwnam_r(name, &entry, buffer, bytes, &found);

	if (found)
		*id = found->pw_uid;
	return r ? -r : found ? 0 : -ENOENT;
}

static int lookup_group(const char *name, char *buffer, size_t bytes, uint32_t *id)
{
	struct group entry, *found = NULL;
	int r = getgrnam_r(name, &entry, buffer, bytes, &found);

	if (found)
		*id = found->gr_gid;
	return r ? -r : found ? 0 : -ENOENT;
}

int config_resolve(enum config_people kind, const char *name, uint32_t *id)
{
	lookup_fn *ask = kind == CONFIG_USER ? lookup_user : lookup_group;
	size_t bytes = 1024;
	char *buffer = NULL;
	int r = -ERANGE;

	while (r == -ERANGE && bytes <= MAX_LOOKUP_BYTES) {
		free(buffer);
		buffer = malloc(bytes);
		r = buffer ? ask(name, buffer, bytes, id) : -ENOMEM;
		bytes *= 2;
	}
	free(buffer);
	return r == 0 && *id == UINT32_MAX ? -ENOENT : r;
}

/* Who has the uid of a session could end it, and it could take what is that user's. */
bool config_uids_taken(const struct config *c, const char *passwd, struct fault *why)
{
	FILE *file = fopen(passwd, "re");
	const struct passwd *user;
	bool taken = false;

	while (file && !taken && (user = fgetpwent(file))) {
		taken = user->pw_uid >= c->session_uid_base &&
			user->pw_uid - c->session_uid_base < c->session_uids;
		if (taken)
			fault_set(
				why, IOB_E_UNSAFE, IOB_STEP_NONE, 0,
				"uid %u of user %.32s is one of those that sessions run as: choose "
				"another session-uid-base",
				user->pw_uid, user->pw_name);
	}
	if (file)
		fclose(file);
	return taken;
}

static int resolve(const struct load *l, enum config_people kind, const char *name, uint32_t *id)
{
	if (l->how && l->how->resolve)
		return l->how->resolve(l->how->arg, kind, name, id);
	return config_resolve(kind, name, id);
}

/* A number needs no entry in the user database; a name is resolved now, once. */
static int parse_id(struct load *l, enum config_people kind, const char *word, uint32_t *id)
{
	const char *what = kind == CONFIG_USER ? "user" : "group";
	uint64_t number = 0;
	int r;

	if (config_all_digits(word)) {
		if (!config_parse_digits(word, &number) || number >= UINT32_MAX)
			return load_refuse(l, "%s number %.40s is out of range", what, word);
		*id = (uint32_t)number;
		return 0;
	}
	r = resolve(l, kind, word, id);
	if (r == -ENOENT)
		return load_refuse(l, "unknown %s \"%.40s\"", what, word);
	if (r == -ESTALE)
		return load_fail(l, IOB_E_BUSY, -r, "changed while it was read: reload once more");
	if (r < 0)
		return load_fail(l, IOB_E_SYSTEM, -r, "cannot look up %s \"%.40s\": %s", what, word,
				 strerror(-r));
	return 0;
}

static int add_id(struct load *l, uint32_t **ids, size_t *count, uint32_t id)
{
	uint32_t *more = reallocarray(*ids, *count + 1, sizeof(*more));

	if (!more)
		return load_no_memory(l);
	more[(*count)++] = id;
	*ids = more;
	return 0;
}

static int take_user(struct load *l, void *field, const char *word)
{
	struct config_rule *rule = field;
	uint32_t id = 0;
	int r = parse_id(l, CONFIG_USER, word, &id);

	return r ? r : add_id(l, &rule->users, &rule->user_count, id);
}

static int take_group(struct load *l, void *field, const char *word)
{
	struct config_rule *rule = field;
	uint32_t id = 0;
	int r = parse_id(l, CONFIG_GROUP, word, &id);

	return r ? r : add_id(l, &rule->groups, &rule->group_count, id);
}

int load_parse_users(struct load *l, const struct key *k, void *field, const char *value)
{
	struct config_rule *rule = field;

	(void)k;
	l->people_seen = true;
	rule->users_line = l->line;
	return load_each_word(l, value, take_user, field);
}

int load_parse_groups(struct load *l, const struct key *k, void *field, const char *value)
{
	(void)k;
	l->people_seen = true;
	return load_each_word(l, value, take_group, field);
}
