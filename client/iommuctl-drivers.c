/* SPDX-License-Identifier: MIT */
/*
 * iommuctl-drivers.c - "bind" and "unbind": a device from the host's driver to vfio-pci, and back.
 *
 * The whole IOMMU group is shown before anything is done, and what is done is what was shown: the
 * broker refuses when the group has changed meanwhile.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "iommuctl.h"

struct plan {
	const struct ctl *ctl;
	const char *name;
	uint32_t to; /* enum iob_driver */
	struct iob_driver_rec *list;
	size_t count;
};

/* As the broker chooses. */
static bool will_move(const struct plan *p, const struct iob_driver_rec *rec)
{
	bool named = strcmp(rec->device.name, p->name) == 0;
	bool vfio = (rec->flags & IOB_DRIVER_ON_VFIO) != 0;

	if (rec->flags & IOB_DRIVER_STAYS || (!named && !p->ctl->group))
		return false;
	if (p->to == IOB_DRIVER_VFIO)
		return !vfio;
	return vfio || (named && rec->device.driver[0] == '\0');
}

/* The kernel asks whether the driver does DMA of its own (driver_managed_dma), and does not tell. */
bool ctl_keeps_group(const struct iob_driver_rec *rec)
{
	const char *driver = rec->device.driver;

	return (rec->flags & IOB_DRIVER_ON_VFIO) == 0 && driver[0] != '\0' &&
	       strcmp(driver, "pcieport") != 0 && strcmp(driver, "pci-stub") != 0;
}

static bool stays_in_the_way(const struct plan *p, const struct iob_driver_rec *rec)
{
	return p->to == IOB_DRIVER_VFIO && !will_move(p, rec) && ctl_keeps_group(rec);
}

static const char *future(const struct plan *p, const struct iob_driver_rec *rec)
{
	static char words[CTL_CELL];

	if (!will_move(p, rec))
		return rec->flags & IOB_DRIVER_STAYS ? "stays (bridge)" : "stays";
	if (p->to == IOB_DRIVER_VFIO)
		return "goes to vfio-pci";
	if (rec->former[0] == '\0')
		return "goes to the host";
	ctl_cell(words, "goes back to %s", rec->former);
	return words;
}

/* ---- what is shown ---- */

static void show_group(const struct plan *p)
{
	static const char *const heading[] = {
		"NAME", "ID", "CLASS", "DRIVER", "WHAT HAPPENS", NULL
	};
	struct ctl_table table = { 0 };

	ctl_table_heading(&table, heading);
	for (size_t i = 0; i < p->count; i++) {
		const struct iob_device_rec *d = &p->list[i].device;
		struct ctl_row *row = ctl_table_row(&table);

		ctl_cell_text(row->cells[0], d->name);
		ctl_cell(row->cells[1], "%04x:%04x", d->vendor, d->device);
		ctl_cell(row->cells[2], "%06x", d->class_code);
		ctl_cell_text(row->cells[3], d->driver[0] ? d->driver : "-");
		ctl_cell_text(row->cells[4], future(p, &p->list[i]));
	}
	printf("IOMMU group %u:\n", p->list[0].device.group);
	ctl_table_print(&table);
	ctl_table_free(&table);
}

static void tell_use(void *context, const char *words)
{
	char cell[CTL_CELL], name[CTL_CELL];

	ctl_cell_text(cell, words);
	ctl_cell_text(name, context);
	fprintf(stderr, "iommuctl: warning: the machine uses %s: %s\n", name, cell);
}

/* How many uses would end. */
static unsigned warn_of_uses(const struct plan *p)
{
	unsigned uses = 0;

	for (size_t i = 0; i < p->count && p->to == IOB_DRIVER_VFIO; i++)
		if (will_move(p, &p->list[i]))
			uses += ctl_host_uses(p->list[i].device.name, tell_use,
					      p->list[i].device.name);
	return uses;
}

void ctl_warn_of_sibling(const struct iob_driver_rec *rec, bool whole)
{
	char name[CTL_CELL], driver[CTL_CELL];

	ctl_cell_text(name, rec->device.name);
	ctl_cell_text(driver, rec->device.driver);
	fprintf(stderr,
		"iommuctl: warning: no device of the group can be used while %s stays with driver "
		"%s",
		name, driver);
	if (rec->flags & IOB_DRIVER_STAYS)
		fprintf(stderr,
			"; bridges are not moved, but this takes it from its driver: "
			"echo %s > /sys/bus/pci/devices/%s/driver/unbind\n",
			name, name);
	else
		fputs(whole ? "\n" : "; --group moves it too\n", stderr);
}

