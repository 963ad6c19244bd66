/* SPDX-License-Identifier: MIT */
/*
 * doctor-checker.c - what iommu-brokerd --check-config says of the configuration.
 *
 * It is run where the files are, so that it tells paths as they are below the root. Of another
 * machine it cannot know two things: the names of its users, which are looked up in the files of that
 * machine, and that the owner of the directory stands for root.
 */
#define _GNU_SOURCE /* reallocarray() */

#include "doctor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT_BYTES 16384u /* of as many mistakes as it tells */

struct verdict {
	char **mistakes; /* of the output */
	size_t count;
	bool empty;	    /* it said nothing */
	bool names_unknown; /* nobody could say whether they are right */
	bool files_unread;  /* of the one who stands for root: it takes root's only */
};

/* ---- what another machine's files say ---- */

/* Is there a line "NAME:..."? */
static bool has_entry(char *text, const char *name, size_t length)
{
	char *rest = text, *line;

	while ((line = doctor_next_line(&rest))) {
		if (strncmp(line, name, length) == 0 && line[length] == ':')
			return true;
	}
	return false;
}

/* Does the line complain only of a name that this machine does not know, and that one does? */
static bool is_name_of_theirs(const struct doctor *d, const char *line, struct verdict *v)
{
	static const struct {
		const char *words;
		const char *file;
	} kinds[] = { { ": unknown user \"", "/etc/passwd" },
		      { ": unknown group \"", "/etc/group" } };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *name = strstr(line, kinds[i].words);
		doctor_cleanup_free char *text = NULL;

		if (!name)
			continue;
		name += strlen(kinds[i].words);
		text = doctor_file(d, "%s", kinds[i].file);
		v->names_unknown |= !text;
		return !text || has_entry(text, name, strcspn(name, "\""));
	}
	return false;
}

static bool is_owner_of_theirs(const struct doctor *d, const char *line, struct verdict *v)
{
	char words[64];

	snprintf(words, sizeof(words), ": owned by uid %u, who", (unsigned)d->root_uid);
	if (!strstr(line, words))
		return false;
	v->files_unread = true;
	return true;
}

/* ---- what is told ---- */

static void take_output(const struct doctor *d, char *output, struct verdict *v)
{
	char *rest = output, *line;

	v->empty = *output == '\0';
	while ((line = doctor_next_line(&rest))) {
		if (d->root[0] && (is_name_of_theirs(d, line, v) || is_owner_of_theirs(d, line, v)))
			continue;
		v->mistakes =
			doctor_need(reallocarray(v->mistakes, v->count + 1, sizeof(*v->mistakes)));
		v->mistakes[v->count++] = line;
	}
}

/* The path as it is seen from the root: however many slashes it begins with, it stays below. */
static const char *from_root(const struct doctor *d)
{
	return d->root[0] ? d->config + strspn(d->config, "/") : d->config;
}

/* What its words lack when it was given that path; a long one it cuts. */
static const char *slash_of(const struct doctor *d, const char *line)
{
	const char *path = from_root(d);

	return d->root[0] && strncmp(line, path, strcspn(path, "/")) == 0 ? "/" : "";
}

/* The daemon's own words: FILE:LINE: REASON. */
static void wrong(struct doctor *d, const struct verdict *v)
{
	const char *first =
		v->count ? v->mistakes[0] : "iommu-brokerd --check-config does not say why";
	char more[64] = "";

	if (v->count > 1)
		snprintf(more, sizeof(more), "; and %zu more mistake%s", v->count - 1,
			 v->count == 2 ? "" : "s");
	doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_CONFIG_WRONG, d->config,
		   "the configuration is wrong: %s%s%s", slash_of(d, first), first, more);
	doctor_why(d,
		   "iommu-brokerd does not start with a mistake in it, and a running one keeps the "
		   "old configuration");
	for (size_t i = 0; v->count > 1 && i < v->count; i++)
		doctor_mend(d, "correct %s%s", slash_of(d, v->mistakes[i]), v->mistakes[i]);
	doctor_mend(d, "%ssee iommu-broker.conf(5); then: %s --check-config=%s",
		    v->count > 1 ? "" : "correct it, ", d->root[0] ? "iommu-brokerd" : d->brokerd,
		    d->config);
}

void doctor_config_unchecked(struct doctor *d, const char *reason)
{
	doctor_add(d, DOCTOR_NOTE, DOCTOR_IS_CONFIG_UNCHECKED, d->config, "%s", reason);
	doctor_why(d,
		   "a mistake in the configuration keeps the daemon from starting, and would not "
		   "be seen here");
}

static void tell(struct doctor *d, int status, const struct verdict *v)
{
	if (v->files_unread)
		doctor_config_unchecked(
			d, "not all of the configuration was checked: it belongs to the owner of "
			   "the directory, and iommu-brokerd reads it only for that user");
	if (v->names_unknown)
		doctor_config_unchecked(
			d, "whether the users and groups of the configuration exist was not "
			   "checked: this machine does not know them, and there is no etc/passwd "
			   "or etc/group to look in");
	if (v->count || (status == 1 && v->empty))
		wrong(d, v);
	else if (!v->files_unread && !v->names_unknown)
		doctor_add(d, DOCTOR_OK, DOCTOR_IS_CONFIG, d->config, "%s is right", d->config);
}

void doctor_ask_brokerd(struct doctor *d, const char *brokerd)
{
	char option[DOCTOR_PATH + 32], output[OUTPUT_BYTES];
	char *argv[] = { (char *)(uintptr_t)brokerd, option, NULL };
	struct verdict v = { 0 };
	int status;

	snprintf(option, sizeof(option), "--check-config=%s", from_root(d));
	status = doctor_program(d, argv, output, sizeof(output));
	if (status == 1 && d->uid != 0 && strstr(output, strerror(EACCES))) {
		doctor_unseen(d, "whether %s is right", d->config);
		return;
	}
	if (status != 0 && status != 1) {
		doctor_config_unchecked(d,
					"iommu-brokerd --check-config could not be asked whether "
					"the configuration is right");
		return;
	}
	if (status == 1)
		take_output(d, output, &v);
	tell(d, status, &v);
	free(v.mistakes);
}
