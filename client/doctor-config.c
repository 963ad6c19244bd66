/* SPDX-License-Identifier: MIT */
/*
 * doctor-config.c - what the configuration gives, as far as the checks need it.
 *
 * Whether a file is right is for iommu-brokerd --check-config to say. This reader takes what it
 * knows and passes over the rest: it is to find the devices and settings that a person meant.
 */
#define _GNU_SOURCE /* reallocarray() */

#include "doctor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS " \t\r"

struct reader {
	struct doctor_config *config;
	char file[256];
	unsigned line;
	bool in_daemon;
	bool in_rule;
};

static char *trimmed(char *text)
{
	size_t length;

	text += strspn(text, BLANKS);
	length = strlen(text);
	while (length > 0 && strchr(BLANKS, text[length - 1]))
		text[--length] = '\0';
	return text;
}

static void take_patterns(struct reader *r, char *value)
{
	struct doctor_config *c = r->config;
	char *rest = NULL;

	for (char *word = strtok_r(value, BLANKS, &rest); word && word[0] != ';';
	     word = strtok_r(NULL, BLANKS, &rest)) {
		struct doctor_pattern *p;

		c->patterns = doctor_need(
			reallocarray(c->patterns, c->pattern_count + 1, sizeof(c->patterns[0])));
		p = &c->patterns[c->pattern_count++];
		snprintf(p->text, sizeof(p->text), "%.63s", word);
		snprintf(p->file, sizeof(p->file), "%s", r->file);
		p->line = r->line;
	}
}

static bool is_yes(const char *value)
{
	return !strcmp(value, "yes");
}

static void take_daemon(struct doctor_config *c, const char *key, const char *value)
{
	if (!strcmp(key, "backend"))
		snprintf(c->backend, sizeof(c->backend), "%.15s", value);
	else if (!strcmp(key, "socket"))
		snprintf(c->socket, sizeof(c->socket), "%.255s", value);
	else if (!strcmp(key, "max-sessions"))
		c->max_sessions = (uint32_t)strtoul(value, NULL, 10);
	else if (!strcmp(key, "allow-unsafe-interrupts"))
		c->allow_unsafe_interrupts = is_yes(value);
	else if (!strcmp(key, "allow-test-kernel"))
		c->allow_test_kernel = is_yes(value);
}

static void take_line(struct reader *r, char *line)
{
	char *text = trimmed(line), *value;

	if (*text == '\0' || *text == '#' || *text == ';')
		return;
	if (*text == '[') {
		text = trimmed(text + 1);
		r->in_rule = !strncmp(text, "allow", 5);
		r->in_daemon = !strncmp(text, "daemon", 6);
		r->config->rules += r->in_rule;
		return;
	}
	value = strchr(text, '=');
	if (!value)
		return;
	*value++ = '\0';
	text = trimmed(text);
	value = trimmed(value);
	if (r->in_daemon)
		take_daemon(r->config, text, value);
	else if (r->in_rule && !strcmp(text, "device"))
		take_patterns(r, value);
	else if (r->in_rule && !strcmp(text, "domains"))
		r->config->domains |= is_yes(value);
}

static int read_one(struct doctor *d, const char *path)
{
	struct reader r = { .config = &d->policy };
	doctor_cleanup_free char *text = doctor_file(d, "%s", path);
	char *rest = text, *line;

	if (!text)
		return -errno;
	snprintf(r.file, sizeof(r.file), "%.255s", path);
	while ((line = doctor_next_line(&rest))) {
		r.line++;
		take_line(&r, line);
	}
	return 0;
}

static bool ends_with(const char *name, const char *end)
{
	size_t a = strlen(name), b = strlen(end);

	return a > b && !strcmp(name + a - b, end);
}

/* Files that end with .conf in the drop-in folder beside the main file. */
static void read_folder(struct doctor *d, const char *folder)
{
	doctor_cleanup_names struct doctor_names n;
	char path[DOCTOR_PATH];

	doctor_names(d, &n, "%s", folder);
	for (size_t i = 0; i < n.count; i++) {
		if (!ends_with(n.names[i], ".conf") ||
		    snprintf(path, sizeof(path), "%s/%s", folder, n.names[i]) >= (int)sizeof(path))
			continue;
		if (read_one(d, path) == -EACCES)
			doctor_unseen(d, "%s (what it gives)", path);
	}
}

static void read_beside(struct doctor *d)
{
	const char *slash = strrchr(d->config, '/');
	char folder[DOCTOR_PATH];

	if (slash && snprintf(folder, sizeof(folder), "%.*s/conf.d", (int)(slash - d->config),
			      d->config) < (int)sizeof(folder))
		read_folder(d, folder);
}

void doctor_config_read(struct doctor *d)
{
	d->policy = (struct doctor_config){ .backend = "auto", .max_sessions = 1024 };
	d->policy.error = read_one(d, d->config);
	read_beside(d);
}

void doctor_config_free(struct doctor_config *c)
{
	free(c->patterns);
	c->patterns = NULL;
	c->pattern_count = 0;
}
