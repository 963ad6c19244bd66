/* SPDX-License-Identifier: MIT */
/*
 * iommuctl-local.c - what this machine knows beside what the broker says: names of devices, the other
 * devices of a group, processes and users. All of it may be missing.
 */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iommuctl.h"

/* ---- pci.ids ---- */

static FILE *ids_open(void)
{
	static const char *const files[] = {
		"/usr/share/misc/pci.ids",
		"/usr/share/hwdata/pci.ids",
	};
	FILE *file = NULL;

	for (size_t i = 0; !file && i < sizeof(files) / sizeof(files[0]); i++)
		file = fopen(files[i], "re");
	return file;
}

/* "10de  NVIDIA Corporation" of depth tabs: does it begin with this number? Then its name. */
static const char *line_name(const char *line, size_t depth, size_t digits, uint32_t number)
{
	char *end;

	if (strspn(line, "\t") != depth || strtoul(line + depth, &end, 16) != number ||
	    (size_t)(end - line) != depth + digits || strncmp(end, "  ", 2) != 0)
		return NULL;
	return end + 2;
}

static void take_name(char name[CTL_NAME], const char *text)
{
	snprintf(name, CTL_NAME, "%.*s", (int)strcspn(text, "\n"), text);
	ctl_make_printable(name);
}

/* Two levels: the line of the parent, then below it, one tab deeper, that of the child. */
static void look_up(FILE *ids, const char *prefix, size_t digits, uint32_t parent, uint32_t child,
		    char parent_name[CTL_NAME], char child_name[CTL_NAME])
{
	size_t skip = strlen(prefix);
	bool inside = false;
	char line[512];

	while (fgets(line, sizeof(line), ids)) {
		const char *name;

		if (line[0] != '\t' && line[0] != '#' && line[0] != '\n') {
			if (inside)
				return;
			name = strncmp(line, prefix, skip) ?
				       NULL :
				       line_name(line + skip, 0, digits, parent);
			inside = name != NULL;
			if (name)
				take_name(parent_name, name);
		} else if (inside) {
			name = line_name(line, 1, digits, child);
			if (name)
				take_name(child_name, name);
		}
	}
}

void ctl_names_read(FILE *ids, const struct iob_device_rec *rec, struct ctl_names *names)
{
	*names = (struct ctl_names){ 0 };
	rewind(ids);
	look_up(ids, "", 4, rec->vendor, rec->device, names->vendor, names->device);
	rewind(ids);
	look_up(ids, "C ", 2, rec->class_code >> 16 & 0xff, rec->class_code >> 8 & 0xff,
		names->class_of, names->subclass);
}

void ctl_local_names(const struct iob_device_rec *rec, struct ctl_names *names)
{
	FILE *ids = ids_open();

	*names = (struct ctl_names){ 0 };
	if (!ids)
		return;
	ctl_names_read(ids, rec, names);
	fclose(ids);
}

/* ---- groups ---- */

static int compare_members(const void *a, const void *b)
{
	return strcmp(a, b);
}

size_t ctl_local_members(const struct iob_device_rec *rec, char (**members)[IOB_NAME_BYTES])
{
	char path[128];
	struct dirent *e;
	size_t count = 0;
	DIR *dir;

	*members = NULL;
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%u/devices", rec->group);
	dir = opendir(path);
	if (!dir)
		return 0;
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.' || strcmp(e->d_name, rec->name) == 0)
			continue;
		*members = ctl_need(reallocarray(*members, count + 1, sizeof(**members)));
		snprintf((*members)[count], IOB_NAME_BYTES, "%.31s", e->d_name);
		ctl_make_printable((*members)[count++]);
	}
	closedir(dir);
	if (count)
		qsort(*members, count, sizeof(**members), compare_members);
	return count;
}

/* ---- processes ---- */

void ctl_local_comm(uint32_t pid, char cell[CTL_CELL])
{
	char path[64], line[CTL_CELL] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%u/comm", pid);
	file = fopen(path, "re");
	if (file && !fgets(line, sizeof(line), file))
		line[0] = '\0';
	if (file)
		fclose(file);
	line[strcspn(line, "\n")] = '\0';
	ctl_cell_text(cell, line);
}
