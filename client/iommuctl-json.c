/* SPDX-License-Identifier: MIT */
/*
 * iommuctl-json.c - output for programs.
 *
 * The layout is a promise, kept in iommuctl(1): members may be added, never renamed or removed.
 * Addresses are strings, because many readers of JSON lose digits of large numbers.
 */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>

#include "iommuctl.h"

static void add(struct json_object *to, const char *key, struct json_object *value)
{
	/* A value of NULL is JSON's null; add_unset() is for that. */
	if (json_object_object_add(to, key, ctl_need(value)) < 0)
		ctl_need(NULL);
}

static void add_unset(struct json_object *to, const char *key)
{
	if (json_object_object_add(to, key, NULL) < 0)
		ctl_need(NULL);
}

static void add_number(struct json_object *to, const char *key, uint64_t value)
{
	add(to, key, json_object_new_uint64(value));
}

static void add_bool(struct json_object *to, const char *key, bool value)
{
	add(to, key, json_object_new_boolean(value));
}

/* An empty text is null. */
static void add_text(struct json_object *to, const char *key, const char *text)
{
	char cell[CTL_CELL];

	ctl_cell_text(cell, text);
	if (cell[0] == '\0')
		add_unset(to, key);
	else
		add(to, key, json_object_new_string(cell));
}

static void add_hex(struct json_object *to, const char *key, int digits, uint32_t value)
{
	char cell[CTL_CELL];

	ctl_cell(cell, "%0*x", digits, value);
	add(to, key, json_object_new_string(cell));
}

static void print_and_free(struct json_object *object)
{
	puts(ctl_need((void *)(uintptr_t)json_object_to_json_string_ext(
		object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
				JSON_C_TO_STRING_NOSLASHESCAPE)));
	json_object_put(object);
}

static struct json_object *list_in(struct json_object *top, const char *key)
{
	struct json_object *list = json_object_new_array();

	add(top, key, list);
	return list;
}

static struct json_object *new_item(struct json_object *list)
{
	struct json_object *item = ctl_need(json_object_new_object());

	if (json_object_array_add(list, item) < 0)
		ctl_need(NULL);
	return item;
}

static void device_item(struct json_object *item, const struct iob_device_rec *rec)
{
	struct json_object *access;

	add_text(item, "name", rec->name);
	add_hex(item, "vendor", 4, rec->vendor);
	add_hex(item, "device", 4, rec->device);
	add_hex(item, "class", 6, rec->class_code);
	add_number(item, "group", rec->group);
	add_text(item, "driver", rec->driver);
	add_bool(item, "opened", (rec->flags & IOB_DEVICE_OPENED) != 0);
	add_bool(item, "bound", (rec->flags & IOB_DEVICE_BOUND) != 0);
	add_bool(item, "yours", (rec->flags & IOB_DEVICE_YOURS) != 0);
	add_bool(item, "usable", (rec->flags & IOB_DEVICE_UNUSABLE) == 0);
	access = list_in(item, "access");
	if (rec->access & IOB_ACCESS_MEDIATED)
		json_object_array_add(access, ctl_need(json_object_new_string("mediated")));
	if (rec->access & IOB_ACCESS_FD)
		json_object_array_add(access, ctl_need(json_object_new_string("fd")));
	if (rec->owner_uid == UINT32_MAX)
		add_unset(item, "owner_uid");
	else
		add_number(item, "owner_uid", rec->owner_uid);
}

void ctl_json_devices(const struct iob_device_rec *list, size_t count)
{
	struct json_object *top = ctl_need(json_object_new_object());
	struct json_object *items = list_in(top, "devices");

	for (size_t i = 0; i < count; i++)
		device_item(new_item(items), &list[i]);
	print_and_free(top);
}

void ctl_json_drivers(const struct iob_driver_rec *list, size_t count, uint32_t moved)
{
	struct json_object *top = ctl_need(json_object_new_object());
	struct json_object *items;

	add_number(top, "moved", moved);
	items = list_in(top, "devices");
	for (size_t i = 0; i < count; i++) {
		struct json_object *item = new_item(items);

		device_item(item, &list[i].device);
		add_text(item, "former_driver", list[i].former);
		add_bool(item, "vfio", (list[i].flags & IOB_DRIVER_ON_VFIO) != 0);
	}
	print_and_free(top);
}

void ctl_json_domains(const struct iob_domain_rec *list, size_t count)
{
	struct json_object *top = ctl_need(json_object_new_object());
	struct json_object *items = list_in(top, "domains");

	for (size_t i = 0; i < count; i++) {
		struct json_object *item = new_item(items);

		add_number(item, "id", list[i].domain_id);
		add_number(item, "uid", list[i].uid);
		add_number(item, "pid", list[i].pid);
		add_number(item, "devices", list[i].devices);
		add_text(item, "first_device", list[i].first_device);
		add_number(item, "max_bytes", list[i].max_bytes);
		add_number(item, "max_mappings", list[i].max_mappings);
	}
	print_and_free(top);
}

void ctl_json_status(const struct iob_status_rep *status)
{
	struct json_object *top = ctl_need(json_object_new_object());

	add_text(top, "version", status->version);
	add_text(top, "backend", ctl_backend_name(status->backend));
	add_number(top, "uptime_ms", status->uptime_ms);
	add_number(top, "monitor_pid", status->monitor_pid);
	add_number(top, "sessions", status->sessions);
	add_number(top, "domains", status->domains);
	add_number(top, "devices", status->devices);
	add_number(top, "devices_open", status->devices_open);
	print_and_free(top);
}

void ctl_json_mapping(const struct iob_map_rec *rec)
{
	printf("{\"iova\":\"0x%" PRIx64 "\",\"length\":%" PRIu64 ",\"memory\":%" PRIu32
	       ",\"offset\":%" PRIu64 ",\"read\":%s,\"write\":%s}",
	       rec->iova, rec->length, rec->memory, rec->offset,
	       rec->flags & IOB_READ ? "true" : "false", rec->flags & IOB_WRITE ? "true" : "false");
}
