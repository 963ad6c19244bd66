/* SPDX-License-Identifier: MIT */
/*
 * iommuctl-domains.c - the domains that the user may see, with what is used of them.
 *
 * The monitor's list has budgets; what is used knows only the session of each domain, which is asked
 * through a handle that can look and nothing else. A domain may go away in between.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iommuctl.h"

static void ask(const struct ctl *ctl, const struct iob_domain_rec *rec, struct ctl_domain *d)
{
	iob_domain *domain = NULL;

	memset(d, 0, sizeof(*d));
	d->rec = rec;
	if (ctl_ask(ctl, iob_domain_open(ctl->conn, rec->domain_id, &domain)) != IOB_OK)
		return;
	d->present = ctl_ask(ctl, iob_domain_info(domain, &d->info, d->ranges, IOB_MAX_RANGES)) ==
		     IOB_OK;
	iob_domain_close(domain);
}

static void add_row(struct ctl_table *table, const struct ctl_domain *d)
{
	struct ctl_row *row = ctl_table_row(table);
	const struct iob_domain_rec *rec = d->rec;

	ctl_cell(row->cells[0], "%u", rec->domain_id);
	ctl_cell_user(row->cells[1], rec->uid);
	ctl_cell(row->cells[2], "%u", rec->pid);
	ctl_local_comm(rec->pid, row->cells[3]);
	if (!row->cells[3][0])
		ctl_cell(row->cells[3], "-");
	ctl_cell(row->cells[4], "%u", rec->devices);
	ctl_cell_text(row->cells[5], rec->first_device[0] ? rec->first_device : "-");
	if (d->present) {
		ctl_cell_size(row->cells[6], d->info.used_bytes);
		ctl_cell(row->cells[8], "%u", d->info.used_mappings);
	} else {
		ctl_cell(row->cells[6], "gone");
		ctl_cell(row->cells[8], "gone");
	}
	ctl_cell_size(row->cells[7], rec->max_bytes);
	ctl_cell(row->cells[9], "%u", rec->max_mappings);
}

static void print_list(const struct ctl *ctl, const struct iob_domain_rec *list, size_t count)
{
	static const char *const heading[] = { "ID",	   "OWNER",	   "PID",   "COMMAND",
					       "DEVICES",  "FIRST",	   "BYTES", "MAX-BYTES",
					       "MAPPINGS", "MAX-MAPPINGS", NULL };
	struct ctl_table table = { .right = 1u << 0 | 1u << 2 | 1u << 4 | 0xfu << 6 };
	struct ctl_domain *d = ctl_need(malloc(sizeof(*d)));

	ctl_table_heading(&table, heading);
	for (size_t i = 0; i < count; i++) {
		ask(ctl, &list[i], d);
		add_row(&table, d);
	}
	ctl_table_print(&table);
	ctl_table_free(&table);
	free(d);
}

static void print_json(const struct ctl *ctl, const struct iob_domain_rec *list, size_t count)
{
	struct json_object *top = ctl_json_new(), *items = ctl_json_list(top, "domains");
	struct ctl_domain *d = ctl_need(malloc(sizeof(*d)));

	for (size_t i = 0; i < count; i++) {
		ask(ctl, &list[i], d);
		ctl_json_domain(items, d);
	}
	ctl_json_print(top);
	free(d);
}

int ctl_domains(const struct ctl *ctl)
{
	ctl_cleanup_free struct iob_domain_rec *list = NULL;
	size_t count = 0;

	if (ctl_ask(ctl, iob_domain_list(ctl->conn, &list, &count)) != IOB_OK)
		return ctl_failed("domains");
	if (ctl->json)
		print_json(ctl, list, count);
	else
		print_list(ctl, list, count);
	return CTL_OK;
}
