/* SPDX-License-Identifier: MIT */
/*
 * monitor-config.c - loads the configuration file: may it be trusted, and does it hold together?
 *
 * monitor-config-lines.c reads it, monitor-config-sections.c knows the sections and their keys, and
 * monitor-config-values.c, -users.c and -devices.c know what may stand behind a key.
 */
#include "daemon/monitor-config-load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_MAX_FILE_BYTES (1 << 20)

/* The first error wins. A long path is cut at the front, lest it pushes the reason out. */
int load_fail(struct load *l, enum iob_code code, int error, const char *format, ...)
{
	size_t length = strlen(l->path);
	const char *tail = length > 80 ? l->path + length - 77 : l->path;
	char reason[IOB_MAX_TEXT], where[112];
	va_list args;

	if (l->error)
		return l->error;
	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	snprintf(where, sizeof(where), "%s%s", tail == l->path ? "" : "...", tail);
	if (l->line)
		l->error = fault_set(l->why, code, IOB_STEP_NONE, error, "%s:%u: %s", where,
				     l->line, reason);
	else
		l->error = fault_set(l->why, code, IOB_STEP_NONE, error, "%s: %s", where, reason);
	return l->error;
}

/* Whoever can write the file can give himself devices. */
static int check_file(struct load *l, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return load_fail(l, IOB_E_SYSTEM, errno, "fstat: %s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return load_refuse(l, "not a regular file");
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return load_fail(l, IOB_E_DENIED, EPERM,
				 "owned by uid %u, who is neither root nor the "
				 "user that runs the daemon",
				 st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return load_fail(l, IOB_E_DENIED, EPERM,
				 "mode %04o lets others write it: chmod go-w", st.st_mode & 07777);
	if (st.st_size > CONFIG_MAX_FILE_BYTES)
		return load_refuse(l, "larger than %u bytes", CONFIG_MAX_FILE_BYTES);
	return 0;
}

/* O_NONBLOCK: a FIFO in its place must not hang the start. */
static int open_file(struct load *l)
{
	int fd = open(l->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int r;

	if (fd < 0)
		return load_fail(l, IOB_E_SYSTEM, errno, "cannot open: %s", strerror(errno));
	r = check_file(l, fd);
	if (r == 0) {
		l->file = fdopen(fd, "re");
		if (l->file)
			return 0;
		r = load_fail(l, IOB_E_SYSTEM, errno, "fdopen: %s", strerror(errno));
	}
	close(fd);
	return r;
}

/* What can only be said of the file as a whole. */
static int check_uids(struct load *l)
{
	const struct config *c = l->config;
	uint64_t first = c->session_uid_base, end = first + c->max_sessions;

	l->line = 0;
	if (end > CONFIG_UID_END)
		return load_refuse(l, "session-uid-base leaves no room for max-sessions");
	for (size_t i = 0; i < c->rule_count; i++) {
		for (size_t n = 0; n < c->rules[i].user_count; n++) {
			if (c->rules[i].users[n] < first || c->rules[i].users[n] >= end)
				continue;
			l->line = c->rules[i].line;
			return load_refuse(l, "uid %u is one of the daemon's own sessions",
					   c->rules[i].users[n]);
		}
	}
	return 0;
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

int config_load(const char *path, struct config *c, struct fault *why)
{
	struct load l = { .config = c, .why = why, .path = path ? path : "defaults" };
	int r = set_defaults(c);

	if (r < 0)
		r = load_no_memory(&l);
	else if (path)
		r = open_file(&l);
	if (r == 0 && path)
		r = load_lines(&l);
	if (r == 0 && path)
		r = check_uids(&l);
	if (l.file)
		fclose(l.file);
	free(l.buffer);
	if (r < 0)
		config_deinit(c);
	return r;
}

void config_deinit(struct config *c)
{
	for (size_t i = 0; i < c->rule_count; i++) {
		free(c->rules[i].name);
		free(c->rules[i].users);
		free(c->rules[i].groups);
		free(c->rules[i].patterns);
	}
	free(c->rules);
	free(c->vfio);
	free(c->socket_path);
	memset(c, 0, sizeof(*c));
}
