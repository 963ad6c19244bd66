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

enum section { OTHER, DAEMON, DRIVERS, ALLOW };

struct reader {
	struct doctor_config *config;
	char file[256];
	unsigned line;
	enum section section;
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

/* The daemon's reader takes a ; for a comment where a blank is before it, and nowhere else. */
static void cut_comment(char *value)
{
	for (char *p = value; *p; p++) {
		if (*p == ';' && p > value && strchr(BLANKS, p[-1])) {
			*p = '\0';
			return;
		}
	}
}

static void take_patterns(const struct reader *r, struct doctor_pattern **list, size_t *count,
			  char *value)
{
	char *rest = NULL;

	for (char *word = strtok_r(value, BLANKS, &rest); word;
	     word = strtok_r(NULL, BLANKS, &rest)) {
		struct doctor_pattern *p;

		*list = doctor_need(reallocarray(*list, *count + 1, sizeof(**list)));
		p = &(*list)[(*count)++];
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
	else if (!strcmp(key, "session-uid-base"))
		c->session_uid_base = (uint32_t)strtoul(value, NULL, 10);
	else if (!strcmp(key, "allow-unsafe-interrupts"))
		c->allow_unsafe_interrupts = is_yes(value);
	else if (!strcmp(key, "allow-test-kernel"))
		c->allow_test_kernel = is_yes(value);
}

static enum section section_of(char *text)
{
	char *rest = NULL;
	const char *word;

	text[strcspn(text, "]")] = '\0';
	word = strtok_r(text, BLANKS, &rest);
	if (!word)
		return OTHER;
	if (!strcmp(word, "daemon"))
		return DAEMON;
	if (!strcmp(word, "drivers"))
		return DRIVERS;
	return strcmp(word, "allow") ? OTHER : ALLOW;
}

static void take_setting(struct reader *r, const char *key, char *value)
{
	struct doctor_config *c = r->config;

	if (r->section == DAEMON)
		take_daemon(c, key, value);
	else if (r->section == DRIVERS && !strcmp(key, "vfio-pci"))
		take_patterns(r, &c->vfio, &c->vfio_count, value);
	else if (r->section == ALLOW && !strcmp(key, "device"))
		take_patterns(r, &c->patterns, &c->pattern_count, value);
	else if (r->section == ALLOW && !strcmp(key, "domains"))
		c->domains |= is_yes(value);
}

static void take_line(struct reader *r, char *line)
{
	char *text = trimmed(line), *value;

	if (*text == '\0' || *text == '#' || *text == ';')
		return;
	if (*text == '[') {
		r->section = section_of(text + 1);
		r->config->rules += r->section == ALLOW;
		return;
	}
	value = strpbrk(text, "=:");
	if (!value)
		return;
	*value++ = '\0';
	cut_comment(value);
	take_setting(r, trimmed(text), trimmed(value));
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
	d->policy = (struct doctor_config){
		.backend = "auto",
		.max_sessions = 1024,
		.session_uid_base = 1879048192,
	};
	d->policy.error = read_one(d, d->config);
	read_beside(d);
}

void doctor_config_free(struct doctor_config *c)
{
	free(c->patterns);
	free(c->vfio);
	*c = (struct doctor_config){ 0 };
}
