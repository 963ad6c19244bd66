/* SPDX-License-Identifier: MIT */
/*
 * doctor-boot.c - the kernel's command line: what is on it, and how it is changed here.
 *
 * The kernel takes the words in their order, splits lists as "iommu=pt,off" at the commas, and looks
 * at the beginning of each part only: "offline" is "off" to it.
 */
#include "doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS " \t\n"

/* ---- what is on it ---- */

char *doctor_boot_line(const struct doctor *d)
{
	char *line = doctor_file(d, "/proc/cmdline");

	return line ? line : doctor_need(strdup(""));
}

/* To the kernel - and _ are the same in names. */
static bool is_name(const char *word, size_t length, const char *name)
{
	if (length != strlen(name))
		return false;
	for (size_t i = 0; i < length; i++) {
		if ((word[i] == '-' ? '_' : word[i]) != name[i])
			return false;
	}
	return true;
}

bool doctor_boot_word(const char **rest, const char *name, char word[DOCTOR_WORD])
{
	const char *p = *rest;
	size_t length;

	for (;;) {
		p += strspn(p, BLANKS);
		length = strcspn(p, BLANKS);
		/* What follows "--" is for init. */
		if (length == 0 || (length == 2 && !strncmp(p, "--", 2)))
			return false;
		if (is_name(p, strcspn(p, "=" BLANKS), name))
			break;
		p += length;
	}
	snprintf(word, DOCTOR_WORD, "%.*s", (int)length, p);
	*rest = p + length;
	return true;
}

/* The last part of the word's list that begins with a or b; of those that do, does it with a? */
static bool last_is(const char *word, const char *a, const char *b, bool before)
{
	const char *part = strchr(word, '=');

	for (; part; part = strchr(part, ',')) {
		part++;
		if (!strncmp(part, a, strlen(a)))
			before = true;
		else if (!strncmp(part, b, strlen(b)))
			before = false;
	}
	return before;
}

bool doctor_boot_says(const char *line, const char *name, const char *a, const char *b)
{
	char word[DOCTOR_WORD];
	bool says = false;

	while (doctor_boot_word(&line, name, word))
		says = last_is(word, a, b, says);
	return says;
}

void doctor_boot_collect(const char *line, const char *name, const char *part,
			 char words[DOCTOR_WORD])
{
	char word[DOCTOR_WORD];

	while (doctor_boot_word(&line, name, word)) {
		size_t length = strlen(words), more = strlen(word);

		if (!last_is(word, part, part, false) || length + 1 + more >= DOCTOR_WORD)
			continue;
		if (length > 0)
			words[length++] = ' ';
		memcpy(words + length, word, more + 1);
	}
}

/* ---- how it is changed ---- */

#define GRUB	"/etc/default/grub"
#define CMDLINE "/etc/kernel/cmdline"

/* The first program of a list that is there says what makes the boot loader's files anew. */
struct remaker {
	const char *program; /* in one of the usual folders */
	const char *command;
};

static bool is_installed(const struct doctor *d, const char *program)
{
	return doctor_exists(d, "/usr/sbin/%s", program) ||
	       doctor_exists(d, "/usr/bin/%s", program) || doctor_exists(d, "/sbin/%s", program);
}

static const char *grub_command(const struct doctor *d)
{
	static const struct remaker remakers[] = {
		{ "update-grub", "update-grub" },
		{ "grub2-mkconfig", "grub2-mkconfig -o /boot/grub2/grub.cfg" },
		{ "grub-mkconfig", "grub-mkconfig -o /boot/grub/grub.cfg" },
	};

	for (size_t i = 0; i < sizeof(remakers) / sizeof(remakers[0]); i++) {
		if (is_installed(d, remakers[i].program))
			return remakers[i].command;
	}
	return "update-grub";
}

/* "take WORDS out and put WORD in", or one of both. */
static void say_change(char text[3 * DOCTOR_WORD], const char *in, const char *out)
{
	snprintf(text, (size_t)3 * DOCTOR_WORD, "%s%s%s%s%s%s%s", out[0] ? "take \"" : "", out,
		 out[0] ? "\" out" : "", out[0] && in[0] ? ", " : "", in[0] ? "put \"" : "", in,
		 in[0] ? "\" in" : "");
}

static void mend_grubby(struct doctor *d, const char *in, const char *out)
{
	doctor_mend(d, "grubby --update-kernel=ALL%s%s%s%s%s%s", out[0] ? " --remove-args=\"" : "",
		    out, out[0] ? "\"" : "", in[0] ? " --args=\"" : "", in, in[0] ? "\"" : "");
}

void doctor_mend_kernel_line(struct doctor *d, const char *in, const char *out)
{
	bool grub = doctor_exists(d, GRUB), cmdline = doctor_exists(d, CMDLINE);
	char change[3 * DOCTOR_WORD];

	say_change(change, in, out);
	if (is_installed(d, "grubby")) {
		mend_grubby(d, in, out);
	} else {
		if (grub || !cmdline)
			doctor_mend(d, "in " GRUB ", in GRUB_CMDLINE_LINUX%s: %s; then: %s",
				    out[0] ? " and GRUB_CMDLINE_LINUX_DEFAULT" : "", change,
				    grub_command(d));
		if (cmdline)
			doctor_mend(d, "%sin " CMDLINE ": %s; then: %s",
				    grub ? "or, where systemd-boot starts the kernel, " : "",
				    change,
				    is_installed(d, "proxmox-boot-tool") ?
					    "proxmox-boot-tool refresh" :
					    "kernel-install add-all");
	}
	doctor_mend(d, "reboot");
}
