/* SPDX-License-Identifier: MIT */
/*
 * doctor-modprobe.c - what keeps a module that is installed from being loaded: modprobe.d(5), words
 * on the kernel's command line, and a sysctl.
 */
#include "doctor.h"

#include <stdio.h>
#include <string.h>

#define BLANKS	  " \t"
#define BOOT_LINE "/proc/cmdline"

/* Those before go before: a file hides those of its name in later ones. */
static const char *const folders[] = {
	"/etc/modprobe.d",     "/run/modprobe.d", "/usr/local/lib/modprobe.d",
	"/usr/lib/modprobe.d", "/lib/modprobe.d",
};

enum kind { BLOCK_INSTALL, BLOCK_BLACKLIST, BLOCK_KERNEL_LINE, BLOCK_DISABLED };

struct block {
	enum kind kind;
	char where[128]; /* file */
	char line[128];	 /* of that file; or the word on the kernel's command line, or "" */
};

#define BLOCKS 8u

struct finder {
	const char *module;
	struct block *blocks;
	size_t count;
};

static void add(struct finder *f, enum kind kind, const char *where, const char *line)
{
	struct block *b = &f->blocks[f->count];

	if (f->count == BLOCKS)
		return;
	f->count++;
	*b = (struct block){ .kind = kind };
	snprintf(b->where, sizeof(b->where), "%.127s", where);
	snprintf(b->line, sizeof(b->line), "%.127s", line);
}

/* To modprobe - and _ are the same; the module's name here has _. */
static bool is_module(const char *name, size_t length, const char *module)
{
	if (length != strlen(module))
		return false;
	for (size_t i = 0; i < length; i++) {
		if ((name[i] == '-' ? '_' : name[i]) != module[i])
			return false;
	}
	return true;
}

/* ---- modprobe.d ---- */

/* An install line may as well load the module, after something else: those of false do not. */
static bool does_nothing(const char *command)
{
	size_t length = strcspn(command, BLANKS);
	const char *name = command + length;

	while (name > command && name[-1] != '/')
		name--;
	length -= (size_t)(name - command);
	return (length == 5 && !strncmp(name, "false", 5)) ||
	       (length == 4 && !strncmp(name, "true", 4)) || (length == 1 && *name == ':');
}

static void take_line(struct finder *f, const char *file, const char *line)
{
	const char *verb = line + strspn(line, BLANKS);
	size_t verb_length = strcspn(verb, BLANKS), length;
	const char *name = verb + verb_length, *rest;

	name += strspn(name, BLANKS);
	length = strcspn(name, BLANKS);
	if (!is_module(name, length, f->module))
		return;
	rest = name + length + strspn(name + length, BLANKS);
	if (verb_length == 7 && !strncmp(verb, "install", 7) && does_nothing(rest))
		add(f, BLOCK_INSTALL, file, verb);
	else if (verb_length == 9 && !strncmp(verb, "blacklist", 9))
		add(f, BLOCK_BLACKLIST, file, verb);
}

static bool is_hidden(const struct doctor *d, size_t folder, const char *name)
{
	for (size_t i = 0; i < folder; i++) {
		if (doctor_exists(d, "%s/%s", folders[i], name))
			return true;
	}
	return false;
}

static bool ends_with_conf(const char *name)
{
	size_t length = strlen(name);

	return length > 5 && !strcmp(name + length - 5, ".conf");
}

static void read_folder(const struct doctor *d, size_t folder, struct finder *f)
{
	doctor_cleanup_names struct doctor_names n;

	doctor_names(d, &n, "%s", folders[folder]);
	for (size_t i = 0; i < n.count; i++) {
		doctor_cleanup_free char *text = NULL;
		char file[DOCTOR_PATH];
		char *rest, *line;

		if (!ends_with_conf(n.names[i]) || is_hidden(d, folder, n.names[i]))
			continue;
		snprintf(file, sizeof(file), "%s/%.255s", folders[folder], n.names[i]);
		text = doctor_file(d, "%s", file);
		rest = text;
		while ((line = doctor_next_line(&rest)))
			take_line(f, file, line);
	}
}

