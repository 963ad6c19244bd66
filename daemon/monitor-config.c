/* SPDX-License-Identifier: MIT */
/*
 * monitor-config.c - loads the configuration: what is wrong with it, and what it says as a whole.
 *
 * monitor-config-files.c finds the files and sees whether they may be trusted,
 * monitor-config-lines.c reads them, monitor-config-sections.c knows the sections and their keys,
 * and monitor-config-values.c, -users.c and -devices.c know what may stand behind a key.
 */
#include "daemon/monitor-config-load.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *config_place(const char *path, char out[CONFIG_PLACE_BYTES])
{
	size_t length = strlen(path), room = CONFIG_PLACE_BYTES - 1;
	bool fits = length <= room;

	snprintf(out, CONFIG_PLACE_BYTES, "%s%s", fits ? "" : "...",
		 fits ? path : path + length - (room - 3));
	return out;
}

/* Tells of a problem in the line that was read last; the first one is what the run fails with. */
int load_fail(struct load *l, enum iob_code code, int error, const char *format, ...)
{
	char reason[IOB_MAX_TEXT], place[CONFIG_PLACE_BYTES];
	struct fault f;
	va_list args;
	int r;

	if (l->stopped)
		return -error;
	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	config_place(l->path, place);
	if (l->line)
		r = fault_set(&f, code, IOB_STEP_NONE, error, "%s:%u: %s%s", place, l->line, reason,
			      l->hint ? l->hint : "");
	else
		r = fault_set(&f, code, IOB_STEP_NONE, error, "%s: %s", place, reason);
	if (!l->error) {
		l->error = r;
		*l->why = f;
	}
	if (l->how && l->how->problem)
		l->how->problem(l->how->arg, &f);
	l->stopped |= ++l->problems == CONFIG_MAX_PROBLEMS || code == IOB_E_NO_MEMORY;
	return r;
}

/* ---- what can only be said of all of it ---- */

static void check_rule_uids(struct load *l, const struct config_rule *rule)
{
	const struct config *c = l->config;

	for (size_t i = 0; i < rule->user_count; i++) {
		if (rule->users[i] < c->session_uid_base ||
		    rule->users[i] - c->session_uid_base >= c->max_sessions)
			continue;
		l->path = rule->file;
		l->line = rule->users_line;
		load_refuse(l, "uid %u is one of the daemon's own sessions", rule->users[i]);
		return;
	}
}

static void check_uids(struct load *l, const char *path)
{
	const struct config *c = l->config;

	l->path = path;
	l->line = 0;
	if ((uint64_t)c->session_uid_base + c->max_sessions > CONFIG_UID_END) {
		load_refuse(l, "session-uid-base leaves no room for max-sessions");
		return;
	}
	for (size_t i = 0; i < c->rule_count; i++)
		check_rule_uids(l, &c->rules[i]);
}

static int set_defaults(struct config *c)
{
	*c = (struct config){
		.backend = CONFIG_BACKEND_AUTO,
		.socket_path = strdup(IOB_DEFAULT_SOCKET),
		.session_uid_base = 1879048192, /* above what systemd gives to containers */
		.max_sessions = 1024,
		.sim_devices = 8,
	};
	return c->socket_path ? 0 : -ENOMEM;
}

int config_load_with(const char *path, const struct config_reading *how, struct config *c,
		     struct fault *why)
{
	struct load l = { .config = c, .how = how, .why = why, .path = path ? path : "defaults" };

	if (set_defaults(c) < 0)
		load_no_memory(&l);
	else if (path)
		load_files(&l, path);
	if (!l.error && path)
		check_uids(&l, path);
	free(l.buffer);
	if (l.error)
		config_deinit(c);
	else
		c->session_uids = c->max_sessions;
	return l.error;
}

int config_load(const char *path, struct config *c, struct fault *why)
{
	return config_load_with(path, NULL, c, why);
}

void config_deinit(struct config *c)
{
	for (size_t i = 0; i < c->rule_count; i++) {
		free(c->rules[i].name);
		free(c->rules[i].file);
		free(c->rules[i].users);
		free(c->rules[i].groups);
		free(c->rules[i].patterns);
	}
	free(c->rules);
	free(c->vfio);
	free(c->socket_path);
	memset(c, 0, sizeof(*c));
}
