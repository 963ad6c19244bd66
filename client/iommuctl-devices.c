/* SPDX-License-Identifier: MIT */
/* iommuctl-devices.c - the devices of the broker's inventory that the user may see. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iommuctl.h"

const char *ctl_device_state(const struct iob_device_rec *rec)
{
	if (rec->flags & IOB_DEVICE_BOUND)
		return "bound";
	if (rec->flags & IOB_DEVICE_OPENED)
		return "open";
	return rec->flags & IOB_DEVICE_UNUSABLE ? "unusable" : "free";
}

static const char *device_access(const struct iob_device_rec *rec)
{
	if (rec->access & IOB_ACCESS_FD)
		return rec->access & IOB_ACCESS_MEDIATED ? "mediated,fd" : "fd";
	return rec->access & IOB_ACCESS_MEDIATED ? "mediated" : "-";
}

static void print_list(const struct iob_device_rec *list, size_t count)
{
	static const char *const heading[] = { "NAME",	"ID",	  "CLASS", "GROUP", "DRIVER",
					       "STATE", "ACCESS", "OWNER", "WHAT",  NULL };
	struct ctl_table table = { .right = 1u << 3 };

	ctl_table_heading(&table, heading);
	for (size_t i = 0; i < count; i++) {
		struct ctl_row *row = ctl_table_row(&table);
		struct ctl_names names;

		ctl_local_names(&list[i], &names);
		ctl_cell_text(row->cells[0], list[i].name);
		ctl_cell(row->cells[1], "%04x:%04x", list[i].vendor, list[i].device);
		ctl_cell(row->cells[2], "%06x", list[i].class_code);
		ctl_cell(row->cells[3], "%u", list[i].group);
		ctl_cell_text(row->cells[4], list[i].driver[0] ? list[i].driver : "-");
		ctl_cell(row->cells[5], "%s", ctl_device_state(&list[i]));
		ctl_cell(row->cells[6], "%s", device_access(&list[i]));
		ctl_cell_user(row->cells[7], list[i].owner_uid);
		ctl_cell_text(row->cells[8], names.device[0]   ? names.device :
					     names.subclass[0] ? names.subclass :
								 "-");
	}
	ctl_table_print(&table);
	ctl_table_free(&table);
}

/* ---- one ---- */

static void print_members(const struct iob_device_rec *rec)
{
	char(*members)[IOB_NAME_BYTES];
	size_t count = ctl_local_members(rec, &members);

	printf("group    %u", rec->group);
	for (size_t i = 0; i < count; i++)
		printf("%s %s", i ? "," : ", with", members[i]);
	putchar('\n');
	free(members);
}

void ctl_why_unusable(const struct iob_driver_rec *group, size_t count, const char *name,
		      char words[CTL_NAME])
{
	const struct iob_driver_rec *self = NULL, *sibling = NULL;

	for (size_t i = 0; i < count; i++) {
		if (strcmp(group[i].device.name, name) == 0)
			self = &group[i];
		else if (!sibling && ctl_keeps_group(&group[i]))
			sibling = &group[i];
	}
	if (self && !self->device.driver[0])
		snprintf(words, CTL_NAME, "it has no driver; see iommuctl bind");
	else if (self && (self->flags & IOB_DRIVER_ON_VFIO) == 0)
		snprintf(words, CTL_NAME, "driver %s of the host has it; see iommuctl bind",
			 self->device.driver);
	else if (self && sibling)
		snprintf(words, CTL_NAME, "it shares its group with %s, which is on driver %s",
			 sibling->device.name, sibling->device.driver);
	else
		snprintf(words, CTL_NAME, "see iommuctl doctor");
	ctl_make_printable(words);
}

/* The record does not say why; the drivers of the group do, mostly. */
static void print_state(const struct ctl *ctl, const struct iob_device_rec *rec)
{
	ctl_cleanup_free struct iob_driver_rec *group = NULL;
	char words[CTL_NAME];
	size_t count = 0;

	if ((rec->flags & (IOB_DEVICE_BOUND | IOB_DEVICE_OPENED | IOB_DEVICE_UNUSABLE)) !=
	    IOB_DEVICE_UNUSABLE) {
		printf("state    %s\n", ctl_device_state(rec));
		return;
	}
	if (ctl_ask(ctl, iob_driver_list(ctl->conn, rec->name, &group, &count)) != IOB_OK)
		count = 0;
	ctl_why_unusable(group, count, rec->name, words);
	printf("state    %s: %s\n", ctl_device_state(rec), words);
}

static void print_one(const struct ctl *ctl, const struct iob_device_rec *rec, bool real)
{
	struct ctl_names names;
	char cell[CTL_CELL];

	ctl_local_names(rec, &names);
	ctl_cell_text(cell, rec->name);
	printf("name     %s\n", cell);
	printf("vendor   %04x%s%s\n", rec->vendor, names.vendor[0] ? "  " : "", names.vendor);
	printf("device   %04x%s%s\n", rec->device, names.device[0] ? "  " : "", names.device);
	printf("class    %06x%s%s%s%s\n", rec->class_code, names.class_of[0] ? "  " : "",
	       names.class_of, names.subclass[0] ? ", " : "", names.subclass);
	if (real)
		print_members(rec);
	else
		printf("group    %u\n", rec->group);
	ctl_cell_text(cell, rec->driver[0] ? rec->driver : "-");
	printf("driver   %s\n", cell);
	print_state(ctl, rec);
	printf("access   %s\n", device_access(rec));
	ctl_cell_user(cell, rec->owner_uid);
	printf("owner    %s%s\n", cell, rec->flags & IOB_DEVICE_YOURS ? " (this connection)" : "");
}

static const struct iob_device_rec *find(const struct iob_device_rec *list, size_t count,
					 const char *name)
{
	char text[CTL_CELL];

	for (size_t i = 0; i < count; i++) {
		if (strcmp(list[i].name, name) == 0)
			return &list[i];
	}
	snprintf(text, sizeof(text), "device %.31s: none that you may see", name);
	ctl_declined(IOB_E_NO_DEVICE, text);
	return NULL;
}

/* The broker tells those that came later at the end. */
static int compare_names(const void *a, const void *b)
{
	const struct iob_device_rec *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int ctl_devices(const struct ctl *ctl)
{
	bool real = iob_conn_hello(ctl->conn)->backend != IOB_BACKEND_SIM;
	ctl_cleanup_free struct iob_device_rec *list = NULL;
	const struct iob_device_rec *one = NULL;
	size_t count = 0;

	if (ctl_ask(ctl, iob_device_list(ctl->conn, &list, &count)) != IOB_OK)
		return ctl_failed("devices");
	if (count)
		qsort(list, count, sizeof(*list), compare_names);
	if (ctl->argument) {
		one = find(list, count, ctl->argument);
		if (!one)
			return CTL_FAILED;
	}
	if (ctl->json)
		ctl_json_devices(one ? one : list, one ? 1 : count, real);
	else if (one)
		print_one(ctl, one, real);
	else
		print_list(list, count);
	return CTL_OK;
}