/* ---- the kernel's command line ---- */

/* The kernel compares with the module's own name; modprobe takes - for _. */
static bool list_has(const char *word, const char *module, bool dash)
{
	const char *part = strchr(word, '=');

	for (; part; part = strchr(part, ',')) {
		size_t length = strcspn(++part, ",");

		if (is_module(part, length, module) && (dash || !memchr(part, '-', length)))
			return true;
	}
	return false;
}

static void read_boot_line(const struct doctor *d, struct finder *f)
{
	doctor_cleanup_free char *line = doctor_boot_line(d);
	char word[DOCTOR_WORD], last[DOCTOR_WORD] = "";
	const char *rest = line;

	/* Each replaces the one before. */
	while (doctor_boot_word(&rest, "module_blacklist", word))
		memcpy(last, word, sizeof(last));
	if (list_has(last, f->module, false))
		add(f, BLOCK_KERNEL_LINE, BOOT_LINE, last);
	rest = line;
	while (doctor_boot_word(&rest, "modprobe.blacklist", word)) {
		if (list_has(word, f->module, true))
			add(f, BLOCK_BLACKLIST, BOOT_LINE, word);
	}
}

static size_t find_blocks(const struct doctor *d, const char *module, struct block blocks[BLOCKS])
{
	struct finder f = { .module = module, .blocks = blocks };
	char line[8];

	if (doctor_line(d, line, sizeof(line), "/proc/sys/kernel/modules_disabled") &&
	    line[0] == '1')
		add(&f, BLOCK_DISABLED, "/proc/sys/kernel/modules_disabled", "");
	read_boot_line(d, &f);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		read_folder(d, i, &f);
	return f.count;
}

/* ---- and how it is loaded then ---- */

static void mend_keep(struct doctor *d, const char *module)
{
	doctor_mend(d, "echo %s >> /etc/modules-load.d/iommu-broker.conf", module);
}

void doctor_mend_load(struct doctor *d, const char *module)
{
	doctor_mend(d, "modprobe %s", module);
	mend_keep(d, module);
}

static void mend_block(struct doctor *d, const struct block *b)
{
	if (!strcmp(b->where, BOOT_LINE))
		doctor_mend_kernel_line(d, "", b->line);
	else if (b->kind == BLOCK_DISABLED)
		doctor_mend(d, "reboot (before that sysctl is set, what is in modules-load.d gets "
			       "loaded)");
	else
		doctor_mend(d, "remove \"%s\" from %s", b->line, b->where);
}

/* What keeps it from being loaded by its name, which a blacklist lets pass; NULL: nothing. */
static const struct block *blocker(const struct block *blocks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (blocks[i].kind != BLOCK_BLACKLIST)
			return &blocks[i];
	}
	return NULL;
}

static void blocked(struct doctor *d, const char *module, const struct block *blocks, size_t count)
{
	const struct block *by = blocker(blocks, count);
	bool disabled = by->kind == BLOCK_DISABLED;

	doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_MODULE_BLOCKED, module,
		   "the module %s is installed, but cannot be loaded: %s %s%s", module, by->where,
		   by->line[0] ? "has " : "is set", by->line);
	if (disabled)
		mend_keep(d, module);
	/* Those that want a reboot come last. */
	for (size_t i = count; i > 0; i--)
		mend_block(d, &blocks[i - 1]);
	if (!disabled)
		doctor_mend_load(d, module);
}

void doctor_module_not_loaded(struct doctor *d, const char *module)
{
	struct block blocks[BLOCKS];
	size_t count = find_blocks(d, module, blocks);

	if (blocker(blocks, count)) {
		blocked(d, module, blocks, count);
		return;
	}
	doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_MODULE_NOT_LOADED, module,
		   "the module %s is installed but not loaded", module);
	doctor_mend_load(d, module);
	/* Which modules-load.d heeds. */
	for (size_t i = 0; i < count; i++)
		mend_block(d, &blocks[i]);
}
