/* SPDX-License-Identifier: MIT */
/*
 * iommuctl-json.c - output for programs.
 *
 * The layout is a promise, kept in iommuctl(1): members may be added, never renamed or removed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "iommuctl.h"

static void error_item(struct json_object *top, const struct ctl_error *error)
{
	struct json_object *item = ctl_json_object(top, "error");

	ctl_json_text(item, "code", error->code == CTL_NO_CODE ? "" : iob_code_name(error->code));
	ctl_json_text(item, "step", iob_strstep(error->step));
	ctl_json_number(item, "errno", (uint64_t)(error->sys_errno > 0 ? error->sys_errno : 0));
	ctl_json_text(item, "text", error->text);
}

void ctl_json_add_error(struct json_object *top)
{
	struct ctl_error error;

	if (ctl_error_take(&error))
		error_item(top, &error);
}

char *ctl_json_error_member(const struct ctl_error *error)
{
	struct json_object *top = ctl_json_new();

	error_item(top, error);
	return ctl_json_members(top);
}

void ctl_json_error(void)
{
	struct ctl_error error;
	struct json_object *top;

	if (!ctl_error_take(&error))
		return;
	top = ctl_json_new();
	error_item(top, &error);
	ctl_json_print(top);
}

static void add_user(struct json_object *to, const char *key, uint32_t uid)
{
	char cell[CTL_CELL] = "";

	if (uid != UINT32_MAX)
		ctl_cell_user(cell, uid);
	ctl_json_text(to, key, cell);
}

static void add_members(struct json_object *item, const struct iob_device_rec *rec, bool real)
{
	char(*members)[IOB_NAME_BYTES] = NULL;
	struct json_object *list = ctl_json_list(item, "group_members");
	size_t count = real ? ctl_local_members(rec, &members) : 0;

	for (size_t i = 0; i < count; i++)
		ctl_json_string(list, members[i]);
	free(members);
}

static void add_access(struct json_object *item, uint32_t access)
{
	struct json_object *list = ctl_json_list(item, "access");

	if (access & IOB_ACCESS_MEDIATED)
		ctl_json_string(list, "mediated");
	if (access & IOB_ACCESS_FD)
		ctl_json_string(list, "fd");
}

static void device_item(struct json_object *item, const struct iob_device_rec *rec, bool real)
{
	struct ctl_names names;

	ctl_local_names(rec, &names);
	ctl_json_text(item, "name", rec->name);
	ctl_json_hex(item, "vendor", 4, rec->vendor);
	ctl_json_hex(item, "device", 4, rec->device);
	ctl_json_hex(item, "class", 6, rec->class_code);
	ctl_json_text(item, "vendor_name", names.vendor);
	ctl_json_text(item, "device_name", names.device);
	ctl_json_text(item, "class_name", names.subclass[0] ? names.subclass : names.class_of);
	ctl_json_number(item, "group", rec->group);
	add_members(item, rec, real);
	ctl_json_text(item, "driver", rec->driver);
	ctl_json_text(item, "state", ctl_device_state(rec));
	ctl_json_bool(item, "opened", (rec->flags & IOB_DEVICE_OPENED) != 0);
	ctl_json_bool(item, "bound", (rec->flags & IOB_DEVICE_BOUND) != 0);
	ctl_json_bool(item, "yours", (rec->flags & IOB_DEVICE_YOURS) != 0);
	ctl_json_bool(item, "usable", (rec->flags & IOB_DEVICE_UNUSABLE) == 0);
	add_access(item, rec->access);
	if (rec->owner_uid == UINT32_MAX)
		ctl_json_unset(item, "owner_uid");
	else
		ctl_json_number(item, "owner_uid", rec->owner_uid);
	add_user(item, "owner", rec->owner_uid);
}

void ctl_json_devices(const struct iob_device_rec *list, size_t count, bool real)
{
	struct json_object *top = ctl_json_new();
	struct json_object *items = ctl_json_list(top, "devices");

	for (size_t i = 0; i < count; i++)
		device_item(ctl_json_item(items), &list[i], real);
	ctl_json_print(top);
}

void ctl_json_drivers(const struct iob_driver_rec *list, size_t count, uint32_t moved, bool real)
{
	struct json_object *top = ctl_json_new();
	struct json_object *items;

	ctl_json_number(top, "moved", moved);
	items = ctl_json_list(top, "devices");
	for (size_t i = 0; i < count; i++) {
		struct json_object *item = ctl_json_item(items);

		device_item(item, &list[i].device, real);
		ctl_json_text(item, "former_driver", list[i].former);
		ctl_json_bool(item, "vfio", (list[i].flags & IOB_DRIVER_ON_VFIO) != 0);
	}
	ctl_json_add_error(top);
	ctl_json_print(top);
}

/* ---- domains ---- */

