/* SPDX-License-Identifier: MIT */
/* doctor-json.c - findings for programs; the layout is a promise, kept in iommuctl(1). */
#include "doctor.h"

#include "iommuctl.h"

#ifndef IOB_VERSION
#define IOB_VERSION "unknown"
#endif

static void add_finding(struct json_object *list, const struct doctor_finding *f)
{
	struct json_object *item = ctl_json_item(list), *mend;

	ctl_json_text(item, "id", doctor_id_name(f->id));
	ctl_json_text(item, "severity", doctor_severity_name(f->severity));
	ctl_json_text(item, "object", f->object);
	ctl_json_text(item, "text", f->text);
	ctl_json_text(item, "why", f->why ? f->why : "");
	mend = ctl_json_list(item, "mend");
	for (size_t i = 0; i < f->mend_count; i++)
		ctl_json_string(mend, f->mend[i]);
}

void doctor_json(const struct doctor *d)
{
	struct json_object *top = ctl_json_new(), *list;
	char release[128];

	doctor_kernel_version(d, release);
	ctl_json_text(top, "version", IOB_VERSION);
	ctl_json_text(top, "kernel", release);
	ctl_json_text(top, "root", d->root);
	ctl_json_number(top, "uid", d->uid);
	ctl_json_number(top, "errors", doctor_count(d, DOCTOR_ERROR));
	ctl_json_number(top, "warnings", doctor_count(d, DOCTOR_WARNING));
	list = ctl_json_list(top, "findings");
	for (size_t i = 0; i < d->finding_count; i++)
		add_finding(list, &d->findings[i]);
	list = ctl_json_list(top, "unseen");
	for (size_t i = 0; i < d->unseen_count; i++)
		ctl_json_string(list, d->unseen[i]);
	ctl_json_print(top);
}