static void warn_of_siblings(const struct plan *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (stays_in_the_way(p, &p->list[i]))
			ctl_warn_of_sibling(&p->list[i], p->ctl->group);
}

/* ---- what is asked ---- */

static bool answered_yes(void)
{
	char line[16];

	printf("Go on? [y/N] ");
	fflush(stdout);
	return fgets(line, sizeof(line), stdin) &&
	       (strcasecmp(line, "y\n") == 0 || strcasecmp(line, "yes\n") == 0);
}

/* What the machine is using is moved when a person says so, not when a script does. */
static int confirm(const struct plan *p)
{
	unsigned uses;

	if (!p->ctl->json)
		show_group(p);
	warn_of_siblings(p);
	uses = warn_of_uses(p);
	if (uses > 0 && p->ctl->yes && !p->ctl->force)
		return ctl_declined(CTL_NO_CODE,
				    "not done: --force takes away what the machine uses");
	if (p->ctl->yes)
		return CTL_OK;
	if (p->ctl->json || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return ctl_declined(CTL_NO_CODE, "not done: nobody to ask; --yes does it unasked");
	return answered_yes() ? CTL_OK :
				ctl_declined(CTL_NO_CODE, "not done: the answer was not yes");
}

/* ---- what is done ---- */

static size_t movers(const struct plan *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->count; i++)
		n += will_move(p, &p->list[i]);
	return n;
}

static const struct iob_driver_rec *record_of(const struct iob_driver_rec *list, size_t count,
					      const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].device.name, name) == 0)
			return &list[i];
	return NULL;
}

static void print_change(const struct iob_driver_rec *before, const struct iob_driver_rec *after)
{
	char name[CTL_CELL], from[CTL_CELL], to[CTL_CELL];

	if (!after || strcmp(before->device.driver, after->device.driver) == 0)
		return;
	ctl_cell_text(name, before->device.name);
	ctl_cell_text(from, before->device.driver[0] ? before->device.driver : "no driver");
	ctl_cell_text(to, after->device.driver[0] ? after->device.driver : "no driver");
	printf("%s: %s -> %s\n", name, from, to);
}

/* Also after a refusal: some may have moved. */
static int report(const struct plan *p, uint32_t moved)
{
	ctl_cleanup_free struct iob_driver_rec *now = NULL;
	size_t count = 0;

	if (ctl_ask(p->ctl, iob_driver_list(p->ctl->conn, p->name, &now, &count)) != IOB_OK)
		return ctl_failed(p->name);
	if (p->ctl->json)
		ctl_json_drivers(now, count, moved,
				 iob_conn_hello(p->ctl->conn)->backend != IOB_BACKEND_SIM);
	for (size_t i = 0; i < p->count && !p->ctl->json; i++)
		print_change(&p->list[i], record_of(now, count, p->list[i].device.name));
	return CTL_OK;
}

static int carry_out(const struct plan *p)
{
	uint32_t moved = 0;
	int code = CTL_OK, reported;

	if (ctl_ask_long(p->ctl, iob_driver_set(p->ctl->conn, p->name, p->to,
						p->ctl->group ? IOB_DRIVER_GROUP : 0,
						p->list[0].stamp, &moved)) != IOB_OK)
		code = ctl_failed(p->name);
	reported = report(p, moved);
	return code == CTL_OK ? reported : code;
}

static int move(const struct ctl *ctl, const char *name, uint32_t to)
{
	ctl_cleanup_free struct iob_driver_rec *list = NULL;
	struct plan p = { .ctl = ctl, .name = name, .to = to };
	int code;

	if (ctl_ask(ctl, iob_driver_list(ctl->conn, name, &list, &p.count)) != IOB_OK)
		return ctl_failed(name);
	p.list = list;
	if (movers(&p) == 0 && !ctl->json && record_of(list, p.count, name) &&
	    !(record_of(list, p.count, name)->flags & IOB_DRIVER_STAYS)) {
		show_group(&p);
		puts(to == IOB_DRIVER_VFIO ? "Nothing to do: on vfio-pci already." :
					     "Nothing to do: with the host already.");
		return CTL_OK;
	}
	code = movers(&p) > 0 ? confirm(&p) : CTL_OK;
	return code == CTL_OK ? carry_out(&p) : code;
}

int ctl_bind(const struct ctl *ctl)
{
	return move(ctl, ctl->argument, IOB_DRIVER_VFIO);
}

int ctl_unbind(const struct ctl *ctl)
{
	return move(ctl, ctl->argument, IOB_DRIVER_HOST);
}