static void add_use(struct json_object *item, const struct ctl_domain *domain)
{
	if (domain->present) {
		ctl_json_number(item, "used_bytes", domain->info.used_bytes);
		ctl_json_number(item, "used_mappings", domain->info.used_mappings);
		ctl_json_number(item, "page_bytes",
				domain->info.page_sizes & -domain->info.page_sizes);
	} else {
		ctl_json_unset(item, "used_bytes");
		ctl_json_unset(item, "used_mappings");
		ctl_json_unset(item, "page_bytes");
	}
}

static void add_ranges(struct json_object *item, const struct ctl_domain *domain)
{
	struct json_object *list = ctl_json_list(item, "iova_ranges");

	for (uint32_t i = 0; domain->present && i < domain->info.range_count && i < IOB_MAX_RANGES;
	     i++) {
		struct json_object *range = ctl_json_item(list);

		ctl_json_address(range, "first", domain->ranges[i].first);
		ctl_json_address(range, "last", domain->ranges[i].last);
	}
}

void ctl_json_domain(struct json_object *list, const struct ctl_domain *domain)
{
	struct json_object *item = ctl_json_item(list);
	const struct iob_domain_rec *rec = domain->rec;
	char comm[CTL_CELL];

	ctl_local_comm(rec->pid, comm);
	ctl_json_number(item, "id", rec->domain_id);
	ctl_json_number(item, "uid", rec->uid);
	add_user(item, "owner", rec->uid);
	ctl_json_number(item, "pid", rec->pid);
	ctl_json_text(item, "command", comm);
	ctl_json_number(item, "devices", rec->devices);
	ctl_json_text(item, "first_device", rec->first_device);
	ctl_json_number(item, "max_bytes", rec->max_bytes);
	ctl_json_number(item, "max_mappings", rec->max_mappings);
	add_use(item, domain);
	add_ranges(item, domain);
}

/* ---- status ---- */

void ctl_json_status(const struct iob_status_rep *status, const struct iob_hello_rep *hello)
{
	struct json_object *top = ctl_json_new(), *features;
	char kernel[CTL_CELL];

	ctl_kernel(kernel);
	ctl_json_text(top, "version", status->version);
	ctl_json_text(top, "backend", ctl_backend_name(status->backend));
	ctl_json_text(top, "kernel", kernel);
	ctl_json_number(top, "protocol", hello->version);
	ctl_json_number(top, "uptime_ms", status->uptime_ms);
	ctl_json_number(top, "monitor_pid", status->monitor_pid);
	ctl_json_number(top, "sessions", status->sessions);
	ctl_json_number(top, "domains", status->domains);
	ctl_json_number(top, "devices", status->devices);
	ctl_json_number(top, "devices_open", status->devices_open);
	ctl_json_number(top, "max_batch", hello->max_batch);
	ctl_json_number(top, "max_message_bytes", hello->max_msg_bytes);
	features = ctl_json_list(top, "features");
	if (hello->features & IOB_FEATURE_GRANT)
		ctl_json_string(features, "grant");
	if (hello->features & IOB_FEATURE_DEVICE_FD)
		ctl_json_string(features, "device-fd");
	ctl_json_print(top);
}

void ctl_json_mapping(const struct iob_map_rec *rec)
{
	printf("{\"iova\":\"0x%" PRIx64 "\",\"last\":\"0x%" PRIx64 "\",\"length\":%" PRIu64
	       ",\"memory\":%" PRIu32 ",\"offset\":%" PRIu64 ",\"read\":%s,\"write\":%s}",
	       rec->iova, rec->iova + rec->length - 1, rec->length, rec->memory, rec->offset,
	       rec->flags & IOB_READ ? "true" : "false", rec->flags & IOB_WRITE ? "true" : "false");
}
